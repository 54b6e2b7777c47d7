// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ICredits} from "../src/ICredits.sol";
import {Envelope} from "../src/libraries/Envelope.sol";
import {Envelopes, Signed} from "./Envelopes.sol";

/// @dev The contract's writer of envelopes made a reader: it takes the fields out of any bytes, as a careless parser would
/// (nothing that should be constant is looked at, any form of a number is taken), and asks whether the contract would have
/// written just these bytes for them. What it takes is what can be minted from, no more and no less; so it is held against
/// edge/wire (test/chain/reader.test.ts).
contract Reader {
    /// @dev Which metering point a device is registered for.
    mapping(bytes32 device => bytes32 point) private _pointOf;

    error Ends();

    function enroll(string calldata iss, string calldata sub) external {
        _pointOf[keccak256(bytes(iss))] = keccak256(bytes(sub));
    }

    /// @return digests For each of the inputs a hash of all its values; zero where it is refused.
    function readMany(bytes[] calldata inputs) external view returns (bytes32[] memory digests) {
        digests = new bytes32[](inputs.length);
        for (uint256 i = 0; i < inputs.length; i++) {
            // A call, so that each has a memory of its own.
            try this.read(inputs[i]) returns (bool accepted, bytes memory values) {
                if (accepted) digests[i] = keccak256(values);
            } catch {}
        }
    }

    /// @return accepted Whether it would have written just this.
    /// @return values abi.encodePacked of alg, iat, cti, day (0 in a reading), power's presence, power, 32 bytes each, the
    /// registers, and the SHA-256 of what is signed.
    function read(bytes calldata input) external view returns (bool accepted, bytes memory values) {
        Signed memory e = fields(input);
        if (_pointOf[keccak256(bytes(e.iss))] != keccak256(bytes(e.sub))) return (false, "");
        (bytes memory envelope, bytes32 leaf, bytes32 digest) = e.registers.length == 1
            ? this.write(e.iss, e.sub, Envelopes.reading(e, 0))
            : this.writeDay(e.iss, e.sub, Envelopes.profile(e, 0));
        accepted = keccak256(envelope) == keccak256(input);
        // The leaf is that of these bytes, and the writer of the tests writes as that of the contract.
        if (leaf != sha256(abi.encodePacked(bytes1(0), envelope))) return (true, "another leaf");
        if (accepted && keccak256(Envelopes.envelope(e)) != keccak256(input)) return (true, "another writer");
        values = abi.encodePacked(
            e.alg, uint256(e.iat), uint256(e.cti), uint256(e.day), e.hasPower, int256(e.power), e.registers, digest
        );
    }

    function write(string calldata iss, string calldata sub, ICredits.Reading calldata reading)
        external
        view
        returns (bytes memory envelope, bytes32 leaf, bytes32 digest)
    {
        Envelope.Page memory page = Envelope.begin(iss, sub, 160);
        Envelope.writeReading(page, reading);
        return written(page);
    }

    function writeDay(string calldata iss, string calldata sub, ICredits.Profile calldata profile)
        external
        view
        returns (bytes memory envelope, bytes32 leaf, bytes32 digest)
    {
        Envelope.Page memory page = Envelope.begin(iss, sub, 960);
        Envelope.writeProfile(page, profile, new uint256[](25));
        return written(page);
    }

    function written(Envelope.Page memory page) private view returns (bytes memory, bytes32, bytes32) {
        bytes memory envelope = Envelope.copy(page);
        bytes32 leaf = Envelope.leaf(page);
        return (envelope, leaf, Envelope.digest(page)); // which writes over it
    }

    // --- careless reading ------------------------------------------------------------------------------------------------

    function fields(bytes calldata input) private pure returns (Signed memory e) {
        uint256 n;
        uint256 p = 2; // tag, array
        (, p) = argument(input, p); // protected header: its length
        p += 2; // map, 1
        (n, p) = argument(input, p);
        e.alg = -1 - int256(n); // As all that are known.
        p += 6; // 3: 112, 15: map, 1
        (e.iss, p) = text(input, p);
        p += 1; // 2
        (e.sub, p) = text(input, p);
        p += 1; // 6
        (n, p) = argument(input, p);
        e.iat = uint40(fits(n, 40));
        p += 2; // 7, bytes
        e.cti = uint64(bytes8(piece(input, p, 8)));
        p += 8 + 1; // unprotected header
        (, p) = argument(input, p); // payload: its length
        (n, p) = argument(input, p); // records
        if (n == 2) e.hasPower = true;
        e.registers = new uint64[](n == 25 ? 25 : 1);
        for (uint256 i = 0; i < e.registers.length; i++) {
            (e.registers[i], p) = register(input, p);
            if (n != 25) continue;
            uint256 t;
            (t, p) = argument(input, p + 1); // 6
            if (i == 0) e.day = uint32(fits(t / 86_400, 32));
        }
        if (e.hasPower) {
            p += 2; // map, 0
            (, p) = text(input, p);
            (, p) = text(input, p + 1); // 1
            uint256 head = p + 1; // 2
            (n, p) = argument(input, head);
            e.power = int40(int256(fits(n, 39)));
            if (uint8(input[head]) >> 5 != 0) e.power = -1 - e.power;
        }
        p += 2; // 64 bytes
        (e.r, e.s) = (bytes32(piece(input, p, 32)), bytes32(piece(input, p + 32, 32)));
    }

    function register(bytes calldata input, uint256 p) private pure returns (uint64 wh, uint256 next) {
        p += 2; // map, 0
        (, p) = text(input, p);
        (, p) = text(input, p + 1); // 1
        uint256 n;
        (n, next) = argument(input, p + 1); // 2
        wh = uint64(fits(n, 56));
    }

    function text(bytes calldata input, uint256 p) private pure returns (string memory value, uint256 next) {
        uint256 n;
        (n, p) = argument(input, p);
        return (string(piece(input, p, n)), p + n);
    }

    /// @dev The argument of any head, in any of its forms.
    function argument(bytes calldata input, uint256 p) private pure returns (uint256 n, uint256 next) {
        if (p >= input.length) revert Ends();
        n = uint8(input[p]) & 31;
        next = p + 1;
        if (n < 24) return (n, next);
        uint256 long = 1 << (n - 24);
        if (long > 8) revert Ends();
        bytes calldata digits = piece(input, next, long);
        n = 0;
        for (uint256 i = 0; i < long; i++) {
            n = n << 8 | uint8(digits[i]);
        }
        next += long;
    }

    function piece(bytes calldata input, uint256 p, uint256 n) private pure returns (bytes calldata) {
        if (p > input.length || n > input.length - p) revert Ends();
        return input[p:p + n];
    }

    function fits(uint256 n, uint256 bits) private pure returns (uint256) {
        if (n >> bits != 0) revert Ends();
        return n;
    }
}
