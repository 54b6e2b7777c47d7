// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Anchors} from "../src/Anchors.sol";
import {Credits} from "../src/Credits.sol";
import {Devices} from "../src/Devices.sol";
import {ICredits} from "../src/ICredits.sol";
import {IDevices} from "../src/IDevices.sol";
import {KrwDepositToken} from "../src/KrwDepositToken.sol";
import {Market} from "../src/Market.sol";
import {Envelopes, Multi, Signed} from "./Envelopes.sol";
import {Harness} from "./Harness.sol";

/// @dev A city with all of its contracts, in which devices sign, gateways log and anchor, and anybody mints. This contract
/// is its administrator, registrar, withdrawer, and the sender of all its logs.
abstract contract CreditsWorld is Harness {
    uint40 internal constant EVER = type(uint40).max;
    uint40 internal constant HOUR = 3600;
    uint40 internal constant DAY = 86_400;

    Anchors internal anchors = new Anchors(address(this));
    Devices internal devices = new Devices(address(this));
    Credits internal credits = new Credits(anchors, devices, address(this));
    KrwDepositToken internal krw = new KrwDepositToken(address(this));
    Market internal market = new Market(credits, krw);

    uint256 private _logs;
    uint64 private _cti;

    constructor() {
        credits.grantRole(keccak256("WITHDRAWER_ROLE"), address(this));
    }

    // --- devices -----------------------------------------------------------------------------------------------------

    /// @dev The DID of an Ed25519 device: the contract checks no signature of these, so a key isn't needed.
    function did(uint256 number) internal pure returns (string memory) {
        bytes memory letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        bytes memory text = "did:key:z6Mkaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        for (uint256 i = text.length; number != 0; number /= 58) {
            text[--i] = letters[number % 58];
        }
        return string(text);
    }

    function enroll(string memory iss, string memory sub, address owner, bytes12 kind, uint64 capacityW) internal {
        devices.register(
            keccak256(bytes(iss)),
            IDevices.Registration({
                owner: owner,
                meteringPoint: keccak256(bytes(sub)),
                kind: kind,
                energySource: "solar",
                capacityW: capacityW,
                custody: IDevices.Custody.Device,
                validFrom: 0,
                validUntil: EVER
            })
        );
    }

    /// @dev One reading. Its counter is one more than that of the one before.
    function reading(string memory iss, string memory sub, uint40 iat, uint64 register)
        internal
        returns (Signed memory e)
    {
        (e.iss, e.sub, e.iat, e.cti) = (iss, sub, iat, ++_cti);
        e.registers = new uint64[](1);
        e.registers[0] = register;
        if (_cti % 3 == 0) (e.hasPower, e.power) = (true, int40(uint40(_cti)) - 40);
        if (_cti % 5 == 0) e.alg = -8;
        (e.r, e.s) = (keccak256(abi.encode(_cti, "r")), keccak256(abi.encode(_cti, "s")));
    }

    /// @dev A day's profile, signed at `iat`.
    function profile(string memory iss, string memory sub, uint32 day, uint40 iat, uint64[] memory registers)
        internal
        returns (Signed memory e)
    {
        e = reading(iss, sub, iat, 0);
        (e.hasPower, e.power, e.day, e.registers) = (false, 0, day, registers);
    }

    // --- logs ----------------------------------------------------------------------------------------------------------

    /// @dev A new gateway's log, anchored, that has `batch` in it between other entries, in its order.
    function logged(Signed[] memory batch) internal returns (ICredits.Proof memory proof, uint256[] memory indices) {
        uint256 dice = uint256(keccak256(abi.encode(++_logs, "log")));
        uint256 before = dice % 4;
        uint256 between_ = (dice >> 8) % 3;
        uint256 behind = (dice >> 16) % 4;
        bytes32[] memory leaves = new bytes32[](before + batch.length * (1 + between_) + behind);
        for (uint256 i = 0; i < leaves.length; i++) {
            leaves[i] = keccak256(abi.encode(dice, i));
        }
        indices = new uint256[](batch.length);
        for (uint256 i = 0; i < batch.length; i++) {
            indices[i] = before + i * (1 + between_);
            leaves[indices[i]] = Envelopes.leaf(batch[i]);
        }
        return (anchored(leaves, indices), indices);
    }

    function anchored(bytes32[] memory leaves, uint256[] memory indices)
        internal
        returns (ICredits.Proof memory proof)
    {
        bytes32 root;
        (root, proof.nodes) = Multi.prove(leaves, indices);
        proof.origin = anchors.register(string(abi.encodePacked("log ", bytes32(++_logs))), address(this));
        proof.size = uint64(leaves.length);
        anchors.anchor(proof.origin, proof.size, root, new bytes32[](0));
    }

    // --- what is sent: calldata, so that it can be sent again ------------------------------------------------------------

    function mintCall(Signed[] memory batch) internal returns (bytes memory) {
        (ICredits.Proof memory proof, uint256[] memory places) = logged(batch);
        ICredits.Reading[] memory readings = new ICredits.Reading[](batch.length);
        for (uint256 i = 0; i < batch.length; i++) {
            readings[i] = Envelopes.reading(batch[i], places[i]);
        }
        return abi.encodeCall(ICredits.mint, (batch[0].iss, batch[0].sub, readings, proof));
    }

    function dayCall(Signed memory e) internal returns (bytes memory) {
        Signed[] memory one = new Signed[](1);
        one[0] = e;
        (ICredits.Proof memory proof, uint256[] memory places) = logged(one);
        return abi.encodeCall(ICredits.mintDay, (e.iss, e.sub, Envelopes.profile(e, places[0]), proof));
    }

    function residualCall(Signed memory from, Signed memory until) internal returns (bytes memory) {
        Signed[] memory two = new Signed[](2);
        (two[0], two[1]) = (from, until);
        (ICredits.Proof memory proof, uint256[] memory places) = logged(two);
        ICredits.Reading[2] memory ends = [Envelopes.reading(from, places[0]), Envelopes.reading(until, places[1])];
        return abi.encodeCall(ICredits.mintResidual, (from.iss, from.sub, ends, proof));
    }

    /// @dev Korea's month, by its first second: KST is UTC+9 and has no summer time.
    function kstMonth(uint40 time) internal pure returns (uint40) {
        uint256 days_ = (uint256(time) + 9 hours) / DAY;
        uint256 first = 0;
        for (uint256 m = 0;; m++) {
            uint256 year = 1970 + m / 12;
            bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            uint256 long =
                m % 12 == 1 ? (leap ? 29 : 28) : (m % 12 == 3 || m % 12 == 5 || m % 12 == 8 || m % 12 == 10 ? 30 : 31);
            if (days_ < first + long) return uint40(first * DAY - 9 hours);
            first += long;
        }
        revert();
    }
}
