import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { parseJsonOpening } from '../../edge/log/receipt.ts';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { saltedHash } from '../support/sealed-truth.ts';
import { tempFolder, until } from '../support/temp.ts';

const offer = (gateway: TestGateway, device: TestDevice, envelope = device.envelope()) =>
  gateway.parts.accept.offer(envelope, { did: device.did, topic: 'test' });

const speed = (v: number) => [
  { n: 'Vehicle.Speed', u: 'km/h', v },
  { n: 'Vehicle.CurrentLocation.Latitude', v: 36.4801 + v / 1000 },
];

/** Everything in the data folder but the keys, as one string of bytes. */
function allFiles(folder: string): string {
  const read = (path: string): string =>
    readdirSync(path, { withFileTypes: true })
      .filter(({ name }) => name !== 'keys')
      .map((e) => (e.isDirectory() ? read(join(path, e.name)) : readFileSync(join(path, e.name), 'latin1')))
      .join('|');
  return read(folder);
}

type Secret = { signature: Buffer; payload: Buffer; salt: Buffer; secret: Buffer };

/** What must be nowhere once it is forgotten: of each entry of a device, and the key that it lay under. */
function secretsOf(gateway: TestGateway, did: string): Secret[] {
  const { entries, devices } = gateway.parts;
  const id = devices.get(did)?.id as number;
  const db = new Database(join(gateway.config.dataFolder, 'edge.db'), { readonly: true });
  const key = db.prepare(
    'SELECT secret FROM content_keys JOIN contents ON contents.key = content_keys.id WHERE idx = ?',
  );
  const rows = entries.pageOfDevice(id, -1, 0, Number.MAX_SAFE_INTEGER, 10_000);
  const secrets = rows.map((row) => {
    const { signature, payload } = decodeEnvelope(new Uint8Array(row.envelope));
    return {
      signature: Buffer.from(signature),
      payload: Buffer.from(payload),
      salt: Buffer.from(row.salt as Uint8Array),
      secret: key.pluck().get(row.idx) as Buffer,
    };
  });
  db.close();
  return secrets;
}

const has = (files: string, bytes: Uint8Array): boolean => files.includes(Buffer.from(bytes).toString('latin1'));

type Answer = {
  tombstone: number | null;
  salt: string | null;
  entries: number;
  quarantined: number;
  complete: boolean;
};
const forget = async (gateway: TestGateway, subject: string) => {
  const { status, body } = await gateway.api('/forget', { method: 'POST', body: { subject } });
  expect(status).toBe(200);
  return body as Answer;
};

