/** What holds over random histories of registers, whatever happened and in whatever order it was told. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mostWh } from '../../edge/credits/cap.ts';
import { difference } from '../../edge/credits/register.ts';
import { settle } from '../../edge/credits/settle.ts';
import { dayOf } from '../../edge/credits/time.ts';
import type { Boundary, Fixed, Meter, ReadySlot, Residual, Settled, SettleInput } from '../../edge/credits/types.ts';
import { type History, historyArb } from './histories.ts';
import { HOUR } from './rig.ts';

const RUNS = { seed: 7, numRuns: 20000 };

const input = (h: History, over: Partial<SettleInput> = {}): SettleInput => ({
  boundaries: h.readings,
  swaps: h.swaps,
  fixed: [],
  taken: new Set(),
  ...over,
});

/** Every time that is spoken of, once. */
const spans = (s: Settled): { from: number; until: number; what: string }[] =>
  [
    ...s.certificates.map((c) => ({ from: c.slot, until: c.slot + HOUR, what: 'certificate' })),
    ...s.empty.map((c) => ({ from: c.slot, until: c.slot + HOUR, what: 'empty' })),
    ...s.residuals.map((r) => ({ from: r.from, until: r.until, what: 'residual' })),
    ...s.refused.map((r) => ({ from: r.from, until: r.until, what: 'refused' })),
    ...s.waiting.map((r) => ({ from: r.from, until: r.until, what: 'waiting' })),
  ].sort((a, b) => a.from - b.from || a.until - b.until);

const sum = (list: readonly { wh: number }[]): number => list.reduce((total, { wh }) => total + wh, 0);

/** Without the indexes, which are of the order of arrival. */
const withoutIndexes = (s: Settled): string =>
  JSON.stringify(s, (key, value: unknown) => (key === 'idx' ? 0 : key === 'detail' ? '' : value));

/** What the registers of each meter show between their lowest and their highest, where none begins anew. */
const shownWh = (h: History): number =>
  h.plant.meters.reduce((total, { did }) => {
    const registers = h.readings.filter((r) => r.device === did).map((r) => r.registerWh);
    return total + (registers.length === 0 ? 0 : Math.max(...registers) - Math.min(...registers));
  }, 0);

describe('over random histories of registers, with swaps, gaps, rollovers, duplicates and late arrival', () => {
  it('no time is spoken of twice', () => {
    fc.assert(
      fc.property(fc.boolean().chain(historyArb), (h) => {
        const all = spans(settle(h.plant, input(h)));
        for (const [i, span] of all.entries())
          if (i > 0) expect(span.from, JSON.stringify(all)).toBeGreaterThanOrEqual((all[i - 1] as typeof span).until);
      }),
      RUNS,
    );
  });

  it('sums telescope: certificates and residuals are what went through, to the Wh, and never more than the registers show', () => {
    let made = 0;
    fc.assert(
      fc.property(historyArb(false), (h) => {
        const s = settle(h.plant, input(h));
        made += s.certificates.length;
        for (const { wh, start, end } of [...s.certificates, ...s.residuals]) {
          const between = h.energyAt(end.iat) - h.energyAt(start.iat);
          // Each register that it is the difference of is floored once.
          expect(Math.abs(wh - between)).toBeLessThan(start.device === end.device ? 1 : 4);
        }
        expect(sum(s.certificates) + sum(s.residuals)).toBeLessThanOrEqual(h.mostWh);
      }),
      RUNS,
    );
    expect(made, 'the histories make certificates at all').toBeGreaterThan(4000);
  });

  it('registers that are wrong for a reading make no energy that they do not show', () => {
    fc.assert(
      fc.property(historyArb(true), (h) => {
        fc.pre(h.plant.meters.every((m) => m.modulusWh === null));
        const s = settle(h.plant, input(h));
        const ofOneMeter = [...s.certificates, ...s.residuals].filter(({ start, end }) => start.device === end.device);
        expect(sum(ofOneMeter)).toBeLessThanOrEqual(shownWh(h));
      }),
      RUNS,
    );
  });

  it('the result does not depend on the order of arrival', () => {
    const shuffled = fc
      .boolean()
      .chain(historyArb)
      .chain((h) =>
        fc.record({
          h: fc.constant(h),
          other: fc.shuffledSubarray(h.readings, { minLength: h.readings.length }),
        }),
      );
    fc.assert(
      fc.property(shuffled, ({ h, other }) => {
        const arrived = other.map((reading, idx) => ({ ...reading, idx }));
        const again = settle(h.plant, input(h, { boundaries: arrived, swaps: h.swaps.toReversed() }));
        expect(withoutIndexes(again)).toBe(withoutIndexes(settle(h.plant, input(h))));
      }),
      RUNS,
    );
  });

  it('minted bit by bit while readings arrive late and in any order, no slot comes twice, every batch fits the chain, and the sum is never more than the registers show', () => {
    const late = fc
      .boolean()
      .chain(historyArb)
      .chain((h) =>
        fc.record({
          h: fc.constant(h),
          arrival: fc.shuffledSubarray(h.readings, { minLength: h.readings.length }),
          sizes: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }),
          gapsToo: fc.boolean(),
        }),
      );
    let made = 0;
    fc.assert(
      fc.property(late, ({ h, arrival, sizes, gapsToo }) => {
        const chain = new Chain(h.plant.meters);
        for (let known = 0, step = 0; known < arrival.length; step++) {
          known += sizes[step % sizes.length] as number;
          const arrived = arrival.slice(0, known);
          const s = settle(h.plant, input(h, { boundaries: arrived, fixed: chain.fixed, taken: chain.taken }));
          chain.mint(s.certificates);
          if (gapsToo && step % 3 === 2) for (const r of s.residuals) if (r.mintable) chain.mintResidual(r);
        }
        made += chain.minted;
        if (!h.wrong) expect(chain.mintedWh).toBeLessThanOrEqual(h.mostWh);
        else if (h.plant.meters.every((m) => m.modulusWh === null))
          expect(chain.mintedWh).toBeLessThanOrEqual(shownWh(h));
      }),
      RUNS,
    );
    expect(made).toBeGreaterThan(4000);
  });

  it('a range that begins later says the same of its hours, given where the one before ended', () => {
    const cut = historyArb(true).chain((h) => fc.record({ h: fc.constant(h), at: fc.nat(h.readings.length) }));
    fc.assert(
      fc.property(cut, ({ h, at }) => {
        fc.pre(h.plant.meters.length === 1);
        const whole = settle(h.plant, input(h));
        const cutAt = h.readings[at]?.at;
        const knot = whole.certificates.find((c) => c.slot === cutAt);
        if (!knot) return;
        // As it is once the hours before are on the chain.
        const done = whole.certificates.filter((c) => c.slot < knot.slot);
        const chain = new Chain(h.plant.meters);
        chain.mint(done);
        const before = done.at(-1);
        const later = settle(
          h.plant,
          input(h, {
            boundaries: h.readings.filter((r) => r.at >= knot.slot),
            fixed: chain.fixed.filter((f) => f.at >= knot.slot),
            ...(before
              ? {
                  before: new Map([[before.end.device, { at: before.slot + HOUR, registerWh: before.end.registerWh }]]),
                }
              : {}),
          }),
        );
        const hours = (s: Settled) => s.certificates.filter((c) => c.slot >= knot.slot).map((c) => [c.slot, c.wh]);
        if (whole.residuals.every((r) => r.until <= (before?.slot ?? 0) || r.from >= knot.slot))
          expect(hours(later)).toEqual(hours(whole));
      }),
      RUNS,
    );
  });
});

