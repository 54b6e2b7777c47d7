// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {Anchors} from "../src/Anchors.sol";
import {IAnchors} from "../src/IAnchors.sol";
import {Harness} from "./Harness.sol";
import {Reference, UniformLog} from "./Reference.sol";

contract AnchorsTest is Harness {
    string internal constant NAME = "edge.sejong.example/log";
    bytes32 internal constant ORIGIN = keccak256(bytes(NAME));
    address internal constant CITY = address(0xC1);
    address internal constant GATEWAY = address(0xA1);
    address internal constant STRANGER = address(0xBAD);
    uint256 internal constant NOW = 1_800_000_000;

    bytes32[] internal none;
    Anchors internal anchors = new Anchors(CITY);
    /// @dev The gateway's log, and the same with its fourth entry rewritten.
    bytes32[] internal log = Reference.leaves(1, 100);
    bytes32[] internal rewritten = Reference.leaves(1, 100);

    function setUp() public {
        vm.prank(CITY);
        anchors.register(NAME, GATEWAY);
        rewritten[3] = sha256("another entry");
        vm.warp(NOW);
    }

    // --- registering -----------------------------------------------------------------------------------------------

    function test_TheOriginIsTheHashOfTheOriginLine() public {
        vm.expectEmit(address(anchors));
        emit IAnchors.Registered(keccak256("another.example/log"), GATEWAY, "another.example/log");
        vm.prank(CITY);
        bytes32 origin = anchors.register("another.example/log", GATEWAY);
        vm.assertEq(origin, keccak256("another.example/log"));
        vm.assertEq(anchors.senderOf(origin), GATEWAY);
    }

    function testFuzz_OnlyTheOwnerRegisters(address caller) public {
        vm.assume(caller != CITY);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        vm.prank(caller);
        anchors.register(NAME, caller);
    }

    function test_TheZeroAccountIsNoSender() public {
        vm.expectRevert(abi.encodeWithSelector(IAnchors.ZeroSender.selector));
        vm.prank(CITY);
        anchors.register(NAME, address(0));
    }

    function test_ANewOwnerMustAcceptBeforeItRegisters() public {
        vm.prank(CITY);
        anchors.transferOwnership(STRANGER);
        vm.assertEq(anchors.owner(), CITY);
        vm.prank(STRANGER);
        anchors.acceptOwnership();
        vm.prank(STRANGER);
        anchors.register(NAME, STRANGER);
        vm.assertEq(anchors.senderOf(ORIGIN), STRANGER);
    }

    function test_AChangedSenderGoesOnWhereTheLastOneStopped() public {
        anchorLog(10);
        vm.prank(CITY);
        anchors.register(NAME, STRANGER);
        assertHead(10, root(10), NOW);

        expectRefusal(20, root(20), proof(10, 20), abi.encodeWithSelector(IAnchors.NotSender.selector, ORIGIN, GATEWAY));
        anchor(STRANGER, 20, root(20), proof(10, 20));
        assertHead(20, root(20), NOW);
    }

    // --- anchoring -------------------------------------------------------------------------------------------------

    function test_NothingIsHeldBeforeTheFirstAnchor() public view {
        assertHead(0, 0, 0);
        vm.assertEq(anchors.senderOf(keccak256("nobody.example/log")), address(0));
    }

    function testFuzz_AGrowingLogIsAnchoredAndItsHistoryKept(uint8[6] calldata steps) public {
        uint64[6] memory sizes;
        uint64 held = 0;
        for (uint256 i = 0; i < 6; i++) {
            uint64 size = held + 1 + steps[i] % 16;
            bytes32 newest = root(size);
            bytes32[] memory path = held == 0 ? none : proof(held, size);
            vm.warp(NOW + 600 * i);
            vm.expectEmit(address(anchors));
            emit IAnchors.Anchored(ORIGIN, size, newest);
            anchor(GATEWAY, size, newest, path);
            assertHead(size, newest, NOW + 600 * i);
            sizes[i] = held = size;
        }
        for (uint256 i = 0; i < 6; i++) {
            vm.assertEq(anchors.rootAt(ORIGIN, sizes[i]), root(sizes[i]));
        }
    }

    function testFuzz_TheFirstAnchorMayHaveAnySizeUpTo48Bits(uint64 size, bytes32 first) public {
        size = uint64(between(size, 1, type(uint48).max));
        vm.assume(first != 0);
        anchor(GATEWAY, size, first, none);
        assertHead(size, first, NOW);
    }

    function test_TheLargestSizeIsReachedByAProof() public {
        uint64 size = type(uint48).max;
        anchor(GATEWAY, 1, UniformLog.root(1), none);
        anchor(GATEWAY, size, UniformLog.root(size), UniformLog.proof(1, size));
        assertHead(size, UniformLog.root(size), NOW);
        vm.assertEq(anchors.senderOf(ORIGIN), GATEWAY);
    }

    function test_LogsDontMeet() public {
        vm.prank(CITY);
        bytes32 other = anchors.register("another.example/log", STRANGER);
        bytes32 itsRoot = Reference.root(rewritten, 7);
        anchorLog(10);
        vm.prank(STRANGER);
        anchors.anchor(other, 7, itsRoot, none);

        assertHead(10, root(10), NOW);
        vm.assertEq(anchors.rootAt(ORIGIN, 7), bytes32(0));
        vm.assertEq(anchors.rootAt(other, 7), itsRoot);
    }

    function test_AnAnchorSentAgainChangesNothing() public {
        anchorLog(10);
        anchorLog(20);
        anchorLog(30);
        vm.warp(NOW + 600);
        vm.recordLogs();
        // The newest and older ones, with the proof that they came with and with none.
        anchor(GATEWAY, 30, root(30), proof(20, 30));
        anchor(GATEWAY, 30, root(30), none);
        anchor(GATEWAY, 20, root(20), proof(10, 20));
        anchor(GATEWAY, 10, root(10), none);
        vm.assertEq(vm.getRecordedLogs().length, 0);
        assertHead(30, root(30), NOW);
    }

    /// @dev What a consistency proof does NOT show, see IAnchors: the walks 9 → 11 and 9 → 12 are the same.
    function test_TheSizeOfATreeIsItsSendersWord() public {
        anchorLog(9);
        anchor(GATEWAY, 11, root(12), proof(9, 12));
        vm.assertEq(anchors.rootAt(ORIGIN, 11), root(12));
    }

    // --- refusing --------------------------------------------------------------------------------------------------

    function testFuzz_ARewrittenHistoryIsRefused(uint64 held, uint64 size, uint64 changed, uint64 from) public {
        size = uint64(between(size, 2, 100));
        held = uint64(between(held, 1, size - 1));
        anchorLog(held);
        bytes32[] memory forged = log;
        forged[between(changed, 0, held - 1)] = sha256("another entry");
        bytes32 newest = Reference.root(forged, size);
        bytes memory leadsToTheHonestTree =
            abi.encodeWithSelector(IAnchors.InconsistentTree.selector, size, newest, root(size));

        // The honest log's proof.
        expectRefusal(size, newest, proof(held, size), leadsToTheHonestTree);
        // The forger's own proof. It begins in the forger's past, unless `held` is a power of two: then it has no
        // first node, and leads from the root held to the honest tree.
        bytes32 past = Reference.root(forged, held);
        bytes memory why = held & (held - 1) == 0
            ? leadsToTheHonestTree
            : abi.encodeWithSelector(IAnchors.InconsistentTree.selector, held, root(held), past);
        expectRefusal(size, newest, Reference.proof(forged, held, size), why);
        // The forger's proof from any other size.
        from = uint64(between(from, 1, size - 1));
        vm.assertEq(takes(size, newest, Reference.proof(forged, from, size)), false, "a forged tree was anchored");
    }

    function test_AShrunkTreeIsRefused() public {
        anchorLog(20);
        bytes memory why = abi.encodeWithSelector(IAnchors.ShrunkTree.selector, 20, 19);
        expectRefusal(19, root(19), none, why);
        expectRefusal(19, root(19), proof(19, 20), why);
        expectRefusal(0, 0, none, abi.encodeWithSelector(IAnchors.ShrunkTree.selector, 20, 0));
    }

    function test_AnotherRootAtASizeAlreadyAnchoredIsRefused() public {
        anchorLog(10);
        anchorLog(20);
        for (uint64 size = 10; size <= 20; size += 10) {
            bytes32 fork = Reference.root(rewritten, size);
            expectRefusal(
                size, fork, none, abi.encodeWithSelector(IAnchors.ForkedTree.selector, size, root(size), fork)
            );
        }
        expectRefusal(20, 0, none, abi.encodeWithSelector(IAnchors.ForkedTree.selector, 20, root(20), bytes32(0)));
    }

    function test_AWrongRootIsRefused() public {
        anchorLog(10);
        bytes memory why = abi.encodeWithSelector(IAnchors.InconsistentTree.selector, 20, root(19), root(20));
        expectRefusal(20, root(19), proof(10, 20), why);
    }

    function test_AProofTooLongOrTooShortIsRefused() public {
        anchorLog(10);
        bytes32[] memory path = proof(10, 20);
        uint256 wanted = path.length;
        bytes32[] memory longer = Reference.append(path, root(20));
        expectRefusal(20, root(20), longer, abi.encodeWithSelector(IAnchors.ProofLength.selector, wanted + 1, wanted));
        expectRefusal(20, root(20), none, abi.encodeWithSelector(IAnchors.ProofLength.selector, 0, wanted));
        assembly ("memory-safe") {
            mstore(path, sub(wanted, 1))
        }
        expectRefusal(20, root(20), path, abi.encodeWithSelector(IAnchors.ProofLength.selector, wanted - 1, wanted));
    }

    function test_AProofForTheFirstAnchorIsRefused() public {
        bytes32[] memory path = Reference.append(none, root(10));
        expectRefusal(20, root(20), path, abi.encodeWithSelector(IAnchors.ProofLength.selector, 1, 0));
    }

    function test_AnEmptyTreeIsRefused() public {
        bytes memory why = abi.encodeWithSelector(IAnchors.EmptyTree.selector);
        expectRefusal(0, sha256(""), none, why);
        expectRefusal(0, 0, none, why);
        expectRefusal(1, 0, none, why);
        anchorLog(10);
        expectRefusal(20, 0, proof(10, 20), why);
    }

    function test_ASizeOver48BitsIsRefused() public {
        uint64 size = 1 << 48;
        bytes memory why = abi.encodeWithSelector(IAnchors.SizeTooLarge.selector, size);
        expectRefusal(size, UniformLog.root(size), none, why);
        anchor(GATEWAY, 1, UniformLog.root(1), none);
        expectRefusal(size, UniformLog.root(size), UniformLog.proof(1, size), why);
    }

    function testFuzz_AForeignSenderIsRefused(address caller) public {
        vm.assume(caller != GATEWAY);
        anchorLog(10);
        bytes memory why = abi.encodeWithSelector(IAnchors.NotSender.selector, ORIGIN, caller);
        expectRefusalTo(caller, 20, root(20), proof(10, 20), why);
        // Not even what is there already.
        expectRefusalTo(caller, 10, root(10), none, why);
    }

    function test_TheOwnerIsAForeignSenderToo() public {
        bytes memory why = abi.encodeWithSelector(IAnchors.NotSender.selector, ORIGIN, CITY);
        expectRefusalTo(CITY, 20, root(20), none, why);
    }

    function testFuzz_AnUnknownOriginIsRefused(bytes32 origin, address caller) public {
        vm.assume(origin != ORIGIN);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.UnknownOrigin.selector, origin));
        vm.prank(caller);
        anchors.anchor(origin, 1, log[0], none);
    }

    // --- the words of these tests ----------------------------------------------------------------------------------

    function root(uint64 size) private view returns (bytes32) {
        return Reference.root(log, size);
    }

    function proof(uint64 from, uint64 to) private view returns (bytes32[] memory) {
        return Reference.proof(log, from, to);
    }

    /// @dev The gateway anchors its log at `size`.
    function anchorLog(uint64 size) private {
        (uint64 held,,) = anchors.head(ORIGIN);
        anchor(GATEWAY, size, root(size), held == 0 ? none : proof(held, size));
    }

    function anchor(address sender, uint64 size, bytes32 newest, bytes32[] memory path) private {
        vm.prank(sender);
        anchors.anchor(ORIGIN, size, newest, path);
    }

    function takes(uint64 size, bytes32 newest, bytes32[] memory path) private returns (bool ok) {
        vm.prank(GATEWAY);
        (ok,) = address(anchors).call(abi.encodeCall(anchors.anchor, (ORIGIN, size, newest, path)));
    }

    function expectRefusal(uint64 size, bytes32 newest, bytes32[] memory path, bytes memory why) private {
        expectRefusalTo(GATEWAY, size, newest, path, why);
    }

    function expectRefusalTo(address caller, uint64 size, bytes32 newest, bytes32[] memory path, bytes memory why)
        private
    {
        vm.expectRevert(why);
        vm.prank(caller);
        anchors.anchor(ORIGIN, size, newest, path);
    }

    function assertHead(uint64 size, bytes32 newest, uint256 time) private view {
        (uint64 heldSize, bytes32 heldRoot, uint64 heldTime) = anchors.head(ORIGIN);
        vm.assertEq(heldSize, size, "size");
        vm.assertEq(heldRoot, newest, "root");
        vm.assertEq(heldTime, time, "time");
        vm.assertEq(anchors.rootAt(ORIGIN, size), newest, "history");
    }
}
