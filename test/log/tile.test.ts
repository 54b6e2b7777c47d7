import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inclusionPath, rootAt, verifyInclusion } from '../../edge/log/merkle.ts';
import {
  type Edge,
  extend,
  type FullTile,
  hashesAtLevel,
  nodeFromTiles,
  parseTilePath,
  tilePath,
  tileRoot,
} from '../../edge/log/tile.ts';
import { ListedLeaves, numberedLeaves, plainRoot } from './plain.ts';

const EMPTY: Edge = { size: 0, tiles: [] };
const LEAVES = new ListedLeaves(numberedLeaves(70_000));

const sizeOf = (hashes: Uint8Array | undefined): number => (hashes?.length ?? 0) / 32;

/** Grows a tree by batches of these sizes until it has `size` leaves; the last batch is cut to fit. */
function grow(size: number, batches: Iterable<number>): { edge: Edge; full: Map<string, FullTile> } {
  let edge = EMPTY;
  const full = new Map<string, FullTile>();
  for (const batch of batches) {
    const next = extend(edge, LEAVES.hashes.slice(edge.size, Math.min(edge.size + batch, size)));
    for (const tile of next.full) {
      expect(full.has(`${tile.level}/${tile.n}`), 'a tile becomes full once').toBe(false);
      full.set(`${tile.level}/${tile.n}`, tile);
    }
    edge = next.edge;
    if (edge.size === size) break;
  }
  expect(edge.size).toBe(size);
  return { edge, full };
}

/** C2SP tlog-tiles: hash i of tile n at level L is MTH over the 256^L leaves from (256 n + i) 256^L on. */
function expectBySpec(hashes: Uint8Array, level: number, n: number, width: number): void {
  expect(sizeOf(hashes)).toBe(width);
  const span = 256 ** level;
  for (let i = 0; i < width; i++)
    if (!LEAVES.mth((n * 256 + i) * span, span).equals(hashes.subarray(i * 32, i * 32 + 32)))
      throw new Error(`hash ${i} of tile ${n} at level ${level} is not MTH of its leaves`);
}

/** Reads tiles as a client of the log would have them: the full ones, and the edge. */
const tilesOf =
  ({ edge, full }: { edge: Edge; full: Map<string, FullTile> }) =>
  (level: number, n: number): Uint8Array =>
    full.get(`${level}/${n}`)?.hashes ?? (edge.tiles[level] as Uint8Array);

function* forever(batch: () => number): Generator<number> {
  for (;;) yield batch();
}

describe('a log of 70,000 entries', () => {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed;
  };
  const tree = grow(
    70_000,
    forever(() => 1 + (random() % 3_000)),
  );

  it('is 273 full tiles and .p/112, one full tile and .p/17, and .p/1', () => {
    const levels = [0, 1, 2].map((level) => [...tree.full.values()].filter((t) => t.level === level).length);
    expect(levels).toEqual([273, 1, 0]);
    expect(tree.full.size).toBe(274);
    expect(tree.edge.tiles.map(sizeOf)).toEqual([112, 17, 1]);
    expect([0, 1, 2, 3].map((level) => hashesAtLevel(70_000, level))).toEqual([70_000, 273, 1, 0]);
  });

  it('has in each tile the tree hashes that C2SP tlog-tiles says', () => {
    for (const { level, n, hashes, root } of tree.full.values()) {
      expectBySpec(hashes, level, n, 256);
      expect(LEAVES.mth(n * 256 ** (level + 1), 256 ** (level + 1)).equals(root)).toBe(true);
      expect(Buffer.from(tileRoot(hashes)).equals(root)).toBe(true);
    }
    expectBySpec(tree.edge.tiles[0] as Uint8Array, 0, 273, 112);
    expectBySpec(tree.edge.tiles[1] as Uint8Array, 1, 1, 17);
    expectBySpec(tree.edge.tiles[2] as Uint8Array, 2, 0, 1);
  });

  it('gives each node of the tree from its tiles', () => {
    const node = nodeFromTiles(tilesOf(tree));
    for (let level = 0; 2 ** level <= 70_000; level++)
      for (const index of new Set(
        [0, 1, Math.floor(70_000 / 2 ** level) - 1, 137].filter((i) => (i + 1) * 2 ** level <= 70_000),
      ))
        expect(
          Buffer.from(node(level, index)).equals(LEAVES.mth(index * 2 ** level, 2 ** level)),
          `${level}/${index}`,
        ).toBe(true);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70_000 }), fc.nat(), (size, where) => {
        const root = rootAt(size, node);
        expect(plainRoot(LEAVES, size).equals(root)).toBe(true);
        const i = where % size;
        expect(verifyInclusion(LEAVES.mth(i, 1), i, size, inclusionPath(i, size, node), root)).toBe(true);
      }),
      { numRuns: 100, seed: 1 },
    );
  });
});

