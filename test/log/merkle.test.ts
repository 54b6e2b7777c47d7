import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  consistencyPath,
  EMPTY_ROOT,
  inclusionPath,
  leafHash,
  multiPath,
  multiRoot,
  type NodeReader,
  rootAt,
  verifyConsistency,
  verifyInclusion,
} from '../../edge/log/merkle.ts';
import {
  flipBit,
  ListedLeaves,
  numberedLeaves,
  type PlainLeaves,
  plainLeaf,
  plainPath,
  plainProof,
  plainRoot,
  SparseLeaves,
  sha256,
} from './plain.ts';

const VECTORS = new URL('../../../shared/vectors/rfc6962/', import.meta.url);
const vectorsThere = existsSync(VECTORS);
if (!vectorsThere) console.warn(`Skipped: the RFC 6962 proof cases, because the folder ${VECTORS.pathname} is absent.`);
const unbase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));

function vectors<Case>(name: string): [string, Case][] {
  if (!vectorsThere) return [];
  return Object.entries(JSON.parse(readFileSync(new URL(name, VECTORS), 'utf8')) as Record<string, Case>);
}

const hex = (hashes: readonly Uint8Array[]): string[] => hashes.map((h) => Buffer.from(h).toString('hex'));
const nodesOf =
  (leaves: PlainLeaves): NodeReader =>
  (level, index) =>
    leaves.mth(index * 2 ** level, 2 ** level);

const LEAVES = new ListedLeaves(numberedLeaves(300));
const node = nodesOf(LEAVES);
const size = fc.integer({ min: 1, max: LEAVES.length });
const indexAndSize = size.chain((n) => fc.tuple(fc.nat(n - 1), fc.constant(n)));
const twoSizes = size.chain((n) => fc.tuple(fc.nat(n), fc.constant(n)));

describe('the 98 + 98 proof cases of transparency-dev/merkle', () => {
  type Inclusion = {
    leafIdx: number;
    treeSize: number;
    root: string;
    leafHash: string;
    proof: string[] | null;
    wantErr: boolean;
  };
  type Consistency = {
    size1: number;
    size2: number;
    root1: string;
    root2: string;
    proof: string[] | null;
    wantErr: boolean;
  };

  it.skipIf(!vectorsThere)('inclusion: each is taken or refused as they say', () => {
    const cases = vectors<Inclusion>('inclusion.json');
    expect(cases).toHaveLength(98);
    for (const [name, c] of cases) {
      const path = (c.proof ?? []).map(unbase64);
      const taken = verifyInclusion(unbase64(c.leafHash), c.leafIdx, c.treeSize, path, unbase64(c.root));
      expect(taken, name).toBe(!c.wantErr);
    }
  });

  it.skipIf(!vectorsThere)('consistency: each is taken or refused as they say', () => {
    const cases = vectors<Consistency>('consistency.json');
    expect(cases).toHaveLength(98);
    for (const [name, c] of cases) {
      const path = (c.proof ?? []).map(unbase64);
      const taken = verifyConsistency(c.size1, c.size2, unbase64(c.root1), unbase64(c.root2), path);
      expect(taken, name).toBe(!c.wantErr);
    }
  });
});

