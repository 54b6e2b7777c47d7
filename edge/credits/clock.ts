/**
 * What the time of a reading is worth. It is the meter's own, signed; what can be held against it is when it came. A
 * gateway that did not know the time itself can say nothing until it learns how far off it was.
 */
import { NEAR } from './time.ts';
import type { Boundary } from './types.ts';

/** `ahead`: it was received before the time that it says, by more than a boundary may be off. */
export type TimeQuality = 'good' | 'corrected' | 'unknown' | 'ahead';

export function timeQuality({ iat, receivedMs, clock }: Pick<Boundary, 'iat' | 'receivedMs' | 'clock'>): TimeQuality {
  if (!clock.synced && clock.offsetMs === undefined) return 'unknown';
  const trueMs = receivedMs + (clock.synced ? 0 : (clock.offsetMs as number));
  if (iat * 1000 > trueMs + NEAR * 1000) return 'ahead';
  return clock.synced ? 'good' : 'corrected';
}
