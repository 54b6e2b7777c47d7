/** Everyone who takes part in a run, behind one start and one stop. */
import { join } from 'node:path';
import type { KeyType } from '../edge/wire/keys.ts';
import type { SimClock } from './clock.ts';
import { CREDIT_PLANTS, creditPlace, type Replace } from './credit-plants.ts';
import { Device, type Enrolment, enrolmentOf } from './device.ts';
import { HostileDevice, type HostileKind } from './hostile.ts';
import type { Identity, Kind, NewIdentity } from './identity.ts';
import { Fleet } from './load.ts';
import type { Options } from './options.ts';
import { Place } from './place.ts';
import { noiseAt, seedOf } from './random.ts';
import { play, SCENARIOS } from './scenarios.ts';
import type { Shared } from './station.ts';
import { Timers } from './timers.ts';

const KINDS = { meter: 'meters', plant: 'plants', vehicle: 'vehicles' } as const satisfies Partial<
  Record<Kind, keyof Options>
>;
/** Metering points come from ordinals; each sort of device has every fourth one. */
const SORTS = { meter: 0, plant: 1, vehicle: 2, hostile: 3 } as const;

/** Ordinals of credit plants begin behind those of all the plants that a run can have. */
const FIRST_CREDIT_PLANT = 5001;
const HOUR_MS = 3_600_000;
/** So soon after a full hour a credit plant reads its register, whatever --every says. */
const AFTER_HOUR_MS = 2000;

/** Who takes part: as it is enrolled, and what it does wrong. */
export type Member = Enrolment & { hostile?: HostileKind };

/** Samples that a device may be behind its plan. */
const MOST_LATE = 1000;

export class District {
  readonly #o: Options;
  readonly #seed: number;
  readonly #clock: SimClock;
  readonly #places: Place[] = [];
  /** These measure in real time, under the real sun. */
  readonly #creditPlaces: Place[] = [];
  readonly #hostile: HostileDevice[];
  readonly #fleet: Fleet | undefined;
  readonly #timers = new Timers();
  readonly #last: (() => void)[] = [];

