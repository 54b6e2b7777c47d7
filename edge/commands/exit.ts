/** How a command ends: the exit codes, and the last word of one that fails where nobody catches it. */
import { EdgeError, type ErrorCode, errorLine } from '../errors.ts';

export const EXIT = {
  done: 0,
  /** Starting again may help. */
  failed: 1,
  /** Starting again does not help before somebody has changed something. */
  setup: 2,
  /** The demo's own check: something that was acknowledged is not in the log. Starting again would hide it. */
  lost: 3,
  /** EX_TEMPFAIL of sysexits: an operator asked for another start, with the config as it is now. */
  restart: 75,
  /** EX_SOFTWARE of sysexits: a mistake of ours, that nobody caught. Starting again may help. */
  internal: 70,
} as const;

export const EXIT_HELP = `Exit codes:
    0  stopped as it was asked to
    1  failed; starting again may help (a port in use, a disk that was full)
    2  the command line, the config, a profile, the keys or the data folder: nothing helps before somebody looks
    3  the demo found that something acknowledged is not in the log
   75  asked to be started again (POST /config/restart)
   70  a mistake of the program itself, said in one line; starting again may help
  130  asked to stop a second time, so it stopped at once`;

/** After these a supervisor must not try again. */
const SETUP: readonly ErrorCode[] = [
  'USAGE',
  'CONFIG_INVALID',
  'PROFILE_INVALID',
  'KEY_UNREADABLE',
  'KEY_FIXED',
  'CSV_INVALID',
  'CERTIFICATE_INVALID',
  'DATA_UNUSABLE',
  // After all that the start itself can do about it.
  'STORE_DAMAGED',
  'STORE_OTHER_LOG',
  'DATA_FORMAT',
  'RESTORE_REFUSED',
  'CHAIN_WRONG',
];

export const exitCodeOf = (error: unknown): number =>
  error instanceof EdgeError ? (SETUP.includes(error.code) ? EXIT.setup : EXIT.failed) : EXIT.internal;

/** One line, and where it was. */
let lastWord = (line: string, stack: string): void => console.error(`${line}\n${stack}`);

/** Who writes a log of its own says it there. */
export function sayLastWordBy(say: (line: string, stack: string) => void): void {
  lastWord = say;
}

/**
 * For what was thrown where nobody catches it: the state in memory is not to be trusted any more, the one on disk is.
 * What was not acknowledged comes again.
 */
export function endInternal(error: unknown): never {
  try {
    lastWord(new EdgeError('INTERNAL', `nobody caught this: ${errorLine(error)}`).line, (error as Error)?.stack ?? '');
  } finally {
    process.exit(EXIT.internal);
  }
}
