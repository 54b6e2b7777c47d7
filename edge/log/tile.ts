/**
 * C2SP tlog-tiles: 256 hashes a tile, level L holding hashes of full tiles of level L - 1. Pure.
 * The growing right edge of the tree is one partial tile per level.
 */
import { nodeHashInto } from './merkle.ts';
import { HASH_BYTES } from './sha256.ts';

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;

export type FullTile = { level: number; n: number; hashes: Uint8Array; root: Uint8Array };

/** Partial tiles by level: `edge[L]` holds floor(size / 256^L) mod 256 hashes. */
export type Edge = { size: number; tiles: readonly Uint8Array[] };

/** How many hashes the tiles of this level hold in a tree of `size` leaves. */
export const hashesAtLevel = (size: number, level: number): number => Math.floor(size / TILE_WIDTH ** level);

/** The hash over a full tile's 256. */
export const tileRoot = (hashes: Uint8Array): Uint8Array => rangeRoot(hashes, 0, TILE_WIDTH);

/** The root over 2^k hashes of a tile, from `first` on. */
function rangeRoot(hashes: Uint8Array, first: number, count: number): Uint8Array {
  const from = first * HASH_BYTES;
  const to = from + count * HASH_BYTES;
  if (hashes.length < to) throw new RangeError(`a tile of ${hashes.length} bytes where ${to} are needed`);
  const level = Buffer.allocUnsafeSlow(count * HASH_BYTES);
  level.set(hashes.subarray(from, to));
  // Each level is written over the one below: a pair is read before its place is needed.
  for (let n = count; n > 1; n /= 2)
    for (let i = 0; i < n / 2; i++) nodeHashInto(level, i * HASH_BYTES, level, 2 * i * HASH_BYTES);
  return new Uint8Array(level.subarray(0, HASH_BYTES));
}

/** Append leaf hashes. Answers the new edge and the tiles that became full; the old edge stays as it was. */
export function extend(edge: Edge, leaves: readonly Uint8Array[]): { edge: Edge; full: FullTile[] } {
  const full: FullTile[] = [];
  const tiles: Uint8Array[] = [...edge.tiles];
  let incoming: readonly Uint8Array[] = leaves;
  for (let level = 0; incoming.length > 0; level++) {
    const held = tiles[level] ?? new Uint8Array(0);
    const before = hashesAtLevel(edge.size, level) - held.length / HASH_BYTES;
    const room = new Uint8Array(held.length + incoming.length * HASH_BYTES);
    room.set(held);
    for (const [i, h] of incoming.entries()) room.set(h, held.length + i * HASH_BYTES);
    const above: Uint8Array[] = [];
    let at = 0;
    for (; room.length - at >= TILE_WIDTH * HASH_BYTES; at += TILE_WIDTH * HASH_BYTES) {
      const hashes = room.slice(at, at + TILE_WIDTH * HASH_BYTES);
      const root = tileRoot(hashes);
      full.push({ level, n: (before + at / HASH_BYTES) / TILE_WIDTH, hashes, root });
      above.push(root);
    }
    tiles[level] = room.slice(at);
    incoming = above;
  }
  return { edge: { size: edge.size + leaves.length, tiles }, full };
}

/**
 * A node of the tree (merkle.ts NodeReader) from tiles.
 * @param tile the hashes of tile n at a level, at least as many as the node needs
 */
export function nodeFromTiles(tile: (level: number, n: number) => Uint8Array) {
  return (level: number, index: number): Uint8Array => {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const count = 2 ** (level % TILE_HEIGHT);
    const first = index * count;
    const n = Math.floor(first / TILE_WIDTH);
    return rangeRoot(tile(tileLevel, n), first % TILE_WIDTH, count);
  };
}

/** `x001/x234/067` for 1234067, with `.p/<W>` for a partial tile. */
export function tilePath(level: number | 'entries', n: number, width = TILE_WIDTH): string {
  const digits = String(n).padStart(Math.ceil(String(n).length / 3) * 3, '0');
  const groups = digits.match(/.{3}/g) as string[];
  const name = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${level}/${name}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** The inverse of {@link tilePath}; undefined for anything that it never writes. */
export function parseTilePath(path: string): { level: number | 'entries'; n: number; width: number } | undefined {
  const m = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path);
  if (!m) return undefined;
  const level = m[1] === 'entries' ? 'entries' : Number(m[1]);
  const n = Number((m[2] as string).replace(/[x/]/g, ''));
  const width = m[3] === undefined ? TILE_WIDTH : Number(m[3]);
  if (level !== 'entries' && level > 63) return undefined;
  if (width > TILE_WIDTH || (m[3] !== undefined && width === TILE_WIDTH)) return undefined;
  return Number.isSafeInteger(n) && tilePath(level, n, width) === path ? { level, n, width } : undefined;
}
