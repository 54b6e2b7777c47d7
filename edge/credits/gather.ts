/**
 * Which entries can become the ends of slots: readings near a full hour of what generates or stores, and of inverters,
 * which are only compared. What the hours are made of is decided later (settle.ts). Pure.
 */
import type { BoundaryRow } from '../store/credits.ts';
import type { Device } from '../store/devices.ts';
import type { EntryRow } from '../store/entries.ts';
import { billedOf, DAY, EXPORT_REGISTER, HOUR } from '../wire/boundary.ts';
import type { Envelope } from '../wire/envelope.ts';
import { boundaryOf } from './time.ts';

/** Kinds that certificates are made of, and kinds that only check them. */
export const CERTIFIED_KINDS: ReadonlySet<string> = new Set(['plant', 'storage']);
export const COMPARED_KINDS: ReadonlySet<string> = new Set(['inverter']);

/** Candidates of one device at one full hour that are kept: the nearest, and what was used before one nearer came late. */
export const MOST_CANDIDATES = 3;

/** @returns none where the entry is of another kind or shape, or not near a full hour */
export function boundariesOf(
  row: Pick<EntryRow, 'idx' | 'receivedMs' | 'boot' | 'clockSynced'>,
  { id, kind, sub }: Pick<Device, 'id' | 'kind' | 'sub'>,
  envelope: Envelope,
): BoundaryRow[] {
  const { iat } = envelope;
  const { idx, receivedMs, boot, clockSynced } = row;
  const base = { point: sub, idx, device: id, receivedMs, boot, clockSynced, offsetMs: null };
  const at = boundaryOf(iat);
  if (COMPARED_KINDS.has(kind)) {
    const [first] = envelope.records;
    const isRegister = first?.n === EXPORT_REGISTER && first.u === 'Wh' && first.t === undefined;
    return at !== undefined && isRegister && first.v !== undefined && Number.isInteger(first.v)
      ? [{ ...base, at, iat, registerWh: first.v, shape: 'reading' }]
      : [];
  }
  const billed = CERTIFIED_KINDS.has(kind) ? billedOf(envelope) : undefined;
  if (billed?.shape === 'reading')
    return at !== undefined ? [{ ...base, at, iat, registerWh: billed.registerWh, shape: 'reading' }] : [];
  return (billed?.registersWh ?? []).map((registerWh, hour) => {
    const full = (billed as { day: number }).day * DAY + hour * HOUR;
    return { ...base, at: full, iat: full, registerWh, shape: 'profile' };
  });
}

/** The scale factor that an inverter's energy was read with (SunSpec), where its reading says one. */
export const scaleOf = ({ records }: Pick<Envelope, 'records'>): number | undefined =>
  records.find(({ n }) => n.startsWith('sunspec:') && n.endsWith('.WH_SF'))?.v;

export const isNearerThan = (
  a: Pick<BoundaryRow, 'at' | 'iat' | 'idx'>,
  b: Pick<BoundaryRow, 'at' | 'iat' | 'idx'>,
): boolean => {
  const [x, y] = [Math.abs(a.iat - a.at), Math.abs(b.iat - b.at)];
  return x < y || (x === y && (a.iat < b.iat || (a.iat === b.iat && a.idx < b.idx)));
};
