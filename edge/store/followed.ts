/**
 * What was followed from a chain: events of contracts, as rows, and the newest blocks that were looked at, by which a
 * reorg is noticed. What is so now is worked out from the events, so that taking back a block is nothing but deleting
 * rows.
 */
import { type SqlStatement, type Store, setMeta } from './store.ts';

/** `hash` is 0x and 64 hex digits, `time` Unix seconds. */
export type Block = { number: number; hash: string; time: number };

/** Of which contract on which chain the rows are; of several, the first. */
export type FollowedPlace = { chainId: number; contract: string };

/** Blocks that are remembered: a reorg that reaches below the oldest is met by reading the whole anew. */
export const MAX_BLOCKS = 128;

export const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.slice(2), 'hex'));
export const hexOf = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;

export class FollowedRows {
  readonly #store: Store;
  readonly #name: string;
  readonly #events: string;
  readonly #blocks: string;

  /** @param name of its row in meta, too; the tables are `events` and `blocks` */
  constructor(store: Store, { name, events, blocks }: { name: string; events: string; blocks: string }) {
    this.#store = store;
    this.#name = name;
    this.#events = events;
    this.#blocks = blocks;
  }

  /** Newest first; the newest is the cursor: all events up to it are here. */
  blocks(): Block[] {
    return this.#store
      .all<{ number: number; hash: Uint8Array; time: number }>(
        `SELECT number, hash, time FROM ${this.#blocks} ORDER BY number DESC LIMIT ?`,
        MAX_BLOCKS,
      )
      .map((b) => ({ ...b, hash: hexOf(b.hash) }));
  }

  /** Of which contract the rows are, and when (Unix ms, by our clock) the chain was in step with them last. */
  get meta(): (FollowedPlace & { syncedMs: number }) | undefined {
    const text = this.#store.meta(this.#name);
    return text === undefined ? undefined : (JSON.parse(text) as FollowedPlace & { syncedMs: number });
  }

  /**
   * One transaction: what came after `ancestor` is taken back (all, where there is none), the rows of the events up to
   * `head` are added, and `head` is the cursor.
   * @throws EdgeError STORE_UNAVAILABLE
   */
  async follow(
    place: FollowedPlace,
    ancestor: Block | undefined,
    rows: readonly SqlStatement[],
    head: Block,
    syncedMs: number,
  ): Promise<void> {
    const above = ancestor?.number ?? -1;
    await this.#store.write({
      name: this.#name,
      statements: [
        { sql: `DELETE FROM ${this.#events} WHERE block > ?`, params: [above] },
        { sql: `DELETE FROM ${this.#blocks} WHERE number > ?`, params: [above] },
        ...rows,
        {
          sql: `INSERT INTO ${this.#blocks} (number, hash, time) VALUES (?, ?, ?)
            ON CONFLICT (number) DO NOTHING`,
          params: [head.number, bytesOf(head.hash), head.time],
        },
        {
          sql: `DELETE FROM ${this.#blocks} WHERE number <=
            (SELECT number FROM ${this.#blocks} ORDER BY number DESC LIMIT 1 OFFSET ?)`,
          params: [MAX_BLOCKS],
        },
        setMeta(this.#name, JSON.stringify({ ...place, syncedMs })),
      ],
    });
  }
}
