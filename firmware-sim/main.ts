#!/usr/bin/env node
/** sejong-sim: argv, signals, exit code; nothing else. */
import { help, type Options, readOptions, UsageError } from './options.ts';
import { Display, summary } from './progress.ts';
import { type Progress, run } from './run.ts';

const IPC_MS = 1000;
/** When a clean stop takes longer than this, the process ends all the same: the journals can take that. */
const STOP_MS = 1900;

const send = (message: object): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

function fail(error: unknown): number {
  process.stderr.write(`sejong-sim: ${(error as Error).message}${error instanceof UsageError ? '; see --help' : ''}\n`);
  return error instanceof UsageError ? 2 : 1;
}

/** Aborts when the terminal, the system or a parent says so, or a parent is gone. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const end = (): void => {
    // A terminal and a parent may both say so: the second one changes nothing.
    if (stop.signal.aborted) return;
    stop.abort();
    setTimeout(() => process.exit(1), STOP_MS).unref();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  // A parent that was killed cannot say so; its end of the channel closes.
  process.on('disconnect', end);
  // A reader that left (| head) must not end the run before its summary.
  process.stdout.on('error', () => {});
  return stop.signal;
}

/** The issuer and its vehicles, which have command lines of their own: loaded only where they are asked for. */
async function ofChecks(name: string, argv: readonly string[]): Promise<number> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    if (name === 'issuer') {
      const { issuer } = await import('./city/command.ts');
      return await issuer(argv, say);
    }
    const { check } = await import('./check/command.ts');
    return await check(argv, process.env, { say, send }, stopSignal());
  } catch (error) {
    return fail(error);
  }
}

async function main(): Promise<number> {
  const [name, ...argv] = process.argv.slice(2);
  if (name === 'issuer' || name === 'check') return ofChecks(name, argv);
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return fail(error);
  }
  if (options.help) {
    process.stdout.write(`${help()}\n`);
    return 0;
  }

  const stop = stopSignal();
  const display = options.quiet ? undefined : new Display(process.stdout);
  try {
    const counts = await run(
      options,
      {
        report: (line) => {
          if (display) display.say(line);
          else process.stderr.write(`sejong-sim: ${line}\n`);
        },
        ready: (members, inverters) => send({ type: 'ready', members, inverters }),
        watch: (progress: () => Progress) => {
          display?.start(progress);
          if (process.send) setInterval(() => send({ type: 'progress', ...progress() }), IPC_MS).unref();
        },
      },
      stop,
    );
    display?.stop();
    if (display) for (const line of summary(counts, options.state)) display.say(line);
    send({ type: 'summary', ...counts });
    process.stdout.write(`${JSON.stringify(counts)}\n`);
    // A refused envelope is acknowledged as well, but it is not in the log.
    return counts.buffered === 0 && counts.honestRefused === 0 ? 0 : 1;
  } catch (error) {
    display?.stop();
    return fail(error);
  }
}

const code = await main();
process.exitCode = code;
// Written out, then gone: an open channel to a parent would keep the process.
process.stdout.write('', () => process.exit(code));
