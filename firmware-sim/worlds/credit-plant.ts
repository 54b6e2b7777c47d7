/**
 * A plant whose energy becomes certificates: its register at each full hour. It begins with the day before, which it
 * measured without a link, so that a first run has something to certify; from then on it measures in real time. Always
 * under the real sun of Sejong: a certificate is of an hour that was.
 *
 * What is particular about each sort happens in that first day, computed from when the day ended (`start`), the seed
 * and the weather; so it can be computed again after a restart.
 */
import { DAY_BOUNDARIES, EXPORT_REGISTER, POWER } from '../../edge/wire/boundary.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { noiseAt, seedOf } from '../random.ts';
import { plantPowerW } from './plant.ts';
import { type RegisterState, Registers } from './register.ts';
import type { Measured, World } from './world.ts';

/** `swapped-out` and `swapped-in` are two meters of one plant. */
export type CreditSort =
  | 'honest'
  | 'swapped-out'
  | 'swapped-in'
  | 'rollover'
  | 'liar'
  | 'duplicate'
  | 'profile'
  | 'storage';

/** Where the register of `rollover` begins anew: eight digits of Wh. */
export const ROLLOVER_WH = 100_000_000;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const KST = 9 * HOUR;
/** A boundary's reading is at most so many seconds off its full hour; 60 are allowed. */
const JITTER_SECONDS = 12;
/** In the hour of the swap: when the old meter was read for the last time, and the new one for the first. */
const FINAL = 25 * 60_000;
const INITIAL = 35 * 60_000;
/** What `liar` has registered, as a part of its best hour. */
const HONESTY = 1 / 3;

export type Plan = {
  sort: CreditSort;
  /** Of the plant, not of its meter. */
  seed: number;
  weather: number;
  /** Unix milliseconds: when it came online after its first day. */
  start: number;
};

type State = Omit<Plan, 'sort' | 'seed'> & {
  /** Readings of the first day that were made. */
  done: number;
  /** Once they all are. */
  registers?: RegisterState;
  /** `profile`: the registers at the full hours of this UTC day, from its first on; empty where some were missed. */
  hours: number[];
};

/** 20 to 100 kW of modules; a battery of 3 to 6 kW. */
export const creditCapacityW = ({ sort, seed }: Pick<Plan, 'sort' | 'seed'>): number =>
  sort === 'storage'
    ? 3000 + 1000 * Math.floor(4 * noiseAt(seed, 0))
    : 20_000 + 1000 * Math.floor(81 * noiseAt(seed, 0));

/** A battery gives evenly for three hours of the evening. */
function storagePowerW(capacityW: number): (ms: number) => number {
  return (ms) => {
    const hour = (((ms + KST) % DAY) + DAY) % DAY;
    return hour >= 18 * HOUR && hour < 21 * HOUR ? Math.round(0.8 * capacityW) : 0;
  };
}

function powerOf(plan: Plan): (ms: number) => number {
  const capacityW = creditCapacityW(plan);
  return plan.sort === 'storage' ? storagePowerW(capacityW) : plantPowerW(plan.weather, plan.seed, capacityW);
}

/** The last full hour, and the 24 before it. */
function fullHours({ start }: Plan): number[] {
  const last = Math.floor(start / HOUR) * HOUR;
  return Array.from({ length: DAY_BOUNDARIES }, (_, i) => last - DAY + i * HOUR);
}

/** Wh since the first of the full hours, at each. */
function energyByHour(plan: Plan): number[] {
  const hours = fullHours(plan);
  const registers = new Registers(powerOf(plan), { ms: hours[0] as number, wh: [0, 0], rest: [0, 0] });
  return hours.map((ms) => {
    registers.advance(ms);
    return registers.wh[0];
  });
}

/** What it is registered with, in W. */
export function registeredW(plan: Plan): number {
  if (plan.sort !== 'liar') return creditCapacityW(plan);
  const energy = energyByHour(plan);
  const best = Math.max(...energy.slice(1).map((wh, i) => wh - (energy[i] as number)));
  return Math.max(1, Math.floor(best * HONESTY));
}

/** Begin of the hour in which the meters are swapped: half of the day's energy is behind it at its end. */
function swapHour(plan: Plan): number {
  const energy = energyByHour(plan);
  const half = (energy.at(-1) as number) / 2;
  return fullHours(plan)[energy.findIndex((wh) => wh >= half) - 1] as number;
}

/** Where the register stands before the first reading of all. */
function firstRegister(plan: Plan): number {
  if (plan.sort === 'swapped-in') return Math.floor(40 * noiseAt(plan.seed, 2));
  if (plan.sort === 'rollover') return ROLLOVER_WH - Math.floor((energyByHour(plan).at(-1) as number) / 2);
  return 1_000_000 + Math.floor(9_000_000 * noiseAt(plan.seed, 1));
}

