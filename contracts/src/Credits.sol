// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";

import {IAnchors} from "./IAnchors.sol";
import {ICredits} from "./ICredits.sol";
import {IDevices} from "./IDevices.sol";
import {Envelope} from "./libraries/Envelope.sol";
import {KstMonth} from "./libraries/KstMonth.sol";
import {P256Key} from "./libraries/P256Key.sol";
import {Rfc6962} from "./libraries/Rfc6962.sol";

/// @title Credits: what it promises is said in ICredits
/// @dev Why the same Wh never counts twice:
///
///   - A slot of a metering point is taken once, by an hour, a profile or a residual, whoever the device is.
///   - The energy of a slot is the difference of the registers at its two boundaries. Two slots side by side that were
///     taken by one call share their boundary's register. Where they weren't, the first of the two calls had an end there,
///     and each end of what a call takes is fixed with its register and device for ever: the second must show the same.
///     So the slots of one device sum up to differences of a register that only grows (or begins anew at its modulus).
///   - A withdrawal frees the slots of whole days only, and none that a residual took. What is fixed stays fixed, so what
///     is certified again still meets its neighbours. Inside of a day nothing is left then that a fixed boundary could
///     contradict: both slots at it are free, and the one that is taken first is held against it if it ends there.
///
/// A call ends with the acceptance callback of ERC-1155, after all that it writes.
contract Credits is ICredits, ERC1155, AccessControlDefaultAdminRules {
    /// @notice May withdraw days, and certify withdrawn days anew.
    bytes32 public constant WITHDRAWER_ROLE = keccak256("WITHDRAWER_ROLE");
    /// @dev Of Devices.
    bytes32 private constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");

    uint256 private constant HOUR = 3600;
    uint256 private constant DAY = 86_400;
    /// @dev Seconds that a reading may be away from its boundary.
    uint256 private constant TOLERANCE = 60;

    /// @dev A lane of a slot: this bit, and 31 bits of Wh.
    uint256 private constant TAKEN = 1 << 31;
    uint256 private constant WH = TAKEN - 1;
    /// @dev Those of a slot that a residual took: no hour is certified with so many.
    uint256 private constant RESIDUAL = WH;
    uint256 private constant LANE = TAKEN | WH;

    /// @dev A lane of a boundary: this bit, 53 of the register, 31 of the device.
    uint256 private constant FIXED = 1 << 84;
    uint256 private constant BOUNDARY = (1 << 85) - 1;

    uint256 private constant DAY_TOKEN = 1 << 56;
    uint256 private constant MONTH_TOKEN = 2 << 56;

    /// @dev What a metering point has beside its slots, in one slot of storage.
    struct Point {
        /// Wh that were claimed, and aren't certified any more.
        uint96 debt;
        /// Wh that a storage plant may give back.
        uint96 charged;
        /// A day of it was withdrawn at some time: only then `_versions` and `_claimed` must be asked when minting.
        bool withdrawn;
        /// It gives back what it was charged with, and no more.
        bool stores;
    }

    /// @dev A call that mints, on its way.
    struct Work {
        bytes32 device;
        bytes32 point;
        IDevices.Plant plant;
        Envelope.Page page;
        /// Readings written so far.
        uint256 count;
        /// As Rfc6962.multiRoot takes them: index and leaf of each envelope, by rising index.
        uint256[] row;
        /// In the order of time, one more than slots.
        uint256[] registers;
        uint256[] amounts;
        /// What was taken: a bit for each slot of the batch, the sum in Wh, and the amounts as the event has them.
        uint256 fresh;
        uint256 certified;
        uint256[] lanes;
        uint256 lastIat;
        /// The public key, where signatures are checked here.
        bytes32 x;
        bytes32 y;
    }

    IAnchors private immutable ANCHORS;
    IDevices private immutable DEVICES;
    /// @dev Found out once, when it is deployed.
    bool private immutable CHECKS_P256;

    mapping(bytes32 point => Point) private _points;
    /// @dev Three words for each day, 8 lanes of 32 bits, from the highest bits on.
    mapping(bytes32 point => mapping(uint256 word => uint256 lanes)) private _slots;
    /// @dev Likewise: Wh that were claimed, or were taken off for a debt. They outlive a withdrawal.
    mapping(bytes32 point => mapping(uint256 word => uint256 lanes)) private _claimed;
    /// @dev Three lanes of 85 bits to a word: those within a day in 8 words of the day, those between days three to a word.
    mapping(bytes32 point => mapping(uint256 word => uint256 lanes)) private _boundaries;
    mapping(bytes32 point => mapping(uint256 day => uint256)) private _versions;
    mapping(uint256 id => bool) private _frozen;
    mapping(bytes32 device => uint256 wh) private _moduli;
    mapping(bytes32 device => P256Key.Point) private _keys;

    /// @param anchors Where the roots are that proofs lead to. @param devices Who owns what plant.
    /// @param administrator Holds the admin role, and is the first to have WITHDRAWER_ROLE.
    constructor(IAnchors anchors, IDevices devices, address administrator)
        ERC1155("")
        AccessControlDefaultAdminRules(1 days, administrator)
    {
        ANCHORS = anchors;
        DEVICES = devices;
        CHECKS_P256 = P256Key.isSupported();
        _grantRole(WITHDRAWER_ROLE, administrator);
    }

    // --- minting -----------------------------------------------------------------------------------------------------

    /// @inheritdoc ICredits
    function mint(string calldata iss, string calldata sub, Reading[] calldata readings, Proof calldata proof)
        external
        returns (uint256 id)
    {
        unchecked {
            uint256 n = readings.length;
            if (n < 2 || n > 25) revert BadBatch();
            Work memory w = _begin(iss, sub, n, 160);
            w.registers = new uint256[](n);
            w.amounts = new uint256[](n - 1);
            uint256 first = _read(w, readings[0], proof.size);
            _demandPeriod(w, w.lastIat);
            uint256 dayEnd = (first / DAY + 1) * DAY;
            (uint256 iat, uint256 boundary, uint256 register) = (w.lastIat, first, w.registers[0]);
            uint256[] memory amounts = w.amounts;
            for (uint256 i = 1; i < n; i++) {
                uint256 next = _read(w, readings[i], proof.size);
                uint256 nextIat = w.lastIat;
                if (next != boundary + HOUR || next > dayEnd) revert NotNeighbours(uint40(nextIat));
                uint256 then = w.registers[i];
                amounts[i - 1] = _energy(w, boundary, register, then, nextIat - iat, RESIDUAL - 1);
                (iat, boundary, register) = (nextIat, next, then);
            }
            _demandPeriod(w, iat);
            _demandIncluded(w, proof);
            return _certify(w, first, false);
        }
    }

    /// @inheritdoc ICredits
    function mintDay(string calldata iss, string calldata sub, Profile calldata profile, Proof calldata proof)
        external
        returns (uint256 id)
    {
        unchecked {
            Work memory w = _begin(iss, sub, 1, 960);
            w.registers = new uint256[](25);
            w.amounts = new uint256[](24);
            Envelope.writeProfile(w.page, profile, w.registers);
            uint256 head = profile.head;
            uint256 midnight = (head >> 72 & type(uint32).max) * DAY;
            _demandPeriod(w, midnight);
            _demandPeriod(w, head >> 168 & type(uint40).max);
            _keep(w, head >> 208, proof.size);
            for (uint256 i = 0; i < 24; i++) {
                w.amounts[i] = _energy(w, midnight + i * HOUR, w.registers[i], w.registers[i + 1], HOUR, RESIDUAL - 1);
            }
            _demandIncluded(w, proof);
            return _certify(w, midnight, true);
        }
    }

    /// @inheritdoc ICredits
    function mintResidual(string calldata iss, string calldata sub, Reading[2] calldata ends, Proof calldata proof)
        external
        returns (uint256 id)
    {
        Work memory w = _begin(iss, sub, 2, 160);
        address owner = w.plant.owner;
        if (msg.sender != owner && !isApprovedForAll(owner, msg.sender) && !hasRole(WITHDRAWER_ROLE, msg.sender)) {
            revert NotForAnybody(msg.sender);
        }
        w.registers = new uint256[](2);
        uint256 from = _read(w, ends[0], proof.size);
        uint256 iat = w.lastIat;
        _demandPeriod(w, iat);
        uint256 until = _read(w, ends[1], proof.size);
        _demandPeriod(w, w.lastIat);
        if (until < from + 2 * HOUR || KstMonth.number(from) != KstMonth.number(until - 1)) {
            revert BadResidual(uint40(from), uint40(until));
        }
        uint256 wh = _energy(w, from, w.registers[0], w.registers[1], w.lastIat - iat, type(uint64).max);
        _demandIncluded(w, proof);

        return _certifyGap(w, from, until, wh);
    }

    /// @dev Finds the plant, and makes room for `n` envelopes.
    function _begin(string calldata iss, string calldata sub, uint256 n, uint256 room)
        private
        view
        returns (Work memory w)
    {
        bytes32 device = keccak256(bytes(iss));
        w.device = device;
        w.point = keccak256(bytes(sub));
        w.plant = DEVICES.plant(device);
        IDevices.Status status = w.plant.status;
        if (
            (status != IDevices.Status.Active && status != IDevices.Status.Replaced) || w.plant.meteringPoint != w.point
                || (w.plant.kind != "plant" && w.plant.kind != "storage")
        ) revert NotAPlant(device);
        if (w.plant.custody != IDevices.Custody.Device) revert CustodyOfGateway(device);
        if (w.plant.owner == address(0)) revert NoOwner(device);
        w.page = Envelope.begin(iss, sub, room);
        w.row = new uint256[](2 * n + 1);
        if (CHECKS_P256 && w.page.p256) {
            P256Key.Point storage key = _keys[device];
            (w.x, w.y) = (key.x, key.y);
            if (w.x == 0) revert KeyNotShown(device);
        }
    }

    /// @dev Takes the next reading; returns its boundary. That the first and the last are within the device's period is the
    /// caller's to ask.
    function _read(Work memory w, Reading calldata reading, uint64 size) private view returns (uint256 boundary) {
        unchecked {
            uint256 fields = reading.fields;
            uint256 iat = fields >> 168 & type(uint40).max;
            uint256 past = (iat + TOLERANCE) % HOUR;
            if (past > 2 * TOLERANCE) revert NotAtBoundary(uint40(iat));
            boundary = iat + TOLERANCE - past;
            Envelope.writeReading(w.page, reading);
            w.registers[w.count] = fields >> 48 & type(uint56).max;
            w.lastIat = iat;
            _keep(w, fields >> 208, size);
        }
    }

    /// @dev Keeps the leaf of the envelope that was written, and checks its signature where that is done here.
    function _keep(Work memory w, uint256 index, uint64 size) private view {
        unchecked {
            if (index >= size) revert BadProof();
            bytes32 leaf = Envelope.leaf(w.page);
            uint256 count = w.count;
            uint256[] memory row = w.row;
            uint256 twin = 0;
            assembly ("memory-safe") {
                // Most logs are in the order of time: then nothing moves.
                let first := add(row, 32)
                let pos := add(first, shl(6, count))
                for {} gt(pos, first) { pos := sub(pos, 64) } {
                    let before := mload(sub(pos, 64))
                    if lt(before, index) { break }
                    twin := or(twin, eq(before, index))
                    mstore(pos, before)
                    mstore(add(pos, 32), mload(sub(pos, 32)))
                }
                mstore(pos, index)
                mstore(add(pos, 32), leaf)
            }
            if (twin != 0) revert BadProof();
            if (w.x != 0) _demandSigned(w, count);
            w.count = count + 1;
        }
    }

    function _demandSigned(Work memory w, uint256 number) private view {
        (bytes32 r, bytes32 s) = Envelope.signature(w.page);
        if (!P256Key.verify(Envelope.digest(w.page), r, s, w.x, w.y)) revert BadSignature(w.device, number);
    }

    function _demandPeriod(Work memory w, uint256 time) private pure {
        if (time < w.plant.validFrom || time >= w.plant.validUntil) revert OutsidePeriod(w.device, uint40(time));
    }

    /// @dev What the register says of the time between two of its readings.
    function _energy(Work memory w, uint256 from, uint256 before, uint256 then, uint256 time, uint256 limit)
        private
        view
        returns (uint256 wh)
    {
        unchecked {
            wh = then - before;
            if (then < before) {
                uint256 modulus = _moduli[w.device];
                if (before >= modulus) revert RegisterFell(uint40(from), uint64(before), uint64(then));
                wh += modulus;
            }
            uint256 most = uint256(w.plant.capacityW) * time * 105 / 360_000;
            if (most > limit) most = limit;
            if (wh > most) revert OverCapacity(uint40(from), wh, most);
        }
    }

    function _demandIncluded(Work memory w, Proof calldata proof) private view {
        bytes32 root = ANCHORS.rootAt(proof.origin, proof.size);
        if (root == 0 || ANCHORS.isFrozen(proof.origin)) revert NotAnchored(proof.origin, proof.size);
        (bytes32 computed, uint256 wanted) = Rfc6962.multiRoot(w.row, proof.size, proof.nodes);
        if (wanted != proof.nodes.length) revert BadProof();
        if (computed != root) revert NotIncluded(root, computed);
    }

    // --- slots -------------------------------------------------------------------------------------------------------

    /// @dev Takes the slots from `start` on, and mints. With `skip` it leaves out those that are taken.
    function _certify(Work memory w, uint256 start, bool skip) private returns (uint256 id) {
        bytes32 point = w.point;
        uint256 day = start / DAY;
        Point storage p = _points[point];
        uint256 version = p.withdrawn ? _versions[point][day] : 0;
        if (version != 0) _demandWithdrawer(point, day);
        _take(w, start, skip);
        _fixEnds(w, start);
        uint256 debited = version != 0 || p.debt != 0 ? _debit(w, p, start / HOUR) : 0;
        uint256 certified = w.certified;
        _discharge(w, certified - debited);
        id = _dayId(point, day, version);
        _say(w, id, start, debited);
        if (certified != debited) _mint(w.plant.owner, id, certified - debited, "");
    }

    function _say(Work memory w, uint256 id, uint256 start, uint256 debited) private {
        emit Minted(
            id,
            w.point,
            w.device,
            w.plant.owner,
            uint40(start),
            w.certified,
            debited,
            uint64(w.registers[0]),
            uint64(w.registers[w.registers.length - 1]),
            w.lanes
        );
    }

    /// @dev Takes the slots of a gap, and mints what its registers show.
    function _certifyGap(Work memory w, uint256 from, uint256 until, uint256 wh) private returns (uint256 id) {
        // What was claimed of these hours before they were withdrawn is part of it.
        uint256 paid = _takeGap(w.point, from, until);
        _fix(w, from, w.registers[0]);
        _fix(w, until, w.registers[1]);
        Point storage p = _points[w.point];
        uint256 debt = p.debt + paid;
        uint256 debited = debt < wh ? debt : wh;
        if (debt != 0) p.debt = uint96(debt - debited);
        _discharge(w, wh - debited);
        id = _residualId(w.point, KstMonth.number(from));
        _sayGap(w, id, from, until, wh, debited);
        if (wh != debited) _mint(w.plant.owner, id, wh - debited, "");
    }

    function _sayGap(Work memory w, uint256 id, uint256 from, uint256 until, uint256 wh, uint256 debited) private {
        emit ResidualMinted(
            id,
            w.point,
            w.device,
            w.plant.owner,
            uint40(from),
            uint40(until),
            wh,
            debited,
            uint64(w.registers[0]),
            uint64(w.registers[1])
        );
    }

    /// @dev Takes the slots from `start` on; with `skip` it leaves out those that are taken.
    function _take(Work memory w, uint256 start, bool skip) private {
        unchecked {
            uint256 n = w.amounts.length;
            // With room for the zeros that _takeWord writes behind the last.
            uint256[] memory lanes = new uint256[]((n + 7) / 8 + 1);
            assembly ("memory-safe") {
                mstore(lanes, sub(mload(lanes), 1))
            }
            w.lanes = lanes;
            mapping(uint256 => uint256) storage slots = _slots[w.point];
            uint256 number = start / HOUR;
            for (uint256 i = 0; i < n;) {
                uint256 cell = (number + i) / 8;
                uint256 word = slots[cell];
                // To the end of the word, or of the batch.
                uint256 stop = (cell + 1) * 8 - number;
                if (stop > n) stop = n;
                uint256 taken = _takeWord(w, number, i, stop, word, skip);
                if (taken != word) slots[cell] = taken;
                i = stop;
            }
            if (w.fresh == 0) revert SlotTaken(w.point, uint40(start));
        }
    }

    /// @dev Takes the slots `i` to `stop` of a batch whose first one is hour `number`, in their word.
    function _takeWord(Work memory w, uint256 number, uint256 i, uint256 stop, uint256 word, bool skip)
        private
        pure
        returns (uint256)
    {
        uint256 amounts;
        uint256 lanes;
        (uint256 sum, uint256 fresh) = (w.certified, w.fresh);
        {
            (uint256[] memory a, uint256[] memory l) = (w.amounts, w.lanes);
            assembly ("memory-safe") {
                amounts := add(a, 32)
                lanes := add(l, 32)
            }
        }
        unchecked {
            for (; i < stop; i++) {
                uint256 shift = 224 - (((number + i) & 7) << 5);
                if (word >> shift & TAKEN != 0) {
                    if (!skip) revert SlotTaken(w.point, uint40((number + i) * HOUR));
                    continue;
                }
                assembly ("memory-safe") {
                    let wh := mload(add(amounts, shl(5, i)))
                    let lane := or(0x80000000, wh)
                    word := or(word, shl(shift, lane))
                    // Four bytes each, which is from the highest bits on; what is written behind them is zeros.
                    mstore(add(lanes, shl(2, i)), shl(224, lane))
                    sum := add(sum, wh)
                    fresh := or(fresh, shl(i, 1))
                }
            }
        }
        (w.certified, w.fresh) = (sum, fresh);
        return word;
    }

    /// @dev Takes all slots of a gap, as no hour of any amount. `paid` are the Wh that were claimed of them before.
    function _takeGap(bytes32 point, uint256 from, uint256 until) private returns (uint256 paid) {
        unchecked {
            bool withdrawn = _points[point].withdrawn;
            uint256 n = until / HOUR;
            for (uint256 i = from / HOUR; i < n;) {
                uint256 cell = i / 8;
                uint256 word = _slots[point][cell];
                uint256 claimed;
                if (withdrawn) {
                    if (_versions[point][cell / 3] != 0) _demandWithdrawer(point, cell / 3);
                    claimed = _claimed[point][cell];
                }
                uint256 stop = cell * 8 + 8 < n ? cell * 8 + 8 : n;
                for (; i < stop; i++) {
                    uint256 shift = 224 - (i % 8) * 32;
                    if (word >> shift & TAKEN != 0) revert SlotTaken(point, uint40(i * HOUR));
                    word |= (TAKEN | RESIDUAL) << shift;
                    paid += claimed >> shift & WH;
                }
                _slots[point][cell] = word;
            }
        }
    }

    /// @dev Takes off what was claimed of earlier versions of these slots, then what debt the metering point has, from the
    /// first slots on. Both count as claimed of the slot. `debited` are the Wh that are not minted.
    function _debit(Work memory w, Point storage p, uint256 number) private returns (uint256 debited) {
        mapping(uint256 => uint256) storage claims = _claimed[w.point];
        uint256[] memory amounts = w.amounts;
        uint256 debt = p.debt;
        for (uint256 i = 0; i < amounts.length; i++) {
            if (w.fresh >> i & 1 == 0) continue;
            (uint256 cell, uint256 shift) = _place(number + i);
            uint256 claimed = claims[cell] >> shift & LANE;
            if (claimed > amounts[i]) {
                // More than there was: what is too much is owed.
                debt += claimed - amounts[i];
                claims[cell] -= (claimed - amounts[i]) << shift;
                claimed = amounts[i];
            }
            debited += claimed;
        }
        uint256 left = w.certified - debited;
        if (left > debt) left = debt;
        debited += left;
        if (debt - left != p.debt) p.debt = uint96(debt - left);
        for (uint256 i = 0; left != 0; i++) {
            if (w.fresh >> i & 1 == 0) continue;
            (uint256 cell, uint256 shift) = _place(number + i);
            uint256 rest = amounts[i] - (claims[cell] >> shift & LANE);
            if (rest > left) rest = left;
            claims[cell] += rest << shift;
            left -= rest;
        }
    }

    /// @dev A storage plant gives back what it was charged with, as far as it is minted.
    function _discharge(Work memory w, uint256 wh) private {
        if (w.plant.kind != "storage" && w.plant.energySource != "storage") return;
        Point storage p = _points[w.point];
        uint256 charged = p.charged;
        if (charged < wh) revert NotCharged(w.point, charged, wh);
        (p.charged, p.stores) = (uint96(charged - wh), true);
    }

    /// @dev Fixes a boundary, or holds the register against what is fixed.
    function _fix(Work memory w, uint256 boundary, uint256 register) private {
        unchecked {
            mapping(uint256 => uint256) storage boundaries = _boundaries[w.point];
            (uint256 cell, uint256 shift) = _boundaryPlace(boundary);
            uint256 word = boundaries[cell];
            uint256 lane = FIXED | register << 31 | uint256(w.device) >> 225;
            uint256 held = word >> shift & BOUNDARY;
            if (held == lane) return;
            if (held != 0) revert BoundaryFixed(w.point, uint40(boundary), uint64(held >> 31 & (1 << 53) - 1));
            boundaries[cell] = word | lane << shift;
        }
    }

    /// @dev Fixes where runs of fresh slots begin and end: where two bits beside each other differ.
    function _fixEnds(Work memory w, uint256 start) private {
        unchecked {
            uint256 i = 0;
            for (uint256 ends = w.fresh ^ (w.fresh << 1); ends != 0; ends >>= 1) {
                if (ends & 1 != 0) _fix(w, start + i * HOUR, w.registers[i]);
                i++;
            }
        }
    }

    function _demandWithdrawer(bytes32 point, uint256 day) private view {
        if (!hasRole(WITHDRAWER_ROLE, msg.sender)) revert DayWithdrawn(point, uint32(day));
    }

    // --- claiming, withdrawing ---------------------------------------------------------------------------------------

    /// @inheritdoc ICredits
    function claim(Line[] calldata lines, bytes32 beneficiary, Purpose purpose, string calldata recipient) external {
        if (lines.length == 0) revert BadClaim();
        uint256 wh = 0;
        for (uint256 i = 0; i < lines.length; i++) {
            wh += _claim(lines[i], purpose);
        }
        _claimed_(wh, beneficiary, purpose, recipient);
    }

    function _claim(Line calldata line, Purpose purpose) private returns (uint256 wh) {
        (bytes32 point, uint256 slot) = (line.meteringPoint, line.slot);
        wh = line.wh;
        if (wh == 0 || slot % HOUR != 0) revert BadClaim();
        (uint256 cell, uint256 shift) = _place(slot / HOUR);
        uint256 lane = _slots[point][cell] >> shift & LANE;
        uint256 left = 0;
        if (lane & TAKEN != 0 && lane & WH != RESIDUAL) left = (lane & WH) - (_claimed[point][cell] >> shift & LANE);
        if (wh > left) revert SlotClaimed(point, uint40(slot), left);
        _claimed[point][cell] += wh << shift;
        uint256 id = idOf(point, uint32(slot / DAY));
        _burn(msg.sender, id, wh);
        emit ClaimSingle(address(this), msg.sender, uint256(purpose), id, wh, abi.encode(slot));
    }

    /// @inheritdoc ICredits
    function claimResidual(
        bytes32 meteringPoint,
        uint40 month,
        uint256 wh,
        bytes32 beneficiary,
        Purpose purpose,
        string calldata recipient
    ) external {
        if (wh == 0) revert BadClaim();
        uint256 id = residualIdOf(meteringPoint, month);
        _burn(msg.sender, id, wh);
        emit ClaimSingle(address(this), msg.sender, uint256(purpose), id, wh, abi.encode(month));
        _claimed_(wh, beneficiary, purpose, recipient);
    }

    /// @dev What follows a claim of `wh` altogether.
    function _claimed_(uint256 wh, bytes32 beneficiary, Purpose purpose, string calldata recipient) private {
        if (purpose == Purpose.Donation && bytes(recipient).length == 0) revert BadClaim();
        if (purpose == Purpose.StorageCharge) {
            if (beneficiary == 0) revert BadClaim();
            _points[beneficiary].charged += uint96(wh);
        }
        emit Claimed(msg.sender, beneficiary, purpose, wh, recipient);
    }

    /// @inheritdoc ICredits
    function withdraw(bytes32 meteringPoint, uint32 day, string calldata reason) external onlyRole(WITHDRAWER_ROLE) {
        uint256 wh = 0;
        bool any = false;
        for (uint256 cell = uint256(day) * 3; cell < uint256(day) * 3 + 3; cell++) {
            uint256 word = _slots[meteringPoint][cell];
            uint256 claimed = _claimed[meteringPoint][cell];
            uint256 kept = 0;
            for (uint256 shift = 0; shift < 256; shift += 32) {
                uint256 lane = word >> shift & LANE;
                if (lane & TAKEN == 0) continue;
                // A residual's tokens are of its month, and stay what they are; so its slots stay taken.
                if (lane & WH == RESIDUAL) {
                    kept |= lane << shift;
                    continue;
                }
                any = true;
                wh += (lane & WH) - (claimed >> shift & LANE);
            }
            if (word != kept) _slots[meteringPoint][cell] = kept;
        }
        if (!any) revert NothingToWithdraw(meteringPoint, day);
        uint256 version = _versions[meteringPoint][day];
        uint256 id = _dayId(meteringPoint, day, version);
        // 8 bits of the id; a day that was wrong 255 times is not certified a 256th time.
        if (++version > type(uint8).max) revert DayWithdrawn(meteringPoint, day);
        _versions[meteringPoint][day] = version;
        _frozen[id] = true;
        Point storage p = _points[meteringPoint];
        p.withdrawn = true;
        // What a storage plant gave back is worth nothing now: it may give it back again.
        if (p.stores) p.charged += uint96(wh);
        emit Withdrawn(id, meteringPoint, day, uint8(version), wh, reason);
    }

    /// @dev Withdrawn tokens don't move, by whatever path.
    function _update(address from, address to, uint256[] memory ids, uint256[] memory values) internal override {
        if (from != address(0)) {
            for (uint256 i = 0; i < ids.length; i++) {
                if (_frozen[ids[i]]) revert TokenWithdrawn(ids[i]);
            }
        }
        super._update(from, to, ids, values);
    }

    // --- what devices are known for ----------------------------------------------------------------------------------

    /// @inheritdoc ICredits
    function showKey(string calldata iss, bytes32 x, bytes32 y) external {
        bytes32 device = keccak256(bytes(iss));
        if (!P256Key.isNamedBy(iss, x, y)) revert WrongKey(device);
        _keys[device] = P256Key.Point(x, y);
        emit KeyShown(device, x, y);
    }

    /// @inheritdoc ICredits
    function setModulus(bytes32 device, uint64 modulus) external {
        if (!IAccessControl(address(DEVICES)).hasRole(REGISTRAR_ROLE, msg.sender)) {
            revert AccessControlUnauthorizedAccount(msg.sender, REGISTRAR_ROLE);
        }
        if (modulus > 1 << 53) revert BadField();
        _moduli[device] = modulus;
        emit ModulusSet(device, modulus);
    }

    // --- what is held ------------------------------------------------------------------------------------------------

    /// @inheritdoc ICredits
    function slotOf(bytes32 meteringPoint, uint40 slot)
        external
        view
        returns (bool certified, uint32 wh, uint32 claimed)
    {
        (uint256 cell, uint256 shift) = _place(slot / HOUR);
        uint256 lane = _slots[meteringPoint][cell] >> shift & LANE;
        certified = lane & TAKEN != 0;
        wh = lane & WH == RESIDUAL ? 0 : uint32(lane & WH);
        claimed = uint32(_claimed[meteringPoint][cell] >> shift & LANE);
    }

    /// @inheritdoc ICredits
    function boundaryOf(bytes32 meteringPoint, uint40 boundary)
        external
        view
        returns (bool isFixed, uint64 register, uint32 deviceTag)
    {
        (uint256 cell, uint256 shift) = _boundaryPlace(boundary);
        uint256 lane = _boundaries[meteringPoint][cell] >> shift & BOUNDARY;
        return (lane & FIXED != 0, uint64(lane >> 31 & (1 << 53) - 1), uint32(lane & (1 << 31) - 1));
    }

    /// @inheritdoc ICredits
    function idOf(bytes32 meteringPoint, uint32 day) public view returns (uint256) {
        return _dayId(meteringPoint, day, _versions[meteringPoint][day]);
    }

    /// @inheritdoc ICredits
    function residualIdOf(bytes32 meteringPoint, uint40 month) public pure returns (uint256) {
        if (!KstMonth.isFirst(month)) revert BadResidual(month, month);
        return _residualId(meteringPoint, KstMonth.number(month));
    }

    /// @inheritdoc ICredits
    function chargedOf(bytes32 meteringPoint) external view returns (uint256) {
        return _points[meteringPoint].charged;
    }

    /// @inheritdoc ICredits
    function debtOf(bytes32 meteringPoint) external view returns (uint256) {
        return _points[meteringPoint].debt;
    }

    /// @inheritdoc ICredits
    function checksP256() external view returns (bool) {
        return CHECKS_P256;
    }

    /// @inheritdoc ERC1155
    function supportsInterface(bytes4 id) public view override(ERC1155, AccessControlDefaultAdminRules) returns (bool) {
        return super.supportsInterface(id);
    }

    /// @dev The word of an hour, counted from 1970 on, and how far its lane is from the lowest bits.
    function _place(uint256 hour) private pure returns (uint256 cell, uint256 shift) {
        unchecked {
            return (hour / 8, 224 - hour % 8 * 32);
        }
    }

    /// @dev Boundaries of one hour are in one word but where the second begins a new one, so that an hour writes one word
    /// more often than two; those between days are beside each other, so that a whole day does.
    function _boundaryPlace(uint256 boundary) private pure returns (uint256 cell, uint256 shift) {
        unchecked {
            uint256 day = boundary / DAY;
            uint256 hour = boundary % DAY / HOUR;
            return hour == 0 ? (1 << 64 | day / 3, day % 3 * 85) : (day * 8 + (hour - 1) / 3, (hour - 1) % 3 * 85);
        }
    }

    function _dayId(bytes32 point, uint256 day, uint256 version) private pure returns (uint256) {
        unchecked {
            return uint256(point) >> 64 << 64 | DAY_TOKEN | day << 8 | version;
        }
    }

    function _residualId(bytes32 point, uint256 month) private pure returns (uint256) {
        unchecked {
            return uint256(point) >> 64 << 64 | MONTH_TOKEN | month << 8;
        }
    }
}
