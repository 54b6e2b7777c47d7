/**
 * SenML packs (RFC 8428). On the wire of an envelope only resolved records are taken: no base fields, one
 * value each, so that two readers can never see two readings in the same bytes. Legacy devices may send base
 * fields in JSON or CBOR; {@link resolveLegacy} turns those into resolved records (RFC 8428 section 4.6).
 * Pure.
 */
import { decode as cborgDecode } from 'cborg';
import { EdgeError } from '../errors.ts';
import { isPrintableAscii } from './bytes.ts';
import { type CborMap, type CborValue, decodeCbor, encodeCbor } from './cbor.ts';

/** CBOR labels, RFC 8428 section 6, table 6. */
const N = 0;
const U = 1;
const V = 2;
const VS = 3;
const VB = 4;
const T = 6;
const VD = 8;

/**
 * One resolved record. `n` is an OBIS code, a VSS path or another name; `u` a unit of RFC 8428 section 12.1;
 * `t` whole seconds: Unix time, or (below 2^28) an offset to `iat`. Exactly one of v, vs, vb, vd.
 */
export type SenmlRecord = {
  n: string;
  u?: string;
  t?: number;
  v?: number;
  vs?: string;
  vb?: boolean;
  vd?: Uint8Array;
};

export const MAX_NAME = 128;
export const MAX_UNIT = 32;

const refuse = (why: string, index?: number): never => {
  throw new EdgeError('SENML_INVALID', index === undefined ? why : `record ${index}: ${why}`);
};

/** @throws EdgeError SENML_INVALID */
export function encodePack(records: readonly SenmlRecord[]): Uint8Array {
  checkPack(records);
  return encodeCbor(
    records.map((r) => {
      const map: CborMap = new Map<number, CborValue>([[N, r.n]]);
      if (r.u !== undefined) map.set(U, r.u);
      if (r.v !== undefined) map.set(V, r.v);
      if (r.vs !== undefined) map.set(VS, r.vs);
      if (r.vb !== undefined) map.set(VB, r.vb);
      if (r.t !== undefined) map.set(T, r.t);
      if (r.vd !== undefined) map.set(VD, r.vd);
      return map;
    }),
  );
}

/** @throws EdgeError CBOR_INVALID or SENML_INVALID */
export function decodePack(bytes: Uint8Array): SenmlRecord[] {
  const pack = decodeCbor(bytes);
  if (!Array.isArray(pack)) return refuse('the pack is not an array');
  const records = pack.map((item, i) => (item instanceof Map ? toRecord(item, i) : refuse('not a map', i)));
  checkPack(records);
  return records;
}

function toRecord(map: CborMap, index: number): SenmlRecord {
  const record: SenmlRecord = { n: '' };
  for (const [label, value] of map) {
    if (label === N && typeof value === 'string') record.n = value;
    else if (label === U && typeof value === 'string') record.u = value;
    else if (label === V && typeof value === 'number') record.v = value;
    else if (label === VS && typeof value === 'string') record.vs = value;
    else if (label === VB && typeof value === 'boolean') record.vb = value;
    else if (label === T && typeof value === 'number') record.t = value;
    else if (label === VD && value instanceof Uint8Array) record.vd = value;
    else refuse(`label ${String(label)} is not one of n, u, v, vs, vb, vd, t with its own type`, index);
  }
  return record;
}

/** The rules that both directions share. */
function checkPack(records: readonly SenmlRecord[]): void {
  if (records.length === 0) refuse('the pack is empty');
  const seen = new Set<string>();
  for (let i = 0; i < records.length; i++) {
    const r = records[i] as SenmlRecord;
    if (!isPrintableAscii(r.n, 1, MAX_NAME)) refuse(`the name is 1 to ${MAX_NAME} printable ASCII characters`, i);
    if (r.u !== undefined && !isPrintableAscii(r.u, 1, MAX_UNIT))
      refuse(`the unit is 1 to ${MAX_UNIT} printable ASCII characters`, i);
    const values =
      Number(r.v !== undefined) + Number(r.vs !== undefined) + Number(r.vb !== undefined) + Number(r.vd !== undefined);
    if (values !== 1) refuse(`${values} values where there must be one`, i);
    if (r.v !== undefined && !(Number.isInteger(r.v) ? Number.isSafeInteger(r.v) : Number.isFinite(r.v)))
      refuse('the value is beyond +/-(2^53 - 1) or not finite', i);
    if (Object.is(r.v, -0)) refuse('the value is minus zero', i);
    if (r.t !== undefined && !Number.isSafeInteger(r.t)) refuse('t is whole seconds', i);
    const key = r.t === undefined ? r.n : `${r.n}\n${r.t}`;
    if (seen.has(key)) refuse(`${JSON.stringify(r.n)} stands twice for the same time`, i);
    seen.add(key);
  }
}