/** When it was read in its first day, Unix seconds. */
function readingTimes(plan: Plan): number[] {
  const jitter = seedOf('boundary', plan.seed);
  const near = (ms: number): number => {
    const off = Math.round(JITTER_SECONDS * (2 * noiseAt(jitter, ms / HOUR) - 1));
    return Math.min(ms / 1000 + off, Math.floor(plan.start / 1000));
  };
  const hours = fullHours(plan);
  if (plan.sort === 'swapped-out') {
    const swap = swapHour(plan);
    return [...hours.filter((ms) => ms <= swap).map(near), (swap + FINAL) / 1000];
  }
  if (plan.sort === 'swapped-in') {
    const swap = swapHour(plan);
    return [(swap + INITIAL) / 1000, ...hours.filter((ms) => ms > swap).map(near)];
  }
  return hours.map(near);
}

/** @param end of its UTC day, Unix milliseconds, as `now` */
const profileOf = (registersWh: readonly number[], end: number, now: number): Measured => ({
  iat: Math.floor(now / 1000),
  records: registersWh.map((v, i) => ({ n: EXPORT_REGISTER, u: 'Wh', v, t: (end - DAY + i * HOUR) / 1000 })),
});

export class CreditPlant implements World {
  readonly plan: Plan;
  readonly #state: State;
  readonly #registers: Registers;
  /** Of the first day, as far as they were not made before. */
  #first: Measured[] = [];
  #profiles: Measured[] = [];

  /** @param plan `start` and `weather` hold for a first boot; later those of the first hold */
  constructor(plan: Plan, saved: string) {
    this.#state =
      saved === '' ? { start: plan.start, weather: plan.weather, done: 0, hours: [] } : (JSON.parse(saved) as State);
    const { start, weather, registers } = this.#state;
    this.plan = { ...plan, start, weather };
    this.#registers = new Registers(powerOf(this.plan), registers ?? this.#beginning());
    if (!registers) this.#liveFirstDay();
  }

  /** The swap as who did it read the meters: the last register of the old one, or the first of the new one, in Wh. */
  get swapRegisterWh(): number {
    const registers = new Registers(powerOf(this.plan), this.#beginning());
    const times = readingTimes(this.plan);
    if (this.plan.sort === 'swapped-out') for (const s of times) registers.advance(s * 1000);
    return registers.wh[0];
  }

  *due(): Iterable<Measured> {
    for (let next = this.#first.shift(); next; next = this.#first.shift()) {
      this.#state.done++;
      yield next;
    }
    for (let next = this.#profiles.shift(); next; next = this.#profiles.shift()) yield next;
  }

  sample(ms: number): SenmlRecord[] {
    this.#advance(ms);
    const records = this.#read(ms);
    // A meter with a load profile is billed by that alone: what it says between is no reading that credits come from.
    if (this.plan.sort === 'profile') records.push({ n: '1-0:32.7.0', u: 'V', v: 230 });
    return records;
  }

  state(): string {
    const isBehind = this.#first.length === 0;
    return JSON.stringify({ ...this.#state, ...(isBehind ? { registers: this.#registers.state } : {}) });
  }

  #beginning(): RegisterState {
    const first =
      this.plan.sort === 'profile'
        ? Math.floor(this.plan.start / DAY) * DAY - DAY
        : (readingTimes(this.plan)[0] as number) * 1000;
    return { ms: first, wh: [firstRegister(this.plan), 0], rest: [0, 0] };
  }

  /** The first day, from its beginning: what was made of it before is left out. */
  #liveFirstDay(): void {
    const { sort, start } = this.plan;
    if (sort === 'profile') {
      this.#state.hours = [this.#shown];
      this.#advance(Math.floor(start / DAY) * DAY);
      this.#first = this.#profiles.splice(0);
      this.#advance(start);
    } else {
      this.#first = readingTimes(this.plan).map((iat) => {
        this.#registers.advance(iat * 1000);
        return { iat, records: this.#read(iat * 1000) };
      });
      if (sort === 'duplicate') this.#first.push(...this.#first);
    }
    this.#first.splice(0, this.#state.done);
  }

  #advance(to: number): void {
    if (this.plan.sort === 'profile') this.#keepHours(to);
    this.#registers.advance(to);
  }

  /** `profile`: the register at each full hour on the way, and a pack of them when a UTC day is over. */
  #keepHours(to: number): void {
    const state = this.#state;
    const from = this.#registers.state.ms;
    // Off for so long, it cannot say how the registers stood at the hours between.
    if (to - from > DAY) state.hours = [];
    else
      for (let hour = (Math.floor(from / HOUR) + 1) * HOUR; hour <= to; hour += HOUR) {
        this.#registers.advance(hour);
        const isMidnight = hour % DAY === 0;
        if (state.hours.length > 0) state.hours.push(this.#shown);
        if (!isMidnight) continue;
        if (state.hours.length === DAY_BOUNDARIES) this.#profiles.push(profileOf(state.hours, hour, to));
        state.hours = [this.#shown];
      }
  }

  get #shown(): number {
    const wh = this.#registers.wh[0];
    return this.plan.sort === 'rollover' ? wh % ROLLOVER_WH : wh;
  }

  #read(ms: number): SenmlRecord[] {
    return [
      { n: EXPORT_REGISTER, u: 'Wh', v: this.#shown },
      { n: POWER, u: 'W', v: this.#registers.powerAt(ms) },
    ];
  }
}
