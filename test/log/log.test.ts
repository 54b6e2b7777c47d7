import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EdgeError } from '../../edge/errors.ts';
import { openCheckpoint, parseVerifierKey } from '../../edge/log/checkpoint.ts';
import type { Log } from '../../edge/log/log.ts';
import { EMPTY_ROOT, leafHash, verifyConsistency, verifyInclusion } from '../../edge/log/merkle.ts';
import type { Store } from '../../edge/store/store.ts';
import { tempFolder } from '../support/temp.ts';
import { PlainTree } from '../support/whole-truth.ts';
import { ListedLeaves, plainLeaf } from './plain.ts';
import { newEntries, newEntry, openLog, smallEntry } from './rig.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unavailable = expect.objectContaining({ code: 'STORE_UNAVAILABLE' });
const damaged = expect.objectContaining({ code: 'STORE_DAMAGED' });

/** Appends entries from the log's size up to `size`, in batches as large as accept's. */
async function growTo(log: Log, size: number): Promise<void> {
  while (log.size < size) await log.append(newEntries(log.size, Math.min(size, log.size + 2_048)), []);
}

/** What the tree over the small entries must be. */
class Expected {
  readonly #tree = new PlainTree();
  root(size: number): string {
    while (this.#tree.size < size) this.#tree.add(smallEntry(this.#tree.size));
    return this.#tree.root().toString('hex');
  }
}

/** From now on the next write is done, and then reported as failed: the answer was lost, not the write. */
function loseNextAnswer(store: Store): void {
  const real = store.write.bind(store);
  store.write = async (job) => {
    store.write = real;
    await real(job);
    throw new EdgeError('STORE_UNAVAILABLE', 'the answer was lost');
  };
}

describe('appending', () => {
  it('answers the index of the first entry, and grows the tree by the RFC', async () => {
    const { log } = await openLog(tempFolder());
    const expected = new Expected();
    expect(hex(log.root())).toBe(hex(EMPTY_ROOT));
    for (const [from, to] of [
      [0, 1],
      [1, 4],
      [4, 300],
    ] as const) {
      expect(await log.append(newEntries(from, to), [])).toBe(from);
      expect(log.size).toBe(to);
      expect(hex(log.root())).toBe(expected.root(to));
    }
    expect(await log.append([], [])).toBe(300);
    expect(log.size).toBe(300);
  });

  it('keeps what was appended before a restart, and goes on from there', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 2, maxLength: 4 }), async (runs) => {
        const folder = tempFolder();
        const expected = new Expected();
        let size = 0;
        for (const more of runs) {
          const { log, store } = await openLog(folder);
          expect(log.size).toBe(size);
          if (size > 0) expect(hex(log.root())).toBe(expected.root(size));
          size += more;
          await growTo(log, size);
          expect(hex(log.root())).toBe(expected.root(size));
          await store.close();
        }
      }),
      { numRuns: 4, seed: 1 },
    );
  });

  it('is one call at a time', async () => {
    const { log } = await openLog(tempFolder());
    const first = log.append(newEntries(0, 2), []);
    await expect(log.append(newEntries(2, 3), [])).rejects.toThrow('append while appending');
    expect(await first).toBe(0);
    expect(await log.append(newEntries(2, 3), [])).toBe(2);
  });

  it("is one transaction with the caller's statements", async () => {
    const { log, store } = await openLog(tempFolder());
    await log.append(newEntries(0, 1), [{ sql: "INSERT INTO meta VALUES ('with', 'entry 0')", params: [] }]);
    expect(store.meta('with')).toBe('entry 0');
    await log.append([], [{ sql: "UPDATE meta SET value = 'none' WHERE key = 'with'", params: [] }]);
    expect(store.meta('with')).toBe('none');
  });

  it('wakes the followers once the entries are there to be read', async () => {
    const { log, store } = await openLog(tempFolder());
    const seen: [number, number | undefined][] = [];
    log.onGrown = () => seen.push([log.size, store.get<{ n: number }>('SELECT count(*) AS n FROM entries')?.n]);
    await log.append(newEntries(0, 3), []);
    await log.append(newEntries(3, 5), []);
    expect(seen).toEqual([
      [3, 3],
      [5, 5],
    ]);
  });
});