/** What the contract holds and refuses, as far as these rules meet it. */
class Chain {
  readonly #meters: ReadonlyMap<string, Meter>;
  readonly #fixed = new Map<number, Fixed>();
  readonly taken = new Set<number>();
  minted = 0;
  mintedWh = 0;

  constructor(meters: readonly Meter[]) {
    this.#meters = new Map(meters.map((m) => [m.did, m]));
  }

  get fixed(): Fixed[] {
    return [...this.#fixed.values()];
  }

  /** In batches of hours that follow each other, of one meter and one UTC day. */
  mint(slots: readonly ReadySlot[]): void {
    let batch: ReadySlot[] = [];
    for (const slot of [...slots, undefined]) {
      const last = batch.at(-1);
      const goesOn =
        slot &&
        last &&
        slot.slot === last.slot + HOUR &&
        dayOf(slot.slot) === dayOf(last.slot) &&
        slot.start.device === last.end.device;
      if (last && !goesOn) {
        this.#mint(batch);
        batch = [];
      }
      if (slot) batch.push(slot);
    }
  }

  #mint(batch: readonly ReadySlot[]): void {
    const [first, last] = [batch[0] as ReadySlot, batch.at(-1) as ReadySlot];
    for (const [i, { slot, wh, start, end }] of batch.entries()) {
      if (i > 0) expect(start.registerWh, 'one register for both sides').toBe(batch[i - 1]?.end.registerWh);
      this.#take(slot, start, end, wh);
    }
    this.#fix(first.start);
    this.#fix(last.end);
    this.minted += batch.length;
  }

  mintResidual({ from, until, start, end, wh }: Residual): void {
    expect(until - from).toBeGreaterThanOrEqual(2 * HOUR);
    for (let slot = from; slot < until; slot += HOUR) expect(this.taken.has(slot)).toBe(false);
    this.#take(from, start, end, wh);
    expect([start.at, end.at]).toEqual([from, until]);
    for (let slot = from; slot < until; slot += HOUR) this.taken.add(slot);
    this.#fix(start);
    this.#fix(end);
  }

  #take(slot: number, start: Boundary, end: Boundary, wh: number): void {
    expect(this.taken.has(slot), 'no slot twice').toBe(false);
    expect(start.at).toBe(slot);
    expect(start.device).toBe(end.device);
    const meter = this.#meters.get(start.device) as Meter;
    const seconds = end.iat - start.iat;
    expect(difference(start.registerWh, end.registerWh, meter, seconds)?.wh).toBe(wh);
    expect(wh).toBeLessThanOrEqual(mostWh(meter.capacityW as number, seconds));
    this.taken.add(slot);
    this.mintedWh += wh;
  }

  #fix({ at, registerWh, device }: Boundary): void {
    const held = this.#fixed.get(at);
    if (held)
      expect({ registerWh, device }, 'the boundary is fixed').toEqual({
        registerWh: held.registerWh,
        device: held.device,
      });
    this.#fixed.set(at, { at, registerWh, device });
  }
}
