// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAnchors} from "../../src/IAnchors.sol";
import {Rfc6962} from "../../src/libraries/Rfc6962.sol";
import {Harness} from "../Harness.sol";
import {Reference, UniformLog} from "../Reference.sol";

contract Rfc6962InclusionTest is Harness {
    /// @dev Internal library functions can't be expected to revert; calls can.
    function verify(bytes calldata entry, uint64 index, uint64 size, bytes32 root, bytes32[] calldata path)
        external
        view
    {
        Rfc6962.verifyInclusion(entry, index, size, root, path);
    }

    function test_ThePathOfEveryEntryOfEveryTreeUpTo40Holds() public view {
        bytes32[] memory d = Reference.leaves(1, 40);
        for (uint64 n = 1; n <= 40; n++) {
            bytes32 root = Reference.root(d, n);
            for (uint64 i = 0; i < n; i++) {
                this.verify(Reference.entry(1, i), i, n, root, Reference.path(d, i, n));
            }
        }
    }

    function testFuzz_ThePathInAnyLogHolds(uint256 seed, uint64 i, uint64 n) public view {
        (i, n) = place(i, n, 300);
        bytes32[] memory d = Reference.leaves(seed, n);
        this.verify(Reference.entry(seed, i), i, n, Reference.root(d, n), Reference.path(d, i, n));
    }

    function testFuzz_APathHoldsAtAnySizeThatFits64Bits(uint64 i, uint64 n, uint8 fewer) public view {
        n = uint64(between(n, 1, type(uint64).max >> (fewer % 64)));
        i = uint64(between(i, 0, n - 1));
        this.verify("", i, n, UniformLog.root(n), UniformLog.path(i, n));
    }

    function testFuzz_AnEntryOfAnyLengthIsHashed(bytes calldata entry, bytes32 sibling) public view {
        bytes32[] memory path = Reference.append(new bytes32[](0), sibling);
        bytes32 leaf = sha256(abi.encodePacked(bytes1(0x00), entry));
        this.verify(entry, 0, 2, Reference.node(leaf, sibling), path);
        this.verify(entry, 1, 2, Reference.node(sibling, leaf), path);
    }

    function testFuzz_OneWrongBitInThePathIsRefused(uint256 seed, uint64 i, uint64 n, uint256 position, uint8 bit)
        public
        view
    {
        (i, n) = place(i, n, 100);
        if (n == 1) return;
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes32[] memory path = Reference.path(d, i, n);
        position = between(position, 0, path.length - 1);
        path[position] ^= bytes32(uint256(1) << bit);
        expectNotIncluded(Reference.entry(seed, i), i, n, Reference.root(d, n), path);
    }

    function testFuzz_AWrongEntryIsRefused(uint256 seed, uint64 i, uint64 n, uint16 bit) public view {
        (i, n) = place(i, n, 100);
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes memory entry = Reference.entry(seed, i);
        entry[bit / 8 % entry.length] ^= bytes1(uint8(1 << (bit % 8)));
        expectNotIncluded(entry, i, n, Reference.root(d, n), Reference.path(d, i, n));
    }

    function testFuzz_AnotherIndexIsRefused(uint256 seed, uint64 i, uint64 n, uint64 other) public view {
        (i, n) = place(i, n, 100);
        other = uint64(between(other, 0, n - 1));
        if (other == i) return;
        bytes32[] memory d = Reference.leaves(seed, n);
        (bool ok,) = address(this)
            .staticcall(
                abi.encodeCall(
                    this.verify, (Reference.entry(seed, i), other, n, Reference.root(d, n), Reference.path(d, i, n))
                )
            );
        vm.assertEq(ok, false, "an entry stood at two places");
    }

    function testFuzz_APathOfAnotherLengthIsRefused(uint256 seed, uint64 i, uint64 n, uint256 length) public {
        (i, n) = place(i, n, 100);
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes32[] memory right = Reference.path(d, i, n);
        length = between(length, 0, 2 * right.length + 1);
        vm.assume(length != right.length);
        bytes32[] memory path = new bytes32[](length);
        for (uint256 j = 0; j < length; j++) {
            path[j] = right.length == 0 ? bytes32(0) : right[j % right.length];
        }
        bytes32 root = Reference.root(d, n);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.ProofLength.selector, length, right.length));
        this.verify(Reference.entry(seed, i), i, n, root, path);
    }

    function testFuzz_AShortPathIsNotCompletedByTheCalldataAfterIt(uint256 seed, uint64 i, uint64 n) public view {
        (i, n) = place(i, n, 100);
        if (n == 1) return;
        bytes32[] memory d = Reference.leaves(seed, n);
        bytes32[] memory path = Reference.path(d, i, n);
        bytes memory data = abi.encodeCall(this.verify, (Reference.entry(seed, i), i, n, Reference.root(d, n), path));
        // The selector, five words, and the entry (its length and two words) stand before the path's length: claim one
        // node less, and leave its bytes there.
        assembly ("memory-safe") {
            mstore(add(data, 292), sub(mload(path), 1))
        }
        (bool ok, bytes memory why) = address(this).staticcall(data);
        vm.assertEq(ok, false, "believed what lies beyond the path");
        vm.assertEq(
            keccak256(why),
            keccak256(abi.encodeWithSelector(IAnchors.ProofLength.selector, path.length - 1, path.length))
        );
    }

    function testFuzz_AnIndexBeyondTheTreeIsTheCallersMistake(uint64 i, uint64 n, bytes32 root) public {
        vm.assume(i >= n);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 1));
        this.verify("", i, n, root, new bytes32[](0));
    }

    function place(uint64 i, uint64 n, uint64 max) private pure returns (uint64, uint64) {
        n = uint64(between(n, 1, max));
        return (uint64(between(i, 0, n - 1)), n);
    }

    function expectNotIncluded(bytes memory entry, uint64 i, uint64 n, bytes32 root, bytes32[] memory path)
        private
        view
    {
        (bool ok, bytes memory why) = address(this).staticcall(abi.encodeCall(this.verify, (entry, i, n, root, path)));
        vm.assertEq(ok, false, "accepted");
        vm.assertEq(bytes32(bytes4(why)), bytes32(IAnchors.NotIncluded.selector));
    }
}
