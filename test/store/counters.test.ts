import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CounterState, MAX_GAPS, type Range } from '../../edge/store/counters.ts';

/** The rule in plain sets: what was taken, and what was seen open; a counter is [epoch, seq]. */
class Model {
  readonly taken = new Set<string>();
  readonly open = new Set<string>();
  top: [number, number] | undefined;

  take(epoch: number, seq: number): boolean {
    const name = `${epoch}/${seq}`;
    if (!this.top) {
      this.top = [epoch, seq];
    } else if (epoch > this.top[0] || (epoch === this.top[0] && seq > this.top[1])) {
      const from = epoch > this.top[0] ? 0 : this.top[1] + 1;
      for (let missing = from; missing < seq; missing++) this.open.add(`${epoch}/${missing}`);
      this.top = [epoch, seq];
    } else if (!this.open.delete(name)) return false;
    this.taken.add(name);
    return true;
  }
}

const inGaps = (gaps: readonly Range[]): string[] =>
  gaps.flatMap(({ epoch, first, last }) => Array.from({ length: last - first + 1 }, (_, i) => `${epoch}/${first + i}`));

const counters = (maxSeq: number) => fc.array(fc.tuple(fc.nat(3), fc.nat(maxSeq)), { minLength: 1, maxLength: 120 });

describe("a device's counter", () => {
  it('is taken exactly where it is the first, is higher than all, or fills a gap that was seen open; never twice', () => {
    fc.assert(
      fc.property(counters(30), (sent) => {
        const model = new Model();
        let state = CounterState.fresh;
        for (const [i, [epoch, seq]] of sent.entries()) {
          const next = state.take(epoch, seq, i, 1_000 + i);
          expect(next !== undefined, `${epoch}/${seq}`).toBe(model.take(epoch, seq));
          if (!next) continue;
          state = next;
          expect([state.epoch, state.seq]).toEqual(model.top);
          expect(state.entries).toBe(model.taken.size);
          expect(state).toMatchObject({ lastIdx: i, lastMs: 1_000 + i });
          expect(inGaps(state.gaps).sort()).toEqual([...model.open].sort());
        }
      }),
      { numRuns: 2_000, seed: 1 },
    );
  });

  it('keeps its gaps apart, in order, and never empty, so that the oldest is the first', () => {
    fc.assert(
      fc.property(counters(400), (sent) => {
        let state = CounterState.fresh;
        for (const [epoch, seq] of sent) {
          state = state.take(epoch, seq, 0, 0) ?? state;
          expect(state.gaps.length).toBeLessThanOrEqual(MAX_GAPS);
          for (const [i, { epoch: e, first, last }] of state.gaps.entries()) {
            expect(first).toBeLessThanOrEqual(last);
            const before = state.gaps[i - 1];
            if (before) expect(before.epoch < e || (before.epoch === e && before.last + 1 < first)).toBe(true);
          }
        }
      }),
      { numRuns: 500, seed: 2 },
    );
  });

  it('is changed only in a copy, so that a batch that fails is only forgotten', () => {
    const state = CounterState.fresh.take(1, 5, 0, 0)?.take(1, 9, 1, 0) as CounterState;
    const before = JSON.stringify(state);
    state.take(1, 7, 2, 0);
    state.take(1, 20, 2, 0);
    state.take(2, 0, 2, 0);
    expect(JSON.stringify(state)).toBe(before);
    expect(JSON.stringify(CounterState.fresh)).toBe(JSON.stringify(new CounterState(CounterState.fresh)));
  });

  it('starts where the first envelope starts: what came before was never to be seen here', () => {
    const state = CounterState.fresh.take(7, 40, 0, 0) as CounterState;
    expect(state.gaps).toEqual([]);
    for (const [epoch, seq] of [
      [7, 39],
      [7, 40],
      [6, 999],
      [0, 0],
    ] as const)
      expect(state.take(epoch, seq, 1, 0)).toBeUndefined();
  });

  it('sees what is missing at the start of a new boot, and not what was never sent at the end of the last', () => {
    const state = CounterState.fresh.take(1, 5, 0, 0)?.take(2, 3, 1, 0) as CounterState;
    expect(state.gaps).toEqual([{ epoch: 2, first: 0, last: 2 }]);
    expect(state.take(1, 6, 2, 0)).toBeUndefined();
    expect(state.take(2, 1, 2, 0)?.gaps).toEqual([
      { epoch: 2, first: 0, last: 0 },
      { epoch: 2, first: 2, last: 2 },
    ]);
  });

  it('goes up to 2^32 - 1, and a leap over all of it costs one gap', () => {
    const most = 0xffffffff;
    const state = CounterState.fresh.take(0, 0, 0, 0)?.take(0, most, 1, 0)?.take(most, most, 2, 0) as CounterState;
    expect(state.gaps).toEqual([
      { epoch: 0, first: 1, last: most - 1 },
      { epoch: most, first: 0, last: most - 1 },
    ]);
    expect(state.take(most, most, 3, 0)).toBeUndefined();
    expect(state.take(0, most - 1, 3, 0)).toBeDefined();
  });

  it('gives up the oldest gap beyond the cap, and takes no counter from it any more', () => {
    let state = CounterState.fresh.take(1, 0, 0, 0) as CounterState;
    for (let i = 1; i <= MAX_GAPS; i++) state = state.take(1, i * 10, i, 0) as CounterState;
    expect(state.gaps).toHaveLength(MAX_GAPS);
    expect(state.take(1, 5, 99, 0), 'the oldest, still open').toBeDefined();
    const over = state.take(1, 1_000, 99, 0) as CounterState;
    expect(over.gaps).toHaveLength(MAX_GAPS);
    expect(over.gaps[0]).toEqual({ epoch: 1, first: 11, last: 19 });
    expect(over.take(1, 5, 100, 0), 'the oldest, given up').toBeUndefined();
    // Filling one in its middle makes two of it: that too is beyond the cap.
    const split = over.take(1, 15, 100, 0) as CounterState;
    expect(split.gaps).toHaveLength(MAX_GAPS);
    expect(split.gaps[0]).toEqual({ epoch: 1, first: 16, last: 19 });
    expect(split.take(1, 12, 101, 0)).toBeUndefined();
  });
});
