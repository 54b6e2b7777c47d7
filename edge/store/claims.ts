/** Claims: what an operator expects to be enrolled, and the device that has shown its code for it. */
import type { SqlStatement, Store } from './store.ts';

/** open: nobody has come; pending: a device has, and an operator must look at it; the others are its ends. */
export type ClaimStatus = 'open' | 'pending' | 'confirmed' | 'dropped';

export type Claim = {
  id: string;
  /** SHA-256 of the secret in the code. */
  key: Uint8Array;
  /** JSON of what is to be enrolled, without the DID. */
  wanted: string;
  madeMs: number;
  expiresMs: number;
  madeBy: string;
  status: ClaimStatus;
  did: string | null;
};

const COLUMNS = 'id, key, wanted, made_ms AS madeMs, expires_ms AS expiresMs, made_by AS madeBy, status, did';

export const saveClaim = (c: Claim): SqlStatement => ({
  sql: `INSERT INTO claims (id, key, wanted, made_ms, expires_ms, made_by, status, did) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, did = excluded.did`,
  params: [c.id, c.key, c.wanted, c.madeMs, c.expiresMs, c.madeBy, c.status, c.did],
});

export const forgetClaims = (beforeMs: number): SqlStatement => ({
  sql: 'DELETE FROM claims WHERE expires_ms < ?',
  params: [beforeMs],
});

const SPEAKS = `(did IN (SELECT value FROM json_each(?)) OR
  json_extract(wanted, '$.sub') IN (SELECT value FROM json_each(?)))`;

/** Claims for any of these (a JSON array), and how they go: overwritten in place first. */
export const claimTraces = (store: Store) => ({
  known: (names: string): number =>
    store.get<{ n: number }>(`SELECT count(*) AS n FROM claims WHERE ${SPEAKS}`, names, names)?.n ?? 0,
  destroy: (names: string): SqlStatement[] => [
    {
      sql: `UPDATE claims SET wanted = json_object('sub', substr(hex(zeroblob(length(wanted))), 1, length(wanted) - 10)),
        did = substr(hex(zeroblob(length(did))), 1, length(did)), status = 'forgotten' WHERE ${SPEAKS}`,
      params: [names, names],
    },
    { sql: "DELETE FROM claims WHERE status = 'forgotten'", params: [] },
  ],
});

export class Claims {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get(id: string): Claim | undefined {
    return this.#store.get<Claim>(`SELECT ${COLUMNS} FROM claims WHERE id = ?`, id);
  }

  /** Newest first. */
  list(limit: number): Claim[] {
    return this.#store.all<Claim>(`SELECT ${COLUMNS} FROM claims ORDER BY made_ms DESC, id LIMIT ?`, limit);
  }

  /** Those that a device may still come for, or has. */
  live(nowMs: number): number {
    const row = this.#store.get<{ n: number }>(
      "SELECT count(*) AS n FROM claims WHERE expires_ms > ? AND status IN ('open', 'pending')",
      nowMs,
    );
    return row?.n ?? 0;
  }
}
