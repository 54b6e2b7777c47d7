// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ICredits} from "../ICredits.sol";

/// @title The envelopes that certificates are made of, written out again from their fields
/// @dev An envelope is a COSE_Sign1 (RFC 9052), tagged, in deterministic CBOR (RFC 8949, section 4.2.1). Of the two shapes
/// that are known here (edge/wire/boundary.ts) each byte follows from the fields, so nothing is parsed: what is written is
/// hashed, and is in the log or isn't.
///
///   d2 84
///     58 nn  a3 01 alg 03 18 70 0f a4 01 iss 02 sub 06 iat 07 48 cti        the protected header, 59 nnnn if it is long
///     a0
///     58 nn  82 a3 00 69 "1-0:2.8.0" 01 62 "Wh" 02 register                 the payload, a SenML pack (RFC 8428)
///               a3 00 6a "1-0:16.7.0" 01 61 "W" 02 power
///     58 40  r s
///
/// The beginning of the protected header is the same for all envelopes of a batch: `begin` writes it, and each envelope
/// is written behind it, over the one before. Fields that no strict reader would take (edge/wire) revert with `BadField`.
library Envelope {
    /// @dev Where in memory an envelope is written, and the one that was written last. All are addresses.
    struct Page {
        /// The protected header. 32 bytes before it are free for what is before it in an envelope.
        uint256 header;
        /// Behind its constant part.
        uint256 varying;
        /// The last envelope, with the byte 0x00 of RFC 6962 before it ...
        uint256 from;
        /// ... its byte 0xa0, the unprotected header ...
        uint256 unprotected;
        /// ... the end of its payload. The signature of 66 bytes follows.
        uint256 end;
        /// Of the device: not an address. ECDSA on P-256 has no choice of `alg`.
        bool p256;
    }

    uint256 private constant REGISTERS_END = 1 << 53;
    /// @dev Times in a profile are absolute (from 2^28 on, RFC 8428) and take four bytes.
    uint256 private constant FIRST_DAY = 3107;
    uint256 private constant LAST_DAY = 49_709;

    /// @notice Writes what all envelopes of a device and a metering point have in common.
    /// @param iss A DID, 1 to 256 bytes. @param sub A URN, likewise.
    /// @param room Bytes for the rest of the longest envelope: 160 for a reading, 960 for a profile.
    function begin(string calldata iss, string calldata sub, uint256 room) internal pure returns (Page memory page) {
        uint256 issBytes = bytes(iss).length;
        uint256 subBytes = bytes(sub).length;
        if (issBytes - 1 > 255 || subBytes - 1 > 255) revert ICredits.BadField();
        page.p256 = isP256(iss);
        assembly ("memory-safe") {
            function text(pos, offset, length) -> end {
                switch lt(length, 24)
                case 1 {
                    mstore8(pos, or(0x60, length))
                    pos := add(pos, 1)
                }
                default {
                    // 78 nn, or 79 0100
                    mstore8(pos, add(0x78, shr(8, length)))
                    pos := add(pos, 1)
                    if shr(8, length) {
                        mstore8(pos, 1)
                        pos := add(pos, 1)
                    }
                    mstore8(pos, length)
                    pos := add(pos, 1)
                }
                calldatacopy(pos, offset, length)
                end := add(pos, length)
            }
            let header := add(mload(0x40), 32)
            mstore(header, shl(184, 0xa301000318700fa401))
            let pos := text(add(header, 9), iss.offset, issBytes)
            mstore8(pos, 2)
            pos := text(add(pos, 1), sub.offset, subBytes)
            mstore8(pos, 6)
            pos := add(pos, 1)
            mstore(page, header)
            mstore(add(page, 0x20), pos)
            mstore(0x40, and(add(add(pos, room), 31), not(31)))
        }
    }

    /// @notice Whether a DID names a P-256 key, by its first letters, as edge/wire/did.ts has it.
    function isP256(string calldata iss) internal pure returns (bool) {
        return bytes(iss).length >= 11 && bytes11(bytes(iss)[:11]) == "did:key:zDn";
    }

    /// @notice Writes a reading. `fields` are those of ICredits.Reading.
    function writeReading(Page memory page, ICredits.Reading calldata reading) internal pure {
        unchecked {
            uint256 fields = reading.fields;
            uint256 shape = fields >> 40 & 0xff;
            uint256 register = fields >> 48 & 0xff_ffff_ffff_ffff;
            if (
                register >= REGISTERS_END || shape > (page.p256 ? 1 : 3)
                    || (shape & 1 == 0 && fields & 0xff_ffff_ffff != 0)
            ) revert ICredits.BadField();
            uint256 head = _writeHeader(page, fields >> 168 & 0xff_ffff_ffff, fields >> 104 & type(uint64).max, shape);
            // The head of the payload takes two bytes from 24 bytes on: with the power, or a register of 9 bytes.
            uint256 payload = head + (shape & 1 != 0 || register > type(uint32).max ? 2 : 1);
            assembly ("memory-safe") {
                mstore(payload, add(shl(112, 0x81a30069312d303a322e382e300162576802), shl(248, and(shape, 1))))
            }
            uint256 p = _integer(payload + 18, 0, register);
            if (shape & 1 != 0) {
                int256 power;
                assembly ("memory-safe") {
                    mstore(p, shl(120, 0xa3006a312d303a31362e372e3001615702))
                    power := signextend(4, fields)
                }
                p = power < 0 ? _integer(p + 17, 0x20, uint256(~power)) : _integer(p + 17, 0, uint256(power));
            }
            assembly ("memory-safe") {
                switch sub(payload, head)
                case 1 { mstore8(head, or(0x40, sub(p, payload))) }
                default {
                    mstore8(head, 0x58)
                    mstore8(add(head, 1), sub(p, payload))
                }
                mstore(add(page, 0x80), p)
                mstore(p, shl(240, 0x5840))
                calldatacopy(add(p, 2), reading, 64)
            }
        }
    }

    /// @notice Writes a day profile, of ICredits.Profile. @param registers Gets its 25 registers.
    function writeProfile(Page memory page, ICredits.Profile calldata profile, uint256[] memory registers)
        internal
        pure
    {
        assert(registers.length == 25);
        unchecked {
            uint256 head = profile.head;
            uint256 day = head >> 72 & type(uint32).max;
            uint256 iat = head >> 168 & 0xff_ffff_ffff;
            uint256 shape = head >> 64 & 0xff;
            if (
                shape & 1 != 0 || shape > (page.p256 ? 0 : 2) || head & type(uint64).max != 0
                    || profile.registers[6] & type(uint192).max != 0
            ) revert ICredits.BadField();
            if (day < FIRST_DAY || day > LAST_DAY || iat < (day + 1) * 1 days) {
                // forge-lint: disable-next-line(unsafe-typecast) both were masked
                revert ICredits.BadProfile(uint32(day), uint40(iat));
            }
            uint256 start = _writeHeader(page, iat, head >> 104 & type(uint64).max, shape);
            // 25 records are 600 bytes at least: the head of the payload takes three. 98 19: an array of 25.
            uint256 p = start + 5;
            uint256 all = 0;
            uint256 time = 0x061a << 32 | day * 1 days;
            assembly ("memory-safe") {
                mstore(add(start, 3), shl(240, 0x9819))
            }
            for (uint256 i = 0; i < 25; i++) {
                uint256 register;
                assembly ("memory-safe") {
                    register := and(calldataload(add(profile, add(72, shl(3, i)))), 0xffffffffffffffff)
                    mstore(add(registers, shl(5, add(i, 1))), register)
                    mstore(p, shl(120, 0xa40069312d303a322e382e300162576802))
                }
                all |= register;
                p = _integer(p + 17, 0, register);
                assembly ("memory-safe") {
                    mstore(p, shl(208, time))
                }
                p += 6;
                time += 1 hours;
            }
            if (all >= REGISTERS_END) revert ICredits.BadField();
            assembly ("memory-safe") {
                let length := sub(p, add(start, 3))
                mstore8(start, 0x59)
                mstore8(add(start, 1), shr(8, length))
                mstore8(add(start, 2), length)
                mstore(add(page, 0x80), p)
                mstore(p, shl(240, 0x5840))
                calldatacopy(add(p, 2), profile, 64)
            }
        }
    }

    /// @dev An integer of CBOR at `p`: `n` itself (`major` 0), or -1 - n (0x20). Returns where it ends.
    function _integer(uint256 p, uint256 major, uint256 n) private pure returns (uint256 end) {
        assembly ("memory-safe") {
            switch gt(n, 0xffff)
            case 1 {
                switch gt(n, 0xffffffff)
                case 0 {
                    mstore(p, shl(216, or(shl(32, or(major, 0x1a)), n)))
                    end := add(p, 5)
                }
                default {
                    mstore(p, shl(184, or(shl(64, or(major, 0x1b)), n)))
                    end := add(p, 9)
                }
            }
            default {
                switch gt(n, 0xff)
                case 1 {
                    mstore(p, shl(232, or(shl(16, or(major, 0x19)), n)))
                    end := add(p, 3)
                }
                default {
                    switch gt(n, 23)
                    case 1 {
                        mstore(p, shl(240, or(shl(8, or(major, 0x18)), n)))
                        end := add(p, 2)
                    }
                    default {
                        mstore8(p, or(major, n))
                        end := add(p, 1)
                    }
                }
            }
        }
    }

    /// @dev The header, what is before it, and the byte behind it; returns where the head of the payload begins.
    function _writeHeader(Page memory page, uint256 iat, uint256 cti, uint256 shape)
        private
        pure
        returns (uint256 pos)
    {
        // -9 is ESP256, -8 EdDSA, -19 Ed25519: -1 - n of major type 1.
        uint256 alg = page.p256 ? 0x28 : shape & 2 != 0 ? 0x27 : 0x32;
        pos = _integer(page.varying, 0, iat);
        assembly ("memory-safe") {
            let header := mload(page)
            mstore8(add(header, 2), alg)
            mstore(pos, shl(176, or(shl(64, 0x0748), cti)))
            pos := add(pos, 10)
            // It has 28 bytes at the least, so its length takes one byte or two.
            let length := sub(pos, header)
            let from := sub(header, 5)
            switch shr(8, length)
            case 0 { mstore(sub(header, 32), or(0xd2845800, length)) }
            default {
                mstore(sub(header, 32), or(0xd284590000, length))
                from := sub(header, 6)
            }
            mstore8(pos, 0xa0)
            mstore(add(page, 0x40), from)
            mstore(add(page, 0x60), pos)
            pos := add(pos, 1)
        }
    }

    /// @notice SHA-256(0x00 ‖ envelope) of the one that was written last: a leaf of RFC 6962.
    function leaf(Page memory page) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let from := mload(add(page, 0x40))
            if iszero(staticcall(gas(), 2, from, sub(add(mload(add(page, 0x80)), 66), from), 0, 32)) {
                revert(0, 0)
            }
            hash := mload(0)
        }
    }

    /// @notice SHA-256 of what the signature is over: the Sig_structure of RFC 9052, section 4.4,
    /// 84 6a "Signature1" ‖ protected header ‖ 40 ‖ payload. It is written over the envelope.
    function digest(Page memory page) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            // From the head of the protected header on, but for one byte, the two are the same.
            let head := add(mload(add(page, 0x40)), 3)
            let length := sub(mload(page), head)
            let word := mload(sub(mload(page), 32))
            word := and(word, sub(shl(shl(3, length), 1), 1))
            mstore(sub(mload(page), 32), or(shl(shl(3, length), 0x846a5369676e617475726531), word))
            mstore8(mload(add(page, 0x60)), 0x40)
            let from := sub(head, 12)
            if iszero(staticcall(gas(), 2, from, sub(mload(add(page, 0x80)), from), 0, 32)) { revert(0, 0) }
            hash := mload(0)
        }
    }

    /// @notice The signature of the one that was written last.
    function signature(Page memory page) internal pure returns (bytes32 r, bytes32 s) {
        assembly ("memory-safe") {
            let pos := add(mload(add(page, 0x80)), 2)
            r := mload(pos)
            s := mload(add(pos, 32))
        }
    }

    /// @notice A copy of the envelope that was written last.
    function copy(Page memory page) internal pure returns (bytes memory envelope) {
        uint256 from = page.from + 1;
        uint256 length = page.end + 66 - from;
        envelope = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(envelope, 32), from, length)
        }
    }
}
