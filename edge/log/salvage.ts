/**
 * The log in a database that was set aside: which of its checkpoints can still be proven, receipts under that, and the
 * entries beyond. A hash that is missing is computed again from what is below it, as far as that can be read.
 */
import { EdgeError } from '../errors.ts';
import { Aside } from '../store/aside.ts';
import { CONTENT_COLUMNS, type ContentColumns, openBox } from '../store/contents.ts';
import type { EntryRow } from '../store/entries.ts';
import { equalBytes } from '../wire/bytes.ts';
import { decodeHashEnvelope, isHashEnvelope } from '../wire/hash-envelope.ts';
import { encodeVerifierKey, openCheckpoint, parseVerifierKey, type VerifierKey } from './checkpoint.ts';
import { type StoredCheckpoint, tileKey } from './log.ts';
import { inclusionPath, leafHash, rootAt, verifyInclusion } from './merkle.ts';
import type { AnchorHint, Receipt } from './receipt.ts';
import { isOpeningOf, type Opening, SALT_BYTES } from './sealed.ts';
import { HASH_BYTES } from './sha256.ts';
import { hashesAtLevel, nodeFromTiles, TILE_WIDTH, tileRoot } from './tile.ts';

const ENTRIES = `SELECT idx, device, epoch, seq, received_ms AS receivedMs, mono_ms AS monoMs, boot,
  clock_synced AS clockSynced, envelope AS entry FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?`;
const CONTENT = `SELECT ${CONTENT_COLUMNS} FROM contents JOIN content_keys ON content_keys.id = contents.key WHERE idx = ?`;
/** What the row of an entry itself says: what it is over, where it is sealed, lies elsewhere and may be readable or not. */
export type SavedRow = Omit<EntryRow, 'envelope' | 'salt' | 'digest' | 'forgotten' | 'leaf'>;
/** A path through a log of any length needs few of them; receipts are asked for in the order of the log. */
const CACHED_TILES = 256;

/** Entry `first` is the first of those without which a hash cannot be had. */
class Unreadable extends Error {
  readonly first: number;
  constructor(first: number) {
    super(`what is needed of the entries from ${first} on cannot be read`);
    this.first = first;
  }
}

export class SalvagedLog {
  readonly origin: string;
  readonly verifierKey: string;
  readonly #aside: Aside;
  readonly #tiles = new Map<string, Uint8Array>();
  /** The newest checkpoint whose tree can still be computed: each entry below it that can be read can be proven. */
  readonly provable: StoredCheckpoint | undefined;
  /** The newest of those that is on the chain, by what the file says of its anchors. */
  readonly anchored: StoredCheckpoint | undefined;
  /** The newest checkpoint that can be read. */
  readonly latest: StoredCheckpoint | undefined;
  /** By size. */
  readonly #anchors: ReadonlyMap<number, AnchorHint>;

  /** @param origin of the log; @param publicKey of its key: a checkpoint that it did not sign is not believed */
  constructor(aside: Aside, origin: string, publicKey: Uint8Array) {
    this.#aside = aside;
    this.origin = origin;
    this.verifierKey = encodeVerifierKey(origin, publicKey);
    const key = parseVerifierKey(this.verifierKey);
    const sizes = [
      ...aside.rows<{ size: number }>(
        'SELECT size FROM checkpoints WHERE size >= ? ORDER BY size LIMIT ?',
        ({ size }) => size,
      ),
    ].map(({ size }) => size);
    this.#anchors = anchorsOf(aside);
    [this.latest, this.provable] = this.#findCheckpoints(key, sizes);
    const isAnchored = (size: number): boolean => this.#anchors.has(size) && size <= (this.provable?.size ?? 0);
    this.anchored = this.#findCheckpoints(key, sizes.filter(isAnchored))[1];
  }

