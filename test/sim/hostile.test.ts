import { describe, expect, it, onTestFinished } from 'vitest';
import { decodeDid } from '../../edge/wire/did.ts';
import { verifyEd25519 } from '../../edge/wire/ed25519.ts';
import { decodeEnvelope, encodeEnvelope } from '../../edge/wire/envelope.ts';
import { changePayload, HostileDevice, type HostileKind } from '../../firmware-sim/hostile.ts';
import type { TestBroker } from './broker.ts';
import { makeShared, startBroker, temporaryFolder, whenAcked } from './harness.ts';

function boot(kind: HostileKind, broker: TestBroker, folder = temporaryFolder()) {
  const { shared, tally } = makeShared(broker);
  const fresh = { name: `hostile-${kind}`, kind: 'meter' as const, runSeed: 7, seeded: true, ordinal: 3 };
  const device = new HostileDevice(kind, folder, fresh, shared);
  onTestFinished(() => device.stop());
  device.start();
  return { device, tally, folder };
}

/** One act after the other, each when the one before was acknowledged. */
async function act(device: HostileDevice, tally: { acked: number; sent: number }, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const before = tally.acked;
    device.act();
    await whenAcked(() => tally.acked > before && tally.acked === tally.sent);
  }
}

const read = (broker: TestBroker) =>
  broker.received.map(({ did, bytes }) => {
    const envelope = decodeEnvelope(bytes);
    return {
      did,
      ...envelope,
      valid: verifyEd25519(envelope.signature, envelope.signed, decodeDid(envelope.iss).bytes),
    };
  });

describe('hostile devices', () => {
  it('forged: well-formed envelopes under its own name whose signatures do not verify, of both kinds', async () => {
    const broker = await startBroker();
    const { device, tally } = boot('forged', broker);
    await act(device, tally, 4);
    const seen = read(broker);
    expect(seen.map((e) => [e.iss, e.valid])).toEqual(Array(4).fill([device.identity.did, false]));
    // The second kind differs from what was signed in one bit of its payload.
    expect(seen.map((e) => e.records[2]?.v)).toEqual([400, 401, 400, 401]);
    expect(new Set(seen.map((e) => e.seq)).size).toBe(4);
    expect(device.bad).toBe(4);
  });

  it('replay: valid envelopes with a lower epoch than one before, never seen, in no gap', async () => {
    const broker = await startBroker();
    const first = boot('replay', broker);
    await act(first.device, first.tally, 3);
    await first.device.stop();
    const second = boot('replay', broker, first.folder);
    await act(second.device, second.tally, 2);
    const seen = read(broker);
    expect(seen.every((e) => e.valid)).toBe(true);
    expect(seen.map((e) => [e.epoch, e.seq])).toEqual([
      [2, 0],
      [1, 1_000_001],
      [1, 1_000_002],
      [4, 0],
      [3, 1_000_001],
    ]);
    expect([first.device.bad, second.device.bad]).toEqual([2, 1]);
  });

  it('equivocate: two different valid envelopes under one counter', async () => {
    const broker = await startBroker();
    const { device, tally } = boot('equivocate', broker);
    await act(device, tally, 3);
    const seen = read(broker);
    expect(seen.every((e) => e.valid)).toBe(true);
    expect(seen.map((e) => e.seq)).toEqual([0, 0, 1, 1, 2, 2]);
    for (let i = 0; i < 6; i += 2) expect(seen[i]?.records).not.toEqual(seen[i + 1]?.records);
    expect(device.bad).toBe(3);
  });

  it('flood: valid envelopes without a pause', async () => {
    const broker = await startBroker();
    const { device, tally } = boot('flood', broker);
    await broker.until(() => broker.received.length > 2000);
    device.finish();
    await whenAcked(() => tally.acked === tally.sent);
    expect(new Set(broker.received.map((r) => r.did))).toEqual(new Set([device.identity.did]));
    broker.received.length = 50;
    broker.check();
    expect(device.bad).toBe(0);
  });

  it('do no more while nobody acknowledges', async () => {
    const broker = await startBroker();
    broker.policy = () => 'hold';
    const { device, tally } = boot('equivocate', broker);
    for (let i = 0; i < 100; i++) device.act();
    await broker.until(() => broker.received.length === 16);
    expect(device.bad).toBeLessThanOrEqual(8);
    expect(tally.acked).toBe(0);
  });

  it('a changed payload differs in one bit and still decodes', () => {
    const made = encodeEnvelope(
      { iss: 'did:key:zabc', sub: 'urn:x:1', iat: 1, epoch: 1, seq: 1 },
      [
        { n: 'a', v: 1.5 },
        { n: 'b', vs: 'text' },
      ],
      () => new Uint8Array(64),
    );
    const changed = changePayload(made);
    const bits = made.reduce(
      (sum, byte, i) => sum + (byte ^ (changed[i] as number)).toString(2).replaceAll('0', '').length,
      0,
    );
    expect(bits).toBe(1);
    expect(decodeEnvelope(changed).payload).not.toEqual(decodeEnvelope(made).payload);
  });
});
