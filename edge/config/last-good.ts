/**
 * Configs with which the gateway has become ready: the newest, and the one before it. Kept beside the config, or where
 * SEJONG_EDGE_LAST_GOOD says (a service that may not write beside its config). A start that differs from the last good
 * one is noted before it is tried, so that one that dies without a word is found out, too.
 */
import { hash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

export type Kept = { text: string; sha256: string };

export const digest = (text: string): string => hash('sha256', text);

export class LastGood {
  /** The newest one is here; the one before has .1 after it, and the note about a start .trying. */
  readonly path: string;

  constructor(configPath: string, env: NodeJS.ProcessEnv = process.env) {
    this.path = resolve(env.SEJONG_EDGE_LAST_GOOD || `${configPath}.last-good`);
  }

  get newest(): Kept | undefined {
    return read(this.path);
  }

  get before(): Kept | undefined {
    return read(`${this.path}.1`);
  }

  /** How many starts with it have ended without getting ready and without a word. */
  tried(sha256: string): number {
    const note = read(`${this.path}.trying`)?.text.split(' ');
    return note?.[0] === sha256 ? Number(note[1]) || 0 : 0;
  }

  trying(sha256: string, times: number): void {
    replaceFile(`${this.path}.trying`, `${sha256} ${times}\n`, 0o600);
  }

  /** The gateway is ready with it. */
  keep(text: string): void {
    const newest = this.newest;
    if (newest?.text !== text) {
      if (newest) replaceFile(`${this.path}.1`, newest.text, 0o600);
      replaceFile(this.path, text, 0o600);
    }
    this.forgetTry();
  }

  /** It has said why it could not start, or it could. */
  forgetTry(): void {
    rmSync(`${this.path}.trying`, { force: true });
  }
}

function read(path: string): Kept | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  return { text, sha256: digest(text) };
}

/** Whole or not at all, also where the power goes: written beside, synced, renamed, and the folder synced. */
export function replaceFile(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode, flush: true });
  renameSync(temporary, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
