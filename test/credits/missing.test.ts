import { describe, expect, it } from 'vitest';
import { type HourFacts, missing, type Near } from '../../edge/credits/missing.ts';

const HOUR = 3600;
const SLOT = 1_790_000_000 - (1_790_000_000 % HOUR);
const near = (at: number, over: Partial<Near> = {}): Near => ({
  ...{ at: SLOT + at * HOUR, device: 1, registerWh: 100 + at, clockSynced: 1, offsetMs: null },
  ...over,
});
const why = (over: Partial<HourFacts>) =>
  missing({
    ...{ slot: SLOT, now: SLOT + 9 * HOUR, near: [near(0), near(1)], residuals: [], suspended: false, storage: false },
    ...over,
  });

describe('why an hour has no certificate', () => {
  it.each<[ReturnType<typeof missing>, Partial<HourFacts>]>([
    ['ahead', { now: SLOT - 1 }],
    ['running', { now: SLOT }],
    ['running', { now: SLOT + HOUR - 1 }],
    ['residual', { residuals: [{ from: SLOT - HOUR, until: SLOT + HOUR }] }],
    ['pending', { residuals: [{ from: SLOT + 1, until: SLOT + 2 * HOUR }] }],
    ['no-readings', { near: [near(2)] }],
    ['no-start', { near: [near(1)] }],
    ['no-end', { near: [near(0)] }],
    ['no-energy', { near: [near(0), near(1, { registerWh: 100 })] }],
    ['pending', { near: [near(0), near(1, { registerWh: 100, device: 2 })] }],
    ['clock', { near: [near(0, { clockSynced: 0 }), near(1)] }],
    ['pending', { near: [near(0, { clockSynced: 0, offsetMs: 5 }), near(1)] }],
    ['suspended', { suspended: true }],
    ['charge', { storage: true }],
    ['pending', {}],
  ])('%s', (expected, over) => expect(why(over)).toBe(expected));
});
