/** From what a device holds to the records that are signed. Pure, and exact: no binary fraction comes near a register. */
import type { SenmlRecord } from '../wire/senml.ts';
import type { Value } from './driver.ts';
import { SerialFault } from './fault.ts';

/** Whole numbers as bigint where they may be beyond 2^53. `undefined`: the device does not have it now. */
export type Raw = number | bigint | string | boolean | undefined;

/**
 * A number times a power of ten (or any decimal), rounded once and rightly: 5998 by 0.01 is 59.98.
 * @param raw finite
 */
export function decimal(raw: number | bigint, scale: number): number {
  if (scale === 1) return Number(raw);
  const [digits, exponent] = parts(raw);
  const [by, byExponent] = parts(scale);
  return Number(`${digits * by}e${exponent + byExponent}`);
}

/**
 * The same in whole units, rounded down: energy in Wh.
 * @throws SerialFault no-value where it is negative or beyond 2^53 - 1
 */
export function wholeWh(raw: number | bigint, scale: number): number {
  const [digits, exponent] = parts(raw);
  const [by, byExponent] = parts(scale);
  const power = 10n ** BigInt(Math.abs(exponent + byExponent));
  const product = digits * by;
  const wh = exponent + byExponent < 0 ? product / power : product * power;
  if (product < 0n) throw new SerialFault('no-value', `the register is negative (${raw} by ${scale})`);
  if (wh > BigInt(Number.MAX_SAFE_INTEGER))
    throw new SerialFault('no-value', `the register is ${raw} by ${scale}, beyond 2^53 - 1 Wh`);
  return Number(wh);
}

/** The shortest decimal of a number, as whole digits and a power of ten. */
function parts(value: number | bigint): [bigint, number] {
  if (typeof value === 'bigint') return [value, 0];
  const [, sign = '', whole = '0', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(String(value)) ?? fail(value);
  return [BigInt(`${sign}${whole}${fraction}`), Number(exponent) - fraction.length];
}

function fail(value: number): never {
  throw new SerialFault('no-value', `${value} is not a finite number`);
}

/** The record of one value, or undefined where the device does not have it. @throws SerialFault no-value */
export function recordOf(value: Value, raw: Raw, t?: number): SenmlRecord | undefined {
  if (raw === undefined) {
    if (value.required || value.billed) throw new SerialFault('no-value', `there is no ${value.name} now`);
    return undefined;
  }
  const record: SenmlRecord = { n: value.name };
  if (value.unit !== undefined) record.u = value.unit;
  if (typeof raw === 'string') record.vs = raw;
  else if (typeof raw === 'boolean') record.vb = raw;
  else {
    if (typeof raw === 'number' && !Number.isFinite(raw)) fail(raw);
    const v = value.billed ? wholeWh(raw, value.scale) : decimal(raw, value.scale);
    // RFC 8428 has no minus zero for us, and one number needs no two spellings.
    record.v = v === 0 ? 0 : v;
  }
  if (t !== undefined) record.t = t;
  return record;
}

/** The records of all values, the billed one first. @throws SerialFault no-value where a required one is not there */
export function recordsOf<From>(
  values: readonly Value<From>[],
  raw: (from: From, value: Value<From>) => Raw,
): SenmlRecord[] {
  const first = [...values].sort((a, b) => Number(b.billed) - Number(a.billed));
  const records = first.flatMap((value) => recordOf(value, raw(value.from, value)) ?? []);
  if (records.length === 0) throw new SerialFault('no-value', 'the device has none of the values of its profile now');
  return records;
}
