import { EventEmitter, once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jwtVerify } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import { verifyKey } from '../../edge/intake/verify.ts';
import { decodeDid, keyTypeOf } from '../../edge/wire/did.ts';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { sequence } from '../../firmware-sim/random.ts';
import { cti, type TestBroker } from './broker.ts';
import { bootDevice, drained, makeShared, NOON, startBroker, temporaryFolder } from './harness.ts';

const minute = (i: number): number => NOON + i * 60_000;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Everything that was sampled has arrived, in the order of its counters, and was acknowledged no sooner. */
function expectAll(
  broker: TestBroker,
  expected: readonly string[],
  acked: readonly { epoch: number; seq: number; bytes: Uint8Array }[],
) {
  broker.check();
  expect(broker.firsts().map(cti)).toEqual(expected);
  const taken = new Set(broker.received.filter((r) => r.acked).map((r) => hex(r.bytes)));
  expect(new Set(acked.map(cti))).toEqual(new Set(expected));
  for (const { bytes } of acked) expect(taken.has(hex(bytes))).toBe(true);
}

describe('a device', () => {
  it.each([
    ['Ed25519', 'EdDSA'],
    ['P-256', 'ES256'],
  ] as const)(
    'with an %s key logs in with its DID and an %s token of its own for this gateway, a fresh one for each connection',
    async (keyType, alg) => {
      const broker = await startBroker();
      const { shared } = makeShared(broker);
      const device = bootDevice(temporaryFolder(), shared, 'meter', 'meter-001', keyType);
      onTestFinished(() => device.kill());
      device.sample(minute(0));
      device.goOnline();
      await drained(device);
      device.goOffline();
      device.goOnline();
      await broker.until(() => broker.logins.length === 2);
      for (const { user, password } of broker.logins) {
        expect(user).toBe(device.did);
        expect(decodeDid(user).type).toBe(keyType);
        const key = verifyKey(decodeDid(user)).object;
        const { payload, protectedHeader } = await jwtVerify(password, key, {
          audience: 'sejong.example/test',
          subject: user,
          algorithms: [alg],
        });
        expect(protectedHeader).toEqual({ alg, typ: 'JWT' });
        expect((payload.exp as number) - (payload.iat as number)).toBe(300);
      }
      broker.check();
    },
  );

  it('keeps its key in a file that only its owner can read, and never makes a new one for one it cannot read', async () => {
    const broker = await startBroker();
    const { shared } = makeShared(broker);
    const folder = temporaryFolder();
    const first = bootDevice(folder, shared);
    first.kill();
    expect(statSync(join(folder, 'key.json')).mode & 0o777).toBe(0o600);
    const second = bootDevice(folder, shared);
    second.kill();
    expect(second.did).toBe(first.did);
    writeFileSync(join(folder, 'key.json'), '{"secretKey":');
    expect(() => bootDevice(folder, shared)).toThrow(/key.json is not a key file/);
  });

  it('keeps the type of its key whatever the next run asks for, and one from before there was a choice is Ed25519', async () => {
    const broker = await startBroker();
    const { shared } = makeShared(broker);
    const [folder, old] = [temporaryFolder(), temporaryFolder()];
    const boot = (where: string, keyType?: 'P-256' | 'Ed25519') => {
      const device = bootDevice(where, shared, 'meter', 'meter-001', keyType);
      device.kill();
      return device.did;
    };
    const did = boot(folder, 'P-256');
    expect(keyTypeOf(did)).toBe('P-256');
    expect(boot(folder, 'Ed25519')).toBe(did);
    const before = boot(old);
    const path = join(old, 'key.json');
    const { keyType, ...rest } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    expect(keyType).toBe('Ed25519');
    writeFileSync(path, JSON.stringify(rest));
    expect(boot(old, 'P-256')).toBe(before);
    writeFileSync(path, JSON.stringify({ ...rest, keyType: 'RSA' }));
    expect(() => boot(old)).toThrow(/key.json is not a key file/);
  });

  it('measures on while it is offline, then drains in order', async () => {
    const broker = await startBroker();
    const { shared, tally, acked } = makeShared(broker);
    const device = bootDevice(temporaryFolder(), shared);
    onTestFinished(() => device.kill());
    device.goOnline();
    for (let i = 0; i < 5; i++) device.sample(minute(i));
    await drained(device);
    device.goOffline();
    for (let i = 5; i < 105; i++) device.sample(minute(i));
    expect(device.buffered).toBe(100);
    expect(tally.sent).toBe(5);
    device.goOnline();
    await drained(device);
    expectAll(
      broker,
      Array.from({ length: 105 }, (_, i) => `1/${i}`),
      acked,
    );
    expect(tally.resent).toBe(0);
  });

  it('sends the very same bytes again until they are acknowledged, from the first one on, over killed brokers', async () => {
    const broker = await startBroker();
    const lines = new EventEmitter();
    const { shared, tally, acked } = makeShared(broker, { window: 8, onLine: (why) => lines.emit('line', why) });
    const lost = async () => device.isUp && (await once(lines, 'line'));
    const device = bootDevice(temporaryFolder(), shared, 'plant');
    onTestFinished(() => device.kill());
    const random = sequence(11);
    let total = 0;
    let before = 0;
    device.goOnline();
    for (let round = 0; round < 6; round++) {
      // Some get their PUBACK, some get none, and one costs the connection.
      broker.policy = () => (random() < 0.4 ? 'hold' : random() < 0.05 ? 'cut' : 'ack');
      for (let i = 0; i < 30; i++) device.sample(minute(total++));
      await broker.until(() => broker.received.length >= before + 4);
      await broker.kill();
      await lost();
      const known = new Set(acked.map(cti));
      before = broker.received.length;
      await broker.start();
      await broker.until(() => broker.received.length > before);
      // From the first one that is not acknowledged; and what is, even out of order, is not sent again.
      const again = broker.received.slice(before).map((r) => cti(decodeEnvelope(r.bytes)));
      expect(again.filter((c) => known.has(c))).toEqual([]);
      expect(again[0]).toBe(Array.from({ length: total }, (_, i) => `1/${i}`).find((c) => !known.has(c)));
    }
    await broker.kill();
    broker.policy = () => 'ack';
    await broker.start();
    await drained(device);
    expectAll(
      broker,
      Array.from({ length: total }, (_, i) => `1/${i}`),
      acked,
    );
    expect(tally.resent).toBeGreaterThan(10);
    expect(tally.acked).toBe(total);
    expect(tally.sent).toBe(total);
  });

  it('has no more under way than its window', async () => {
    const broker = await startBroker();
    const { shared, tally } = makeShared(broker, { window: 4 });
    broker.policy = () => 'hold';
    const device = bootDevice(temporaryFolder(), shared);
    onTestFinished(() => device.kill());
    for (let i = 0; i < 20; i++) device.sample(minute(i));
    device.goOnline();
    await broker.until(() => broker.received.length === 4);
    expect(tally.sent).toBe(4);
    expect(device.buffered).toBe(20);
  });

  it('after a power cut has a higher epoch, counts from 0, and drains what it held first', async () => {
    const broker = await startBroker();
    const { shared, acked } = makeShared(broker);
    const folder = temporaryFolder();
    let device = bootDevice(folder, shared);
    device.goOnline();
    device.sample(minute(0));
    await drained(device);
    device.goOffline();
    for (let i = 1; i < 4; i++) device.sample(minute(i));
    device.kill();
    device = bootDevice(folder, shared);
    expect(device.buffered).toBe(3);
    device.sample(minute(4));
    device.kill(); // and once more, without ever having had a line
    device = bootDevice(folder, shared);
    onTestFinished(() => device.kill());
    device.sample(minute(5));
    device.goOnline();
    await drained(device);
    expectAll(broker, ['1/0', '1/1', '1/2', '1/3', '2/0', '3/0'], acked);
    const registers = broker.firsts().map((e) => e.records[0]?.v as number);
    expect(registers).toEqual([...registers].sort((a, b) => a - b));
  });

  it('stops sampling when its buffer is full, loses nothing that it holds, and counts what it did not take', async () => {
    const broker = await startBroker();
    const { shared, tally, acked } = makeShared(broker, { bufferCap: 5 });
    const device = bootDevice(temporaryFolder(), shared);
    onTestFinished(() => device.kill());
    expect(Array.from({ length: 8 }, (_, i) => device.sample(minute(i)))).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(tally.missed).toBe(3);
    device.goOnline();
    await drained(device);
    // The energy of the minutes that were not sampled is in the next reading.
    device.sample(minute(8));
    await drained(device);
    expectAll(broker, ['1/0', '1/1', '1/2', '1/3', '1/4', '1/5'], acked);
  });

  it('counts what it is told of refused envelopes, by code', async () => {
    const broker = await startBroker();
    const { shared, tally } = makeShared(broker);
    const device = bootDevice(temporaryFolder(), shared);
    onTestFinished(() => device.kill());
    device.sample(minute(0));
    device.goOnline();
    await drained(device);
    const topic = `down/${device.did}/error`;
    broker.say(topic, JSON.stringify({ code: 'SUBJECT_MISMATCH', detail: 'x', cti: '0000000100000000' }));
    broker.say(topic, JSON.stringify({ code: 'SUBJECT_MISMATCH', detail: 'x', cti: null }));
    broker.say(topic, 'not JSON');
    broker.say(`down/${device.did}/receipt`, 'a receipt');
    while (tally.receipts === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(Object.fromEntries(tally.refused)).toEqual({ SUBJECT_MISMATCH: 2, UNREADABLE: 1 });
  });
});

describe('a seed', () => {
  const readings = async (kind: 'meter' | 'plant' | 'vehicle', runSeed: number) => {
    const broker = await startBroker();
    const { shared } = makeShared(broker);
    const folder = temporaryFolder();
    const { Device } = await import('../../firmware-sim/device.ts');
    const device = new Device(folder, { name: `${kind}-001`, kind, runSeed, seeded: true, ordinal: 4 }, shared, NOON);
    for (let i = 0; i < 20; i++) device.sample(minute(i));
    device.goOnline();
    await drained(device);
    device.kill();
    return {
      did: device.did,
      sub: device.identity.sub,
      records: broker.received.map((r) => decodeEnvelope(r.bytes).records),
      key: readFileSync(join(folder, 'key.json'), 'utf8'),
    };
  };

  for (const kind of ['meter', 'plant', 'vehicle'] as const)
    it(`makes the same ${kind} measure the same again, and another one something else`, async () => {
      const [a, same, other] = [await readings(kind, 7), await readings(kind, 7), await readings(kind, 8)];
      expect(a).toEqual(same);
      expect(other.did).not.toBe(a.did);
      expect(other.sub).not.toBe(a.sub);
      expect(other.records).not.toEqual(a.records);
      expect(a.sub).toMatch(kind === 'vehicle' ? /^urn:sejong:vehicle:\d{6}$/ : /^urn:sejong:mp:\d{6}$/);
    });
});
