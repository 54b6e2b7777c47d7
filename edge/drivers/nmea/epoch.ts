/**
 * Sentences of one moment belong together, and only they. RMC, GGA, ZDA, GST, GLL and GNS tell their time; GSA and VTG do not, and
 * belong to the one that stands before them. Where something was lost, or the line paused, in between, they belong to
 * nobody, or (after a pause) to the next one. Pure.
 */
import type { Parsed } from './fields.ts';

type Of<T extends Parsed['type']> = Extract<Parsed, { type: T }>;

export type Epoch = {
  /** Milliseconds since midnight UTC; absent where the receiver does not know the time. */
  timeMs: number | undefined;
  rmc?: Of<'RMC'>;
  gga?: Of<'GGA'>;
  zda?: Of<'ZDA'>;
  gst?: Of<'GST'>;
  vtg?: Of<'VTG'>;
  gsa: Of<'GSA'>[];
  /** Two sentences of one type and time that are not alike: two receivers on one line, or damage. */
  contradiction?: string;
  /** When its last sentence came, Unix ms. */
  atMs: number;
};

/** Receivers say a second's sentences in one go: a pause as long is between two goes. */
const PAUSE_MS = 150;
/** Of GSA there is one for each constellation. */
const MAX_GSA = 8;
/** How many epochs the fullest one stands for the others. */
const REMEMBERED = 10;

export class Epochs {
  #open: { epoch: Epoch; types: string[]; given: boolean } | undefined;
  /** Heard since the last pause or damage: what has no time of its own belongs to the open epoch. */
  #anchored = false;
  /** Something was damaged since: what has no time of its own belongs to nobody. */
  #lost = false;
  #waiting: (Of<'GSA'> | Of<'VTG'>)[] = [];
  #lastMs = 0;
  /** Sentences of the fullest of the last epochs: with all of these types, one is complete. */
  #fullest: readonly string[] = [];
  #since = 0;

  reset(): void {
    this.#open = undefined;
    this.#anchored = false;
    this.#lost = false;
    this.#waiting = [];
    this.#fullest = [];
    this.#since = 0;
  }

  /** A chunk comes now. */
  at(ms: number): void {
    if (ms - this.#lastMs >= PAUSE_MS || ms < this.#lastMs) {
      this.#anchored = false;
      this.#lost = false;
    }
    this.#lastMs = ms;
  }

  /** A sentence was lost: it may have begun an epoch. */
  damaged(): void {
    this.#lost = true;
    this.#anchored = false;
    this.#waiting = [];
  }

  /** @returns epochs that are complete now */
  push(sentence: Parsed, atMs: number): Epoch[] {
    const out: Epoch[] = [];
    if (sentence.type === 'GSA' || sentence.type === 'VTG') {
      if (this.#anchored && this.#open) this.#add(sentence, atMs, out);
      else if (!this.#lost && this.#waiting.length < MAX_GSA) this.#waiting.push(sentence);
      return out;
    }
    const again = this.#open?.types.includes(sentence.type);
    // Without a time (no fix yet) a sentence of a type that is there already begins the next one.
    const same =
      this.#open !== undefined &&
      sentence.timeMs === this.#open.epoch.timeMs &&
      !(sentence.timeMs === undefined && (again || !this.#anchored));
    if (!same) {
      this.#close(out);
      this.#open = { epoch: { timeMs: sentence.timeMs, gsa: [], atMs }, types: [], given: false };
      for (const early of this.#waiting) this.#add(early, atMs, out);
    }
    this.#waiting = [];
    this.#lost = false;
    this.#anchored = true;
    this.#add(sentence, atMs, out);
    return out;
  }

  #add(sentence: Parsed, atMs: number, out: Epoch[]): void {
    const open = this.#open;
    if (open === undefined) return;
    const { epoch } = open;
    open.types.push(sentence.type);
    if (open.given) return;
    epoch.atMs = atMs;
    if (sentence.type === 'GSA') {
      if (epoch.gsa.length < MAX_GSA) epoch.gsa.push(sentence);
    } else if (sentence.type !== 'TIME') {
      const key = sentence.type.toLowerCase() as 'rmc' | 'gga' | 'zda' | 'gst' | 'vtg';
      const there = epoch[key];
      if (there !== undefined && JSON.stringify(there) !== JSON.stringify(sentence))
        epoch.contradiction ??= `two different ${sentence.type} of one time`;
      (epoch as Record<string, unknown>)[key] = sentence;
    }
    if (this.#fullest.length > 0 && covers(open.types, this.#fullest)) {
      open.given = true;
      out.push(epoch);
    }
  }

  #close(out: Epoch[]): void {
    const open = this.#open;
    if (open === undefined) return;
    if (!open.given) out.push(open.epoch);
    if (open.types.length >= this.#fullest.length || ++this.#since >= REMEMBERED) {
      this.#fullest = open.types;
      this.#since = 0;
    }
  }
}

/** Each as often. */
function covers(all: readonly string[], wanted: readonly string[]): boolean {
  const count = (list: readonly string[], type: string) => list.filter((t) => t === type).length;
  return wanted.every((type) => count(all, type) >= count(wanted, type));
}
