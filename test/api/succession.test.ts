import { describe, expect, it } from 'vitest';
import { inSuccession } from '../../edge/api/succession.ts';
import { parseSuccession } from '../../edge/log/succession.ts';
import type { Device } from '../../edge/store/devices.ts';
import { rekeyMessage } from '../../edge/wire/rekey.ts';
import { makeSigner } from '../../firmware-sim/signer.ts';
import { edge } from '../support/cli.ts';
import { connectMqtt, startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';

type Problem = { code: string; detail: string };
const post = (gateway: TestGateway, path: string, body: object) => gateway.api(path, { method: 'POST', body });
const proofOf = (old: TestDevice, did: string): string =>
  Buffer.from(makeSigner(old)(rekeyMessage(old.did, did))).toString('base64url');

async function send(gateway: TestGateway, device: TestDevice, count = 1): Promise<void> {
  const client = await device.connect(gateway);
  for (let i = 0; i < count; i++) await device.publish(client, device.envelope());
}

/** A second device of the metering point of another. */
function sibling(of: TestDevice, name: string, keyType: TestDevice['keyType'] = 'Ed25519'): TestDevice {
  const device = new TestDevice(name, of.kind, keyType);
  Object.assign(device, { sub: of.sub });
  return device;
}

const devicesOf = async (gateway: TestGateway, sub: string): Promise<string[]> =>
  ((await gateway.api(`/devices?sub=${sub}`)).body as { devices: { did: string }[] }).devices.map(({ did }) => did);

describe('a meter swap', () => {
  it('keeps the final and the initial register in the log, and the history of the metering point in order', async () => {
    for (const kind of ['meter', 'plant']) {
      const gateway = await startTestGateway();
      const old = await new TestDevice('old', kind).enrol(gateway);
      const obis = kind === 'meter' ? '1-0:1.8.0' : '1-0:2.8.0';
      const records = (v: number) => [{ n: obis, u: 'Wh', v }];
      const publish = async (device: TestDevice, ...values: number[]): Promise<void> => {
        const client = await device.connect(gateway);
        for (const v of values) await device.publish(client, device.envelope({ records: records(v) }));
      };
      await publish(old, 10, 11);
      const heir = await sibling(old, 'heir', 'P-256').enrol(gateway);
      const swap = {
        by: heir.did,
        finalRegister: { obis, wh: 12 },
        initialRegister: { obis, wh: 3 },
      };
      const { status, body } = await post(gateway, `/devices/${old.did}/replace`, swap);
      expect([status, body]).toMatchObject([200, { status: 'replaced', replacedBy: heir.did }]);
      await publish(heir, 3, 4);
      // Entry 0 is the genesis, 1 and 2 the old one's; 3 says who swapped them, 4 what became of it.
      const succession = { by: heir.did, how: 'swap', index: 4, obis, finalWh: 12, initialWh: 3 };
      expect((await gateway.api(`/devices/${old.did}`)).body).toMatchObject({ succession });
      expect((await gateway.api(`/devices/${heir.did}`)).body).not.toHaveProperty('succession');
      const entry = (await gateway.api('/entries/4')).body as { did: string; sealed?: boolean; records: never[] };
      expect([entry.did, entry.sealed]).toEqual([gateway.info.did, kind === 'meter' ? true : undefined]);
      expect(parseSuccession(entry.records)).toMatchObject({ did: old.did, registers: { obis, finalWh: 12 } });
      const truth = await gateway.api('/audit');
      expect(truth.text).toContain('device.replace');
      expect(await devicesOf(gateway, old.sub)).toEqual([old.did, heir.did]);
      const history = async (query: string): Promise<number[]> =>
        ((await gateway.api(`/entries?sub=${old.sub}${query}`)).body as { entries: { index: number }[] }).entries.map(
          ({ index }) => index,
        );
      expect(await history('')).toEqual([1, 2, 5, 6]);
      expect(await history('&limit=3')).toEqual([1, 2, 5]);
      expect(await history('&after=2')).toEqual([5, 6]);
      expect(await history('&after=5&limit=1')).toEqual([6]);
      expect(await history('&after=6')).toEqual([]);
      expect((await gateway.api(`/entries?sub=${old.sub}&after=0`)).status).toBe(400);
      expect((await gateway.api(`/entries?sub=${old.sub}&device=${old.did}`)).status).toBe(400);
      expect((await gateway.finish()).entries).toBe(7);
    }
  });

  it('of a kind that bills needs both registers of its OBIS code, or null where one cannot be read; others have none', async () => {
    const gateway = await startTestGateway();
    const old = await new TestDevice('old').enrol(gateway);
    const heir = await sibling(old, 'heir').enrol(gateway);
    const [bike, car] = [new TestDevice('bike', 'vehicle'), new TestDevice('car', 'vehicle')];
    Object.assign(car, { sub: bike.sub });
    for (const device of [bike, car]) await device.enrol(gateway);
    const register = { obis: '1-0:1.8.0', wh: 5 };
    const other = { obis: '1-0:2.8.0', wh: 5 };
    for (const [device, by, body] of [
      [old, heir, {}],
      [old, heir, { finalRegister: register }],
      [old, heir, { initialRegister: null }],
      [old, heir, { finalRegister: other, initialRegister: register }],
      [old, heir, { finalRegister: register, initialRegister: { ...register, wh: -1 } }],
      [old, heir, { finalRegister: register, initialRegister: { ...register, wh: 0.5 } }],
      [bike, car, { finalRegister: register, initialRegister: null }],
    ] as const) {
      const answer = await post(gateway, `/devices/${device.did}/replace`, { by: by.did, ...body });
      expect([answer.status, (answer.body as Problem).code], JSON.stringify(body)).toEqual([400, 'REQUEST_INVALID']);
    }
    expect(gateway.parts.log.size).toBe(1);
    const unread = { by: heir.did, finalRegister: null, initialRegister: register };
    expect((await post(gateway, `/devices/${old.did}/replace`, unread)).status).toBe(200);
    expect((await post(gateway, `/devices/${bike.did}/replace`, { by: car.did })).status).toBe(200);
    expect((await gateway.api(`/devices/${old.did}`)).body).toMatchObject({
      succession: { finalWh: null, initialWh: 5 },
    });
    await gateway.finish();
  });
});

describe('a re-key', () => {
  it('needs the old key to sign, takes over all that was enrolled, and begins its counters anew', async () => {
    const gateway = await startTestGateway();
    const old = await new TestDevice('old', 'plant').enrol(gateway);
    await send(gateway, old);
    const next = sibling(old, 'next', 'P-256');
    const thief = new TestDevice('thief', 'plant');
    for (const [body, code] of [
      [{}, 'REQUEST_INVALID'],
      [{ did: next.did }, 'REQUEST_INVALID'],
      [{ did: next.did, proof: proofOf(thief, next.did) }, 'REKEY_UNPROVEN'],
      [{ did: thief.did, proof: proofOf(old, next.did) }, 'REKEY_UNPROVEN'],
      [{ did: old.did, proof: proofOf(old, old.did) }, 'DEVICE_EXISTS'],
    ] as const) {
      const answer = await post(gateway, `/devices/${old.did}/rekey`, body);
      expect((answer.body as Problem).code, JSON.stringify(body)).toBe(code);
    }
    expect((await gateway.api(`/devices/${old.did}`)).body).toMatchObject({ status: 'active' });
    const { status, body } = await post(gateway, `/devices/${old.did}/rekey`, {
      did: next.did,
      proof: proofOf(old, next.did),
    });
    const device = { did: next.did, sub: old.sub, kind: 'plant', custody: 'device', status: 'active', counter: null };
    expect([status, body]).toMatchObject([201, { device }]);
    expect((await gateway.api(`/devices/${old.did}`)).body).toMatchObject({
      status: 'replaced',
      replacedBy: next.did,
      succession: { how: 'rekey', by: next.did },
    });
    await send(gateway, next);
    expect(await devicesOf(gateway, old.sub)).toEqual([old.did, next.did]);
    // What is over cannot be re-keyed, and over a restart it is still so.
    const third = new TestDevice('third', 'plant');
    const again = await post(gateway, `/devices/${old.did}/rekey`, { did: third.did, proof: proofOf(old, third.did) });
    expect((again.body as Problem).code).toBe('STATE_CONFLICT');
    await gateway.finish();
    const restarted = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    expect((await restarted.api(`/devices/${third.did}`)).status).toBe(404);
    expect((await restarted.api(`/devices/${old.did}`)).body).toMatchObject({ succession: { how: 'rekey' } });
    await restarted.finish();
  });

  it('of a device whose key the gateway holds makes a key and a secret, told this once', async () => {
    const gateway = await startTestGateway();
    const wanted = { kind: 'meter', custody: 'gateway', sub: 'urn:sejong:mp:1', label: '지하' };
    const made = (await post(gateway, '/devices', wanted)).body as { device: { did: string } };
    const { did } = made.device;
    expect((await post(gateway, `/devices/${did}/rekey`, { did })).status).toBe(400);
    const { body } = await post(gateway, `/devices/${did}/rekey`, {});
    const { device, secret } = body as { device: { did: string }; secret: string };
    expect(device).toMatchObject({ ...wanted, status: 'active' });
    const client = await connectMqtt(gateway, device.did, secret);
    await client.publishAsync(`up/${device.did}/senml`, '[{"n":"1-0:1.8.0","u":"Wh","v":5}]', { qos: 1 });
    expect(await devicesOf(gateway, wanted.sub)).toEqual([did, device.did]);
    // Genesis, two about the re-key, and for each of two acts one about who did it.
    expect((await gateway.finish()).entries).toBe(5);
  });
});

describe('devices of one metering point', () => {
  it('stand in the order in which they took over, whichever was enrolled first', () => {
    const device = (did: string, replacedBy: string | null, sub = 'a') => ({ did, replacedBy, sub }) as Device;
    const all = [
      device('spare', null),
      device('c', 'spare'),
      device('a', 'c'),
      device('b', 'c'),
      device('x', null, 'y'),
    ];
    expect(inSuccession(all, 'a').map(({ did }) => did)).toEqual(['a', 'b', 'c', 'spare']);
    expect(inSuccession(all, 'y').map(({ did }) => did)).toEqual(['x']);
    expect(inSuccession(all, 'z')).toEqual([]);
  });
});

describe('sejong-edge device', () => {
  it('does all of it from the command line, with a running gateway', async () => {
    const gateway = await startTestGateway();
    const old = await new TestDevice('old').enrol(gateway);
    const heir = await sibling(old, 'heir').enrol(gateway);
    const device = (...args: string[]) => edge(['device', ...args, '--data', gateway.config.dataFolder]);
    expect((await device('suspend', old.did)).stdout).toContain('status    suspended');
    expect((await device('resume', old.did)).code).toBe(0);
    const swap = ['--by', heir.did, '--register', '1-0:1.8.0', '--final', '12', '--initial', '-'];
    const replaced = await device('replace', old.did, ...swap);
    expect(replaced.stderr).toBe('');
    expect(replaced.stdout).toContain(`status    replaced by ${heir.did}`);
    const next = sibling(old, 'next');
    const rekeyed = await device('rekey', heir.did, '--did', next.did, '--proof', proofOf(heir, next.did), '--json');
    expect(JSON.parse(rekeyed.stdout)).toMatchObject({ device: { did: next.did, status: 'active' } });
    const shown = JSON.parse((await device('show', old.did, '--json')).stdout);
    expect(shown).toMatchObject({ succession: { finalWh: 12, initialWh: null } });
    expect((await device('list', '--sub', old.sub)).stdout.trim().split('\n')).toEqual([
      `replaced  meter     ${old.did}  ${old.sub}`,
      `replaced  meter     ${heir.did}  ${old.sub}`,
      `active    meter     ${next.did}  ${old.sub}`,
    ]);
    expect((await device('revoke', next.did)).stdout).toContain('status    revoked');
    for (const [args, code] of [
      [['resume', next.did], 'STATE_CONFLICT'],
      [['revoke'], 'USAGE'],
      [['dance', next.did], 'USAGE'],
      [['replace', next.did], 'USAGE'],
      [['replace', next.did, '--by', heir.did, '--final', '1'], 'USAGE'],
    ] as const) {
      const { code: exit, stderr } = await device(...args);
      expect([exit === 0, stderr.split(':')[0]], args.join(' ')).toEqual([false, code]);
    }
    await gateway.finish();
  });
});
