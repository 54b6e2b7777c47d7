import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { keyTypeOf } from '../../edge/wire/did.ts';
import { decodeEnvelope, encodeEnvelope } from '../../edge/wire/envelope.ts';
import { verifyEnvelope } from '../../edge/wire/verify.ts';
import { Fleet, type FleetOptions } from '../../firmware-sim/load.ts';
import { didOf, fastSigner } from '../../firmware-sim/signer.ts';
import { Template } from '../../firmware-sim/template.ts';
import { makeShared, startBroker, temporaryFolder, whenAcked } from './harness.ts';

const secretKey = new Uint8Array(32).fill(9);
const sub = 'urn:sejong:mp:000042';

function startFleet(url: Parameters<typeof makeShared>[0], changes: Partial<FleetOptions>, folder = temporaryFolder()) {
  const made = makeShared(url, { window: 8 });
  const fleet = new Fleet(
    join(folder, 'fleet'),
    { devices: 3, rate: 0, pack: 1, presign: 0, seed: 7, seeded: true, keyType: () => 'Ed25519', ...changes },
    made.shared,
  );
  onTestFinished(async () => {
    fleet.finish();
    await Promise.all(fleet.devices.map((d) => d.stop()));
  });
  return { fleet, ...made };
}

describe('load', () => {
  it.each([
    [1, 'Ed25519'],
    [2, 'P-256'],
    [10, 'Ed25519'],
    [300, 'P-256'],
    [1500, 'P-256'],
    [1500, 'Ed25519'],
  ] as const)('makes the bytes that edge/wire makes, with %i records and an %s key', (pack, keyType) => {
    const key = { keyType, secretKey };
    const did = didOf(key);
    const template = new Template(did, sub, pack);
    const sign = fastSigner(key);
    for (const [iat, epoch, seq, register] of [
      [1_790_000_000, 1, 0, 70_000_000],
      [1_790_000_001, 0xffffffff, 0xffffffff, 0xfffffff0],
      [1_800_000_000, 3, 77, 65_536],
    ] as const) {
      const bytes = template.fill(iat, epoch, seq, register, 7, sign);
      const envelope = decodeEnvelope(bytes);
      expect(envelope.records.map((r) => r.t)).toEqual(
        Array.from({ length: pack }, (_, i) => (i === 0 ? undefined : -60 * i)),
      );
      expect(envelope.records[0]).toEqual({ n: '1-0:1.8.0', u: 'Wh', v: register });
      const again = encodeEnvelope({ iss: did, sub, iat, epoch, seq }, envelope.records, () => envelope.signature);
      expect(again).toEqual(new Uint8Array(bytes));
      verifyEnvelope(envelope);
    }
  });

  it('keeps every window full, in the order of the counters, and stops when told', async () => {
    const broker = await startBroker();
    const { fleet, tally } = startFleet(broker, { keyType: (i) => (i === 1 ? 'P-256' : 'Ed25519') });
    fleet.start();
    await broker.until(() => broker.received.length >= 300);
    fleet.finish();
    await whenAcked(() => fleet.devices.every((d) => d.buffered === 0));
    expect(tally.acked).toBe(tally.sent);
    expect(new Set(broker.received.map((r) => r.did))).toEqual(new Set(fleet.devices.map((d) => d.did)));
    expect(fleet.devices.map((d) => keyTypeOf(d.did))).toEqual(['Ed25519', 'P-256', 'Ed25519']);
    broker.received.length = 300;
    broker.check();
  });

  it('resends over a killed broker, and after a restart has a higher epoch and the same devices', async () => {
    const broker = await startBroker();
    const folder = temporaryFolder();
    const first = startFleet(broker, { devices: 2 }, folder);
    broker.policy = () => (broker.received.length % 3 === 0 ? 'hold' : 'ack');
    first.fleet.start();
    // What is held back blocks its connection in the broker, so each device gets no further than its first window.
    await broker.until(() => broker.received.length >= 12);
    await broker.kill();
    broker.policy = () => 'ack';
    await broker.start();
    await broker.until(() => first.tally.resent > 0);
    first.fleet.finish();
    await whenAcked(() => first.fleet.devices.every((d) => d.buffered === 0));
    expect(first.tally.acked).toBe(first.tally.sent);
    await Promise.all(first.fleet.devices.map((d) => d.stop()));
    const second = startFleet(broker, { devices: 2, presign: 10 }, folder);
    expect(second.fleet.devices.map((d) => [d.did, d.sub])).toEqual(first.fleet.devices.map((d) => [d.did, d.sub]));
    const before = broker.received.length;
    second.fleet.start();
    await broker.until(() => broker.received.length >= before + 10);
    expect(broker.received.slice(before).map((r) => decodeEnvelope(r.bytes).epoch)).toEqual(
      expect.arrayContaining([2]),
    );
    broker.received.length = Math.min(broker.received.length, 400);
    broker.check();
  });

  it('keeps to a rate', async () => {
    const broker = await startBroker();
    const { fleet, tally } = startFleet(broker, { rate: 200 });
    const begun = performance.now();
    fleet.start();
    await broker.until(() => broker.received.length >= 100);
    const seconds = (performance.now() - begun) / 1000;
    fleet.finish();
    expect(tally.sent).toBeLessThanOrEqual(200 * seconds + 10);
  });
});
