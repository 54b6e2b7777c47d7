/**
 * SunSpec: how an inverter is found behind a Modbus address, and what its registers mean (SunSpec Device Information
 * Model Specification; models 1 and 101 to 103). Pure: what must be read is yielded, the registers come back in.
 */

import { SerialFault } from '../../drivers/fault.ts';
import type { SenmlRecord } from '../../wire/senml.ts';
import type { Driver, Job, Read } from './bus.ts';

type PointType = 'uint16' | 'int16' | 'enum16' | 'sunssf' | 'acc32' | 'bitfield32' | 'string' | 'pad';
type PointDefinition = readonly [name: string, type: PointType, words: number, scaleFactor?: string];

/** Model 1, Common. */
export const COMMON: readonly PointDefinition[] = [
  ['ID', 'uint16', 1],
  ['L', 'uint16', 1],
  ['Mn', 'string', 16],
  ['Md', 'string', 16],
  ['Opt', 'string', 8],
  ['Vr', 'string', 8],
  ['SN', 'string', 16],
  ['DA', 'uint16', 1],
  ['Pad', 'pad', 1],
];

/** Models 101, 102 and 103, inverter of one, split and three phases: one layout. */
export const INVERTER: readonly PointDefinition[] = [
  ['ID', 'uint16', 1],
  ['L', 'uint16', 1],
  ['A', 'uint16', 1, 'A_SF'],
  ['AphA', 'uint16', 1, 'A_SF'],
  ['AphB', 'uint16', 1, 'A_SF'],
  ['AphC', 'uint16', 1, 'A_SF'],
  ['A_SF', 'sunssf', 1],
  ['PPVphAB', 'uint16', 1, 'V_SF'],
  ['PPVphBC', 'uint16', 1, 'V_SF'],
  ['PPVphCA', 'uint16', 1, 'V_SF'],
  ['PhVphA', 'uint16', 1, 'V_SF'],
  ['PhVphB', 'uint16', 1, 'V_SF'],
  ['PhVphC', 'uint16', 1, 'V_SF'],
  ['V_SF', 'sunssf', 1],
  ['W', 'int16', 1, 'W_SF'],
  ['W_SF', 'sunssf', 1],
  ['Hz', 'uint16', 1, 'Hz_SF'],
  ['Hz_SF', 'sunssf', 1],
  ['VA', 'int16', 1, 'VA_SF'],
  ['VA_SF', 'sunssf', 1],
  ['VAr', 'int16', 1, 'VAr_SF'],
  ['VAr_SF', 'sunssf', 1],
  ['PF', 'int16', 1, 'PF_SF'],
  ['PF_SF', 'sunssf', 1],
  ['WH', 'acc32', 2, 'WH_SF'],
  ['WH_SF', 'sunssf', 1],
  ['DCA', 'uint16', 1, 'DCA_SF'],
  ['DCA_SF', 'sunssf', 1],
  ['DCV', 'uint16', 1, 'DCV_SF'],
  ['DCV_SF', 'sunssf', 1],
  ['DCW', 'int16', 1, 'DCW_SF'],
  ['DCW_SF', 'sunssf', 1],
  ['TmpCab', 'int16', 1, 'Tmp_SF'],
  ['TmpSnk', 'int16', 1, 'Tmp_SF'],
  ['TmpTrns', 'int16', 1, 'Tmp_SF'],
  ['TmpOt', 'int16', 1, 'Tmp_SF'],
  ['Tmp_SF', 'sunssf', 1],
  ['St', 'enum16', 1],
  ['StVnd', 'enum16', 1],
  ['Evt1', 'bitfield32', 2],
  ['Evt2', 'bitfield32', 2],
  ['EvtVnd1', 'bitfield32', 2],
  ['EvtVnd2', 'bitfield32', 2],
  ['EvtVnd3', 'bitfield32', 2],
  ['EvtVnd4', 'bitfield32', 2],
];

const wordsOf = (points: readonly PointDefinition[]): number => points.reduce((sum, [, , words]) => sum + words, 0);

const INVERTER_IDS: readonly number[] = [101, 102, 103];
const INVERTER_WORDS = wordsOf(INVERTER);
/** L does not count ID and L themselves. */
const HEADER_WORDS = 2;

/** Raw values by point name, before scaling. A point that the device does not implement is not in it. */
export type Points = ReadonlyMap<string, number | string>;

