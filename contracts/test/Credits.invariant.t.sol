// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";

import {ICredits} from "../src/ICredits.sol";
import {IMarket} from "../src/IMarket.sol";
import {Signed} from "./Envelopes.sol";
import {CreditsWorld} from "./CreditsWorld.sol";
import {Harness, Vm} from "./Harness.sol";

/// @dev Some plants whose devices sign the truth, and some people who send, trade, claim and withdraw what comes of it, in
/// any order: what is due, what is late, what was sent before, and readings that are chosen to get more than there was.
///
/// What a plant really generated is known here by the second (`energy`), so that whatever anybody gets out of the contract
/// can be held against it. The books beside the contract are kept from its events alone.
contract Town is CreditsWorld {
    uint256 public constant PLANTS = 5;
    uint256 internal constant METERS_ONLY = 0;
    /// Gets new meters.
    uint256 internal constant SWAPPED = 1;
    /// Its registers begin anew at MODULUS, which is known from some time on only.
    uint256 internal constant ROLLING = 2;
    uint256 internal constant STORING = 3;
    /// Reads at the full hours, and sends day profiles too.
    uint256 internal constant PROFILING = 4;
    uint64 internal constant MODULUS = 40_000;
    uint32 internal constant FIRST_DAY = 20_800;
    uint40 internal constant START = uint40(FIRST_DAY) * DAY;

    struct Plant {
        string sub;
        bytes32 point;
        address owner;
        uint64 capacityW;
        string[] dids;
        /// For each device, since when it is there (s) and what it showed then.
        uint40[] since;
        uint64[] initial;
        /// Wh from START to each full hour since.
        uint256[] energy;
        /// The first hour that is still to be certified, counted from START.
        uint256 next;
        // --- the books ---
        /// 1 and the Wh of each hour that is certified now; of those of 0 Wh none are kept.
        mapping(uint256 hour => uint256) certified;
        mapping(uint256 hour => bool) inResidual;
        /// By the hour that it ends at.
        mapping(uint256 hour => Residual) residuals;
        /// 1 and the register that a batch or a residual began or ended with at this hour.
        mapping(uint256 hour => uint256) ends;
        uint256 certifiedSum;
        uint256 residualSum;
        uint256 claimed;
        uint256 circulating;
        uint256 charged;
    }

    struct Residual {
        uint256 from;
        uint256 wh;
    }

    struct Token {
        uint256 plant;
        uint256 minted;
        uint256 claimed;
        bool withdrawn;
        uint256 withdrawnWh;
        uint32 day;
        mapping(address => uint256) frozen;
    }

    Plant[] internal plants;
    uint256[] internal ids;
    mapping(uint256 id => Token) internal tokens;
    uint256[] internal withdrawnIds;
    address[] internal people;
    bytes[] internal sent;
    uint40 internal time = START + 2 * HOUR;

    /// @dev How often each thing was done with success.
    string[] public names = [
        "mint",
        "mint a day",
        "mint a residual",
        "mint again",
        "transfer",
        "claim",
        "claim a residual",
        "claim a charge",
        "withdraw",
        "list",
        "buy",
        "cancel",
        "swap"
    ];
    mapping(string name => uint256) internal count;
    uint256 public calls;
    /// @dev What was sent last was a day profile.
    bool private profiled;

    /// @dev What must stay false, or empty.
    string public wrong;

    constructor() {
        people = [address(0xA1), address(0xA2), address(0xA3), address(0xA4), address(this)];
        for (uint256 i = 0; i < PLANTS; i++) {
            Plant storage p = plants.push();
            p.sub = string(abi.encodePacked("urn:sejong:mp:plant-", bytes1(uint8(48 + i))));
            p.point = keccak256(bytes(p.sub));
            p.owner = people[i % 3];
            p.capacityW = uint64(3000 + i * 700);
            p.energy.push(0);
            install(i, uint64(i == ROLLING ? 35_000 : 1000 * i), START);
        }
        for (uint256 i = 0; i < people.length; i++) {
            krw.mint(people[i], 1e18);
            vm.prank(people[i]);
            krw.approve(address(market), type(uint256).max);
            vm.prank(people[i]);
            credits.setApprovalForAll(address(market), true);
        }
    }

    /// @dev Some time goes by before each thing that is done.
    modifier later(uint256 dice) {
        time += uint40(dice % 2900);
        vm.warp(time);
        _;
    }

    /// @dev Forge likes small numbers, and the same ones again.
    function shaken(uint256 dice) private returns (uint256) {
        return uint256(keccak256(abi.encode(dice, ++calls)));
    }

    // --- what a plant does ---------------------------------------------------------------------------------------------

    function install(uint256 i, uint64 initial, uint40 since) private {
        Plant storage p = plants[i];
        string memory iss = did(1 + i * 1000 + p.dids.length);
        enroll(iss, p.sub, p.owner, i == STORING ? bytes12("storage") : bytes12("plant"), p.capacityW);
        p.dids.push(iss);
        p.since.push(since);
        p.initial.push(initial);
    }

    /// @dev Wh of an hour: often none, seldom more than the plant can.
    function hourly(uint256 i, uint256 hour) private view returns (uint256) {
        uint256 dice = uint256(keccak256(abi.encode(i, hour)));
        if (dice % 8 == 0) return 0;
        if (dice % 97 == 1) return plants[i].capacityW * 2;
        return (dice >> 8) % (plants[i].capacityW * 98 / 100);
    }

    /// @dev Wh that the plant gave from START to then.
    function energy(uint256 i, uint256 then) private returns (uint256) {
        if (then <= START) return 0;
        uint256 hour = (then - START) / HOUR;
        uint256[] storage sums = plants[i].energy;
        for (uint256 h = sums.length - 1; h < hour; h++) {
            sums.push(sums[h] + hourly(i, h));
        }
        return sums[hour] + hourly(i, hour) * ((then - START) % HOUR) / HOUR;
    }

    /// @dev What a device of the plant shows then, and signs.
    function shown(uint256 i, uint256 device, uint256 then) private returns (Signed memory) {
        Plant storage p = plants[i];
        uint256 register = p.initial[device] + energy(i, then) - energy(i, p.since[device]);
        if (i == ROLLING) register %= MODULUS;
        return reading(p.dids[device], p.sub, uint40(then), uint64(register));
    }

    /// @dev The reading of an hour that an honest device keeps for it: always the same one.
    function honest(uint256 i, uint256 device, uint256 hour) private view returns (uint256 then) {
        then = START + hour * HOUR;
        if (i == PROFILING) return then;
        uint256 dice = uint256(keccak256(abi.encode("jitter", i, device, hour)));
        if (dice % 3 != 0) then = then + (dice >> 8) % 121 - 60;
        if (then < plants[i].since[device]) then = plants[i].since[device];
    }

    // --- minting ---------------------------------------------------------------------------------------------------------

    struct Batch {
        uint256 plant;
        uint256 device;
        uint256 from;
        uint256 until;
        Signed[] readings;
    }

    /// @dev The hours that are due; with some dice, others, or readings other than those that the device keeps.
    function mint(uint256 dice, uint256 which) external later(dice) {
        dice = shaken(dice);
        Batch memory b = batch(dice, which, 1, 12);
        if (b.until == 0) return;
        attempt("mint", b, mintCall(b.readings), (dice >> 64) % 32 == 0 ? address(this) : someone(dice));
    }

    /// @dev By the plant's owner, for whom alone that is; or by somebody who would spoil their hours.
    function mintResidual(uint256 dice, uint256 which) external later(dice) {
        dice = shaken(dice);
        Batch memory b = batch(dice, which, 2, 4);
        if (b.until == 0) return;
        address owner = plants[b.plant].owner;
        address sender = (dice >> 64) % 8 == 0 ? someone(dice) : owner;
        bytes memory call = residualCall(b.readings[0], b.readings[b.readings.length - 1]);
        if (attempt("mint a residual", b, call, sender) && sender != owner) wrong = "a stranger took hours away";
    }

    function mintDay(uint256 dice, bool storing) external later(dice) {
        dice = shaken(dice);
        Batch memory b;
        b.plant = dice % 4 == 0 ? (dice >> 8) % PLANTS : (storing && dice % 3 == 0 ? STORING : PROFILING);
        b.device = plants[b.plant].dids.length - 1;
        uint256 days_ = (time - START) / DAY;
        if (days_ == 0) return;
        uint32 day = uint32((dice >> 16) % 2 == 0 ? days_ - 1 : (dice >> 24) % days_);
        if (plants[b.plant].since[b.device] > START + day * DAY) return;
        uint64[] memory registers = new uint64[](25);
        for (uint256 i = 0; i < 25; i++) {
            registers[i] = shown(b.plant, b.device, START + day * DAY + i * HOUR).registers[0];
        }
        Plant storage p = plants[b.plant];
        Signed memory e =
            profile(p.dids[b.device], p.sub, FIRST_DAY + day, START + (day + 1) * DAY + uint40(dice % 50), registers);
        b.until = (day + 1) * 24;
        attempt("mint a day", b, dayCall(e), someone(dice));
    }

    /// @dev Only who withdrew certifies a day again; with the readings that the device keeps, or with others.
    function mintAgain(uint256 dice, bool whole) external later(dice) {
        dice = shaken(dice);
        if (withdrawnIds.length == 0) return;
        for (uint256 i = 0; i < 4; i++) {
            if (again(uint256(keccak256(abi.encode(dice, i))), whole && i == 0)) return;
        }
    }

    function again(uint256 dice, bool whole) private returns (bool) {
        Token storage t = tokens[withdrawnIds[dice % withdrawnIds.length]];
        Plant storage p = plants[t.plant];
        Batch memory b;
        b.plant = t.plant;
        b.device = (dice >> 80) % p.dids.length;
        uint256 midnight = uint256(t.day - FIRST_DAY) * 24;
        b.from = midnight + (whole ? 0 : (dice >> 16) % 20);
        b.until = b.from + 1 + (dice >> 24) % 6;
        if (whole || b.until > midnight + 24) b.until = midnight + 24;
        if (START + b.until * HOUR + 60 > time || START + b.from * HOUR < p.since[b.device]) return false;
        fill(b, dice, (dice >> 96) % 4 == 0 ? 8 : 1, true);
        return attempt("mint again", b, mintCall(b.readings), address(this));
    }

    /// @dev What was sent before, by anybody but who withdraws: nothing comes of it again.
    function resend(uint256 dice) external later(dice) {
        dice = shaken(dice);
        if (sent.length == 0) return;
        vm.prank(people[dice % 4]);
        (bool ok, bytes memory why) = address(credits).call(sent[(dice >> 8) % sent.length]);
        if (ok) wrong = "the same envelopes twice";
        judge(ok, why);
    }

    function swap(uint256 dice) external later(dice) {
        dice = shaken(dice);
        Plant storage p = plants[SWAPPED];
        uint256 old = p.dids.length - 1;
        if (dice % 2 != 0 || old > 5) return;
        install(SWAPPED, uint64(dice >> 8) % 100_000, time);
        count["swap"]++;
        // Sometimes both go on for a while, as when the old one is not taken out of the registry.
        if (dice % 6 == 0) return;
        devices.replace(keccak256(bytes(p.dids[old])), keccak256(bytes(p.dids[old + 1])));
    }

    function declareModulus(uint256 dice) external later(dice) {
        dice = shaken(dice);
        if (dice % 4 == 0) credits.setModulus(keccak256(bytes(plants[ROLLING].dids[0])), MODULUS);
    }

    function batch(uint256 dice, uint256 which, uint256 least, uint256 longest) private returns (Batch memory b) {
        b.plant = which % PLANTS;
        // Its profiles come at the end of a day, and should find something.
        if (b.plant == PROFILING && dice % 6 != 0) return b;
        Plant storage p = plants[b.plant];
        b.device = p.dids.length - 1;
        uint256 now_ = (time - START - 60) / HOUR;
        b.from = p.next;
        if (dice % 5 == 0) {
            // Anything, of any device.
            b.device = (dice >> 8) % p.dids.length;
            b.from = (dice >> 16) % now_;
        }
        // A new meter's first hour is the first whole one.
        while (START + b.from * HOUR < p.since[b.device]) b.from++;
        b.until = b.from + least + (dice >> 24) % (longest - least + 1);
        // A day is a batch, but for a residual.
        uint256 tonight = (b.from / 24 + 1) * 24;
        if (least == 1 && b.until > tonight && dice % 11 != 0) b.until = tonight;
        if (b.until > now_) b.until = now_;
        if (b.until < b.from + least) b.until = 0;
        else fill(b, dice, 5, false);
    }

    /// @dev One time in `odds` with readings that are chosen, as far out as one may, and further; or only those `inside`,
    /// which a correction may change.
    function fill(Batch memory b, uint256 dice, uint256 odds, bool inside) private {
        b.readings = new Signed[](b.until - b.from + 1);
        bool chosen = (dice >> 32) % odds == 0;
        for (uint256 i = 0; i < b.readings.length; i++) {
            uint256 then = honest(b.plant, b.device, b.from + i);
            uint256 mine = uint256(keccak256(abi.encode(dice, i)));
            bool end = i == 0 || i == b.readings.length - 1;
            if (chosen && mine % 2 == 0 && !(inside && end)) {
                uint256 reach = inside ? 60 : 62;
                then = START + (b.from + i) * HOUR + (mine >> 8) % (2 * reach + 1) - reach;
            }
            if (then < plants[b.plant].since[b.device]) then = plants[b.plant].since[b.device];
            b.readings[i] = shown(b.plant, b.device, then);
        }
    }

    function attempt(string memory what, Batch memory b, bytes memory call, address sender) private returns (bool) {
        uint256 had = plants[b.plant].certifiedSum + plants[b.plant].residualSum;
        vm.recordLogs();
        vm.prank(sender);
        (bool ok, bytes memory why) = address(credits).call(call);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        judge(ok, why);
        if (!ok) {
            // What is over the cap, or cannot be any more, is not waited for.
            Plant storage late = plants[b.plant];
            bytes4 name = bytes4(why);
            if (
                b.from == late.next && name != ICredits.DayWithdrawn.selector && name != ICredits.NotForAnybody.selector
            ) {
                if (name == ICredits.NotCharged.selector || name == ICredits.RegisterFell.selector) {
                    if (b.from + 30 < (time - START) / HOUR) late.next++;
                } else {
                    late.next++;
                }
            }
            return false;
        }
        profiled = b.readings.length == 0;
        follow(logs);
        count[what]++;
        sent.push(call);
        Plant storage p = plants[b.plant];
        if (b.until > p.next) p.next = b.until;
        if (b.readings.length == 0) return true;
        // Between two readings of one device there is what its registers say, to the Wh.
        uint256 last = b.readings.length - 1;
        uint256 difference = energy(b.plant, b.readings[last].iat) - energy(b.plant, b.readings[0].iat);
        if (p.certifiedSum + p.residualSum - had != difference) wrong = "not what its registers show";
        return true;
    }

    // --- what people do with it ----------------------------------------------------------------------------------------

    function transfer(uint256 dice, uint256 amount) external later(dice) {
        dice = shaken(dice);
        if (ids.length == 0) return;
        (uint256 id, address from) = held(dice);
        amount = between(amount, 0, IERC1155(address(credits)).balanceOf(from, id) + (dice % 16 == 0 ? 1 : 0));
        bytes memory call = abi.encodeCall(IERC1155.safeTransferFrom, (from, people[(dice >> 72) % 4], id, amount, ""));
        if (dice % 3 == 0) {
            (uint256[] memory which, uint256[] memory much) = (new uint256[](2), new uint256[](2));
            (which[0], which[1], much[0], much[1]) = (id, ids[(dice >> 80) % ids.length], amount, 0);
            call = abi.encodeCall(IERC1155.safeBatchTransferFrom, (from, people[(dice >> 72) % 4], which, much, ""));
        }
        vm.prank(from);
        (bool ok, bytes memory why) = address(credits).call(call);
        judge(ok, why);
        if (!ok) return;
        count["transfer"]++;
        if (tokens[id].withdrawn) wrong = "a withdrawn token moved";
    }

    function claim(uint256 dice, uint256 amount) external later(dice) {
        dice = shaken(dice);
        if (ids.length == 0) return;
        (uint256 id, address from) = held(dice);
        bool charge = dice % 2 == 0 && tokens[id].plant != STORING;
        bytes memory call = claimCall(id, charge, dice, amount, credits.balanceOf(from, id));
        bool residual = tokens[id].day == 0;
        vm.recordLogs();
        vm.prank(from);
        (bool ok, bytes memory why) = address(credits).call(call);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        judge(ok, why);
        if (!ok) return;
        follow(logs);
        count[residual ? "claim a residual" : "claim"]++;
        if (charge) count["claim a charge"]++;
    }

    function claimCall(uint256 id, bool charge, uint256 dice, uint256 amount, uint256 balance)
        private
        view
        returns (bytes memory)
    {
        Token storage t = tokens[id];
        ICredits.Purpose purpose = charge ? ICredits.Purpose.StorageCharge : ICredits.Purpose((dice >> 16) % 4);
        bytes32 beneficiary = charge ? plants[STORING].point : keccak256("somebody");
        if (t.day == 0) {
            amount = between(amount, 1, balance + 1);
            return abi.encodeCall(
                ICredits.claimResidual,
                (plants[t.plant].point, kstMonth(START), amount, beneficiary, purpose, "a school")
            );
        }
        ICredits.Line[] memory lines = new ICredits.Line[](1 + (dice >> 24) % 3);
        for (uint256 i = 0; i < lines.length; i++) {
            lines[i] = line(t.plant, uint256(t.day - FIRST_DAY) * 24, uint256(keccak256(abi.encode(dice, i))), balance);
            balance -= lines[i].wh > balance ? balance : lines[i].wh;
        }
        return abi.encodeCall(ICredits.claim, (lines, beneficiary, purpose, "a school"));
    }

    /// @dev An hour of the day that has something left, where there is one.
    function line(uint256 plant, uint256 midnight, uint256 dice, uint256 balance)
        private
        view
        returns (ICredits.Line memory l)
    {
        l.meteringPoint = plants[plant].point;
        for (uint256 i = 0; i < 24; i++) {
            l.slot = START + uint40(midnight + (dice + i) % 24) * HOUR;
            (bool certified, uint32 wh, uint32 gone) = credits.slotOf(l.meteringPoint, l.slot);
            if (!certified || wh <= gone) continue;
            uint256 left = wh - gone < balance ? wh - gone : balance;
            l.wh = 1;
            if (left == 0) return l;
            l.wh = uint32(between(dice >> 8, 1, left + (dice % 16 == 0 ? 1 : 0)));
            if ((dice >> 40) % 3 == 0) l.wh = uint32(left);
            return l;
        }
        l.wh = 1;
    }

    function withdraw(uint256 dice) external later(dice) {
        dice = shaken(dice);
        if (ids.length == 0 || dice % 3 != 0) return;
        Token storage t = tokens[ids[dice % ids.length]];
        if (t.day == 0) return;
        bytes memory call = abi.encodeCall(ICredits.withdraw, (plants[t.plant].point, t.day, "a wrong reading"));
        vm.prank(people[0]);
        (bool ok, bytes memory why) = address(credits).call(call);
        if (ok) wrong = "anybody may withdraw";
        uint256 id = credits.idOf(plants[t.plant].point, t.day);
        vm.recordLogs();
        (ok, why) = address(credits).call(call);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        judge(ok, why);
        if (!ok) return;
        follow(logs);
        for (uint256 i = 0; i < people.length; i++) {
            tokens[id].frozen[people[i]] = credits.balanceOf(people[i], id);
        }
        count["withdraw"]++;
    }

    function list(uint256 dice, uint64 wh) external later(dice) {
        dice = shaken(dice);
        if (ids.length == 0) return;
        (uint256 id, address from) = held(dice);
        vm.prank(from);
        market.list(id, uint64(between(wh, 1, 5000)), uint128(1 + dice % 100_000), time + 30 * HOUR);
        count["list"]++;
    }

    function buy(uint256 dice, uint64 wh) external later(dice) {
        dice = shaken(dice);
        uint256 listings = market.listings();
        if (listings == 0) return;
        uint256 listing = listings - (dice >> 8) % (listings < 6 ? listings : 6);
        IMarket.Listing memory l = market.get(listing);
        address buyer = people[(dice >> 16) % 4];
        uint256 balance = credits.balanceOf(l.seller, l.id);
        wh = uint64(between(wh, 1, 1 + (balance < l.left ? balance : l.left)));
        uint256 money = krw.balanceOf(buyer) + krw.balanceOf(l.seller);
        vm.prank(buyer);
        (bool ok, bytes memory why) = address(market).call(abi.encodeCall(market.buy, (listing, l.id, wh, l.price)));
        judge(ok, why);
        if (money != krw.balanceOf(buyer) + krw.balanceOf(l.seller)) wrong = "money was lost or made";
        if (!ok) return;
        count["buy"]++;
        if (tokens[l.id].withdrawn) wrong = "a withdrawn token was sold";
    }

    function cancel(uint256 dice) external later(dice) {
        dice = shaken(dice);
        uint256 listings = market.listings();
        if (listings == 0 || dice % 2 != 0) return;
        uint256 listing = 1 + (dice >> 8) % listings;
        vm.prank(market.get(listing).seller);
        (bool ok, bytes memory why) = address(market).call(abi.encodeCall(market.cancel, (listing)));
        judge(ok, why);
        if (ok) count["cancel"]++;
    }

    function someone(uint256 dice) private view returns (address) {
        return people[(dice >> 40) % 4];
    }

    /// @dev A token, mostly one that isn't withdrawn, and who has of it where anybody has.
    function held(uint256 dice) private view returns (uint256 id, address from) {
        for (uint256 i = 0; i < 6; i++) {
            id = ids[uint256(keccak256(abi.encode(dice, i))) % ids.length];
            for (uint256 j = 0; j < people.length; j++) {
                from = people[((dice >> 48) + j) % people.length];
                if (credits.balanceOf(from, id) != 0 && (!tokens[id].withdrawn || dice % 8 == 0)) return (id, from);
            }
        }
    }

    // --- the books -------------------------------------------------------------------------------------------------------

    function follow(Vm.Log[] memory logs) private {
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].emitter != address(credits)) continue;
            bytes32 what = logs[i].topics[0];
            if (what == ICredits.Minted.selector) followMinted(logs[i]);
            else if (what == ICredits.ResidualMinted.selector) followResidual(logs[i]);
            else if (what == ICredits.ClaimSingle.selector) followClaim(logs[i]);
            else if (what == ICredits.Claimed.selector) followPurpose(logs[i]);
            else if (what == ICredits.Withdrawn.selector) followWithdrawn(logs[i]);
        }
    }

    function book(uint256 id, uint256 plant, uint256 wh) private returns (Token storage t) {
        t = tokens[id];
        if (t.minted == 0 && t.plant == 0 && t.day == 0) ids.push(id);
        t.plant = plant;
        t.minted += wh;
        if (t.withdrawn) wrong = "a withdrawn token was minted";
        plants[plant].circulating += wh;
    }

    struct MintedData {
        address owner;
        uint40 firstSlot;
        uint256 minted;
        uint256 debited;
        uint64 startRegister;
        uint64 endRegister;
        uint256[] amounts;
    }

    function followMinted(Vm.Log memory log) private {
        MintedData memory m;
        (m.owner, m.firstSlot, m.minted, m.debited, m.startRegister, m.endRegister, m.amounts) =
            abi.decode(log.data, (address, uint40, uint256, uint256, uint64, uint64, uint256[]));
        uint256 i = plantOf(log.topics[2]);
        Plant storage p = plants[i];
        uint256 first = (m.firstSlot - START) / HOUR;
        Token storage t = book(uint256(log.topics[1]), i, m.minted - m.debited);
        t.day = uint32(m.firstSlot / DAY);
        uint256 sum = 0;
        for (uint256 lane = 0; lane < m.amounts.length * 8; lane++) {
            uint256 wh = uint32(m.amounts[lane / 8] >> (224 - 32 * (lane % 8)));
            if (wh == 0) continue;
            wh &= type(uint32).max >> 1; // The highest bit says that the slot is among them.
            uint256 hour = first + lane;
            if (p.certified[hour] != 0) wrong = "a slot twice";
            if (p.inResidual[hour]) wrong = "a slot that a residual has";
            p.certified[hour] = wh + 1;
            if (wh > most(i, hour, hour + 1)) wrong = "more than its registers show";
            sum += wh;
        }
        // Of a profile, which may have left out what was taken, it isn't said where its parts end.
        if (!profiled) {
            uint256 n = 0;
            for (; n < m.amounts.length * 8 && uint32(m.amounts[n / 8] >> (224 - 32 * (n % 8))) != 0; n++) {}
            meet(p, first, m.startRegister);
            meet(p, first + n, m.endRegister);
        }
        p.certifiedSum += sum;
        if (sum != m.minted) wrong = "the sum isn't that of the slots";
        if (m.owner != p.owner) wrong = "somebody else's plant";
    }

    /// @dev Two that meet at a boundary show the same register there, whatever was withdrawn between.
    function meet(Plant storage p, uint256 hour, uint256 register) private {
        if (p.ends[hour] != 0 && p.ends[hour] != register + 1) wrong = "another register at a boundary";
        p.ends[hour] = register + 1;
    }

    function followResidual(Vm.Log memory log) private {
        (, uint40 from, uint40 until, uint256 minted, uint256 debited, uint64 start, uint64 end) =
            abi.decode(log.data, (address, uint40, uint40, uint256, uint256, uint64, uint64));
        uint256 i = plantOf(log.topics[2]);
        Plant storage p = plants[i];
        book(uint256(log.topics[1]), i, minted - debited);
        (uint256 a, uint256 b) = ((from - START) / HOUR, (until - START) / HOUR);
        for (uint256 h = a; h < b; h++) {
            if (p.certified[h] != 0 || p.inResidual[h]) wrong = "a slot twice, by a residual";
            p.inResidual[h] = true;
        }
        meet(p, a, start);
        meet(p, b, end);
        p.residuals[b] = Residual({from: a, wh: minted});
        p.residualSum += minted;
        if (minted > most(i, a, b)) wrong = "a residual of more than its registers show";
    }

    function followClaim(Vm.Log memory log) private {
        (uint256 id, uint256 wh,) = abi.decode(log.data, (uint256, uint256, bytes));
        Token storage t = tokens[id];
        t.claimed += wh;
        plants[t.plant].claimed += wh;
        plants[t.plant].circulating -= wh;
        if (t.withdrawn) wrong = "a withdrawn token was claimed";
    }

    function followPurpose(Vm.Log memory log) private {
        if (uint256(log.topics[3]) != uint256(ICredits.Purpose.StorageCharge)) return;
        (uint256 wh,) = abi.decode(log.data, (uint256, string));
        plants[plantOf(log.topics[2])].charged += wh;
    }

    function followWithdrawn(Vm.Log memory log) private {
        (uint32 day,, uint256 wh,) = abi.decode(log.data, (uint32, uint8, uint256, string));
        Token storage t = tokens[uint256(log.topics[1])];
        if (t.withdrawn) wrong = "withdrawn twice";
        (t.withdrawn, t.withdrawnWh) = (true, wh);
        withdrawnIds.push(uint256(log.topics[1]));
        Plant storage p = plants[plantOf(log.topics[2])];
        p.circulating -= wh;
        for (uint256 h = uint256(day - FIRST_DAY) * 24; h < uint256(day - FIRST_DAY + 1) * 24; h++) {
            if (p.certified[h] != 0) p.certifiedSum -= p.certified[h] - 1;
            p.certified[h] = 0;
        }
    }

    function plantOf(bytes32 point) private view returns (uint256 i) {
        while (plants[i].point != point) i++;
    }

    /// @dev What a period can have at the most, with readings 60 s before it and 60 s behind it.
    function most(uint256 i, uint256 from, uint256 until) private returns (uint256) {
        return energy(i, START + until * HOUR + 60) - energy(i, START + from * HOUR - 60);
    }

    /// @dev Every refusal has a name of one of the contracts: no panic, no empty revert.
    function judge(bool ok, bytes memory why) private {
        if (ok) return;
        bytes4 name = bytes4(why);
        if (why.length < 4 || name == bytes4(keccak256("Panic(uint256)")) || name == bytes4(keccak256("Error(string)")))
        {
            wrong = "a refusal without a name";
        }
    }

    // --- for the invariants ----------------------------------------------------------------------------------------------

    function successes(string calldata name) external view returns (uint256) {
        return count[name];
    }

    /// @dev For each plant, at any time.
    function checkSums() external {
        for (uint256 i = 0; i < PLANTS; i++) {
            Plant storage p = plants[i];
            uint256 all = energy(i, uint256(time) + 60);
            uint256 used = p.claimed + p.circulating;
            uint256 debt = credits.debtOf(p.point);
            vm.assertTrue(p.certifiedSum + p.residualSum <= all, "certified more than the registers show");
            vm.assertTrue(used <= all + debt, "claimed and circulating are more than the registers show");
            if (i != STORING) continue;
            vm.assertTrue(p.certifiedSum + p.residualSum <= p.charged, "gave back more than it was charged with");
            vm.assertTrue(used <= p.charged + debt, "used more than it was charged with");
        }
    }

    /// @dev For each token: what was minted is with somebody, claimed, or withdrawn and where it was.
    function checkTokens() external view {
        for (uint256 i = 0; i < ids.length; i++) {
            Token storage t = tokens[ids[i]];
            uint256 sum = 0;
            for (uint256 j = 0; j < people.length; j++) {
                uint256 balance = credits.balanceOf(people[j], ids[i]);
                sum += balance;
                if (t.withdrawn) vm.assertEq(balance, t.frozen[people[j]], "a withdrawn token moved");
            }
            vm.assertEq(sum + t.claimed, t.minted, "claimed + withdrawn + circulating = minted");
            if (t.withdrawn) vm.assertEq(sum, t.withdrawnWh, "what was withdrawn");
            vm.assertEq(credits.balanceOf(address(market), ids[i]), 0, "the market keeps something");
        }
    }

    /// @dev For each plant: what was claimed and what circulates is what is certified. But for what was claimed, and then
    /// certified with less, which is still to be taken off; and for what was claimed of hours that were withdrawn and
    /// aren't certified again.
    function checkClaims() external view {
        for (uint256 i = 0; i < PLANTS; i++) {
            Plant storage p = plants[i];
            uint256 orphaned = 0;
            for (uint256 h = 0; h <= (time - START) / HOUR; h++) {
                (bool certified,, uint32 claimed) = credits.slotOf(p.point, START + uint40(h) * HOUR);
                if (!certified) orphaned += claimed;
            }
            vm.assertEq(
                p.claimed + p.circulating,
                p.certifiedSum + p.residualSum + credits.debtOf(p.point) + orphaned,
                "claimed + circulating = certified + owed"
            );
        }
    }

    /// @dev For each plant and each period: what is certified of it is what its registers show, at the most.
    function checkPeriods() external {
        for (uint256 i = 0; i < PLANTS; i++) {
            Plant storage p = plants[i];
            uint256 hours_ = (time - START) / HOUR + 1;
            uint256[] memory here = new uint256[](hours_ + 1);
            uint256[] memory low = new uint256[](hours_ + 1);
            uint256[] memory high = new uint256[](hours_ + 1);
            Residual[] memory gaps = new Residual[](hours_ + 1);
            for (uint256 h = 0; h <= hours_; h++) {
                (, uint32 wh,) = credits.slotOf(p.point, START + uint40(h) * HOUR);
                here[h] = wh;
                vm.assertEq(wh, p.certified[h] == 0 ? 0 : p.certified[h] - 1, "the events say something else");
                (low[h], high[h]) = (energy(i, START + h * HOUR - 60), energy(i, START + h * HOUR + 60));
                gaps[h] = p.residuals[h];
            }
            for (uint256 a = 0; a < hours_; a++) {
                uint256 sum = 0;
                for (uint256 b = a + 1; b <= hours_; b++) {
                    sum += here[b - 1];
                    if (gaps[b].wh != 0 && gaps[b].from >= a) sum += gaps[b].wh;
                    if (sum > high[b] - low[a]) vm.assertTrue(false, "a period with more than its registers show");
                }
            }
        }
    }
}

