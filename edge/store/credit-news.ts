/** What the followed events of the contracts say, one certificate at a time, and what is new. */
import type { Store } from './store.ts';

/** `data` has the arguments of the Solidity event by their names; large numbers as 0x text. */
export type CreditEvent = {
  block: number;
  logIndex: number;
  /** Lower case. */
  contract: string;
  event: string;
  tx: string;
  /** Unix seconds of the block. */
  time: number;
  token: string | null;
  slot: number | null;
  version: number | null;
  wh: number | null;
  data: Record<string, unknown>;
};
/** A ClaimSingle, with the Claimed that its call ended with. */
export type ClaimEvent = CreditEvent & { claimed: Record<string, unknown> };

type Stored = Omit<CreditEvent, 'tx' | 'token' | 'data'> & { tx: Uint8Array; token: Uint8Array | null; data: string };

const EVENT =
  'e.block, e.log_index AS logIndex, e.contract, e.event, e.tx, e.time, e.token, e.slot, e.version, e.wh, e.data';
const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.slice(2), 'hex'));
const fromStored = ({ tx, token, data, ...event }: Stored): CreditEvent => ({
  ...event,
  tx: hex(tx),
  token: token && hex(token),
  data: JSON.parse(data) as Record<string, unknown>,
});

/** Not of a residual, whose claims have the first second of their month for a slot: the type in the token's id. */
const OF_A_DAY = (of: string): string => `substr(${of}.token, 25, 1) = x'01'`;

export class CreditNews {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The event that certified a slot in that version. @param point commitment of the metering point, 0x text */
  mintOf(point: string, slot: number, version: number): CreditEvent | undefined {
    const row = this.#store.get<Stored>(
      `SELECT ${EVENT} FROM credit_events e WHERE point = ? AND slot = ? AND event = 'Minted' AND version = ?`,
      bytesOf(point),
      slot,
      version,
    );
    return row && fromStored(row);
  }

  /** Of a slot, over all its versions, in the order of the chain. */
  claimsOf(point: string, slot: number): ClaimEvent[] {
    return this.#store
      .all<Stored & { claimed: string | null }>(
        `SELECT ${EVENT}, (SELECT c.data FROM credit_events c WHERE c.block = e.block AND c.tx = e.tx
           AND c.event = 'Claimed' AND c.log_index > e.log_index ORDER BY c.log_index LIMIT 1) AS claimed
         FROM credit_events e WHERE point = ? AND slot = ? AND event = 'ClaimSingle' AND ${OF_A_DAY('e')}
         ORDER BY block, log_index`,
        bytesOf(point),
        slot,
      )
      .map(({ claimed, ...row }) => ({
        ...fromStored(row),
        claimed: JSON.parse(claimed ?? '{}') as Record<string, unknown>,
      }));
  }

  /** Wh that were claimed of a month's residual tokens. @param month its first second */
  residualClaimed(point: string, month: number): number {
    const sql = `SELECT coalesce(sum(wh), 0) AS wh FROM credit_events e
      WHERE point = ? AND slot = ? AND event = 'ClaimSingle' AND NOT ${OF_A_DAY('e')}`;
    return (this.#store.get<{ wh: number }>(sql, bytesOf(point), month) as { wh: number }).wh;
  }

  /** What of a metering point's tokens changed hands at the market. */
  boughtOf(point: string): { time: number; wh: number }[] {
    return this.#store.all(
      `SELECT time, wh FROM credit_events WHERE event = 'Bought' AND substr(token, 1, 24) = ? ORDER BY block, log_index`,
      bytesOf(point).subarray(0, 24),
    );
  }

  /** Of the market, newest first. */
  trades(limit: number): CreditEvent[] {
    return this.#store
      .all<Stored>(
        `SELECT ${EVENT} FROM credit_events e WHERE event IN ('Listed', 'Bought', 'Cancelled')
         ORDER BY block DESC, log_index DESC LIMIT ?`,
        limit,
      )
      .map(fromStored);
  }

  /** Ids of certificates that were made, or refused, after that moment (Unix ms), the oldest first. */
  madeAfter(ms: number, limit: number): { id: string; madeMs: number }[] {
    return this.#store.all(
      'SELECT id, made_ms AS madeMs FROM certificates WHERE made_ms > ? ORDER BY made_ms LIMIT ?',
      ms,
      limit,
    );
  }

  /** Ids of certificates that an event after that place of the chain speaks of, in the order of the chain. */
  changedAfter(block: number, logIndex: number, limit: number): { id: string; block: number; logIndex: number }[] {
    return this.#store.all(
      `SELECT c.id, e.block, e.log_index AS logIndex FROM credit_events e JOIN certificates c ON c.point_id = e.point
         AND ((e.event = 'Minted' AND c.slot = e.slot AND c.version = e.version)
           OR (e.event = 'ClaimSingle' AND c.slot = e.slot AND ${OF_A_DAY('e')})
           OR (e.event = 'Withdrawn' AND c.slot >= e.slot AND c.slot < e.slot + 86400 AND c.version = e.version - 1))
       WHERE (e.block, e.log_index) > (?, ?) AND e.event IN ('Minted', 'ClaimSingle', 'Withdrawn')
       ORDER BY e.block, e.log_index, c.slot LIMIT ?`,
      block,
      logIndex,
      limit,
    );
  }

  /** How far both have come. */
  get newest(): { madeMs: number; block: number; logIndex: number } {
    const madeMs = this.#store.get<{ ms: number | null }>('SELECT max(made_ms) AS ms FROM certificates')?.ms ?? 0;
    const last = this.#store.get<{ block: number; logIndex: number }>(
      'SELECT block, log_index AS logIndex FROM credit_events ORDER BY block DESC, log_index DESC LIMIT 1',
    );
    return { madeMs, ...(last ?? { block: 0, logIndex: 0 }) };
  }
}