/** @param words the model from its ID on; points beyond their end are not in the result */
export function decodeModel(model: readonly PointDefinition[], words: Uint16Array): Points {
  const points = new Map<string, number | string>();
  let at = 0;
  for (const [name, type, size] of model) {
    if (at + size > words.length) break;
    const value = decodePoint(type, words.subarray(at, at + size));
    if (value !== undefined) points.set(name, value);
    at += size;
  }
  return points;
}

/** Each type has its own value for "not implemented". */
function decodePoint(type: PointType, words: Uint16Array): number | string | undefined {
  const first = words[0] as number;
  const wide = first * 65536 + (words[1] ?? 0);
  switch (type) {
    case 'uint16':
    case 'enum16':
      return first === 0xffff ? undefined : first;
    case 'int16':
    case 'sunssf':
      return first === 0x8000 ? undefined : (first << 16) >> 16;
    case 'acc32':
      return wide === 0 ? undefined : wide;
    case 'bitfield32':
      // With the top bit set all others mean nothing.
      return wide >= 0x8000_0000 ? undefined : wide;
    case 'string':
      return decodeText(words);
    case 'pad':
      return undefined;
  }
}

/** Ends at the first NUL. What is not printable ASCII has no place in a name or a log line. */
function decodeText(words: Uint16Array): string | undefined {
  const bytes = Array.from(words).flatMap((word) => [word >>> 8, word & 0xff]);
  const end = bytes.indexOf(0);
  const text = String.fromCharCode(...(end < 0 ? bytes : bytes.slice(0, end)))
    .replace(/[^\x20-\x7e]/g, '?')
    .trim();
  return text === '' ? undefined : text;
}

/** The scale factor of a point, where it is one: sunssf, -10 to 10. */
function scaleFactor(model: readonly PointDefinition[], points: Points, name: string): number | undefined {
  const reference = model.find(([n]) => n === name)?.[3];
  if (reference === undefined) return 0;
  const factor = points.get(reference);
  return typeof factor === 'number' && factor >= -10 && factor <= 10 ? factor : undefined;
}

/** A point in its unit, or undefined where it or its scale factor is not implemented. */
export function scaled(model: readonly PointDefinition[], points: Points, name: string): number | undefined {
  const raw = points.get(name);
  const factor = scaleFactor(model, points, name);
  if (typeof raw !== 'number' || factor === undefined) return undefined;
  // Through the decimal literal, which is rounded once and rightly: 5998 * 0.01 is not 59.98.
  return Number(`${raw}e${factor}`);
}

/**
 * The energy register in whole Wh, rounded down where its scale is finer.
 * @throws SerialFault no-value
 */
export function energyWh(points: Points): number {
  const raw = points.get('WH');
  const factor = scaleFactor(INVERTER, points, 'WH');
  if (typeof raw !== 'number') throw new SerialFault('no-value', 'WH is not implemented (0)');
  if (factor === undefined)
    throw new SerialFault(
      'no-value',
      `WH has no usable scale factor (WH_SF ${points.get('WH_SF') ?? 'not implemented'})`,
    );
  const power = 10n ** BigInt(Math.abs(factor));
  const wh = factor < 0 ? BigInt(raw) / power : BigInt(raw) * power;
  if (wh > BigInt(Number.MAX_SAFE_INTEGER))
    throw new SerialFault('no-value', `WH is ${raw}e${factor}, beyond 2^53 - 1 Wh`);
  return Number(wh);
}

/** What is told of the inverter beside energy and power. Units as RFC 8428 section 12.1 has them. */
const ALSO: readonly (readonly [name: string, unit?: string])[] = [
  ['A', 'A'],
  ['PhVphA', 'V'],
  ['PhVphB', 'V'],
  ['PhVphC', 'V'],
  ['Hz', 'Hz'],
  ['TmpCab', 'Cel'],
  ['St'],
  // Of the energy register: whoever compares two of them must know that they were read alike.
  ['WH_SF'],
];

/**
 * The energy register first, always: it is what is billed.
 * @throws SerialFault no-value where there is no energy
 */
export function toRecords(points: Points): SenmlRecord[] {
  const records: SenmlRecord[] = [{ n: '1-0:2.8.0', u: 'Wh', v: energyWh(points) }];
  const add = (n: string, point: string, u?: string) => {
    const v = scaled(INVERTER, points, point);
    if (v !== undefined) records.push(u === undefined ? { n, v } : { n, u, v });
  };
  add('1-0:16.7.0', 'W', 'W');
  for (const [point, unit] of ALSO) add(`sunspec:${points.get('ID')}.${point}`, point, unit);
  return records;
}

