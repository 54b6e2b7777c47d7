/**
 * A start with a config that may be a new one. Where the gateway does not come up with it, it comes up with the last good
 * one, and says so: a box on a pole has nobody beside it who could put the file right. The file itself stays as it is.
 */
import { readFileSync } from 'node:fs';
import type { Config } from '../config.ts';
import { loadConfig } from '../config-file.ts';
import { EdgeError, errorLine } from '../errors.ts';
import { digest, LastGood } from './last-good.ts';

/** Starts that end without a word before one config is not tried again: one may have been a power cut. */
const MOST_TRIES = 2;

export type Started<T> = {
  what: T;
  config: Config;
  /** SHA-256 of the text that is in use. */
  sha256: string;
  /** Why the file is not in use, and the last good one is. */
  rolledBack: EdgeError | undefined;
};

/**
 * @param start resolves when it is ready with that config; it is called twice at most, and must have ended where it fails
 * @throws what the start with the file threw, where there is no last good config or that one does not help either
 */
export async function startWith<T>(
  path: string,
  start: (config: Config, state: Pick<Started<T>, 'sha256' | 'rolledBack'>) => Promise<T>,
  warn: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Started<T>> {
  const kept = new LastGood(path, env);
  const text = textOf(path);
  const sha256 = text === undefined ? '' : digest(text);
  const { newest } = kept;
  const saying = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      warn(`config: ${kept.path} cannot be written, so there is no way back from the next config: ${errorLine(error)}`);
    }
  };
  const isNew = newest !== undefined && newest.sha256 !== sha256;
  let failure: unknown;
  const tried = isNew ? kept.tried(sha256) : 0;
  if (tried >= MOST_TRIES)
    failure = new EdgeError(
      'CONFIG_ROLLED_BACK',
      `${path}: ${tried} starts with it ended before the gateway was ready, and left no word`,
    );
  else
    try {
      const config = loadConfig(path, { env, ...(text === undefined ? {} : { text }) });
      if (isNew) saying(() => kept.trying(sha256, tried + 1));
      const what = await start(config, { sha256, rolledBack: undefined });
      if (text !== undefined) saying(() => kept.keep(text));
      return { what, config, sha256, rolledBack: undefined };
    } catch (error) {
      if (!isNew) throw error;
      failure = error;
      saying(() => kept.forgetTry());
    }
  // Which was new: there is one to go back to.
  const good = newest as { text: string; sha256: string };
  const rolledBack =
    failure instanceof EdgeError && failure.code === 'CONFIG_ROLLED_BACK'
      ? failure
      : new EdgeError('CONFIG_ROLLED_BACK', `${path}: ${errorLine(failure)}`, { cause: failure });
  warn(`config: ${rolledBack.line}`);
  try {
    const config = loadConfig(path, { env, text: good.text });
    const { sha256 } = good;
    return { what: await start(config, { sha256, rolledBack }), config, sha256, rolledBack };
  } catch (error) {
    // Not the new config's fault then, or not its alone.
    warn(`config: nor with the last good one (${kept.path}): ${errorLine(error)}`);
    throw failure;
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // which loadConfig says better
  }
}
