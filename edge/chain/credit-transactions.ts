/** Transactions of the credits account, as rows: written before they are sent. */
import type { Hex } from 'viem';
import type { SqlStatement, Store } from '../store/store.ts';
import type { SentChange, SentRow, Signed } from './sender.ts';
import { updateSent } from './transactions.ts';

/** mint: certificates. key: the point of a P-256 device. modulus: where a register begins anew. The rest is asked for. */
export type CreditPurpose = 'mint' | 'key' | 'claim' | 'withdraw' | 'trade';

/** What a transaction is for: `text` for people, the rest by purpose, so that it is not sent a second time. */
export type About = { text: string; [key: string]: unknown };

export type CreditTxRow = SentRow & {
  chainId: number;
  purpose: CreditPurpose;
  about: About;
  gasUsed: number | null;
  madeMs: number;
};

type Raw = Omit<CreditTxRow, 'hashes' | 'fee' | 'about'> & { hashes: string; fee: string; about: string };

const COLUMNS = `id, chain_id AS chainId, contract, nonce, purpose, about, raw, hashes, fee, status, block,
  gas_used AS gasUsed, made_ms AS madeMs, sent_ms AS sentMs, mined_ms AS minedMs`;

const fromRaw = (row: Raw): CreditTxRow => ({
  ...row,
  hashes: JSON.parse(row.hashes) as Hex[],
  fee: BigInt(row.fee),
  about: JSON.parse(row.about) as About,
});

export class CreditTransactions {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Not yet final on this chain, in the order of their nonces. */
  open(chainId: number): CreditTxRow[] {
    return this.#store
      .all<Raw>(
        `SELECT ${COLUMNS} FROM credit_transactions WHERE status IN ('signed', 'sent', 'mined') AND chain_id = ?
         ORDER BY nonce`,
        chainId,
      )
      .map(fromRaw);
  }

  /** The highest nonce that is final on this chain. */
  newestFinal(chainId: number): number | undefined {
    const found = this.#store.get<{ nonce: number | null }>(
      "SELECT max(nonce) AS nonce FROM credit_transactions WHERE status = 'confirmed' AND chain_id = ?",
      chainId,
    );
    return found?.nonce ?? undefined;
  }

  /**
   * The chain has lost the blocks of those from that nonce on.
   * @returns them
   */
  async lose(chainId: number, fromNonce: number): Promise<CreditTxRow[]> {
    const gone = "status = 'confirmed' AND chain_id = ? AND nonce >= ?";
    const rows = this.#store
      .all<Raw>(`SELECT ${COLUMNS} FROM credit_transactions WHERE ${gone} ORDER BY nonce`, chainId, fromNonce)
      .map(fromRaw);
    await this.#write({
      sql: `UPDATE credit_transactions SET status = 'lost', block = NULL, mined_ms = NULL WHERE ${gone}`,
      params: [chainId, fromNonce],
    });
    return rows;
  }

  /** Mints of these slots that were mined and reverted. @param point its commitment @param slot the first of them */
  failures(chainId: number, point: string, slot: number): number {
    return (
      this.#store.get<{ n: number }>(
        `SELECT count(*) AS n FROM credit_transactions WHERE status = 'failed' AND chain_id = ? AND purpose = 'mint'
         AND json_extract(about, '$.point') = ? AND json_extract(about, '$.slots[0]') = ?`,
        ...[chainId, point, slot],
      )?.n ?? 0
    );
  }

  get(id: number): CreditTxRow | undefined {
    const row = this.#store.get<Raw>(`SELECT ${COLUMNS} FROM credit_transactions WHERE id = ?`, id);
    return row && fromRaw(row);
  }

  /** Newest first. */
  list(limit: number): CreditTxRow[] {
    return this.#store
      .all<Raw>(`SELECT ${COLUMNS} FROM credit_transactions ORDER BY id DESC LIMIT ?`, limit)
      .map(fromRaw);
  }

  /** @returns the row's number */
  async insert(row: Signed & Pick<CreditTxRow, 'contract' | 'purpose' | 'about'>): Promise<number> {
    await this.#write({
      sql: `INSERT INTO credit_transactions (chain_id, contract, nonce, purpose, about, raw, hashes, fee, status, made_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'signed', ?)`,
      params: [
        ...[row.chainId, row.contract, row.nonce, row.purpose, JSON.stringify(row.about)],
        ...[row.raw, JSON.stringify(row.hashes), String(row.fee), row.madeMs],
      ],
    });
    return this.#store.get<{ id: number }>('SELECT max(id) AS id FROM credit_transactions')?.id ?? 0;
  }

  update(id: number, change: SentChange): Promise<void> {
    return this.#write(updateSent('credit_transactions', id, change));
  }

  #write(statement: SqlStatement): Promise<void> {
    return this.#store.write({ name: 'credit-transaction', statements: [statement] });
  }
}
