/** Reading entries back. They are written by the log's transaction (writer-thread.ts). */
import type { Store } from './store.ts';

export type EntryRow = {
  idx: number;
  device: number;
  epoch: number;
  seq: number;
  receivedMs: number;
  monoMs: number;
  boot: number;
  clockSynced: 0 | 1;
  /** Empty where the entry was pruned. */
  envelope: Uint8Array;
  /** The leaf hash of a pruned entry: all that is left of its bytes. Null while they are there. */
  leaf: Uint8Array | null;
};

/** A level-0 tile's key is its number; only entries of full tiles are ever pruned. */
const LEAF = `CASE WHEN length(envelope) = 0
  THEN (SELECT substr(hashes, 1 + 32 * (idx % 256), 32) FROM tiles WHERE key = idx / 256) END AS leaf`;
const COLUMNS = `idx, device, epoch, seq, received_ms AS receivedMs, mono_ms AS monoMs, boot,
  clock_synced AS clockSynced, envelope, ${LEAF}`;

export class Entries {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get(idx: number): EntryRow | undefined {
    return this.#store.get<EntryRow>(`SELECT ${COLUMNS} FROM entries WHERE idx = ?`, idx);
  }

  byCounter(device: number, epoch: number, seq: number): Pick<EntryRow, 'idx' | 'envelope' | 'leaf'> | undefined {
    return this.#store.get(
      `SELECT idx, envelope, ${LEAF} FROM entries WHERE device = ? AND epoch = ? AND seq = ?`,
      device,
      epoch,
      seq,
    );
  }

  /** In the order of the log, from index `from` on. */
  page(from: number, limit: number): EntryRow[] {
    return this.#store.all<EntryRow>(`SELECT ${COLUMNS} FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?`, from, limit);
  }

  /**
   * One device's, in the order of its counter, after the entry with index `after`, received in [fromMs, toMs).
   * That order differs from the log's only where the device drained a buffer out of order.
   */
  pageOfDevice(device: number, after: number, fromMs: number, toMs: number, limit: number): EntryRow[] {
    const start = after < 0 ? undefined : this.get(after);
    return this.#store.all<EntryRow>(
      `SELECT ${COLUMNS} FROM entries WHERE device = ? AND (epoch, seq) > (?, ?)
       AND received_ms >= ? AND received_ms < ? ORDER BY epoch, seq LIMIT ?`,
      device,
      start?.epoch ?? -1,
      start?.seq ?? -1,
      fromMs,
      toMs,
      limit,
    );
  }

  /** In the order of arrival by the wall clock, received in [fromMs, toMs), after the entry with index `after`. */
  pageByTime(after: number, fromMs: number, toMs: number, limit: number): EntryRow[] {
    const start = after < 0 ? undefined : this.get(after);
    return this.#store.all<EntryRow>(
      `SELECT ${COLUMNS} FROM entries WHERE received_ms >= ? AND received_ms < ? AND (received_ms, idx) > (?, ?)
       ORDER BY received_ms, idx LIMIT ?`,
      fromMs,
      toMs,
      start?.receivedMs ?? -1,
      start?.idx ?? -1,
      limit,
    );
  }
}