// --- discovery -----------------------------------------------------------------------------------------------------

/** Where the marker may stand, in the order in which SunSpec prefers them. */
const BASES: readonly number[] = [40000, 50000, 0];
const SUNS = [0x5375, 0x6e53] as const;
const END = 0xffff;
/** Far more than any device has; a chain that goes on is not one. */
const MAX_MODELS = 64;

export type Model = { id: number; address: number; length: number };
export type Discovery = { base: number; models: Model[] };

/** An address that the slave does not have: exceptions 2 and 3. */
const absent = (error: unknown): boolean =>
  error instanceof SerialFault && (error.exception === 2 || error.exception === 3);

/** Registers, or undefined where the slave does not have them. */
function* readIfThere(read: Read): Generator<Read, Uint16Array | undefined, Uint16Array> {
  try {
    return yield read;
  } catch (error) {
    if (absent(error)) return undefined;
    throw error;
  }
}

export function* discover(): Generator<Read, Discovery, Uint16Array> {
  for (const base of BASES) {
    const marker = yield* readIfThere({ address: base, count: 2 });
    if (marker?.[0] === SUNS[0] && marker[1] === SUNS[1]) return { base, models: yield* walk(base + 2) };
  }
  throw new SerialFault('mismatch', `no SunS marker at ${BASES.join(', ')}`);
}

function* walk(start: number): Generator<Read, Model[], Uint16Array> {
  const models: Model[] = [];
  let address = start;
  while (address + HEADER_WORDS <= 65536 && models.length < MAX_MODELS) {
    const header = yield* readIfThere({ address, count: HEADER_WORDS });
    // Some devices stop without the end marker.
    if (header === undefined && models.length > 0) return models;
    const [id, length] = header ?? [];
    if (id === END) return models;
    if (id === undefined || length === undefined || id === 0 || length === 0) break;
    models.push({ id, address, length });
    address += HEADER_WORDS + length;
  }
  throw new SerialFault('mismatch', `the model chain breaks at ${address} after ${models.length} models`);
}

/** The driver of one inverter: discovered once per connection, then one request for each poll. */
export function sunspecDriver(): Driver {
  let inverter: Model | undefined;
  let about: string | undefined;

  function* find(): Generator<Read, Model, Uint16Array> {
    const { base, models } = yield* discover();
    const chain = `${models.length === 0 ? 'no model' : `models ${models.map((m) => m.id).join(', ')}`} at ${base}`;
    const found = models.find((m) => INVERTER_IDS.includes(m.id) && m.length >= INVERTER_WORDS - HEADER_WORDS);
    if (found === undefined) throw new SerialFault('mismatch', `${chain}, but no inverter (101, 102 or 103)`);
    about = `${yield* nameplate(models)}, ${chain}`;
    return found;
  }

  return {
    reset() {
      inverter = undefined;
    },
    discovered: () => inverter !== undefined,
    about: () => about,
    *poll(): Job {
      inverter ??= yield* find();
      const { id, address, length } = inverter;
      // One request for the whole model: energy and its scale factor are of one moment.
      const words = yield { address, count: INVERTER_WORDS };
      if (words[0] !== id || words[1] !== length) {
        inverter = undefined;
        throw new SerialFault('no-value', `the registers at ${address} are no longer model ${id}`);
      }
      return toRecords(decodeModel(INVERTER, words));
    },
  };
}

/** For the engineer only, so a device that cannot tell it is no worse for it. */
function* nameplate(models: Model[]): Generator<Read, string, Uint16Array> {
  const common = models.find((m) => m.id === 1);
  if (common === undefined) return 'an inverter without a common model';
  const count = Math.min(wordsOf(COMMON), HEADER_WORDS + common.length);
  try {
    const points = decodeModel(COMMON, yield { address: common.address, count });
    return `${points.get('Mn') ?? '?'} ${points.get('Md') ?? '?'} ${points.get('Vr') ?? ''} serial number ${points.get('SN') ?? '?'}`;
  } catch (error) {
    if (error instanceof SerialFault && (error.kind === 'corrupt' || error.kind === 'exception')) return 'an inverter';
    throw error;
  }
}
