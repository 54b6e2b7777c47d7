/**
 * Numbers that drivers keep with the readings that they are of: how far a load profile was read, the highest invocation
 * counter heard. A mark goes to disk in the transaction of its reading, so neither is there without the other.
 */
import type { SqlStatement, Store } from './store.ts';

/** Kept as REAL: exact for whole numbers up to 2^53. */
export const saveMark = (device: number, name: string, value: number): SqlStatement => ({
  sql: `INSERT INTO marks (device, name, value) VALUES (?, ?, ?)
        ON CONFLICT (device, name) DO UPDATE SET value = excluded.value`,
  params: [device, name, value],
});

export class Marks {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  of(device: number): Record<string, number> {
    const rows = this.#store.all<{ name: string; value: number }>(
      'SELECT name, value FROM marks WHERE device = ? ORDER BY name',
      device,
    );
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  }
}
