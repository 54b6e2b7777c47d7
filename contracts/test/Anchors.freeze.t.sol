// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {Anchors} from "../src/Anchors.sol";
import {IAnchors} from "../src/IAnchors.sol";
import {Harness} from "./Harness.sol";
import {Reference} from "./Reference.sol";

contract AnchorsFreezeTest is Harness {
    string internal constant NAME = "edge.sejong.example/log";
    bytes32 internal constant ORIGIN = keccak256(bytes(NAME));
    uint256 internal constant KEY = 0xA11CE;
    uint256 internal constant LATER_KEY = 0xA11CE2;
    uint256 internal constant STRANGERS_KEY = 0xBAD;
    address internal constant ANYBODY = address(0xB0B);
    /// @dev The order of secp256k1.
    uint256 internal constant N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    bytes32[] internal none;
    Anchors internal anchors = new Anchors(address(this));
    bytes32[] internal log = Reference.leaves(1, 40);
    bytes32[] internal fork = Reference.leaves(2, 40);

    function setUp() public {
        anchors.register(NAME, vm.addr(KEY));
        bytes32 root = Reference.root(log, 10);
        vm.prank(vm.addr(KEY));
        anchors.anchor(ORIGIN, 10, root, none);
    }

    // --- what is signed --------------------------------------------------------------------------------------------

    /// @dev EIP-712 word for word.
    function testFuzz_AHeadIsSignedAsTypedData(bytes32 origin, uint64 size, bytes32 root) public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Sejong Edge Anchors"),
                keccak256("1"),
                block.chainid,
                address(anchors)
            )
        );
        bytes32 head =
            keccak256(abi.encode(keccak256("Head(bytes32 origin,uint64 size,bytes32 root)"), origin, size, root));
        vm.assertEq(anchors.headDigest(origin, size, root), keccak256(abi.encodePacked(hex"1901", domain, head)));
    }

    // --- freezing --------------------------------------------------------------------------------------------------

    function testFuzz_TwoSignedHeadsOfOneSizeFreezeTheLogForEver(uint64 size, bytes32 rootA, bytes32 rootB) public {
        vm.assume(rootA != rootB);
        bytes memory signatureA = sign(KEY, size, rootA);
        bytes memory signatureB = sign(KEY, size, rootB);
        vm.expectEmit(address(anchors));
        emit IAnchors.Contradiction(ORIGIN, size, rootA, rootB);
        vm.prank(ANYBODY);
        anchors.freeze(ORIGIN, size, rootA, signatureA, rootB, signatureB);
        assertFrozen();
    }

    function test_ASignedHeadAgainstTheAnchoredRootFreezesTheLogForEver() public {
        bytes32 other = Reference.root(fork, 10);
        bytes memory signature = sign(KEY, 10, other);
        vm.expectEmit(address(anchors));
        emit IAnchors.Contradiction(ORIGIN, 10, other, Reference.root(log, 10));
        vm.prank(ANYBODY);
        anchors.freezeAgainstAnchor(ORIGIN, 10, other, signature);
        assertFrozen();
    }

    function test_WhatAFormerSenderSignedStillCounts() public {
        anchors.register(NAME, vm.addr(LATER_KEY));
        vm.assertTrue(anchors.wasSender(ORIGIN, vm.addr(KEY)), "the former");
        vm.assertTrue(anchors.wasSender(ORIGIN, vm.addr(LATER_KEY)), "the present");
        vm.assertTrue(!anchors.wasSender(ORIGIN, vm.addr(STRANGERS_KEY)), "a stranger");
        // Each of the two showed another history.
        anchors.freeze(
            ORIGIN,
            20,
            Reference.root(log, 20),
            sign(KEY, 20, Reference.root(log, 20)),
            Reference.root(fork, 20),
            sign(LATER_KEY, 20, Reference.root(fork, 20))
        );
        assertFrozen();
    }

    function test_WhatWasAnchoredStaysProvable() public {
        freeze();
        (uint64 size, bytes32 root,) = anchors.head(ORIGIN);
        vm.assertEq(size, 10);
        vm.assertEq(root, Reference.root(log, 10));
        vm.assertEq(anchors.rootAt(ORIGIN, 10), root);
        vm.assertEq(anchors.verifyEntry(ORIGIN, 10, 3, Reference.entry(1, 3), Reference.path(log, 3, 10)), root);
    }

    function test_OtherLogsGoOn() public {
        bytes32 other = anchors.register("another.example/log", vm.addr(KEY));
        freeze();
        bytes32 root = Reference.root(log, 20);
        vm.prank(vm.addr(KEY));
        anchors.anchor(other, 20, root, none);
        vm.assertTrue(!anchors.isFrozen(other), "frozen");
    }

    function test_ALogIsFrozenOnce() public {
        freeze();
        bytes32 a = Reference.root(log, 20);
        bytes32 b = Reference.root(fork, 20);
        bytes memory signatureA = sign(KEY, 20, a);
        bytes memory signatureB = sign(KEY, 20, b);
        bytes memory why = abi.encodeWithSelector(IAnchors.Frozen.selector, ORIGIN);
        vm.expectRevert(why);
        anchors.freeze(ORIGIN, 20, a, signatureA, b, signatureB);
        vm.expectRevert(why);
        anchors.freezeAgainstAnchor(ORIGIN, 10, a, signatureA);
    }

    // --- no contradiction ------------------------------------------------------------------------------------------

    function test_TheSameHeadTwiceIsNoContradiction() public {
        bytes32 a = Reference.root(log, 20);
        bytes memory signature = sign(KEY, 20, a);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.NoContradiction.selector, 20));
        anchors.freeze(ORIGIN, 20, a, signature, a, signature);
    }

    function test_TheAnchoredHeadOrOneOfASizeNeverAnchoredIsNoContradictionOfTheAnchor() public {
        bytes32 held = Reference.root(log, 10);
        bytes memory signature = sign(KEY, 10, held);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.NoContradiction.selector, 10));
        anchors.freezeAgainstAnchor(ORIGIN, 10, held, signature);
        signature = sign(KEY, 11, held);
        vm.expectRevert(abi.encodeWithSelector(IAnchors.NoContradiction.selector, 11));
        anchors.freezeAgainstAnchor(ORIGIN, 11, held, signature);
    }

    function test_HeadsOfTwoSizesAreNoContradiction() public {
        bytes32 a = Reference.root(log, 20);
        bytes32 b = Reference.root(log, 21);
        // One of the two signatures is of another size than claimed, and so seems to be by somebody else.
        expectNotFrozen(20, a, sign(KEY, 20, a), b, sign(KEY, 21, b), IAnchors.NotSigner.selector);
    }

    // --- no signature ----------------------------------------------------------------------------------------------

    function test_AStrangersSignatureFreezesNothing() public {
        bytes32 a = Reference.root(log, 20);
        bytes32 b = Reference.root(fork, 20);
        bytes memory signatureA = sign(KEY, 20, a);
        bytes memory signatureB = sign(STRANGERS_KEY, 20, b);
        bytes memory why = abi.encodeWithSelector(IAnchors.NotSigner.selector, ORIGIN, vm.addr(STRANGERS_KEY));
        vm.expectRevert(why);
        anchors.freeze(ORIGIN, 20, a, signatureA, b, signatureB);
        vm.expectRevert(why);
        anchors.freeze(ORIGIN, 20, b, signatureB, a, signatureA);
        signatureB = sign(STRANGERS_KEY, 10, b);
        vm.expectRevert(why);
        anchors.freezeAgainstAnchor(ORIGIN, 10, b, signatureB);
        vm.assertTrue(!anchors.isFrozen(ORIGIN), "frozen");
    }

    function test_AnUnknownLogHasNoSigners() public {
        bytes32 origin = keccak256("nobody.example/log");
        bytes memory a = pack(KEY, anchors.headDigest(origin, 1, log[0]));
        bytes memory b = pack(KEY, anchors.headDigest(origin, 1, log[1]));
        vm.expectRevert(abi.encodeWithSelector(IAnchors.NotSigner.selector, origin, vm.addr(KEY)));
        anchors.freeze(origin, 1, log[0], a, log[1], b);
    }

    function testFuzz_OneWrongBitInASignatureFreezesNothing(uint16 bit) public {
        bytes32 a = Reference.root(log, 20);
        bytes32 b = Reference.root(fork, 20);
        bytes memory signature = sign(KEY, 20, b);
        signature[bit / 8 % 65] ^= bytes1(uint8(1 << (bit % 8)));
        expectNotFrozen(20, a, sign(KEY, 20, a), b, signature, 0);
        expectNotFrozen(20, b, signature, a, sign(KEY, 20, a), 0);
    }

    function test_TheOtherSignatureOfTheSameKeyIsRefused() public {
        bytes32 a = Reference.root(log, 20);
        bytes32 b = Reference.root(fork, 20);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, anchors.headDigest(ORIGIN, 20, b));
        bytes memory twin = abi.encodePacked(r, bytes32(N - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        expectNotFrozen(20, a, sign(KEY, 20, a), b, twin, ECDSA.ECDSAInvalidSignatureS.selector);
        expectNotFrozen(20, a, sign(KEY, 20, a), b, "", ECDSA.ECDSAInvalidSignatureLength.selector);
    }

    function test_ASignatureForAnotherChainOrContractFreezesNothing() public {
        bytes32 a = Reference.root(log, 20);
        bytes32 b = Reference.root(fork, 20);
        bytes memory elsewhere = pack(KEY, new Anchors(address(this)).headDigest(ORIGIN, 20, b));
        expectNotFrozen(20, a, sign(KEY, 20, a), b, elsewhere, IAnchors.NotSigner.selector);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        elsewhere = sign(KEY, 20, b);
        vm.chainId(here);
        expectNotFrozen(20, a, sign(KEY, 20, a), b, elsewhere, IAnchors.NotSigner.selector);
    }

    // --- the words of these tests ----------------------------------------------------------------------------------

    function pack(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function sign(uint256 key, uint64 size, bytes32 root) private view returns (bytes memory) {
        return pack(key, anchors.headDigest(ORIGIN, size, root));
    }

    function freeze() private {
        bytes32 a = Reference.root(log, 20);
        bytes32 b = Reference.root(fork, 20);
        anchors.freeze(ORIGIN, 20, a, sign(KEY, 20, a), b, sign(KEY, 20, b));
    }

    function expectNotFrozen(
        uint64 size,
        bytes32 a,
        bytes memory signatureA,
        bytes32 b,
        bytes memory signatureB,
        bytes4 wanted
    ) private {
        (bool ok, bytes memory why) = address(anchors)
            .call(abi.encodeCall(anchors.freeze, (ORIGIN, size, a, signatureA, b, signatureB)));
        vm.assertEq(ok, false, "it was taken");
        if (wanted != 0) vm.assertEq(bytes32(bytes4(why)), bytes32(wanted));
        vm.assertTrue(!anchors.isFrozen(ORIGIN), "frozen");
    }

    /// @dev No sender anchors, not even what is there, and nobody becomes one.
    function assertFrozen() private {
        vm.assertTrue(anchors.isFrozen(ORIGIN), "not frozen");
        bytes memory why = abi.encodeWithSelector(IAnchors.Frozen.selector, ORIGIN);
        address sender = anchors.senderOf(ORIGIN);
        bytes32[] memory proof = Reference.proof(log, 10, 20);
        bytes32 root = Reference.root(log, 20);
        vm.expectRevert(why);
        vm.prank(sender);
        anchors.anchor(ORIGIN, 20, root, proof);
        root = Reference.root(log, 10);
        vm.expectRevert(why);
        vm.prank(sender);
        anchors.anchor(ORIGIN, 10, root, none);
        vm.expectRevert(why);
        anchors.register(NAME, ANYBODY);
        vm.assertTrue(anchors.isFrozen(ORIGIN), "thawed");
        vm.assertEq(anchors.senderOf(ORIGIN), sender);
    }
}
