/** Why an hour of a metering point has no certificate, as far as the rows tell it. Pure. */
import { HOUR } from '../wire/boundary.ts';

/**
 * ahead: it has not begun. running: it is not over. residual: its energy is known with that of other hours only.
 * no-readings, no-start, no-end: nothing was read near its two ends, or one of them. no-energy: the register stood still.
 * clock: what the time of a reading was worth is not known yet. suspended: the meter is. charge: of a storage plant, no
 * claimed charge is left for it. pending: both ends are read, and the certifier has not come to them.
 */
export type Missing =
  | 'ahead'
  | 'running'
  | 'residual'
  | 'no-readings'
  | 'no-start'
  | 'no-end'
  | 'no-energy'
  | 'clock'
  | 'suspended'
  | 'charge'
  | 'pending';

/** A reading near the full hour `at`; of `device`, by any name that tells meters apart. */
export type Near = { at: number; device: number; registerWh: number; clockSynced: 0 | 1; offsetMs: number | null };

export type HourFacts = {
  /** First second of the hour. */
  slot: number;
  /** Unix seconds. */
  now: number;
  near: readonly Near[];
  residuals: readonly { from: number; until: number }[];
  suspended: boolean;
  storage: boolean;
};

export function missing({ slot, now, near, residuals, suspended, storage }: HourFacts): Missing {
  const end = slot + HOUR;
  if (slot > now) return 'ahead';
  if (end > now) return 'running';
  if (residuals.some((r) => r.from <= slot && r.until >= end)) return 'residual';
  const at = (second: number) => near.filter((b) => b.at === second);
  const [starts, ends] = [at(slot), at(end)];
  if (starts.length + ends.length === 0) return 'no-readings';
  if (starts.length === 0) return 'no-start';
  if (ends.length === 0) return 'no-end';
  const isTimed = (b: Near): boolean => b.clockSynced === 1 || b.offsetMs !== null;
  if (!starts.some(isTimed) || !ends.some(isTimed)) return 'clock';
  if (suspended) return 'suspended';
  if (starts.some((s) => ends.some((e) => s.device === e.device && s.registerWh === e.registerWh))) return 'no-energy';
  return storage ? 'charge' : 'pending';
}
