// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAnchors} from "../IAnchors.sol";

/// @title Proofs of the Merkle tree of RFC 6962 (RFC 9162 describes the same tree)
/// @dev A node is SHA-256(0x01 ‖ left ‖ right). Leaves, SHA-256(0x00 ‖ entry), enter a consistency proof only as
/// finished hashes; the two prefixes keep a leaf from passing for a node.
library Rfc6962 {
    /// @notice Returns if `path` leads from `entry`, number `index` of `size`, to `root`. Reverts with `ProofLength` or
    /// `NotIncluded` of IAnchors if not.
    /// @dev RFC 9162, section 2.1.3.2. It needs index < size: what the case outside means is the caller's to say.
    function verifyInclusion(bytes calldata entry, uint64 index, uint64 size, bytes32 root, bytes32[] calldata path)
        internal
        view
    {
        assert(index < size);
        (bytes32 r, uint256 wanted) = ascend(index, uint256(size) - 1, _leaf(entry), path);
        if (path.length != wanted) revert IAnchors.ProofLength(path.length, wanted);
        if (r != root) revert IAnchors.NotIncluded(index, size, r);
    }

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

    /// @dev SHA-256(0x00 ‖ entry), the two put together past the free memory pointer.
    function _leaf(bytes calldata entry) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let n := mload(0x40)
            mstore8(n, 0)
            calldatacopy(add(n, 1), entry.offset, entry.length)
            if iszero(staticcall(gas(), 2, n, add(entry.length, 1), 0, 32)) { revert(0, 0) }
            hash := mload(0)
        }
    }

    /// @dev Steps 2 to 4 of RFC 9162, section 2.1.3.2, with its names, from the leaf hash `r` to the root that it leads
    /// to. `fn` is the position of the node over the entry, `sn` that of the last one on its level. The two loops and
    /// `wanted` are as in `_climb`, and so is what the caller must compare.
    function ascend(uint256 fn, uint256 sn, bytes32 r, bytes32[] calldata path)
        internal
        view
        returns (bytes32, uint256 wanted)
    {
        assembly ("memory-safe") {
            // Each node, 0x01 ‖ left ‖ right, stands past the free memory pointer.
            let n := mload(0x40)
            mstore8(n, 1)
            let ok := 1
            let next := path.offset
            for {} sub(fn, sn) {} {
                let node := calldataload(next)
                next := add(next, 32)
                switch and(fn, 1)
                case 0 {
                    mstore(add(n, 1), r)
                    mstore(add(n, 33), node)
                }
                default {
                    mstore(add(n, 1), node)
                    mstore(add(n, 33), r)
                }
                ok := and(ok, staticcall(gas(), 2, n, 65, 0, 32))
                r := mload(0)
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            // The last node of its level has a sibling on the left for every set bit of fn, and none elsewhere.
            for {} fn { fn := and(fn, sub(fn, 1)) } {
                mstore(add(n, 1), calldataload(next))
                mstore(add(n, 33), r)
                next := add(next, 32)
                ok := and(ok, staticcall(gas(), 2, n, 65, 0, 32))
                r := mload(0)
            }
            // SHA-256 fails only for want of gas, and then leaves what was there.
            if iszero(ok) { revert(0, 0) }
            wanted := shr(5, sub(next, path.offset))
        }
        return (r, wanted);
    }

    /// @notice The root over some leaves of a tree of `size`, and how many of `nodes` it took: the caller compares both.
    /// @dev `row` has two words for each leaf, its index and its hash, and one word more; indices rise and are below `size`.
    /// It is written over: row by row it becomes the nodes above, to the root. The last node of a row of odd width has no
    /// sibling, and goes up as it is, which is the tree of RFC 6962. Nodes are taken as ICredits.Proof says; beyond their
    /// end other calldata is read, or zeros, as in `_climb`.
    ///
    /// SHA-256 fails only for want of gas, and then takes all but a 64th of what is left (EIP-150), which is 1 at the most:
    /// nothing is done after that, so here it isn't asked whether it did.
    function multiRoot(uint256[] memory row, uint256 size, bytes32[] calldata nodes)
        internal
        view
        returns (bytes32 root, uint256 wanted)
    {
        assembly ("memory-safe") {
            // 0x01 ‖ left ‖ right stands at 0x1f, at fixed places since this runs hundreds of times. 0x40 has the free
            // memory pointer before and after.
            let free := mload(0x40)
            mstore(0, 1)
            let next := nodes.offset
            let end := add(row, shl(5, mload(row)))
            row := add(row, 32)
            // No index is so large: behind the last node stands no sibling of it.
            mstore(end, not(0))
            // With more than one node in the row: level by level.
            for {} gt(sub(end, row), 64) {} {
                let to := row
                // The last node of a row of odd width, if it is here, goes up as it is.
                let lone := and(size, eq(mload(sub(end, 64)), sub(size, 1)))
                let brink := sub(end, shl(6, lone))
                for { let pos := row } lt(pos, brink) {} {
                    let index := mload(pos)
                    // 32 for a right one.
                    let side := shl(5, and(index, 1))
                    mstore(add(0x20, side), mload(add(pos, 32)))
                    pos := add(pos, 64)
                    let sibling := calldataload(next)
                    next := add(next, 32)
                    if iszero(or(side, sub(mload(pos), add(index, 1)))) {
                        sibling := mload(add(pos, 32))
                        pos := add(pos, 64)
                        next := sub(next, 32)
                    }
                    mstore(sub(0x40, side), sibling)
                    mstore(to, shr(1, index))
                    pop(staticcall(gas(), 2, 0x1f, 65, add(to, 32), 32))
                    to := add(to, 64)
                }
                if lone {
                    mstore(to, shr(1, mload(brink)))
                    mstore(add(to, 32), mload(add(brink, 32)))
                    to := add(to, 64)
                }
                end := to
                mstore(end, not(0))
                size := shr(1, add(size, 1))
            }
            // With one it is a path, as in `ascend`.
            let fn := mload(row)
            let sn := sub(size, 1)
            root := mload(add(row, 32))
            for {} sub(fn, sn) {} {
                let side := shl(5, and(fn, 1))
                mstore(add(0x20, side), root)
                mstore(sub(0x40, side), calldataload(next))
                next := add(next, 32)
                pop(staticcall(gas(), 2, 0x1f, 65, 0x20, 32))
                root := mload(0x20)
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            for {} fn { fn := and(fn, sub(fn, 1)) } {
                mstore(0x40, root)
                mstore(0x20, calldataload(next))
                next := add(next, 32)
                pop(staticcall(gas(), 2, 0x1f, 65, 0x20, 32))
                root := mload(0x20)
            }
            mstore(0x40, free)
            wanted := shr(5, sub(next, nodes.offset))
        }
    }
}
