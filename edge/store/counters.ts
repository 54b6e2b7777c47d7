/**
 * How far a device's counter (cti = boot epoch, sequence in that boot) has come, and which counters below the
 * highest are still missing. Immutable: a batch works on copies, and they replace the old ones only once the
 * batch is on disk. Pure.
 */

/** Sequences `first` to `last`, both included, of one boot epoch. */
export type Range = { epoch: number; first: number; last: number };

/**
 * Ranges kept per device; beyond it the oldest is given up, so that a device cannot grow the state for ever. Whoever
 * keeps the new state has to declare it lost (givenUp).
 */
export const MAX_GAPS = 64;

type State = { epoch: number; seq: number; gaps: readonly Range[]; entries: number; lastIdx: number; lastMs: number };

export class CounterState implements State {
  readonly epoch: number;
  readonly seq: number;
  readonly gaps: readonly Range[];
  readonly entries: number;
  readonly lastIdx: number;
  readonly lastMs: number;
  /** What the step that made this state gave up beyond the cap. */
  readonly givenUp: Range | undefined;

  static readonly fresh = new CounterState({ epoch: -1, seq: -1, gaps: [], entries: 0, lastIdx: -1, lastMs: 0 });

  constructor(state: State) {
    this.epoch = state.epoch;
    this.seq = state.seq;
    this.gaps = state.gaps.slice(-MAX_GAPS);
    this.givenUp = state.gaps.length > MAX_GAPS ? state.gaps[0] : undefined; // one step makes one more at most
    this.entries = state.entries;
    this.lastIdx = state.lastIdx;
    this.lastMs = state.lastMs;
  }

  /**
   * The state after the counter (epoch, seq) was taken, or undefined where it may not be: it is not higher than
   * all before, and fills no gap that was seen open.
   */
  take(epoch: number, seq: number, idx: number, ms: number): CounterState | undefined {
    const next = { epoch: this.epoch, seq: this.seq, entries: this.entries + 1, lastIdx: idx, lastMs: ms };
    if (this.epoch === -1)
      // The first one ever sets the beginning: what came before it was never this gateway's to see.
      return new CounterState({ ...next, epoch, seq, gaps: [] });
    if (epoch > this.epoch) {
      // Each boot counts from 0, so what is missing below the first one of a new boot is a gap.
      const gaps = seq > 0 ? this.#with({ epoch, first: 0, last: seq - 1 }) : this.gaps;
      return new CounterState({ ...next, epoch, seq, gaps });
    }
    if (epoch === this.epoch && seq > this.seq) {
      const gaps = seq > this.seq + 1 ? this.#with({ epoch, first: this.seq + 1, last: seq - 1 }) : this.gaps;
      return new CounterState({ ...next, seq, gaps });
    }
    const at = this.gaps.findIndex((g) => g.epoch === epoch && g.first <= seq && seq <= g.last);
    const gap = this.gaps[at];
    if (!gap) return undefined;
    return new CounterState({ ...next, gaps: this.#without(at, gap, seq, seq) });
  }

  /** The state after the range was declared lost, or undefined where it is not open from end to end. */
  close({ epoch, first, last }: Range): CounterState | undefined {
    const at = this.gaps.findIndex((g) => g.epoch === epoch && g.first <= first && last <= g.last);
    const gap = this.gaps[at];
    if (!gap || first > last) return undefined;
    return new CounterState({ ...this, gaps: this.#without(at, gap, first, last) });
  }

  /** The state after an entry of an earlier log came into this one: its counter was taken there. */
  again(idx: number, ms: number): CounterState {
    return new CounterState({ ...this, entries: this.entries + 1, lastIdx: idx, lastMs: ms });
  }

  #with(gap: Range): readonly Range[] {
    return [...this.gaps, gap];
  }

  #without(at: number, gap: Range, first: number, last: number): readonly Range[] {
    const rest: Range[] = [];
    if (gap.first < first) rest.push({ ...gap, last: first - 1 });
    if (last < gap.last) rest.push({ ...gap, first: last + 1 });
    return [...this.gaps.slice(0, at), ...rest, ...this.gaps.slice(at + 1)];
  }
}
