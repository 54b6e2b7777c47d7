// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Devices} from "../src/Devices.sol";
import {IDevices} from "../src/IDevices.sol";
import {Harness, Vm} from "./Harness.sol";

/// @dev A registrar who tries everything with a few devices, in any order, and a stranger who tries the same. It keeps a
/// follower's table beside: only what the events say.
contract Registrar is Harness {
    uint256 internal constant MANY = 8;

    /// @dev The data of Registered.
    struct Said {
        bytes12 kind;
        bytes12 energySource;
        uint64 capacityW;
        IDevices.Custody custody;
        uint40 validFrom;
        uint40 validUntil;
        uint40 time;
    }

    Devices public immutable devices = new Devices(address(this));
    /// @dev What a follower knows, from events alone.
    mapping(bytes32 device => IDevices.Device) internal followed;
    /// @dev What must stay false.
    bool public cameBackFromTheEnd;
    bool public strangerWrote;
    bool public refusalWithoutName;

    function device(uint256 i) public pure returns (bytes32) {
        return keccak256(abi.encode("device", i % MANY));
    }

    function register(uint256 i, uint8 point, uint40 from, uint40 until, uint64 capacityW) external {
        attempt(
            i,
            abi.encodeCall(
                devices.register,
                (
                    device(i),
                    IDevices.Registration({
                        owner: address(uint160(i)),
                        meteringPoint: bytes32(uint256(point % 2)),
                        kind: "meter",
                        energySource: "",
                        capacityW: capacityW,
                        custody: IDevices.Custody.Device,
                        validFrom: from,
                        validUntil: until
                    })
                )
            )
        );
    }

    function amend(uint256 i, uint64 capacityW, uint40 from, uint40 until) external {
        attempt(i, abi.encodeCall(devices.amend, (device(i), address(1), "wind", capacityW, from, until)));
    }

    function suspend(uint256 i) external {
        attempt(i, abi.encodeCall(devices.suspend, (device(i))));
    }

    function resume(uint256 i) external {
        attempt(i, abi.encodeCall(devices.resume, (device(i))));
    }

    function revoke(uint256 i) external {
        if (i % 3 == 0) attempt(i, abi.encodeCall(devices.revoke, (device(i))));
    }

    function replace(uint256 i, uint256 by) external {
        attempt(i, abi.encodeCall(devices.replace, (device(i), device(by))));
    }

    // --- for the invariant -----------------------------------------------------------------------------------------

    function known(bytes32 key) external view returns (IDevices.Device memory) {
        return followed[key];
    }

    function attempt(uint256 i, bytes memory call) private {
        vm.prank(address(0xBAD));
        (bool byStranger,) = address(devices).call(call);
        if (byStranger) strangerWrote = true;

        IDevices.Status before = devices.get(device(i)).status;
        vm.recordLogs();
        (bool ok, bytes memory why) = address(devices).call(call);
        follow(vm.getRecordedLogs());
        if (!ok) judge(why);
        bool wasOver = before == IDevices.Status.Revoked || before == IDevices.Status.Replaced;
        if (wasOver && devices.get(device(i)).status != before) cameBackFromTheEnd = true;
    }

    function follow(Vm.Log[] memory logs) private {
        for (uint256 i = 0; i < logs.length; i++) {
            bytes32 what = logs[i].topics[0];
            IDevices.Device storage d = followed[logs[i].topics[1]];
            if (what == IDevices.Registered.selector) {
                d.status = IDevices.Status.Active;
                d.meteringPoint = logs[i].topics[2];
                d.owner = address(uint160(uint256(logs[i].topics[3])));
                Said memory said = abi.decode(logs[i].data, (Said));
                (d.kind, d.energySource, d.capacityW) = (said.kind, said.energySource, said.capacityW);
                (d.custody, d.validFrom, d.validUntil) = (said.custody, said.validFrom, said.validUntil);
            } else if (what == IDevices.Amended.selector) {
                d.owner = address(uint160(uint256(logs[i].topics[2])));
                (d.energySource, d.capacityW, d.validFrom, d.validUntil,) =
                    abi.decode(logs[i].data, (bytes12, uint64, uint40, uint40, uint40));
            } else if (what == IDevices.StatusChanged.selector) {
                d.status = IDevices.Status(uint256(logs[i].topics[2]));
                uint40 time;
                (d.replacedBy, time) = abi.decode(logs[i].data, (bytes32, uint40));
                if (d.status == IDevices.Status.Replaced && time < d.validUntil) d.validUntil = time;
            }
        }
    }

    /// @dev Every refusal has one of these names: no panic, no empty revert.
    function judge(bytes memory why) private {
        bytes4 name = bytes4(why);
        bool named = name == IDevices.EmptyField.selector || name == IDevices.EmptyPeriod.selector
            || name == IDevices.AlreadyRegistered.selector || name == IDevices.UnknownDevice.selector
            || name == IDevices.WrongStatus.selector || name == IDevices.OtherMeteringPoint.selector
            || name == IDevices.HeirNotActive.selector;
        if (!named) refusalWithoutName = true;
    }
}

contract DevicesInvariantTest is Harness {
    Registrar internal registrar;

    function setUp() public {
        registrar = new Registrar();
    }

    /// @dev Forge asks for this: only the registrar is called, not the contract behind it.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(registrar);
    }

    function invariant_WhatIsOverStaysSoAndStrangersWriteNothing() public view {
        vm.assertEq(registrar.cameBackFromTheEnd(), false, "a status that is final changed");
        vm.assertEq(registrar.strangerWrote(), false, "a stranger wrote");
        vm.assertEq(registrar.refusalWithoutName(), false, "a refusal without a name");
    }

    function invariant_TheEventsSayAllThatIsHeld() public view {
        for (uint256 i = 0; i < 8; i++) {
            bytes32 key = registrar.device(i);
            bytes32 held = keccak256(abi.encode(registrar.devices().get(key)));
            vm.assertEq(held, keccak256(abi.encode(registrar.known(key))), "a follower knows something else");
        }
    }

    /// @dev Each replacement leads to a device of the same point, and following them comes to an end.
    function invariant_ReplacementsKeepThePointAndEnd() public view {
        Devices devices = registrar.devices();
        for (uint256 i = 0; i < 8; i++) {
            IDevices.Device memory d = devices.get(registrar.device(i));
            vm.assertEq(d.replacedBy != 0, d.status == IDevices.Status.Replaced, "replacedBy and status");
            uint256 steps = 0;
            for (IDevices.Device memory next = d; next.replacedBy != 0; steps++) {
                vm.assertTrue(steps < 8, "replacements go round");
                next = devices.get(next.replacedBy);
                vm.assertEq(next.meteringPoint, d.meteringPoint, "another metering point");
            }
        }
    }
}
