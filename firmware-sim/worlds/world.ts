/** What a device measures. A world is a function of its seed and of simulated time: no clock, no chance of its own. */
import type { SenmlRecord } from '../../edge/wire/senml.ts';

/** A reading, and when it was taken: Unix seconds. */
export type Measured = { iat: number; records: SenmlRecord[] };

export type World = {
  /** Let time pass up to `ms` (Unix time, simulated), and measure. */
  sample(ms: number): SenmlRecord[];
  /** What must outlive a restart, as JSON. */
  state(): string;
  /**
   * What was measured before, or became complete, and was not given out yet: each once, oldest first, also over a
   * restart. The state says that a reading was given out from the moment that it is.
   */
  due?(): Iterable<Measured>;
};

const DAY = 86_400_000;

/**
 * From when to count up to `now`. Where the clock was set back nothing is left to count; and a device that was off
 * for longer than a day counts the last day only, so that a boot after a year does not take a minute.
 */
export const resumeFrom = (last: number, now: number): number => Math.min(now, Math.max(last, now - DAY));