const JSON_NAMES = {
  bn: -2,
  bt: -3,
  bu: -4,
  bv: -5,
  bs: -6,
  bver: -1,
  n: N,
  u: U,
  v: V,
  vs: VS,
  vb: VB,
  s: 5,
  t: T,
  ut: 7,
  vd: VD,
} as const;

/**
 * Resolve what an unsigned legacy device sent, SenML JSON or CBOR with base fields, into plain records.
 * Times become whole seconds (floor). Sums (`s`, `bs`) and update times (`ut`) carry nothing that is billed
 * and are refused rather than silently lost.
 * @throws EdgeError SENML_INVALID
 */
export function resolveLegacy(bytes: Uint8Array): SenmlRecord[] {
  const first = bytes.find((b) => b !== 0x20 && b !== 0x0a && b !== 0x0d && b !== 0x09);
  const pack = first === 0x5b ? parseJson(bytes) : parseCbor(bytes);
  const base = { n: '', t: 0, u: undefined as string | undefined, v: 0 };
  const records: SenmlRecord[] = [];
  pack.forEach((fields, i) => {
    const get = (label: number, type: 'number' | 'string' | 'boolean'): never | undefined => {
      const value = fields.get(label);
      if (value !== undefined && typeof value !== type) refuse(`label ${label} is not a ${type}`, i);
      return value as never;
    };
    for (const label of fields.keys())
      if (!(Object.values(JSON_NAMES) as number[]).includes(label)) refuse(`unknown field ${label}`, i);
    for (const label of [5, -6, 7]) if (fields.has(label)) refuse('s, bs and ut are not taken', i);
    if ((get(-1, 'number') ?? 10) !== 10) refuse('bver is not 10', i);
    base.n = get(-2, 'string') ?? base.n;
    base.t = get(-3, 'number') ?? base.t;
    base.u = get(-4, 'string') ?? base.u;
    base.v = get(-5, 'number') ?? base.v;
    const record: SenmlRecord = { n: base.n + (get(N, 'string') ?? '') };
    const unit: string | undefined = get(U, 'string') ?? base.u;
    if (unit !== undefined) record.u = unit;
    const v: number | undefined = get(V, 'number');
    if (v !== undefined) record.v = base.v + v;
    const vs: string | undefined = get(VS, 'string');
    if (vs !== undefined) record.vs = vs;
    const vb: boolean | undefined = get(VB, 'boolean');
    if (vb !== undefined) record.vb = vb;
    const vd = fields.get(VD);
    if (vd instanceof Uint8Array) record.vd = vd;
    else if (typeof vd === 'string') record.vd = base64Url(vd, i);
    const t = base.t + ((get(T, 'number') as number | undefined) ?? 0);
    if (t !== 0) record.t = Math.floor(t);
    // A record with base fields only sets the base (RFC 8428 section 4.1).
    if (
      v === undefined &&
      vs === undefined &&
      vb === undefined &&
      vd === undefined &&
      fields.size > 0 &&
      !fields.has(N)
    )
      return;
    records.push(record);
  });
  checkPack(records);
  return records;
}

function base64Url(text: string, index: number): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  } catch {
    return refuse('vd is not base64', index);
  }
}

type Fields = Map<number, unknown>;

function parseJson(bytes: Uint8Array): Fields[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    refuse(`not JSON (${(error as Error).message})`);
  }
  if (!Array.isArray(value)) return refuse('the pack is not an array');
  return value.map((item, i) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return refuse('not an object', i);
    const fields: Fields = new Map();
    for (const [name, v] of Object.entries(item)) {
      if (!Object.hasOwn(JSON_NAMES, name)) refuse(`unknown field ${JSON.stringify(name.slice(0, 20))}`, i);
      fields.set(JSON_NAMES[name as keyof typeof JSON_NAMES], v);
    }
    return fields;
  });
}

function parseCbor(bytes: Uint8Array): Fields[] {
  let value: unknown;
  try {
    value = cborgDecode(bytes, { useMaps: true, rejectDuplicateMapKeys: true, allowBigInt: false });
  } catch (error) {
    refuse(`neither a JSON array nor CBOR (${(error as Error).message})`);
  }
  if (!Array.isArray(value)) return refuse('the pack is not an array');
  return value.map((item, i) => (item instanceof Map ? (item as Fields) : refuse('not a map', i)));
}
