/** Anchors as rows: written before they are sent, so that a restart at any point knows what may be on its way. */
import type { Hex } from 'viem';
import type { SqlStatement, SqlValue, Store } from '../store/store.ts';
import type { SentChange, SentRow, Signed } from './sender.ts';

export type TxRow = SentRow & {
  chainId: number;
  size: number;
  root: Uint8Array;
  /** Of the log before this one; null where it is this one. */
  origin: string | null;
  /** The head signed for the contract (EIP-712); null in rows that are older than that. */
  signature: Hex | null;
  gasUsed: number | null;
  madeMs: number;
};

type Raw = Omit<TxRow, 'hashes' | 'fee'> & { hashes: string; fee: string };

const COLUMNS = `id, chain_id AS chainId, contract, nonce, size, root, origin, raw, hashes, fee, status, block,
  gas_used AS gasUsed, signature, made_ms AS madeMs, sent_ms AS sentMs, mined_ms AS minedMs`;

const fromRaw = (row: Raw): TxRow => ({ ...row, hashes: JSON.parse(row.hashes) as Hex[], fee: BigInt(row.fee) });

const SETTABLE = {
  raw: 'raw',
  hashes: 'hashes',
  fee: 'fee',
  status: 'status',
  block: 'block',
  gasUsed: 'gas_used',
  sentMs: 'sent_ms',
  minedMs: 'mined_ms',
} as const;

export class Transactions {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  #where(condition: string, ...params: unknown[]): TxRow[] {
    return this.#store.all<Raw>(`SELECT ${COLUMNS} FROM transactions WHERE ${condition}`, ...params).map(fromRaw);
  }

  /** Not yet final on this chain and contract, in the order of their nonces; of the log before this one, too. */
  open(chainId: number, contract: Hex): TxRow[] {
    return this.#where(
      "status IN ('signed', 'sent', 'mined') AND chain_id = ? AND contract = ? ORDER BY nonce",
      chainId,
      contract,
    );
  }

  /**
   * Anchors that were called final and are of more entries than the chain's head has now: it was rolled back, or
   * begun anew. They are to be sent again.
   * @returns how many there are
   */
  async reopen(chainId: number, contract: Hex, headSize: number): Promise<number> {
    const gone = "origin IS NULL AND status = 'confirmed' AND chain_id = ? AND contract = ? AND size > ?";
    const params = [chainId, contract, headSize];
    const found = this.#store.get<{ n: number }>(`SELECT count(*) AS n FROM transactions WHERE ${gone}`, ...params);
    if (!found || found.n === 0) return 0;
    const sql = `UPDATE transactions SET status = 'signed', block = NULL, mined_ms = NULL WHERE ${gone}`;
    await this.#write({ sql, params });
    return found.n;
  }

  /** Of this log, newest first. */
  list(limit: number, before: number): TxRow[] {
    return this.#where('origin IS NULL AND id < ? ORDER BY id DESC LIMIT ?', before, limit);
  }

  anchored(): { count: number; size: number } {
    return (
      this.#store.get<{ count: number; size: number }>(
        "SELECT count(*) AS count, coalesce(max(size), 0) AS size FROM transactions WHERE origin IS NULL AND status IN ('mined', 'confirmed')",
      ) ?? { count: 0, size: 0 }
    );
  }

  /** How many entries are under an anchor that is final. */
  confirmedSize(): number {
    return (
      this.#store.get<{ size: number }>(
        "SELECT coalesce(max(size), 0) AS size FROM transactions WHERE origin IS NULL AND status = 'confirmed'",
      )?.size ?? 0
    );
  }

  /** The newest anchor whose tree covers index `index`, or any of exactly `size`. */
  covering(index: number): TxRow | undefined {
    return this.#where(
      "origin IS NULL AND size > ? AND status IN ('mined', 'confirmed') ORDER BY size LIMIT 1",
      index,
    )[0];
  }

  ofSize(size: number): TxRow | undefined {
    return this.#where(
      "origin IS NULL AND size = ? AND status IN ('mined', 'confirmed') ORDER BY id DESC LIMIT 1",
      size,
    )[0];
  }

  insert(row: Signed & Pick<TxRow, 'contract' | 'size' | 'root' | 'signature'>): Promise<void> {
    return this.#write({
      sql: `INSERT INTO transactions (chain_id, contract, nonce, size, root, raw, signature, hashes, fee, status, made_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'signed', ?)`,
      params: [
        row.chainId,
        row.contract,
        row.nonce,
        row.size,
        row.root,
        row.raw,
        row.signature,
        JSON.stringify(row.hashes),
        String(row.fee),
        row.madeMs,
      ],
    });
  }

  update(id: number, change: SentChange): Promise<void> {
    return this.#write(updateSent('transactions', id, change));
  }

  #write(statement: SqlStatement): Promise<void> {
    return this.#store.write({ name: 'transaction', statements: [statement] });
  }
}

/** @param table one that has the columns of SETTABLE */
export function updateSent(
  table: 'transactions' | 'credit_transactions',
  id: number,
  change: SentChange,
): SqlStatement {
  const names = Object.keys(change) as (keyof typeof SETTABLE)[];
  const value = (v: unknown): SqlValue =>
    Array.isArray(v) ? JSON.stringify(v) : typeof v === 'bigint' ? String(v) : (v as SqlValue);
  return {
    sql: `UPDATE ${table} SET ${names.map((n) => `${SETTABLE[n]} = ?`).join(', ')} WHERE id = ?`,
    params: [...names.map((n) => value(change[n])), id],
  };
}
