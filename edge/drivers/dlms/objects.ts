/**
 * The objects that hold values (Blue Book clause 4.3): data (class 1), register (3), extended register (4), demand
 * register (5), clock (8); and what a profile's value has to do with them. The scaler and the unit are the meter's own:
 * they are read, never assumed, and applied exactly. Pure.
 */
import { type Static, Type } from 'typebox';
import type { SenmlRecord } from '../../wire/senml.ts';
import type { Value } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { type Raw, recordOf } from '../records.ts';
import type { Data } from './axdr.ts';
import { decodeDateTime, isDated } from './clock.ts';
import type { Attribute } from './get.ts';
import { parseObis, unitOf } from './words.ts';

export const FromSchema = Type.Object(
  {
    obis: Type.Optional(
      Type.String({ description: 'The object, as 1-0:1.8.0 or 1-0:1.8.0*255. Without it the name of the value.' }),
    ),
    class: Type.Optional(
      Type.Union([Type.Literal(1), Type.Literal(3), Type.Literal(4), Type.Literal(5), Type.Literal(8)], {
        description:
          'Interface class: 1 data, 3 register (without it), 4 extended register, 5 demand register, 8 clock.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type From = Static<typeof FromSchema>;

/** Attributes by class: the value, its scaler and unit, when it was captured. */
const LAYOUT: Record<number, { value: number; scaler?: number; time?: number }> = {
  1: { value: 2 },
  3: { value: 2, scaler: 3 },
  4: { value: 2, scaler: 3, time: 5 },
  5: { value: 3, scaler: 4, time: 6 },
  8: { value: 2 },
};
const CLOCK_CLASS = 8;

export type Point = {
  value: Value<From>;
  at: Attribute;
  scalerAt: Attribute | undefined;
  timeAt: Attribute | undefined;
};
export type Scaler = { exponent: number; unit: number };

/** The billed one first. @throws RangeError where a value names no object */
export function pointsOf(values: readonly Value<From>[]): Point[] {
  return [...values]
    .sort((a, b) => Number(b.billed) - Number(a.billed))
    .map((value) => {
      const obis = parseObis(value.from.obis ?? value.name);
      if (obis === undefined)
        throw new RangeError(`${value.name}: ${value.from.obis ?? 'its name'} is no OBIS code such as 1-0:1.8.0`);
      const classId = value.from.class ?? 3;
      const layout = LAYOUT[classId] as (typeof LAYOUT)[number];
      const attribute = (number: number | undefined) =>
        number === undefined ? undefined : { class: classId, obis, attribute: number };
      return {
        value,
        at: { class: classId, obis, attribute: layout.value },
        scalerAt: attribute(layout.scaler),
        timeAt: attribute(layout.time),
      };
    });
}

/** scaler_unit (Blue Book clause 4.3.2). @throws SerialFault mismatch where it is none, or its unit is not the profile's */
export function scalerOf(value: Value, data: Data): Scaler {
  const [scaler, unit] = data.type === 'structure' ? data.items : [];
  if (scaler?.type !== 'integer' || (unit?.type !== 'enum' && unit?.type !== 'integer'))
    throw new SerialFault('mismatch', `${value.name}: the meter gives no scaler and unit`);
  return checkScaler(value, { exponent: Number(scaler.value), unit: Number(unit.value) });
}

/** @throws SerialFault mismatch */
export function checkScaler(value: Value, scaler: Scaler): Scaler {
  if (scaler.exponent < -12 || scaler.exponent > 12)
    throw new SerialFault('mismatch', `${value.name}: the meter’s scaler is ${scaler.exponent}`);
  checkUnit(value, scaler.unit);
  return scaler;
}

function checkUnit(value: Value, code: number): void {
  const unit = unitOf(code);
  if (unit !== value.unit)
    throw new SerialFault(
      'mismatch',
      `the meter gives ${value.name} ${unit === undefined ? 'without a unit' : `in ${unit}`}, the profile ${value.unit === undefined ? 'without one' : `in ${value.unit}`}`,
    );
}

/** @param scaler the meter's own; without it the profile's scale alone */
export function recordFrom(
  value: Value<From>,
  data: Data,
  scaler: Scaler | undefined,
  t?: number,
): SenmlRecord | undefined {
  // As decimal text: no binary fraction comes in between.
  const scale = scaler === undefined ? value.scale : Number(`${value.scale}e${scaler.exponent}`);
  return recordOf({ ...value, scale }, rawOf(value, data), t);
}

function rawOf(value: Value<From>, data: Data): Raw {
  if (data.type === 'null') return undefined;
  if (value.from.class === CLOCK_CLASS) return timeOf(data);
  if (data.type === 'integer' || data.type === 'enum' || data.type === 'boolean') return data.value;
  if (data.type === 'float') return Number.isFinite(data.value) ? data.value : undefined;
  if (data.type === 'text') return printable(data.value);
  if (data.type === 'octets') {
    const text = Buffer.from(data.value).toString('latin1');
    return printable(text) === text ? text : Buffer.from(data.value).toString('hex');
  }
  throw new SerialFault('mismatch', `${value.name} is of a type (${data.type}) that is no value`);
}

const printable = (text: string): string => text.replace(/\0+$/, '').replace(/[^\x20-\x7e]/g, '?');

/** Unix seconds, or undefined where the time dates nothing. */
export function timeOf(data: Data | undefined): number | undefined {
  if (data?.type !== 'octets') return undefined;
  const moment = decodeDateTime(data.value);
  return isDated(moment) ? moment.t : undefined;
}
