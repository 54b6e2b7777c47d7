/**
 * What a device on a wire measures, kept over restarts: a world, whose state is in a file before anything of it is said,
 * as a meter writes its register to its EEPROM. A register once read never shows less.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import type { World } from '../worlds/world.ts';

export class Kept {
  readonly #world: World;
  readonly #file: string;
  readonly #now: () => number;
  #last = Number.NEGATIVE_INFINITY;
  #values = new Map<string, number>();

  /** @param now simulated milliseconds */
  constructor(file: string, now: () => number, make: (saved: string) => World) {
    this.#file = file;
    this.#now = now;
    this.#world = make(recall(file));
  }

  /** The value of that name now; 0 where the world has none. */
  value(name: string): number {
    const now = this.#now();
    // One moment for all that is asked together, and one write.
    if (now >= this.#last + 100) {
      this.#last = now;
      const records: SenmlRecord[] = this.#world.sample(now);
      writeFileSync(`${this.#file}.new`, this.#world.state());
      renameSync(`${this.#file}.new`, this.#file);
      this.#values = new Map(records.flatMap(({ n, v }) => (v === undefined ? [] : [[n, v] as const])));
    }
    return this.#values.get(name) ?? 0;
  }
}

function recall(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
