/** From rows to what the API says. */
import { parseSuccession } from '../log/succession.ts';
import type { Range } from '../store/counters.ts';
import type { Device, Devices } from '../store/devices.ts';
import type { EntryRow } from '../store/entries.ts';
import type { GapRow } from '../store/gaps.ts';
import type { LateEntry } from '../store/late.ts';
import type { Quarantine, QuarantineRow } from '../store/quarantine.ts';
import { decodeEnvelope } from '../wire/envelope.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import type { EntryView, RegistryView } from './views.ts';

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

export function describeEntry(row: EntryRow, devices: Devices, withEnvelope: boolean, late?: LateEntry): EntryView {
  const device = devices.byId(row.device) as Device;
  const known = {
    index: row.idx,
    did: device.did,
    kind: device.kind,
    custody: device.custody,
    sub: device.sub,
    epoch: row.epoch,
    seq: row.seq,
    receivedMs: row.receivedMs,
    clock: row.clockSynced ? ('synced' as const) : ('unsynced' as const),
    ...(late ? { late } : {}),
  };
  const sealed = row.salt ? { sealed: true } : {};
  if (row.leaf) return { ...known, ...sealed, records: [], pruned: true, leafHash: base64(row.leaf) };
  if (row.forgotten) return { ...known, ...sealed, records: [], forgotten: true };
  const { iat, records } = decodeEnvelope(row.envelope);
  return {
    ...known,
    ...sealed,
    iat,
    records: records.map(({ vd, ...r }) => (vd ? { ...r, vd: base64(vd) } : r)),
    ...(withEnvelope ? { envelope: base64(row.envelope) } : {}),
  };
}

const span = ({ epoch, first, last }: Range) => ({ epoch, first, last, count: last - first + 1 });

export const describeGap = ({ reason, idx, ...range }: GapRow) => ({ ...span(range), reason, index: idx });

export function describeDevice(
  d: Device,
  quarantine: Quarantine,
  declared?: readonly GapRow[],
  registry?: RegistryView,
  ended?: { idx: number; records: readonly SenmlRecord[] },
) {
  const {
    did,
    kind,
    custody,
    sub,
    owner,
    capacityW,
    energySource,
    registerModulusWh,
    label,
    status,
    replacedBy,
    enrolledMs,
    updatedMs,
  } = d;
  const { epoch, seq, entries, lastIdx, lastMs, gaps } = d.counter;
  return {
    did,
    kind,
    custody,
    sub,
    owner,
    capacityW,
    energySource,
    registerModulusWh,
    label,
    status,
    replacedBy,
    enrolledMs,
    updatedMs,
    counter:
      epoch < 0 ? null : { epoch, seq, entries, lastIndex: lastIdx < 0 ? null : lastIdx, lastMs, gaps: gaps.map(span) },
    ...(declared ? { declaredGaps: declared.map(describeGap) } : {}),
    quarantined: quarantine.heldBy(did),
    ...(registry ? { registry } : {}),
    ...(ended ? describeSuccession(ended.idx, ended.records) : {}),
  };
}

function describeSuccession(index: number, records: readonly SenmlRecord[]) {
  const said = parseSuccession(records);
  return said ? { succession: { by: said.by, how: said.how, index, ...said.registers } } : {};
}

const hex32 = (n: number): string => n.toString(16).padStart(8, '0');

export const describeQuarantined = ({ sha256: _, epoch, seq, bytes, ...q }: QuarantineRow) => ({
  ...q,
  cti: epoch === null || seq === null ? null : hex32(epoch) + hex32(seq),
  bytes: base64(bytes),
});
