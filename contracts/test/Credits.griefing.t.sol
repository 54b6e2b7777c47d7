// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ICredits} from "../src/ICredits.sol";
import {CreditsWorld} from "./CreditsWorld.sol";
import {Signed} from "./Envelopes.sol";

/// @dev Anybody may send what devices signed. What a stranger can do with that to a plant's owner: certify hours for them,
/// and no harm.
contract CreditsGriefingTest is CreditsWorld {
    uint40 internal constant MIDNIGHT = 20_800 * DAY;
    string internal constant SUB = "urn:sejong:mp:plant-1";
    bytes32 internal constant POINT = keccak256(bytes(SUB));
    address internal constant OWNER = address(0xA11CE);
    address internal constant STRANGER = address(0xBAD);

    string internal meter = did(1);

    function setUp() public {
        vm.warp(MIDNIGHT + 10 * DAY);
        enroll(meter, SUB, OWNER, "plant", 5000);
    }

    /// @dev All entries of a log are public: two of them far apart would make a residual of all the hours between, for
    /// ever.
    function test_AStrangerMakesNoResidualOfHoursThatMayStillBeCertified() public {
        bytes memory call = residualCall(shows(0), shows(24));
        vm.expectRevert(abi.encodeWithSelector(ICredits.NotForAnybody.selector, STRANGER));
        vm.prank(STRANGER);
        (bool reverted,) = address(credits).call(call);
        vm.assertTrue(reverted, "expected");
        send(STRANGER, mintCall(hours_(0, 24)));
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, 20_800)), 24 * HOUR);
    }

    function test_AResidualIsForTheOwnerToTake() public {
        send(OWNER, residualCall(shows(0), shows(24)));
        vm.assertEq(residual(), 24 * HOUR);
    }

    function test_OrForWhomTheOwnerLets() public {
        vm.prank(OWNER);
        credits.setApprovalForAll(STRANGER, true);
        send(STRANGER, residualCall(shows(0), shows(24)));
        vm.assertEq(residual(), 24 * HOUR);
        vm.assertEq(credits.balanceOf(STRANGER, credits.residualIdOf(POINT, kstMonth(MIDNIGHT))), 0);
    }

    function test_OrForWhoWithdraws() public {
        send(address(this), residualCall(shows(0), shows(24)));
        vm.assertEq(residual(), 24 * HOUR);
    }

    /// @dev A stranger chooses among readings of one boundary: the others must then be sent with the same one, and get
    /// what is left, to the second.
    function test_AStrangerWhoFixesABoundaryTakesNothingAway() public {
        Signed[] memory early = hours_(6, 7);
        early[1] = reading(meter, SUB, MIDNIGHT + 7 * HOUR + 55, 1_000_000 + 7 * HOUR + 55);
        send(STRANGER, mintCall(early));
        Signed[] memory rest = hours_(7, 24);
        rest[0] = early[1];
        send(OWNER, mintCall(rest));
        send(OWNER, mintCall(hours_(0, 6)));
        vm.assertEq(credits.balanceOf(OWNER, credits.idOf(POINT, 20_800)), 24 * HOUR);
    }

    // --- the words of these tests ------------------------------------------------------------------------------------

    /// @dev A Wh a second.
    function shows(uint40 hour) private returns (Signed memory) {
        return reading(meter, SUB, MIDNIGHT + hour * HOUR, 1_000_000 + hour * HOUR);
    }

    function hours_(uint40 from, uint40 until) private returns (Signed[] memory batch) {
        batch = new Signed[](until - from + 1);
        for (uint40 i = 0; i < batch.length; i++) {
            batch[i] = shows(from + i);
        }
    }

    function residual() private view returns (uint256) {
        return credits.balanceOf(OWNER, credits.residualIdOf(POINT, kstMonth(MIDNIGHT)));
    }

    function send(address sender, bytes memory call) private {
        vm.prank(sender);
        (bool ok, bytes memory answer) = address(credits).call(call);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
