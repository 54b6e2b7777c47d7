/** What a simulated electricity meter measures and keeps: energy that only rises, and a load profile of it. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { noiseAt } from '../../random.ts';

export type MeterOptions = {
  seed: number;
  /** Simulated Unix ms, never backwards. */
  now: () => number;
  /** Import in W at a simulated time; held for the second that begins there. */
  powerW: (ms: number) => number;
  /** From the seed where absent. */
  startWh?: number;
  /** Seconds between entries of the load profile. Default 900. */
  periodSeconds?: number;
  /** How long it has been measuring already. Default 0. */
  historySeconds?: number;
  /** A file that keeps energy and counters over restarts. The load profile is not in it. */
  eeprom?: string;
};

export type Entry = { t: number; wh: number };
const ENTRIES_KEPT = 5000;
type Kept = { millijoules: string; counter: number; clients: Record<string, number> };

export class Registers {
  readonly #options: MeterOptions;
  readonly periodSeconds: number;
  readonly entries: Entry[] = [];
  /** Its own invocation counter, and the highest of each client. */
  counter = 0;
  readonly clients = new Map<string, number>();
  #millijoules: bigint;
  #measuredTo: number;

  constructor(options: MeterOptions) {
    this.#options = options;
    this.periodSeconds = options.periodSeconds ?? 900;
    const start = options.startWh ?? 1_000_000 + Math.floor(noiseAt(options.seed, 1) * 8_000_000);
    this.#millijoules = BigInt(start) * 3_600_000n;
    this.#measuredTo = Math.floor(options.now() / 1000) * 1000 - (options.historySeconds ?? 0) * 1000;
    this.#recall();
  }

  get wh(): number {
    this.#measure();
    return Number(this.#millijoules / 3_600_000n);
  }
  get watts(): number {
    return Math.round(this.#options.powerW(this.#options.now()));
  }
  /** Tenths of a volt, in the millisecond. */
  get decivolts(): number {
    return 2200 + Math.round((noiseAt(this.#options.seed, Math.floor(this.#options.now() / 1000)) - 0.5) * 40);
  }
  get t(): number {
    return Math.floor(this.#options.now() / 1000);
  }

  /** Entries from and to, both in it. */
  between(from: number, to: number): Entry[] {
    this.#measure();
    return this.entries.filter(({ t }) => t >= from && t <= to);
  }

  nextCounter(): number {
    this.counter++;
    this.keep();
    return this.counter;
  }

  #measure(): void {
    while (this.#measuredTo + 1000 <= this.#options.now()) {
      const milliwatts = Math.max(0, Math.round(this.#options.powerW(this.#measuredTo) * 1000));
      this.#millijoules += BigInt(milliwatts);
      this.#measuredTo += 1000;
      if (this.#measuredTo % (this.periodSeconds * 1000) === 0) {
        this.entries.push({ t: this.#measuredTo / 1000, wh: Number(this.#millijoules / 3_600_000n) });
        if (this.entries.length > ENTRIES_KEPT) this.entries.shift();
      }
    }
  }

  #recall(): void {
    if (this.#options.eeprom === undefined) return;
    let text: string;
    try {
      text = readFileSync(this.#options.eeprom, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    const kept = JSON.parse(text) as Kept;
    this.#millijoules = BigInt(kept.millijoules);
    this.counter = kept.counter;
    for (const [client, counter] of Object.entries(kept.clients)) this.clients.set(client, counter);
  }

  /** Before anything is said of it, so that a register once told never shows less after a kill. */
  keep(): void {
    const file = this.#options.eeprom;
    if (file === undefined) return;
    this.#measure();
    const kept: Kept = {
      millijoules: `${this.#millijoules}`,
      counter: this.counter,
      clients: Object.fromEntries(this.clients),
    };
    writeFileSync(`${file}.new`, JSON.stringify(kept));
    renameSync(`${file}.new`, file);
  }
}
