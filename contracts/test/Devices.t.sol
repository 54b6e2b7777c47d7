// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

import {Devices} from "../src/Devices.sol";
import {IDevices} from "../src/IDevices.sol";
import {Harness} from "./Harness.sol";

contract DevicesTest is Harness {
    address internal constant CITY = address(0xC1);
    address internal constant STRANGER = address(0xBAD);
    address internal constant OWNER = address(0x0E);
    uint40 internal constant NOW = 1_800_000_000;
    uint40 internal constant EVER = type(uint40).max;
    bytes32 internal constant METER = keccak256("a meter");
    bytes32 internal constant HEIR = keccak256("its heir");
    bytes32 internal constant POINT = keccak256("urn:sejong:mp:000123");
    bytes32 internal constant REGISTRAR = keccak256("REGISTRAR_ROLE");

    Devices internal devices = new Devices(CITY);

    function setUp() public {
        vm.warp(NOW);
    }

    // --- registering -----------------------------------------------------------------------------------------------

    function testFuzz_WhatIsRegisteredIsHeldAndSaid(
        bytes32 device,
        address owner,
        bytes32 point,
        bytes12 kind,
        bytes12 source,
        uint64 capacityW,
        bool legacy,
        uint40 from
    ) public {
        vm.assume(device != 0 && point != 0 && kind != 0 && from != EVER);
        IDevices.Registration memory r = IDevices.Registration({
            owner: owner,
            meteringPoint: point,
            kind: kind,
            energySource: source,
            capacityW: capacityW,
            custody: legacy ? IDevices.Custody.Gateway : IDevices.Custody.Device,
            validFrom: from,
            validUntil: from + 1
        });
        vm.expectEmit(address(devices));
        emit IDevices.Registered(
            device,
            r.meteringPoint,
            r.owner,
            r.kind,
            r.energySource,
            r.capacityW,
            r.custody,
            r.validFrom,
            r.validUntil,
            NOW
        );
        vm.prank(CITY);
        devices.register(device, r);
        assertHeld(device, r, IDevices.Status.Active, 0);
    }

    function test_NothingIsHeldBefore() public view {
        IDevices.Device memory d = devices.get(METER);
        vm.assertEq(uint256(d.status), uint256(IDevices.Status.Unknown));
        vm.assertEq(keccak256(abi.encode(d)), keccak256(new bytes(10 * 32)), "all zero");
        vm.assertEq(devices.isActive(METER), false, "active");
    }

    function test_EmptyFieldsAreRefused() public {
        bytes memory why = abi.encodeWithSelector(IDevices.EmptyField.selector);
        IDevices.Registration memory r = meter();
        vm.expectRevert(why);
        vm.prank(CITY);
        devices.register(0, r);
        r.meteringPoint = 0;
        vm.expectRevert(why);
        vm.prank(CITY);
        devices.register(METER, r);
        r = meter();
        r.kind = 0;
        vm.expectRevert(why);
        vm.prank(CITY);
        devices.register(METER, r);
    }

    function testFuzz_APeriodThatEndsBeforeItBeginsIsRefused(uint40 from, uint40 until) public {
        if (from < until) (from, until) = (until, from);
        bytes memory why = abi.encodeWithSelector(IDevices.EmptyPeriod.selector, from, until);
        IDevices.Registration memory r = meter();
        (r.validFrom, r.validUntil) = (from, until);
        vm.expectRevert(why);
        vm.prank(CITY);
        devices.register(METER, r);

        register(METER);
        vm.expectRevert(why);
        vm.prank(CITY);
        devices.amend(METER, OWNER, 0, 0, from, until);
    }

    function test_ACommitmentIsUsedOnceEver() public {
        register(METER);
        for (uint256 i = 0; i < 2; i++) {
            vm.expectRevert(abi.encodeWithSelector(IDevices.AlreadyRegistered.selector, METER));
            vm.prank(CITY);
            devices.register(METER, meter());
            if (i == 0) revoke(METER);
        }
    }

    // --- what may change -------------------------------------------------------------------------------------------

    function testFuzz_AnAmendmentChangesWhatItSaysAndNothingElse(
        address owner,
        bytes12 source,
        uint64 capacityW,
        uint40 from,
        uint40 until,
        bool suspended
    ) public {
        if (from > until) (from, until) = (until, from);
        vm.assume(from != until);
        register(METER);
        if (suspended) suspend(METER);
        vm.expectEmit(address(devices));
        emit IDevices.Amended(METER, owner, source, capacityW, from, until, NOW);
        vm.prank(CITY);
        devices.amend(METER, owner, source, capacityW, from, until);

        IDevices.Registration memory r = meter();
        (r.owner, r.energySource, r.capacityW, r.validFrom, r.validUntil) = (owner, source, capacityW, from, until);
        assertHeld(METER, r, suspended ? IDevices.Status.Suspended : IDevices.Status.Active, 0);
    }

    function test_WhatIsOverIsNotAmended() public {
        register(METER);
        register(HEIR);
        replace(METER, HEIR);
        revoke(HEIR);
        for (uint256 i = 0; i < 2; i++) {
            bytes32 device = i == 0 ? METER : HEIR;
            IDevices.Status status = i == 0 ? IDevices.Status.Replaced : IDevices.Status.Revoked;
            vm.expectRevert(abi.encodeWithSelector(IDevices.WrongStatus.selector, device, status, status));
            vm.prank(CITY);
            devices.amend(device, OWNER, 0, 0, 0, EVER);
        }
    }

    // --- status ----------------------------------------------------------------------------------------------------

    function test_ADeviceIsSuspendedAndResumedAndThenRevoked() public {
        register(METER);
        expectStatus(METER, IDevices.Status.Suspended, 0);
        suspend(METER);
        vm.assertEq(devices.isActive(METER), false, "suspended");
        expectStatus(METER, IDevices.Status.Active, 0);
        resume(METER);
        vm.assertEq(devices.isActive(METER), true, "resumed");
        expectStatus(METER, IDevices.Status.Revoked, 0);
        revoke(METER);
        vm.assertEq(devices.isActive(METER), false, "revoked");
        assertHeld(METER, meter(), IDevices.Status.Revoked, 0);
    }

    function test_ADeviceIsReplacedByAnotherOfItsMeteringPoint() public {
        register(METER);
        register(HEIR);
        expectStatus(METER, IDevices.Status.Replaced, HEIR);
        replace(METER, HEIR);
        IDevices.Registration memory r = meter();
        r.validUntil = NOW;
        assertHeld(METER, r, IDevices.Status.Replaced, HEIR);
        assertHeld(HEIR, meter(), IDevices.Status.Active, 0);
    }

    function testFuzz_ThePeriodOfWhatIsReplacedEndsThenIfItDidNotBefore(uint40 until, uint40 time) public {
        vm.assume(until != 0);
        IDevices.Registration memory r = meter();
        r.validUntil = until;
        vm.prank(CITY);
        devices.register(METER, r);
        register(HEIR);
        vm.warp(time);
        replace(METER, HEIR);
        if (time < until) r.validUntil = time;
        assertHeld(METER, r, IDevices.Status.Replaced, HEIR);
    }

    /// @dev The whole table: from each status to each other, what is taken and what is refused.
    function test_TheStatusMachineIsThisOneAndNoOther() public {
        for (uint8 from = 0; from <= 4; from++) {
            for (uint8 to = 1; to <= 4; to++) {
                Devices fresh = new Devices(address(this));
                fresh.register(HEIR, meter());
                if (from > 0) fresh.register(METER, meter());
                if (from > 1) move(fresh, IDevices.Status(from));
                bool known = from != 0;
                bool allowed = (from == 1 || from == 2) && from != to;
                if (!known) {
                    vm.expectRevert(abi.encodeWithSelector(IDevices.UnknownDevice.selector, METER));
                } else if (!allowed) {
                    vm.expectRevert(
                        abi.encodeWithSelector(
                            IDevices.WrongStatus.selector, METER, IDevices.Status(from), IDevices.Status(to)
                        )
                    );
                }
                move(fresh, IDevices.Status(to));
                vm.assertEq(uint256(fresh.get(METER).status), allowed ? to : from, "status");
            }
        }
    }

    function test_AnHeirMustBeAnotherActiveDeviceOfTheSameMeteringPoint() public {
        register(METER);
        vm.expectRevert(abi.encodeWithSelector(IDevices.HeirNotActive.selector, METER, IDevices.Status.Replaced));
        replace(METER, METER);
        vm.expectRevert(abi.encodeWithSelector(IDevices.HeirNotActive.selector, HEIR, IDevices.Status.Unknown));
        replace(METER, HEIR);

        register(HEIR);
        suspend(HEIR);
        vm.expectRevert(abi.encodeWithSelector(IDevices.HeirNotActive.selector, HEIR, IDevices.Status.Suspended));
        replace(METER, HEIR);

        IDevices.Registration memory r = meter();
        r.meteringPoint = keccak256("urn:sejong:mp:000124");
        bytes32 elsewhere = keccak256("elsewhere");
        vm.prank(CITY);
        devices.register(elsewhere, r);
        vm.expectRevert(abi.encodeWithSelector(IDevices.OtherMeteringPoint.selector, METER, elsewhere));
        replace(METER, elsewhere);
        assertHeld(METER, meter(), IDevices.Status.Active, 0);
    }

    // --- time ------------------------------------------------------------------------------------------------------

    function testFuzz_ADeviceIsActiveWithinItsPeriodOnly(uint40 from, uint40 until, uint40 time) public {
        if (from > until) (from, until) = (until, from);
        vm.assume(from != until);
        IDevices.Registration memory r = meter();
        (r.validFrom, r.validUntil) = (from, until);
        vm.prank(CITY);
        devices.register(METER, r);
        vm.warp(time);
        vm.assertEq(devices.isActive(METER), from <= time && time < until, "active");
        vm.warp(from);
        vm.assertEq(devices.isActive(METER), true, "from its first second on");
        vm.warp(until);
        vm.assertEq(devices.isActive(METER), false, "not in its last");
    }

    // --- who may ---------------------------------------------------------------------------------------------------

    function testFuzz_OnlyARegistrarWrites(address caller) public {
        vm.assume(caller != CITY);
        register(METER);
        register(HEIR);
        bytes[6] memory calls = [
            abi.encodeCall(devices.register, (keccak256("another"), meter())),
            abi.encodeCall(devices.amend, (METER, caller, bytes12(0), 0, 0, EVER)),
            abi.encodeCall(devices.suspend, (METER)),
            abi.encodeCall(devices.resume, (METER)),
            abi.encodeCall(devices.revoke, (METER)),
            abi.encodeCall(devices.replace, (METER, HEIR))
        ];
        bytes memory why =
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, caller, REGISTRAR);
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(caller);
            (bool ok, bytes memory answer) = address(devices).call(calls[i]);
            vm.assertEq(ok, false, "a stranger wrote");
            vm.assertEq(keccak256(answer), keccak256(why), "why");
        }
        assertHeld(METER, meter(), IDevices.Status.Active, 0);
    }

    function test_TheAdministratorNamesRegistrarsAndTakesTheRoleAway() public {
        vm.prank(CITY);
        devices.grantRole(REGISTRAR, STRANGER);
        vm.prank(STRANGER);
        devices.register(METER, meter());
        vm.prank(CITY);
        devices.revokeRole(REGISTRAR, STRANGER);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, STRANGER, REGISTRAR)
        );
        vm.prank(STRANGER);
        devices.revoke(METER);
    }

    function test_TheAdministratorHandsItsRoleOnInTwoSteps() public {
        vm.prank(CITY);
        devices.beginDefaultAdminTransfer(STRANGER);
        vm.assertEq(devices.defaultAdmin(), CITY);
        vm.warp(NOW + 1 days + 1);
        vm.prank(STRANGER);
        devices.acceptDefaultAdminTransfer();
        vm.assertEq(devices.defaultAdmin(), STRANGER);
    }

    // --- many at once ----------------------------------------------------------------------------------------------

    function test_ManyAreWrittenInOneTransactionByARegistrarOnly() public {
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(devices.register, (METER, meter()));
        calls[1] = abi.encodeCall(devices.register, (HEIR, meter()));
        calls[2] = abi.encodeCall(devices.replace, (METER, HEIR));
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, STRANGER, REGISTRAR)
        );
        vm.prank(STRANGER);
        devices.multicall(calls);
        vm.prank(CITY);
        devices.multicall(calls);
        IDevices.Registration memory r = meter();
        r.validUntil = NOW;
        assertHeld(METER, r, IDevices.Status.Replaced, HEIR);
    }

    // --- the words of these tests ----------------------------------------------------------------------------------

    function meter() private pure returns (IDevices.Registration memory) {
        return IDevices.Registration({
            owner: OWNER,
            meteringPoint: POINT,
            kind: "meter",
            energySource: "",
            capacityW: 0,
            custody: IDevices.Custody.Device,
            validFrom: 0,
            validUntil: EVER
        });
    }

    function register(bytes32 device) private {
        vm.prank(CITY);
        devices.register(device, meter());
    }

    function suspend(bytes32 device) private {
        vm.prank(CITY);
        devices.suspend(device);
    }

    function resume(bytes32 device) private {
        vm.prank(CITY);
        devices.resume(device);
    }

    function revoke(bytes32 device) private {
        vm.prank(CITY);
        devices.revoke(device);
    }

    function replace(bytes32 device, bytes32 by) private {
        vm.prank(CITY);
        devices.replace(device, by);
    }

    function move(Devices on, IDevices.Status to) private {
        if (to == IDevices.Status.Active) on.resume(METER);
        else if (to == IDevices.Status.Suspended) on.suspend(METER);
        else if (to == IDevices.Status.Revoked) on.revoke(METER);
        else on.replace(METER, HEIR);
    }

    function expectStatus(bytes32 device, IDevices.Status status, bytes32 by) private {
        vm.expectEmit(address(devices));
        emit IDevices.StatusChanged(device, status, by, NOW);
    }

    function assertHeld(bytes32 device, IDevices.Registration memory r, IDevices.Status status, bytes32 by)
        private
        view
    {
        IDevices.Device memory wanted = IDevices.Device({
            owner: r.owner,
            status: status,
            custody: r.custody,
            validFrom: r.validFrom,
            validUntil: r.validUntil,
            meteringPoint: r.meteringPoint,
            kind: r.kind,
            energySource: r.energySource,
            capacityW: r.capacityW,
            replacedBy: by
        });
        vm.assertEq(keccak256(abi.encode(devices.get(device))), keccak256(abi.encode(wanted)), "what is held");
        IDevices.Plant memory plant = devices.plant(device);
        // The heir comes last.
        vm.assertEq(keccak256(abi.encode(plant, by)), keccak256(abi.encode(wanted)), "the same but for the heir");
    }
}
