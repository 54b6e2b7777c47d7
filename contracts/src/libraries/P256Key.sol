// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Keys on P-256 as a did:key names them, and signatures by them
/// @dev Signatures are checked by the precompile of EIP-7951 (and of RIP-7212 before it), where the chain has it.
library P256Key {
    struct Point {
        bytes32 x;
        bytes32 y;
    }

    uint256 private constant PRECOMPILE = 0x100;
    /// @dev The field's prime, and b of y² = x³ - 3x + b (FIPS 186-4, D.1.2.3).
    uint256 private constant P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff;
    uint256 private constant B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b;
    /// @dev Half of the group's order, rounded down.
    uint256 private constant HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8;
    /// @dev "did:key:z" and the 48 letters of 35 bytes.
    uint256 private constant DID_LENGTH = 57;

    /// @notice Whether this chain checks signatures on P-256. It is asked for one that is good (RFC 6979, A.2.5, SHA-256 of
    /// "sample", with the other s) and for a bad one: what answers both alike is no precompile.
    function isSupported() internal view returns (bool) {
        bytes32 r = 0xefd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716;
        bytes32 s = 0x0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9;
        bytes32 x = 0x60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6;
        bytes32 y = 0x7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299;
        return verify(sha256("sample"), r, s, x, y) && !verify(sha256("example"), r, s, x, y);
    }

    /// @notice ECDSA on P-256. Of the two values of s that fit, only the lower is taken, as edge/wire/p256.ts has it.
    function verify(bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y) internal view returns (bool good) {
        if (uint256(s) > HALF_ORDER) return false;
        assembly ("memory-safe") {
            let n := mload(0x40)
            mstore(n, digest)
            mstore(add(n, 0x20), r)
            mstore(add(n, 0x40), s)
            mstore(add(n, 0x60), x)
            mstore(add(n, 0x80), y)
            mstore(0, 0)
            // A bad signature is answered with nothing.
            good := staticcall(gas(), PRECOMPILE, n, 0xa0, 0, 0x20)
            good := and(good, and(eq(returndatasize(), 0x20), eq(mload(0), 1)))
        }
    }

    /// @notice Whether (x, y) is the point on the curve that a DID of a P-256 key (did:key:zDn...) names.
    function isNamedBy(string calldata did, bytes32 x, bytes32 y) internal pure returns (bool) {
        (bool ok, uint256 head, uint256 wantedX) = _decode(bytes(did));
        // The multicodec p256-pub, 0x1200 as a varint, and the compressed point: 02 for an even y, 03 for an odd one.
        if (!ok || head != 0x802402 + (uint256(y) & 1) || wantedX != uint256(x)) return false;
        (uint256 a, uint256 b) = (uint256(x), uint256(y));
        if (a >= P || b >= P) return false;
        uint256 square = addmod(mulmod(mulmod(a, a, P), a, P), B, P);
        return mulmod(b, b, P) == addmod(square, P - mulmod(3, a, P), P);
    }

    /// @dev The 35 bytes that base58btc names: the first three, and 32. The length rules out another spelling.
    function _decode(bytes calldata did) private pure returns (bool ok, uint256 head, uint256 tail) {
        unchecked {
            if (did.length != DID_LENGTH || bytes9(did[:9]) != "did:key:z") return (false, 0, 0);
            for (uint256 i = 9; i < DID_LENGTH; i++) {
                uint256 digit = _digit(uint8(did[i]));
                if (digit == 58) return (false, 0, 0);
                // 58^48 has 282 bits: in halves of 128 the upper one never overflows.
                tail = tail * 58 + digit;
                head = head * 58 + (tail >> 128);
                tail &= type(uint128).max;
            }
            return (true, head >> 128, head << 128 | tail);
        }
    }

    /// @dev Digits, then capitals without I and O, then small letters without l; 58 for what is none of them.
    function _digit(uint256 c) private pure returns (uint256) {
        unchecked {
            if (c >= 0x31 && c <= 0x39) return c - 0x31;
            if (c >= 0x41 && c <= 0x48) return c - 0x41 + 9;
            if (c >= 0x4a && c <= 0x4e) return c - 0x4a + 17;
            if (c >= 0x50 && c <= 0x5a) return c - 0x50 + 22;
            if (c >= 0x61 && c <= 0x6b) return c - 0x61 + 33;
            if (c >= 0x6d && c <= 0x7a) return c - 0x6d + 44;
            return 58;
        }
    }
}
