/**
 * From readings to certificates: which hours of a metering point are known, and what is said of the rest. The result
 * depends on what is known, and never on the order in which it came; so it is computed anew whenever something came, late
 * readings and all, and nothing is ever estimated.
 */
import type { ErrorCode } from '../errors.ts';
import { HOUR } from '../wire/boundary.ts';
import { mostWh } from './cap.ts';
import { Choice, type Pair } from './choose.ts';
import { timeQuality } from './clock.ts';
import { Epochs } from './epochs.ts';
import { inverterDeviation } from './inverter.ts';
import { difference } from './register.ts';
import { HORIZON, highestSun } from './sun.ts';
import { dayOf, monthOfSpan, NEAR } from './time.ts';
import type { Boundary, Fixed, Flag, Level, Meter, Plant, Settled, SettleInput, Swap, Waiting } from './types.ts';

/** Why a reading makes no certificate: never, or not yet. */
type Unfit = { code: ErrorCode; detail: string } | Exclude<Waiting['reason'], 'charge'>;
const isFinal = (unfit: Unfit): unfit is { code: ErrorCode; detail: string } => typeof unfit === 'object';

/** `how`: between two meters. */
type Judged = { wh: number; flags: Flag[]; how?: Swap['how'] };

export function settle(plant: Plant, input: SettleInput): Settled {
  return new Settling(plant, input).run();
}

class Settling {
  readonly #plant: Plant;
  readonly #input: SettleInput;
  readonly #epochs: Epochs;
  /** Readings that certificates may stand on. */
  readonly #fit: Choice;
  /** All, and why not. */
  readonly #all: Choice;
  readonly #unfit = new Map<Boundary, Unfit>();
  /** By DID: where the last certified energy ends. */
  readonly #floors: Map<string, Level>;
  readonly #fixed: readonly Fixed[];
  #chargedWh: number;
  readonly #out: Settled = { certificates: [], residuals: [], refused: [], waiting: [], empty: [] };

  constructor(plant: Plant, input: SettleInput) {
    this.#plant = plant;
    this.#input = input;
    this.#epochs = new Epochs(plant, input.swaps);
    this.#floors = new Map(input.before ?? []);
    this.#fixed = input.fixed.toSorted((a, b) => a.at - b.at);
    this.#chargedWh = input.chargedWh ?? 0;
    const near = input.boundaries.filter(
      (b) => (b.shape === 'profile' || Math.abs(b.iat - b.at) <= NEAR) && !this.#epochs.isBeforeEpoch(b),
    );
    for (const b of near) {
      const unfit = this.#flaw(b);
      if (unfit !== undefined) this.#unfit.set(b, unfit);
    }
    const rank = (did: string): number => this.#epochs.number(did);
    this.#fit = new Choice(
      near.filter((b) => !this.#unfit.has(b)),
      input.fixed,
      rank,
    );
    this.#all = new Choice(near, input.fixed, rank);
  }

  run(): Settled {
    const hours = this.#all.hours.filter((at) => this.#isKnot(at));
    for (const [i, until] of hours.entries()) {
      const from = hours[i - 1];
      if (from !== undefined) this.#between(from, until);
    }
    this.#sayWhatNeverCounts();
    const byTime = (a: { from: number }, b: { from: number }): number => a.from - b.from;
    this.#out.refused.sort(byTime);
    this.#out.waiting.sort(byTime);
    return this.#out;
  }

  #flaw(b: Boundary): Unfit | undefined {
    const meter = this.#epochs.meter(b.device);
    if (!meter || !this.#epochs.isKnown(b.device))
      return { code: 'CREDIT_EPOCH_UNKNOWN', detail: `${b.device} at ${this.#plant.point}` };
    if (meter.custody === 'gateway') return { code: 'CREDIT_CUSTODY', detail: b.device };
    if (meter.status === 'revoked') return { code: 'CREDIT_METER_REVOKED', detail: b.device };
    const time = timeQuality(b);
    if (time === 'ahead')
      return {
        code: 'CREDIT_TIME',
        detail: `entry ${b.idx} says ${b.iat}, and was received at ${Math.floor(b.receivedMs / 1000)} (Unix seconds)`,
      };
    if (time === 'unknown') return 'clock';
    return meter.status === 'suspended' ? 'suspended' : undefined;
  }

