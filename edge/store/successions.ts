/** Which device took over from which, and the entry of the gateway's own that says so (log/succession.ts). */
import type { SqlStatement, Store } from './store.ts';

/** Numbers of the devices: the one that is over, and the one that goes on. */
export type SuccessionRow = { idx: number; device: number; heir: number };

/** @param heir DID of the device that goes on, which is enrolled in the same transaction at the latest */
export const saveSuccession = (idx: number, device: number, heir: string): SqlStatement => ({
  sql: 'INSERT INTO successions (idx, device, heir) SELECT ?, ?, id FROM devices WHERE did = ?',
  params: [idx, device, heir],
});

export class Successions {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** How the device ended, where another took over. */
  of(device: number): SuccessionRow | undefined {
    return this.#store.get<SuccessionRow>('SELECT idx, device, heir FROM successions WHERE device = ?', device);
  }
}