  /** Of those with these sizes the newest that can be read, and the newest that can be proven. */
  #findCheckpoints(
    key: VerifierKey,
    sizes: readonly number[],
  ): [StoredCheckpoint | undefined, StoredCheckpoint | undefined] {
    let latest: StoredCheckpoint | undefined;
    let upTo = Number.MAX_SAFE_INTEGER;
    for (const size of sizes.toReversed()) {
      const checkpoint = size > upTo ? undefined : this.#checkpoint(size, key);
      if (!checkpoint) continue;
      latest ??= checkpoint;
      try {
        if (equalBytes(rootAt(size, this.#node(size)), checkpoint.root)) return [latest, checkpoint];
        // Some hash is wrong, and it does not say which: below the last tile, then.
        upTo = Math.floor((size - 1) / TILE_WIDTH) * TILE_WIDTH;
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        upTo = error.first;
      }
    }
    return [latest, undefined];
  }

  /** One that can be read, and that the log has signed. */
  #checkpoint(size: number, key: VerifierKey): StoredCheckpoint | undefined {
    const row = this.#aside.get<StoredCheckpoint>(
      'SELECT size, root, note, made_ms AS madeMs FROM checkpoints WHERE size = ?',
      size,
    );
    if (!row) return undefined;
    try {
      const opened = openCheckpoint(row.note, key);
      return opened.origin === this.origin && opened.size === size && equalBytes(opened.root, row.root)
        ? row
        : undefined;
    } catch {
      return undefined;
    }
  }

  #node(size: number) {
    return nodeFromTiles((level, n) => this.#hashes(level, n, size));
  }

  /** The hashes of a tile in the tree of `size` entries. */
  #hashes(level: number, n: number, size: number): Uint8Array {
    const width = Math.min(TILE_WIDTH, hashesAtLevel(size, level) - n * TILE_WIDTH);
    const name = `${level}/${n}/${width}`;
    const cached = this.#tiles.get(name);
    if (cached) {
      // Once more the newest: the right edge is asked for with each receipt.
      this.#tiles.delete(name);
      this.#tiles.set(name, cached);
      return cached;
    }
    const key = tileKey(level, n);
    const stored = this.#aside.get<{ hashes: Uint8Array }>('SELECT hashes FROM tiles WHERE key = ?', key)?.hashes;
    const hashes =
      stored?.length === TILE_WIDTH * HASH_BYTES
        ? stored.subarray(0, width * HASH_BYTES)
        : level === 0
          ? this.#leaves(n * TILE_WIDTH, width)
          : this.#roots(level - 1, n * TILE_WIDTH, width);
    if (this.#tiles.size >= CACHED_TILES) this.#tiles.delete(this.#tiles.keys().next().value as string);
    this.#tiles.set(name, hashes);
    return hashes;
  }

  #leaves(first: number, count: number): Uint8Array {
    const hashes = Buffer.alloc(count * HASH_BYTES);
    let next = first;
    for (const { idx, entry } of this.entries(first)) {
      // The hash of a pruned entry is in its tile or nowhere.
      if (idx !== next || next === first + count || entry.length === 0) break;
      hashes.set(leafHash(entry), (next++ - first) * HASH_BYTES);
    }
    if (next < first + count) throw new Unreadable(next);
    return new Uint8Array(hashes);
  }

  /** The roots of full tiles. */
  #roots(level: number, first: number, count: number): Uint8Array {
    const hashes = Buffer.alloc(count * HASH_BYTES);
    for (let i = 0; i < count; i++) {
      const n = first + i;
      const row = this.#aside.get<{ root: Uint8Array }>('SELECT root FROM tiles WHERE key = ?', tileKey(level, n));
      const whole = (n + 1) * TILE_WIDTH ** (level + 1);
      hashes.set(row?.root.length === HASH_BYTES ? row.root : tileRoot(this.#hashes(level, n, whole)), i * HASH_BYTES);
    }
    return new Uint8Array(hashes);
  }

  /** Those that can be read, in their order, from index `from` on. */
  entries(from: number): Generator<SavedRow> {
    return this.#aside.rows<SavedRow>(ENTRIES, ({ idx }) => idx, from);
  }

  /**
   * The envelope as the device signed it, with the salt where the entry is sealed. Undefined where it was pruned or
   * forgotten, or cannot be read.
   */
  open({ idx, entry }: SavedRow): { envelope: Uint8Array; opening?: Opening } | undefined {
    if (entry.length === 0) return undefined;
    if (!isHashEnvelope(entry)) return { envelope: new Uint8Array(entry) };
    const row = this.#aside.get<ContentColumns>(CONTENT, idx);
    const { envelope, salt } = row ? openBox(row) : {};
    if (!envelope || !salt || envelope.length === 0 || salt.length !== SALT_BYTES) return undefined;
    const opening = { salt: new Uint8Array(salt), envelope: new Uint8Array(envelope) };
    // Bytes may have changed where SQLite notices nothing.
    return isOpeningOf(decodeHashEnvelope(new Uint8Array(entry)), opening)
      ? { envelope: opening.envelope, opening }
      : undefined;
  }

  /** Whether {@link receipt} has an answer. */
  proves(index: number): boolean {
    try {
      return this.receipt(index).index === index;
    } catch (error) {
      if (error instanceof EdgeError && error.code === 'NOT_FOUND') return false;
      throw error;
    }
  }

  /**
   * Under the newest checkpoint that is on the chain, or where that does not cover it under the newest.
   * @throws EdgeError NOT_FOUND where it cannot be read, or is under no checkpoint that can be proven
   */
  receipt(index: number): Receipt {
    const checkpoint = index < (this.anchored?.size ?? 0) ? this.anchored : this.provable;
    if (!checkpoint || index >= checkpoint.size)
      throw new EdgeError(
        'NOT_FOUND',
        `entry ${index}: ${checkpoint ? `${checkpoint.size} entries` : 'nothing'} can be proven from ${this.#aside.path}`,
      );
    const [row] = this.#aside.all<SavedRow>(ENTRIES, index, 1);
    if (row?.idx !== index) throw new EdgeError('NOT_FOUND', `entry ${index} cannot be read in ${this.#aside.path}`);
    if (row.entry.length === 0)
      throw new EdgeError('NOT_FOUND', `entry ${index} was pruned before ${this.#aside.path} was set aside`);
    try {
      const { size, root, note } = checkpoint;
      const path = inclusionPath(index, size, this.#node(size));
      // Bytes may have changed where SQLite notices nothing: no receipt goes out that does not hold.
      if (!verifyInclusion(leafHash(row.entry), index, size, path, root)) throw new Unreadable(index);
      const anchor = this.#anchors.get(size);
      const opening = this.open(row)?.opening;
      return {
        index,
        entry: new Uint8Array(row.entry),
        path,
        checkpoint: note,
        ...(anchor ? { anchor } : {}),
        ...(opening ? { opening } : {}),
      };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      throw new EdgeError('NOT_FOUND', `entry ${index} cannot be proven from ${this.#aside.path}: ${error.message}`);
    }
  }
}

type AnchorRow = { id: number; size: number; chainId: number; contract: string; hashes: string; block: number | null };

/** Anchors of this log that are on the chain. */
function anchorsOf(aside: Aside): Map<number, AnchorHint> {
  const own = aside.has('transactions', 'origin') ? 'AND origin IS NULL' : '';
  const anchors = new Map<number, AnchorHint>();
  for (const { size, chainId, contract, hashes, block } of aside.rows<AnchorRow>(
    `SELECT id, size, chain_id AS chainId, contract, hashes, block FROM transactions
     WHERE id >= ? AND status IN ('mined', 'confirmed') ${own} ORDER BY id LIMIT ?`,
    ({ id }) => id,
  ))
    anchors.set(size, {
      chainId,
      contract,
      transaction: (JSON.parse(hashes) as string[]).at(-1) ?? '',
      block: block ?? 0,
    });
  return anchors;
}

/**
 * A database that nobody has open, here or elsewhere, by what it says of itself: its own origin and key. Whether they are
 * those of the log that is meant, the verifier key decides.
 * @throws EdgeError STORE_DAMAGED where nothing can be read
 */
export function openSalvaged(path: string): { log: SalvagedLog; close: () => void } {
  const aside = Aside.open(path);
  const origin = aside?.meta('origin');
  const key = aside?.meta('logKey');
  if (!aside || origin === undefined || key === undefined || !/^[0-9a-f]{64}$/.test(key)) {
    aside?.close();
    throw new EdgeError(
      'STORE_DAMAGED',
      `${path} is no database of a gateway, or what it says of itself cannot be read`,
    );
  }
  return { log: new SalvagedLog(aside, origin, Uint8Array.from(Buffer.from(key, 'hex'))), close: () => aside.close() };
}