describe('reopening', () => {
  it('reads the edge back at and around each size where a tile becomes full', async () => {
    const folder = tempFolder();
    const expected = new Expected();
    let open = await openLog(folder);
    for (const size of [0, 1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537]) {
      await growTo(open.log, size);
      const before = size > 0 ? hex(open.log.root()) : undefined;
      await open.store.close();
      open = await openLog(folder);
      const { log } = open;
      expect(log.size).toBe(size);
      if (size === 0) continue;
      expect(hex(log.root())).toBe(before);
      expect(hex(log.root())).toBe(expected.root(size));
      for (const i of new Set([0, 137 % size, Math.floor(size / 2), size - 1]))
        expect(verifyInclusion(leafHash(smallEntry(i)), i, size, log.inclusion(i, size), log.root())).toBe(true);
    }
    // The roots of the past are still there, and each is the beginning of the next.
    const { log } = open;
    let previous = 1;
    for (const size of [2, 255, 256, 257, 40_000, 65_535, 65_536, 65_537]) {
      const path = log.consistency(previous, size);
      expect(verifyConsistency(previous, size, log.root(previous), log.root(size), path)).toBe(true);
      previous = size;
    }
    expect(() => log.root(65_538)).toThrow(RangeError);
    expect(() => log.inclusion(0, 65_538)).toThrow(RangeError);
    expect(() => log.consistency(1, 65_538)).toThrow(RangeError);
  });

  it('finds the newest checkpoint again', async () => {
    const folder = tempFolder();
    const { log, store } = await openLog(folder);
    expect(log.latest).toBeUndefined();
    await growTo(log, 5);
    await log.makeCheckpoint(111);
    await growTo(log, 9);
    const newest = await log.makeCheckpoint(222);
    await store.close();
    const again = (await openLog(folder)).log;
    expect(again.latest).toMatchObject({ size: 9, note: newest.note, madeMs: 222 });
    expect(again.checkpoints(10, 8).map(({ size }) => size)).toEqual([5]);
    expect(again.checkpointOfSize(5)?.madeMs).toBe(111);
    expect(again.checkpointOfSize(6)).toBeUndefined();
  });

  it.each([
    ['entries are missing at the end', 'DELETE FROM entries WHERE idx > 290'],
    ['an entry of the edge is missing', 'DELETE FROM entries WHERE idx = 280'],
    ['a full tile is missing', 'DELETE FROM tiles'],
    ['an entry of the edge was changed', "UPDATE entries SET envelope = x'00' WHERE idx = 280"],
    ['the root of a full tile was changed', 'UPDATE tiles SET root = zeroblob(32)'],
  ])('refuses a tree that is not whole: %s', async (_, sql) => {
    const folder = tempFolder();
    const { log, store } = await openLog(folder);
    await growTo(log, 300);
    await log.makeCheckpoint(1);
    await store.close();
    const db = new Database(join(folder, 'edge.db'));
    db.exec(sql);
    db.close();
    await expect(openLog(folder)).rejects.toEqual(damaged);
  });
});

