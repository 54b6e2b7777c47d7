/**
 * SunSpec: how a device is found behind a Modbus address, and what its registers mean (SunSpec Device Information Model
 * Specification V1.9).
 */
import Type from 'typebox';
import type { DriverType, Job, PolledDriver, Setup, Value } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { decimal, type Raw, recordsOf } from '../records.ts';
import { COMMON_ID, lengthOf, MODELS, type ModelTable, type Point, type PointType } from './models.ts';
import { MAX_REGISTERS, REGISTERS } from './pdu.ts';
import { plan } from './plan.ts';
import { DEVICE, type Device, isAbsent, Slave, TIMEOUT, type Words } from './slave.ts';
import { decodeNumber, decodeText, type NumberType } from './words.ts';

/** L does not count ID and L themselves. */
const HEADER_WORDS = 2;

// --- values ----------------------------------------------------------------------------------------------------------

/** Each type has its own value for "not implemented", which is no value. */
export function decodePoint(type: PointType, words: Uint16Array): Raw {
  if (type === 'pad') return undefined;
  if (type === 'string') return decodeText(words);
  if (type.startsWith('float')) return decodeNumber(type as NumberType, words, 'high-first');
  const bits = 16 * words.length;
  const unsigned = words.reduce((sum, word) => (sum << 16n) | BigInt(word), 0n);
  const all = (1n << BigInt(bits)) - 1n;
  const top = 1n << BigInt(bits - 1);
  const number = (value: bigint): Raw => (bits > 32 ? value : Number(value));
  if (type.startsWith('acc')) return unsigned === 0n ? undefined : number(unsigned);
  // With the top bit set all others mean nothing.
  if (type.startsWith('bitfield')) return unsigned >= top ? undefined : number(unsigned);
  if (type.startsWith('int') || type === 'sunssf')
    return unsigned === top ? undefined : number(BigInt.asIntN(bits, unsigned));
  return unsigned === all ? undefined : number(unsigned);
}

/** @param words the model from its ID on; what is beyond their end is undefined */
export function pointOf(model: ModelTable, words: Uint16Array, name: string): Raw {
  const point = model.find((p) => p.name === name);
  if (point === undefined || point.at + point.words > words.length) return undefined;
  return decodePoint(point.type, words.subarray(point.at, point.at + point.words));
}

/** The power of ten of a point: sunssf, -10 to 10; undefined where it is not usable. */
export function exponentOf(model: ModelTable, words: Uint16Array, point: Point): number | undefined {
  if (point.sf === undefined) return 0;
  const factor = pointOf(model, words, point.sf);
  return typeof factor === 'number' && factor >= -10 && factor <= 10 ? factor : undefined;
}

// --- discovery -------------------------------------------------------------------------------------------------------

/** Where the marker may stand, in the order in which SunSpec prefers them. */
const BASES: readonly number[] = [40000, 50000, 0];
const SUNS = [0x5375, 0x6e53] as const;
const END = 0xffff;
/** Far more than any device has; a chain that goes on is not one. */
const MAX_MODELS = 64;

export type Model = { id: number; address: number; length: number };
export type Discovery = { base: number; models: Model[] };

const holding = (slave: Slave, address: number, count: number): Words =>
  slave.read({ functionCode: 3, address, count });

