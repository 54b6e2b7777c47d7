/** Plants, meters and readings for tests of the rules. */
import { settle } from '../../edge/credits/settle.ts';
import type { Boundary, Meter, Plant, Settled, SettleInput, Swap } from '../../edge/credits/types.ts';

export const HOUR = 3600;
/** Noon in Sejong, 2026-10-02. */
export const NOON = Date.UTC(2026, 9, 2, 3) / 1000;
export const SEJONG = { lat: 36.48, lon: 127.29 };

export const meter = (did = 'A', over: Partial<Meter> = {}): Meter => ({
  did,
  custody: 'device',
  status: 'active',
  capacityW: 100_000,
  modulusWh: null,
  ...over,
});

export const plant = (over: Partial<Plant> = {}): Plant => ({
  point: 'urn:sejong:mp:1',
  kind: 'plant',
  source: 'solar',
  place: SEJONG,
  meters: [meter()],
  ...over,
});

let idx = 1000;
/** A reading `off` seconds from the hour `at`. */
export const reading = (at: number, registerWh: number, over: Partial<Boundary> & { off?: number } = {}): Boundary => {
  const { off = 0, ...rest } = over;
  const iat = at + off;
  return {
    at,
    device: 'A',
    idx: idx++,
    iat,
    registerWh,
    shape: 'reading',
    receivedMs: (iat + 1) * 1000,
    clock: { synced: true },
    ...rest,
  };
};

/** 25 registers of the UTC day that begins at `day`, in one envelope. */
export const profile = (day: number, registersWh: readonly number[], device = 'A'): Boundary[] => {
  const one = idx++;
  const iat = day + 24 * HOUR;
  const rest = { idx: one, iat, shape: 'profile', receivedMs: (iat + 1) * 1000 } as const;
  return registersWh.map((wh, i) => reading(day + i * HOUR, wh, { ...rest, device }));
};

export const swap = (over: Partial<Swap> = {}): Swap => ({
  idx: idx++,
  atMs: NOON * 1000,
  how: 'swap',
  old: 'A',
  next: 'B',
  finalWh: null,
  initialWh: null,
  ...over,
});

/** From the hour `from` on, one after the other; undefined: no reading. */
export const hourly = (from: number, registersWh: readonly (number | undefined)[], device = 'A'): Boundary[] =>
  registersWh.flatMap((wh, i) => (wh === undefined ? [] : [reading(from + i * HOUR, wh, { device })]));

export const settled = (boundaries: readonly Boundary[], over: Partial<SettleInput> = {}, of = plant()): Settled =>
  settle(of, { boundaries, swaps: [], fixed: [], taken: new Set(), ...over });

/** What is said of each hour or span, in short: `hours after the first: Wh`, and why. */
export const brief = (s: Settled, from = NOON): Record<string, string> => {
  const at = (second: number): string => String((second - from) / HOUR);
  const rows: [number, string, string][] = [
    ...s.certificates.map((c): [number, string, string] => [
      c.slot,
      at(c.slot),
      [`${c.wh}`, ...c.flags.map((f) => f.flag)].join(' '),
    ]),
    ...s.empty.map((c): [number, string, string] => [c.slot, at(c.slot), 'empty']),
    ...s.residuals.map((r): [number, string, string] => [
      r.from,
      `${at(r.from)}-${at(r.until)}`,
      `${r.wh} ${r.reason}${r.mintable ? '' : ' unusable'}`,
    ]),
    ...s.refused.map((r): [number, string, string] => [r.from, `${at(r.from)}-${at(r.until)}`, `${r.wh} ${r.code}`]),
    ...s.waiting.map((r): [number, string, string] => [r.from, `${at(r.from)}-${at(r.until)}`, `${r.wh} ${r.reason}`]),
  ];
  return Object.fromEntries(rows.sort((a, b) => a[0] - b[0]).map(([, key, value]) => [key, value]));
};
