/**
 * The log: an append-only list of entries, its tree, and its checkpoints. It knows nothing of what an entry
 * says. Appending is one transaction with whatever else the caller must make durable together with it.
 */
import { EdgeError } from '../errors.ts';
import { type Content, packContents } from '../store/contents.ts';
import type { EntryBatch, SqlStatement, Store } from '../store/store.ts';
import { equalBytes } from '../wire/bytes.ts';
import {
  type Checkpoint,
  encodeVerifierKey,
  parseVerifierKey,
  signCheckpoint,
  type VerifierKey,
} from './checkpoint.ts';
import { encodeCoseReceipt, receiptToSign, type Seal } from './cose-receipt.ts';
import type { Cosignature } from './cosignature.ts';
import { consistencyPath, EMPTY_ROOT, inclusionPath, leafHash, multiPath, type NodeReader, rootAt } from './merkle.ts';
import { HASH_BYTES } from './sha256.ts';
import { type Edge, extend, hashesAtLevel, nodeFromTiles, TILE_WIDTH } from './tile.ts';

/** What is known of an entry besides its bytes; the store keeps it in columns. */
export type NewEntry = {
  /** The bytes in the log. */
  envelope: Uint8Array;
  /** What they are over, where they are a hash envelope (sealed.ts). */
  content?: Content;
  device: number;
  epoch: number;
  seq: number;
  receivedMs: number;
  monoMs: number;
  clockSynced: boolean;
};

/** Signs checkpoints; `origin` is the log's identity and the name of its key. */
export type LogKey = { origin: string; publicKey: Uint8Array; sign: (message: Uint8Array) => Uint8Array };

/**
 * `note` has the log's signature, and after it the cosignatures that have come so far. `receipt` is the signature in the
 * COSE receipts under it; null where it is older than they are.
 */
export type StoredCheckpoint = {
  size: number;
  root: Uint8Array;
  note: string;
  madeMs: number;
  receipt: Uint8Array | null;
};

/** Where the store keeps the minimum index. */
export const MINIMUM_INDEX = 'minimum-index';

export const tileKey = (level: number, n: number): number => level * 2 ** 40 + n;
const TILE_BYTES = TILE_WIDTH * HASH_BYTES;
/** Full tiles kept in memory, 8 KiB each. */
const CACHED_TILES = 256;

export class Log {
  readonly #store: Store;
  readonly #key: LogKey;
  readonly #verifier: VerifierKey;
  #edge: Edge;
  #appending = false;
  readonly #tiles = new Map<number, Uint8Array>();
  #latest: StoredCheckpoint | undefined;
  #making: Promise<StoredCheckpoint> | undefined;
  /** Called after each append and each checkpoint; followers are woken from here. */
  onGrown: () => void = () => undefined;
  onCheckpoint: () => void = () => undefined;

  constructor(store: Store, key: LogKey) {
    this.#store = store;
    this.#key = key;
    this.#verifier = parseVerifierKey(encodeVerifierKey(key.origin, key.publicKey));
    this.#edge = { size: 0, tiles: [] };
  }