describe('extend', () => {
  it('gives the same edge and the same tiles however the leaves are divided', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3_000 }),
        fc.array(fc.oneof(fc.nat(5), fc.nat(600), fc.constantFrom(255, 256, 257, 512)), {
          minLength: 1,
          maxLength: 12,
        }),
        (size, batches) => {
          const whole = grow(size, [size]);
          const parts = grow(size, [...batches, size]);
          expect(parts.edge.tiles.map(sizeOf)).toEqual(
            whole.edge.tiles.map((_, level) => hashesAtLevel(size, level) % 256),
          );
          for (const [level, hashes] of whole.edge.tiles.entries())
            expect(Buffer.from(hashes).equals(parts.edge.tiles[level] as Uint8Array)).toBe(true);
          expect([...parts.full.keys()].sort()).toEqual([...whole.full.keys()].sort());
          for (const [key, tile] of whole.full)
            expect(Buffer.from(tile.hashes).equals(parts.full.get(key)?.hashes as Uint8Array)).toBe(true);
          expect(plainRoot(LEAVES, size).equals(rootAt(size, nodeFromTiles(tilesOf(parts))))).toBe(true);
        },
      ),
      { numRuns: 150, seed: 2 },
    );
  });

  it('leaves the old edge as it was, so that a batch that fails is only forgotten', () => {
    const { edge } = grow(300, [300]);
    const before = edge.tiles.map((t) => Buffer.from(t).toString('hex'));
    const first = extend(edge, LEAVES.hashes.slice(300, 900));
    const again = extend(edge, LEAVES.hashes.slice(300, 900));
    expect(edge.size).toBe(300);
    expect(edge.tiles.map((t) => Buffer.from(t).toString('hex'))).toEqual(before);
    expect(again).toEqual(first);
  });

  it('with no leaves changes nothing', () => {
    const { edge } = grow(300, [300]);
    expect(extend(edge, [])).toEqual({ edge, full: [] });
  });
});

describe('nodeFromTiles', () => {
  it('refuses to make a hash of a tile that is too short', () => {
    const short = nodeFromTiles(() => new Uint8Array(3 * 32));
    expect(Buffer.from(short(0, 2)).equals(Buffer.alloc(32))).toBe(true);
    for (const [level, index] of [
      [0, 3],
      [1, 1],
      [2, 0],
      [7, 1],
    ] as const)
      expect(() => short(level, index)).toThrow(RangeError);
  });
});

describe('tile paths', () => {
  it.each([
    ['tile/0/x001/x234/067', { level: 0, n: 1_234_067, width: 256 }],
    ['tile/0/273.p/112', { level: 0, n: 273, width: 112 }],
    ['tile/1/001.p/17', { level: 1, n: 1, width: 17 }],
    ['tile/2/000.p/1', { level: 2, n: 0, width: 1 }],
    ['tile/entries/x001/000.p/255', { level: 'entries', n: 1_000, width: 255 }],
    ['tile/63/999', { level: 63, n: 999, width: 256 }],
  ] as const)('%s is spelt as C2SP tlog-tiles has it', (path, tile) => {
    expect(tilePath(tile.level, tile.n, tile.width)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  it('are read back as they were written', () => {
    const level = fc.oneof(fc.integer({ min: 0, max: 63 }), fc.constant('entries' as const));
    const n = fc.oneof(fc.nat(2_000), fc.maxSafeInteger().map(Math.abs));
    fc.assert(
      fc.property(level, n, fc.integer({ min: 1, max: 256 }), (l, i, width) => {
        const path = tilePath(l, i, width);
        expect(parseTilePath(path)).toEqual({ level: l, n: i, width });
      }),
      { numRuns: 1_000, seed: 3 },
    );
  });

  it.each([
    '',
    'tile/0',
    'tile/0/',
    '/tile/0/000',
    'tile/0/000/',
    'tile/0/000?',
    'tile/0/000\n',
    'tile/0/00',
    'tile/0/1000',
    'tile/0/x000/067',
    'tile/0/001/067',
    'tile/0/x001',
    'tile/0/x001/x234',
    'tile/0/X001/067',
    'tile/00/000',
    'tile/01/000',
    'tile/-1/000',
    'tile/64/000',
    'tile/100/000',
    'tile/entry/000',
    'tile/0/000.p',
    'tile/0/000.p/',
    'tile/0/000.p/0',
    'tile/0/000.p/01',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/1/1',
    'tile/0/-01',
    'tile/0/x009/x007/x199/x254/x740/992', // 2^53
    'tile/0/x999/x999/x999/x999/x999/x999/999',
    'tile/0/\u0661\u0662\u0663',
  ])('%j is refused', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });

  it('any other text is refused, or is the one spelling of its tile', () => {
    const text = fc.stringMatching(/^tile\/(entries|\d{1,2})\/(x?\d{1,4}\/){0,3}x?\d{1,4}(\.p\/\d{1,3})?$/);
    let taken = 0;
    fc.assert(
      fc.property(text, (path) => {
        const tile = parseTilePath(path);
        if (!tile) return;
        taken++;
        expect(tilePath(tile.level, tile.n, tile.width)).toBe(path);
      }),
      { numRuns: 5_000, seed: 4 },
    );
    expect(taken).toBeGreaterThan(10);
  });
});
