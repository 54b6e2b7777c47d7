import { describe, expect, it } from 'vitest';
import { Silence, usualOf } from '../../edge/alarms/silence.ts';
import { CounterState } from '../../edge/store/counters.ts';
import type { Device } from '../../edge/store/devices.ts';

const DEFAULTS = { epoch: 1, seq: 0, gaps: [], lastIdx: 0 };
const device = (id: number, entries = 0, over: Partial<Device> = {}): Device => ({
  ...{ id, did: `did:${id}`, kind: 'meter', custody: 'device', sub: `urn:x:${id}`, owner: null, capacityW: null },
  ...{ energySource: null, registerModulusWh: null, label: null, status: 'active', replacedBy: null },
  ...{ secretHash: null, enrolledMs: 0, updatedMs: 0 },
  counter: new CounterState({ ...DEFAULTS, entries, lastMs: 0 }),
  ...over,
});
const speak = (d: Device, lastMs = 0): void => {
  d.counter = new CounterState({ ...DEFAULTS, entries: d.counter.entries + 1, lastMs });
};

const silence = (receipts: number[], silent: [number, number][] = []) =>
  new Silence({ minMs: 60_000, ownKind: 'gateway', receipts: () => receipts, silent: new Map(silent) });
const every = (ms: number): number[] => Array.from({ length: 20 }, (_, i) => 1e6 - i * ms);

describe('a device is silent', () => {
  it('after a minute where it speaks often, and after three times its interval where it does not', () => {
    for (const [interval, at] of [
      [1_000, 60_000],
      [20_000, 60_000],
      [30_000, 90_000],
      [3_600_000, 10_800_000],
    ] as const) {
      const quiet = device(1, 20);
      const watch = silence(every(interval));
      expect(watch.look([quiet], 500)).toEqual({ silent: [], back: [] });
      expect(watch.look([quiet], 500 + at - 1), `${interval}`).toEqual({ silent: [], back: [] });
      expect(watch.look([quiet], 500 + at), `${interval}`).toEqual({ silent: [quiet], back: [] });
      expect(watch.look([quiet], 600 + at), 'said once').toEqual({ silent: [], back: [] });
      expect([watch.isSilent(quiet), watch.usualMs(quiet)]).toEqual([true, interval]);
      speak(quiet);
      expect(watch.look([quiet], 700 + at)).toEqual({ silent: [], back: [quiet] });
      expect(watch.look([quiet], 700 + 2 * at)).toEqual({ silent: [quiet], back: [] });
    }
  });

  it('by no clock but the monotonic one, and never where too little is known of it', () => {
    const few = device(1, 2);
    const none = device(2, 0);
    const own = device(3, 20, { kind: 'gateway' });
    const off = device(4, 20, { status: 'suspended' });
    const watch = silence([5, 4]);
    watch.look([few, none, own, off], 0);
    expect(watch.look([few, none, own, off], 1e9)).toEqual({ silent: [], back: [] });
  });

  it('over a restart, until it speaks or may not speak any more', () => {
    const [quiet, spoke, revoked] = [device(1, 20), device(2, 20), device(3, 20)];
    speak(spoke, 777); // after it was found silent, and before the end of that run
    const watch = silence(every(1000), [
      [1, 500],
      [2, 500],
      [3, 500],
    ]);
    expect(watch.look([quiet, spoke, revoked], 0)).toEqual({ silent: [], back: [spoke] });
    revoked.status = 'revoked';
    expect(watch.look([quiet, spoke, revoked], 1)).toEqual({ silent: [], back: [revoked] });
    speak(quiet);
    expect(watch.look([quiet, spoke, revoked], 2)).toEqual({ silent: [], back: [quiet] });
  });

  it('is found in pieces where all fall silent at once', () => {
    const all = Array.from({ length: 1050 }, (_, i) => device(i + 1, 20));
    const watch = silence(every(1000));
    watch.look(all, 0);
    const found = [];
    let looks = 0;
    for (; found.length < all.length; looks++) found.push(...watch.look(all, 60_000 + looks).silent);
    expect(looks).toBe(11);
    expect(new Set(found).size).toBe(1050);
  });

  it('by the median of what it let pass: a buffer that was drained at once is no habit', () => {
    expect(usualOf([])).toBeNull();
    expect(usualOf([9, 1])).toBeNull();
    expect(usualOf([30, 20, 10])).toBe(10);
    expect(usualOf([100_000, 40_000, 30_000, 20_000, 10_000])).toBe(10_000);
    expect(usualOf([5, 900_000, 0]), 'the clock was set back').toBe(900_000);
  });
});
