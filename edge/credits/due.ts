/** Which certificates go to the chain together. Pure. */
import type { CertificateRow, ResidualRow } from '../store/credits.ts';
import { HOUR } from '../wire/boundary.ts';
import { dayOf } from './time.ts';

/**
 * Readings of one device, hour by hour, of one UTC day; or a day profile; or a gap. `iss` is the device's DID, `sub` the URN
 * of the metering point and `point` its commitment; `slots` their first seconds (of a residual, its first second and the
 * first after it); `entries` indexes in the log, in the order of time.
 */
export type DueBatch = {
  kind: 'slots' | 'day' | 'residual';
  iss: string;
  sub: string;
  point: `0x${string}`;
  slots: number[];
  entries: number[];
};

type Of = Pick<CertificateRow, 'device' | 'point' | 'pointId'>;

/**
 * Oldest first.
 * @param alone ids of those that go by themselves, because one of those they went with was refused
 * @param issOf the DID of a device, by its number
 */
export function batchesOf(
  ready: readonly CertificateRow[],
  alone: ReadonlySet<string>,
  issOf: (device: number) => string,
): DueBatch[] {
  const batches: { batch: DueBatch; last: CertificateRow }[] = [];
  const sorted = ready.toSorted((a, b) => (a.point < b.point ? -1 : a.point > b.point ? 1 : a.slot - b.slot));
  for (const c of sorted) {
    const open = batches.at(-1);
    if (open && goesOn(open.last, c, alone)) {
      open.batch.slots.push(c.slot);
      if (c.shape === 'reading') open.batch.entries.push(c.endIdx);
      open.last = c;
      continue;
    }
    const entries = c.shape === 'profile' ? [c.startIdx] : [c.startIdx, c.endIdx];
    const kind = c.shape === 'profile' ? 'day' : 'slots';
    batches.push({ batch: { kind, ...placeOf(c, issOf), slots: [c.slot], entries }, last: c });
  }
  return batches.map(({ batch }) => batch).sort((a, b) => (a.slots[0] as number) - (b.slots[0] as number));
}

function goesOn(last: CertificateRow, c: CertificateRow, alone: ReadonlySet<string>): boolean {
  if (last.point !== c.point || last.device !== c.device || last.shape !== c.shape) return false;
  if (dayOf(last.slot) !== dayOf(c.slot) || last.version !== c.version) return false;
  if (c.shape === 'profile') return last.startIdx === c.startIdx;
  if (alone.has(last.id) || alone.has(c.id)) return false;
  return last.slot + HOUR === c.slot && last.endIdx === c.startIdx;
}

export const residualBatch = (r: ResidualRow, issOf: (device: number) => string): DueBatch => ({
  kind: 'residual',
  ...placeOf(r, issOf),
  slots: [r.fromAt, r.untilAt],
  entries: [r.startIdx, r.endIdx],
});

const placeOf = ({ device, point, pointId }: Of, issOf: (device: number) => string) => ({
  iss: issOf(device),
  sub: point,
  point: pointId as `0x${string}`,
});

/** Each hour that a batch takes. */
export const slotsOf = ({ kind, slots }: { kind: DueBatch['kind']; slots: readonly number[] }): number[] => {
  if (kind !== 'residual') return [...slots];
  const [from, until] = slots as [number, number];
  return Array.from({ length: (until - from) / HOUR }, (_, i) => from + i * HOUR);
};
