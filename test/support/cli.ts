/** Programs as users start them: processes of their own, with the repository's Node. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from './ends.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export type Ended = { code: number | null; signal: string | null; stdout: string; stderr: string };

/** Runs to its end. */
export async function run(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; input?: string; cwd?: string } = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: 'pipe',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined); // it may have ended before it read anything
  child.stdin.end(options.input ?? '');
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}

export const edge = (
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; input?: string } = {},
): Promise<Ended> => run(process.execPath, ['edge/main.ts', ...args], options);

export type Running = {
  child: ChildProcess;
  lines: string[];
  /** The first line, so far or to come, that matches. */
  line: (pattern: RegExp) => Promise<string>;
  /** Resolves when it no longer runs and all that it said is in `lines`. */
  ended: Promise<void>;
  /** Sends a signal and waits for the end. */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>;
};

/** Goes on until it is stopped, at the latest when the test ends. */
export function start(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Running {
  const child = spawn(program, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      wake();
    });
  const ended = once(child, 'close').then(() => wake());
  const gone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const running: Running = {
    child,
    lines,
    ended,
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = lines.find((l) => pattern.test(l));
          if (found === undefined && !gone()) return;
          waiting.delete(look);
          if (found !== undefined) resolve(found);
          else reject(new Error(`ended without ${pattern}:\n${lines.join('\n')}`));
        };
        waiting.add(look);
        look();
      }),
    stop: async (signal = 'SIGTERM') => {
      if (!gone()) child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
  onTestFinished(async () => {
    await running.stop('SIGKILL');
  });
  return running;
}
