/** RFC 6962 section 2.1 in its own words: recursive, slow, and nothing shared with edge/log. */
import { createHash } from 'node:crypto';

export const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const NODE = Buffer.of(1);
export const plainLeaf = (entry: Uint8Array): Buffer => sha256(Buffer.of(0), entry);

/** "the largest power of two smaller than n" */
export function largestPowerBelow(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** Leaf hashes, the range [from, from + n) of which a tree is built over. */
export interface PlainLeaves {
  readonly length: number;
  /** MTH(D[from:from + n]), n > 0. */
  mth(from: number, n: number): Buffer;
}

/** Leaves that are all there. */
export class ListedLeaves implements PlainLeaves {
  readonly hashes: readonly Uint8Array[];
  readonly #known = new Map<string, Buffer>();

  constructor(hashes: readonly Uint8Array[]) {
    this.hashes = hashes;
  }

  get length(): number {
    return this.hashes.length;
  }

  mth(from: number, n: number): Buffer {
    if (n === 1) return Buffer.from(this.hashes[from] as Uint8Array);
    const key = `${from} ${n}`;
    let hash = this.#known.get(key);
    if (!hash) {
      const k = largestPowerBelow(n);
      hash = sha256(NODE, this.mth(from, k), this.mth(from + k, n - k));
      this.#known.set(key, hash);
    }
    return hash;
  }
}

/** More leaves than any disk holds: all alike but one. */
export class SparseLeaves implements PlainLeaves {
  readonly length: number;
  readonly #at: number;
  readonly #other: Uint8Array;
  readonly #alike = new Map<number, Buffer>();

  constructor(length: number, at: number, other: Uint8Array) {
    this.length = length;
    this.#at = at;
    this.#other = other;
  }

  mth(from: number, n: number): Buffer {
    const has = from <= this.#at && this.#at < from + n;
    if (n === 1) return has ? Buffer.from(this.#other) : plainLeaf(Buffer.from('alike'));
    const known = has ? undefined : this.#alike.get(n);
    if (known) return known;
    const k = largestPowerBelow(n);
    const hash = sha256(NODE, this.mth(from, k), this.mth(from + k, n - k));
    if (!has) this.#alike.set(n, hash);
    return hash;
  }
}

export const plainRoot = (leaves: PlainLeaves, n = leaves.length): Buffer => (n === 0 ? sha256() : leaves.mth(0, n));

/** PATH(m, D[from:from + n]), section 2.1.1, with the side on which each hash stands. */
export function plainPath(
  leaves: PlainLeaves,
  m: number,
  n = leaves.length,
  from = 0,
): { hash: Buffer; side: 'left' | 'right' }[] {
  if (n === 1) return [];
  const k = largestPowerBelow(n);
  return m < k
    ? [...plainPath(leaves, m, k, from), { hash: leaves.mth(from + k, n - k), side: 'right' as const }]
    : [...plainPath(leaves, m - k, n - k, from + k), { hash: leaves.mth(from, k), side: 'left' as const }];
}

/** PROOF(m, D[n]), section 2.1.2. */
export const plainProof = (leaves: PlainLeaves, m: number, n = leaves.length): Buffer[] =>
  m === 0 || m === n ? [] : subproof(leaves, m, 0, n, true);

function subproof(leaves: PlainLeaves, m: number, from: number, n: number, b: boolean): Buffer[] {
  if (m === n) return b ? [] : [leaves.mth(from, n)];
  const k = largestPowerBelow(n);
  return m <= k
    ? [...subproof(leaves, m, from, k, b), leaves.mth(from + k, n - k)]
    : [...subproof(leaves, m - k, from + k, n - k, false), leaves.mth(from, k)];
}

/** Leaf hashes of the entries "0", "1", ... */
export const numberedLeaves = (n: number): Buffer[] =>
  Array.from({ length: n }, (_, i) => plainLeaf(Buffer.from(`${i}`)));

/** A copy with one bit turned. */
export function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  const at = Math.floor(bit / 8) % changed.length;
  changed[at] = (changed[at] as number) ^ (1 << (bit % 8));
  return changed;
}
