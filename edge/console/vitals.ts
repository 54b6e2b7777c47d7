/** How the gateway does, second by second, kept for all pages while somebody is signed in. */
import { effect, signal } from '@preact/signals';
import type { VitalView } from '../api/vitals.ts';
import { get } from './api.ts';
import { session } from './session.ts';

const KEPT = 600;
/** After a question that failed. */
const AGAIN_MS = 3_000;

/** The oldest first; empty before the first answer. */
export const vitals = signal<readonly VitalView[]>([]);

let timer: ReturnType<typeof setTimeout> | undefined;
let asking = false;

async function ask(): Promise<void> {
  clearTimeout(timer);
  if (asking || !session.value || document.hidden) return;
  asking = true;
  let wait = 1_000;
  try {
    const before = vitals.value;
    const last = before.at(-1);
    const { everyMs, vitals: news } = await get<{ everyMs: number; vitals: VitalView[] }>(
      `/vitals?after=${last?.ms ?? 0}`,
    );
    wait = everyMs;
    // After a restart its log may be shorter: then what was before is of another life.
    const goesOn = last && news[0] && news[0].entries >= last.entries;
    if (news.length > 0) vitals.value = (goesOn ? [...before, ...news] : news).slice(-KEPT);
  } catch {
    wait = AGAIN_MS;
  }
  asking = false;
  timer = setTimeout(() => void ask(), wait);
}

effect(() => {
  if (session.value) void ask();
  else vitals.value = [];
});
document.addEventListener('visibilitychange', () => void ask());

/** A figure of the last ten minutes in at most `most` points, each the mean of its stretch; null where it was not known. */
export function trend(
  rows: readonly VitalView[],
  of: (row: VitalView) => number | null | undefined,
  most = 120,
): (number | null)[] {
  const size = Math.max(1, Math.ceil(rows.length / most));
  const points: (number | null)[] = [];
  for (let at = rows.length % size; at < rows.length; at += size) {
    const known = rows.slice(at, at + size).flatMap((row) => of(row) ?? []);
    points.push(known.length > 0 ? known.reduce((a, b) => a + b) / known.length : null);
  }
  return points;
}
