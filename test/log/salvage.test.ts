/** What can still be had from a database that is damaged at random places: only what is true, and all that is whole. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { verifyInclusion } from '../../edge/log/merkle.ts';
import { openSalvaged } from '../../edge/log/salvage.ts';
import { pruneEntries } from '../../edge/store/prune.ts';
import { setMeta } from '../../edge/store/store.ts';
import { publicKeyOf } from '../../edge/wire/ed25519.ts';
import { tempFolder } from '../support/temp.ts';
import { PlainTree } from '../support/whole-truth.ts';
import { plainLeaf } from './plain.ts';
import { newEntries, openLog, smallEntry } from './rig.ts';

const SIZE = 3_000;
/** Checkpoints at these sizes; the last entries are under none. */
const SIGNED = [200, 256, 700, 1_400, 2_800];
/** Each proof costs hundreds of hashes: one entry in so many is proven. */
const STEP = 7;
let image: Buffer;
const roots = new Map<number, Uint8Array>();

/** The image with its pages as `harm` leaves them, opened. */
function salvaged(harm: (path: string) => void) {
  const path = join(tempFolder(), 'edge.db.damaged-2026');
  writeFileSync(path, image);
  harm(path);
  const opened = openSalvaged(path);
  onTestFinished(() => opened.close());
  return opened.log;
}

function overwrite(path: string, page: number, byte: number): void {
  const all = readFileSync(path);
  all.fill(byte, (page - 1) * 4096, page * 4096);
  writeFileSync(path, all);
}

/** Pages of a table, by what SQLite says of itself. */
function pagesOf(table: string): number[] {
  const path = join(tempFolder(), 'whole.db');
  writeFileSync(path, image);
  const db = new Database(path, { readonly: true });
  const pages = db
    .prepare("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path")
    .pluck()
    .all(table) as number[];
  db.close();
  return pages;
}

/** Nothing that it gives is other than it was, and each receipt holds, by a reader of its own. */
function isTrue(log: ReturnType<typeof salvaged>): { read: number[]; proven: number[] } {
  const read: number[] = [];
  for (const { idx, entry } of log.entries(0)) {
    expect(Buffer.from(entry).equals(smallEntry(idx)), `entry ${idx}`).toBe(true);
    read.push(idx);
  }
  expect(read).toEqual([...new Set(read)].sort((a, b) => a - b));
  const proven = read.filter((idx) => idx % STEP === 0 && log.proves(idx));
  for (const idx of proven.filter((_, i) => i % 31 === 0)) {
    const { entry, path, checkpoint } = log.receipt(idx);
    const size = log.provable?.size as number;
    expect(checkpoint).toContain(`\n${size}\n`);
    expect(verifyInclusion(plainLeaf(entry), idx, size, path, roots.get(size) as Uint8Array)).toBe(true);
  }
  return { read, proven };
}

