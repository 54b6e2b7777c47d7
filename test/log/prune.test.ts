import fc from 'fast-check';
import { expect, it } from 'vitest';
import { leafHash, verifyInclusion } from '../../edge/log/merkle.ts';
import { pruneEntries } from '../../edge/store/prune.ts';
import { tempFolder } from '../support/temp.ts';
import { newEntries, newEntry, openLog, smallEntry } from './rig.ts';

const TILES = 5;
const SIZE = TILES * 256 + 77;

it('takes any payloads of whole tiles away, and every receipt of the rest, every root and every proof stay', async () => {
  const folder = tempFolder();
  let { log, store } = await openLog(folder);
  await log.append(newEntries(0, SIZE), []);
  const root = log.root();
  const gone = new Set<number>();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(TILES - 1),
      fc.integer({ min: 1, max: TILES }),
      fc.uniqueArray(fc.nat(TILES * 256 - 1), { minLength: 60, maxLength: 400 }),
      fc.boolean(),
      async (tile, width, picked, again) => {
        const [first, end] = [tile * 256, Math.min(tile + width, TILES) * 256];
        const indexes = picked.filter((i) => first <= i && i < end);
        await store.write({ statements: pruneEntries(first, end, indexes) });
        for (const i of indexes) gone.add(i);
        if (again) {
          await store.close();
          ({ log, store } = await openLog(folder));
        }
        expect(log.size).toBe(SIZE);
        expect(log.root()).toEqual(root);
        const rows = store.all<{ idx: number; envelope: Uint8Array; seq: number; receivedMs: number }>(
          'SELECT idx, envelope, seq, received_ms AS receivedMs FROM entries ORDER BY idx',
        );
        expect(rows.length).toBe(SIZE);
        for (const [i, { idx, envelope, seq, receivedMs }] of rows.entries()) {
          expect([idx, seq, receivedMs]).toEqual([i, i, newEntry(i).receivedMs]);
          expect(Buffer.from(envelope).toString('hex')).toBe(
            gone.has(i) ? '' : Buffer.from(smallEntry(i)).toString('hex'),
          );
          if (i % 7 === 0 || gone.has(i))
            expect(verifyInclusion(leafHash(smallEntry(i)), i, SIZE, log.inclusion(i, SIZE), root)).toBe(true);
        }
      },
    ),
    { numRuns: 12, seed: 4 },
  );
  expect(gone.size).toBeGreaterThan(50);
});

it('gives the pages of what it takes away back to be used again, so that the file does not grow for them', async () => {
  const { log, store } = await openLog(tempFolder());
  const empty = store.pages.bytes;
  const big = (i: number) => newEntry(i, { envelope: new Uint8Array(300).fill(i & 255) });
  const some = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => big(from + i));
  await log.append(some(0, 4096), []);
  const { bytes } = store.pages;
  // Nine of ten, as vehicles among meters would be.
  const indexes = Array.from({ length: 4096 }, (_, i) => i).filter((i) => i % 10 > 0);
  await store.write({ statements: pruneEntries(0, 4096, indexes) });
  const after = store.pages;
  expect(after.bytes).toBeLessThanOrEqual(bytes * 1.01);
  expect(after.freeBytes).toBeGreaterThan((bytes - empty) * 0.6);
  await log.append(some(4096, 6144), []);
  expect(store.pages.bytes).toBe(after.bytes);
});