describe('a write that fails', () => {
  it('leaves nothing appended: not the tree, not the entries, not the tiles, not what was to go with them', async () => {
    const { log, store } = await openLog(tempFolder());
    await growTo(log, 250);
    const expected = new Expected();
    const fill = { sql: "INSERT INTO meta VALUES ('filled', '1')", params: [] };
    for (const [entries, statements] of [
      // The table is STRICT, and its times are integers.
      [[...newEntries(250, 259), newEntry(259, { receivedMs: 0.5 })], [fill]],
      // A counter that another entry has.
      [[...newEntries(250, 259), newEntry(259, { seq: 7 })], [fill]],
      // A fault in what the caller wanted with it.
      [newEntries(250, 260), [fill, { sql: "INSERT INTO meta VALUES ('x', NULL)", params: [] }]],
      [newEntries(250, 260), [fill, { sql: 'INSERT INTO nowhere VALUES (1)', params: [] }]],
      [[], [fill, fill]],
    ] as const) {
      await expect(log.append(entries, statements)).rejects.toEqual(unavailable);
      expect(log.size).toBe(250);
      expect(hex(log.root())).toBe(expected.root(250));
      expect(store.get('SELECT count(*) AS n, max(idx) AS last FROM entries')).toEqual({ n: 250, last: 249 });
      expect(store.get('SELECT count(*) AS n FROM tiles')).toEqual({ n: 0 });
      expect(store.meta('filled')).toBeUndefined();
    }
    expect(await log.append(newEntries(250, 260), [fill])).toBe(250);
    expect(hex(log.root())).toBe(expected.root(260));
    expect(store.get('SELECT count(*) AS n FROM tiles')).toEqual({ n: 1 });
  });

  it('and happened all the same is found out: the index is right, and so is the tree', async () => {
    const folder = tempFolder();
    const { log, store } = await openLog(folder);
    const expected = new Expected();
    // Over the edge of a tile, so that the edge that is read back differs from the old one at two levels.
    await growTo(log, 200);
    loseNextAnswer(store);
    expect(await log.append(newEntries(200, 300), [{ sql: "INSERT INTO meta VALUES ('a', 'b')", params: [] }])).toBe(
      200,
    );
    expect(log.size).toBe(300);
    expect(hex(log.root())).toBe(expected.root(300));
    expect(store.meta('a')).toBe('b');
    expect(await log.append(newEntries(300, 600), [])).toBe(300);
    expect(hex(log.root())).toBe(expected.root(600));
    await store.close();
    expect(hex((await openLog(folder)).log.root())).toBe(expected.root(600));
  });

  it('with nothing but statements is reported, whether it happened or not', async () => {
    const { log, store } = await openLog(tempFolder());
    loseNextAnswer(store);
    await expect(log.append([], [{ sql: "INSERT INTO meta VALUES ('a', 'b')", params: [] }])).rejects.toEqual(
      unavailable,
    );
    expect(log.size).toBe(0);
  });
});

describe('checkpoints', () => {
  it('open with the verifier key, and hold size and root of what is on disk', async () => {
    const { log } = await openLog(tempFolder());
    const expected = new Expected();
    const key = parseVerifierKey(log.verifierKey);
    for (const size of [1, 255, 256, 300]) {
      await growTo(log, size);
      const { note, root } = await log.makeCheckpoint(size);
      const opened = openCheckpoint(note, key);
      expect(opened).toMatchObject({ origin: log.origin, size });
      expect(hex(opened.root)).toBe(expected.root(size));
      expect(hex(root)).toBe(expected.root(size));
      expect(log.latest?.size).toBe(size);
    }
  });

  it('never sign one size twice: again, at the same time, or after a restart', async () => {
    const folder = tempFolder();
    const { log, store, signed } = await openLog(folder);
    await growTo(log, 3);
    let published = 0;
    log.onCheckpoint = () => {
      published++;
    };
    const [a, b] = await Promise.all([log.makeCheckpoint(1), log.makeCheckpoint(2)]);
    const c = await log.makeCheckpoint(3);
    expect([b, c]).toEqual([a, a]);
    expect(signed(), 'the note, and what the receipts under it carry').toBe(2);
    expect(published).toBe(1);
    await store.close();
    const again = await openLog(folder);
    expect((await again.log.makeCheckpoint(4)).note).toBe(a.note);
    expect(again.signed()).toBe(0);
  });

  it('whose write failed are not published, and can be made again', async () => {
    const { log, store } = await openLog(tempFolder());
    await growTo(log, 3);
    await store.write({
      statements: [
        {
          sql: "CREATE TRIGGER broken BEFORE INSERT ON checkpoints BEGIN SELECT raise(ABORT, 'broken'); END",
          params: [],
        },
      ],
    });
    await expect(log.makeCheckpoint(1)).rejects.toEqual(unavailable);
    expect(log.latest).toBeUndefined();
    expect(log.tile(0, 0, 1)).toBeUndefined();
    await store.write({ statements: [{ sql: 'DROP TRIGGER broken', params: [] }] });
    expect((await log.makeCheckpoint(2)).size).toBe(3);
    expect(log.latest?.madeMs).toBe(2);
  });

  it('whose write failed and happened all the same are published, and not signed again', async () => {
    const { log, store, signed } = await openLog(tempFolder());
    await growTo(log, 3);
    let published = 0;
    log.onCheckpoint = () => {
      published++;
    };
    loseNextAnswer(store);
    const { size, note } = await log.makeCheckpoint(1);
    expect(size).toBe(3);
    expect(published).toBe(1);
    expect(log.latest?.note).toBe(note);
    expect((await log.makeCheckpoint(2)).note).toBe(note);
    expect(signed()).toBe(2);
  });

  it('made while entries are being written hold what was on disk before', async () => {
    const { log } = await openLog(tempFolder());
    const expected = new Expected();
    await growTo(log, 10);
    const [first, made] = await Promise.all([log.append(newEntries(10, 20), []), log.makeCheckpoint(1)]);
    expect(first).toBe(10);
    expect(made.size).toBe(10);
    expect(hex(made.root)).toBe(expected.root(10));
    expect((await log.makeCheckpoint(2)).size).toBe(20);
  });
});