/** Of a list of entries those whose proofs are asked for. */
const sampled = (list: number[]): number[] => list.filter((idx) => idx % STEP === 0);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe('a database that was set aside', () => {
  async function build(): Promise<void> {
    if (image) return;
    const folder = tempFolder();
    const { store, log } = await openLog(folder);
    const logKey = Buffer.from(publicKeyOf(new Uint8Array(32).fill(5))).toString('hex');
    await store.write({ statements: [setMeta('origin', log.origin), setMeta('logKey', logKey)] });
    const tree = new PlainTree();
    for (const size of SIGNED) {
      await log.append(newEntries(tree.size, size), []);
      await log.makeCheckpoint(1);
      while (tree.size < size) tree.add(smallEntry(tree.size));
      roots.set(size, tree.root());
    }
    await log.append(newEntries(tree.size, SIZE), []);
    await store.close();
    image = readFileSync(join(folder, 'edge.db'));
  }

  it('that is whole proves all that is under its newest checkpoint, and gives all entries', async () => {
    await build();
    const { read, proven } = isTrue(salvaged(() => undefined));
    expect(read).toEqual(upTo(SIZE));
    expect(proven).toEqual(sampled(upTo(2_800)));
  });

  it('with payloads pruned proves all the others, and where a tile is lost too believes no hash of what is not there', async () => {
    await build();
    const gone = new Set(upTo(512).filter((i) => i % 3 === 0));
    const log = (harm: string) =>
      salvaged((path) => {
        const db = new Database(path);
        db.exec('CREATE TEMP TABLE moving AS SELECT * FROM entries WHERE 0');
        db.exec('CREATE TEMP TABLE moving_contents AS SELECT * FROM contents WHERE 0');
        for (const { sql, params } of pruneEntries(0, 512, [...gone])) db.prepare(sql).run(...params);
        db.exec(harm);
        db.close();
      });
    const pruned = log('');
    expect(pruned.provable?.size).toBe(2_800);
    for (const i of sampled(upTo(2_800))) expect(pruned.proves(i), `entry ${i}`).toBe(!gone.has(i));
    expect(() => pruned.receipt(3)).toThrow('entry 3 was pruned');
    // The root of the lost tile is another column of its row: without both nothing above it can be had.
    const torn = log('DELETE FROM tiles WHERE key = 0');
    expect(torn.provable).toBeUndefined();
    expect(torn.latest?.size).toBe(2_800);
  });

  it('with entries lost under full tiles proves all the others, by the hashes in the tiles', async () => {
    await build();
    const pages = pagesOf('entries');
    const log = salvaged((path) => overwrite(path, pages[2] as number, 0xff));
    const { read, proven } = isTrue(log);
    expect(read.length).toBeGreaterThan(SIZE - 300);
    expect(read.length).toBeLessThan(SIZE);
    expect(proven).toEqual(sampled(read).filter((idx) => idx < 2_800));
  });

  it('with its tiles lost computes their hashes from the entries again', async () => {
    await build();
    const log = salvaged((path) => {
      for (const page of pagesOf('tiles')) overwrite(path, page, 0);
    });
    expect(isTrue(log).proven).toEqual(sampled(upTo(2_800)));
  });

  it('with both lost proves what an older checkpoint covers', async () => {
    await build();
    const pages = pagesOf('entries');
    const log = salvaged((path) => {
      for (const page of pagesOf('tiles')) overwrite(path, page, 0xff);
      overwrite(path, pages[Math.floor(pages.length / 2)] as number, 0xff);
    });
    const { read, proven } = isTrue(log);
    expect(log.latest?.size).toBe(2_800);
    expect(log.provable?.size).toBe(1_400);
    expect(proven).toEqual(sampled(read).filter((idx) => idx < 1_400));
  });

  it('gives nothing that is not true, however its pages were harmed', { timeout: 60_000 }, async () => {
    await build();
    const pages = image.length / 4096;
    const harm = fc.record({
      pages: fc.array(fc.record({ page: fc.integer({ min: 2, max: pages }), byte: fc.integer({ min: 0, max: 255 }) }), {
        minLength: 1,
        maxLength: 6,
      }),
      flips: fc.array(fc.record({ at: fc.integer({ min: 4096, max: image.length - 1 }), bit: fc.nat(7) }), {
        maxLength: 3,
      }),
      cut: fc.option(fc.integer({ min: 2, max: pages }), { freq: 4 }),
    });
    fc.assert(
      fc.property(harm, ({ pages: list, flips, cut }) => {
        const path = join(tempFolder(), 'edge.db.damaged-2026');
        const bytes = Buffer.from(image);
        for (const { page, byte } of list) bytes.fill(byte, (page - 1) * 4096, page * 4096);
        for (const { at, bit } of flips) bytes[at] = (bytes[at] as number) ^ (1 << bit);
        writeFileSync(path, bytes);
        if (cut !== null) truncateSync(path, cut * 4096);
        let opened: ReturnType<typeof openSalvaged>;
        try {
          opened = openSalvaged(path);
        } catch (error) {
          expect(error).toEqual(expect.objectContaining({ code: 'STORE_DAMAGED' }));
          return;
        }
        const { log, close } = opened;
        const size = log.provable?.size ?? 0;
        // Entries as such may have changed where SQLite notices nothing; what is proven has not.
        for (let idx = 0; idx < size; idx += 41)
          if (log.proves(idx)) {
            const { entry, path: proof } = log.receipt(idx);
            expect(Buffer.from(entry).equals(smallEntry(idx))).toBe(true);
            expect(verifyInclusion(plainLeaf(entry), idx, size, proof, roots.get(size) as Uint8Array)).toBe(true);
          }
        for (const _ of log.entries(size)) void _;
        close();
      }),
      { numRuns: 60, seed: 20_201_124 },
    );
  });
});
