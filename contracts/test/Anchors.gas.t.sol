// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Anchors} from "../src/Anchors.sol";
import {Harness} from "./Harness.sol";
import {Reference, UniformLog} from "./Reference.sol";

/// @dev What a transaction costs, written to snapshots/anchor.json, which is in git: `git diff` shows what a change did.
/// `isolate` makes each call a transaction of its own, so that the figures are those of a receipt: 21,000, calldata and
/// cold storage are in. (The calldata floor of EIP-7623, about 51,000 with 21 nodes, lies below all of them.)
/// forge-config: default.isolate = true
contract AnchorsGasTest is Harness {
    string internal constant NAME = "edge.sejong.example/log";
    bytes32 internal constant ORIGIN = keccak256(bytes(NAME));

    event log_named_uint(string what, uint256 gas);

    Anchors internal anchors = new Anchors(address(this));

    function setUp() public {
        anchors.register(NAME, address(this));
    }

    function test_GasOfTheFirstAnchor() public {
        start(1_000_000);
        note("first anchor");
    }

    function test_GasOfAnAnchorAtDepth20() public {
        // 15 nodes are the mean between 2^19 and 2^20 entries, for steps of 1 to 600.
        start(1_000_300);
        grow(1_000_612, 15);
        note("depth 20, 312 entries more: 15 nodes");
    }

    function test_GasOfAnAnchorAtDepth20OnTileBoundaries() public {
        // 8 nodes are the mean where every size is a multiple of 256: the proof begins at a whole tile's root.
        start(3907 * 256);
        grow(3908 * 256, 8);
        note("depth 20, one whole tile more: 8 nodes");
    }

    function test_GasOfTheShortestAndTheLongestProofAtDepth20() public {
        start(1 << 19);
        grow((1 << 20) - 1, 1);
        note("depth 20, from a power of two: 1 node");
        grow(1 << 20, 21);
        note("depth 20, the longest: 21 nodes");
    }

    function test_GasOfVerifyingAnEntryAtDepth20() public {
        start(1_000_000);
        // 222 bytes are an envelope with one record. Uniform leaves are of empty entries, so the root is made to fit.
        bytes memory entry = new bytes(222);
        bytes32[] memory path = UniformLog.path(777_777, 1_000_612);
        bytes32 root = rootOver(sha256(abi.encodePacked(bytes1(0x00), entry)), 777_777, 1_000_611, path);
        bytes32 other = anchors.register("verify.example/log", address(this));
        anchors.anchor(other, 1_000_612, root, new bytes32[](0));
        vm.assertEq(anchors.verifyEntry(other, 1_000_612, 777_777, entry, path), root);
        note("verify an entry of 222 bytes, depth 20");
    }

    function test_GasOfFreezing() public {
        anchors.register(NAME, vm.addr(1));
        bytes32 a = bytes32(uint256(1));
        bytes32 b = bytes32(uint256(2));
        bytes memory signatureA = sign(a);
        bytes memory signatureB = sign(b);
        anchors.freeze(ORIGIN, 9, a, signatureA, b, signatureB);
        note("freeze by two signed heads");
    }

    function test_GasOfTheSameAnchorAgain() public {
        start(1_000_000);
        start(1_000_000);
        note("the same again");
    }

    function start(uint64 size) private {
        bytes32 root = UniformLog.root(size);
        anchors.anchor(ORIGIN, size, root, new bytes32[](0));
    }

    function grow(uint64 size, uint256 nodes) private {
        (uint64 held,,) = anchors.head(ORIGIN);
        bytes32 root = UniformLog.root(size);
        bytes32[] memory proof = UniformLog.proof(held, size);
        vm.assertEq(proof.length, nodes, "nodes");
        anchors.anchor(ORIGIN, size, root, proof);
    }

    function sign(bytes32 root) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(1, anchors.headDigest(ORIGIN, 9, root));
        return abi.encodePacked(r, s, v);
    }

    function rootOver(bytes32 r, uint256 fn, uint256 sn, bytes32[] memory path) private pure returns (bytes32) {
        for (uint256 i = 0; i < path.length; (fn, sn) = (fn / 2, sn / 2)) {
            if (fn % 2 == 1) r = Reference.node(path[i++], r);
            else if (fn != sn) r = Reference.node(r, path[i++]);
        }
        return r;
    }

    function note(string memory name) private {
        emit log_named_uint(name, vm.snapshotGasLastCall("anchor", name));
    }
}
