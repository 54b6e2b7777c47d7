/** From data sets to the records of a profile, for all drivers of IEC 62056-21. */
import Type from 'typebox';
import type { SenmlRecord } from '../../wire/senml.ts';
import type { Value } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { recordOf } from '../records.ts';
import { unixOf, type Zone } from './clock.ts';
import { type Dataset, fullObis, type Quantity, quantityOf } from './dataset.ts';

const obis = (description: string) =>
  Type.String({ description, pattern: '^(\\d{1,3}-\\d{1,3}:)?[0-9A-Z]{1,3}(\\.[0-9A-Z]{1,3}){1,2}(\\*\\d{1,3})?$' });

export const FromSchema = Type.Object(
  {
    obis: Type.Optional(obis('OBIS code: 1-0:1.8.0. Short ones (1.8.0) are of 1-0.')),
    sum: Type.Optional(
      Type.Array(obis('One of the summands.'), {
        description: 'The sum of these, all of them: the tariffs. With obis: only where that one is not told.',
        minItems: 1,
        maxItems: 8,
      }),
    ),
    mbus: Type.Optional(
      Type.Integer({
        description:
          'The last reading of the M-Bus device of this type (EN 13757-3: 3 gas, 4 heat, 6 warm water, 7 water), with its own time. Channels do not stand for types, so the channel is found.',
        minimum: 1,
        maximum: 255,
      }),
    ),
    as: Type.Optional(
      Type.Enum(['number', 'text', 'hex'], {
        description: 'hex: a text that the meter tells in hexadecimal digits, a message or a serial number.',
        default: 'number',
      }),
    ),
    unit: Type.Optional(
      Type.String({ description: 'Its unit where the meter does not tell one: kWh.', maxLength: 16 }),
    ),
  },
  { additionalProperties: false },
);

export type From = {
  obis?: string;
  sum?: string[];
  mbus?: number;
  as?: 'number' | 'text' | 'hex';
  unit?: string;
};

/** Units of meters: the one of RFC 8428 section 12.1 (or RFC 8798), and the power of ten between them. */
const UNITS: Readonly<Record<string, readonly [string, number]>> = {
  Wh: ['Wh', 0],
  kWh: ['Wh', 3],
  KWH: ['Wh', 3],
  MWh: ['Wh', 6],
  W: ['W', 0],
  kW: ['W', 3],
  KW: ['W', 3],
  MW: ['W', 6],
  var: ['var', 0],
  kvar: ['var', 3],
  varh: ['varh', 0],
  kvarh: ['varh', 3],
  VA: ['VA', 0],
  kVA: ['VA', 3],
  V: ['V', 0],
  kV: ['V', 3],
  A: ['A', 0],
  mA: ['A', -3],
  Hz: ['Hz', 0],
  m3: ['m3', 0],
  J: ['J', 0],
  MJ: ['J', 6],
  GJ: ['J', 9],
  C: ['Cel', 0],
};

const CHANNELS = [1, 2, 3, 4] as const;
/** Data not valid, clock invalid, critical error: bits of the status of a load profile (DSMR P3, AMR profile status). */
const UNUSABLE = 0x07;
const SUMMER = 0x08;

type Dated = { quantity: Quantity; t: number };

/**
 * @param zone absent: times of this meter are not understood, and what has one of its own is left out
 * @throws SerialFault no-value where a required value is not there, or is in another unit
 */
export function recordsFrom(values: readonly Value<From>[], sets: Dataset, zone: Zone | undefined): SenmlRecord[] {
  const records: SenmlRecord[] = [];
  for (const value of [...values].sort((a, b) => Number(b.billed) - Number(a.billed))) {
    const record = recordFrom(value, sets, zone);
    if (record !== undefined) records.push(record);
  }
  if (records.length === 0) throw new SerialFault('no-value', 'the meter tells none of the values of its profile');
  return records;
}

function recordFrom(value: Value<From>, sets: Dataset, zone: Zone | undefined): SenmlRecord | undefined {
  const { from } = value;
  if (from.as === 'text' || from.as === 'hex') {
    const raw = from.obis === undefined ? undefined : sets.get(fullObis(from.obis) as string)?.[0];
    return recordOf(value, textOf(raw, from.as));
  }
  const dated = from.mbus === undefined ? undefined : zone && mbus(sets, from.mbus, zone);
  const quantity = from.mbus === undefined ? numberOf(sets, from) : dated?.quantity;
  if (quantity === undefined) return recordOf(value, undefined);
  const unit = quantity.unit ?? from.unit;
  if (unit === undefined && value.unit !== undefined)
    throw new SerialFault(
      'no-value',
      `the meter tells ${value.name} without a unit, and the profile names none (from.unit)`,
    );
  const [base, power] = unit === undefined ? [value.unit, 0] : (UNITS[unit] ?? [unit, 0]);
  if (base !== value.unit)
    throw new SerialFault(
      'no-value',
      `the meter tells ${value.name} in ${unit}, the profile in ${value.unit ?? 'no unit'}`,
    );
  const scale = shifted(value.scale, quantity.exponent + power);
  return recordOf({ ...value, scale }, quantity.digits, dated?.t);
}

