// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Rfc6962} from "../../src/libraries/Rfc6962.sol";
import {Multi} from "../Envelopes.sol";
import {Harness} from "../Harness.sol";
import {Reference} from "../Reference.sol";

/// @dev One proof for several leaves, held against the plain tree.
contract Rfc6962MultiTest is Harness {
    function testFuzz_AnyLeavesOfAnyLogLeadToItsRoot(uint256 size, uint256 chosen, uint256 seed) public view {
        size = between(size, 1, 130);
        (uint256[] memory indices, uint256[] memory row, bytes32[] memory d) = pick(size, chosen, seed);
        (bytes32 root, bytes32[] memory nodes) = Multi.prove(d, indices);
        vm.assertEq(root, Reference.root(d, size), "the plain tree");
        bytes32 free = freeMemory();
        (bytes32 computed, uint256 wanted) = this.compute(row, size, nodes);
        vm.assertEq(computed, root, "root");
        vm.assertEq(wanted, nodes.length, "nodes");
        vm.assertTrue(free <= freeMemory(), "the free memory pointer");
    }

    function testFuzz_AnotherLeafNodeIndexOrSizeLeadsElsewhere(uint256 size, uint256 chosen, uint256 seed) public view {
        size = between(size, 2, 130);
        (uint256[] memory indices, uint256[] memory row, bytes32[] memory d) = pick(size, chosen, seed);
        (bytes32 root, bytes32[] memory nodes) = Multi.prove(d, indices);
        uint256 at_ = 2 * (seed % indices.length);
        row[at_ + 1] ^= 1 << (seed % 256);
        (bytes32 computed,) = this.compute(row, size, nodes);
        vm.assertTrue(computed != root, "another leaf");
        row[at_ + 1] ^= 1 << (seed % 256);
        if (nodes.length > 0) {
            nodes[seed % nodes.length] ^= bytes32(1 << (seed % 256));
            (computed,) = this.compute(row, size, nodes);
            vm.assertTrue(computed != root, "another node");
            nodes[seed % nodes.length] ^= bytes32(1 << (seed % 256));
        }
        // The one leaf of a proof at another place.
        if (indices.length == 1) {
            uint256 index = row[0];
            row[0] = (index + 1 + seed % (size - 1)) % size;
            uint256 wanted;
            (computed, wanted) = this.compute(row, size, nodes);
            vm.assertTrue(computed != root || wanted != nodes.length, "another index");
        }
    }

    /// @dev By calldata, so that each has a memory of its own.
    function compute(uint256[] memory row, uint256 size, bytes32[] calldata nodes)
        external
        view
        returns (bytes32 root, uint256 wanted)
    {
        bytes32 before = freeMemory();
        (root, wanted) = Rfc6962.multiRoot(row, size, nodes);
        vm.assertEq(freeMemory(), before, "the free memory pointer");
    }

    function pick(uint256 size, uint256 chosen, uint256 seed)
        private
        pure
        returns (uint256[] memory indices, uint256[] memory row, bytes32[] memory d)
    {
        d = Reference.leaves(seed, size);
        // Few or many of them.
        if (seed % 2 == 0) chosen &= uint256(keccak256(abi.encode(chosen))) & uint256(keccak256(abi.encode(seed)));
        uint256 n = 0;
        for (uint256 i = 0; i < size; i++) {
            n += chosen >> i & 1;
        }
        if (n == 0) (chosen, n) = (1 << (seed % size), 1);
        indices = new uint256[](n);
        row = new uint256[](2 * n + 1);
        for (uint256 i = size; i > 0; i--) {
            if (chosen >> (i - 1) & 1 == 0) continue;
            n--;
            indices[n] = row[2 * n] = i - 1;
            row[2 * n + 1] = uint256(d[i - 1]);
        }
    }

    function freeMemory() private pure returns (bytes32 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
        }
    }
}
