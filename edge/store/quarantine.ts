/** Where refused envelopes lie, with the reason. Nothing that a device sent is dropped. */
import type { ErrorCode } from '../errors.ts';
import type { SqlStatement, Store } from './store.ts';

export type Refused = {
  did: string;
  topic: string;
  code: ErrorCode;
  detail: string;
  sha256: Uint8Array;
  bytes: Uint8Array;
  epoch: number | null;
  seq: number | null;
  receivedMs: number;
};

export type QuarantineRow = Omit<Refused, 'receivedMs'> & {
  id: number;
  firstMs: number;
  lastMs: number;
  times: number;
};

/** The same bytes of the same device again raise a count and take no room. */
export const saveRefused = (r: Refused): SqlStatement => ({
  sql: `INSERT INTO quarantine (did, topic, code, detail, sha256, bytes, epoch, seq, first_ms, last_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (did, sha256) DO UPDATE SET times = times + 1, last_ms = excluded.last_ms, code = excluded.code,
    detail = excluded.detail`,
  params: [r.did, r.topic, r.code, r.detail, r.sha256, r.bytes, r.epoch, r.seq, r.receivedMs, r.receivedMs],
});

export const dropRefused = (id: number): SqlStatement => ({
  sql: 'DELETE FROM quarantine WHERE id = ?',
  params: [id],
});

export class Quarantine {
  readonly #store: Store;
  #held = 0;
  readonly #heldBy = new Map<string, number>();

  constructor(store: Store) {
    this.#store = store;
  }

  start(): void {
    for (const { did, n } of this.#store.all<{ did: string; n: number }>(
      'SELECT did, count(*) AS n FROM quarantine GROUP BY did',
    ))
      this.added(did, n);
  }

  /** Envelopes that lie here, each counted once however often it came. */
  get held(): number {
    return this.#held;
  }

  heldBy(did: string): number {
    return this.#heldBy.get(did) ?? 0;
  }

  added(did: string, n = 1): void {
    this.#held += n;
    this.#heldBy.set(did, this.heldBy(did) + n);
  }

  /** Rows of these were taken out. */
  recount(dids: readonly string[]): void {
    for (const did of dids) {
      const n = this.#store.get<{ n: number }>('SELECT count(*) AS n FROM quarantine WHERE did = ?', did)?.n ?? 0;
      this.added(did, n - this.heldBy(did));
    }
  }

  has(did: string, sha256: Uint8Array): boolean {
    return this.#store.get('SELECT 1 AS yes FROM quarantine WHERE did = ? AND sha256 = ?', did, sha256) !== undefined;
  }

  get(id: number): QuarantineRow | undefined {
    return this.list(1, id + 1).find((row) => row.id === id);
  }

  /** Those of these codes above that id, the oldest first. */
  after<Code extends ErrorCode>(id: number, codes: readonly Code[], limit: number) {
    return this.#store.all<{ id: number; did: string; code: Code; detail: string }>(
      `SELECT id, did, code, detail FROM quarantine WHERE id > ? AND code IN (SELECT value FROM json_each(?))
       ORDER BY id LIMIT ?`,
      id,
      JSON.stringify(codes),
      limit,
    );
  }

  holds(did: string, code: string): boolean {
    return (
      this.#store.get('SELECT 1 AS yes FROM quarantine WHERE did = ? AND code = ? LIMIT 1', did, code) !== undefined
    );
  }

  /** Newest first. */
  list(limit: number, before: number): QuarantineRow[] {
    return this.#store.all<QuarantineRow>(
      `SELECT id, did, topic, code, detail, sha256, bytes, epoch, seq, first_ms AS firstMs, last_ms AS lastMs, times
       FROM quarantine WHERE id < ? ORDER BY id DESC LIMIT ?`,
      before,
      limit,
    );
  }
}
