// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

import {Credits} from "../src/Credits.sol";
import {ICredits} from "../src/ICredits.sol";
import {CreditsWorld} from "./CreditsWorld.sol";
import {Envelopes, Signed} from "./Envelopes.sol";

interface P256Vm {
    function etch(address target, bytes calldata code) external;
    function signP256(uint256 privateKey, bytes32 digest) external pure returns (bytes32 r, bytes32 s);
    function publicKeyP256(uint256 privateKey) external pure returns (uint256 x, uint256 y);
}

/// @dev What EIP-7951 says of the precompile, in Solidity: 160 bytes in, the number 1 out or nothing. OpenZeppelin's
/// implementation refuses a high s on top of that, as Credits does anyway.
contract Precompile {
    fallback(bytes calldata input) external returns (bytes memory) {
        if (input.length != 160) return "";
        (bytes32 h, bytes32 r, bytes32 s, bytes32 a, bytes32 b) =
            abi.decode(input, (bytes32, bytes32, bytes32, bytes32, bytes32));
        if (!P256.isValidPublicKey(a, b) || !P256.verifySolidity(h, r, s, a, b)) return "";
        return abi.encode(uint256(1));
    }
}

/// @dev Devices with P-256 keys, on a chain with the precompile of EIP-7951 and on one without. forge has it on no EVM here,
/// so a contract stands in for it at its address; test/chain/credits-p256.test.ts asks the real one, of anvil.
contract CreditsP256Test is CreditsWorld {
    P256Vm internal constant P = P256Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
    uint256 internal constant PRIME = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff;
    uint32 internal constant TODAY = 20_800;
    uint40 internal constant MIDNIGHT = uint40(TODAY) * DAY;
    string internal constant SUB = "urn:sejong:mp:plant-1";
    bytes32 internal constant POINT = keccak256(bytes(SUB));
    address internal constant OWNER = address(0xA11CE);
    uint256 internal constant KEY = 0x5e;

    string internal meter;
    bytes32 internal device;
    Credits internal checking;
    bytes32 internal x;
    bytes32 internal y;

    function setUp() public {
        vm.warp(MIDNIGHT + 10 * DAY);
        (uint256 a, uint256 b) = P.publicKeyP256(KEY);
        (x, y) = (bytes32(a), bytes32(b));
        meter = didOf(KEY);
        device = keccak256(bytes(meter));
        enroll(meter, SUB, OWNER, "plant", 5000);
        Precompile precompile = new Precompile();
        P.etch(address(0x100), address(precompile).code);
        checking = new Credits(anchors, devices, address(this));
    }

    function test_WhetherTheChainChecksIsFoundOutOnce() public {
        vm.assertEq(credits.checksP256(), false, "before");
        vm.assertEq(checking.checksP256(), true, "with it");
        // What says yes to everything is none, nor what says nothing.
        P.etch(address(0x100), hex"600160005260206000f3");
        vm.assertEq(new Credits(anchors, devices, address(this)).checksP256(), false, "yes to everything");
        P.etch(address(0x100), "");
        vm.assertEq(new Credits(anchors, devices, address(this)).checksP256(), false, "no answer");
        vm.assertEq(checking.checksP256(), true, "for ever");
    }

    // --- keys --------------------------------------------------------------------------------------------------------

    function testFuzz_TheKeyThatADidNamesIsTakenAndNoOther(uint256 key, uint256 dice) public {
        key = between(key, 1, N - 1);
        (uint256 a, uint256 b) = P.publicKeyP256(key);
        string memory did_ = didOf(key);
        bytes32 named = keccak256(bytes(did_));
        bytes memory why = abi.encodeWithSelector(ICredits.WrongKey.selector, named);
        // The other point of that x; another x; a y of the same parity that is on no curve.
        refuseKey(did_, a, PRIME - b, why);
        refuseKey(did_, a ^ (1 << (dice % 256)), b, why);
        refuseKey(did_, a, b ^ (2 << (dice % 255)), why);
        if (b < type(uint256).max - PRIME) refuseKey(did_, a, b + PRIME, why);
        bytes memory other = bytes(didOf(key));
        uint256 place = 9 + dice % 48;
        other[place] = other[place] == "a" ? bytes1("b") : bytes1("a");
        refuseKey(string(other), a, b, abi.encodeWithSelector(ICredits.WrongKey.selector, keccak256(other)));
        other[place] = "0"; // no digit
        refuseKey(string(other), a, b, abi.encodeWithSelector(ICredits.WrongKey.selector, keccak256(other)));
        vm.expectEmit(address(credits));
        emit ICredits.KeyShown(named, bytes32(a), bytes32(b));
        credits.showKey(did_, bytes32(a), bytes32(b));
    }

    function test_WhatIsNoDidOfP256HasNoKey() public {
        string[4] memory names = ["", "did:key:z", did(1), string(abi.encodePacked(meter, "1"))];
        for (uint256 i = 0; i < names.length; i++) {
            refuseKey(
                names[i],
                uint256(x),
                uint256(y),
                abi.encodeWithSelector(ICredits.WrongKey.selector, keccak256(bytes(names[i])))
            );
        }
    }

    // --- signatures --------------------------------------------------------------------------------------------------

    function test_TheKeyMustBeShownFirst() public {
        Signed[] memory batch = hours_(6, 8);
        bytes memory call = mintCall(batch);
        refused(checking, call, abi.encodeWithSelector(ICredits.KeyNotShown.selector, device));
        checking.showKey(meter, x, y);
        taken(checking, call);
        vm.assertEq(checking.balanceOf(OWNER, checking.idOf(POINT, TODAY)), 7200);
    }

    /// forge-config: default.fuzz.runs = 24
    function testFuzz_ABadSignatureOfAnyReadingIsRefused(uint256 which, uint256 bit) public {
        checking.showKey(meter, x, y);
        which %= 4;
        Signed[] memory batch = hours_(6, 9);
        bytes memory why = abi.encodeWithSelector(ICredits.BadSignature.selector, device, which);
        (bytes32 r, bytes32 s) = (batch[which].r, batch[which].s);
        batch[which].r ^= bytes32(1 << (bit % 256));
        refused(checking, mintCall(batch), why);
        (batch[which].r, batch[which].s) = (r, s ^ bytes32(1 << (bit % 256)));
        refused(checking, mintCall(batch), why);
        // The other s of the same signature, zeros, and what another key signed.
        batch[which].s = bytes32(N - uint256(s));
        refused(checking, mintCall(batch), why);
        (batch[which].r, batch[which].s) = (0, 0);
        refused(checking, mintCall(batch), why);
        sign(batch[which], KEY + 1);
        refused(checking, mintCall(batch), why);
        // Another register under the signature.
        (batch[which].r, batch[which].s) = (r, s);
        batch[which].registers[0] += 1;
        refused(checking, mintCall(batch), why);
        batch[which].registers[0] -= 1;
        taken(checking, mintCall(batch));
    }

    /// forge-config: default.fuzz.runs = 24
    function testFuzz_AProfilesSignatureIsChecked(uint256 bit) public {
        checking.showKey(meter, x, y);
        uint64[] memory registers = new uint64[](25);
        for (uint64 i = 0; i < 25; i++) {
            registers[i] = 1000 + i * 3600;
        }
        Signed memory e = profile(meter, SUB, TODAY, MIDNIGHT + DAY, registers);
        e.alg = -9;
        sign(e, KEY);
        e.s ^= bytes32(1 << (bit % 256));
        refused(checking, dayCall(e), abi.encodeWithSelector(ICredits.BadSignature.selector, device, 0));
        e.s ^= bytes32(1 << (bit % 256));
        taken(checking, dayCall(e));
        vm.assertEq(checking.balanceOf(OWNER, checking.idOf(POINT, TODAY)), 24 * HOUR);
    }

    function test_AResidualsSignaturesAreChecked() public {
        checking.showKey(meter, x, y);
        Signed[] memory batch = hours_(6, 9);
        batch[3].s ^= bytes32(uint256(1));
        refused(
            checking,
            residualCall(batch[0], batch[3]),
            abi.encodeWithSelector(ICredits.BadSignature.selector, device, 1)
        );
        batch[3].s ^= bytes32(uint256(1));
        taken(checking, residualCall(batch[0], batch[3]));
    }

    /// @dev As ICredits says: there it is believed like one of Ed25519, key or no key.
    function test_AChainWithoutThePrecompileBelievesTheLog() public {
        Signed[] memory batch = hours_(6, 8);
        batch[1].s ^= bytes32(uint256(1));
        taken(credits, mintCall(batch));
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, TODAY)), 7200);
    }

    /// @dev A P-256 device has one alg: the bit that says EdDSA is no field of its envelopes.
    function test_AP256DeviceHasOneAlg() public {
        checking.showKey(meter, x, y);
        Signed[] memory batch = hours_(6, 7);
        (ICredits.Proof memory proof, uint256[] memory places) = logged(batch);
        ICredits.Reading[] memory readings = new ICredits.Reading[](2);
        (readings[0], readings[1]) = (Envelopes.reading(batch[0], places[0]), Envelopes.reading(batch[1], places[1]));
        readings[1].fields |= 2 << 40;
        refused(
            checking,
            abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)),
            abi.encodeWithSelector(ICredits.BadField.selector)
        );
    }

    // --- the words of these tests ------------------------------------------------------------------------------------

    function hours_(uint256 from, uint256 until) private returns (Signed[] memory batch) {
        batch = new Signed[](until - from + 1);
        for (uint256 i = 0; i < batch.length; i++) {
            batch[i] = reading(meter, SUB, MIDNIGHT + uint40(from + i) * HOUR, uint64(1000 + (from + i) * 3600));
            batch[i].alg = -9;
            sign(batch[i], KEY);
        }
    }

    function sign(Signed memory e, uint256 key) private pure {
        (e.r, e.s) = P.signP256(key, sha256(Envelopes.signed(e)));
        if (uint256(e.s) > N / 2) e.s = bytes32(N - uint256(e.s));
    }

    /// @dev base58btc by long division.
    function didOf(uint256 key) private pure returns (string memory) {
        (uint256 a, uint256 b) = P.publicKeyP256(key);
        bytes memory number = abi.encodePacked(hex"8024", bytes1(uint8(2 + b % 2)), a);
        bytes memory letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        bytes memory text = new bytes(48);
        for (uint256 i = 48; i > 0; i--) {
            uint256 rest = 0;
            for (uint256 k = 0; k < number.length; k++) {
                rest = rest * 256 + uint8(number[k]);
                number[k] = bytes1(uint8(rest / 58));
                rest %= 58;
            }
            text[i - 1] = letters[rest];
        }
        return string(abi.encodePacked("did:key:z", text));
    }

    function refuseKey(string memory did_, uint256 a, uint256 b, bytes memory why) private {
        refused(credits, abi.encodeCall(ICredits.showKey, (did_, bytes32(a), bytes32(b))), why);
    }

    function taken(Credits at_, bytes memory call) private {
        (bool ok, bytes memory answer) = address(at_).call(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    function refused(Credits at_, bytes memory call, bytes memory why) private {
        (bool ok, bytes memory answer) = address(at_).call(call);
        vm.assertEq(ok, false, "taken, where it should be refused");
        if (keccak256(answer) == keccak256(why)) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
