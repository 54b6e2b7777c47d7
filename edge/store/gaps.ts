/** Ranges of counters that entries of the gateway's own speak of (log/gap.ts), by the device that they are about. */
import type { Range } from './counters.ts';
import type { SqlStatement, Store } from './store.ts';

/** lost: the gateway takes nothing of the range any more. thinned: it had all of it, and took the payloads away. */
export type GapReason = 'lost' | 'thinned';

export type GapRow = Range & { reason: GapReason; idx: number };

export const saveGap = (device: number, g: GapRow): SqlStatement => ({
  sql: 'INSERT INTO gaps (device, epoch, first, last, reason, idx) VALUES (?, ?, ?, ?, ?, ?)',
  params: [device, g.epoch, g.first, g.last, g.reason, g.idx],
});

export class Gaps {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Those of the highest counters first. */
  list(device: number, limit: number): GapRow[] {
    return this.#store.all<GapRow>(
      `SELECT epoch, first, last, reason, idx FROM gaps WHERE device = ?
       ORDER BY epoch DESC, first DESC, idx DESC LIMIT ?`,
      device,
      limit,
    );
  }

  /** The declared range that a counter is in. Those of one device do not overlap. */
  lostAt(device: number, epoch: number, seq: number): GapRow | undefined {
    const found = this.#store.get<GapRow>(
      `SELECT epoch, first, last, reason, idx FROM gaps WHERE device = ? AND epoch = ? AND first <= ?
       AND reason = 'lost' ORDER BY first DESC LIMIT 1`,
      device,
      epoch,
      seq,
    );
    return found && found.last >= seq ? found : undefined;
  }
}
