// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

import {IDevices} from "./IDevices.sol";

/// @title Devices: what it promises is said in IDevices
/// @dev Many devices in one transaction: `multicall`. The administrator names registrars, and hands its own role on in
/// two steps, a day apart.
contract Devices is IDevices, AccessControlDefaultAdminRules, Multicall {
    /// @notice May register devices and change them.
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");

    /// @dev Four slots: owner to validUntil are one, meteringPoint one, kind to capacityW one. The last is written for a
    /// replacement only.
    mapping(bytes32 device => Device) private _devices;

    /// @param administrator Holds the admin role, and is the first registrar.
    constructor(address administrator) AccessControlDefaultAdminRules(1 days, administrator) {
        _grantRole(REGISTRAR_ROLE, administrator);
    }

    /// @inheritdoc IDevices
    function register(bytes32 device, Registration calldata r) external onlyRole(REGISTRAR_ROLE) {
        if (device == 0 || r.meteringPoint == 0 || r.kind == 0) revert EmptyField();
        _demandPeriod(r.validFrom, r.validUntil);
        Device storage d = _devices[device];
        if (d.status != Status.Unknown) revert AlreadyRegistered(device);
        d.owner = r.owner;
        d.status = Status.Active;
        d.custody = r.custody;
        d.validFrom = r.validFrom;
        d.validUntil = r.validUntil;
        d.meteringPoint = r.meteringPoint;
        d.kind = r.kind;
        d.energySource = r.energySource;
        d.capacityW = r.capacityW;
        emit Registered(
            device,
            r.meteringPoint,
            r.owner,
            r.kind,
            r.energySource,
            r.capacityW,
            r.custody,
            r.validFrom,
            r.validUntil,
            _now()
        );
    }

    /// @inheritdoc IDevices
    function amend(
        bytes32 device,
        address owner,
        bytes12 energySource,
        uint64 capacityW,
        uint40 validFrom,
        uint40 validUntil
    ) external onlyRole(REGISTRAR_ROLE) {
        _demandPeriod(validFrom, validUntil);
        Device storage d = _devices[device];
        Status status = d.status;
        if (status == Status.Unknown) revert UnknownDevice(device);
        if (_isFinal(status)) revert WrongStatus(device, status, status);
        d.owner = owner;
        d.energySource = energySource;
        d.capacityW = capacityW;
        d.validFrom = validFrom;
        d.validUntil = validUntil;
        emit Amended(device, owner, energySource, capacityW, validFrom, validUntil, _now());
    }

    /// @inheritdoc IDevices
    function suspend(bytes32 device) external onlyRole(REGISTRAR_ROLE) {
        _move(device, Status.Suspended);
        emit StatusChanged(device, Status.Suspended, 0, _now());
    }

    /// @inheritdoc IDevices
    function resume(bytes32 device) external onlyRole(REGISTRAR_ROLE) {
        _move(device, Status.Active);
        emit StatusChanged(device, Status.Active, 0, _now());
    }

    /// @inheritdoc IDevices
    function revoke(bytes32 device) external onlyRole(REGISTRAR_ROLE) {
        _move(device, Status.Revoked);
        emit StatusChanged(device, Status.Revoked, 0, _now());
    }

    /// @inheritdoc IDevices
    function replace(bytes32 device, bytes32 by) external onlyRole(REGISTRAR_ROLE) {
        _move(device, Status.Replaced);
        Device storage heir = _devices[by];
        // After the move, so that a device that would replace itself isn't active any more.
        if (heir.status != Status.Active) revert HeirNotActive(by, heir.status);
        Device storage d = _devices[device];
        if (heir.meteringPoint != d.meteringPoint) revert OtherMeteringPoint(device, by);
        d.replacedBy = by;
        if (d.validUntil > _now()) d.validUntil = _now();
        emit StatusChanged(device, Status.Replaced, by, _now());
    }

    /// @inheritdoc IDevices
    function get(bytes32 device) external view returns (Device memory) {
        return _devices[device];
    }

    /// @inheritdoc IDevices
    function plant(bytes32 device) external view returns (Plant memory) {
        Device storage d = _devices[device];
        return Plant({
            owner: d.owner,
            status: d.status,
            custody: d.custody,
            validFrom: d.validFrom,
            validUntil: d.validUntil,
            meteringPoint: d.meteringPoint,
            kind: d.kind,
            energySource: d.energySource,
            capacityW: d.capacityW
        });
    }

    /// @inheritdoc IDevices
    function isActive(bytes32 device) external view returns (bool) {
        Device storage d = _devices[device];
        return d.status == Status.Active && d.validFrom <= block.timestamp && block.timestamp < d.validUntil;
    }

    /// @dev The whole status machine: from Active and from Suspended to any other, from what is final to none.
    function _move(bytes32 device, Status to) private {
        Status from = _devices[device].status;
        if (from == Status.Unknown) revert UnknownDevice(device);
        if (_isFinal(from) || from == to) revert WrongStatus(device, from, to);
        _devices[device].status = to;
    }

    function _demandPeriod(uint40 validFrom, uint40 validUntil) private pure {
        if (validFrom >= validUntil) revert EmptyPeriod(validFrom, validUntil);
    }

    function _isFinal(Status status) private pure returns (bool) {
        return status == Status.Revoked || status == Status.Replaced;
    }

    function _now() private view returns (uint40) {
        // forge-lint: disable-next-line(unsafe-typecast) seconds fit 40 bits for 34,000 years
        return uint40(block.timestamp);
    }
}
