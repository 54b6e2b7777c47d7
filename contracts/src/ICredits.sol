// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Credits: energy of renewable sources, counted once
/// @notice One token is one Wh. A day of a metering point has one token id; which hour (slot) gave how many is held
/// beside it, and an hour is claimed as that hour. What is minted is computed here, from registers that a device has
/// signed: the caller brings the fields of its envelopes, the contract writes the envelopes out again byte for byte,
/// and shows that they are under a root that is anchored. Anybody may call it: the data is the authority.
///
/// What it believes: with an Ed25519 device, that whoever may anchor has checked the signatures (anyone can show off the
/// chain that one is bad). With a P-256 device it checks the signature itself, where the chain has the precompile of
/// EIP-7951. That a device is what its registration says: Devices.
///
/// A slot is an hour of UTC. Its two boundaries are the readings at its ends, each at most 60 s away. A boundary that
/// ends a batch is fixed: the neighbour must show the same register, or energy between two readings of one boundary
/// would count twice.
///
/// Times are seconds since 1970, days are counted from 1970-01-01 (UTC), energy is in Wh.
interface ICredits {
    /// @notice What a claim is for.
    enum Purpose {
        OwnUse,
        KRe100,
        Donation,
        RecApplication,
        /// Charges a storage plant: `beneficiary` is the commitment of its metering point, and it may discharge so much.
        StorageCharge
    }

    /// @notice One signed reading of a register, in three words.
    /// @dev `fields`, from the highest bit: index in the log (48) ‖ iat (40) ‖ cti (64) ‖ register in Wh (56) ‖ shape (8) ‖
    /// power in W (40, two's complement). Bits of `shape`: 1 the power record is there; 2 alg is -8 (EdDSA) in place of -19.
    struct Reading {
        bytes32 r;
        bytes32 s;
        uint256 fields;
    }

    /// @notice A signed pack of the 25 registers at the full hours of a UTC day.
    /// @dev `head`, from the highest bit: index (48) ‖ iat (40) ‖ cti (64) ‖ day (32) ‖ shape (8, as above) ‖ 64 zero bits.
    /// `registers`: four to a word, 64 bits each, from the highest bits on; the last word has one, and zeros.
    struct Profile {
        bytes32 r;
        bytes32 s;
        uint256 head;
        uint256[7] registers;
    }

    /// @notice That leaves are in a log: one proof for all of them.
    /// @dev `origin` and `size` name a root that Anchors holds. `nodes`: level by level from the leaves up, and on each from
    /// left to right, the siblings that are neither given nor computed.
    struct Proof {
        bytes32 origin;
        uint64 size;
        bytes32[] nodes;
    }

    /// @notice A part of what is claimed: `wh` of the hour that begins at `slot`.
    struct Line {
        bytes32 meteringPoint;
        uint40 slot;
        uint32 wh;
    }

    /// @notice Slots were certified. `amounts`: 32 bits a slot, 8 to a word, from the highest bits on: 1 and 31 bits of Wh, or
    /// all zeros for a slot of a profile that was taken before. `minted` is their sum; the owner gets it less `debited`,
    /// which is what was claimed of these slots before they were withdrawn, and what debt the metering point had (energy
    /// that a corrected certificate had too much of). It is taken off the first slots first, and counts as claimed there.
    /// Of a profile, `firstSlot` is midnight, and the registers are those at both ends of its day.
    event Minted(
        uint256 indexed id,
        bytes32 indexed meteringPoint,
        bytes32 indexed device,
        address owner,
        uint40 firstSlot,
        uint256 minted,
        uint256 debited,
        uint64 startRegister,
        uint64 endRegister,
        uint256[] amounts
    );

    /// @notice The energy of a gap of more than one hour, whose hours nobody can know: usable for its KST month, never as an
    /// hour.
    event ResidualMinted(
        uint256 indexed id,
        bytes32 indexed meteringPoint,
        bytes32 indexed device,
        address owner,
        uint40 from,
        uint40 until,
        uint256 minted,
        uint256 debited,
        uint64 startRegister,
        uint64 endRegister
    );

