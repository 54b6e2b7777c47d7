/**
 * Entries of devices that could speak no more when their envelopes came: backlog, signed before and expected since. Why
 * each was taken all the same, beside the entry.
 */
import type { SqlStatement, Store } from './store.ts';

export type LateEntry = {
  /** What the device is: revoked, replaced, or past its period. */
  status: string;
  /** Who says so: this gateway's own table of devices, or the city's registry. */
  by: 'gateway' | 'registry';
  /** Since when, Unix ms. */
  sinceMs: number;
  /** The registry's block that said so. */
  block: number | null;
};

export const saveLate = (idx: number, { status, by, sinceMs, block }: LateEntry): SqlStatement => ({
  sql: 'INSERT INTO late_entries (idx, status, by, since_ms, block) VALUES (?, ?, ?, ?, ?)',
  params: [idx, status, by, sinceMs, block],
});

export class LateEntries {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get(idx: number): LateEntry | undefined {
    return this.#store.get<LateEntry>(
      'SELECT status, by, since_ms AS sinceMs, block FROM late_entries WHERE idx = ?',
      idx,
    );
  }
}