describe('the tree of RFC 6962', () => {
  it('has the hashes of section 2.1 for nothing, for a leaf, and for every size up to 300', () => {
    expect(Buffer.from(EMPTY_ROOT).toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    expect(Buffer.from(rootAt(0, node)).equals(EMPTY_ROOT)).toBe(true);
    for (const entry of [new Uint8Array(0), new Uint8Array(65_535).fill(7), Buffer.from('entry')])
      expect(Buffer.from(leafHash(entry)).equals(plainLeaf(entry))).toBe(true);
    for (let n = 1; n <= LEAVES.length; n++) expect(hex([rootAt(n, node)])).toEqual(hex([plainRoot(LEAVES, n)]));
  });

  it('gives the paths of section 2.1.1, and verifies them', () => {
    fc.assert(
      fc.property(indexAndSize, ([i, n]) => {
        const path = inclusionPath(i, n, node);
        expect(hex(path)).toEqual(plainPath(LEAVES, i, n).map(({ hash }) => hash.toString('hex')));
        expect(verifyInclusion(LEAVES.mth(i, 1), i, n, path, rootAt(n, node))).toBe(true);
      }),
      { numRuns: 1_000, seed: 1 },
    );
  });

  it('gives the proofs of section 2.1.2, and verifies them, for every pair of sizes up to 64', () => {
    for (let n = 0; n <= 64; n++)
      for (let m = 0; m <= n; m++) {
        const path = consistencyPath(m, n, node);
        expect(hex(path)).toEqual(hex(plainProof(LEAVES, m, n)));
        expect(verifyConsistency(m, n, rootAt(m, node), rootAt(n, node), path)).toBe(true);
      }
  });

  it('gives and verifies the proofs of section 2.1.2 for larger sizes', () => {
    fc.assert(
      fc.property(twoSizes, ([m, n]) => {
        const path = consistencyPath(m, n, node);
        expect(hex(path)).toEqual(hex(plainProof(LEAVES, m, n)));
        expect(verifyConsistency(m, n, rootAt(m, node), rootAt(n, node), path)).toBe(true);
      }),
      { numRuns: 1_000, seed: 2 },
    );
  });

  it('has no path for an index or a size that the tree does not have', () => {
    for (const [i, n] of [
      [0, 0],
      [3, 3],
      [-1, 3],
    ] as const)
      expect(() => inclusionPath(i, n, node)).toThrow(RangeError);
    for (const [m, n] of [
      [4, 3],
      [-1, 3],
    ] as const)
      expect(() => consistencyPath(m, n, node)).toThrow(RangeError);
  });
});

describe('verifyInclusion refuses', () => {
  it('any altered bit of the leaf, of the path or of the root', () => {
    fc.assert(
      fc.property(indexAndSize, fc.nat(), fc.nat(255), ([i, n], which, bit) => {
        const parts: Uint8Array[] = [LEAVES.mth(i, 1), rootAt(n, node), ...inclusionPath(i, n, node)];
        const at = which % parts.length;
        parts[at] = flipBit(parts[at] as Uint8Array, bit);
        const [leaf, root, ...path] = parts as [Uint8Array, Uint8Array, ...Uint8Array[]];
        expect(verifyInclusion(leaf, i, n, path, root)).toBe(false);
      }),
      { numRuns: 3_000, seed: 3 },
    );
  });

  it('every other index, and every size for which the path would have another shape', () => {
    // A size that gives the path the same shape gives the same root: it is the checkpoint's signature that binds it.
    const shape = (i: number, n: number): string =>
      plainPath(LEAVES, i, n)
        .map(({ side }) => side)
        .join();
    for (let n = 1; n <= 40; n++)
      for (let i = 0; i < n; i++) {
        const leaf = LEAVES.mth(i, 1);
        const path = inclusionPath(i, n, node);
        const root = rootAt(n, node);
        for (let other = 0; other < 48; other++) {
          if (other !== i) expect(verifyInclusion(leaf, other, n, path, root), `${i}/${n} as ${other}`).toBe(false);
          if (other > i)
            expect(verifyInclusion(leaf, i, other, path, root), `${i}/${n} in ${other}`).toBe(
              shape(i, other) === shape(i, n),
            );
        }
      }
  });

  it('a path with a hash more, less, doubled or exchanged, and hashes that are not 32 bytes', () => {
    fc.assert(
      fc.property(
        indexAndSize.filter(([, n]) => n > 2),
        fc.nat(),
        ([i, n], which) => {
          const leaf = LEAVES.mth(i, 1);
          const path = inclusionPath(i, n, node);
          const root = rootAt(n, node);
          const at = which % path.length;
          const hash = path[at] as Uint8Array;
          expect(verifyInclusion(leaf, i, n, path.toSpliced(at, 1), root)).toBe(false);
          expect(verifyInclusion(leaf, i, n, path.toSpliced(at, 0, hash), root)).toBe(false);
          expect(verifyInclusion(leaf, i, n, [...path, root], root)).toBe(false);
          expect(verifyInclusion(leaf, i, n, path.with(at, hash.subarray(1)), root)).toBe(false);
          expect(verifyInclusion(leaf, i, n, path.with(at, new Uint8Array([...hash, 0])), root)).toBe(false);
          if (path.length > 1) expect(verifyInclusion(leaf, i, n, path.toReversed(), root)).toBe(false);
        },
      ),
      { numRuns: 300, seed: 4 },
    );
  });

  it('an index or a size that is no integer from 0 to 2^53 - 1', () => {
    const leaf = plainLeaf(Buffer.from('x'));
    expect(verifyInclusion(leaf, 0, 1, [], leaf)).toBe(true);
    for (const [i, n] of [
      [-1, 1],
      [0, 0],
      [0, -1],
      [1, 1],
      [0.5, 1],
      [0, 1.5],
      [Number.NaN, 1],
      [0, Number.NaN],
      [0, Infinity],
      [0, 2 ** 53],
      [2 ** 53, 2 ** 54],
    ] as const)
      expect(verifyInclusion(leaf, i, n, [], leaf), `${i} in ${n}`).toBe(false);
  });
});

describe('verifyConsistency refuses', () => {
  it('any altered bit of either root or of the path', () => {
    fc.assert(
      fc.property(
        twoSizes.filter(([m]) => m > 0),
        fc.nat(),
        fc.nat(255),
        ([m, n], which, bit) => {
          const parts: Uint8Array[] = [rootAt(m, node), rootAt(n, node), ...consistencyPath(m, n, node)];
          const at = which % parts.length;
          parts[at] = flipBit(parts[at] as Uint8Array, bit);
          const [first, second, ...path] = parts as [Uint8Array, Uint8Array, ...Uint8Array[]];
          expect(verifyConsistency(m, n, first, second, path)).toBe(false);
        },
      ),
      { numRuns: 3_000, seed: 5 },
    );
  });

  it('a path with a hash more, less or doubled, and the two trees exchanged', () => {
    fc.assert(
      fc.property(
        twoSizes.filter(([m, n]) => m > 0 && m < n),
        fc.nat(),
        ([m, n], which) => {
          const [first, second] = [rootAt(m, node), rootAt(n, node)];
          const path = consistencyPath(m, n, node);
          const at = which % path.length;
          const hash = path[at] as Uint8Array;
          expect(verifyConsistency(m, n, first, second, path.toSpliced(at, 1))).toBe(false);
          expect(verifyConsistency(m, n, first, second, path.toSpliced(at, 0, hash))).toBe(false);
          expect(verifyConsistency(m, n, first, second, [...path, second])).toBe(false);
          expect(verifyConsistency(m, n, first, second, path.with(at, hash.subarray(1)))).toBe(false);
          expect(verifyConsistency(n, m, second, first, path)).toBe(false);
          expect(verifyConsistency(m, m, first, second, path)).toBe(false);
        },
      ),
      { numRuns: 300, seed: 6 },
    );
  });

  it('a history that was rewritten: the proof of one tree never joins the roots of two', () => {
    fc.assert(
      fc.property(
        twoSizes.filter(([m]) => m > 0),
        fc.nat(),
        ([m, n], which) => {
          const forged = new ListedLeaves(LEAVES.hashes.with(which % m, plainLeaf(Buffer.from('forged'))));
          const first = rootAt(m, node);
          const second = rootAt(n, nodesOf(forged));
          expect(verifyConsistency(m, n, first, second, consistencyPath(m, n, node))).toBe(false);
          expect(verifyConsistency(m, n, first, second, consistencyPath(m, n, nodesOf(forged)))).toBe(false);
        },
      ),
      { numRuns: 300, seed: 7 },
    );
  });

  it('sizes that no tree has, and an empty tree with any root but its own', () => {
    const root = plainLeaf(Buffer.from('x'));
    expect(verifyConsistency(0, 1, EMPTY_ROOT, root, [])).toBe(true);
    expect(verifyConsistency(0, 1, root, root, [])).toBe(false);
    expect(verifyConsistency(0, 1, EMPTY_ROOT, root, [root])).toBe(false);
    for (const [m, n] of [
      [-1, 1],
      [0.5, 1],
      [1, 0],
      [Number.NaN, 1],
      [1, Infinity],
      [1, 2 ** 53],
    ] as const)
      expect(verifyConsistency(m, n, root, root, []), `${m} in ${n}`).toBe(false);
  });
});

describe('beyond 32 bits', () => {
  const other = sha256(Buffer.from('the one that differs'));
  // Around the powers of two is where arithmetic on doubles goes wrong, if it does.
  const large = fc
    .tuple(fc.integer({ min: 32, max: 53 }), fc.integer({ min: -3, max: 3 }), fc.maxSafeInteger())
    .map(([power, near, any]) => (any % 2 === 0 ? 2 ** power + near : any))
    .filter((n) => n > 2 ** 32 && n < 2 ** 53);

  it('an entry anywhere in a tree of up to 2^53 - 1 leaves is proven, and only where it is', () => {
    fc.assert(
      fc.property(large, fc.maxSafeInteger(), fc.nat(255), (n, where, bit) => {
        const i = Math.abs(where) % n;
        const leaves = new SparseLeaves(n, i, other);
        const root = rootAt(n, nodesOf(leaves));
        expect(hex([root])).toEqual(hex([plainRoot(leaves)]));
        const path = inclusionPath(i, n, nodesOf(leaves));
        expect(hex(path)).toEqual(plainPath(leaves, i).map(({ hash }) => hash.toString('hex')));
        expect(verifyInclusion(other, i, n, path, root)).toBe(true);
        for (const wrong of [i - 1, i + 1, i % 2 ** 32, i ^ 1])
          if (wrong !== i) expect(verifyInclusion(other, wrong, n, path, root)).toBe(false);
        const at = bit % path.length;
        expect(verifyInclusion(other, i, n, path.with(at, flipBit(path[at] as Uint8Array, bit)), root)).toBe(false);
      }),
      { numRuns: 300, seed: 8 },
    );
  });

  it('trees of up to 2^53 - 1 leaves are proven consistent', () => {
    fc.assert(
      fc.property(large, large, fc.maxSafeInteger(), (a, b, where) => {
        const [m, n] = a < b ? [a, b] : [b, a];
        const leaves = new SparseLeaves(n, Math.abs(where) % n, other);
        const nodes = nodesOf(leaves);
        const path = consistencyPath(m, n, nodes);
        expect(hex(path)).toEqual(hex(plainProof(leaves, m)));
        expect(verifyConsistency(m, n, plainRoot(leaves, m), plainRoot(leaves), path)).toBe(true);
      }),
      { numRuns: 300, seed: 9 },
    );
  });
});

describe('one proof for several leaves', () => {
  const some = size.chain((n) =>
    fc.tuple(
      fc.uniqueArray(fc.nat(n - 1), { minLength: 1, maxLength: 30 }).map((list) => list.sort((a, b) => a - b)),
      fc.constant(n),
    ),
  );
  const leavesAt = (indexes: readonly number[]) => indexes.map((index) => ({ index, hash: node(0, index) }));

  it('leads to the root, for any leaves of any tree, and one leaf has its own path', () => {
    fc.assert(
      fc.property(some, ([indexes, n]) => {
        const path = multiPath(indexes, n, node);
        expect(hex([multiRoot(leavesAt(indexes), n, path) as Uint8Array])).toEqual(hex([rootAt(n, node)]));
        const [only] = indexes as [number];
        if (indexes.length === 1) expect(hex(path)).toEqual(hex(inclusionPath(only, n, node)));
        expect(path.length).toBeLessThanOrEqual(
          indexes.reduce((sum, index) => sum + inclusionPath(index, n, node).length, 0),
        );
      }),
    );
  });

  it('leads elsewhere with a flipped bit, a node too few or too many, or another index', () => {
    fc.assert(
      fc.property(some, fc.nat(), fc.nat(255), ([indexes, n], which, bit) => {
        const path = multiPath(indexes, n, node);
        const root = hex([rootAt(n, node)]);
        const leaves = leavesAt(indexes);
        const other = (result: Uint8Array | undefined) => expect(result && hex([result])).not.toEqual(root);
        other(multiRoot(leaves, n, [...path, sha256(Buffer.from('more'))]));
        if (path.length > 0) {
          other(multiRoot(leaves, n, path.slice(1)));
          other(
            multiRoot(
              leaves,
              n,
              path.map((h, i) => (i === which % path.length ? flipBit(h, bit) : h)),
            ),
          );
        }
        const k = which % leaves.length;
        other(
          multiRoot(
            leaves.map((l, i) => (i === k ? { ...l, hash: flipBit(l.hash, bit) } : l)),
            n,
            path,
          ),
        );
      }),
    );
  });

  it('refuses indexes that do not rise or are not in the tree', () => {
    for (const indexes of [[], [1, 1], [2, 1], [-1], [5], [0.5]])
      expect(() => multiPath(indexes, 5, node), String(indexes)).toThrow(RangeError);
  });
});