  /**
   * Reads the right edge of the tree back (at most 255 rows a level), and holds it against the newest checkpoint:
   * what was signed once must never be contradicted.
   * @throws EdgeError STORE_DAMAGED
   */
  start(): void {
    this.#edge = this.#readEdge();
    this.#latest = this.checkpoints(1, Number.MAX_SAFE_INTEGER)[0];
    if (this.#latest && this.#latest.size > this.size)
      throw new EdgeError('STORE_DAMAGED', `a checkpoint of size ${this.#latest.size} over ${this.size} entries`);
    if (this.#latest && !equalBytes(this.root(this.#latest.size), this.#latest.root))
      throw new EdgeError('STORE_DAMAGED', `the tree differs from its checkpoint of size ${this.#latest.size}`);
  }

  #readEdge(): Edge {
    const size = (this.#store.get<{ next: number | null }>('SELECT max(idx) + 1 AS next FROM entries')?.next ??
      0) as number;
    const tiles: Uint8Array[] = [];
    for (let level = 0; hashesAtLevel(size, level) > 0; level++) {
      const total = hashesAtLevel(size, level);
      const first = total - (total % TILE_WIDTH);
      const hashes =
        level === 0
          ? this.#store
              .all<{ envelope: Uint8Array }>('SELECT envelope FROM entries WHERE idx >= ? ORDER BY idx', first)
              .map(({ envelope }) => leafHash(envelope))
          : this.#store
              .all<{ root: Uint8Array }>(
                'SELECT root FROM tiles WHERE key >= ? AND key < ? ORDER BY key',
                tileKey(level - 1, first),
                tileKey(level - 1, total),
              )
              .map(({ root }) => root);
      if (hashes.length !== total - first)
        throw new EdgeError(
          'STORE_DAMAGED',
          `level ${level} of the tree has ${hashes.length} of ${total - first} hashes`,
        );
      tiles[level] = Uint8Array.from(Buffer.concat(hashes));
    }
    return { size, tiles };
  }

  get origin(): string {
    return this.#key.origin;
  }

  /** Entries that are on disk. */
  get size(): number {
    return this.#edge.size;
  }

  /** C2SP verifier key. */
  get verifierKey(): string {
    return encodeVerifierKey(this.#key.origin, this.#key.publicKey);
  }

  /**
   * Append entries, with `statements` in the same transaction. One call at a time.
   * @returns the index of the first one, once all is on disk
   * @throws EdgeError STORE_UNAVAILABLE; nothing was appended then
   */
  async append(entries: readonly NewEntry[], statements: readonly SqlStatement[]): Promise<number> {
    if (this.#appending) throw new Error('append while appending');
    this.#appending = true;
    try {
      const first = this.#edge.size;
      if (entries.length === 0) {
        await this.#store.write({ name: 'append', statements });
        return first;
      }
      const { edge, full } = extend(
        this.#edge,
        entries.map(({ envelope }) => leafHash(envelope)),
      );
      const inserts = full.map(({ level, n, hashes, root }) => ({
        sql: 'INSERT INTO tiles (key, hashes, root) VALUES (?, ?, ?)',
        params: [tileKey(level, n), hashes, root],
      }));
      try {
        await this.#store.write({
          name: 'append',
          entries: this.#pack(first, entries),
          statements: [...statements, ...inserts],
        });
      } catch (error) {
        // A write that failed may have happened: what is on disk decides, never what we hoped for.
        this.#edge = this.#readEdge();
        if (this.#edge.size !== edge.size) throw error;
        return first;
      }
      this.#edge = edge;
      return first;
    } finally {
      this.#appending = false;
      this.onGrown();
    }
  }

  #pack(first: number, entries: readonly NewEntry[]): EntryBatch {
    const lengths = new Uint32Array(entries.length);
    const columns = new Float64Array(entries.length * 6);
    let total = 0;
    entries.forEach((e, i) => {
      lengths[i] = e.envelope.length;
      total += e.envelope.length;
      columns.set([e.device, e.epoch, e.seq, e.receivedMs, e.monoMs, e.clockSynced ? 1 : 0], i * 6);
    });
    const envelopes = new Uint8Array(total);
    let at = 0;
    for (const { envelope } of entries) {
      envelopes.set(envelope, at);
      at += envelope.length;
    }
    return {
      first,
      boot: this.#store.boot,
      envelopes,
      lengths,
      columns,
      contents: packContents(entries.map(({ content }) => content)),
    };
  }

  /** The hashes of a tile, as many as there are now. */
  #tile = (level: number, n: number): Uint8Array => {
    if (n === Math.floor(hashesAtLevel(this.#edge.size, level) / TILE_WIDTH))
      return this.#edge.tiles[level] ?? new Uint8Array(0);
    const key = tileKey(level, n);
    const cached = this.#tiles.get(key);
    if (cached) return cached;
    const row = this.#store.get<{ hashes: Uint8Array }>('SELECT hashes FROM tiles WHERE key = ?', key);
    if (!row) throw new EdgeError('STORE_DAMAGED', `tile ${n} of level ${level} is missing`);
    if (this.#tiles.size >= CACHED_TILES) this.#tiles.delete(this.#tiles.keys().next().value as number);
    this.#tiles.set(key, row.hashes);
    return row.hashes;
  };
  readonly #node: NodeReader = nodeFromTiles(this.#tile);

  root(size = this.size): Uint8Array {
    return rootAt(this.#within(size), this.#node);
  }

  inclusion(index: number, size: number): Uint8Array[] {
    return inclusionPath(index, this.#within(size), this.#node);
  }

  /** One proof for several entries (merkle.ts). @param indexes rising */
  multiProof(indexes: readonly number[], size: number): Uint8Array[] {
    return multiPath(indexes, this.#within(size), this.#node);
  }

  consistency(first: number, second: number): Uint8Array[] {
    return consistencyPath(first, this.#within(second), this.#node);
  }

  #within(size: number): number {
    if (size > this.size) throw new RangeError(`size ${size} is beyond the log's ${this.size}`);
    return size;
  }

  /** The bytes of a tile as tlog-tiles serves it, or undefined where no checkpoint's tree has it. */
  tile(level: number, n: number, width: number): Uint8Array | undefined {
    const size = this.#latest?.size ?? 0;
    if (n * TILE_WIDTH + width > hashesAtLevel(size, level)) return undefined;
    return this.#tile(level, n).subarray(0, width === TILE_WIDTH ? TILE_BYTES : width * HASH_BYTES);
  }

  /** tlog-tiles, Pruning: from here on every entry is served. Below it, those are that were not pruned. */
  get minimumIndex(): number {
    return Number(this.#store.meta(MINIMUM_INDEX) ?? 0);
  }

  /**
   * An entry bundle as tlog-tiles serves it: uint16 length, envelope, and again.
   * @throws EdgeError ENTRY_PRUNED where not all of its entries are there
   */
  entryBundle(n: number, width: number): Uint8Array | undefined {
    const first = n * TILE_WIDTH;
    if (first + width > (this.#latest?.size ?? 0)) return undefined;
    const rows = this.#store.all<{ envelope: Uint8Array }>(
      'SELECT envelope FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx',
      first,
      first + width,
    );
    if (rows.some(({ envelope }) => envelope.length === 0))
      throw new EdgeError('ENTRY_PRUNED', `in bundle ${n}; the minimum index is ${this.minimumIndex}`);
    return Buffer.concat(
      rows.flatMap(({ envelope }) => [Buffer.from([envelope.length >> 8, envelope.length & 255]), envelope]),
    );
  }

  get latest(): StoredCheckpoint | undefined {
    return this.#latest;
  }

  /**
   * The COSE receipt of an entry, with the signature that was made together with the checkpoint: the key signs nothing
   * here, so it never signs a root that no checkpoint has.
   * @param own of the entry, for whoever must find it among his own; see {@link encodeCoseReceipt}
   */
  coseReceipt(
    index: number,
    { size, receipt }: StoredCheckpoint & { receipt: Uint8Array },
    own: { counter?: Uint8Array; seal?: Seal | undefined } = {},
  ): Uint8Array {
    return encodeCoseReceipt(this.#verifier, { index, size, path: this.inclusion(index, size), ...own }, receipt);
  }

  /**
   * Sign a checkpoint over all that is on disk, store it, then publish it. The same size is never signed twice.
   * @throws EdgeError STORE_UNAVAILABLE
   */
  makeCheckpoint(nowMs: number): Promise<StoredCheckpoint> {
    this.#making ??= this.#makeCheckpoint(nowMs).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeCheckpoint(nowMs: number): Promise<StoredCheckpoint> {
    const size = this.size;
    if (this.#latest?.size === size) return this.#latest;
    const checkpoint: Checkpoint = { origin: this.origin, size, root: this.root(size) };
    const note = signCheckpoint(checkpoint, this.#key.publicKey, this.#key.sign);
    const receipt = this.#key.sign(receiptToSign(this.#verifier, checkpoint));
    try {
      await this.#store.write({
        name: 'checkpoint',
        statements: [
          {
            sql: 'INSERT INTO checkpoints (size, root, note, made_ms, receipt) VALUES (?, ?, ?, ?, ?)',
            params: [size, checkpoint.root, note, nowMs, receipt],
          },
        ],
      });
    } catch (error) {
      // As in append: it may be on disk all the same, and then it is the one of this size.
      if (this.checkpointOfSize(size)?.note !== note) throw error;
    }
    this.#latest = { size, root: checkpoint.root, note, madeMs: nowMs, receipt };
    this.onCheckpoint();
    return this.#latest;
  }

  /**
   * A signed checkpoint of no entries. Every history of this log begins there, so it can be shown to others before
   * anything is known of what they hold.
   */
  emptyCheckpoint(): string {
    return signCheckpoint({ origin: this.origin, size: 0, root: EMPTY_ROOT }, this.#key.publicKey, this.#key.sign);
  }

  /**
   * Keep a cosignature, verified by the caller, and publish it with its checkpoint. The first of a witness stays.
   * @param witness its verifier key
   * @param line of the note, with its end
   * @throws EdgeError STORE_UNAVAILABLE
   */
  async addCosignature(size: number, witness: string, { line, time }: Cosignature): Promise<void> {
    try {
      await this.#store.write({
        name: 'cosignature',
        statements: [
          {
            sql: 'INSERT INTO cosignatures (size, witness, line, time) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
            params: [size, witness, line, time],
          },
        ],
      });
    } finally {
      // Read back whatever came of it: a write that failed may have happened.
      if (this.#latest?.size === size) this.#latest = this.checkpointOfSize(size) ?? this.#latest;
    }
  }

  /** The verifier keys of those who cosigned the checkpoint of this size. */
  cosigners(size: number): string[] {
    return this.#store
      .all<{ witness: string }>('SELECT witness FROM cosignatures WHERE size = ?', size)
      .map(({ witness }) => witness);
  }

  /** The newest checkpoint that at least `quorum` of `witnesses` (verifier keys) have cosigned; 0 where there is none. */
  newestCosigned(witnesses: readonly string[], quorum: number): { size: number; time: number } {
    return (
      this.#store.get<{ size: number; time: number }>(
        `SELECT size, max(time) AS time FROM cosignatures WHERE witness IN (SELECT value FROM json_each(?))
         GROUP BY size HAVING count(*) >= ? ORDER BY size DESC LIMIT 1`,
        JSON.stringify(witnesses),
        quorum,
      ) ?? { size: 0, time: 0 }
    );
  }

  /** Newest first: up to `limit` checkpoints of at most `upTo` entries. */
  checkpoints(limit: number, upTo: number): StoredCheckpoint[] {
    return this.#store.all<StoredCheckpoint>(
      `SELECT size, root, made_ms AS madeMs, receipt,
         note || coalesce((SELECT group_concat(line, '' ORDER BY time, witness) FROM cosignatures
           WHERE cosignatures.size = checkpoints.size), '') AS note
       FROM checkpoints WHERE size <= ? ORDER BY size DESC LIMIT ?`,
      upTo,
      limit,
    );
  }

  checkpointOfSize(size: number): StoredCheckpoint | undefined {
    const found = this.checkpoints(1, size)[0];
    return found?.size === size ? found : undefined;
  }
}
