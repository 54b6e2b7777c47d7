/**
 * Is this day like the subject's own last sixty? For somebody who lives alone and has asked to be looked after. Pure.
 *
 * Nobody is compared with anybody else, and no number of Wh is the same for all. Two things are looked at in the last 24
 * hours, each beside what it was in the 24 hours up to the same time of day on each of the 60 days before:
 *
 *   quiet   the longest run of hours that took no more than the base load, which is the subject's own, too
 *   little  the energy of all 24 hours
 *
 * On a day like any other both lie anywhere among the 60. A grade is how far out they lie; it is no diagnosis, and a
 * person decides what it means. By its own making about one usual day in twenty is graded unusual.
 */

/** How far the day is from the subject's own. unknown: there is too little to say it by. */
export type Grade = 'usual' | 'unusual' | 'very-unusual' | 'unknown';
/** A code, and no figure: what is measured stays where it is. */
export type Reason = 'as-usual' | 'quiet-for-long' | 'uses-little' | 'too-few-days' | 'no-readings';
export type Graded = { grade: Grade; reason: Reason /** Days of the 60 that could be compared with. */; days: number };

export const DAYS = 60;
const HOURS = 24;
/** Registers that {@link gradeDay} needs: at the full hours of the last 61 days, both ends included. */
export const REGISTERS = (DAYS + 1) * HOURS + 1;

/** A day with more hours without a reading is compared with nothing. */
const MAX_MISSING = 2;
/** With fewer days nothing is said. */
const LEAST_DAYS = 30;
/** One day in so many is as far out. */
const UNUSUAL = 0.05;
/** Beyond all other days by so many hours; by this share of the energy of the least of them. */
const QUIETER_HOURS = 2;
const LESS_THAN = 0.5;
/** Of the hours, so many take the base load or less; and an hour up to this much above it is quiet. */
const BASE_SHARE = 0.2;
const BASE_MARGIN = 1.25;
/** Wh: a meter that counts whole Wh can't be read more closely. */
const BASE_WH = 2;

type Day = { longestQuiet: number; wh: number };

/**
 * @param registersWh of import (1-0:1.8.0), in Wh, at {@link REGISTERS} full hours one after the other, the newest last;
 *   null where nothing was read near that hour
 */
export function gradeDay(registersWh: readonly (number | null)[]): Graded {
  if (registersWh.length !== REGISTERS) throw new RangeError(`${registersWh.length} registers, not ${REGISTERS}`);
  const hours = registersWh.slice(1).map((now, i) => {
    const before = registersWh[i] as number | null;
    // A register that fell says nothing of that hour.
    return now === null || before === null || now < before ? null : now - before;
  });
  const days = Array.from({ length: DAYS + 1 }, (_, d) => hours.slice(d * HOURS, (d + 1) * HOURS));
  const whole = days.slice(0, DAYS).filter(isWhole);
  const today = days[DAYS] as (number | null)[];
  if (!isWhole(today)) return { grade: 'unknown', reason: 'no-readings', days: whole.length };
  if (whole.length < LEAST_DAYS) return { grade: 'unknown', reason: 'too-few-days', days: whole.length };
  const quietWh = quietBelow(whole.flat().filter((wh) => wh !== null));
  const past = whole.map((day) => look(day, quietWh));
  const now = look(today, quietWh);
  const quiet = gradeOf(
    past.filter((day) => day.longestQuiet >= now.longestQuiet).length,
    past.length,
    now.longestQuiet >= Math.max(...past.map((day) => day.longestQuiet)) + QUIETER_HOURS,
  );
  const little = gradeOf(
    past.filter((day) => day.wh <= now.wh).length,
    past.length,
    now.wh < LESS_THAN * Math.min(...past.map((day) => day.wh)),
  );
  const worse = ORDER.indexOf(little) > ORDER.indexOf(quiet) ? little : quiet;
  const reason = worse === 'usual' ? 'as-usual' : worse === quiet ? 'quiet-for-long' : 'uses-little';
  return { grade: worse, reason, days: whole.length };
}

const ORDER: Grade[] = ['usual', 'unusual', 'very-unusual'];
const isWhole = (day: readonly (number | null)[]): boolean => day.filter((wh) => wh === null).length <= MAX_MISSING;

/** @param asFar so many of the days before were as far out, or farther; @param beyond it is beyond all, and by far */
function gradeOf(asFar: number, of: number, beyond: boolean): Grade {
  if (beyond) return 'very-unusual';
  return asFar <= Math.floor(UNUSUAL * of) ? 'unusual' : 'usual';
}

function quietBelow(hours: number[]): number {
  const sorted = hours.sort((a, b) => a - b);
  return (sorted[Math.floor(BASE_SHARE * sorted.length)] as number) * BASE_MARGIN + BASE_WH;
}

/** An hour without a reading ends a run: it is not known to have been quiet. Its energy is left out. */
function look(day: readonly (number | null)[], quietWh: number): Day {
  let [run, longestQuiet, wh] = [0, 0, 0];
  for (const hour of day) {
    run = hour !== null && hour <= quietWh ? run + 1 : 0;
    longestQuiet = Math.max(longestQuiet, run);
    wh += hour ?? 0;
  }
  return { longestQuiet, wh };
}