/** Registers, or undefined where the slave does not have them. */
function* readIfThere(slave: Slave, address: number, count: number) {
  try {
    return yield* holding(slave, address, count);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** @throws SerialFault mismatch where there is no SunSpec device, and what the slave or the line does */
export function* discover(slave: Slave) {
  for (const base of BASES) {
    const marker = yield* readIfThere(slave, base, 2);
    if (marker?.[0] === SUNS[0] && marker[1] === SUNS[1]) return { base, models: yield* walk(slave, base + 2) };
  }
  throw new SerialFault('mismatch', `no SunS marker at ${BASES.join(', ')}`);
}

function* walk(slave: Slave, start: number) {
  const models: Model[] = [];
  let address = start;
  while (address + HEADER_WORDS <= REGISTERS && models.length < MAX_MODELS) {
    const header = yield* readIfThere(slave, address, HEADER_WORDS);
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

/** The device in a few words. For the engineer only, so one that cannot tell it is no worse for it. */
export function* nameplate(slave: Slave, { base, models }: Discovery) {
  const chain = `${models.length === 0 ? 'no model' : `models ${models.map((m) => m.id).join(', ')}`} at ${base}`;
  const common = models.find((m) => m.id === COMMON_ID);
  const table = MODELS.get(COMMON_ID) as ModelTable;
  if (common === undefined) return `a device without a common model, ${chain}`;
  try {
    const words = yield* holding(slave, common.address, Math.min(lengthOf(table), HEADER_WORDS + common.length));
    const text = (name: string, otherwise: string) => pointOf(table, words, name) ?? otherwise;
    return `${text('Mn', '?')} ${text('Md', '?')} ${text('Vr', '')} serial number ${text('SN', '?')}, ${chain}`;
  } catch (error) {
    if (error instanceof SerialFault && (error.kind === 'corrupt' || error.kind === 'exception')) return chain;
    throw error;
  }
}

// --- the driver ------------------------------------------------------------------------------------------------------

type From = { point: string | string[] };
type Settings = { models: number[]; timeoutMs?: number };

/** A value, and where the device has it. */
type Found = { value: Value<From>; model: Model; table: ModelTable; point: Point };

const namesOf = ({ point }: From): string[] => (typeof point === 'string' ? [point] : point);

/** In which of the device's models each value is: the first model of the settings that has the point. */
function locate(values: readonly Value<From>[], order: readonly number[], { base, models }: Discovery): Found[] {
  return values.flatMap((value) => {
    for (const id of order)
      for (const name of namesOf(value.from)) {
        const table = MODELS.get(id) as ModelTable;
        const point = table.find((p) => p.name === name);
        const sf = table.find((p) => p.name === point?.sf);
        if (point === undefined) continue;
        const end = Math.max(point.at + point.words, (sf?.at ?? 0) + 1);
        const model = models.find((m) => m.id === id && HEADER_WORDS + m.length >= end);
        if (model !== undefined) return { value, model, table, point };
      }
    if (!value.required && !value.billed) return [];
    const chain = models.length === 0 ? 'no model' : `models ${models.map((m) => m.id).join(', ')}`;
    const wanted = `${namesOf(value.from).join(' or ')} (${value.name})`;
    throw new SerialFault('mismatch', `${chain} at ${base}, but none of ${order.join(', ')} that has ${wanted}`);
  });
}

function* readModel(slave: Slave, { id, address, length }: Model, table: ModelTable, last: number) {
  const words = new Uint16Array(last);
  // Where a model is longer than one answer: no point, and no point and its scale factor, is cut.
  const spans = table
    .filter((p) => p.at + p.words <= last)
    .map((p) => {
      const sf = table.find((other) => other.name === p.sf);
      const from = Math.min(p.at, sf?.at ?? p.at);
      const to = Math.max(p.at + p.words, (sf?.at ?? 0) + (sf === undefined ? 0 : sf.words));
      return { address: from, count: to - from };
    });
  const requests =
    last <= MAX_REGISTERS
      ? [{ address: 0, count: last }]
      : plan(spans, { most: MAX_REGISTERS, forbidden: [], bridge: true });
  for (const request of requests)
    words.set(yield* holding(slave, address + request.address, request.count), request.address);
  if (words[0] !== id || words[1] !== length)
    throw new SerialFault('no-value', `the registers at ${address} are no longer model ${id}`);
  return words;
}

function create({ settings, device, values, medium }: Setup<Settings, Device, From>): PolledDriver {
  const slave = new Slave(device, medium, settings.timeoutMs);
  let found: Found[] | undefined;
  let about: string | undefined;

  function* find() {
    const discovery = yield* discover(slave);
    const all = locate(values, settings.models, discovery);
    about = yield* nameplate(slave, discovery);
    return all;
  }

  return {
    reset() {
      found = undefined;
    },
    discovered: () => found !== undefined,
    about: () => about,
    *poll(turn): Job {
      found ??= yield* find();
      const read = new Map<Model, Uint16Array>();
      let atMs = turn.heardAtMs();
      const billed = found.find((f) => f.value.billed)?.model;
      for (const { model, table } of found) {
        if (read.has(model)) continue;
        const ends = found
          .filter((f) => f.model === model)
          .map(({ point }) => Math.max(point.at + point.words, (table.find((p) => p.name === point.sf)?.at ?? 0) + 1));
        try {
          // One request for what is needed of a model: energy and its scale factor are of one moment.
          read.set(model, yield* readModel(slave, model, table, Math.max(HEADER_WORDS, ...ends)));
        } catch (error) {
          if (isAbsent(error) || (error instanceof SerialFault && error.kind === 'no-value')) found = undefined;
          throw error;
        }
        if (billed === undefined || model === billed) atMs = turn.heardAtMs();
      }
      return [{ records: toRecords(found, (model) => read.get(model) as Uint16Array), quality: 'Good', atMs }];
    },
  };
}

function toRecords(found: readonly Found[], wordsOf: (model: Model) => Uint16Array) {
  const values = found.map(({ value, model, table, point }) => {
    const words = wordsOf(model);
    const raw = pointOf(table, words, point.name);
    const exponent = exponentOf(table, words, point);
    if (value.required || value.billed) {
      if (raw === undefined) throw new SerialFault('no-value', `${point.name} is not implemented or has no value now`);
      if (exponent === undefined)
        throw new SerialFault(
          'no-value',
          `${point.name} has no usable scale factor (${point.sf} ${pointOf(table, words, point.sf as string) ?? 'not implemented'})`,
        );
    }
    return {
      ...value,
      name: value.name.replace('{model}', String(model.id)),
      scale: decimal(value.scale, Number(`1e${exponent ?? 0}`)),
      from: exponent === undefined ? undefined : raw,
    };
  });
  return recordsOf<Raw>(values, (raw) => raw);
}

export const sunspec: DriverType<Settings, Device, From> = {
  says: 'SunSpec devices (inverters, meters, DER) over Modbus RTU or Modbus TCP: found by their own model chain.',
  media: ['tty', 'tcp'],
  line: { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1 },
  settings: Type.Object(
    {
      models: Type.Array(Type.Union([...MODELS.keys()].map((id) => Type.Literal(id))), {
        minItems: 1,
        description: 'SunSpec models in which the points are looked for, the preferred first.',
      }),
      timeoutMs: TIMEOUT,
    },
    { additionalProperties: false },
  ),
  device: DEVICE,
  from: Type.Object(
    {
      point: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], {
        description:
          'The name of the point in its SunSpec model (WH), or several where the models differ: the first that there is.',
      }),
    },
    { additionalProperties: false },
  ),
  create,
};
