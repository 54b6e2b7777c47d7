/** Runs the steps one after the other, and tells what it has so far, so that each is seen as it comes. */
import type { Shown } from '../../verify.ts';
import type * as Verifier from './file.ts';
import type { Group, Kind } from './file.ts';
import { verifier } from './verifier.ts';

export type LineState = 'waiting' | 'running' | 'ok' | 'failed' | 'skipped' | 'unreached';
export type Line = { name: string; state: LineState; detail: string; shown: readonly Shown[] };
export type GroupRun = { title: string; kind: Kind; lines: Line[]; found: Group['found']; gap: boolean };
export type Run = { state: 'running' | 'ok' | 'failed' | 'refused'; groups: GroupRun[]; refusal?: string };

/** So large may a bundle be that a page is given. */
export const MAX_BUNDLE = 256 * 1024 * 1024;
/** A step that had nothing to check is not shown, but for those that somebody would miss. */
const MISSED = ['device signature'];
const ANCHORED = 'anchored root';

/**
 * @param plan makes the steps
 * @param tell hears of each change; the last one is not `running`. Stops, and says nothing more, when `stop` aborts
 */
export async function run(
  plan: (verifier: typeof Verifier) => Group[],
  asksChain: boolean,
  tell: (run: Run) => void,
  stop: AbortSignal,
): Promise<void> {
  const state: Run = { state: 'running', groups: [] };
  const say = (): void => {
    if (!stop.aborted) tell({ ...state, groups: state.groups.map((g) => ({ ...g, lines: [...g.lines] })) });
  };
  let planned: Group[];
  let detailOf: (error: unknown) => string;
  try {
    const module = await verifier();
    detailOf = module.detailOf;
    planned = plan(module);
  } catch (error) {
    state.state = 'refused';
    const { detail, message } = error as { detail?: string; message: string };
    state.refusal = detail ?? message;
    say();
    return;
  }
  state.groups = planned.map(({ title, kind, steps, found, gap = false }) => ({
    title,
    kind,
    found,
    gap,
    lines: steps.map(({ name }) => ({ name, state: 'waiting', detail: '', shown: [] })),
  }));
  say();
  for (const [i, { steps, kind }] of planned.entries()) {
    const group = state.groups[i] as GroupRun;
    // What several files say together rests on each of them.
    let failed = group.gap && state.groups.some(({ lines }) => lines.some((l) => l.state === 'failed'));
    for (const [j, { run: step }] of steps.entries()) {
      const line = group.lines[j] as Line;
      const set = (over: Partial<Line>): void => {
        group.lines[j] = { ...line, ...over };
      };
      if (failed) {
        set({ state: 'unreached' });
        continue;
      }
      set({ state: 'running' });
      say();
      await drawn();
      if (stop.aborted) return;
      const shown: Shown[] = [];
      try {
        const detail = await step((what, value) => shown.push({ what, value }));
        set({ state: detail === undefined ? 'skipped' : 'ok', detail: detail ?? '', shown });
      } catch (error) {
        failed = true;
        set({ state: 'failed', detail: detailOf(error), shown });
      }
    }
    group.lines = group.lines.filter((l) => l.state !== 'skipped' || MISSED.includes(l.name));
    const asked = group.lines.some(({ name }) => name === ANCHORED);
    if (!asked && !group.gap && kind !== 'bundle' && !asksChain)
      group.lines.push({ name: ANCHORED, state: failed ? 'unreached' : 'skipped', detail: '', shown: [] });
    say();
  }
  state.state = state.groups.some(({ lines }) => lines.some((l) => l.state === 'failed')) ? 'failed' : 'ok';
  say();
}

/** The browser has drawn what it was told; in the background, where it draws nothing, at once. */
const drawn = (): Promise<void> =>
  new Promise((resolve) => {
    if (document.hidden) setTimeout(resolve);
    else requestAnimationFrame(() => setTimeout(resolve));
  });
