// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAnchors} from "../../src/IAnchors.sol";
import {Rfc6962} from "../../src/libraries/Rfc6962.sol";
import {Harness} from "../Harness.sol";
import {Reference, UniformLog} from "../Reference.sol";

contract Rfc6962Test is Harness {
    /// @dev Internal library functions can't be expected to revert; calls can.
    function verify(uint64 size1, bytes32 root1, uint64 size2, bytes32 root2, bytes32[] calldata proof) external view {
        Rfc6962.verifyConsistency(size1, root1, size2, root2, proof);
    }

    function test_TheProofBetweenAnyTwoSizesUpTo40Holds() public view {
        bytes32[] memory d = Reference.leaves(1, 40);
        for (uint64 n = 2; n <= 40; n++) {
            bytes32 root2 = Reference.root(d, n);
            for (uint64 m = 1; m < n; m++) {
                this.verify(m, Reference.root(d, m), n, root2, Reference.proof(d, m, n));
            }
        }
    }

    function testFuzz_TheProofOfAnyLogHolds(uint256 seed, uint64 m, uint64 n) public view {
        (m, n) = sizes(m, n, 300);
        bytes32[] memory d = Reference.leaves(seed, n);
        this.verify(m, Reference.root(d, m), n, Reference.root(d, n), Reference.proof(d, m, n));
    }

    function testFuzz_TheProofHoldsAtAnySizeThatFits64Bits(uint64 m, uint64 n, uint8 shift) public view {
        // Without the shift nearly all sizes would have 64 bits.
        (m, n) = sizes(m, n, type(uint64).max >> (shift % 63));
        this.verify(m, UniformLog.root(m), n, UniformLog.root(n), UniformLog.proof(m, n));
    }

    function test_TheLongestProofHolds() public view {
        // 65 nodes: an odd first size (so that the proof begins with a leaf), parted from the second at the top.
        uint64 m = (1 << 63) - 1;
        bytes32[] memory proof = UniformLog.proof(m, type(uint64).max);
        vm.assertEq(proof.length, 65);
        this.verify(m, UniformLog.root(m), type(uint64).max, UniformLog.root(type(uint64).max), proof);
    }

    function testFuzz_OneWrongBitInTheProofIsRefused(uint256 seed, uint64 m, uint64 n, uint256 position, uint8 bit)
        public
        view
    {
        (m, n) = sizes(m, n, 100);
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes32[] memory proof = Reference.proof(d, m, n);
        position = between(position, 0, proof.length - 1);
        proof[position] ^= bytes32(uint256(1) << bit);
        expectInconsistent(m, Reference.root(d, m), n, Reference.root(d, n), proof);
    }

    function testFuzz_AWrongFirstRootIsRefused(uint256 seed, uint64 m, uint64 n, bytes32 wrong) public view {
        (m, n) = sizes(m, n, 100);
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes32 root1 = Reference.root(d, m);
        vm.assume(wrong != root1);
        bytes32[] memory proof = Reference.proof(d, m, n);
        expectInconsistent(m, wrong, n, Reference.root(d, n), proof);
    }

    function testFuzz_AWrongSecondRootIsRefused(uint256 seed, uint64 m, uint64 n, bytes32 wrong) public {
        (m, n) = sizes(m, n, 100);
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes32 root1 = Reference.root(d, m);
        bytes32 root2 = Reference.root(d, n);
        vm.assume(wrong != root2);
        bytes32[] memory proof = Reference.proof(d, m, n);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.InconsistentTree.selector, n, wrong, root2));
        this.verify(m, root1, n, wrong, proof);
    }

    function testFuzz_AProofOfAnotherLengthIsRefused(uint256 seed, uint64 m, uint64 n, uint256 length) public {
        (m, n) = sizes(m, n, 100);
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes32[] memory right = Reference.proof(d, m, n);
        length = between(length, 0, 2 * right.length);
        vm.assume(length != right.length);
        bytes32[] memory proof = new bytes32[](length);
        for (uint256 i = 0; i < length; i++) {
            proof[i] = right[i % right.length];
        }
        bytes32 root1 = Reference.root(d, m);
        bytes32 root2 = Reference.root(d, n);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.ProofLength.selector, length, right.length));
        this.verify(m, root1, n, root2, proof);
    }

    function testFuzz_AShortProofIsNotCompletedByTheCalldataAfterIt(uint256 seed, uint64 m, uint64 n) public view {
        (m, n) = sizes(m, n, 100);
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes32[] memory proof = Reference.proof(d, m, n);
        bytes memory data = abi.encodeCall(this.verify, (m, Reference.root(d, m), n, Reference.root(d, n), proof));
        // The selector and five words stand before the length: claim one node less, and leave its bytes there.
        assembly ("memory-safe") {
            mstore(add(data, 196), sub(mload(proof), 1))
        }
        (bool ok, bytes memory why) = address(this).staticcall(data);
        vm.assertEq(ok, false, "believed what lies beyond the proof");
        vm.assertEq(
            keccak256(why),
            keccak256(abi.encodeWithSelector(IAnchors.ProofLength.selector, proof.length - 1, proof.length))
        );
    }

    function testFuzz_SizesThatDontGrowAreTheCallersMistake(uint64 m, uint64 n, bytes32 root, bytes32[] calldata proof)
        public
    {
        vm.assume(m == 0 || m >= n);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 1));
        this.verify(m, root, n, root, proof);
    }

    function sizes(uint64 m, uint64 n, uint64 max) private pure returns (uint64, uint64) {
        n = uint64(between(n, 2, max));
        return (uint64(between(m, 1, n - 1)), n);
    }

    /// @dev For the cases where what the proof yields is nobody's root, and so can't be named beforehand.
    function expectInconsistent(uint64 size1, bytes32 root1, uint64 size2, bytes32 root2, bytes32[] memory proof)
        private
        view
    {
        bytes memory data = abi.encodeCall(this.verify, (size1, root1, size2, root2, proof));
        (bool ok, bytes memory why) = address(this).staticcall(data);
        vm.assertEq(ok, false, "accepted");
        vm.assertEq(bytes32(bytes4(why)), bytes32(IAnchors.InconsistentTree.selector));
    }
}