    /// @notice The name that ERC-1888 (a draft) has for it; this is not an implementation of that draft. `subject` is the
    /// beneficiary, `topic` the purpose, `data` the slot (uint40), or the month of a residual (uint40, its first second).
    event ClaimSingle(
        address indexed issuer, address indexed holder, uint256 indexed topic, uint256 id, uint256 value, bytes data
    );

    /// @notice What a claim is for, once per call; `recipient` is public text: who receives a donation, or an application's
    /// number. Empty where none is named.
    event Claimed(
        address indexed holder, bytes32 indexed beneficiary, Purpose indexed purpose, uint256 wh, string recipient
    );

    /// @notice All of a day that wasn't claimed is worth nothing any more; the day may be certified again as `version`.
    event Withdrawn(
        uint256 indexed id, bytes32 indexed meteringPoint, uint32 day, uint8 version, uint256 wh, string reason
    );

    /// @notice The key that a P-256 device's DID names, as a point.
    event KeyShown(bytes32 indexed device, bytes32 x, bytes32 y);

    /// @notice Where a register of this device begins anew, in Wh; 0: it never does.
    event ModulusSet(bytes32 indexed device, uint64 modulus);

    /// @notice The device is unknown, revoked or suspended, or not registered for the metering point that `sub` names.
    error NotAPlant(bytes32 device);
    /// @notice The gateway holds this device's key: no numbers that nobody else has signed.
    error CustodyOfGateway(bytes32 device);
    /// @notice Nobody is registered to receive its credits.
    error NoOwner(bytes32 device);
    /// @notice A reading was signed outside of the period that the device is registered for.
    error OutsidePeriod(bytes32 device, uint40 iat);
    /// @notice Nothing was given, or more than a day.
    error BadBatch();
    /// @notice A field has a value that no envelope has: a register from 2^53 on, an unknown shape, bits where zeros must be,
    /// an `iss` or `sub` of no or more than 256 bytes.
    error BadField();
    /// @notice A reading is more than 60 s away from a full hour.
    error NotAtBoundary(uint40 iat);
    /// @notice Readings of a batch are of hours that follow each other, in their order, in one UTC day.
    error NotNeighbours(uint40 iat);
    /// @notice A profile was signed before its day was over, or its day is out of range.
    error BadProfile(uint32 day, uint40 iat);
    /// @notice Anchors holds no root of that log at that size, or the log is frozen.
    error NotAnchored(bytes32 origin, uint64 size);
    /// @notice The envelopes, as written here, are not in the log.
    error NotIncluded(bytes32 root, bytes32 computed);
    /// @notice The proof has too many nodes or too few, or an index is not below the size, or stands twice.
    error BadProof();
    /// @notice The register goes down, and the device has no modulus that explains it.
    error RegisterFell(uint40 boundary, uint64 before, uint64 then);
    /// @notice More than the rated power times the time, and 5 %.
    error OverCapacity(uint40 slot, uint256 wh, uint256 most);
    /// @notice The slot was certified before.
    error SlotTaken(bytes32 meteringPoint, uint40 slot);
    /// @notice The day was withdrawn: only who withdraws may certify it anew.
    error DayWithdrawn(bytes32 meteringPoint, uint32 day);
    /// @notice A neighbour was certified with another register, or another device, at this boundary.
    error BoundaryFixed(bytes32 meteringPoint, uint40 boundary, uint64 register);
    /// @notice A residual is of 2 hours at least, within one KST month.
    error BadResidual(uint40 from, uint40 until);
    /// @notice A storage plant gives back at most what was claimed to charge it.
    error NotCharged(bytes32 meteringPoint, uint256 charged, uint256 wh);
    /// @notice A P-256 device's key must be shown first (`showKey`).
    error KeyNotShown(bytes32 device);
    /// @notice This point is not what the DID names.
    error WrongKey(bytes32 device);
    /// @notice The device's signature of reading `number` of the batch is bad.
    error BadSignature(bytes32 device, uint256 number);
    /// @notice The slot has less left to claim.
    error SlotClaimed(bytes32 meteringPoint, uint40 slot, uint256 left);
    /// @notice Nothing is claimed, or a purpose needs what isn't there: a donation its recipient, a charge its metering point.
    error BadClaim();
    /// @notice Withdrawn tokens don't move.
    error TokenWithdrawn(uint256 id);
    /// @notice Nothing of that day was certified.
    error NothingToWithdraw(bytes32 meteringPoint, uint32 day);
    /// @notice A residual gives up the hours of its gap for ever: that is for the plant's owner, or who may act for it.
    error NotForAnybody(address caller);

