/** The difference of two cumulative registers. They are floored to Wh before, so that sums of differences telescope exactly. */
import { mostWh } from './cap.ts';
import type { Meter } from './types.ts';

export type Difference = { wh: number; rollover: boolean };

/**
 * From `before` to `then`, `seconds` later. One that went down is a rollover only where the register has a modulus and
 * the way over it fits what the plant can give in that time.
 * @returns undefined where the register fell
 */
export function difference(
  before: number,
  then: number,
  { capacityW, modulusWh }: Pick<Meter, 'capacityW' | 'modulusWh'>,
  seconds: number,
): Difference | undefined {
  if (then >= before) return { wh: then - before, rollover: false };
  if (modulusWh === null || capacityW === null || before >= modulusWh) return undefined;
  const wh = modulusWh - before + then;
  return wh <= mostWh(capacityW, Math.max(0, seconds)) ? { wh, rollover: true } : undefined;
}
