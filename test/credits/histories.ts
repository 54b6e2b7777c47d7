/**
 * Random histories of a metering point for property tests: a plant that gives energy, meters that count it (swapped,
 * re-keyed, with or without a modulus), and readings of them, with gaps, duplicates, neighbours of one hour and, where
 * asked for, registers that are wrong for one reading.
 */
import fc from 'fast-check';
import type { Boundary, Meter, Plant, Swap } from '../../edge/credits/types.ts';
import { HOUR, SEJONG } from './rig.ts';

export const CAPACITY_W = 10_000;

export type History = {
  plant: Plant;
  swaps: Swap[];
  /** In the order of time. */
  readings: Boundary[];
  /** Energy that went through until a second, in Wh, exact. */
  energyAt: (second: number) => number;
  /** Energy between the first and the last reading, and a Wh for each register that is floored. */
  mostWh: number;
  /** Some registers are wrong. */
  wrong: boolean;
};

/** A month of Korea ends in it, and a day of UTC. */
const FROM = Date.UTC(2026, 9, 31, 6) / 1000;
export const HOURS = 36;

const hourArb = fc.record({
  /** A part of the rated power, in 1/1000. */
  power: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1000 })),
  /** How far its readings are from the full hour; none is a gap. */
  offsets: fc.oneof(
    { weight: 6, arbitrary: fc.array(fc.integer({ min: -60, max: 60 }), { minLength: 1, maxLength: 3 }) },
    { weight: 1, arbitrary: fc.constant([]) },
  ),
  twice: fc.boolean(),
  glitch: fc.oneof(
    { weight: 12, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -9000, max: 9000 }) },
  ),
  clock: fc.oneof({ weight: 15, arbitrary: fc.constant('synced') }, fc.constantFrom('unknown', 'corrected')),
});

const meterArb = fc.record({
  base: fc.nat(3_000_000),
  modulusWh: fc.option(fc.integer({ min: 100_000, max: 2_000_000 }), { nil: null }),
  how: fc.constantFrom<Swap['how']>('swap', 'rekey'),
  /** Seconds after the first hour at which it takes over. */
  at: fc.integer({ min: 1, max: HOURS * HOUR }),
  told: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
  unread: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
});

export const historyArb = (wrong: boolean): fc.Arbitrary<History> =>
  fc
    .record({
      hours: fc.array(hourArb, { minLength: HOURS, maxLength: HOURS }),
      meters: fc.array(meterArb, { minLength: 1, maxLength: 3 }),
    })
    .map(({ hours, meters }) => build(hours, meters, wrong));

type Hour = typeof hourArb extends fc.Arbitrary<infer T> ? T : never;
type Made = typeof meterArb extends fc.Arbitrary<infer T> ? T : never;

function build(hours: Hour[], made: Made[], wrong: boolean): History {
  const energy = [0];
  for (const { power } of hours) energy.push((energy.at(-1) as number) + (power * CAPACITY_W) / 1000);
  const energyAt = (second: number): number => {
    const at = Math.min(Math.max(second - FROM + 1800, 0), HOURS * HOUR);
    const hour = Math.min(Math.floor(at / HOUR), HOURS - 1);
    const [a, b] = [energy[hour] as number, energy[hour + 1] as number];
    return a + ((b - a) * (at - hour * HOUR)) / HOUR;
  };
  const inOrder = made.toSorted((a, b) => a.at - b.at);
  const meters: (Meter & { from: number; baseWh: number; told: boolean })[] = [];
  const swaps: Swap[] = [];
  for (const [i, m] of inOrder.entries()) {
    const before = meters.at(-1);
    const from = i === 0 ? FROM - HOUR : FROM + m.at;
    const isRekey = before !== undefined && m.how === 'rekey';
    const meter = {
      did: `did:${i}`,
      custody: 'device' as const,
      status: i === made.length - 1 ? ('active' as const) : ('replaced' as const),
      capacityW: CAPACITY_W,
      modulusWh: isRekey ? before.modulusWh : m.modulusWh,
      from,
      baseWh: isRekey ? before.baseWh : m.base - energyAt(from),
      told: m.told,
    };
    if (before && m.told)
      swaps.push({
        idx: i,
        atMs: from * 1000,
        how: m.how,
        old: before.did,
        next: meter.did,
        finalWh: isRekey || m.unread ? null : register(before, energyAt(from)),
        initialWh: isRekey || m.unread ? null : register(meter, energyAt(from)),
      });
    meters.push(meter);
  }
  const readings: Boundary[] = [];
  for (const [i, { offsets, twice, glitch, clock }] of hours.entries())
    for (const [n, off] of offsets.entries()) {
      const at = FROM + i * HOUR;
      const iat = at + off;
      const meter = meters.findLast((m) => m.from <= iat);
      if (!meter) continue;
      const honest = register(meter, energyAt(iat));
      const registerWh = wrong && n === 0 ? Math.max(0, honest + glitch) : honest;
      const reading: Boundary = {
        at,
        device: meter.did,
        idx: readings.length,
        iat,
        registerWh,
        shape: 'reading',
        receivedMs: iat * 1000,
        clock:
          clock === 'synced' ? { synced: true } : { synced: false, offsetMs: clock === 'unknown' ? undefined : 1000 },
      };
      readings.push(reading);
      if (twice) readings.push({ ...reading, idx: readings.length });
    }
  const plant: Plant = { point: 'urn:sejong:mp:1', kind: 'plant', source: 'solar', place: SEJONG, meters };
  const times = readings.map((r) => r.iat);
  const through = times.length === 0 ? 0 : energyAt(Math.max(...times)) - energyAt(Math.min(...times));
  return { plant, swaps, readings, energyAt, mostWh: through + 2 * meters.length, wrong };
}

const register = (m: { baseWh: number; modulusWh: number | null }, energyWh: number): number => {
  const shown = Math.floor(m.baseWh + energyWh);
  return m.modulusWh === null ? shown : shown % m.modulusWh;
};