    /// @notice Certifies the slots between readings that follow each other by the hour, all of one UTC day.
    /// @param iss The device's DID. @param sub The URN of its metering point, as in its envelopes.
    /// @param readings 2 to 25, in the order of time.
    /// @return id Of the tokens that the plant's owner has now.
    function mint(string calldata iss, string calldata sub, Reading[] calldata readings, Proof calldata proof)
        external
        returns (uint256 id);

    /// @notice Certifies the slots of a day from its profile, those that aren't taken already; none is `SlotTaken`.
    function mintDay(string calldata iss, string calldata sub, Profile calldata profile, Proof calldata proof)
        external
        returns (uint256 id);

    /// @notice Takes the hours between two readings as a residual, none of which may be certified, then or later. By the
    /// plant's owner, by whom the owner has approved (`isApprovedForAll`), or by who holds WITHDRAWER_ROLE: with any two
    /// readings of the log, anybody else could spoil hours that are still to be certified.
    function mintResidual(string calldata iss, string calldata sub, Reading[2] calldata ends, Proof calldata proof)
        external
        returns (uint256 id);

    /// @notice Burns the caller's tokens for good, as those hours.
    /// @param beneficiary Hash of who they are used for; the zero hash where nobody is named.
    /// @param recipient Must be there for a donation.
    function claim(Line[] calldata lines, bytes32 beneficiary, Purpose purpose, string calldata recipient) external;

    /// @notice Burns the caller's tokens of a residual. @param month Its first second (KST).
    function claimResidual(
        bytes32 meteringPoint,
        uint40 month,
        uint256 wh,
        bytes32 beneficiary,
        Purpose purpose,
        string calldata recipient
    ) external;

    /// @notice Withdraws a day of a metering point: WITHDRAWER_ROLE. What was claimed of it stays claimed, and is taken off
    /// when it is certified again, or off coming slots.
    function withdraw(bytes32 meteringPoint, uint32 day, string calldata reason) external;

    /// @notice Shows the point that a P-256 device's DID (zDn...) names. Anybody may; once is enough.
    function showKey(string calldata iss, bytes32 x, bytes32 y) external;

    /// @notice Says where a device's register begins anew, in Wh: a registrar of Devices.
    function setModulus(bytes32 device, uint64 modulus) external;

    /// @notice What a slot was certified with and how much of it is claimed; (false, 0, 0) where it isn't. A slot that a
    /// residual took is certified with 0.
    function slotOf(bytes32 meteringPoint, uint40 slot)
        external
        view
        returns (bool certified, uint32 wh, uint32 claimed);

    /// @notice The register that is fixed at a boundary, and the highest 31 bits of the device that it is of.
    function boundaryOf(bytes32 meteringPoint, uint40 boundary)
        external
        view
        returns (bool isFixed, uint64 register, uint32 deviceTag);

    /// @notice The id of a day's tokens, in its newest version.
    function idOf(bytes32 meteringPoint, uint32 day) external view returns (uint256);

    /// @notice The id of a KST month's residual tokens. @param month Its first second.
    function residualIdOf(bytes32 meteringPoint, uint40 month) external pure returns (uint256);

    /// @notice Wh that a storage plant may still give back.
    function chargedOf(bytes32 meteringPoint) external view returns (uint256);

    /// @notice Whether signatures of P-256 devices are checked here: the chain had the precompile of EIP-7951 (0x100) when
    /// this contract was deployed. If not, they are believed like those of Ed25519 devices.
    function checksP256() external view returns (bool);

    /// @notice Wh that are still to be taken off coming slots of a metering point.
    function debtOf(bytes32 meteringPoint) external view returns (uint256);
}
