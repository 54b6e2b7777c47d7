/** Reading entries back, with what sealed ones are over. They are written by the log's transaction (writer-thread.ts). */
import { CONTENT_COLUMNS, type ContentColumns, openBox, WITH_CONTENTS } from './contents.ts';
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
  /** The bytes that are in the log: the envelope, or of a sealed one its hash envelope. Empty where it was pruned. */
  entry: Uint8Array;
  /** As it was signed by whom it is of. Empty where it was pruned or forgotten. */
  envelope: Uint8Array;
  /** Of a sealed entry; null of a public one, empty of a forgotten one. */
  salt: Uint8Array | null;
  /** The salted hash of a sealed entry that was pruned. */
  digest: Uint8Array | null;
  forgotten: boolean;
  /** The leaf hash of a pruned entry: all that is left of its bytes. Null while they are there. */
  leaf: Uint8Array | null;
};
/** All that is known of an entry's bytes. */
export type EntryBytes = Pick<EntryRow, 'idx' | 'entry' | 'envelope' | 'salt' | 'digest' | 'forgotten' | 'leaf'>;

/** A level-0 tile's key is its number; only entries of full tiles are ever pruned. */
const LEAF = `CASE WHEN length(entries.envelope) = 0 THEN (SELECT substr(hashes, 1 + 32 * (entries.idx % 256), 32)
  FROM tiles WHERE tiles.key = entries.idx / 256) END AS leaf`;
const BYTES = `entries.idx, envelope AS entry, ${CONTENT_COLUMNS}, ${LEAF}`;
const COLUMNS = `${BYTES}, device, epoch, seq, received_ms AS receivedMs, mono_ms AS monoMs, boot,
  clock_synced AS clockSynced`;
const FROM = `FROM entries ${WITH_CONTENTS}`;

type Stored<Row extends EntryBytes> = Omit<Row, 'envelope' | 'salt' | 'forgotten'> & ContentColumns;

function open<Row extends EntryBytes>({ secret, box, ...row }: Stored<Row>): Row {
  const { salt, envelope = row.entry, forgotten } = openBox({ secret, box });
  return { ...row, salt, envelope, forgotten } as unknown as Row;
}

export class Entries {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get(idx: number): EntryRow | undefined {
    return this.#rows(`SELECT ${COLUMNS} ${FROM} WHERE entries.idx = ?`, idx)[0];
  }

  byCounter(device: number, epoch: number, seq: number): EntryBytes | undefined {
    const row = this.#store.get<Stored<EntryBytes>>(
      `SELECT ${BYTES} ${FROM} WHERE device = ? AND epoch = ? AND seq = ?`,
      device,
      epoch,
      seq,
    );
    return row && open(row);
  }

  /** In the order of the log, from index `from` on. */
  page(from: number, limit: number): EntryRow[] {
    return this.#rows(`SELECT ${COLUMNS} ${FROM} WHERE entries.idx >= ? ORDER BY entries.idx LIMIT ?`, from, limit);
  }

  /**
   * One device's, in the order of its counter, after the entry with index `after`, received in [fromMs, toMs).
   * That order differs from the log's only where the device drained a buffer out of order.
   */
  pageOfDevice(device: number, after: number, fromMs: number, toMs: number, limit: number): EntryRow[] {
    const start = after < 0 ? undefined : this.get(after);
    return this.#rows(
      `SELECT ${COLUMNS} ${FROM} WHERE device = ? AND (epoch, seq) > (?, ?)
       AND received_ms >= ? AND received_ms < ? ORDER BY epoch, seq LIMIT ?`,
      device,
      start?.epoch ?? -1,
      start?.seq ?? -1,
      fromMs,
      toMs,
      limit,
    );
  }

  /** One device's, the highest counter first, below that of the entry with index `after`. */
  latestOfDevice(device: number, limit: number, after = -1): EntryRow[] {
    const start = after < 0 ? undefined : this.get(after);
    return this.#rows(
      `SELECT ${COLUMNS} ${FROM} WHERE device = ? AND (epoch, seq) < (?, ?) ORDER BY epoch DESC, seq DESC LIMIT ?`,
      device,
      start?.epoch ?? 2 ** 32,
      start?.seq ?? 0,
      limit,
    );
  }

  /** Times of receipt of one device's, the highest counter first. */
  receiptsOfDevice(device: number, limit: number): number[] {
    return this.#store
      .all<{ ms: number }>(
        'SELECT received_ms AS ms FROM entries WHERE device = ? ORDER BY epoch DESC, seq DESC LIMIT ?',
        device,
        limit,
      )
      .map(({ ms }) => ms);
  }

  /** From the newest down, below that index. */
  latest(below: number, limit: number): EntryRow[] {
    return this.#rows(
      `SELECT ${COLUMNS} ${FROM} WHERE entries.idx < ? ORDER BY entries.idx DESC LIMIT ?`,
      below,
      limit,
    );
  }

  /** One device's, in the order of its counter, from that counter on. */
  fromCounter(device: number, epoch: number, seq: number, limit: number): EntryRow[] {
    return this.#rows(
      `SELECT ${COLUMNS} ${FROM} WHERE device = ? AND (epoch, seq) >= (?, ?) ORDER BY epoch, seq LIMIT ?`,
      device,
      epoch,
      seq,
      limit,
    );
  }

  /** One device's, the last of a boot epoch. */
  lastOfEpoch(device: number, epoch: number): EntryRow | undefined {
    return this.#rows(
      `SELECT ${COLUMNS} ${FROM} WHERE device = ? AND epoch = ? ORDER BY seq DESC LIMIT 1`,
      device,
      epoch,
    )[0];
  }

  /** In the order of arrival by the wall clock, received in [fromMs, toMs), after the entry with index `after`. */
  pageByTime(after: number, fromMs: number, toMs: number, limit: number): EntryRow[] {
    const start = after < 0 ? undefined : this.get(after);
    return this.#rows(
      `SELECT ${COLUMNS} ${FROM} WHERE received_ms >= ? AND received_ms < ? AND (received_ms, entries.idx) > (?, ?)
       ORDER BY received_ms, entries.idx LIMIT ?`,
      fromMs,
      toMs,
      start?.receivedMs ?? -1,
      start?.idx ?? -1,
      limit,
    );
  }

  #rows(sql: string, ...params: unknown[]): EntryRow[] {
    return this.#store.all<Stored<EntryRow>>(sql, ...params).map(open<EntryRow>);
  }
}
