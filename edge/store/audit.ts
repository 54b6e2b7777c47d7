/** Beside the log: salt and content of the entries that say what operators did (log/audit.ts), by their digest. */
import type { SqlStatement, Store } from './store.ts';

export type AuditRow = { idx: number; salt: Uint8Array; content: Uint8Array };

export const saveAudit = (a: {
  digest: Uint8Array;
  idx: number;
  salt: Uint8Array;
  content: Uint8Array;
}): SqlStatement => ({
  sql: 'INSERT INTO audit (digest, idx, salt, content) VALUES (?, ?, ?, ?)',
  params: [a.digest, a.idx, a.salt, a.content],
});

/** An entry that was carried over from an earlier log has another index in this one. */
export const moveAudit = (digest: Uint8Array, idx: number): SqlStatement => ({
  sql: 'UPDATE audit SET idx = ? WHERE digest = ?',
  params: [idx, digest],
});

const SPEAKS = `salt != zeroblob(32) AND EXISTS (SELECT 1 FROM json_tree(CASE WHEN salt = zeroblob(32) THEN '{}' ELSE CAST(content AS TEXT) END) AS said
  WHERE said.type = 'text' AND said.value IN (SELECT value FROM json_each(?)))`;

/** Rows that speak of any of these (a JSON array), and how they lose it: overwritten in place, and never shown again. */
export const auditTraces = (store: Store) => ({
  known: (names: string): number =>
    store.get<{ n: number }>(`SELECT count(*) AS n FROM audit WHERE ${SPEAKS}`, names)?.n ?? 0,
  destroy: (names: string): SqlStatement[] => [
    {
      sql: `UPDATE audit SET salt = zeroblob(32), content = zeroblob(length(content)) WHERE ${SPEAKS}`,
      params: [names],
    },
  ],
});

export class Audits {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Newest first, of those below the index `before`. */
  list(limit: number, before: number): AuditRow[] {
    return this.#store.all<AuditRow>(
      `SELECT idx, salt, content FROM audit WHERE idx >= 0 AND idx < ? AND salt != zeroblob(32)
       ORDER BY idx DESC LIMIT ?`,
      before,
      limit,
    );
  }
}
