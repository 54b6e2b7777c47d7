// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Devices} from "../src/Devices.sol";
import {IDevices} from "../src/IDevices.sol";
import {Harness} from "./Harness.sol";

/// @dev What a transaction costs, written to snapshots/devices.json, as Anchors.gas.t.sol does.
/// forge-config: default.isolate = true
contract DevicesGasTest is Harness {
    bytes32 internal constant METER = keccak256("a meter");
    bytes32 internal constant HEIR = keccak256("its heir");

    event log_named_uint(string what, uint256 gas);

    Devices internal devices = new Devices(address(this));

    function test_GasOfALife() public {
        devices.register(METER, meter());
        note("register");
        devices.amend(METER, address(2), "solar", 5000, 1, 2);
        note("amend");
        devices.suspend(METER);
        note("suspend");
        devices.resume(METER);
        note("resume");
        devices.register(HEIR, meter());
        devices.replace(METER, HEIR);
        note("replace");
        devices.revoke(HEIR);
        note("revoke");
    }

    function test_GasOfRegisteringFifty() public {
        bytes[] memory calls = new bytes[](50);
        for (uint256 i = 0; i < calls.length; i++) {
            calls[i] = abi.encodeCall(devices.register, (keccak256(abi.encode(i)), meter()));
        }
        devices.multicall(calls);
        note("register 50 in one transaction");
    }

    function meter() private pure returns (IDevices.Registration memory) {
        return IDevices.Registration({
            owner: address(1),
            meteringPoint: keccak256("urn:sejong:mp:000123"),
            kind: "meter",
            energySource: "solar",
            capacityW: 5000,
            custody: IDevices.Custody.Device,
            validFrom: 0,
            validUntil: type(uint40).max
        });
    }

    function note(string memory name) private {
        emit log_named_uint(name, vm.snapshotGasLastCall("devices", name));
    }
}
