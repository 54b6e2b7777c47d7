import { describe, expect, it } from 'vitest';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import { decodeCbor } from '../../edge/wire/cbor.ts';
import { decodeOpenSign1 } from '../../edge/wire/cose.ts';
import { connectMqtt, startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

const STILL = { log: { checkpointSeconds: 3600, checkpointEntries: 1_000_000 } };

async function listener(gateway: TestGateway, name: string, topic: string) {
  const device = await new TestDevice(name).enrol(gateway);
  const client = await device.connect(gateway);
  const inbox: { topic: string; payload: Uint8Array }[] = [];
  client.on('message', (t, payload) => inbox.push({ topic: t, payload: new Uint8Array(payload) }));
  await client.subscribeAsync(`down/${device.did}/${topic}`, { qos: 1 });
  return { device, client, inbox };
}

const checkpoint = (gateway: TestGateway) => gateway.parts.log.makeCheckpoint(Date.now());

it('as COSE, an entry whose checkpoint is older than COSE receipts has one from the next checkpoint on', async () => {
  const old = await startTestGateway(STILL);
  await checkpoint(old);
  // What the step of the data format makes of an older folder.
  await old.parts.store.write({ statements: [{ sql: 'UPDATE checkpoints SET receipt = NULL', params: [] }] });
  await old.finish();
  const gateway = await startTestGateway({ ...STILL, dataFolder: old.config.dataFolder });
  const ask = () => gateway.api('/entries/0/receipt?format=cose');
  expect((await ask()).body).toMatchObject({ code: 'NOT_IN_CHECKPOINT' });
  expect((await gateway.api('/entries/0/receipt')).status, 'in the others it has').toBe(200);
  const { device, client } = await listener(gateway, 'later', 'error');
  await device.publish(client, device.envelope());
  await checkpoint(gateway);
  const { status, headers } = await ask();
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('application/cose; cose-type="cose-sign1"');
  await gateway.finish();
});

describe('down/{did}/receipt', () => {
  it('brings each device the COSE receipts of its own entries once a checkpoint covers them, and they verify', async () => {
    const gateway = await startTestGateway(STILL);
    const key = gateway.parts.log.verifierKey;
    const readers = [await listener(gateway, 'one', 'receipt'), await listener(gateway, 'two', '#')];
    const silent = await new TestDevice('silent').enrol(gateway);
    const silentClient = await silent.connect(gateway);
    const sent: { did: string; envelope: Uint8Array }[] = [];
    for (let i = 0; i < 20; i++)
      for (const { device, client } of [...readers, { device: silent, client: silentClient }]) {
        const envelope = device.envelope();
        await device.publish(client, envelope);
        sent.push({ did: device.did, envelope });
      }
    expect(
      readers.map((r) => r.inbox.length),
      'before a checkpoint',
    ).toEqual([0, 0]);
    await checkpoint(gateway);
    await until(() => readers.every((r) => r.inbox.length >= 20), 'all receipts');
    for (const { device, inbox } of readers) {
      expect(new Set(inbox.map((m) => m.topic))).toEqual(new Set([`down/${device.did}/receipt`]));
      const own = sent.filter((s) => s.did === device.did);
      expect(inbox).toHaveLength(own.length);
      for (const [i, { payload }] of inbox.entries()) {
        const steps: Step[] = [];
        const envelope = own[i]?.envelope as Uint8Array;
        expect(await verifyReceipt(payload, key, undefined, (s) => steps.push(s), { entry: envelope })).toBeUndefined();
        expect(steps.map(({ name }) => name)).toContain('seal');
        expect(steps).toHaveLength(6);
        // It names the counter by which the device finds its envelope again.
        const counter = decodeOpenSign1(payload).unprotected.get(-65_538) as Uint8Array;
        expect(Buffer.from(counter).toString('hex')).toBe(`00000001${i.toString(16).padStart(8, '0')}`);
        if (i > 0) continue;
        // RFC 9942: a tagged COSE_Sign1 with a detached payload.
        expect(payload[0]).toBe(0xd2);
        expect((decodeCbor(payload.subarray(1)) as unknown[])[2]).toBeNull();
        const other = own[1]?.envelope as Uint8Array;
        expect(await verifyReceipt(payload, key, undefined, () => undefined, { entry: other })).toBe('receipt format');
        expect(await verifyReceipt(payload, key, undefined, () => undefined)).toBe('receipt format');
        for (let bit = 0; bit < payload.length * 8; bit += 7) {
          const flipped = Uint8Array.from(payload);
          flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
          expect(
            await verifyReceipt(flipped, key, undefined, () => undefined, { entry: envelope }),
            `bit ${bit}`,
          ).toBeDefined();
        }
      }
    }
    await gateway.finish({ verifyOneIn: 10 });
  });

  it('brings nothing of what was covered before somebody listened, or after he has gone', async () => {
    const gateway = await startTestGateway(STILL);
    const { device, client, inbox } = await listener(gateway, 'guest', 'receipt');
    await client.unsubscribeAsync(`down/${device.did}/receipt`);
    expect(gateway.parts.mqtt.receiptReaders.size).toBe(0);
    await device.publish(client, device.envelope());
    await checkpoint(gateway);
    await client.subscribeAsync(`down/${device.did}/+`, { qos: 1 });
    expect([...gateway.parts.mqtt.receiptReaders]).toEqual([device.did]);
    await device.publish(client, device.envelope());
    await checkpoint(gateway);
    await until(() => inbox.length > 0, 'the second');
    expect(inbox).toHaveLength(1);
    await client.endAsync();
    await until(() => gateway.parts.mqtt.receiptReaders.size === 0, 'it is gone');
    const next = await connectMqtt(gateway, device.did, device.jwt(gateway.info.origin));
    await next.subscribeAsync(`down/${device.did}/error`, { qos: 1 });
    expect(gateway.parts.mqtt.receiptReaders.size, 'errors are no receipts').toBe(0);
    expect(gateway.parts.receipts.skipped).toBe(0);
    await gateway.finish();
  });
});
