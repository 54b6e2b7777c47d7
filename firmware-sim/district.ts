/** Everyone who takes part in a run, behind one start and one stop. */
import { join } from 'node:path';
import type { KeyType } from '../edge/wire/keys.ts';
import type { SimClock } from './clock.ts';
import { Device, type Enrolment, enrolmentOf } from './device.ts';
import { HostileDevice, type HostileKind } from './hostile.ts';
import type { Identity, Kind, NewIdentity } from './identity.ts';
import { Fleet } from './load.ts';
import type { Options } from './options.ts';
import { noiseAt, seedOf } from './random.ts';
import { type Post, play, SCENARIOS } from './scenarios.ts';
import type { Shared } from './station.ts';
import { Timers } from './timers.ts';

const KINDS = { meter: 'meters', plant: 'plants', vehicle: 'vehicles' } as const satisfies Record<Kind, keyof Options>;
/** Metering points come from ordinals; each sort of device has every fourth one. */
const SORTS = { meter: 0, plant: 1, vehicle: 2, hostile: 3 } as const;

/** Who takes part: as it is enrolled, and what it does wrong. */
export type Member = Enrolment & { hostile?: HostileKind };

/** Samples that a device may be behind its plan. */
const MOST_LATE = 1000;

/** A device's place: the same name, folder and rhythm whichever boot of it stands there. */
class Place implements Post {
  readonly name: string;
  readonly kind: Kind;
  readonly #boot: () => Device;
  device: Device;

  constructor(name: string, kind: Kind, boot: () => Device) {
    this.name = name;
    this.kind = kind;
    this.#boot = boot;
    this.device = boot();
  }

  goOnline(): void {
    this.device.goOnline();
  }

  goOffline(): void {
    this.device.goOffline();
  }

  restart(): void {
    const { sent } = this.device;
    this.device.kill();
    this.device = this.#boot();
    this.device.remember(sent);
    this.goOnline();
  }
}

export class District {
  readonly #o: Options;
  readonly #seed: number;
  readonly #clock: SimClock;
  readonly #places: Place[] = [];
  readonly #hostile: HostileDevice[];
  readonly #fleet: Fleet | undefined;
  readonly #timers = new Timers();
  readonly #last: (() => void)[] = [];

  /** Boots every device: their keys, counters and buffers are read or made. */
  constructor(o: Options, seed: number, clock: SimClock, shared: Shared, hostileShared: Shared) {
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
      for (const kind of Object.keys(KINDS) as Kind[])
        for (let i = 0; i < o[KINDS[kind]]; i++) {
          const name = `${kind}-${String(i + 1).padStart(3, '0')}`;
          const identity = { ...fresh(name, kind, kind, i), keyType: keyType(i) };
          const boot = (): Device => new Device(join(o.state, name), identity, shared, clock.now());
          this.#places.push(new Place(name, kind, boot));
        }
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
      this.#sampleInTime(place);
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
      ...this.#places.map((place) => place.device.stop()),
      ...(this.#fleet?.devices ?? []).map((device) => device.stop()),
      ...this.#hostile.map((device) => device.stop()),
    ]);
  }

  get devices(): number {
    return this.#places.length + (this.#fleet?.devices.length ?? 0);
  }

  /** Envelopes of honest devices that are not acknowledged. */
  get buffered(): number {
    let sum = 0;
    for (const { device } of this.#places) sum += device.buffered;
    for (const device of this.#fleet?.devices ?? []) sum += device.buffered;
    return sum;
  }

  get bad(): number {
    return this.#hostile.reduce((sum, device) => sum + device.bad, 0);
  }

  get anyUp(): boolean {
    return this.#places.some((p) => p.device.isUp) || (this.#fleet?.devices.some((d) => d.isUp) ?? false);
  }

  kinds(): Record<string, { online: number; devices: number }> {
    const kinds: Record<string, { online: number; devices: number }> = {};
    const add = (kind: string, isUp: boolean): void => {
      kinds[kind] ??= { online: 0, devices: 0 };
      const entry = kinds[kind];
      entry.devices++;
      if (isUp) entry.online++;
    };
    for (const { kind, device } of this.#places) add(KINDS[kind], device.isUp);
    for (const device of this.#fleet?.devices ?? []) add('load', device.isUp);
    for (const device of this.#hostile) add(device.kind, device.isUp);
    return kinds;
  }

  identities(): Identity[] {
    return this.#places.map(({ device }) => device.identity);
  }

  enrolments(): Enrolment[] {
    return this.members().map(({ hostile: _, ...enrolment }) => enrolment);
  }

  members(): Member[] {
    return [
      ...this.#places.map(({ name, device }) => enrolmentOf(device.identity, `${name} (simulated)`)),
      ...(this.#fleet?.enrolments() ?? []),
      ...this.#hostile.map(({ kind, identity }) => ({ ...enrolmentOf(identity, `hostile: ${kind}`), hostile: kind })),
    ];
  }
}