describe('forget', () => {
  it('destroys content and salt of all that a subject said, and nothing of anybody else', async () => {
    const gateway = await startTestGateway({ log: { checkpointSeconds: 0.1 } });
    const [car, other, sensor] = [
      await new TestDevice('car', 'vehicle').enrol(gateway),
      await new TestDevice('other', 'vehicle').enrol(gateway),
      await new TestDevice('sensor', 'sensor').enrol(gateway),
    ];
    const said: Uint8Array[] = [];
    for (let i = 0; i < 40; i++) {
      const envelope = car.envelope({ records: speed(i) });
      said.push(envelope);
      await Promise.all([
        offer(gateway, car, envelope),
        offer(gateway, other, other.envelope({ records: speed(i) })),
        offer(gateway, sensor),
      ]);
    }
    // Refused, and kept in quarantine: it is of the car, too.
    const equivocation = car.envelope({ seq: 3, records: speed(99) });
    expect(await offer(gateway, car, equivocation)).toMatchObject({ code: 'EQUIVOCATION' });
    await offer(gateway, other, other.envelope({ seq: 3, records: speed(99) }));
    // What the gateway says of a sealed device is sealed, and forgotten with it.
    await offer(gateway, car, car.envelope({ seq: 50, records: speed(1) }));
    const gap = (
      await gateway.api(`/devices/${car.did}/gaps`, { method: 'POST', body: { epoch: 1, first: 40, last: 49 } })
    ).body as { index: number };
    const { log, quarantine, devices } = gateway.parts;
    await until(() => (log.latest?.size ?? 0) > gap.index, 'a checkpoint');
    const mine = (await gateway.api(`/entries?device=${car.did}`)).body as { entries: { index: number }[] };
    const index = mine.entries[7]?.index as number;
    const receipt = (await gateway.api(`/entries/${index}/receipt`)).text;
    const opening = parseJsonOpening((await gateway.api(`/entries/${index}/opening`)).text);
    const counter = devices.get(car.did)?.counter;

    const secrets = secretsOf(gateway, car.did);
    const others = secretsOf(gateway, other.did);
    expect([secrets.length, others.length]).toEqual([41, 40]);
    // The test can see: the key and the refused bytes lie in the files before. What is sealed does not, as such.
    const before = allFiles(gateway.config.dataFolder);
    expect(has(before, secrets[0]?.secret as Buffer)).toBe(true);
    expect(has(before, decodeEnvelope(equivocation).signature)).toBe(true);
    expect(secrets.some(({ signature, salt }) => has(before, signature) || has(before, salt))).toBe(false);

    const answer = await forget(gateway, car.sub);
    expect(answer).toMatchObject({
      entries: 42,
      quarantined: 1,
      complete: true,
      asides: [],
      devices: 1,
      others: expect.toSatisfy((n: number) => n === 1 || n === 2), // who declared the gap; the alarm, if it came already
      open: false,
    });
    const check = (): void => {
      const files = allFiles(gateway.config.dataFolder);
      for (const s of secrets) for (const bytes of Object.values(s)) expect(has(files, bytes)).toBe(false);
      expect(has(files, decodeEnvelope(equivocation).signature)).toBe(false);
      expect(has(files, others[0]?.secret as Buffer)).toBe(true);
    };
    check();
    expect([quarantine.held, quarantine.heldBy(car.did), quarantine.heldBy(other.did)]).toEqual([1, 0, 1]);

    // Gone for everybody who may read, and said so.
    for (const i of [index, gap.index]) {
      expect((await gateway.api(`/entries/${i}`)).body).toMatchObject({ status: 410, code: 'ENTRY_FORGOTTEN' });
      expect((await gateway.api(`/entries/${i}/opening`)).body).toMatchObject({ code: 'ENTRY_FORGOTTEN' });
    }
    const after = (await gateway.api(`/entries?device=${car.did}`)).body as { entries: Record<string, unknown>[] };
    expect(after.entries).toHaveLength(41);
    for (const entry of after.entries) {
      expect(entry).toMatchObject({ forgotten: true, sealed: true, records: [] });
      expect(Object.keys(entry)).not.toContain('envelope');
    }
    // The tombstone names nobody, but to whom the salt was given.
    const stone = (await gateway.api(`/entries/${answer.tombstone}`)).body as { records: unknown[]; sealed?: true };
    const digest = saltedHash(Buffer.from(answer.salt as string, 'hex'), Buffer.from('')).length;
    expect(digest).toBe(32);
    expect(stone.sealed).toBeUndefined();
    expect(JSON.stringify(stone)).not.toContain(car.did);
    expect(JSON.stringify(stone)).not.toContain(car.sub);
    const { encode, rfc8949EncodeOptions } = await import('cborg');
    const named = createHash('sha256')
      .update(encode([Uint8Array.from(Buffer.from(answer.salt as string, 'hex')), car.sub], rfc8949EncodeOptions))
      .digest('hex');
    expect(stone.records).toEqual([
      { n: 'forget', vs: named },
      { n: 'forget-below', v: expect.any(Number) },
    ]);

    // Receipts: those of others as before, and of the forgotten one that there was something; an opening still opens it.
    const key = log.verifierKey;
    expect(await verifyReceipt(receipt, key, undefined, () => undefined)).toBeUndefined();
    const fresh = (await gateway.api(`/entries/${index}/receipt`)).text;
    const steps: Step[] = [];
    expect(await verifyReceipt(fresh, key, undefined, (s) => steps.push(s))).toBeUndefined();
    expect(steps.map(({ name }) => name)).not.toContain('device signature');
    expect(await verifyReceipt(fresh, key, undefined, (s) => steps.push(s), { openings: [opening] })).toBeUndefined();
    expect(steps.map(({ name }) => name)).toContain('device signature');

    // The device is as it was: what it sends again is known and not kept, what is new is taken.
    expect(devices.get(car.did)?.counter).toBe(counter);
    expect(await offer(gateway, car, said[7])).toEqual({ kind: 'known', index });
    expect(await offer(gateway, car, equivocation)).toMatchObject({ kind: 'known' });
    check();
    const later = car.envelope({ seq: 51, records: speed(5) });
    expect(await offer(gateway, car, later)).toMatchObject({ kind: 'accepted' });

    // Again: what came since, and then nothing, and no second tombstone for it.
    expect(await forget(gateway, car.did)).toMatchObject({ entries: 1, quarantined: 0, complete: true });
    const nothing = await forget(gateway, car.did);
    expect(nothing).toMatchObject({ tombstone: null, salt: null, entries: 0 });
    check();
    const truth = await gateway.finish({ verifyOneIn: 10 });
    expect([truth.forgotten.size, truth.holds(said[7] as Uint8Array), truth.holds(later)]).toEqual([43, false, false]);
    check();

    // A bundle has what is left: receipts without openings, counted; of the device alone nothing shows that it is its.
    const folder = tempFolder();
    for (const [name, more, wanted] of [
      ['all', [], /\d+ of them sealed, 43 of those forgotten, 0 pruned/],
      ['mine', ['--device', car.did], /0 entries, 42 pruned/],
    ] as const) {
      const out = join(folder, name);
      expect((await edge(['export', '--data', gateway.config.dataFolder, '--out', out, ...more])).code).toBe(0);
      expect(readFileSync(out, 'utf8').includes(car.sub)).toBe(false);
      const { code, stdout } = await edge(['verify', out, '--key', key]);
      expect([code, stdout]).toEqual([0, expect.stringMatching(wanted)]);
    }
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    expect(await offer(again, car, said[7])).toEqual({ kind: 'known', index });
    await again.finish({ verifyOneIn: 10 });
  });

  it('is for operators, of somebody who is known here, and never of the gateway itself', async () => {
    const gateway = await startTestGateway();
    for (const [subject, status, code] of [
      ['urn:sejong:mp:nobody', 404, 'SUBJECT_UNKNOWN'],
      [gateway.info.did, 404, 'SUBJECT_UNKNOWN'],
      ['somebody', 400, 'REQUEST_INVALID'],
      ['', 400, 'REQUEST_INVALID'],
    ] as const)
      expect((await gateway.api('/forget', { method: 'POST', body: { subject } })).body).toMatchObject({
        status,
        code,
      });
    await gateway.finish();
  });

  it('says where it can destroy nothing: what is not sealed stays', async () => {
    const gateway = await startTestGateway();
    const sensor = await new TestDevice('sensor', 'sensor').enrol(gateway);
    await offer(gateway, sensor);
    expect(await forget(gateway, sensor.did)).toMatchObject({ open: true, entries: 0, tombstone: null });
    expect((await gateway.api('/entries/1')).status).toBe(200);
    await gateway.finish();
  });

  it('takes all devices of a metering point, also what was pruned before', async () => {
    const values = { clock: { source: 'synced' as const }, log: { checkpointSeconds: 3600 } };
    const gateway = await startTestGateway(values);
    const old = new TestDevice('old');
    const heir = Object.assign(new TestDevice('heir'), { sub: old.sub });
    const other = new TestDevice('neighbour');
    for (const device of [old, heir, other]) await device.enrol(gateway);
    const sent = Array.from({ length: 300 }, (_, i) => {
      const device = [old, heir, other][i % 3] as TestDevice;
      return { device, envelope: device.envelope() };
    });
    await Promise.all(sent.map(({ device, envelope }) => offer(gateway, device, envelope)));
    await gateway.finish({ verifyOneIn: 50 });
    const { dataFolder } = gateway.config;
    const again = await startTestGateway({ dataFolder, ...values, retention: { days: 1e-9 } });
    await until(() => again.parts.log.minimumIndex === 256, 'a tile is pruned');
    // Pruned, and still known and told from others by its salt and digest.
    expect(await offer(again, old, sent[0]?.envelope)).toEqual({ kind: 'known', index: 1 });
    expect(await offer(again, old, old.envelope({ seq: 0, records: old.records(77) }))).toMatchObject({
      code: 'EQUIVOCATION',
    });
    const answer = await forget(again, old.sub);
    expect(answer).toMatchObject({ complete: true, quarantined: 1, devices: 2 });
    expect(answer.entries, 'those that had not lost their contents already').toBe(30);
    expect(await offer(again, old, sent[0]?.envelope)).toEqual({ kind: 'known', index: 1 });
    expect(await offer(again, old, old.envelope({ seq: 0, records: old.records(77) }))).toMatchObject({
      kind: 'known',
    });
    expect(await offer(again, other, other.envelope({ seq: 0, records: other.records(77) }))).toMatchObject({
      code: 'EQUIVOCATION',
    });
    const truth = await again.finish({ verifyOneIn: 50 });
    expect([truth.forgotten.size, truth.holds(sent[2]?.envelope as Uint8Array)]).toEqual([200, true]);
  });

  it('from the command line says what it did, and what it could not reach', async () => {
    const gateway = await startTestGateway();
    const car = await new TestDevice('car', 'vehicle').enrol(gateway);
    for (let i = 0; i < 3; i++) await offer(gateway, car, car.envelope({ records: speed(i) }));
    const args = ['forget', '--data', gateway.config.dataFolder, '--subject', car.sub];
    expect((await edge(args)).stderr).toContain('say --yes');
    const { code, stdout, stderr } = await edge([...args, '--yes']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^forgotten 3 entries, 0 envelopes in quarantine, 0 other rows\ntombstone entry 4\nsalt {6}[0-9a-f]{64}\n$/,
    );
    expect((await edge([...args, '--yes'])).stdout).toBe('forgotten nothing was left of it\n');
    expect((await edge(['forget', '--data', gateway.config.dataFolder, '--subject', 'urn:x', '--yes'])).code).toBe(1);
    expect((await gateway.finish()).forgotten.size).toBe(3);
  });

  it('of many at once takes all of each, and tidies up after the last', async () => {
    const gateway = await startTestGateway();
    const cars = await Promise.all(
      Array.from({ length: 6 }, (_, i) => new TestDevice(`car-${i}`, 'vehicle').enrol(gateway)),
    );
    const send = () => Promise.all(cars.map((car) => offer(gateway, car, car.envelope({ records: speed(1) }))));
    for (let i = 0; i < 20; i++) await send();
    await Promise.all([
      ...cars.slice(1).map(({ did }) => forget(gateway, did)),
      send(),
      forget(gateway, cars[1]?.sub ?? ''),
    ]);
    await until(() => !gateway.parts.forgetting.pending, 'all is tidied up');
    const truth = await gateway.finish({ verifyOneIn: 20 });
    expect(truth.forgotten.size).toBeGreaterThanOrEqual(100);
    expect(truth.sealed + truth.forgotten.size).toBe(126);
    expect(truth.sealed).toBeGreaterThanOrEqual(21);
  });

  it('waits for who reads the file meanwhile, and says that traces are left until then', async () => {
    const gateway = await startTestGateway();
    const car = await new TestDevice('car', 'vehicle').enrol(gateway);
    await offer(gateway, car, car.envelope({ records: speed(1) }));
    const [{ secret }] = secretsOf(gateway, car.did) as [Secret];
    const reader = new Database(join(gateway.config.dataFolder, 'edge.db'), { readonly: true });
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM entries').get();
    expect(await forget(gateway, car.sub)).toMatchObject({ complete: false, entries: 1 });
    expect((await gateway.api('/metrics')).text).toMatch(/^sejong_edge_forget_pending 1$/m);
    expect((await gateway.api('/entries/1')).body, 'it cannot be read already').toMatchObject({ status: 410 });
    reader.close();
    await until(() => !gateway.parts.forgetting.pending, 'all traces are gone');
    expect(has(allFiles(gateway.config.dataFolder), secret)).toBe(false);
    await gateway.finish();
  });
});