describe('served as a C2SP tlog-tiles log', () => {
  it('tiles and bundles end at the newest checkpoint, whatever is on disk after it', async () => {
    const { log } = await openLog(tempFolder());
    await growTo(log, 300);
    expect(log.tile(0, 0, 1)).toBeUndefined();
    expect(log.entryBundle(0, 1)).toBeUndefined();
    await log.makeCheckpoint(1);
    await growTo(log, 600);

    expect(log.tile(0, 0, 256)?.length).toBe(256 * 32);
    expect(log.tile(0, 1, 44)?.length).toBe(44 * 32);
    expect(log.tile(1, 0, 1)?.length).toBe(32);
    for (const [level, n, width] of [
      [0, 1, 45],
      [0, 1, 256],
      [0, 2, 1],
      [1, 0, 2],
      [2, 0, 1],
      [63, 0, 1],
      [0, 2 ** 40, 1],
    ] as const)
      expect(log.tile(level, n, width), `${level}/${n}.p/${width}`).toBeUndefined();
    expect(log.entryBundle(1, 44)).toBeDefined();
    for (const [n, width] of [
      [1, 45],
      [1, 256],
      [2, 1],
      [2 ** 40, 1],
    ] as const)
      expect(log.entryBundle(n, width), `${n}.p/${width}`).toBeUndefined();
    await log.makeCheckpoint(2);
    expect(log.tile(0, 1, 256)?.length).toBe(256 * 32);
    expect(log.tile(1, 0, 2)?.length).toBe(64);
    expect(log.tile(0, 2, 88)?.length).toBe(88 * 32);
    // A width that was partial once, and is part of a full tile now.
    expect(log.tile(0, 1, 44)?.length).toBe(44 * 32);
  });

  it('an auditor who reads only tiles and bundles rebuilds the root of the checkpoint', async () => {
    const folder = tempFolder();
    const { store, log: writing } = await openLog(folder);
    await growTo(writing, 66_000);
    await writing.makeCheckpoint(1);
    await store.close();
    const { log } = await openLog(folder); // nothing of it in memory but the edge
    const size = log.latest?.size as number;
    const leaves: Uint8Array[] = [];
    for (let n = 0; n * 256 < size; n++) {
      const width = Math.min(256, size - n * 256);
      const tile = log.tile(0, n, width) as Uint8Array;
      const bundle = Buffer.from(log.entryBundle(n, width) as Uint8Array);
      let at = 0;
      for (let i = 0; i < width; i++) {
        const length = bundle.readUInt16BE(at);
        const entry = bundle.subarray(at + 2, at + 2 + length);
        at += 2 + length;
        if (!entry.equals(smallEntry(n * 256 + i))) throw new Error(`entry ${i} of bundle ${n}`);
        const leaf = plainLeaf(entry);
        if (!leaf.equals(tile.subarray(i * 32, i * 32 + 32))) throw new Error(`leaf ${i} of tile ${n}`);
        leaves.push(leaf);
      }
      expect(at).toBe(bundle.length);
    }
    const plain = new ListedLeaves(leaves);
    expect(hex(plain.mth(0, size))).toBe(hex(log.latest?.root as Uint8Array));
    // And the levels above are what they must be: 257 full tiles, of which one is full again.
    for (const [level, n, width] of [
      [1, 0, 256],
      [1, 1, 1],
      [2, 0, 1],
    ] as const) {
      const tile = log.tile(level, n, width) as Uint8Array;
      const span = 256 ** level;
      for (let i = 0; i < width; i++)
        if (!plain.mth((n * 256 + i) * span, span).equals(tile.subarray(i * 32, i * 32 + 32)))
          throw new Error(`hash ${i} of tile ${n} at level ${level}`);
    }
  });
});
