/**
 * What became of certificates on the chain, as it was followed (followed.ts): the events of the Credits and Market
 * contracts, one row for each slot that an event speaks of. Who asks about certificates reads them joined
 * (credits.ts, credit-news.ts).
 */
import { type Block, bytesOf, type FollowedPlace, FollowedRows, hexOf } from './followed.ts';
import type { SqlStatement, Store } from './store.ts';

/** `contract` and the hexadecimal ones in lower case; `slot` Unix seconds; `data` is JSON of all that the event says. */
export type CreditEvent = {
  block: number;
  logIndex: number;
  part: number;
  contract: string;
  event: string;
  tx: string;
  /** Of its block, Unix seconds. */
  time: number;
  token: string | null;
  point: string | null;
  slot: number | null;
  version: number | null;
  wh: number | null;
  data: string;
};

const saveEvent = (e: CreditEvent): SqlStatement => ({
  sql: `INSERT INTO credit_events (block, log_index, part, contract, event, tx, time, token, point, slot, version, wh, data)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  params: [
    ...[e.block, e.logIndex, e.part, e.contract, e.event, bytesOf(e.tx), e.time],
    ...[e.token && bytesOf(e.token), e.point && bytesOf(e.point), e.slot, e.version, e.wh, e.data],
  ],
});

export class CreditEvents {
  readonly #store: Store;
  readonly #rows: FollowedRows;
  /** Whoever shows certificates or sends mints looks again. */
  onChanged: () => void = () => undefined;

  constructor(store: Store) {
    this.#store = store;
    this.#rows = new FollowedRows(store, { name: 'credit-events', events: 'credit_events', blocks: 'credit_blocks' });
  }

  blocks(): Block[] {
    return this.#rows.blocks();
  }

  get meta(): FollowedRows['meta'] {
    return this.#rows.meta;
  }

  counts(): { events: number } {
    return this.#store.get<{ events: number }>('SELECT count(*) AS events FROM credit_events') as { events: number };
  }

  /** The metering point that a token was minted for, by the blocks up to that one: 0x and 64 hex digits. */
  pointOf(token: string, upTo = Number.MAX_SAFE_INTEGER): string | undefined {
    const row = this.#store.get<{ point: Uint8Array }>(
      `SELECT point FROM credit_events WHERE event IN ('Minted', 'ResidualMinted') AND token = ? AND block <= ?
       LIMIT 1`,
      bytesOf(token),
      upTo,
    );
    return row && hexOf(row.point);
  }

  /**
   * Wh of a slot that count as claimed, by the blocks up to that one: what of its newest certificate was debited, and all
   * claims of the hour since. Those of a month's residual bear its first second, and a type of their own in the token.
   * @param point 0x and 64 hex digits
   */
  claimedOf(point: string, slot: number, upTo = Number.MAX_SAFE_INTEGER): number {
    const row = this.#store.get<{ claimed: number }>(
      `WITH newest AS (SELECT block, log_index,
         json_extract(data, '$.amounts[' || ((slot - json_extract(data, '$.firstSlot')) / 3600) || ']') - wh AS debited
         FROM credit_events WHERE event = 'Minted' AND point = ? AND slot = ? AND block <= ?
         ORDER BY block DESC, log_index DESC LIMIT 1)
       SELECT coalesce((SELECT debited FROM newest), 0) + coalesce((SELECT sum(wh) FROM credit_events c
         WHERE event = 'ClaimSingle' AND substr(token, 25, 1) = x'01' AND point = ? AND slot = ? AND block <= ?
           AND (c.block, c.log_index) >
             (coalesce((SELECT block FROM newest), -1), coalesce((SELECT log_index FROM newest), -1))), 0) AS claimed`,
      ...[bytesOf(point), slot, upTo, bytesOf(point), slot, upTo],
    );
    return row?.claimed ?? 0;
  }

  /** Where a device's register begins anew, as the contract knows it, in Wh; undefined: it doesn't. */
  modulusOf(device: string): number | undefined {
    const row = this.#store.get<{ modulus: number }>(
      `SELECT json_extract(data, '$.modulus') AS modulus FROM credit_events
       WHERE event = 'ModulusSet' AND json_extract(data, '$.device') = ? ORDER BY block DESC, log_index DESC LIMIT 1`,
      device,
    );
    return row?.modulus || undefined;
  }

  /** Whether a P-256 device's key was shown to the contract. */
  isKeyShown(device: string): boolean {
    return (
      this.#store.get(
        "SELECT 1 FROM credit_events WHERE event = 'KeyShown' AND json_extract(data, '$.device') = ? LIMIT 1",
        device,
      ) !== undefined
    );
  }

  /** @throws EdgeError STORE_UNAVAILABLE */
  async follow(
    place: FollowedPlace,
    ancestor: Block | undefined,
    events: readonly CreditEvent[],
    head: Block,
    syncedMs: number,
  ): Promise<void> {
    const newest = this.blocks()[0]?.number ?? -1;
    await this.#rows.follow(place, ancestor, events.map(saveEvent), head, syncedMs);
    const isTakenBack = ancestor === undefined || ancestor.number < newest;
    if (events.length > 0 || isTakenBack) this.onChanged();
  }
}
