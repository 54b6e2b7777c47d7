// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

import {Credits} from "../src/Credits.sol";
import {ICredits} from "../src/ICredits.sol";
import {IDevices} from "../src/IDevices.sol";
import {CreditsWorld} from "./CreditsWorld.sol";
import {Envelopes, Multi, Signed} from "./Envelopes.sol";

/// @dev Each error by name, and what is held and said where there is none. What keeps the same Wh from counting twice is
/// in Credits.twice.t.sol, what holds over any sequence in Credits.invariant.t.sol.
contract CreditsTest is CreditsWorld {
    uint32 internal constant TODAY = 20_800;
    uint40 internal constant MIDNIGHT = uint40(TODAY) * DAY;
    string internal constant SUB = "urn:sejong:mp:plant-1";
    bytes32 internal constant POINT = keccak256(bytes(SUB));
    address internal constant OWNER = address(0xA11CE);
    address internal constant FRIEND = address(0xF12E);
    uint64 internal constant START = 4_000_000;

    string internal meter = did(1);
    bytes32 internal device = keccak256(bytes(meter));
    bytes32 internal constant NOBODY = 0;

    function setUp() public {
        vm.warp(MIDNIGHT + 10 * DAY);
        enroll(meter, SUB, OWNER, "plant", 5000);
    }

    // --- what is held and said ---------------------------------------------------------------------------------------

    function test_SlotsAreHeldAndSaidAndTheOwnerHasThem() public {
        bytes memory call = mintCall(hours_(6, 8));
        uint256 id = uint256(POINT) >> 64 << 64 | 1 << 56 | uint256(TODAY) << 8;
        uint256[] memory amounts = new uint256[](1);
        amounts[0] = (uint256(1 << 31 | 3600) << 32 | 1 << 31 | 3600) << 192;
        vm.expectEmit(address(credits));
        emit ICredits.Minted(
            id, POINT, device, OWNER, MIDNIGHT + 6 * HOUR, 7200, 0, START + 21_600, START + 28_800, amounts
        );
        vm.prank(FRIEND);
        pass(call);
        vm.assertEq(credits.balanceOf(OWNER, id), 7200);
        vm.assertEq(credits.idOf(POINT, TODAY), id);
        for (uint40 h = 0; h < 24; h++) {
            (bool certified, uint32 wh, uint32 claimed) = credits.slotOf(POINT, MIDNIGHT + h * HOUR);
            bool mine = h == 6 || h == 7;
            vm.assertEq(certified, mine, "certified");
            vm.assertEq(wh, mine ? 3600 : 0, "Wh");
            vm.assertEq(claimed, 0, "claimed");
        }
        for (uint40 h = 0; h <= 24; h++) {
            (bool isFixed, uint64 register, uint32 tag) = credits.boundaryOf(POINT, MIDNIGHT + h * HOUR);
            bool end = h == 6 || h == 8;
            vm.assertEq(isFixed, end, "the ends are fixed, and nothing else");
            vm.assertEq(register, end ? START + h * 3600 : 0, "register");
            vm.assertEq(tag, end ? uint256(device) >> 225 : 0, "device");
        }
    }

    /// @dev A log need not be in the order of time.
    function testFuzz_TheOrderOfTheLogIsNoMatter(uint256 seed) public {
        Signed[] memory batch = hours_(0, 12);
        bytes32[] memory leaves = new bytes32[](40);
        uint256[] memory places = new uint256[](batch.length);
        uint256[] memory sorted = new uint256[](batch.length);
        for (uint256 i = 0; i < leaves.length; i++) {
            leaves[i] = keccak256(abi.encode(seed, i));
        }
        for (uint256 i = 0; i < batch.length; i++) {
            do {
                seed = uint256(keccak256(abi.encode(seed)));
            } while (leaves[seed % 40] == bytes32(0) || isOneOf(places, i, seed % 40));
            places[i] = sorted[i] = seed % 40;
            leaves[places[i]] = Envelopes.leaf(batch[i]);
        }
        ICredits.Proof memory proof = anchored(leaves, sorted);
        pass(abi.encodeCall(ICredits.mint, (meter, SUB, given(batch, places), proof)));
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, TODAY)), 12 * HOUR);
    }

    function test_ARegisterThatRollsOverAtItsModulusCounts() public {
        credits.setModulus(device, START + 7 * 3600);
        Signed[] memory batch = hours_(6, 8);
        batch[1] = reading(meter, SUB, MIDNIGHT + 7 * HOUR, 0);
        batch[2] = reading(meter, SUB, MIDNIGHT + 8 * HOUR, 3600);
        pass(mintCall(batch));
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, TODAY)), 7200);
    }

    function test_AStoragePlantGivesBackWhatItWasChargedWith() public {
        string memory battery = did(7);
        bytes32 store = keccak256("urn:sejong:mp:battery");
        enroll(battery, "urn:sejong:mp:battery", OWNER, "storage", 5000);
        pass(mintCall(hours_(6, 8)));
        Signed[] memory out = new Signed[](2);
        out[0] = reading(battery, "urn:sejong:mp:battery", MIDNIGHT + 20 * HOUR, 0);
        out[1] = reading(battery, "urn:sejong:mp:battery", MIDNIGHT + 21 * HOUR, 3000);
        bytes memory call = mintCall(out);
        refused(call, abi.encodeWithSelector(ICredits.NotCharged.selector, store, 0, 3000));
        claim(6, 3400, store, ICredits.Purpose.StorageCharge, "");
        vm.assertEq(credits.chargedOf(store), 3400);
        pass(call);
        vm.assertEq(credits.chargedOf(store), 400);
        credits.withdraw(store, TODAY, "wrong");
        vm.assertEq(credits.chargedOf(store), 3400, "it may give it back again");
    }

    /// @dev What is fixed stays fixed when a day is withdrawn. It binds where a batch ends, so that the next one begins with
    /// the same register; inside of a batch both slots at it are certified anew, and nothing is left that it could contradict.
    function test_AfterAWithdrawalAFixedBoundaryBindsWhereABatchEndsAndNotInside() public {
        pass(mintCall(hours_(6, 8)));
        pass(mintCall(hours_(8, 10)));
        credits.withdraw(POINT, TODAY, "the reading at 8 was wrong");
        Signed[] memory whole = hours_(6, 10);
        whole[2] = reading(meter, SUB, MIDNIGHT + 8 * HOUR + 40, START + 8 * 3600 + 40);
        Signed[] memory half = hours_(6, 8);
        half[2] = whole[2];
        refused(
            mintCall(half),
            abi.encodeWithSelector(ICredits.BoundaryFixed.selector, POINT, MIDNIGHT + 8 * HOUR, START + 8 * 3600)
        );
        pass(mintCall(whole));
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, TODAY)), 4 * HOUR, "all of it, once");
        (, uint32 wh,) = credits.slotOf(POINT, MIDNIGHT + 7 * HOUR);
        vm.assertEq(wh, 3640);
        refused(
            mintCall(hours_(8, 10)), abi.encodeWithSelector(ICredits.SlotTaken.selector, POINT, MIDNIGHT + 8 * HOUR)
        );
        // A profile that says something else at 8, with its own hours around what is there.
        pass(dayCall(day(0)));
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, TODAY)), 24 * HOUR, "the day, once");
    }

    /// @dev A profile skips what is taken, and meets each neighbour at its register.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_AProfileFillsWhatIsFree(uint256 taken) public {
        uint256 n = 0;
        for (uint256 h = 0; h < 24; h++) {
            if (taken >> h & 1 == 0) continue;
            pass(mintCall(hours_(h, h + 1)));
            n++;
        }
        bytes memory call = dayCall(day(0));
        if (n == 24) refused(call, abi.encodeWithSelector(ICredits.SlotTaken.selector, POINT, MIDNIGHT));
        else pass(call);
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, TODAY)), 24 * HOUR, "the day, once");
        for (uint256 h = 0; h < 24; h++) {
            (bool certified, uint32 wh,) = credits.slotOf(POINT, MIDNIGHT + uint40(h) * HOUR);
            vm.assertTrue(certified && wh == 3600, "each of its hours");
        }
        refused(call, abi.encodeWithSelector(ICredits.SlotTaken.selector, POINT, MIDNIGHT));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_AProfileThatContradictsANeighbourIsRefused(uint256 hour) public {
        hour = between(hour, 0, 22);
        Signed[] memory batch = hours_(hour, hour + 1);
        // Its end is read late: in the profile the 30 Wh after the full hour are the next hour's.
        batch[1] = reading(meter, SUB, MIDNIGHT + uint40(hour + 1) * HOUR + 30, uint64(START + (hour + 1) * 3600 + 30));
        pass(mintCall(batch));
        refused(
            dayCall(day(0)),
            abi.encodeWithSelector(
                ICredits.BoundaryFixed.selector,
                POINT,
                MIDNIGHT + uint40(hour + 1) * HOUR,
                START + (hour + 1) * 3600 + 30
            )
        );
    }

    // --- who may mint ------------------------------------------------------------------------------------------------

    function test_OnlyAPlantOfItsMeteringPointMints() public {
        bytes memory call = mintCall(hours_(6, 7));
        bytes memory why = abi.encodeWithSelector(ICredits.NotAPlant.selector, device);
        devices.suspend(device);
        refused(call, why);
        devices.resume(device);
        Signed[] memory elsewhere = hours_(6, 7);
        elsewhere[0].sub = elsewhere[1].sub = "urn:sejong:mp:plant-2";
        refused(mintCall(elsewhere), why);
        devices.revoke(device);
        refused(call, why);

        string memory other = did(2);
        enroll(other, SUB, OWNER, "meter", 5000);
        refused(
            mintCall(hoursOf(other, 6, 7)), abi.encodeWithSelector(ICredits.NotAPlant.selector, keccak256(bytes(other)))
        );
        other = did(3);
        refused(
            mintCall(hoursOf(other, 6, 7)), abi.encodeWithSelector(ICredits.NotAPlant.selector, keccak256(bytes(other)))
        );
    }

    function test_AGatewaysKeyMintsNothing() public {
        string memory other = did(2);
        devices.register(
            keccak256(bytes(other)),
            IDevices.Registration(OWNER, POINT, "plant", "solar", 5000, IDevices.Custody.Gateway, 0, EVER)
        );
        bytes memory why = abi.encodeWithSelector(ICredits.CustodyOfGateway.selector, keccak256(bytes(other)));
        refused(mintCall(hoursOf(other, 6, 7)), why);
    }

    function test_APlantWithoutAnOwnerMintsNothing() public {
        devices.amend(device, address(0), "solar", 5000, 0, EVER);
        refused(mintCall(hours_(6, 7)), abi.encodeWithSelector(ICredits.NoOwner.selector, device));
    }

    function test_ReadingsCountWithinTheDevicesPeriod() public {
        devices.amend(device, OWNER, "solar", 5000, MIDNIGHT + 6 * HOUR, MIDNIGHT + 8 * HOUR);
        refused(
            mintCall(hours_(5, 7)), abi.encodeWithSelector(ICredits.OutsidePeriod.selector, device, MIDNIGHT + 5 * HOUR)
        );
        refused(
            mintCall(hours_(6, 8)), abi.encodeWithSelector(ICredits.OutsidePeriod.selector, device, MIDNIGHT + 8 * HOUR)
        );
        refused(
            residualCall(shows(6), shows(8)),
            abi.encodeWithSelector(ICredits.OutsidePeriod.selector, device, MIDNIGHT + 8 * HOUR)
        );
        refused(dayCall(day(0)), abi.encodeWithSelector(ICredits.OutsidePeriod.selector, device, MIDNIGHT));
        pass(mintCall(hours_(6, 7)));
    }

    // --- what a batch is ---------------------------------------------------------------------------------------------

    function test_ABatchHasTwoReadingsToTwentyFiveOfOneDay() public {
        bytes memory why = abi.encodeWithSelector(ICredits.BadBatch.selector);
        ICredits.Proof memory proof;
        refused(abi.encodeCall(ICredits.mint, (meter, SUB, new ICredits.Reading[](0), proof)), why);
        refused(mintCall(hours_(6, 6)), why);
        refused(mintCall(hours_(0, 25)), why);
        refused(mintCall(hours_(23, 25)), abi.encodeWithSelector(ICredits.NotNeighbours.selector, MIDNIGHT + 25 * HOUR));
        Signed[] memory batch = hours_(6, 8);
        (batch[1], batch[2]) = (batch[2], batch[1]);
        refused(mintCall(batch), abi.encodeWithSelector(ICredits.NotNeighbours.selector, MIDNIGHT + 8 * HOUR));
        pass(mintCall(hours_(0, 24)));
    }

    function testFuzz_AReadingIsAtMostAMinuteFromItsHour(uint256 seconds_) public {
        seconds_ = between(seconds_, 0, 3599);
        Signed[] memory batch = hours_(6, 7);
        uint40 iat = MIDNIGHT + 6 * HOUR + uint40(seconds_);
        batch[0] = reading(meter, SUB, iat, START);
        batch[1] = reading(meter, SUB, seconds_ > 60 ? iat + 3600 : MIDNIGHT + 7 * HOUR, START + 100);
        if (seconds_ > 60 && seconds_ < 3540) {
            refused(mintCall(batch), abi.encodeWithSelector(ICredits.NotAtBoundary.selector, iat));
        } else {
            pass(mintCall(batch));
        }
    }

    function testFuzz_FieldsThatNoEnvelopeHasAreRefused(uint256 dirt, bool profiled) public {
        bytes memory why = abi.encodeWithSelector(ICredits.BadField.selector);
        ICredits.Proof memory proof;
        proof.size = type(uint64).max;
        if (!profiled) {
            Signed memory e = shows(6);
            (e.hasPower, e.power, e.alg) = (false, 0, 0);
            ICredits.Reading[] memory two = new ICredits.Reading[](2);
            two[0] = two[1] = Envelopes.reading(e, 0);
            // The register's highest bits, the shape's, power that isn't there.
            uint256[3] memory masks = [uint256(7) << 101, uint256(0xfc) << 40, uint256(0xff_ffff_ffff)];
            uint256 mask = masks[dirt % 3];
            dirt &= mask;
            two[0].fields |= dirt == 0 ? mask : dirt;
            refused(abi.encodeCall(ICredits.mint, (meter, SUB, two, proof)), why);
        } else {
            ICredits.Profile memory p = Envelopes.profile(day(0), 0);
            if (dirt % 3 == 0) p.head |= 1 + (dirt % type(uint64).max);
            else if (dirt % 3 == 1) p.registers[6] |= 1 + (dirt % type(uint192).max);
            else p.registers[dirt % 6] |= 1 << (53 + 64 * (dirt % 4) + dirt % 11);
            refused(abi.encodeCall(ICredits.mintDay, (meter, SUB, p, proof)), why);
        }
    }

    function test_NamesHaveOneTo256Bytes() public {
        bytes memory why = abi.encodeWithSelector(ICredits.BadField.selector);
        for (uint256 n = 1; n <= 300; n += n < 20 || (n > 30 && n < 250) ? 17 : 1) {
            string memory sub = text(n);
            string memory iss = text(301 - n);
            enroll(iss, sub, OWNER, "plant", 5000);
            Signed[] memory batch = new Signed[](2);
            (batch[0], batch[1]) = (reading(iss, sub, MIDNIGHT, 5), reading(iss, sub, MIDNIGHT + HOUR, 7));
            if (n > 256 || 301 - n > 256) refused(mintCall(batch), why);
            else pass(mintCall(batch));
        }
    }

    function test_AProfileIsSignedWhenItsDayIsOver() public {
        Signed memory e = day(0);
        e.iat = MIDNIGHT + DAY - 1;
        refused(dayCall(e), abi.encodeWithSelector(ICredits.BadProfile.selector, TODAY, e.iat));
        uint32[2] memory out = [uint32(3106), 49_710];
        for (uint256 i = 0; i < 2; i++) {
            e.day = out[i];
            e.iat = uint40(out[i] + 1) * DAY;
            refused(dayCall(e), abi.encodeWithSelector(ICredits.BadProfile.selector, e.day, e.iat));
        }
        e.day = 49_709;
        e.iat = uint40(49_710) * DAY;
        pass(dayCall(e));
        e.day = 3107;
        pass(dayCall(e));
    }

    // --- the log -----------------------------------------------------------------------------------------------------

    function test_TheRootMustBeAnchoredByALogThatIsNotFrozen() public {
        Signed[] memory batch = hours_(6, 7);
        (ICredits.Proof memory proof, uint256[] memory places) = logged(batch);
        ICredits.Reading[] memory readings = given(batch, places);
        proof.size += 1;
        refused(
            abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)),
            abi.encodeWithSelector(ICredits.NotAnchored.selector, proof.origin, proof.size)
        );
        proof.size -= 1;
        bytes32 origin = anchors.register("two-faced", vm.addr(5));
        (bytes32 a, bytes32 b) = (keccak256("a"), anchors.rootAt(proof.origin, proof.size));
        vm.prank(vm.addr(5));
        anchors.anchor(origin, proof.size, b, new bytes32[](0));
        anchors.freezeAgainstAnchor(origin, proof.size, a, signedHead(origin, proof.size, a));
        proof.origin = origin;
        refused(
            abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)),
            abi.encodeWithSelector(ICredits.NotAnchored.selector, origin, proof.size)
        );
    }

    function testFuzz_AProofWithAnotherNodeOrNumberOfNodesIsRefused(uint256 which) public {
        Signed[] memory batch = hours_(6, 9);
        (ICredits.Proof memory proof, uint256[] memory places) = logged(batch);
        ICredits.Reading[] memory readings = given(batch, places);
        bytes32 root = anchors.rootAt(proof.origin, proof.size);
        bytes memory bad = abi.encodeWithSelector(ICredits.BadProof.selector);
        bytes32[] memory nodes = proof.nodes;
        proof.nodes = new bytes32[](nodes.length + 1);
        for (uint256 i = 0; i < nodes.length; i++) {
            proof.nodes[i] = nodes[i];
        }
        refused(abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)), bad);
        if (nodes.length > 0) {
            proof.nodes = new bytes32[](nodes.length - 1);
            refused(abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)), bad);
            nodes[which % nodes.length] ^= bytes32(1 << (which % 256));
            proof.nodes = nodes;
            (bool ok, bytes memory answer) =
                address(credits).call(abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)));
            vm.assertEq(ok, false, "taken");
            vm.assertEq(bytes32(bytes4(answer)), bytes32(ICredits.NotIncluded.selector), "why");
            nodes[which % nodes.length] ^= bytes32(1 << (which % 256));
        }
        proof.nodes = nodes;
        // One place for two, and one that is not there.
        uint256 fields = readings[1].fields;
        readings[1].fields = fields & (1 << 208) - 1 | places[which % 4 == 1 ? 0 : which % 4] << 208;
        refused(abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)), bad);
        readings[1].fields = fields & (1 << 208) - 1 | uint256(proof.size) << 208;
        refused(abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)), bad);
        // Another signature makes another envelope.
        readings[1].fields = fields;
        readings[which % 4].s ^= bytes32(uint256(1));
        (bool taken, bytes memory why) =
            address(credits).call(abi.encodeCall(ICredits.mint, (meter, SUB, readings, proof)));
        vm.assertEq(taken, false, "taken");
        vm.assertEq(bytes32(bytes4(why)), bytes32(ICredits.NotIncluded.selector), "why");
        vm.assertTrue(root != 0, "anchored");
    }

    // --- registers ---------------------------------------------------------------------------------------------------

    function testFuzz_ASlotIsAtMostTheRatedPowerAndFivePercent(uint256 early, uint256 late) public {
        (early, late) = (between(early, 0, 120), between(late, 0, 120));
        Signed[] memory batch = hours_(6, 7);
        uint40 from = MIDNIGHT + 6 * HOUR - 60 + uint40(early);
        uint40 until = MIDNIGHT + 7 * HOUR - 60 + uint40(late);
        uint64 most = 5000 * uint64(until - from) * 105 / 360_000;
        batch[0] = reading(meter, SUB, from, START);
        batch[1] = reading(meter, SUB, until, START + most + 1);
        refused(
            mintCall(batch), abi.encodeWithSelector(ICredits.OverCapacity.selector, MIDNIGHT + 6 * HOUR, most + 1, most)
        );
        batch[1] = reading(meter, SUB, until, START + most);
        pass(mintCall(batch));
    }

    function test_ASlotFits31BitsWhateverThePower() public {
        devices.amend(device, OWNER, "solar", type(uint64).max, 0, EVER);
        Signed[] memory batch = hours_(6, 7);
        batch[1] = reading(meter, SUB, MIDNIGHT + 7 * HOUR, START + 6 * 3600 + (1 << 31) - 1);
        refused(
            mintCall(batch),
            abi.encodeWithSelector(ICredits.OverCapacity.selector, MIDNIGHT + 6 * HOUR, (1 << 31) - 1, (1 << 31) - 2)
        );
        batch[1] = reading(meter, SUB, MIDNIGHT + 7 * HOUR, START + 6 * 3600 + (1 << 31) - 2);
        pass(mintCall(batch));
        (, uint32 wh,) = credits.slotOf(POINT, MIDNIGHT + 6 * HOUR);
        vm.assertEq(wh, (1 << 31) - 2);
    }

    function test_AFallIsNoRolloverUnlessItFits() public {
        Signed[] memory batch = hours_(6, 7);
        batch[1] = reading(meter, SUB, MIDNIGHT + 7 * HOUR, 10);
        bytes memory why =
            abi.encodeWithSelector(ICredits.RegisterFell.selector, MIDNIGHT + 6 * HOUR, START + 6 * 3600, 10);
        refused(mintCall(batch), why);
        credits.setModulus(device, START + 6 * 3600);
        refused(mintCall(batch), why);
        credits.setModulus(device, START + 6 * 3600 + 1);
        pass(mintCall(batch));
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, TODAY)), 11);
    }

    // --- residuals ---------------------------------------------------------------------------------------------------

    function test_AResidualIsOfTwoHoursAtLeastInOneMonthOfKorea() public {
        refused(
            residualCall(shows(6), shows(7)),
            abi.encodeWithSelector(ICredits.BadResidual.selector, MIDNIGHT + 6 * HOUR, MIDNIGHT + 7 * HOUR)
        );
        refused(
            residualCall(shows(9), shows(6)),
            abi.encodeWithSelector(ICredits.BadResidual.selector, MIDNIGHT + 9 * HOUR, MIDNIGHT + 6 * HOUR)
        );
        // 2026-12-31, 15:00Z, begins January in Korea.
        uint40 january = 1_798_729_200;
        Signed memory from = reading(meter, SUB, january - 2 * HOUR, 0);
        Signed memory until = reading(meter, SUB, january + HOUR, 3);
        refused(
            residualCall(from, until),
            abi.encodeWithSelector(ICredits.BadResidual.selector, january - 2 * HOUR, january + HOUR)
        );
        pass(residualCall(from, reading(meter, SUB, january, 2)));
        vm.assertEq(credits.balanceOf(OWNER, credits.residualIdOf(POINT, kstMonth(january - 1))), 2);
        vm.expectRevert(abi.encodeWithSelector(ICredits.BadResidual.selector, january + 1, january + 1));
        credits.residualIdOf(POINT, january + 1);
    }

    function test_AResidualIsTheOwnersToMakeOrOfWhoActsForIt() public {
        bytes memory call = residualCall(shows(6), shows(9));
        bytes memory why = abi.encodeWithSelector(ICredits.NotForAnybody.selector, FRIEND);
        vm.prank(FRIEND);
        refused(call, why);
        uint256 before = vm.snapshotState();
        vm.prank(OWNER);
        pass(call);
        vm.revertToState(before);
        vm.prank(OWNER);
        credits.setApprovalForAll(FRIEND, true);
        vm.prank(FRIEND);
        pass(call);
        vm.revertToState(before);
        pass(call);
        (bool certified, uint32 wh,) = credits.slotOf(POINT, MIDNIGHT + 7 * HOUR);
        vm.assertEq(certified, true, "taken");
        vm.assertEq(wh, 0, "of no amount");
        refused(
            claimCall(7, 1, NOBODY, ICredits.Purpose.OwnUse, ""),
            abi.encodeWithSelector(ICredits.SlotClaimed.selector, POINT, MIDNIGHT + 7 * HOUR, 0)
        );
    }

    function testFuzz_MonthsAreThoseOfKorea(uint40 time) public view {
        time = uint40(between(time, 40 * DAY, 4_000_000_000));
        uint40 month = kstMonth(time);
        uint256 id = credits.residualIdOf(POINT, month);
        vm.assertEq(id >> 56 & 0xff, 2);
        // The next month has the next number.
        uint256 next = credits.residualIdOf(POINT, kstMonth(month + 32 * DAY));
        vm.assertEq(next - id, 1 << 8);
    }

    // --- claims ------------------------------------------------------------------------------------------------------

    function test_AClaimNeedsWhatItsPurposeNeeds() public {
        pass(mintCall(hours_(6, 7)));
        bytes memory why = abi.encodeWithSelector(ICredits.BadClaim.selector);
        vm.prank(OWNER);
        refused(claimCall(6, 5, NOBODY, ICredits.Purpose.Donation, ""), why);
        vm.prank(OWNER);
        refused(claimCall(6, 5, NOBODY, ICredits.Purpose.StorageCharge, ""), why);
        vm.prank(OWNER);
        refused(claimCall(6, 0, NOBODY, ICredits.Purpose.OwnUse, ""), why);
        vm.prank(OWNER);
        refused(abi.encodeCall(ICredits.claim, (new ICredits.Line[](0), NOBODY, ICredits.Purpose.OwnUse, "")), why);
        uint256 id = credits.idOf(POINT, TODAY);
        vm.expectEmit(address(credits));
        emit ICredits.ClaimSingle(
            address(credits), OWNER, uint256(ICredits.Purpose.Donation), id, 5, abi.encode(MIDNIGHT + 6 * HOUR)
        );
        vm.expectEmit(address(credits));
        emit ICredits.Claimed(OWNER, keccak256("who"), ICredits.Purpose.Donation, 5, "the school");
        claim(6, 5, keccak256("who"), ICredits.Purpose.Donation, "the school");
        vm.assertEq(credits.balanceOf(OWNER, id), 3595);
    }

    function testFuzz_ASlotIsClaimedOnce(uint256 a, uint256 b) public {
        pass(mintCall(hours_(6, 9)));
        (a, b) = (between(a, 1, 3600), between(b, 1, 3600));
        claim(7, a, NOBODY, ICredits.Purpose.KRe100, "");
        vm.prank(OWNER);
        bytes memory call = claimCall(7, b, NOBODY, ICredits.Purpose.KRe100, "");
        if (a + b > 3600) {
            refused(call, abi.encodeWithSelector(ICredits.SlotClaimed.selector, POINT, MIDNIGHT + 7 * HOUR, 3600 - a));
        } else {
            pass(call);
        }
        (,, uint32 claimed) = credits.slotOf(POINT, MIDNIGHT + 7 * HOUR);
        vm.assertEq(claimed, a + b > 3600 ? a : a + b);
    }

    // --- roles -------------------------------------------------------------------------------------------------------

    function test_WhoMayDoWhat() public {
        pass(mintCall(hours_(6, 7)));
        bytes memory why = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, OWNER, keccak256("WITHDRAWER_ROLE")
        );
        vm.prank(OWNER);
        refused(abi.encodeCall(ICredits.withdraw, (POINT, TODAY, "mine")), why);
        why = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, OWNER, keccak256("REGISTRAR_ROLE")
        );
        vm.prank(OWNER);
        refused(abi.encodeCall(ICredits.setModulus, (device, 1)), why);
        refused(
            abi.encodeCall(ICredits.setModulus, (device, (1 << 53) + 1)),
            abi.encodeWithSelector(ICredits.BadField.selector)
        );
        refused(
            abi.encodeCall(ICredits.withdraw, (POINT, TODAY + 1, "nothing")),
            abi.encodeWithSelector(ICredits.NothingToWithdraw.selector, POINT, TODAY + 1)
        );
        vm.assertEq(credits.defaultAdmin(), address(this));
        vm.assertEq(credits.supportsInterface(0xd9b67a26), true, "ERC-1155");
    }

    function test_AWithdrawalIsSaidAndEndsTheTokens() public {
        pass(mintCall(hours_(6, 8)));
        claim(6, 100, NOBODY, ICredits.Purpose.OwnUse, "");
        uint256 id = credits.idOf(POINT, TODAY);
        vm.expectEmit(address(credits));
        emit ICredits.Withdrawn(id, POINT, TODAY, 1, 7100, "a wrong reading");
        credits.withdraw(POINT, TODAY, "a wrong reading");
        vm.assertEq(credits.idOf(POINT, TODAY), id + 1);
        refused(
            abi.encodeCall(ICredits.withdraw, (POINT, TODAY, "again")),
            abi.encodeWithSelector(ICredits.NothingToWithdraw.selector, POINT, TODAY)
        );
        bytes memory call = mintCall(hours_(6, 8));
        vm.prank(OWNER);
        refused(call, abi.encodeWithSelector(ICredits.DayWithdrawn.selector, POINT, TODAY));
        pass(call);
        vm.assertEq(credits.balanceOf(OWNER, id + 1), 7100, "but for what was claimed");
    }

    /// @dev An owner that is a contract is called when all is written: what it does then finds the slots taken.
    function test_AnOwnerThatIsCalledFindsItDone() public {
        Recipient owner = new Recipient();
        devices.amend(device, address(owner), "solar", 5000, 0, EVER);
        bytes memory call = mintCall(hours_(6, 8));
        owner.then(address(credits), call);
        pass(call);
        vm.assertEq(owner.called(), true, "called");
        vm.assertEq(
            keccak256(owner.answer()),
            keccak256(abi.encodeWithSelector(ICredits.SlotTaken.selector, POINT, MIDNIGHT + 6 * HOUR)),
            "again"
        );
        vm.assertEq(credits.balanceOf(address(owner), credits.idOf(POINT, TODAY)), 7200);
    }

    // --- the words of these tests ------------------------------------------------------------------------------------

    function shows(uint256 hour) private returns (Signed memory) {
        return reading(meter, SUB, MIDNIGHT + uint40(hour) * HOUR, uint64(START + hour * 3600));
    }

    function hours_(uint256 from, uint256 until) private returns (Signed[] memory) {
        return hoursOf(meter, from, until);
    }

    function hoursOf(string memory iss, uint256 from, uint256 until) private returns (Signed[] memory batch) {
        batch = new Signed[](until - from + 1);
        for (uint256 i = 0; i < batch.length; i++) {
            batch[i] = reading(iss, SUB, MIDNIGHT + uint40(from + i) * HOUR, uint64(START + (from + i) * 3600));
        }
    }

    function day(uint32 after_) private returns (Signed memory) {
        uint64[] memory registers = new uint64[](25);
        for (uint64 i = 0; i < 25; i++) {
            registers[i] = START + (after_ * 24 + i) * HOUR;
        }
        return profile(meter, SUB, TODAY + after_, uint40(TODAY + after_ + 1) * DAY, registers);
    }

    function given(Signed[] memory batch, uint256[] memory places)
        private
        pure
        returns (ICredits.Reading[] memory readings)
    {
        readings = new ICredits.Reading[](batch.length);
        for (uint256 i = 0; i < batch.length; i++) {
            readings[i] = Envelopes.reading(batch[i], places[i]);
        }
    }

    function isOneOf(uint256[] memory list, uint256 n, uint256 value) private pure returns (bool) {
        for (uint256 i = 0; i < n; i++) {
            if (list[i] == value) return true;
        }
        return false;
    }

    function text(uint256 n) private pure returns (string memory) {
        bytes memory t = new bytes(n);
        for (uint256 i = 0; i < n; i++) {
            t[i] = bytes1(uint8(97 + (i + n) % 26));
        }
        return string(t);
    }

    function signedHead(bytes32 origin, uint64 size, bytes32 root) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(5, anchors.headDigest(origin, size, root));
        return abi.encodePacked(r, s, v);
    }

    function claimCall(uint256 hour, uint256 wh, bytes32 who, ICredits.Purpose purpose, string memory recipient)
        private
        pure
        returns (bytes memory)
    {
        ICredits.Line[] memory lines = new ICredits.Line[](1);
        lines[0] = ICredits.Line(POINT, MIDNIGHT + uint40(hour) * HOUR, uint32(wh));
        return abi.encodeCall(ICredits.claim, (lines, who, purpose, recipient));
    }

    function claim(uint256 hour, uint256 wh, bytes32 who, ICredits.Purpose purpose, string memory recipient) private {
        vm.prank(OWNER);
        pass(claimCall(hour, wh, who, purpose, recipient));
    }

    function pass(bytes memory call) private {
        (bool ok, bytes memory answer) = address(credits).call(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    function refused(bytes memory call, bytes memory why) private {
        (bool ok, bytes memory answer) = address(credits).call(call);
        vm.assertEq(ok, false, "taken, where it should be refused");
        if (keccak256(answer) == keccak256(why)) return;
        // Shown as it is.
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}

/// @dev Takes tokens, and does something then.
contract Recipient {
    address private _to;
    bytes private _call;
    bool public called;
    bytes public answer;

    function then(address to, bytes memory call) external {
        (_to, _call) = (to, call);
    }

    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external returns (bytes4) {
        called = true;
        (, answer) = _to.call(_call);
        return this.onERC1155Received.selector;
    }
}
