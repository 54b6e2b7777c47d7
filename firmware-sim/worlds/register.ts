/**
 * Energy registers: the exact integral of a power that is held for ten seconds at a time. Whole watts times whole
 * milliseconds are whole numbers, so nothing is ever rounded but the reading.
 */
import { resumeFrom } from './world.ts';

/** Length of the steps in which power changes, on a grid of Unix time. */
export const STEP = 10_000;
const WATT_MS_PER_WH = 3_600_000;

export type RegisterState = {
  /** Counted up to here, Unix milliseconds, simulated. */
  ms: number;
  /** Whole Wh, and what is over in W ms, of energy taken and of energy given. */
  wh: [number, number];
  rest: [number, number];
};

export class Registers {
  readonly #powerW: (ms: number) => number;
  #state: RegisterState;

  /** @param powerW whole watts, asked for at the beginning of each step; below zero is energy given */
  constructor(powerW: (ms: number) => number, state: RegisterState) {
    this.#powerW = powerW;
    this.#state = structuredClone(state);
  }

  get state(): RegisterState {
    return this.#state;
  }

  /** Whole Wh taken, and given. */
  get wh(): readonly [number, number] {
    return this.#state.wh;
  }

  powerAt(ms: number): number {
    return this.#powerW(Math.floor(ms / STEP) * STEP);
  }

  advance(to: number): void {
    const state = this.#state;
    state.ms = resumeFrom(state.ms, to);
    while (state.ms < to) {
      const next = Math.min(to, (Math.floor(state.ms / STEP) + 1) * STEP);
      const watts = this.powerAt(state.ms);
      const way = watts < 0 ? 1 : 0;
      const sum = state.rest[way] + Math.abs(watts) * (next - state.ms);
      const whole = Math.floor(sum / WATT_MS_PER_WH);
      state.wh[way] += whole;
      state.rest[way] = sum - whole * WATT_MS_PER_WH;
      state.ms = next;
    }
  }
}
