/** Hours, days and months. Seconds since 1970; a day is of UTC, a month of Korean time, which knows no summer time. */
import { DAY, HOUR } from '../wire/boundary.ts';

/** A raw slot: what is seen between certificates, and never certified. */
export const RAW_SLOT = 900;
/** A reading stands for a full hour that it is no farther away from. */
export const NEAR = 60;
const KST = 9 * HOUR;

/** The first second of the slot that `second` is in. */
export const slotOf = (second: number, length = HOUR): number => Math.floor(second / length) * length;

/** The full hour that a reading at `second` stands for; undefined where none is near. */
export function boundaryOf(second: number): number | undefined {
  const at = Math.round(second / HOUR) * HOUR;
  return Math.abs(second - at) <= NEAR ? at : undefined;
}

/** Days since 1970-01-01. */
export const dayOf = (second: number): number => Math.floor(second / DAY);

const calendar = (second: number): { year: number; month: number } => {
  const korean = new Date((second + KST) * 1000);
  return { year: korean.getUTCFullYear(), month: korean.getUTCMonth() };
};
const firstSecond = (year: number, month: number): number => Date.UTC(year, month) / 1000 - KST;

/** The first second of the KST month that `second` is in: 15:00Z on the last day before it. */
export function kstMonthStart(second: number): number {
  const { year, month } = calendar(second);
  return firstSecond(year, month);
}

/** The first second after the KST month that `second` is in. */
export function kstMonthEnd(second: number): number {
  const { year, month } = calendar(second);
  return firstSecond(year, month + 1);
}

/** The month that all of [from, until) lies in, by its first second; undefined where it lies in two. */
export function monthOfSpan(from: number, until: number): number | undefined {
  const month = kstMonthStart(from);
  return until <= kstMonthEnd(from) ? month : undefined;
}

/** The range of a KST month that is written as 2026-11; undefined where that is none. */
export function kstMonthRange(text: string): { from: number; until: number } | undefined {
  const m = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text);
  if (!m) return undefined;
  const from = firstSecond(Number(m[1]), Number(m[2]) - 1);
  return { from, until: kstMonthEnd(from) };
}
