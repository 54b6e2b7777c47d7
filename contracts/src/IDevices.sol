// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Devices: who may speak
/// @notice The city's registry of devices. A gateway follows its events into a table of its own, and decides from that
/// table, with or without a network, whether what a device signed may still count.
/// @dev A device and its metering point are known here by commitments of 32 bytes, which are made off the chain:
///
///   public kinds (a plant, an inverter)     keccak256(DID)          keccak256(URN)
///   sealed kinds (a vehicle, a household)   keccak256(salt ‖ DID)   keccak256(salt ‖ URN)
///
/// A DID or a URN has few enough possible values that its bare hash names it to whoever guesses well; so those that lead
/// to a person get a salt of 32 random bytes, which only the city and the gateways know (the city's registry file), and
/// which can be destroyed. All devices of one metering point share its salt: then their metering points can be seen to be
/// the same, which `replace` links them by in any case. A new salt for each vehicle. Nothing else here may lead to a
/// person either: the owner of a sealed device is the zero account, or one that is used for nothing else.
///
/// The contract doesn't know which kinds are sealed: it cannot tell a salted commitment from a bare one.
///
/// Times are seconds since 1970. `kind` and `energySource` are ASCII, filled up with zero bytes. Who may write holds
/// REGISTRAR_ROLE; others get AccessControl's `AccessControlUnauthorizedAccount`.
interface IDevices {
    /// @dev Active and Suspended may follow each other. Revoked and Replaced are final.
    enum Status {
        Unknown,
        Active,
        Suspended,
        Revoked,
        Replaced
    }

    /// @notice Who holds the private key: the device, or the gateway for a legacy device that cannot sign.
    enum Custody {
        Device,
        Gateway
    }

    /// @notice What is said of a device when it is registered.
    struct Registration {
        /// Whose it is; credits of a plant are theirs. Zero where nobody is named.
        address owner;
        /// Commitment to the URN of what it measures. Never changes.
        bytes32 meteringPoint;
        /// "meter", "plant", "inverter", "vehicle", ... Never changes.
        bytes12 kind;
        /// "solar", "wind", ... of what generates; else empty.
        bytes12 energySource;
        /// Rated power in W; 0 where it has none.
        uint64 capacityW;
        Custody custody;
        /// May speak from here ...
        uint40 validFrom;
        /// ... to here, this second not included. The largest uint40 is for ever.
        uint40 validUntil;
    }

    /// @notice All that is held of a device.
    struct Device {
        address owner;
        Status status;
        Custody custody;
        uint40 validFrom;
        uint40 validUntil;
        bytes32 meteringPoint;
        bytes12 kind;
        bytes12 energySource;
        uint64 capacityW;
        /// The commitment of the device that took over. Zero unless the status is Replaced.
        bytes32 replacedBy;
    }

    /// @notice What of it decides about credits: all but the heir.
    struct Plant {
        address owner;
        Status status;
        Custody custody;
        uint40 validFrom;
        uint40 validUntil;
        bytes32 meteringPoint;
        bytes12 kind;
        bytes12 energySource;
        uint64 capacityW;
    }

    /// @notice A device is registered, and active. `time` here and below is the block's.
    event Registered(
        bytes32 indexed device,
        bytes32 indexed meteringPoint,
        address indexed owner,
        bytes12 kind,
        bytes12 energySource,
        uint64 capacityW,
        Custody custody,
        uint40 validFrom,
        uint40 validUntil,
        uint40 time
    );

    /// @notice What may change of a device while it isn't over, as it is from now on.
    event Amended(
        bytes32 indexed device,
        address indexed owner,
        bytes12 energySource,
        uint64 capacityW,
        uint40 validFrom,
        uint40 validUntil,
        uint40 time
    );

    /// @notice A device has another status. `replacedBy` is zero unless that is Replaced; then its period ends at `time`, if
    /// it didn't end before.
    event StatusChanged(bytes32 indexed device, Status indexed status, bytes32 replacedBy, uint40 time);

    /// @notice Zero bytes are no commitment, and no kind.
    error EmptyField();

    /// @notice It ends before it begins.
    error EmptyPeriod(uint40 validFrom, uint40 validUntil);

    /// @notice This device was registered before. A commitment is used once, ever.
    error AlreadyRegistered(bytes32 device);

    /// @notice Nobody registered this device.
    error UnknownDevice(bytes32 device);

    /// @notice From `from`, a device cannot become `to`.
    error WrongStatus(bytes32 device, Status from, Status to);

    /// @notice `by` measures something else than the device that it is to replace.
    error OtherMeteringPoint(bytes32 device, bytes32 by);

    /// @notice The device that is to take over isn't active.
    error HeirNotActive(bytes32 by, Status status);

    /// @notice Registers a device; it is active from this block on, within its period.
    /// @dev Reverts, in this order, with `EmptyField`, `EmptyPeriod`, `AlreadyRegistered`.
    /// @param device The commitment that it is known by.
    function register(bytes32 device, Registration calldata registration) external;

    /// @notice Changes the owner (a sale), the rated power, the source or the period (a renewal) of a device.
    /// @dev Reverts, in this order, with `EmptyPeriod`, `UnknownDevice`, or `WrongStatus` for one that is revoked or
    /// replaced.
    function amend(
        bytes32 device,
        address owner,
        bytes12 energySource,
        uint64 capacityW,
        uint40 validFrom,
        uint40 validUntil
    ) external;

    /// @notice An active device may not speak until it is resumed. Reverts with `UnknownDevice`, `WrongStatus`.
    function suspend(bytes32 device) external;

    /// @notice A suspended device may speak again. Reverts with `UnknownDevice`, `WrongStatus`.
    function resume(bytes32 device) external;

    /// @notice A device may never speak again. Reverts with `UnknownDevice`, `WrongStatus`.
    function revoke(bytes32 device) external;

    /// @notice Another device takes over its metering point: a meter that was swapped, or the same one with a new key.
    /// @dev The heir is registered before. Since it must be active, and what is replaced never is again, no chain of
    /// replacements comes back to where it began. The period of what is replaced ends with this block: what it signed
    /// before may still count, what comes later is the heir's. Reverts, in this order, with `UnknownDevice`,
    /// `WrongStatus`, `HeirNotActive`, `OtherMeteringPoint`.
    function replace(bytes32 device, bytes32 by) external;

    /// @notice All that is held of a device; its status is Unknown, and all else zero, where it isn't registered.
    function get(bytes32 device) external view returns (Device memory);

    /// @notice The same without the heir, for a contract that asks often. @dev Three slots of storage in place of four.
    function plant(bytes32 device) external view returns (Plant memory);

    /// @notice Whether a device may speak in this block: it is active, and within its period.
    function isActive(bytes32 device) external view returns (bool);
}
