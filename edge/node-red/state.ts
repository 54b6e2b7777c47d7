/** How Node-RED is, in a file: its host may be another process than the gateway, whose /health says it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type FlowsState = {
  /** Of the host. */
  pid: number;
  /** `safe`: the editor is up and no flow runs. `waiting`: it ended, and is started again soon. */
  state: 'starting' | 'running' | 'safe' | 'waiting';
  /** Of the editor; null until it was first up. */
  url: string | null;
  version: string | null;
  /** Times that it ended by itself since the host began. */
  crashes: number;
  /** Of the last one. */
  why: string | null;
  sinceMs: number;
};

const pathOf = (folder: string): string => join(folder, 'state.json');

/** Whole or not at all, and not flushed: after a power cut nobody asks for it, and a slow disk holds nobody up. */
export function writeWhole(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export const writeState = (folder: string, state: FlowsState): void => writeWhole(pathOf(folder), state);
export const removeState = (folder: string): void => rmSync(pathOf(folder), { force: true });

/** undefined where no host runs. @param folder `<dataFolder>/flows` */
export function readState(folder: string): FlowsState | undefined {
  try {
    const state = JSON.parse(readFileSync(pathOf(folder), 'utf8')) as FlowsState;
    return isAlive(state.pid) ? state : undefined;
  } catch {
    return undefined; // none, or what a power cut left of it
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** For /health, undefined where no host runs. */
export function flowsHealth(folder: string): { ok: boolean; detail: string } | undefined {
  const s = readState(folder);
  if (!s) return undefined;
  const crashed = s.crashes === 0 ? '' : `; it ended ${s.crashes} times by itself, last: ${s.why}`;
  const what = {
    starting: `Node-RED starts${crashed}`,
    running: `Node-RED ${s.version} at ${s.url}${crashed}`,
    safe: `Node-RED ${s.version} at ${s.url} in safe mode: no flow runs until somebody repairs and deploys them${crashed}`,
    waiting: `Node-RED is started again soon${crashed}`,
  }[s.state];
  return { ok: s.state === 'running' || s.state === 'starting', detail: what };
}