/// @dev In the suite, 2 sequences of 512 calls. Once, over 102,400 calls (in contracts/, with node_modules/.bin on the path):
///
///   FOUNDRY_PROFILE=long forge test --match-contract CreditsInvariantTest
///
/// forge-config: default.invariant.runs = 2
/// forge-config: default.invariant.depth = 512
/// forge-config: long.invariant.runs = 200
/// forge-config: long.invariant.depth = 512
contract CreditsInvariantTest is Harness {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    event log_named_uint(string what, uint256 times);

    Town internal town;

    function setUp() public {
        town = new Town();
    }

    /// @dev Forge asks for these: only what the town does is called.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(town);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory what = new bytes4[](16);
        (what[0], what[1], what[2]) = (Town.mint.selector, Town.mint.selector, Town.mint.selector);
        (what[3], what[4], what[5]) = (Town.mintDay.selector, Town.mintResidual.selector, Town.mintAgain.selector);
        (what[6], what[7], what[8]) = (Town.resend.selector, Town.swap.selector, Town.declareModulus.selector);
        (what[9], what[10], what[11]) = (Town.transfer.selector, Town.claim.selector, Town.claim.selector);
        (what[12], what[13], what[14]) = (Town.withdraw.selector, Town.list.selector, Town.buy.selector);
        what[15] = Town.cancel.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(town), selectors: what});
    }

    function invariant_NothingIsCountedTwice() public {
        vm.assertEq(keccak256(bytes(town.wrong())), keccak256(""), town.wrong());
        town.checkSums();
    }

    /// @dev At the end of each sequence: each token and each period, and that everything was really done.
    function afterInvariant() external {
        town.checkTokens();
        town.checkClaims();
        town.checkPeriods();
        for (uint256 i = 0; i < 13; i++) {
            string memory name = town.names(i);
            emit log_named_uint(name, town.successes(name));
            // Not of a sequence that forge has cut short, to show where something else failed.
            if (town.calls() < 500) continue;
            vm.assertTrue(town.successes(name) != 0, string.concat("never succeeded: ", name));
        }
    }
}
