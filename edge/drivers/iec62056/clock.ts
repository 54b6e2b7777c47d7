/**
 * The times of a P1 telegram: YYMMDDhhmmssX, X being S in summer time and W in winter time (DSMR P1 companion standard,
 * section 6.4, TST). Older meters (version 2.2 and 3) leave X out. Every time has its own letter: in the night in which
 * the clock changes, the hour of the gas meter may be a summer one while the telegram is a winter one.
 */

export type Zone = {
  /** In winter; summer is one hour more. Central Europe: 60. */
  winterOffsetMinutes: number;
};

/** Smart meters are younger; one that says an earlier year has lost its clock (they begin at 2000). */
const FIRST_YEAR = 2010;

const TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)([SW]?)$/;

/**
 * @param season where the time has no letter of its own, and something else tells
 * @returns Unix seconds, or undefined where it is no time: not a date, a clock that was never set, or an hour that may be
 *   two (the last one of summer, without a letter) or none (the first one of summer, skipped)
 */
export function unixOf(text: string, { winterOffsetMinutes }: Zone, season?: 'S' | 'W'): number | undefined {
  const match = TIME.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (year + 2000 < FIRST_YEAR || hour > 23 || minute > 59 || second > 59) return undefined;
  const local = Date.UTC(2000 + year, month - 1, day, hour, minute, second) / 1000;
  const date = new Date(local * 1000);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const winter = local - winterOffsetMinutes * 60;
  const letter = match[7] || season;
  if (letter !== undefined) return letter === 'S' ? winter - 3600 : winter;
  const asWinter = !isSummer(winter);
  const asSummer = isSummer(winter - 3600);
  if (asWinter === asSummer) return undefined;
  return asWinter ? winter : winter - 3600;
}

/** Directive 2000/84/EC: from the last Sunday of March to that of October, 01:00 UTC. */
function isSummer(unix: number): boolean {
  const year = new Date(unix * 1000).getUTCFullYear();
  return unix >= lastSunday(year, 2) && unix < lastSunday(year, 9);
}

/** 01:00 UTC of the last Sunday of a month with 31 days. */
function lastSunday(year: number, month: number): number {
  const last = new Date(Date.UTC(year, month, 31));
  return Date.UTC(year, month, 31 - last.getUTCDay(), 1) / 1000;
}
