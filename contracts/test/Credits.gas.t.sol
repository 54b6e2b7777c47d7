// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ICredits} from "../src/ICredits.sol";
import {CreditsWorld} from "./CreditsWorld.sol";
import {Envelopes, Signed} from "./Envelopes.sol";
import {Reference, UniformLog} from "./Reference.sol";

interface SnapshotVm {
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;
}

/// @dev What a transaction costs, written to snapshots/credits.json, as Anchors.gas.t.sol does: 21,000, calldata and cold
/// storage are in. Where EIP-7623's floor for calldata is higher, that is what is written: forge runs an older EVM.
///
/// The log has 2^20 entries. Between two readings of a plant there are 400 of others (100 plants that send every 15
/// minutes), which decides how many nodes a proof has; or as many as fit, which is the worst that can be.
/// forge-config: default.isolate = true
contract CreditsGasTest is CreditsWorld {
    uint256 internal constant SIZE = 1 << 20;
    uint256 internal constant APART = 401;
    uint256 internal constant SPREAD = SIZE / 25;
    uint32 internal constant TODAY = 20_800;
    uint40 internal constant MIDNIGHT = uint40(TODAY) * DAY;
    string internal constant SUB = "urn:sejong:mp:000123";
    bytes32 internal constant POINT = keccak256(bytes(SUB));
    address internal constant OWNER = address(0xA11CE);

    event log_named_uint(string what, uint256 gas);

    string internal meter = did(type(uint256).max);

    function setUp() public {
        vm.warp(MIDNIGHT + 10 * DAY);
        enroll(meter, SUB, OWNER, "plant", 150_000);
    }

    function test_GasOfSlots() public {
        send("first slot of a plant", hours_(4, 5, APART));
        send("the next slot", hours_(5, 6, APART));
        send("a later slot whose boundaries begin a word", hours_(12, 13, APART));
    }

    function test_GasOfASlotWithItsBoundariesInTwoWords() public {
        send("first slot of a plant, boundaries in two words", hours_(6, 7, APART));
    }

    function test_GasOfAFirstSlotSpread() public {
        send("first slot of a plant, readings far apart in the log", hours_(4, 5, SIZE / 2 + 1));
    }

    function test_GasOfADay() public {
        send("first day of a plant, 24 slots", hours_(0, 24, APART));
        uint256 gas_ = send("the next day, 24 slots", hours_(24, 48, APART));
        vm.assertTrue(gas_ <= 24 * 22_000, "a day of 24 slots <= 22k per slot");
        send("the third day, whose end begins a word", hours_(48, 72, APART));
        send("a day, 24 slots, spread over the whole log", hours_(72, 96, SPREAD));
    }

    function test_GasOfDayProfiles() public {
        sendDay("first day profile of a plant", 0);
        sendDay("the next day's profile", 1);
        sendDay("the third, whose end begins a word", 2);
    }

    function test_GasOfTheRest() public {
        pass(hours_(0, 24, APART));
        ICredits.Line[] memory lines = new ICredits.Line[](1);
        lines[0] = ICredits.Line(POINT, MIDNIGHT + 12 * HOUR, 500);
        vm.prank(OWNER);
        credits.claim(lines, bytes32(uint256(1)), ICredits.Purpose.KRe100, "");
        note("claim a part of a slot");
        lines = new ICredits.Line[](24);
        for (uint40 i = 0; i < 24; i++) {
            lines[i] = ICredits.Line(POINT, MIDNIGHT + i * HOUR, 7);
        }
        vm.prank(OWNER);
        credits.claim(lines, bytes32(uint256(1)), ICredits.Purpose.KRe100, "");
        note("claim 24 slots of a day");
        uint256 id = credits.idOf(POINT, TODAY);
        vm.prank(OWNER);
        credits.safeTransferFrom(OWNER, address(0xB0B), id, 1000, "");
        note("transfer");
        credits.withdraw(POINT, TODAY, "a wrong reading");
        note("withdraw");
        pass(hours_(24, 25, APART));
        Signed[] memory ends = new Signed[](2);
        (ends[0], ends[1]) = (at(25), at(30));
        (ICredits.Proof memory proof, uint256[] memory places) = sparse(ends, APART);
        credits.mintResidual(
            meter, SUB, [Envelopes.reading(ends[0], places[0]), Envelopes.reading(ends[1], places[1])], proof
        );
        note("a residual of 5 hours");
    }

    // --- the words of these tests ------------------------------------------------------------------------------------

    function at(uint256 hour) private returns (Signed memory e) {
        e = reading(meter, SUB, MIDNIGHT + uint40(hour) * HOUR + 3, uint64(48_000_000 + hour * 97_654));
        (e.hasPower, e.power, e.alg) = (true, 97_000, 0);
    }

    function hours_(uint256 from, uint256 until, uint256 apart) private returns (bytes memory) {
        Signed[] memory batch = new Signed[](until - from + 1);
        for (uint256 i = 0; i < batch.length; i++) {
            batch[i] = at(from + i);
        }
        (ICredits.Proof memory proof, uint256[] memory places) = sparse(batch, apart);
        ICredits.Reading[] memory readings = new ICredits.Reading[](batch.length);
        for (uint256 i = 0; i < batch.length; i++) {
            readings[i] = Envelopes.reading(batch[i], places[i]);
        }
        return abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof));
    }

    function sendDay(string memory name, uint32 day) private returns (uint256) {
        uint64[] memory registers = new uint64[](25);
        for (uint64 i = 0; i < 25; i++) {
            registers[i] = 48_000_000 + (day * 24 + i) * 97_654;
        }
        Signed[] memory one = new Signed[](1);
        one[0] = profile(meter, SUB, TODAY + day, MIDNIGHT + (day + 1) * DAY + 20, registers);
        one[0].alg = 0;
        (ICredits.Proof memory proof, uint256[] memory places) = sparse(one, APART);
        return send(name, abi.encodeCall(ICredits.mintDay, (meter, SUB, Envelopes.profile(one[0], places[0]), proof)));
    }

    /// @dev A log of SIZE entries that are all alike but for these, whose places begin at no round number.
    function sparse(Signed[] memory batch, uint256 apart)
        private
        returns (ICredits.Proof memory proof, uint256[] memory places)
    {
        uint256 n = batch.length;
        places = new uint256[](n);
        uint256[] memory row = new uint256[](n);
        bytes32[] memory hashes = new bytes32[](n);
        uint256 first = (SIZE - (n - 1) * apart) * 2 / 3;
        for (uint256 i = 0; i < n; i++) {
            row[i] = places[i] = first + i * apart;
            hashes[i] = Envelopes.leaf(batch[i]);
        }
        bytes32 other = UniformLog.LEAF;
        bytes32[] memory nodes = new bytes32[](n * 20);
        uint256 used = 0;
        for (uint256 width = SIZE; width > 1; width /= 2) {
            uint256 up = 0;
            for (uint256 i = 0; i < n; i++) {
                bytes32 hash;
                if (row[i] % 2 == 1) {
                    nodes[used++] = other;
                    hash = Reference.node(other, hashes[i]);
                } else if (i + 1 < n && row[i + 1] == row[i] + 1) {
                    hash = Reference.node(hashes[i], hashes[i + 1]);
                    i++;
                } else {
                    nodes[used++] = other;
                    hash = Reference.node(hashes[i], other);
                }
                (row[up], hashes[up]) = (row[i] / 2, hash);
                up++;
            }
            n = up;
            other = Reference.node(other, other);
        }
        assembly ("memory-safe") {
            mstore(nodes, used)
        }
        proof.nodes = nodes;
        proof.size = uint64(SIZE);
        proof.origin = anchors.register(string(abi.encodePacked("sparse ", hashes[0])), address(this));
        anchors.anchor(proof.origin, proof.size, hashes[0], new bytes32[](0));
    }

    function pass(bytes memory call) private {
        (bool ok, bytes memory answer) = address(credits).call(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    /// @dev Gas as EIP-7623 counts it, with its floor of 10 for each token of calldata: 1 for a zero byte, 4 for another.
    function send(string memory name, bytes memory call) private returns (uint256 gas_) {
        pass(call);
        gas_ = vm.snapshotGasLastCall("credits", name);
        uint256 tokens = 0;
        for (uint256 i = 0; i < call.length; i++) {
            tokens += call[i] == 0 ? 1 : 4;
        }
        uint256 floor = 21_000 + 10 * tokens;
        if (gas_ < floor) {
            gas_ = floor;
            SnapshotVm(address(vm)).snapshotValue("credits", name, floor);
        }
        emit log_named_uint(name, gas_);
        emit log_named_uint("  bytes of calldata", call.length);
        emit log_named_uint("  floor", floor);
    }

    function note(string memory name) private {
        emit log_named_uint(name, vm.snapshotGasLastCall("credits", name));
    }
}
