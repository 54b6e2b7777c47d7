/** Checkpoints that a log signed and that do not go together with what is held of it: kept, both sides verbatim. */
import type { Store } from '../store/store.ts';

/** Of one log and kind; the first ones tell the story, the rest is counted. */
const MAX_KEPT = 16;

/** split convicts the log; unproven may be anybody's bad proof under a checkpoint that the log really signed. */
export type EvidenceKind = 'split' | 'unproven';

export type EvidenceRow = {
  id: number;
  origin: string;
  kind: EvidenceKind;
  /** The checkpoint that was held then; empty for the empty tree. */
  held: string;
  note: string;
  firstMs: number;
  lastMs: number;
  times: number;
};

export class Evidence {
  readonly #store: Store;
  readonly #nowMs: () => number;

  constructor(store: Store, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  /**
   * @param held and `note`, with the log's own signatures and no others: a stranger's line makes no new row
   * @returns whether it was new and is kept
   * @throws EdgeError STORE_UNAVAILABLE
   */
  async keep(kind: EvidenceKind, origin: string, held: string, note: string): Promise<boolean> {
    const now = this.#nowMs();
    const known = this.#store.get(
      'SELECT id FROM evidence WHERE origin = ? AND kind = ? AND note = ?',
      origin,
      kind,
      note,
    );
    if (!known && this.count(origin, kind) >= MAX_KEPT) return false;
    await this.#store.write({
      name: 'evidence',
      statements: [
        {
          sql: `INSERT INTO evidence (origin, kind, held, note, first_ms, last_ms) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (origin, kind, note) DO UPDATE SET times = times + 1, last_ms = excluded.last_ms`,
          params: [origin, kind, held, note, now, now],
        },
      ],
    });
    return !known;
  }

  count(origin: string, kind: EvidenceKind): number {
    return (
      this.#store.get<{ n: number }>(
        'SELECT count(*) AS n FROM evidence WHERE origin = ? AND kind = ?',
        origin,
        kind,
      ) as { n: number }
    ).n;
  }

  /** Newest first, before an id. */
  list(limit: number, before: number): EvidenceRow[] {
    return this.#store.all<EvidenceRow>(
      `SELECT id, origin, kind, held, note, first_ms AS firstMs, last_ms AS lastMs, times FROM evidence
       WHERE id < ? ORDER BY id DESC LIMIT ?`,
      before,
      limit,
    );
  }
}
