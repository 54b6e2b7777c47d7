// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAnchors} from "../IAnchors.sol";

/// @title Proofs of the Merkle tree of RFC 6962 (RFC 9162 describes the same tree)
/// @dev A node is SHA-256(0x01 ‖ left ‖ right). Leaves, SHA-256(0x00 ‖ entry), enter a consistency proof only as
/// finished hashes; the two prefixes keep a leaf from passing for a node.
library Rfc6962 {
    /// @notice Returns if `proof` shows the tree of `size1` leaves and root `root1` to be the beginning of the tree of
    /// `size2` leaves and root `root2`. Reverts with `ProofLength` or `InconsistentTree` of IAnchors if not.
    /// @dev RFC 9162, section 2.1.4.2. It needs 0 < size1 < size2: what the cases outside mean is the caller's to say.
    function verifyConsistency(uint64 size1, bytes32 root1, uint64 size2, bytes32 root2, bytes32[] calldata proof)
        internal
        view
    {
        assert(0 < size1 && size1 < size2);
        (bytes32 fr, bytes32 sr, uint256 wanted) = _climb(uint256(size1) - 1, uint256(size2) - 1, root1, proof);
        if (proof.length != wanted) revert IAnchors.ProofLength(proof.length, wanted);
        if (fr != root1) revert IAnchors.InconsistentTree(size1, root1, fr);
        if (sr != root2) revert IAnchors.InconsistentTree(size2, root2, sr);
    }

    /// @dev Steps 2 to 6 of RFC 9162, section 2.1.4.2, with its names. `fn` and `sn` are the positions, on the level
    /// reached, of the nodes over the last leaf of the first and of the second tree; `fr` and `sr` are the two roots in
    /// the making. The RFC's loop stands here as two, since fn and sn, once equal, stay equal.
    ///
    /// `wanted`, how many nodes the walk took, follows from fn and sn alone and is at most 65. A shorter proof is read
    /// past its end (other calldata or zeros, both harmless in the EVM): the caller compares the lengths and believes
    /// nothing before.
    function _climb(uint256 fn, uint256 sn, bytes32 root1, bytes32[] calldata proof)
        private
        view
        returns (bytes32 fr, bytes32 sr, uint256 wanted)
    {
        // Up to the largest full subtree that ends the first tree: the first node that is in both trees.
        while (fn & 1 == 1) {
            fn >>= 1;
            sn >>= 1;
        }
        assembly ("memory-safe") {
            // Each root in the making has its own 65 bytes, 0x01 ‖ left ‖ right, past the free memory pointer. SHA-256
            // (the precompile at address 2) writes its digest over the right half: there the next level wants it.
            let f := mload(0x40)
            let s := add(f, 65)
            mstore8(f, 1)
            mstore8(s, 1)

            // When size1 is a power of two, that subtree is the whole first tree, and the proof leaves its root out.
            let next := proof.offset
            let node := root1
            if fn {
                node := calldataload(next)
                next := add(next, 32)
            }
            mstore(add(f, 33), node)
            mstore(add(s, 33), node)

            let ok := 1
            for {} sub(fn, sn) {} {
                node := calldataload(next)
                next := add(next, 32)
                switch and(fn, 1)
                case 0 {
                    // A sibling on the right, in the second tree only.
                    mstore(add(s, 1), mload(add(s, 33)))
                    mstore(add(s, 33), node)
                }
                default {
                    mstore(add(f, 1), node)
                    mstore(add(s, 1), node)
                    ok := and(ok, staticcall(gas(), 2, f, 65, add(f, 33), 32))
                }
                ok := and(ok, staticcall(gas(), 2, s, 65, add(s, 33), 32))
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            // From here both trees have the same siblings, each on the left, one for every set bit of fn:
            // `fn & (fn - 1)` clears the lowest. On the other levels the node is the last and has no sibling.
            for {} fn { fn := and(fn, sub(fn, 1)) } {
                node := calldataload(next)
                next := add(next, 32)
                mstore(add(f, 1), node)
                mstore(add(s, 1), node)
                ok := and(ok, staticcall(gas(), 2, f, 65, add(f, 33), 32))
                ok := and(ok, staticcall(gas(), 2, s, 65, add(s, 33), 32))
            }
            // SHA-256 fails only for want of gas. That must not pass: a node of the proof would stand for its digest.
            if iszero(ok) { revert(0, 0) }

            fr := mload(add(f, 33))
            sr := mload(add(s, 33))
            wanted := shr(5, sub(next, proof.offset))
        }
    }
}
