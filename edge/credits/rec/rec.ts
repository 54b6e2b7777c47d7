/**
 * How many RECs a month gives: MWh × weight, in whole RECs; what is left of the last one is carried on to the next month
 * (공급인증서 발급 및 거래시장 운영에 관한 규칙: 소수점 이하 잔여량은 다음달로 이월). And until when one must apply: within 90 days of the
 * last day of the month in which the energy was supplied. By August 2020, 64,301 RECs were lost to missed dates; since 1
 * October 2020 a decree lets late ones in, on conditions, which is no reason to be late.
 */
import { DAY } from '../../wire/boundary.ts';
import { kstMonthEnd, kstMonthStart } from '../time.ts';
import { UNIT } from './weights.ts';

/** A REC is 10^6 Wh × 10^4 of these. */
const REC = 1_000_000n * UNIT;
const DECIMALS = 10;

/** `carry`: parts of a REC, in 1/10^10, from 0 to 10^10 - 1. */
export type RecMonth = { recs: bigint; carry: bigint };

/** @throws RangeError where an argument is negative */
export function recsOf(wh: bigint, weight: bigint, carried: bigint): RecMonth {
  if (wh < 0n || weight < 0n || carried < 0n)
    throw new RangeError('energy, weight and what is carried are not negative');
  const parts = wh * weight + carried;
  return { recs: parts / REC, carry: parts % REC };
}

/** Months one after the other, the first with nothing carried. */
export function recsByMonth(months: readonly { wh: bigint; weight: bigint }[]): RecMonth[] {
  let carry = 0n;
  return months.map(({ wh, weight }) => {
    const month = recsOf(wh, weight, carry);
    carry = month.carry;
    return month;
  });
}

/** As a decimal of a REC, exact. */
export const carryText = (carry: bigint): string => `0.${carry.toString().padStart(DECIMALS, '0')}`;

export const APPLY_DAYS = 90;
/** So long before the last day it is time to hurry. */
const HURRY_DAYS = 14;
const KST = 9 * 3600;

/**
 * `early`: the month is not over. `open`: apply. `hurry`: no more than 14 days are left. `late`: the date is missed.
 * `applyBy` is the last day, as 2027-02-28; `daysLeft` counts it, and is negative where it is over.
 */
export type Deadline = { state: 'early' | 'open' | 'hurry' | 'late'; applyBy: string; daysLeft: number };

/** @param second any of the month (KST); @param now Unix seconds */
export function deadlineOf(second: number, now: number): Deadline {
  const end = kstMonthEnd(second);
  // The last day of the month is the day before `end`.
  const over = end + APPLY_DAYS * DAY;
  const applyBy = new Date((over - DAY + KST) * 1000).toISOString().slice(0, 10);
  const daysLeft = Math.ceil((over - now) / DAY);
  const state = now < end ? 'early' : daysLeft <= 0 ? 'late' : daysLeft <= HURRY_DAYS ? 'hurry' : 'open';
  return { state, applyBy, daysLeft };
}

/**
 * The month whose last day for an application is at most so many days away, and not over; undefined where there is none.
 * Of two the one that is sooner over.
 * @param now Unix seconds
 */
export function monthInHurry(
  now: number,
  days: number,
): { month: string; from: number; until: number; due: Deadline } | undefined {
  const last = kstMonthStart(now) - 1;
  const months: number[] = [];
  for (let at = last; months.length <= APPLY_DAYS / 28 + 1; at = kstMonthStart(at) - 1) months.push(kstMonthStart(at));
  for (const from of months.reverse()) {
    const due = deadlineOf(from, now);
    if (due.daysLeft < 1 || due.daysLeft > days) continue;
    const month = new Date((from + KST) * 1000).toISOString().slice(0, 7);
    return { month, from, until: kstMonthEnd(from), due };
  }
  return undefined;
}