/** A number times a power of ten, by its decimal digits. */
function shifted(scale: number, power: number): number {
  const [digits, exponent = '0'] = String(scale).split('e');
  return Number(`${digits}e${Number(exponent) + power}`);
}

/** A text of printable characters. What is none is told in hexadecimal, as it came. */
function textOf(value: string | undefined, as: 'text' | 'hex'): string | undefined {
  const raw = value?.replaceAll('\r\n', '');
  if (raw === undefined || raw === '') return undefined;
  if (as === 'text' || !/^(?:[0-9A-Fa-f]{2})+$/.test(raw)) return raw;
  const text = Buffer.from(raw, 'hex').toString('latin1');
  return /^[\x20-\x7e]+$/.test(text) ? text : raw;
}

function numberOf(sets: Dataset, { obis: code, sum }: From): Quantity | undefined {
  const one = (name: string) => {
    const groups = sets.get(fullObis(name) as string);
    return groups?.[0] === undefined ? undefined : quantityOf(groups[0]);
  };
  const own = code === undefined ? undefined : one(code);
  if (own !== undefined || sum === undefined) return own;
  const parts = sum.map(one);
  let total: Quantity | undefined;
  for (const part of parts) {
    if (part === undefined || (total !== undefined && part.unit !== total.unit)) return undefined;
    total = total === undefined ? part : plus(total, part);
  }
  return total;
}

function plus(a: Quantity, b: Quantity): Quantity {
  const exponent = Math.min(a.exponent, b.exponent);
  const digits = (q: Quantity) => q.digits * 10n ** BigInt(q.exponent - exponent);
  return { digits: digits(a) + digits(b), exponent, unit: a.unit };
}

/** The youngest reading of the channels of a type: the channel of a meter that was replaced may still be told. */
function mbus(sets: Dataset, type: number, zone: Zone): Dated | undefined {
  const now = telegramTime(sets, zone);
  let youngest: Dated | undefined;
  for (const n of CHANNELS) {
    if (Number(sets.get(`0-${n}:24.1.0`)?.[0]) !== type) continue;
    for (const dated of [
      ...['1', '2', '3'].map((e) => direct(sets.get(`0-${n}:24.2.${e}`), zone)),
      profile(sets, n, zone),
    ])
      if (
        dated !== undefined &&
        // Not from the future of the meter that tells it.
        (now === undefined || dated.t <= now + 3600) &&
        (youngest === undefined || dated.t > youngest.t)
      )
        youngest = dated;
  }
  return youngest;
}

export const telegramTime = (sets: Dataset, zone: Zone): number | undefined => {
  const text = sets.get('0-0:1.0.0')?.[0];
  return text === undefined ? undefined : unixOf(text, zone);
};

/** `(161129200000W)(00981.443*m3)` */
function direct(groups: readonly string[] | undefined, zone: Zone): Dated | undefined {
  const [time, value] = groups ?? [];
  if (time === undefined || value === undefined || groups?.length !== 2) return undefined;
  const t = unixOf(time, zone);
  const quantity = quantityOf(value);
  return t === undefined || quantity === undefined ? undefined : { quantity, t };
}

/** `(161107190000)(00)(60)(1)(0-1:24.2.1)(m3)(00001.001)`: time, status, minutes, values, their code and unit, value. */
function profile(sets: Dataset, channel: number, zone: Zone): Dated | undefined {
  const groups = sets.get(`0-${channel}:24.3.0`);
  const [time, status, , count, code, unit, value] = groups ?? [];
  if (time === undefined || status === undefined || value === undefined || unit === undefined) return undefined;
  if (groups?.length !== 7 || count !== '1' || code === undefined || !code.startsWith(`0-${channel}:24.2.`))
    return undefined;
  if (!/^[0-9A-Fa-f]{2}$/.test(status)) return undefined;
  const bits = Number.parseInt(status, 16);
  const quantity = quantityOf(value);
  const t = unixOf(time, zone, bits & SUMMER ? 'S' : 'W');
  if (t === undefined || quantity === undefined || (bits & UNUSABLE) !== 0) return undefined;
  return { quantity: { ...quantity, unit: quantity.unit ?? unit }, t };
}
