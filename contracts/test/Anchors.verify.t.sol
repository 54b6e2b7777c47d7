// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Anchors} from "../src/Anchors.sol";
import {IAnchors} from "../src/IAnchors.sol";
import {Harness} from "./Harness.sol";
import {Reference} from "./Reference.sol";

/// @dev verifyEntry: what the library answers is in libraries/Rfc6962Inclusion.t.sol, here is what the contract adds.
contract AnchorsVerifyTest is Harness {
    string internal constant NAME = "edge.sejong.example/log";
    bytes32 internal constant ORIGIN = keccak256(bytes(NAME));

    Anchors internal anchors = new Anchors(address(this));
    bytes32[] internal log = Reference.leaves(1, 100);

    function setUp() public {
        anchors.register(NAME, address(this));
        anchors.anchor(ORIGIN, 70, Reference.root(log, 70), new bytes32[](0));
        anchors.anchor(ORIGIN, 100, Reference.root(log, 100), Reference.proof(log, 70, 100));
    }

    function testFuzz_AnEntryIsShownUnderEveryAnchoredRoot(uint64 index) public view {
        index = uint64(between(index, 0, 69));
        vm.assertEq(verify(100, index), Reference.root(log, 100));
        vm.assertEq(verify(70, index), Reference.root(log, 70));
    }

    function testFuzz_UnderASizeThatWasNeverAnchoredNothingIsShown(uint64 size, uint64 index) public {
        vm.assume(size != 70 && size != 100);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.NotAnchored.selector, ORIGIN, size));
        anchors.verifyEntry(ORIGIN, size, index, "", new bytes32[](0));
    }

    function test_NothingIsShownOfAnotherLog() public {
        bytes32 other = anchors.register("another.example/log", address(this));
        bytes memory entry = Reference.entry(1, 3);
        bytes32[] memory path = Reference.path(log, 3, 100);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.NotAnchored.selector, other, 100));
        anchors.verifyEntry(other, 100, 3, entry, path);
    }

    function testFuzz_AnIndexBeyondTheTreeIsRefused(uint64 index) public {
        vm.assume(index >= 100);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.EntryBeyondTree.selector, index, 100));
        anchors.verifyEntry(ORIGIN, 100, index, "", new bytes32[](0));
    }

    /// @dev Every bit of the calldata, its padding too.
    function test_WithAnyBitChangedTheCalldataIsRefused() public view {
        bytes memory entry = abi.encodePacked(Reference.entry(1, 99));
        bytes memory data = abi.encodeCall(anchors.verifyEntry, (ORIGIN, 100, 99, entry, Reference.path(log, 99, 100)));
        expectAllBitsMatter(data);
    }

    /// @dev The same for an entry that doesn't fill its words: only the encoding is at stake there.
    function test_WithAnyBitOfTheFillingChangedTheCalldataIsRefused() public {
        bytes memory entry = "an entry of some length";
        bytes32 origin = anchors.register("small.example/log", address(this));
        bytes32 leaf = sha256(abi.encodePacked(bytes1(0x00), entry));
        anchors.anchor(origin, 1, leaf, new bytes32[](0));
        expectAllBitsMatter(abi.encodeCall(anchors.verifyEntry, (origin, 1, 0, entry, new bytes32[](0))));
    }

    function test_BytesAfterTheCalldataAreRefused() public view {
        bytes memory data = abi.encodeCall(
            anchors.verifyEntry, (ORIGIN, 100, 99, Reference.entry(1, 99), Reference.path(log, 99, 100))
        );
        vm.assertEq(takes(data), true, "the calldata itself");
        vm.assertEq(takes(abi.encodePacked(data, bytes1(0))), false, "a byte");
        vm.assertEq(takes(abi.encodePacked(data, bytes32(0))), false, "a word");
    }

    function verify(uint64 size, uint64 index) private view returns (bytes32) {
        return anchors.verifyEntry(ORIGIN, size, index, Reference.entry(1, index), Reference.path(log, index, size));
    }

    function expectAllBitsMatter(bytes memory data) private view {
        vm.assertEq(takes(data), true, "unchanged");
        for (uint256 bit = 0; bit < data.length * 8; bit++) {
            data[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            vm.assertEq(takes(data), false, "a changed bit was taken");
            data[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
    }

    function takes(bytes memory data) private view returns (bool ok) {
        bytes memory answer;
        // A changed offset can ask for more memory than there is gas.
        (ok, answer) = address(anchors).staticcall{gas: 1_000_000}(data);
        // A changed selector may be that of another view, which a verifier sees by the root that it doesn't get.
        if (ok) ok = answer.length == 32 && bytes4(data) == IAnchors.verifyEntry.selector;
    }
}
