/**
 * Runs a command of ours as a child process, and starts it again when it ends by itself. For the demo, and for whoever
 * has no systemd. Two processes cost a little memory; one that restarts itself would have to trust what is broken.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { GUARD } from '../guard.ts';
import { EXIT } from './exit.ts';
import { aborted, sleep } from './until.ts';

/** Between the end and the next start; twice as long after each run that was not a healthy one. */
const PAUSE_MS = 1_000;
const PAUSE_MOST_MS = 60_000;
/** A run of so long was healthy. */
const HEALTHY_MS = 60_000;
/** A first start that fails within this time is one that somebody looks at: they had better be told. */
const FIRST_MS = 10_000;
/** Set for the child, so that it does not supervise itself. */
const CHILD = 'SEJONG_EDGE_SUPERVISED';
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

export const isSupervised = (): boolean => process.env[CHILD] !== undefined;

/** The pause before the start that follows on a run of `ranMs`, where the one before was `pauseMs`. */
export const nextPause = (pauseMs: number | undefined, ranMs: number): number =>
  pauseMs === undefined || ranMs >= HEALTHY_MS ? PAUSE_MS : Math.min(2 * pauseMs, PAUSE_MOST_MS);

/**
 * @param argv of the next start; `elapsedMs` since the first one
 * @param patient goes on also where the very first start fails: nobody is there to see it
 * @returns the exit code of the last run
 */
export async function supervise(
  argv: (elapsedMs: number) => readonly string[],
  stop: AbortSignal,
  say: (line: string) => void,
  patient: boolean,
): Promise<number> {
  const began = performance.now();
  let pause: number | undefined;
  for (;;) {
    const started = performance.now();
    const code = await runOnce(argv(started - began), stop);
    const ranMs = performance.now() - started;
    if (code === EXIT.restart && !stop.aborted) {
      say('supervisor: started again as it was asked for');
      continue;
    }
    if (code === EXIT.done || code === EXIT.lost || stop.aborted) return code;
    if (!patient && pause === undefined && code === EXIT.failed && ranMs < FIRST_MS) return code;
    if (code === EXIT.setup) {
      if (patient || pause !== undefined) say('supervisor: not started again before this is put right');
      return code;
    }
    pause = nextPause(pause, ranMs);
    const how = code > 128 ? `by signal ${code - 128}` : `with code ${code}`;
    say(`supervisor: the gateway has ended ${how}; started again in ${pause / 1000} s`);
    await sleep(pause, stop);
    if (stop.aborted) return code;
  }
}

async function runOnce(argv: readonly string[], stop: AbortSignal): Promise<number> {
  const guard = spawn('/bin/sh', ['-c', GUARD, 'edge', process.execPath, MAIN, ...argv], {
    stdio: ['pipe', 'inherit', 'inherit'],
    detached: true,
    env: { ...process.env, [CHILD]: '1' },
  });
  guard.stdin?.on('error', () => undefined); // it may be gone already
  const killAll = (): void => killGroup(guard);
  process.once('exit', killAll); // asked a second time, we do not wait for the child
  void aborted(stop).then(() => guard.stdin?.end());
  try {
    return await new Promise<number>((resolve, reject) => {
      guard.once('error', reject);
      guard.once('exit', (code) => {
        // Somebody killed the shell: what it ran must not be met by the next start.
        if (code === null) killGroup(guard);
        resolve(code ?? EXIT.failed);
      });
    });
  } finally {
    process.removeListener('exit', killAll);
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
