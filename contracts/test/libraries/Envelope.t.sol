// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ICredits} from "../../src/ICredits.sol";
import {Envelope} from "../../src/libraries/Envelope.sol";
import {Envelopes, Signed} from "../Envelopes.sol";
import {Harness} from "../Harness.sol";

/// @dev The writer that is made for gas, held against the one that is written word for word from the RFCs.
contract EnvelopeTest is Harness {
    /// @dev Each CBOR head has five lengths: numbers are drawn by their length first.
    function testFuzz_AReadingIsWrittenByteForByte(Signed memory e, uint256 dice) public view {
        shape(e, dice);
        e.registers = new uint64[](1);
        e.registers[0] = uint64(number(dice, 1) % (1 << 53));
        e.hasPower = dice & 1 == 1;
        e.power = 0;
        if (e.hasPower) {
            uint256 power = number(dice, 2) % (1 << 39);
            e.power = dice & 2 == 2 ? int40(int256(power)) : int40(-1 - int256(power));
        }
        this.checkReading(e.iss, e.sub, Envelopes.reading(e, dice >> 220), e);
    }

    function testFuzz_AProfileIsWrittenByteForByte(Signed memory e, uint256 dice) public view {
        shape(e, dice);
        e.hasPower = false;
        e.registers = new uint64[](25);
        for (uint256 i = 0; i < 25; i++) {
            e.registers[i] = uint64(number(dice, 3 + i) % (1 << 53));
        }
        e.day = uint32(between(e.day, 3107, 49_709));
        e.iat = uint40(between(e.iat, uint256(e.day + 1) * 86_400, type(uint40).max));
        this.checkProfile(e.iss, e.sub, Envelopes.profile(e, dice >> 220), e);
    }

    /// @dev One page for many readings: nothing of one is left in the next.
    function testFuzz_APageIsUsedAgain(Signed memory e, uint256 dice) public view {
        shape(e, dice);
        ICredits.Reading[] memory readings = new ICredits.Reading[](6);
        bytes32[] memory wanted = new bytes32[](6);
        for (uint256 i = 0; i < 6; i++) {
            e.iat = uint40(number(dice, 30 + i));
            e.registers = new uint64[](1);
            e.registers[0] = uint64(number(dice, 40 + i) % (1 << 53));
            e.hasPower = dice >> i & 1 == 1;
            e.power = e.hasPower ? -int40(int256(number(dice, 50 + i) % (1 << 39))) : int40(0);
            readings[i] = Envelopes.reading(e, i);
            wanted[i] = Envelopes.leaf(e);
        }
        this.checkPage(e.iss, e.sub, readings, wanted);
    }

    function checkReading(string calldata iss, string calldata sub, ICredits.Reading calldata reading, Signed memory e)
        external
        view
    {
        Envelope.Page memory page = Envelope.begin(iss, sub, 160);
        bytes32 guard = guardBehind();
        Envelope.writeReading(page, reading);
        check(page, e, guard);
    }

    function checkProfile(string calldata iss, string calldata sub, ICredits.Profile calldata profile, Signed memory e)
        external
        view
    {
        Envelope.Page memory page = Envelope.begin(iss, sub, 960);
        uint256[] memory registers = new uint256[](25);
        bytes32 guard = guardBehind();
        Envelope.writeProfile(page, profile, registers);
        check(page, e, guard);
        for (uint256 i = 0; i < 25; i++) {
            vm.assertEq(registers[i], e.registers[i]);
        }
    }

    function checkPage(
        string calldata iss,
        string calldata sub,
        ICredits.Reading[] calldata readings,
        bytes32[] calldata wanted
    ) external view {
        Envelope.Page memory page = Envelope.begin(iss, sub, 160);
        for (uint256 i = 0; i < readings.length; i++) {
            Envelope.writeReading(page, readings[i]);
            vm.assertEq(Envelope.leaf(page), wanted[i]);
            if (i % 2 == 1) Envelope.digest(page); // it is written over the envelope
        }
    }

    function check(Envelope.Page memory page, Signed memory e, bytes32 guard) private view {
        vm.assertEq(keccak256(Envelope.copy(page)), keccak256(Envelopes.envelope(e)), "envelope");
        vm.assertEq(Envelope.leaf(page), Envelopes.leaf(e), "leaf");
        (bytes32 r, bytes32 s) = Envelope.signature(page);
        vm.assertEq(keccak256(abi.encode(r, s)), keccak256(abi.encode(e.r, e.s)), "signature");
        vm.assertEq(Envelope.digest(page), sha256(Envelopes.signed(e)), "what is signed");
        bytes32 found;
        assembly ("memory-safe") {
            found := mload(guard)
        }
        vm.assertEq(found, keccak256("behind the page"), "more than its room was written");
    }

    /// @dev A word right behind what was allocated: the page's room ends before it. Returns its address.
    function guardBehind() private pure returns (bytes32 at_) {
        bytes32 value = keccak256("behind the page");
        assembly ("memory-safe") {
            at_ := mload(0x40)
            mstore(at_, value)
            mstore(0x40, add(at_, 32))
        }
    }

    function shape(Signed memory e, uint256 dice) private pure {
        e.iss = dice % 3 == 0 ? "did:key:zDnaeWcJkYvQVzKZpnXQ7iVjG5hX3mVn4o3o3mFhTq9dGbkT9" : text(dice >> 8, 0x61);
        e.sub = text(dice >> 16, 0x41);
        e.iat = uint40(number(dice, 0));
        // As the key of the DID has it: -9 of P-256, else Ed25519 or EdDSA.
        e.alg = dice % 3 == 0 ? int256(-9) : dice & 4 == 4 ? int256(-8) : int256(0);
    }

    /// @dev 1 to 256 letters: often a length at which the head changes.
    function text(uint256 dice, uint8 letter) private pure returns (string memory) {
        uint16[8] memory lengths = [uint16(1), 22, 23, 24, 25, 255, 256, 57];
        uint256 n = dice & 1 == 1 ? lengths[(dice >> 1) % 8] : 1 + (dice >> 1) % 256;
        bytes memory t = new bytes(n);
        for (uint256 i = 0; i < n; i++) {
            t[i] = bytes1(letter + uint8(i % 26));
        }
        return string(t);
    }

    function number(uint256 dice, uint256 which) private pure returns (uint256) {
        uint256 n = uint256(keccak256(abi.encode(dice, which)));
        return (n >> 8) % (1 << (1 + n % 56));
    }
}
