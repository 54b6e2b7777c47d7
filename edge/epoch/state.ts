/**
 * What must be known of the log when its database is gone: epoch.json in the data folder, replaced whole, and only when
 * an epoch ends or begins, at each start and stop, at each anchor, and every ten minutes (an SD card wears).
 */
import { existsSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivate } from '../keystore.ts';

export type Head = { size: number; root: Uint8Array };
/** How a log is named by the one after it. `size` and `root` (hex) are left out where nothing is known. */
export type Previous = { origin: string; size?: number; root?: string };
export type Reason = 'damaged' | 'rolled-back';

/** An epoch that is to begin. */
export type Beginning = {
  number: number;
  origin: string;
  previous: Previous;
  reason: Reason;
  detail: string;
  /** The number of its first run at least: counters of the gateway's own devices go by it. */
  boot: number;
};

export type EpochState = {
  format: typeof FORMAT;
  /** Of the log that is here; empty where there was none yet. */
  origin: string;
  /** Its newest checkpoint, when this was written. */
  size: number;
  root: string;
  /** The number of the last run that opened it. */
  boot: number;
  /** The highest number that an epoch ever had here. */
  highest: number;
  /** The database is being set aside, as this file beside it. */
  leaving?: { aside: string; reason: Reason; detail: string };
  next?: Beginning;
  /** Files that were set aside, whose entries are not all carried over yet. */
  carry: string[];
};

const FORMAT = 'sejong-edge/epoch@1';
const NOTHING: EpochState = { format: FORMAT, origin: '', size: 0, root: '', boot: 0, highest: 1, carry: [] };

export class EpochFile {
  readonly #path: string;
  state: EpochState;
  #last: Promise<void> = Promise.resolve();

  constructor(dataFolder: string) {
    this.#path = join(dataFolder, 'epoch.json');
    this.state = this.#read();
  }

  /** One that cannot be read says nothing: the database and the chain know more. */
  #read(): EpochState {
    try {
      const found = existsSync(this.#path) ? (JSON.parse(readFileSync(this.#path, 'utf8')) as EpochState) : NOTHING;
      return found.format === FORMAT && Array.isArray(found.carry) ? { ...NOTHING, ...found } : NOTHING;
    } catch {
      return NOTHING;
    }
  }

  get #text(): string {
    return `${JSON.stringify(this.state, null, 2)}\n`;
  }

  /** On disk when it returns: what is done next depends on it. */
  set(change: { [K in keyof EpochState]?: EpochState[K] | undefined }): void {
    const before = this.#text;
    this.state = { ...this.state, ...change } as EpochState;
    if (this.#text !== before || !existsSync(this.#path)) writePrivate(this.#path, this.#text);
  }

  /** The newest checkpoint, written without holding anybody up. */
  note({ size, root }: Head, report: (problem: unknown) => void): Promise<void> {
    this.#last = this.#last.then(async () => {
      const hex = Buffer.from(root).toString('hex');
      if (this.state.size === size && this.state.root === hex) return;
      this.state = { ...this.state, size, root: hex };
      try {
        await writeFile(`${this.#path}.note`, this.#text, { mode: 0o600, flush: true });
        await rename(`${this.#path}.note`, this.#path);
      } catch (error) {
        report(error);
      }
    });
    return this.#last;
  }
}

/** `name/NUMBER/SIZE-ROOT`: the name of a log that follows another one, which it names by its newest known head. */
export function originAfter(name: string, number: number, { size, root }: Previous, unknown: string): string {
  return `${name}/${number}/${size === undefined || root === undefined ? `unknown-${unknown}` : `${size}-${root.slice(0, 16)}`}`;
}
