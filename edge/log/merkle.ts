/**
 * The Merkle tree of RFC 6962 section 2.1 (the same as RFC 9162 section 2.1), SHA-256. Pure: nodes come from
 * a {@link NodeReader}. Sizes and indexes are integers from 0 to 2^53 - 1; bit operations are avoided because
 * JavaScript's stop at 32 bits.
 */
import { equalBytes } from '../wire/bytes.ts';
import { HASH_BYTES, sha256, sha256Into } from './sha256.ts';

/** The hash of the complete subtree over leaves [index * 2^level, (index + 1) * 2^level). */
export type NodeReader = (level: number, index: number) => Uint8Array;

export function leafHash(entry: Uint8Array): Uint8Array {
  const input = new Uint8Array(entry.length + 1);
  input.set(entry, 1);
  return sha256(input);
}

// One buffer for all node hashes: hashing is synchronous and keeps nothing of its input.
const pair = Buffer.alloc(1 + 2 * HASH_BYTES);
pair[0] = 1;

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  pair.set(left, 1);
  pair.set(right, 1 + HASH_BYTES);
  return sha256(pair);
}

/** The hash over the pair of hashes that starts at `from` of `hashes`, written into `out` at `at`. */
export function nodeHashInto(out: Buffer, at: number, hashes: Buffer, from: number): void {
  hashes.copy(pair, 1, from, from + 2 * HASH_BYTES);
  sha256Into(out, at, pair);
}

export const EMPTY_ROOT = sha256(new Uint8Array(0));

/** The largest power of two below n (n > 1), RFC 6962 section 2.1. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** Which power of two n is, if it is one. Math.log2 alone can't tell 2^49 + 1 from 2^49. */
function exponent(n: number): number | undefined {
  const power = Math.round(Math.log2(n));
  return 2 ** power === n ? power : undefined;
}

/** MTH(D[start:end]), where start is a multiple of the subtree's size. */
function subtree(start: number, end: number, node: NodeReader): Uint8Array {
  const n = end - start;
  const level = exponent(n);
  if (level !== undefined) return node(level, start / n);
  const k = split(n);
  return nodeHash(subtree(start, start + k, node), subtree(start + k, end, node));
}

export const rootAt = (size: number, node: NodeReader): Uint8Array =>
  size === 0 ? EMPTY_ROOT : subtree(0, size, node);

/** PATH(index, D[size]), RFC 6962 section 2.1.1: from the leaf's sibling up. */
export function inclusionPath(index: number, size: number, node: NodeReader): Uint8Array[] {
  if (index < 0 || index >= size) throw new RangeError(`index ${index} is not below size ${size}`);
  const path: Uint8Array[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      path.push(subtree(middle, end, node));
      end = middle;
    } else {
      path.push(subtree(start, middle, node));
      start = middle;
    }
  }
  return path.reverse();
}

/**
 * One proof for several leaves: level by level from the leaves up, and on each from left to right, the siblings that are
 * neither among the leaves nor computed from them. The last node of a level of odd width has no sibling, and goes up as it
 * is. What the Credits contract takes (contracts/src/ICredits.sol).
 * @param indexes at least one, rising
 */
export function multiPath(indexes: readonly number[], size: number, node: NodeReader): Uint8Array[] {
  const path: Uint8Array[] = [];
  const at = (level: number, index: number): Uint8Array => {
    const width = 2 ** level;
    return subtree(index * width, Math.min((index + 1) * width, size), node);
  };
  ascend(
    indexes.map((index) => ({ index, hash: undefined })),
    size,
    (level, index) => {
      path.push(at(level, index));
      return undefined;
    },
    () => undefined,
  );
  return path;
}

/** The root that such a proof leads to; undefined where it has too few nodes or too many. */
export function multiRoot(
  leaves: readonly { index: number; hash: Uint8Array }[],
  size: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (!hashes([...leaves.map(({ hash }) => hash), ...path])) return undefined;
  let used = 0;
  const root = ascend(leaves, size, () => path[used++] ?? EMPTY_ROOT, nodeHash);
  return used === path.length ? root : undefined;
}

