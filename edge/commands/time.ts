/** Lengths of time, as commands take them: 90s, 30m, 12h, 7d. */
import { EdgeError } from '../errors.ts';

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** @throws EdgeError USAGE; `least` and `most` in seconds */
export function secondsOf(text: string, least: number, most: number): number {
  const m = /^(\d{1,6})([smhd])$/.exec(text);
  const seconds = m ? Number(m[1]) * (UNITS[m[2] as string] as number) : 0;
  if (seconds < least || seconds > most)
    throw new EdgeError('USAGE', `--for ${text}: a time such as 90s, 30m, 12h, 7d, ${least} s to ${most / 86_400}d`);
  return seconds;
}
