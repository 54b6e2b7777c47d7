/** Tokens of people that were made here, and which of them were revoked. Those that have not ended are in memory. */
import type { SqlStatement, Store } from './store.ts';

export type IssuedToken = {
  /** The token's `jti`. */
  id: string;
  name: string;
  role: string;
  madeMs: number;
  expiresMs: number;
  /** The name of whoever had it made. */
  madeBy: string;
  revokedMs: number | null;
};

const COLUMNS =
  'id, name, role, made_ms AS madeMs, expires_ms AS expiresMs, made_by AS madeBy, revoked_ms AS revokedMs';

export class IssuedTokens {
  readonly #store: Store;
  readonly #byId = new Map<string, IssuedToken>();

  constructor(store: Store) {
    this.#store = store;
  }

  start(nowMs: number): void {
    for (const token of this.#store.all<IssuedToken>(
      `SELECT ${COLUMNS} FROM tokens WHERE expires_ms > ? ORDER BY made_ms, id`,
      nowMs,
    ))
      this.#byId.set(token.id, token);
  }

  get(id: string): IssuedToken | undefined {
    return this.#byId.get(id);
  }

  onDisk(id: string): IssuedToken | undefined {
    return this.#store.get<IssuedToken>(`SELECT ${COLUMNS} FROM tokens WHERE id = ?`, id);
  }

  /** Those that have not ended, the newest first. */
  list(nowMs: number): IssuedToken[] {
    for (const [id, { expiresMs }] of this.#byId) if (expiresMs <= nowMs) this.#byId.delete(id);
    return [...this.#byId.values()].reverse();
  }

  /** What makes it durable; {@link keep} follows when that is on disk. */
  save(token: IssuedToken): SqlStatement {
    return {
      sql: `INSERT INTO tokens (id, name, role, made_ms, expires_ms, made_by, revoked_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET revoked_ms = excluded.revoked_ms`,
      params: [token.id, token.name, token.role, token.madeMs, token.expiresMs, token.madeBy, token.revokedMs],
    };
  }

  keep(token: IssuedToken): void {
    this.#byId.set(token.id, token);
  }
}
