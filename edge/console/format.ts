/** Figures as they are read. What is not known is a dash. */
import { lang } from './words.ts';

export const DASH = '–';
const ZONE = 'Asia/Seoul';
const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();
const locale = (): string => (lang.value === 'ko' ? 'ko-KR' : 'en-GB');

function numbers(digits: number): Intl.NumberFormat {
  const key = `n${locale()}${digits}`;
  let made = cache.get(key) as Intl.NumberFormat | undefined;
  if (!made) {
    made = new Intl.NumberFormat(locale(), { maximumFractionDigits: digits });
    cache.set(key, made);
  }
  return made;
}

function dates(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `d${locale()}${name}`;
  let made = cache.get(key) as Intl.DateTimeFormat | undefined;
  if (!made) {
    made = new Intl.DateTimeFormat(locale(), { timeZone: ZONE, hourCycle: 'h23', ...options });
    cache.set(key, made);
  }
  return made;
}

export const number = (n: number | null | undefined, digits = 0): string =>
  n === null || n === undefined || Number.isNaN(n) ? DASH : numbers(digits).format(n);

/** As exact as it is worth: three digits that count. */
export const short = (n: number | null | undefined): string =>
  n === null || n === undefined
    ? DASH
    : number(n, Math.abs(n) >= 100 || Number.isInteger(n) ? 0 : Math.abs(n) >= 10 ? 1 : 2);

/** Wh, kWh, MWh: three digits that count. Exact figures are {@link number} and a unit. */
export function energy(wh: number | null | undefined): string {
  if (wh === null || wh === undefined) return DASH;
  const size = Math.abs(wh);
  if (size >= 1e6) return `${number(wh / 1e6, 3)} MWh`;
  if (size >= 1e3) return `${number(wh / 1e3, 3)} kWh`;
  return `${number(wh)} Wh`;
}

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return DASH;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  let value = n;
  for (; value >= 1000 && i < units.length - 1; i++) value /= 1000;
  return `${short(value)} ${units[i]}`;
}

const UNITS = {
  en: { s: 's', min: 'min', h: 'h', d: 'd' },
  ko: { s: '초', min: '분', h: '시간', d: '일' },
};

/** A span of time, in its two largest units. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return DASH;
  const u = UNITS[lang.value];
  const gap = lang.value === 'ko' ? '' : ' ';
  const s = Math.max(0, seconds);
  if (s < 10) return `${number(s, 1)}${gap}${u.s}`;
  if (s < 60) return `${Math.floor(s)}${gap}${u.s}`;
  const of = (big: number, b: string, small: number, sm: string): string => {
    const rest = Math.floor((s % big) / small);
    return `${number(Math.floor(s / big))}${gap}${b}${rest ? ` ${rest}${gap}${sm}` : ''}`;
  };
  if (s < 3600) return of(60, u.min, 1, u.s);
  if (s < 86_400) return of(3600, u.h, 60, u.min);
  return of(86_400, u.d, 3600, u.h);
}

/** Korean time: the time alone of today, the date with it else. */
export function clock(ms: number, nowMs = Date.now()): string {
  const day = dates('day', { year: 'numeric', month: '2-digit', day: '2-digit' });
  const time = dates('time', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);
  return day.format(ms) === day.format(nowMs) ? time : `${date(ms)} ${time}`;
}

/** The Korean day, as 2026-03-15. */
export function date(ms: number): string {
  const parts = new Intl.DateTimeFormat('en-CA', { timeZone: ZONE }).format(ms);
  return parts;
}

/** The hour of a slot in Korean time, as 14:00. */
export const hourOf = (ms: number): string => dates('hour', { hour: '2-digit', minute: '2-digit' }).format(ms);

export const utc = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');

/** A DID or hash by its two ends. */
export const ends = (text: string, head = 14, tail = 5): string =>
  text.length <= head + tail + 1 ? text : `${text.slice(0, head)}…${text.slice(-tail)}`;

/** A DID without what all have in common. */
export const shortDid = (did: string): string => ends(did.replace(/^did:key:/, ''), 8, 5);