  /** An hour that something is known of: a reading that counts or may count later, or what the chain holds. */
  #isKnot(at: number): boolean {
    return this.#fit.all(at).length > 0 || this.#fit.held(at) !== undefined || this.#pending(at) !== undefined;
  }

  /** Why all that is known of an hour has to wait. */
  #pending(at: number): Exclude<Waiting['reason'], 'charge'> | undefined {
    if (this.#fit.all(at).length > 0) return undefined;
    for (const b of this.#all.all(at)) {
      const unfit = this.#unfit.get(b);
      if (unfit !== undefined && !isFinal(unfit)) return unfit;
    }
    return undefined;
  }

  #between(from: number, until: number): void {
    const { taken } = this.#input;
    let [of, all] = [0, 0];
    for (let slot = from; slot < until; slot += HOUR, all++) if (taken.has(slot)) of++;
    if (of === all) this.#passed(until);
    // Something in between is certified, by readings that are not known here: nothing is said of the rest.
    if (of > 0) return;
    const reason = this.#pending(from) ?? this.#pending(until);
    if (reason !== undefined) {
      this.#wait(from, until, reason);
      return;
    }
    const pair = until - from === HOUR ? this.#fit.slot(from) : undefined;
    const span = this.#fit.span(from, until);
    if (pair) this.#slot(from, pair);
    else if (span) this.#span(from, until, span);
  }

  /** The chain has certified up to here: what comes after stands on that. */
  #passed(at: number): void {
    const held = this.#fixed.find((f) => f.at === at);
    if (held) this.#floors.set(held.device, { at, registerWh: held.registerWh });
  }

  #wait(from: number, until: number, reason: Waiting['reason']): void {
    const pair = this.#all.span(from, until);
    const known = pair && pair.start.device === pair.end.device ? pair.end.registerWh - pair.start.registerWh : 0;
    this.#out.waiting.push({ from, until, wh: Math.max(0, known), reason });
  }

  #slot(slot: number, pair: Pair): void {
    this.#fit.hold(pair);
    const { start, end } = pair;
    const until = slot + HOUR;
    const judged = this.#judge(slot, until, pair, start.registerWh, end.registerWh);
    if (!judged) return;
    const { wh, flags } = judged;
    this.#floors.set(end.device, { at: until, registerWh: end.registerWh });
    if (wh === 0) this.#out.empty.push({ slot, start, end });
    else if (this.#charge(slot, until, wh, flags)) {
      const version = this.#input.versions?.get(dayOf(slot)) ?? 0;
      flags.push(...this.#watch(slot, until, { start, end, wh }));
      this.#out.certificates.push({ slot, version, wh, start, end, flags });
    }
  }

  #span(from: number, until: number, pair: Pair): void {
    this.#fit.hold(pair);
    const { start, end } = pair;
    const isForeign = this.#fit.isForeign(from) || this.#fit.isForeign(until);
    const register = (b: Boundary, at: number): number => {
      const held = this.#fit.held(at);
      return held?.device === b.device ? held.registerWh : b.registerWh;
    };
    const [startWh, endWh] = [register(start, from), register(end, until)];
    const residual = { from, until, month: monthOfSpan(from, until), start, end, startWh, endWh };
    const isOfOneMeter = start.device === end.device;
    const judged = isOfOneMeter
      ? this.#judge(from, until, pair, startWh, endWh)
      : this.#bridge(from, until, { start: { ...start, registerWh: startWh }, end: { ...end, registerWh: endWh } });
    if (!judged) return;
    this.#floors.set(end.device, { at: until, registerWh: endWh });
    const { wh, flags } = judged;
    const isGap = until - from > HOUR;
    const reason = isForeign ? 'boundary-fixed' : (judged.how ?? (isGap ? 'gap' : 'shape'));
    const isMintable = isOfOneMeter && isGap && !isForeign && start.shape === 'reading' && end.shape === 'reading';
    const mintable = isMintable && residual.month !== undefined && wh > 0;
    if (wh > 0 && (!mintable || this.#charge(from, until, wh, flags)))
      this.#out.residuals.push({ ...residual, wh, reason, mintable, flags });
  }

  /** The energy between the readings of two meters, as far as the swap tells it. */
  #bridge(from: number, until: number, pair: Pair): Judged | undefined {
    const bridged = this.#epochs.bridge(pair.start, pair.end);
    if ('code' in bridged) return this.#refuse(from, until, pair, 0, bridged.code, bridged.detail);
    if (!this.#isAboveFloor(from, pair, pair.start.registerWh, until)) return undefined;
    const most = mostWh(this.#meter(pair.end).capacityW ?? 0, secondsOf(pair));
    if (bridged.wh > most)
      return this.#refuse(from, until, pair, bridged.wh, 'CREDIT_OVER_CAPACITY', over(bridged.wh, most));
    return { ...bridged, flags: [] };
  }

  #meter({ device }: Boundary): Meter {
    return this.#epochs.meter(device) as Meter;
  }

  /** The energy between two registers of one meter, where no rule says no. */
  #judge(from: number, until: number, pair: Pair, startWh: number, endWh: number): Judged | undefined {
    const meter = this.#meter(pair.start);
    const refuse = (wh: number, code: ErrorCode, detail: string): undefined =>
      this.#refuse(from, until, pair, wh, code, detail);
    const fell = (what: string): undefined => refuse(0, 'CREDIT_REGISTER_FELL', what);

    const given = difference(startWh, endWh, meter, secondsOf(pair));
    if (!given) return fell(`from ${startWh} to ${endWh} Wh (entries ${pair.start.idx} and ${pair.end.idx})`);
    if (!this.#isAboveFloor(from, pair, startWh, until)) return undefined;
    const next = this.#fixed.find((f) => f.at > until && f.device === meter.did);
    if (next && !difference(endWh, next.registerWh, meter, next.at - until))
      return fell(`${endWh} Wh is above ${next.registerWh} Wh, where what is certified after it begins`);

    const { wh, rollover } = given;
    if (meter.capacityW === null) return refuse(wh, 'CREDIT_CAPACITY_UNKNOWN', meter.did);
    const most = mostWh(meter.capacityW, secondsOf(pair));
    if (wh > most) return refuse(wh, 'CREDIT_OVER_CAPACITY', over(wh, most));
    const flags: Flag[] = [];
    if (rollover) flags.push({ flag: 'rollover', evidence: { modulusWh: meter.modulusWh as number, startWh, endWh } });
    for (const { clock } of [pair.start, pair.end])
      if (!clock.synced && !flags.some((f) => f.flag === 'clock-corrected'))
        flags.push({ flag: 'clock-corrected', evidence: { offsetMs: clock.offsetMs as number } });
    return { wh, flags };
  }

  /** What lies below is certified already: after a register that fell and came back it would count again. */
  #isAboveFloor(from: number, pair: Pair, startWh: number, until: number): boolean {
    const meter = this.#meter(pair.start);
    const floor = this.#floor(meter.did);
    if (!floor || floor.at > from || difference(floor.registerWh, startWh, meter, from - floor.at)) return true;
    const detail = `${startWh} Wh is below ${floor.registerWh} Wh, where what is certified before it ended`;
    this.#refuse(from, until, pair, 0, 'CREDIT_REGISTER_FELL', detail);
    return false;
  }

  /** With a new key a meter's register goes on. */
  #floor(did: string): Level | undefined {
    const begin = this.#epochs.begin(did);
    return this.#floors.get(did) ?? (begin?.how === 'rekey' ? this.#floors.get(begin.old) : undefined);
  }

  /** A plant that stores gives back at most what was claimed to charge it. */
  #charge(from: number, until: number, wh: number, flags: Flag[]): boolean {
    // As the contract has it: by the kind of the plant, or by what its energy comes from.
    if (this.#plant.kind !== 'storage' && this.#plant.source !== 'storage') return true;
    if (wh > this.#chargedWh) {
      this.#out.waiting.push({ from, until, wh, reason: 'charge' });
      return false;
    }
    flags.push({ flag: 'storage', evidence: {} });
    this.#chargedWh -= wh;
    return true;
  }

  #watch(slot: number, until: number, energy: Pair & { wh: number }): Flag[] {
    const { kind, source, place } = this.#plant;
    const flags: Flag[] = [];
    if (kind === 'plant' && source === 'solar' && place) {
      const sun = highestSun(slot, until, place);
      if (sun < HORIZON) flags.push({ flag: 'night', evidence: { sunDegrees: Math.round(sun * 10) / 10 } });
    }
    const deviation = inverterDeviation(energy, this.#meter(energy.start), this.#input.inverters ?? []);
    return deviation ? [...flags, deviation] : flags;
  }

  #refuse(from: number, until: number, { start, end }: Pair, wh: number, code: ErrorCode, detail: string): undefined {
    this.#out.refused.push({ from, until, wh, start, end, code, detail, flags: [] });
  }

  /** Hours that a meter has signed for, and that no rule above has spoken of, because its readings never count. */
  #sayWhatNeverCounts(): void {
    const said = [...this.#out.residuals, ...this.#out.refused, ...this.#out.waiting];
    const spoken = new Set<number>(this.#input.taken);
    for (const { from, until } of said) for (let slot = from; slot < until; slot += HOUR) spoken.add(slot);
    for (const { slot } of [...this.#out.certificates, ...this.#out.empty]) spoken.add(slot);
    for (const from of this.#all.hours) {
      if (spoken.has(from)) continue;
      for (const start of this.#all.all(from)) {
        const end = this.#all.all(from + HOUR).find((b) => b.device === start.device);
        const unfit = end && (this.#unfit.get(start) ?? this.#unfit.get(end));
        if (!end || unfit === undefined || !isFinal(unfit)) continue;
        const wh = Math.max(0, end.registerWh - start.registerWh);
        if (wh > 0) this.#refuse(from, from + HOUR, { start, end }, wh, unfit.code, unfit.detail);
        break;
      }
    }
  }
}

/** Between the two readings; a profile has the registers of the full hours. */
const secondsOf = ({ start, end }: Pair): number => {
  const time = ({ shape, iat, at }: Boundary): number => (shape === 'profile' ? at : iat);
  return time(end) - time(start);
};

const over = (wh: number, most: number): string => `${wh} Wh, at most ${most} Wh`;
