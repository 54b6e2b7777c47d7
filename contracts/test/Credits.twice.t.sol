// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ICredits} from "../src/ICredits.sol";
import {Signed} from "./Envelopes.sol";
import {CreditsWorld} from "./CreditsWorld.sol";

/// @dev Who tries to get the same Wh twice, in each way that is known to have worked somewhere. The meter runs evenly, a
/// Wh a second, so that what anybody may have of a period is its length, and two readings of one boundary are as many Wh
/// apart as seconds.
contract CreditsTwiceTest is CreditsWorld {
    uint32 internal constant TODAY = 20_800;
    uint40 internal constant MIDNIGHT = uint40(TODAY) * DAY;
    string internal constant SUB = "urn:sejong:mp:plant-1";
    bytes32 internal constant POINT = keccak256(bytes(SUB));
    address internal constant OWNER = address(0xA11CE);
    address internal constant FRIEND = address(0xF12E);
    uint64 internal constant START = 4_000_000;

    string internal meter = did(1);
    string internal heir = did(2);
    uint256 internal claimedSoFar;

    function setUp() public {
        vm.warp(MIDNIGHT + 10 * DAY);
        enroll(meter, SUB, OWNER, "plant", 5000);
        enroll(heir, SUB, OWNER, "plant", 5000);
    }

    // --- by name -------------------------------------------------------------------------------------------------------

    function test_NotByAResend() public {
        Signed[] memory batch = hours_(meter, 6, 12);
        bytes memory call = mintCall(batch);
        send(call);
        assertUsable(6 * HOUR);
        refused(call, ICredits.SlotTaken.selector);
        // The same envelopes, logged again; by somebody else; each hour for itself; and the same registers, signed again.
        refused(mintCall(batch), ICredits.SlotTaken.selector);
        vm.prank(FRIEND);
        refused(call, ICredits.SlotTaken.selector);
        for (uint256 i = 0; i < 6; i++) {
            Signed[] memory one = new Signed[](2);
            (one[0], one[1]) = (batch[i], batch[i + 1]);
            refused(mintCall(one), ICredits.SlotTaken.selector);
        }
        refused(mintCall(hours_(meter, 6, 12)), ICredits.SlotTaken.selector);
        // One reading twice in a batch, from one place in the log or from two: no hour passes between.
        Signed[] memory twin = new Signed[](2);
        (twin[0], twin[1]) = (shows(meter, 14, 0), shows(meter, 14, 0));
        refused(mintCall(twin), ICredits.NotNeighbours.selector);
        assertUsable(6 * HOUR);
    }

    function test_NotByAMeterSwap() public {
        send(mintCall(hours_(meter, 0, 10)));
        vm.warp(MIDNIGHT + 10 * HOUR + 1800);
        devices.replace(keccak256(bytes(meter)), keccak256(bytes(heir)));
        vm.warp(MIDNIGHT + 10 * DAY);
        // The new meter for the old one's hours: it was there before, and counted too.
        refused(mintCall(hours_(heir, 0, 10)), ICredits.SlotTaken.selector);
        refused(mintCall(hours_(heir, 4, 6)), ICredits.SlotTaken.selector);
        // From the last boundary of the old one on.
        refused(mintCall(hours_(heir, 10, 12)), ICredits.BoundaryFixed.selector);
        // The old one for hours after the swap.
        refused(mintCall(hours_(meter, 10, 12)), ICredits.OutsidePeriod.selector);
        // The hour of the swap is of no meter alone, as a residual neither.
        refused(residualCall(shows(heir, 10, 0), shows(heir, 12, 0)), ICredits.BoundaryFixed.selector);
        send(mintCall(hours_(heir, 11, 24)));
        assertUsable(23 * HOUR);
        refused(mintCall(hours_(heir, 10, 11)), ICredits.BoundaryFixed.selector);
        assertUsable(23 * HOUR);
    }

    /// @dev A batch has one device: what another signed is not in the log with this one's name.
    function test_NotByABatchOfTwoMeters() public {
        Signed[] memory both = hours_(meter, 0, 4);
        both[2] = shows(heir, 2, 0);
        refused(mintCall(both), ICredits.NotIncluded.selector);
        both[0] = shows(heir, 0, 0);
        refused(residualCall(both[0], both[4]), ICredits.NotIncluded.selector);
        assertUsable(0);
    }

    /// @dev As above, with the new meter's hours first: its boundaries are fixed just so.
    function test_NotByAMeterSwapBackwards() public {
        send(mintCall(hours_(heir, 10, 24)));
        refused(mintCall(hours_(meter, 5, 12)), ICredits.SlotTaken.selector);
        refused(mintCall(hours_(meter, 5, 10)), ICredits.BoundaryFixed.selector);
        send(mintCall(hours_(meter, 5, 9)));
        refused(mintCall(hours_(meter, 9, 10)), ICredits.BoundaryFixed.selector);
        assertUsable(18 * HOUR);
    }

    function test_NotByASecondGateway() public {
        // Both have the same envelopes in logs of their own, whose names, sizes and roots differ.
        Signed[] memory batch = hours_(meter, 6, 12);
        bytes memory there = mintCall(batch);
        send(mintCall(batch));
        refused(there, ICredits.SlotTaken.selector);
        // Or others of the same hours, which the device signed for the second gateway some seconds later.
        Signed[] memory later = hours_(meter, 6, 12);
        for (uint256 i = 0; i < 7; i++) {
            later[i] = shows(meter, int256(6 + i), 9);
        }
        refused(mintCall(later), ICredits.SlotTaken.selector);
        // Or the hours that follow: the boundary between the gateways is one reading.
        Signed[] memory next = hours_(meter, 12, 14);
        next[0] = shows(meter, 12, -9);
        refused(mintCall(next), ICredits.BoundaryFixed.selector);
        send(mintCall(hours_(meter, 12, 14)));
        assertUsable(8 * HOUR);
    }

    function test_NotByAnOverlappingBatch() public {
        send(mintCall(hours_(meter, 6, 12)));
        for (uint256 from = 0; from < 14; from++) {
            for (uint256 until = from + 1; until <= 18; until += 3) {
                bool overlaps = from < 12 && until > 6;
                if (overlaps) refused(mintCall(hours_(meter, from, until)), ICredits.SlotTaken.selector);
            }
        }
        send(mintCall(hours_(meter, 0, 6)));
        send(mintCall(hours_(meter, 12, 24)));
        assertUsable(24 * HOUR);
    }

    /// @dev The trap of -55 s and +55 s: 110 Wh are between the two.
    function test_NotByTwoReadingsAroundOneBoundary() public {
        Signed[] memory first = hours_(meter, 6, 12);
        first[6] = shows(meter, 12, 55);
        Signed[] memory second = hours_(meter, 12, 18);
        second[0] = shows(meter, 12, -55);
        uint256 before = vm.snapshotState();
        send(mintCall(first));
        refused(mintCall(second), ICredits.BoundaryFixed.selector);
        second[0] = shows(meter, 12, 54);
        refused(mintCall(second), ICredits.BoundaryFixed.selector);
        second[0] = first[6];
        send(mintCall(second));
        assertUsable(12 * HOUR);

        // The later batch first.
        vm.revertToState(before);
        second[0] = shows(meter, 12, -55);
        send(mintCall(second));
        refused(mintCall(first), ICredits.BoundaryFixed.selector);
        first[6] = second[0];
        send(mintCall(first));
        assertUsable(12 * HOUR);
    }

    /// @dev The boundary between two days, which are two batches, two token ids, and two words of storage.
    function test_NotByTwoReadingsAroundMidnight() public {
        Signed[] memory eve = hours_(meter, 20, 24);
        eve[4] = shows(meter, 24, 55);
        Signed[] memory morning = hours_(meter, 24, 30);
        morning[0] = shows(meter, 24, -55);
        uint256 before = vm.snapshotState();
        send(mintCall(eve));
        refused(mintCall(morning), ICredits.BoundaryFixed.selector);
        morning[0] = eve[4];
        send(mintCall(morning));
        assertUsable(10 * HOUR);

        vm.revertToState(before);
        morning[0] = shows(meter, 24, -55);
        send(mintCall(morning));
        refused(mintCall(eve), ICredits.BoundaryFixed.selector);
        eve[4] = morning[0];
        send(mintCall(eve));
        assertUsable(10 * HOUR);
    }

    /// @dev Any hour of the day as the boundary, any two moments of those 60 s on each side.
    function testFuzz_NotByTwoReadingsAroundAnyBoundary(uint256 hour, int256 a, int256 b, bool laterFirst) public {
        hour = between(hour, 1, 47);
        a = int256(between(uint256(a), 0, 120)) - 60;
        b = int256(between(uint256(b), 0, 120)) - 60;
        Signed[] memory before = hours_(meter, hour - 1, hour);
        before[1] = shows(meter, int256(hour), a);
        Signed[] memory behind = hours_(meter, hour, hour + 1);
        behind[0] = shows(meter, int256(hour), b);
        send(mintCall(laterFirst ? behind : before));
        bytes memory other = mintCall(laterFirst ? before : behind);
        if (a != b) refused(other, ICredits.BoundaryFixed.selector);
        else send(other);
        vm.assertTrue(usable() <= 2 * HOUR, "more than the meter shows");
    }

    function test_NotByLateData() public {
        send(mintCall(hours_(meter, 0, 6)));
        send(mintCall(hours_(meter, 9, 15)));
        // Late: what the hole shows fits between its neighbours, or nothing comes of it.
        Signed[] memory late = hours_(meter, 6, 9);
        (late[0], late[3]) = (shows(meter, 6, -30), shows(meter, 9, 0));
        refused(mintCall(late), ICredits.BoundaryFixed.selector);
        (late[0], late[3]) = (shows(meter, 6, 0), shows(meter, 9, 30));
        refused(mintCall(late), ICredits.BoundaryFixed.selector);
        late[3] = shows(meter, 9, 0);
        send(mintCall(late));
        assertUsable(15 * HOUR);
        // Later still.
        refused(mintCall(late), ICredits.SlotTaken.selector);
        refused(mintCall(hours_(meter, 5, 10)), ICredits.SlotTaken.selector);
        refused(residualCall(shows(meter, 6, 0), shows(meter, 9, 0)), ICredits.SlotTaken.selector);
        assertUsable(15 * HOUR);
    }

    /// @dev A block is lost, and with it the mint and the root that it was under. It is minted again under another root;
    /// then what was sent first comes too, from the pool of transactions.
    function test_NotByAReorg() public {
        Signed[] memory batch = hours_(meter, 6, 12);
        uint256 block_ = vm.snapshotState();
        bytes memory first = mintCall(batch);
        send(first);
        assertUsable(6 * HOUR);
        vm.revertToState(block_);
        assertUsable(0);
        refused(first, ICredits.NotAnchored.selector);
        logged(batch); // The log as it was, and anchored: once more, but its mint comes late.
        send(mintCall(batch));
        assertUsable(6 * HOUR);
        refused(first, ICredits.SlotTaken.selector);
        refused(mintCall(batch), ICredits.SlotTaken.selector);
        assertUsable(6 * HOUR);
    }

    /// @dev The root stays, the mint is lost, and another one of the same hours is there before it comes again.
    function test_NotByAReorgOfTheMintAlone() public {
        bytes memory first = mintCall(hours_(meter, 6, 12));
        bytes memory other = mintCall(hours_(meter, 8, 14));
        uint256 block_ = vm.snapshotState();
        send(first);
        vm.revertToState(block_);
        send(other);
        refused(first, ICredits.SlotTaken.selector);
        assertUsable(6 * HOUR);
    }

    function test_NotByWithdrawnAndMoved() public {
        send(mintCall(hours_(meter, 6, 12)));
        uint256 old = credits.idOf(POINT, TODAY);
        vm.prank(OWNER);
        credits.safeTransferFrom(OWNER, FRIEND, old, 2 * HOUR, "");
        vm.prank(OWNER);
        credits.setApprovalForAll(address(market), true);
        vm.prank(OWNER);
        market.list(old, HOUR, 1, EVER);
        krw.mint(FRIEND, 1e12);
        vm.prank(FRIEND);
        krw.approve(address(market), 1e12);
        credits.withdraw(POINT, TODAY, "the meter was wrong");

        bytes memory why = abi.encodeWithSelector(ICredits.TokenWithdrawn.selector, old);
        for (uint256 i = 0; i < 2; i++) {
            address holder = i == 0 ? OWNER : FRIEND;
            vm.expectRevert(why);
            vm.prank(holder);
            credits.safeTransferFrom(holder, address(0xDEAD), old, 1, "");
            vm.expectRevert(why);
            vm.prank(holder);
            credits.safeBatchTransferFrom(holder, address(0xDEAD), two(old), two(1), "");
        }
        vm.expectRevert(why);
        vm.prank(FRIEND);
        market.buy(1, old, 1, 1);
        vm.assertEq(krw.balanceOf(FRIEND), 1e12);
        vm.prank(OWNER);
        refused(claimCall(6, 1), bytes4(0));
        assertUsable(0);

        // Certified again by who withdraws, and by nobody else; then it is what it was, and the old is worth nothing.
        bytes memory again = mintCall(hours_(meter, 6, 12));
        vm.prank(OWNER);
        refused(again, ICredits.DayWithdrawn.selector);
        send(again);
        assertUsable(6 * HOUR);
        vm.expectRevert(why);
        vm.prank(FRIEND);
        credits.safeTransferFrom(FRIEND, OWNER, old, 1, "");
        refused(mintCall(hours_(meter, 6, 12)), ICredits.SlotTaken.selector);
        assertUsable(6 * HOUR);
    }

    /// @dev A withdrawal frees the hours of its day, not where they meet those of other days and residuals.
    function test_NotByAWithdrawalAndOtherBoundaries() public {
        Signed[] memory eve = hours_(meter, 20, 24);
        eve[4] = shows(meter, 24, -55);
        Signed[] memory morning = hours_(meter, 24, 30);
        morning[0] = eve[4];
        send(mintCall(eve));
        send(mintCall(morning));
        send(residualCall(shows(meter, 17, 0), shows(meter, 20, 0)));
        assertUsable(13 * HOUR);
        credits.withdraw(POINT, TODAY, "the meter was wrong");
        eve[4] = shows(meter, 24, 55);
        refused(mintCall(eve), ICredits.BoundaryFixed.selector);
        (eve[0], eve[4]) = (shows(meter, 20, -55), shows(meter, 24, -55));
        refused(mintCall(eve), ICredits.BoundaryFixed.selector);
        eve[0] = shows(meter, 20, 0);
        send(mintCall(eve));
        credits.withdraw(POINT, TODAY + 1, "the meter was wrong");
        morning[0] = shows(meter, 24, -60);
        refused(mintCall(morning), ICredits.BoundaryFixed.selector);
        morning[0] = eve[4];
        send(mintCall(morning));
        assertUsable(13 * HOUR);
    }

    /// @dev What was claimed stays claimed: the new version has only the rest.
    function test_NotByAClaimBeforeTheWithdrawal() public {
        send(mintCall(hours_(meter, 6, 12)));
        claim(6, HOUR);
        claim(7, 600);
        credits.withdraw(POINT, TODAY, "the meter was wrong");
        send(mintCall(hours_(meter, 6, 12)));
        uint256 id = credits.idOf(POINT, TODAY);
        vm.assertEq(credits.balanceOf(OWNER, id), 5 * HOUR - 600, "the rest");
        vm.prank(OWNER);
        refused(claimCall(6, 1), ICredits.SlotClaimed.selector);
        vm.prank(OWNER);
        refused(claimCall(7, HOUR - 599), ICredits.SlotClaimed.selector);
        assertUsable(6 * HOUR);
    }

    /// @dev A correction to less than was claimed: the difference is taken off what comes.
    function test_NotByAClaimOfMoreThanTheCorrectionLeaves() public {
        // Read late at 7: 50 Wh too many in the hour from 6 on, too few in the next.
        Signed[] memory wrong = hours_(meter, 6, 8);
        wrong[1] = shows(meter, 7, 50);
        uint256 before = vm.snapshotState();
        send(mintCall(wrong));
        claim(6, HOUR + 50);
        credits.withdraw(POINT, TODAY, "another reading of the boundary at 7");
        send(mintCall(hours_(meter, 6, 8)));
        // It is taken off the other hour already.
        vm.assertEq(credits.debtOf(POINT), 0, "taken off");
        assertUsable(2 * HOUR);

        // Where all of it was claimed, and the other hour isn't certified again yet, off the next that comes.
        vm.revertToState(before);
        send(mintCall(wrong));
        claim(6, HOUR + 50);
        claim(7, HOUR - 50);
        credits.withdraw(POINT, TODAY, "another reading of the boundary at 7");
        send(mintCall(hours_(meter, 6, 7)));
        vm.assertEq(credits.debtOf(POINT), 50, "owed");
        send(mintCall(hours_(meter, 8, 9)));
        vm.assertEq(credits.debtOf(POINT), 0, "taken off");
        assertUsable(3 * HOUR - 50);
        send(mintCall(hours_(meter, 7, 8)));
        assertUsable(3 * HOUR);
    }

    function test_NotByAnotherSlotLength() public {
        // Quarter and half hours, and whole ones that begin at half past.
        for (int256 seconds_ = 900; seconds_ <= 2700; seconds_ += 900) {
            Signed[] memory parts = new Signed[](2);
            (parts[0], parts[1]) = (shows(meter, 6, 0), shows(meter, 6, seconds_));
            refused(mintCall(parts), ICredits.NotAtBoundary.selector);
            (parts[0], parts[1]) = (shows(meter, 6, seconds_), shows(meter, 7, seconds_));
            refused(mintCall(parts), ICredits.NotAtBoundary.selector);
        }
        Signed[] memory ends = new Signed[](2);
        (ends[0], ends[1]) = (shows(meter, 6, 0), shows(meter, 7, 61));
        refused(mintCall(ends), ICredits.NotAtBoundary.selector);
        (ends[0], ends[1]) = (shows(meter, 6, -61), shows(meter, 7, 0));
        refused(mintCall(ends), ICredits.NotAtBoundary.selector);
        // Two hours at once, and a day at once.
        (ends[0], ends[1]) = (shows(meter, 6, 0), shows(meter, 8, 0));
        refused(mintCall(ends), ICredits.NotNeighbours.selector);
        (ends[0], ends[1]) = (shows(meter, 0, 0), shows(meter, 24, 0));
        refused(mintCall(ends), ICredits.NotNeighbours.selector);
        assertUsable(0);
        send(mintCall(hours_(meter, 0, 24)));
        refused(residualCall(shows(meter, 0, 0), shows(meter, 24, 0)), ICredits.SlotTaken.selector);
        refused(residualCall(shows(meter, 23, 0), shows(meter, 25, 0)), ICredits.SlotTaken.selector);
        refused(dayCall(day(meter, TODAY, 0)), ICredits.SlotTaken.selector);
        assertUsable(24 * HOUR);
    }

    function test_NotByAResidualAndThenItsHours() public {
        send(residualCall(shows(meter, 6, 0), shows(meter, 12, 0)));
        assertUsable(6 * HOUR);
        refused(residualCall(shows(meter, 6, 0), shows(meter, 12, 0)), ICredits.SlotTaken.selector);
        refused(residualCall(shows(meter, 4, 0), shows(meter, 7, 0)), ICredits.SlotTaken.selector);
        refused(residualCall(shows(meter, 11, 0), shows(meter, 15, 0)), ICredits.SlotTaken.selector);
        for (uint256 h = 6; h < 12; h++) {
            refused(mintCall(hours_(meter, h, h + 1)), ICredits.SlotTaken.selector);
        }
        refused(mintCall(hours_(meter, 3, 20)), ICredits.SlotTaken.selector);
        // The boundaries at its ends are fixed as any other.
        Signed[] memory behind = hours_(meter, 12, 15);
        behind[0] = shows(meter, 12, -30);
        refused(mintCall(behind), ICredits.BoundaryFixed.selector);
        Signed[] memory before = hours_(meter, 3, 6);
        before[3] = shows(meter, 6, 30);
        refused(mintCall(before), ICredits.BoundaryFixed.selector);
        // A profile gets the hours that are left.
        send(dayCall(day(meter, TODAY, 0)));
        assertUsable(24 * HOUR);
    }

    /// @dev Withdrawing the day doesn't give the residual's hours free.
    function test_NotByAResidualAndTheWithdrawalOfItsDay() public {
        send(residualCall(shows(meter, 6, 0), shows(meter, 12, 0)));
        send(mintCall(hours_(meter, 12, 14)));
        credits.withdraw(POINT, TODAY, "the meter was wrong");
        refused(mintCall(hours_(meter, 6, 12)), bytes4(0));
        send(mintCall(hours_(meter, 12, 14)));
        assertUsable(8 * HOUR);
    }

    /// @dev A residual whose ends lie in two days, and one that lies around a hole that was certified in part.
    function test_NotByAResidualOverMidnight() public {
        send(residualCall(shows(meter, 22, 0), shows(meter, 27, 0)));
        for (uint256 h = 22; h < 27; h++) {
            refused(mintCall(hours_(meter, h, h + 1)), ICredits.SlotTaken.selector);
        }
        refused(residualCall(shows(meter, 20, 0), shows(meter, 30, 0)), ICredits.SlotTaken.selector);
        send(mintCall(hours_(meter, 20, 22)));
        send(mintCall(hours_(meter, 27, 28)));
        assertUsable(8 * HOUR);
    }

    /// @dev The pack says other registers inside the day than the readings do.
    function test_NotByAProfileAndThenHours() public {
        send(dayCall(day(meter, TODAY, 0)));
        assertUsable(24 * HOUR);
        Signed[] memory other = hours_(meter, 0, 24);
        for (uint256 i = 1; i < 24; i++) {
            other[i] = shows(meter, int256(i), int256(i * 5) - 60);
        }
        refused(mintCall(other), ICredits.SlotTaken.selector);
        for (uint256 h = 0; h < 24; h++) {
            refused(mintCall(hours_(meter, h, h + 1)), ICredits.SlotTaken.selector);
        }
        refused(dayCall(day(meter, TODAY, 0)), ICredits.SlotTaken.selector);
        refused(dayCall(day(meter, TODAY, 30)), ICredits.SlotTaken.selector);
        refused(residualCall(shows(meter, 2, 0), shows(meter, 5, 0)), ICredits.SlotTaken.selector);
        // Around its ends.
        Signed[] memory next = hours_(meter, 24, 26);
        next[0] = shows(meter, 24, -55);
        refused(mintCall(next), ICredits.BoundaryFixed.selector);
        assertUsable(24 * HOUR);
    }

    function test_NotByHoursAndThenAProfile() public {
        Signed[] memory batch = hours_(meter, 6, 12);
        (batch[0], batch[6]) = (shows(meter, 6, -55), shows(meter, 12, 55));
        uint256 before = vm.snapshotState();
        send(mintCall(batch));
        assertUsable(6 * HOUR + 110);
        // The hours at both sides would begin and end at the full hour: 55 Wh each are counted already.
        refused(dayCall(day(meter, TODAY, 0)), ICredits.BoundaryFixed.selector);
        assertUsable(6 * HOUR + 110);

        // With the same register at both boundaries it gets the other hours, whatever is inside.
        vm.revertToState(before);
        batch = hours_(meter, 6, 12);
        batch[3] = shows(meter, 9, 40);
        send(mintCall(batch));
        send(dayCall(day(meter, TODAY, 0)));
        assertUsable(24 * HOUR);
        refused(dayCall(day(meter, TODAY, 0)), ICredits.SlotTaken.selector);
    }

    /// @dev A hole of one hour in the day that a profile fills: both its boundaries are fixed by others.
    function test_NotByAProfileIntoAHole() public {
        Signed[] memory first = hours_(meter, 0, 6);
        first[6] = shows(meter, 6, 20);
        Signed[] memory second = hours_(meter, 7, 24);
        send(mintCall(first));
        send(mintCall(second));
        refused(dayCall(day(meter, TODAY, 0)), ICredits.BoundaryFixed.selector);
        vm.assertEq(usable(), 23 * HOUR + 20);
    }

    /// @dev A storage plant gives back what was claimed to charge it, and that once.
    function test_NotByAStoragePlant() public {
        string memory battery = did(3);
        string memory sub = "urn:sejong:mp:battery";
        bytes32 point = keccak256(bytes(sub));
        enroll(battery, sub, OWNER, "storage", 5000);
        Signed[] memory batch = new Signed[](3);
        for (uint40 i = 0; i < 3; i++) {
            batch[i] = reading(battery, sub, MIDNIGHT + (18 + i) * HOUR, i * HOUR);
        }
        Signed[] memory one = new Signed[](2);
        (one[0], one[1]) = (batch[0], batch[1]);
        Signed[] memory next = new Signed[](2);
        (next[0], next[1]) = (batch[1], batch[2]);
        refused(mintCall(one), ICredits.NotCharged.selector);
        refused(residualCall(batch[0], batch[2]), ICredits.NotCharged.selector);

        send(mintCall(hours_(meter, 6, 8)));
        charge(6, HOUR, point);
        vm.prank(OWNER);
        refused(claimCall(6, 1), ICredits.SlotClaimed.selector);
        refused(mintCall(batch), ICredits.NotCharged.selector);
        send(mintCall(one));
        vm.assertEq(credits.chargedOf(point), 0);
        refused(mintCall(next), ICredits.NotCharged.selector);
        // Withdrawn and certified again, the battery's hour or the plant's: it is the same charge.
        credits.withdraw(point, TODAY, "the battery's meter was wrong");
        refused(mintCall(batch), ICredits.NotCharged.selector);
        send(mintCall(one));
        credits.withdraw(POINT, TODAY, "the plant's meter was wrong");
        send(mintCall(hours_(meter, 6, 8)));
        vm.prank(OWNER);
        refused(claimCall(6, 1), ICredits.SlotClaimed.selector);
        refused(mintCall(next), ICredits.NotCharged.selector);
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(point, TODAY)), HOUR);
        assertUsable(2 * HOUR);
    }

    /// @dev A register that falls is no new beginning, unless the device is known to have one there.
    function test_NotByARegisterThatFalls() public {
        Signed[] memory batch = hours_(meter, 0, 3);
        batch[2] = reading(meter, SUB, MIDNIGHT + 2 * HOUR, START - 50);
        batch[3] = reading(meter, SUB, MIDNIGHT + 3 * HOUR, START + 3000);
        refused(mintCall(batch), ICredits.RegisterFell.selector);
        refused(
            residualCall(shows(meter, 5, 0), reading(meter, SUB, MIDNIGHT + 7 * HOUR, 100)),
            ICredits.RegisterFell.selector
        );
        // One that has: 10^7, and what it would be from there is over the cap.
        credits.setModulus(keccak256(bytes(meter)), 10_000_000);
        refused(mintCall(batch), ICredits.OverCapacity.selector);
        assertUsable(0);
    }

    // --- the words of these tests ----------------------------------------------------------------------------------------

    /// @dev The meter at so many seconds from the full hour that is `hour` hours after midnight. Both meters show the same.
    function shows(string memory iss, int256 hour, int256 seconds_) private returns (Signed memory) {
        int256 since = hour * int256(uint256(HOUR)) + seconds_;
        return reading(
            iss,
            SUB,
            uint40(uint256(int256(uint256(MIDNIGHT)) + since)),
            uint64(uint256(int256(uint256(START)) + since))
        );
    }

    function hours_(string memory iss, uint256 from, uint256 until) private returns (Signed[] memory batch) {
        batch = new Signed[](until - from + 1);
        for (uint256 i = 0; i < batch.length; i++) {
            batch[i] = shows(iss, int256(from + i), 0);
        }
    }

    /// @dev The day's profile. `drift` is added to the registers inside of it.
    function day(string memory iss, uint32 number, uint64 drift) private returns (Signed memory) {
        uint64[] memory registers = new uint64[](25);
        uint64 since = uint64(number - TODAY) * DAY;
        for (uint64 i = 0; i < 25; i++) {
            registers[i] = START + since + i * HOUR + (i == 0 || i == 24 ? 0 : drift);
        }
        return profile(iss, SUB, number, uint40(number + 1) * DAY, registers);
    }

    function two(uint256 value) private pure returns (uint256[] memory list) {
        list = new uint256[](2);
        (list[0], list[1]) = (value, value);
    }

    function claimCall(uint256 hour, uint256 wh) private pure returns (bytes memory) {
        ICredits.Line[] memory lines = new ICredits.Line[](1);
        lines[0] = ICredits.Line({meteringPoint: POINT, slot: MIDNIGHT + uint40(hour) * HOUR, wh: uint32(wh)});
        return abi.encodeCall(ICredits.claim, (lines, keccak256("a beneficiary"), ICredits.Purpose.KRe100, ""));
    }

    function claim(uint256 hour, uint256 wh) private {
        vm.prank(OWNER);
        send(claimCall(hour, wh));
        claimedSoFar += wh;
    }

    function charge(uint256 hour, uint256 wh, bytes32 point) private {
        ICredits.Line[] memory lines = new ICredits.Line[](1);
        lines[0] = ICredits.Line({meteringPoint: POINT, slot: MIDNIGHT + uint40(hour) * HOUR, wh: uint32(wh)});
        vm.prank(OWNER);
        credits.claim(lines, point, ICredits.Purpose.StorageCharge, "");
        claimedSoFar += wh;
    }

    function send(bytes memory call) private {
        (bool ok, bytes memory answer) = address(credits).call(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    /// @dev It reverts with this error; with any, where `why` is zero.
    function refused(bytes memory call, bytes4 why) private {
        (bool ok, bytes memory answer) = address(credits).call(call);
        vm.assertEq(ok, false, "taken, where it should be refused");
        vm.assertTrue(answer.length >= 4, "refused without a name");
        if (why != 0) vm.assertEq(bytes32(bytes4(answer)), bytes32(why), "refused for another reason");
    }

    /// @dev All that anybody can still use, and all that was used, of those days and their month.
    function usable() private view returns (uint256 wh) {
        wh = claimedSoFar;
        for (uint32 d = TODAY - 1; d <= TODAY + 2; d++) {
            wh += held(credits.idOf(POINT, d));
        }
        wh += held(credits.residualIdOf(POINT, kstMonth(MIDNIGHT)));
    }

    function held(uint256 id) private view returns (uint256) {
        return credits.balanceOf(OWNER, id) + credits.balanceOf(FRIEND, id);
    }

    function assertUsable(uint256 wh) private view {
        vm.assertEq(usable(), wh, "Wh that can be or were used");
    }
}
