import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type CheckRow, Checks, CityBundles, forgetChecks, knownChecks, saveCheck } from '../../edge/store/checks.ts';
import { Store } from '../../edge/store/store.ts';
import { onTestFinished } from '../support/ends.ts';
import { tempFolder } from '../support/temp.ts';

async function openStore(folder = tempFolder()): Promise<Store> {
  const store = await Store.open(join(folder, 'edge.db'));
  onTestFinished(() => store.close().catch(() => undefined));
  return store;
}

const bytes = (n: number, length = 32): Uint8Array => new Uint8Array(length).fill(n);

const row = (idx: number, over: Partial<CheckRow> = {}): CheckRow => ({
  idx,
  decidedMs: 1_790_000_000_000 + idx,
  gate: 'north',
  zone: 'depot',
  purpose: 'entry',
  decision: 'ALLOW',
  reason: 'OK',
  digest: bytes(idx),
  session: `urn:uuid:${idx}`,
  nonce: bytes(idx),
  holder: `did:key:${idx}`,
  registration: 'urn:r:1',
  counter: idx,
  telemetry: `t${idx}`,
  validFromMs: 1,
  validUntilMs: 2,
  lat: 36.5,
  lon: 127,
  salt: bytes(1),
  content: bytes(2, 100),
  ...over,
});

it('keeps what was decided, and finds it by registration, counter and nonce', async () => {
  const store = await openStore();
  const checks = new Checks(store);
  const rows = [row(1), row(2, { holder: 'did:key:1', lat: null, lon: null }), row(5, { registration: 'urn:r:2' })];
  await store.write({ statements: rows.flatMap((r) => saveCheck(r, 100)) });
  const { digest, nonce, salt, content, ...plain } = rows[1] as CheckRow;
  const blobs = Object.fromEntries(
    Object.entries({ digest, nonce, salt, content }).map(([key, value]) => [key, Buffer.from(value as Uint8Array)]),
  );
  expect(checks.get(2)).toEqual({ ...plain, ...blobs });
  expect(checks.list(2, Number.MAX_SAFE_INTEGER).map((r) => r.idx)).toEqual([5, 2]);
  expect(checks.list(2, 5).map((r) => r.idx)).toEqual([2, 1]);
  expect(checks.ofRegistration('urn:r:1', 9).map((r) => r.idx)).toEqual([2, 1]);
  expect([checks.highestCounter('did:key:1'), checks.highestCounter('did:key:x')]).toEqual([2, undefined]);
  expect([checks.from(2, 9).map((r) => r.idx), checks.newest]).toEqual([[2, 5], 5]);
  expect(checks.withCounter('did:key:1', 1, 9).map((r) => r.idx)).toEqual([1]);
  expect([checks.isUsed(bytes(5)), checks.isUsed(bytes(9))]).toEqual([true, false]);
  expect(checks.counts()).toEqual([{ decision: 'ALLOW', reason: 'OK', n: 3 }]);
});

it('takes no nonce twice, whatever the program above thinks', async () => {
  const store = await openStore();
  await store.write({ statements: saveCheck(row(1), 100) });
  await expect(store.write({ statements: saveCheck(row(2, { nonce: bytes(1) }), 100) })).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  });
  // A check that used up none stands beside others.
  await store.write({ statements: [3, 4].flatMap((i) => saveCheck(row(i, { nonce: null }), 100)) });
  expect(new Checks(store).list(9, 99).map((r) => r.idx)).toEqual([4, 3, 1]);
});

it('keeps no more rows than it was told, the newest ones', async () => {
  const store = await openStore();
  for (let i = 1; i <= 8; i++) await store.write({ statements: saveCheck(row(i), 5) });
  expect(new Checks(store).list(9, 99).map((r) => r.idx)).toEqual([8, 7, 6, 5, 4]);
  await store.write({ statements: saveCheck(row(9), 2) }); // the cap was lowered
  expect(new Checks(store).list(9, 99).map((r) => r.idx)).toEqual([9, 8]);
});

it('forgets one vehicle by its registration, with all of its pseudonyms, and nobody else', async () => {
  const store = await openStore();
  const checks = new Checks(store);
  const rows = [
    row(1, { holder: 'did:key:a' }),
    row(2, { holder: 'did:key:b' }),
    row(3, { holder: 'did:key:b', registration: null, reason: 'NONCE_USED', decision: 'DENY', nonce: null }),
    row(4, { holder: 'did:key:c', registration: 'urn:r:2' }),
  ];
  await store.write({ statements: rows.flatMap((r) => saveCheck(r, 100)) });
  expect(knownChecks(store, 'urn:r:1')).toBe(3);
  await store.write({ statements: forgetChecks('urn:r:1') });
  expect([knownChecks(store, 'urn:r:1'), knownChecks(store, 'did:key:b'), knownChecks(store, 'urn:r:2')]).toEqual([
    0, 0, 1,
  ]);
  for (const idx of [1, 2, 3]) {
    const { decidedMs, gate, zone, purpose, decision, reason, digest, ...rest } = checks.get(idx) as CheckRow;
    expect({ decidedMs, gate, zone, purpose, decision, reason }).toMatchObject({ gate: 'north', zone: 'depot' });
    expect(Buffer.from(bytes(idx)).equals(digest)).toBe(true);
    expect(Object.values({ ...rest, idx: null }).every((v) => v === null)).toBe(true);
  }
  expect(checks.get(4)?.holder).toBe('did:key:c');
  await store.write({ statements: forgetChecks('did:key:c') });
  expect(checks.get(4)).toMatchObject({ holder: null, registration: null, salt: null, content: null });
});

it('never puts an older bundle in the place of a newer one, nor other bytes under its version', async () => {
  const folder = tempFolder();
  const store = await openStore(folder);
  const bundles = new CityBundles(store);
  expect(bundles.get('city')).toBeUndefined();
  const bundle = (version: number, fill = version) => ({
    city: 'city',
    version,
    sha256: bytes(fill),
    bytes: bytes(fill, 500),
    receivedMs: version,
    source: 'file',
  });
  for (const b of [bundle(5), bundle(4), bundle(5, 9)]) await bundles.put(b);
  expect(bundles.get('city')).toMatchObject({ version: 5, receivedMs: 5, sha256: Buffer.from(bytes(5)) });
  await store.close();
  const again = new CityBundles(await openStore(folder));
  await again.put(bundle(3));
  expect(again.get('city')?.version).toBe(5);
  await again.put({ ...bundle(1), city: 'another' }); // a key of its own counts from its own beginning
  await again.put(bundle(6));
  expect([again.get('city')?.version, again.get('another')?.version]).toEqual([6, 1]);
});
