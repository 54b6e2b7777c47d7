/** What became of certificates, in the order in which it was noticed: for those who follow it. The oldest go. */
import type { SqlStatement, Store } from './store.ts';

/** `state` as the API says it: ready, refused, minted, withdrawn. */
export type CreditNews = {
  seq: number;
  atMs: number;
  /** Of the certificate. */
  id: string;
  state: string;
  code: string | null;
  detail: string | null;
};

const KEEP = 100_000;

export const saveNews = (n: Omit<CreditNews, 'seq'>): SqlStatement[] => [
  {
    sql: 'INSERT INTO credit_news (at_ms, id, state, code, detail) VALUES (?, ?, ?, ?, ?)',
    params: [n.atMs, n.id, n.state, n.code, n.detail],
  },
  { sql: 'DELETE FROM credit_news WHERE seq <= (SELECT max(seq) FROM credit_news) - ?', params: [KEEP] },
  { sql: 'UPDATE certificates SET told = ? WHERE id = ?', params: [n.state, n.id] },
];

export class CreditNewsList {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Number of the newest; 0 where there is none. */
  get newest(): number {
    return this.#store.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM credit_news')?.seq ?? 0;
  }

  /** Those after `seq`, oldest first. */
  after(seq: number, limit: number): CreditNews[] {
    return this.#store.all<CreditNews>(
      'SELECT seq, at_ms AS atMs, id, state, code, detail FROM credit_news WHERE seq > ? ORDER BY seq LIMIT ?',
      seq,
      limit,
    );
  }
}
