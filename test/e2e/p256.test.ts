/** Devices with P-256 and with Ed25519 keys side by side, over real MQTT, and what each of them must not claim. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MqttClient } from 'mqtt';
import { expect, it } from 'vitest';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

const N_OF_P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
type Entries = { entries: { index: number; did: string; seq: number; custody: string }[] };
type Held = { quarantine: { did: string; code: string; detail: string; cti: string | null }[] };

/** What anybody can make of an envelope with an ECDSA signature: n - s for s, and all else the same. */
function twinOf(envelope: Uint8Array): Uint8Array {
  const twin = Buffer.from(envelope);
  const s = BigInt(`0x${twin.subarray(-32).toString('hex')}`);
  twin.write((N_OF_P256 - s).toString(16).padStart(64, '0'), twin.length - 32, 'hex');
  return twin;
}

it('P-256 and Ed25519 devices are taken side by side, each only with the alg of its key, and no twin of a signature is', async () => {
  const gateway = await startTestGateway();
  const folder = tempFolder();
  const curve = await new TestDevice('p256-1', 'meter', 'P-256').enrol(gateway);
  const edwards = await new TestDevice('ed25519-1').enrol(gateway);
  // One by the command line, as an operator does it.
  const vehicle = new TestDevice('p256-2', 'sensor', 'P-256');
  const { code, stdout, stderr } = await edge(
    ['enroll', '--kind', 'sensor', '--sub', vehicle.sub, '--did', vehicle.did, '--data', join(folder, 'data')].concat([
      '--url',
      gateway.info.http,
      '--token',
      await gateway.token('operator'),
    ]),
  );
  expect([code, stdout], stderr).toEqual([0, `did       ${vehicle.did}\n`]);

  const devices = [curve, edwards, vehicle];
  const clients = new Map<TestDevice, MqttClient>();
  const told = new Map<TestDevice, string[]>(devices.map((d) => [d, []]));
  for (const device of devices) {
    const client = await device.connect(gateway);
    client.on('message', (topic, payload) => {
      if (topic === `down/${device.did}/error`) told.get(device)?.push(JSON.parse(payload.toString()).code);
    });
    await client.subscribeAsync(`down/${device.did}/error`, { qos: 1 });
    clients.set(device, client);
  }
  const publish = (device: TestDevice, envelope: Uint8Array) =>
    device.publish(clients.get(device) as MqttClient, envelope);
  await Promise.all(devices.flatMap((d) => Array.from({ length: 20 }, () => publish(d, d.envelope()))));
  await publish(edwards, edwards.envelope({ alg: -8 }));

  // The message does not choose the verifier: each signs with its own, valid key, and claims the other's algorithm.
  await publish(curve, curve.envelope({ alg: -19 }));
  await publish(curve, curve.envelope({ alg: -8 }));
  await publish(edwards, edwards.envelope({ alg: -9 }));
  // Nor does whoever has an Ed25519 key speak for the P-256 device.
  const forger = new TestDevice('forger');
  await publish(curve, forger.envelope({ iss: curve.did, sub: curve.sub, alg: -19, seq: 900 }));
  await publish(curve, curve.envelope({ secretKey: new TestDevice('other', 'meter', 'P-256').secretKey, seq: 901 }));

  // A twin after its envelope is no equivocation, one before it takes nothing away, and the envelope is still known.
  const [sent, unsent] = [curve.envelope(), curve.envelope()];
  await publish(curve, sent);
  await publish(curve, twinOf(sent));
  await publish(curve, twinOf(unsent));
  await publish(curve, unsent);
  await publish(curve, sent);
  const counts = { accepted: 60 + 1 + 2, known: 1 };
  expect(gateway.parts.accept.counts).toMatchObject({ ...counts, accepted: counts.accepted + 2 }); // and the genesis, and an enrolment

  const { quarantine } = (await gateway.api('/quarantine?limit=100')).body as Held;
  const codes = (did: string) => quarantine.flatMap((q) => (q.did === did ? [q.code] : [])).sort();
  expect(codes(curve.did)).toEqual([
    ...Array(3).fill('ALG_MISMATCH'),
    ...Array(3).fill('SIGNATURE_INVALID'), // another key's, and the two twins
  ]);
  expect(codes(edwards.did)).toEqual(['ALG_MISMATCH']);
  expect(quarantine).toHaveLength(7);
  expect(quarantine.map((q) => q.detail)).toEqual(
    expect.arrayContaining([
      "alg is -19, but the device's key is P-256: alg -9",
      "alg is -9, but the device's key is Ed25519: alg -19 or -8",
      `not by ${curve.did}`,
      `not by ${curve.did}: s is above half of the group order (send n - s)`,
    ]),
  );
  // The devices were told the same.
  await until(() => told.get(curve)?.length === 6, 'the device is told of what was refused');
  expect(told.get(curve)?.sort()).toEqual(codes(curve.did));
  expect(told.get(vehicle)).toEqual([]);

  // An auditor sees which key it was.
  const { entries } = (await gateway.api(`/entries?device=${curve.did}&limit=100`)).body as Entries;
  expect(entries).toHaveLength(22);
  await until(() => gateway.parts.log.latest?.size === gateway.parts.log.size, 'a checkpoint covers all');
  const receipt = join(folder, 'receipt.json');
  // Of the sensor: its envelope stands in the open log, and in the receipt.
  const open = (await gateway.api(`/entries?device=${vehicle.did}&limit=1`)).body as Entries;
  const { text } = await gateway.api(`/entries/${open.entries[0]?.index}/receipt`);
  const key = (await gateway.api('/log/key')).text.trim();
  const verify = async (change: (entry: Uint8Array) => Uint8Array) => {
    const parsed = JSON.parse(text) as { entry: string };
    const entry = Buffer.from(change(Buffer.from(parsed.entry, 'base64'))).toString('base64');
    writeFileSync(receipt, JSON.stringify({ ...parsed, entry }));
    return (await edge(['verify', receipt, '--key', key])).stdout;
  };
  expect(await verify((entry) => entry)).toContain(`ok    device signature      by ${vehicle.did}\n`);
  expect(await verify(twinOf)).toMatch(/^FAIL {2}device signature {6}SIGNATURE_INVALID: not by .*send n - s/m);

  // And after a restart, with keys read anew.
  await gateway.finish();
  const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
  const client = await curve.connect(again);
  await curve.publish(client, curve.envelope());
  await curve.publish(client, twinOf(curve.envelope()));
  const truth = await again.finish();
  expect(truth.entries).toBe(1 + counts.accepted + 2);
  expect(Object.fromEntries(truth.quarantined)).toEqual({ ALG_MISMATCH: 4, SIGNATURE_INVALID: 4 });
});