  /** Boots every device: their keys, counters and buffers are read or made. */
  constructor(
    o: Options,
    seed: number,
    clock: SimClock,
    shared: Shared,
    hostileShared: Shared,
    replace: Replace | undefined,
  ) {
    this.#o = o;
    this.#seed = seed;
    this.#clock = clock;
    const seeded = o.seed !== undefined;
    const keyType = (i: number): KeyType => (i % o['p256-every'] === 0 ? 'P-256' : 'Ed25519'); // i % 0 is NaN
    const fresh = (name: string, kind: Kind, sort: keyof typeof SORTS, i: number): NewIdentity => ({
      name,
      kind,
      runSeed: seed,
      seeded,
      ordinal: 4 * i + SORTS[sort],
    });
    if (o.devices > 0) {
      const { devices, rate, pack, presign } = o;
      this.#fleet = new Fleet(join(o.state, 'fleet'), { devices, rate, pack, presign, seed, seeded, keyType }, shared);
    } else
      for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[])
        for (let i = 0; i < o[KINDS[kind]]; i++) {
          const name = `${kind}-${String(i + 1).padStart(3, '0')}`;
          const identity = { ...fresh(name, kind, kind, i), keyType: keyType(i) };
          const boot = (): Device => new Device(join(o.state, name), identity, shared, clock.now());
          const describe = ({ identity }: Device): Enrolment => enrolmentOf(identity, `${name} (simulated)`);
          this.#places.push(new Place({ name, group: KINDS[kind], boot, describe }));
        }
    const creditPlants = new Set([...(SCENARIOS[o.scenario]?.creditPlants ?? []), ...o['credit-plants']]);
    for (const name of creditPlants)
      this.#creditPlaces.push(
        creditPlace({
          ...{ name, state: o.state, seed, seeded, shared, replace },
          ordinal: 4 * (FIRST_CREDIT_PLANT + CREDIT_PLANTS.indexOf(name)) + SORTS.plant,
          now: Date.now,
          owner: o['credit-owners'][[...creditPlants].indexOf(name)],
        }),
      );
    this.#places.push(...this.#creditPlaces);
    const wanted = new Set<HostileKind>(o.hostile);
    const own = SCENARIOS[o.scenario]?.hostile;
    if (own) wanted.add(own);
    this.#hostile = Array.from(wanted, (kind, i) => {
      const name = `hostile-${kind}`;
      return new HostileDevice(kind, join(o.state, name), fresh(name, 'meter', 'hostile', i), hostileShared);
    });
  }

  start(): void {
    const { away, scenario } = this.#o;
    const whole = this.#o.for ?? Number.POSITIVE_INFINITY;
    for (const place of this.#places) {
      place.goOnline();
      if (this.#creditPlaces.includes(place)) this.#sampleLive(place);
      else this.#sampleInTime(place);
    }
    play(scenario, this.#places, this.#timers, (away ?? Math.min(10, whole / 5)) * 1000, this.#seed);
    this.#fleet?.start();
    for (const device of this.#hostile) {
      device.start();
      // The first time soon, so that short runs see them as well.
      const ms = this.#o['hostile-every'] * 1000;
      this.#timers.after(Math.min(ms / 2, 500), () => {
        device.act();
        this.#timers.every(ms, () => device.act());
      });
    }
  }

  /**
   * Samples of one device, each for its own planned moment: its simulated time is the planned one, so that a run
   * repeats however late its timers are. What is late is made up for, but for what a machine slept through.
   */
  #sampleInTime(place: Place): void {
    const { every, for: whole } = this.#o;
    const period = every * 1000;
    const phase = period * noiseAt(seedOf('phase', this.#seed, place.name), 0);
    const end = whole === undefined ? Number.POSITIVE_INFINITY : whole * 1000;
    let k = 0;
    const planned = (): number => phase + k * period;
    const take = (): void => {
      place.device.sample(this.#clock.at(planned()));
      k++;
    };
    const next = (): void => {
      if (planned() >= end) return;
      this.#timers.after(Math.max(0, planned() - this.#clock.elapsed), () => {
        const late = Math.floor((this.#clock.elapsed - planned()) / period);
        if (late > MOST_LATE) k += late;
        take();
        next();
      });
    };
    next();
    this.#last.push(() => {
      for (let late = 0; planned() < end && late < MOST_LATE; late++) take();
    });
  }

  /** Samples of a credit plant: now and then, and at the full hours. What a machine slept through is not made up for. */
  #sampleLive(place: Place): void {
    const period = this.#o.every * 1000;
    const take = (): void => {
      const seconds = Math.floor(Date.now() / 1000);
      place.device.sample(seconds * 1000, seconds);
    };
    this.#timers.after(period * noiseAt(seedOf('phase', this.#seed, place.name), 0), () => {
      take();
      this.#timers.every(period, take);
    });
    const atHour = (): void =>
      this.#timers.after(HOUR_MS - (Date.now() % HOUR_MS) + AFTER_HOUR_MS, () => {
        take();
        atHour();
      });
    atHour();
  }

  /**
   * No more samples, no more scenes; everyone online, so that the buffers can drain.
   * @param whole take what was planned for the run and is late
   */
  finish(whole: boolean): void {
    this.#timers.stop();
    if (whole) for (const takeLate of this.#last) takeLate();
    this.#fleet?.finish();
    for (const device of this.#hostile) device.finish();
    for (const place of this.#places) place.goOnline();
  }

  async stop(): Promise<void> {
    this.#timers.stop();
    await Promise.all([
      ...this.#places.map((place) => place.stop()),
      ...(this.#fleet?.devices ?? []).map((device) => device.stop()),
      ...this.#hostile.map((device) => device.stop()),
    ]);
  }

  get devices(): number {
    return this.#places.flatMap((place) => place.devices).length + (this.#fleet?.devices.length ?? 0);
  }

  /** Envelopes of honest devices that are not acknowledged. */
  get buffered(): number {
    let sum = 0;
    for (const { devices } of this.#places) for (const device of devices) sum += device.buffered;
    for (const device of this.#fleet?.devices ?? []) sum += device.buffered;
    return sum;
  }

  get bad(): number {
    return this.#hostile.reduce((sum, device) => sum + device.bad, 0);
  }

  get anyUp(): boolean {
    return (
      this.#places.some((p) => p.devices.some((d) => d.isUp)) || (this.#fleet?.devices.some((d) => d.isUp) ?? false)
    );
  }

  kinds(): Record<string, { online: number; devices: number }> {
    const kinds: Record<string, { online: number; devices: number }> = {};
    const add = (kind: string, isUp: boolean): void => {
      kinds[kind] ??= { online: 0, devices: 0 };
      const entry = kinds[kind];
      entry.devices++;
      if (isUp) entry.online++;
    };
    for (const { group, device } of this.#places) add(group, device.isUp);
    for (const device of this.#fleet?.devices ?? []) add('load', device.isUp);
    for (const device of this.#hostile) add(device.kind, device.isUp);
    return kinds;
  }

  identities(): Identity[] {
    return this.#places.flatMap(({ devices }) => devices.map(({ identity }) => identity));
  }

  enrolments(): Enrolment[] {
    return this.members().map(({ hostile: _, ...enrolment }) => enrolment);
  }

  members(): Member[] {
    return [
      ...this.#places.flatMap((place) => place.enrolments()),
      ...(this.#fleet?.enrolments() ?? []),
      ...this.#hostile.map(({ kind, identity }) => ({ ...enrolmentOf(identity, `hostile: ${kind}`), hostile: kind })),
    ];
  }
}
