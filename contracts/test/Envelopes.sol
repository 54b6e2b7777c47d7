// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ICredits} from "../src/ICredits.sol";
import {Reference} from "./Reference.sol";

/// @dev What a device signs, and how it is given to the contract. The bytes are written here once more, from the RFCs and
/// without a thought for gas: what the contract writes is held against them, by the root that is over them.
struct Signed {
    string iss;
    string sub;
    uint40 iat;
    uint64 cti;
    /// 0 where it is -19.
    int256 alg;
    bytes32 r;
    bytes32 s;
    /// One in a reading, 25 in a day profile.
    uint64[] registers;
    /// Of a reading.
    bool hasPower;
    int40 power;
    /// Of a profile.
    uint32 day;
}

library Envelopes {
    bytes internal constant EXPORT = "1-0:2.8.0";
    bytes internal constant POWER = "1-0:16.7.0";

    /// @dev COSE_Sign1 (RFC 9052), tagged: [protected, {}, payload, signature].
    function envelope(Signed memory e) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"d284", bstr(protectedHeader(e)), hex"a0", bstr(payload(e)), hex"5840", e.r, e.s);
    }

    /// @dev What the signature is over (RFC 9052, section 4.4).
    function signed(Signed memory e) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"846a", "Signature1", bstr(protectedHeader(e)), hex"40", bstr(payload(e)));
    }

    function leaf(Signed memory e) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0), envelope(e)));
    }

    function protectedHeader(Signed memory e) internal pure returns (bytes memory) {
        return abi.encodePacked(
            hex"a301",
            integer(e.alg == 0 ? int256(-19) : e.alg),
            hex"0318700fa401",
            text(bytes(e.iss)),
            hex"02",
            text(bytes(e.sub)),
            hex"06",
            integer(int256(uint256(e.iat))),
            hex"0748",
            e.cti
        );
    }

    function payload(Signed memory e) internal pure returns (bytes memory pack) {
        uint256 n = e.registers.length;
        if (n == 1) {
            pack = abi.encodePacked(hex"a3", register(e.registers[0]));
            if (!e.hasPower) return abi.encodePacked(hex"81", pack);
            return
                abi.encodePacked(hex"82", pack, hex"a300", text(POWER), hex"01", text("W"), hex"02", integer(e.power));
        }
        pack = head(4, n);
        for (uint256 i = 0; i < n; i++) {
            uint256 time = uint256(e.day) * 86_400 + i * 3600;
            pack = abi.encodePacked(pack, hex"a4", register(e.registers[i]), hex"06", head(0, time));
        }
    }

    function register(uint64 wh) private pure returns (bytes memory) {
        return abi.encodePacked(hex"00", text(EXPORT), hex"01", text("Wh"), hex"02", head(0, wh));
    }

    // --- CBOR (RFC 8949), in its shortest form ------------------------------------------------------------------------

    function head(uint8 major, uint256 n) internal pure returns (bytes memory) {
        uint8 m = major << 5;
        if (n < 24) return abi.encodePacked(uint8(m | n));
        if (n < 1 << 8) return abi.encodePacked(m | 24, uint8(n));
        if (n < 1 << 16) return abi.encodePacked(m | 25, uint16(n));
        if (n < 1 << 32) return abi.encodePacked(m | 26, uint32(n));
        return abi.encodePacked(m | 27, uint64(n));
    }

    function integer(int256 n) internal pure returns (bytes memory) {
        return n < 0 ? head(1, uint256(-1 - n)) : head(0, uint256(n));
    }

    function bstr(bytes memory value) internal pure returns (bytes memory) {
        return abi.encodePacked(head(2, value.length), value);
    }

    function text(bytes memory value) internal pure returns (bytes memory) {
        return abi.encodePacked(head(3, value.length), value);
    }

    // --- what the contract is given -------------------------------------------------------------------------------------

    function reading(Signed memory e, uint256 index) internal pure returns (ICredits.Reading memory) {
        uint256 fields = index << 208 | uint256(e.iat) << 168 | uint256(e.cti) << 104 | uint256(e.registers[0]) << 48
            | shape(e) << 40 | uint40(e.power);
        return ICredits.Reading({r: e.r, s: e.s, fields: fields});
    }

    function profile(Signed memory e, uint256 index) internal pure returns (ICredits.Profile memory p) {
        p.r = e.r;
        p.s = e.s;
        p.head = index << 208 | uint256(e.iat) << 168 | uint256(e.cti) << 104 | uint256(e.day) << 72 | shape(e) << 64;
        for (uint256 i = 0; i < 25; i++) {
            p.registers[i / 4] |= uint256(e.registers[i]) << (192 - 64 * (i % 4));
        }
    }

    function shape(Signed memory e) private pure returns (uint256) {
        return (e.hasPower ? 1 : 0) | (e.alg == -8 ? 2 : 0);
    }
}

/// @dev One proof for some leaves of a log, as ICredits.Proof says, from all leaf hashes of the log.
library Multi {
    function prove(bytes32[] memory leaves, uint256[] memory indices)
        internal
        pure
        returns (bytes32 root, bytes32[] memory nodes)
    {
        uint256 width = leaves.length;
        bytes32[] memory level = new bytes32[](width);
        bool[] memory known = new bool[](width);
        for (uint256 i = 0; i < width; i++) {
            level[i] = leaves[i];
        }
        for (uint256 i = 0; i < indices.length; i++) {
            known[indices[i]] = true;
        }
        nodes = new bytes32[](0);
        for (; width > 1; width = (width + 1) / 2) {
            for (uint256 i = 0; i < width; i += 2) {
                bool whole = i + 1 < width;
                if (whole && known[i] != known[i + 1]) nodes = Reference.append(nodes, level[known[i] ? i + 1 : i]);
                known[i / 2] = known[i] || (whole && known[i + 1]);
                level[i / 2] = whole ? Reference.node(level[i], level[i + 1]) : level[i];
            }
        }
        root = level[0];
    }
}