/** The walk of both: `sibling` gives what isn't known, `join` puts two nodes together. @throws RangeError */
function ascend<Hash>(
  leaves: readonly { index: number; hash: Hash }[],
  size: number,
  sibling: (level: number, index: number) => Hash,
  join: (left: Hash, right: Hash) => Hash,
): Hash {
  let row = leaves.map(({ index, hash }) => ({ index, hash }));
  if (!row.every(({ index }, i) => Number.isSafeInteger(index) && index > (row[i - 1]?.index ?? -1) && index < size))
    throw new RangeError(`indexes must rise, from 0 on and below ${size}`);
  if (row.length === 0) throw new RangeError('no index was given');
  let width = size;
  for (let level = 0; width > 1; level++, width = Math.ceil(width / 2)) {
    const above: typeof row = [];
    for (let k = 0; k < row.length; k++) {
      const { index, hash } = row[k] as (typeof row)[number];
      const other = row[k + 1];
      const up = half(index);
      if (odd(index)) above.push({ index: up, hash: join(sibling(level, index - 1), hash) });
      else if (index + 1 === width) above.push({ index: up, hash });
      else if (other?.index === index + 1) {
        above.push({ index: up, hash: join(hash, other.hash) });
        k++;
      } else above.push({ index: up, hash: join(hash, sibling(level, index + 1)) });
    }
    row = above;
  }
  return (row[0] as (typeof row)[number]).hash;
}

/** PROOF(m, D[n]), RFC 6962 section 2.1.2. Empty for m = n and for m = 0. */
export function consistencyPath(m: number, n: number, node: NodeReader): Uint8Array[] {
  if (m < 0 || m > n) throw new RangeError(`size ${m} is not within size ${n}`);
  if (m === 0 || m === n) return [];
  const path: Uint8Array[] = [];
  let start = 0;
  let end = n;
  let whole = true; // the flag b of SUBPROOF: is the old tree's root this very subtree?
  while (m !== end) {
    const middle = start + split(end - start);
    if (m <= middle) {
      path.push(subtree(middle, end, node));
      end = middle;
    } else {
      path.push(subtree(start, middle, node));
      start = middle;
      whole = false;
    }
  }
  if (!whole) path.push(subtree(start, end, node));
  return path.reverse();
}

const odd = (n: number): boolean => n % 2 === 1;
const half = (n: number): number => Math.floor(n / 2);
const hashes = (list: readonly Uint8Array[]): boolean => list.every((h) => h.length === 32);

/** RFC 9162 section 2.1.3.2. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  const r = inclusionRoot(leaf, index, size, path);
  return r !== undefined && equalBytes(r, root);
}

/** The root that a path leads to (RFC 9162 section 2.1.3.2), undefined where it is none of this index and size. */
export function inclusionRoot(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return undefined;
  if (!hashes([leaf, ...path])) return undefined;
  let fn = index;
  let sn = size - 1;
  let r = leaf;
  for (const p of path) {
    if (sn === 0) return undefined;
    if (odd(fn) || fn === sn) {
      r = nodeHash(p, r);
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else r = nodeHash(r, p);
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 ? r : undefined;
}

/** RFC 9162 section 2.1.4.2, with the two cases that need no proof: equal sizes, and an empty first tree. */
export function verifyConsistency(
  first: number,
  second: number,
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
  path: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(second) || first < 0 || first > second) return false;
  if (first === 0 && !equalBytes(firstRoot, EMPTY_ROOT)) return false;
  if (first === second) return path.length === 0 && equalBytes(firstRoot, secondRoot);
  if (!hashes([firstRoot, secondRoot, ...path])) return false;
  if (first === 0) return path.length === 0;
  const proof = exponent(first) !== undefined ? [firstRoot, ...path] : [...path];
  const seed = proof.shift();
  if (!seed || path.length === 0) return false;
  let fn = first - 1;
  let sn = second - 1;
  while (odd(fn)) {
    fn = half(fn);
    sn = half(sn);
  }
  let fr = seed;
  let sr = seed;
  for (const c of proof) {
    if (sn === 0) return false;
    if (odd(fn) || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else sr = nodeHash(sr, c);
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && equalBytes(fr, firstRoot) && equalBytes(sr, secondRoot);
}
