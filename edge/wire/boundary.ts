/**
 * What a certificate can be made of: the two shapes of an envelope that the Credits contract knows how to write out
 * again, byte for byte (contracts/src/ICredits.sol). Everything else that a plant sends is taken, kept and proven all
 * the same, but no credit comes of it. Pure.
 *
 *   a reading       [{n: "1-0:2.8.0", u: "Wh", v: register}], or that and {n: "1-0:16.7.0", u: "W", v: power};
 *                   its time is iat
 *   a day profile   25 times {n: "1-0:2.8.0", u: "Wh", v: register, t: hour}, the full hours of a UTC day from its
 *                   first to the first of the next; signed when they are over
 *
 * Registers are OBIS 1-0:2.8.0, active energy export, whole Wh from 0 to 2^53 - 1; power is OBIS 1-0:16.7.0.
 */
import type { Envelope } from './envelope.ts';

export const EXPORT_REGISTER = '1-0:2.8.0';
export const POWER = '1-0:16.7.0';

export const HOUR = 3600;
export const DAY = 86_400;
export const DAY_BOUNDARIES = 25;

/** The contract keeps times in 40 bits, power in 40 with its sign. */
const TIME_END = 2 ** 40;
const POWER_END = 2 ** 39;
/** Times of a profile are absolute, so 2^28 at the least (RFC 8428 section 4.5.3), and take four bytes. */
const FIRST_DAY = Math.ceil(2 ** 28 / DAY);
const DAYS_END = Math.floor(2 ** 32 / DAY) - 1;

/** `powerW` is undefined where the second record is not there, which is another shape. */
export type RegisterReading = { shape: 'reading'; registerWh: number; powerW: number | undefined };
/** `day` counts from 1970-01-01; `registersWh` are 25. */
export type DayProfile = { shape: 'profile'; day: number; registersWh: number[] };
export type Billed = RegisterReading | DayProfile;

/** Undefined where the envelope has neither shape. */
export function billedOf({ records, iat }: Pick<Envelope, 'records' | 'iat'>): Billed | undefined {
  if (iat >= TIME_END) return undefined;
  if (records.length === DAY_BOUNDARIES) return profileOf(records, iat);
  const [register, power] = records;
  const registerWh = registerOf(register);
  if (registerWh === undefined || register?.t !== undefined || records.length > 2) return undefined;
  if (power === undefined) return { shape: 'reading', registerWh, powerW: undefined };
  const { n, u, v: powerW, t } = power;
  if (n !== POWER || u !== 'W' || t !== undefined) return undefined;
  if (powerW === undefined || !Number.isInteger(powerW) || powerW < -POWER_END || powerW >= POWER_END) return undefined;
  return { shape: 'reading', registerWh, powerW };
}

function profileOf(records: Envelope['records'], iat: number): DayProfile | undefined {
  const first = records[0]?.t ?? -1;
  const day = first / DAY;
  if (!Number.isInteger(day) || day < FIRST_DAY || day > DAYS_END || iat < first + DAY) return undefined;
  const registersWh: number[] = [];
  for (const [i, record] of records.entries()) {
    const register = registerOf(record);
    if (register === undefined || record.t !== first + i * HOUR) return undefined;
    registersWh.push(register);
  }
  return { shape: 'profile', day, registersWh };
}

function registerOf(record: Envelope['records'][number] | undefined): number | undefined {
  if (record?.n !== EXPORT_REGISTER || record.u !== 'Wh') return undefined;
  const { v } = record;
  return v !== undefined && Number.isInteger(v) && v >= 0 ? v : undefined;
}
