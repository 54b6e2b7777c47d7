import { describe, expect, it } from 'vitest';
import { didFromPublicKey, publicKeyFromDid } from '../../edge/wire/did.ts';
import { connectMqtt, startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';

type View = Record<string, unknown> & { did: string; status: string };
type Made = { device: View; secret?: string };
type Problem = { code: string; detail: string };

const post = (gateway: TestGateway, path: string, body?: unknown) => gateway.api(path, { method: 'POST', body });

async function make(gateway: TestGateway, body: object): Promise<Made> {
  const { status, body: made, text } = await post(gateway, '/devices', body);
  expect(status, text).toBe(201);
  return made as Made;
}

describe('enrolment', () => {
  it('of a device that holds its key keeps what was said, in the list and over a restart', async () => {
    const gateway = await startTestGateway();
    const device = new TestDevice('enrol', 'plant');
    const { did, sub } = device;
    const said = {
      did,
      sub,
      kind: 'plant',
      owner: 'Sejong Solar',
      capacityW: 5000,
      energySource: 'solar',
      label: '옥상',
    };
    const { device: view, secret } = await make(gateway, { ...said, custody: 'device' });
    expect(secret).toBeUndefined();
    expect(view).toEqual({
      ...said,
      custody: 'device',
      registerModulusWh: null,
      status: 'active',
      replacedBy: null,
      enrolledMs: expect.any(Number),
      updatedMs: view.enrolledMs,
      counter: null,
      quarantined: 0,
    });
    const one = { ...view, declaredGaps: [] };
    expect((await gateway.api(`/devices/${did}`)).body).toEqual(one);
    expect((await gateway.api(`/devices/${encodeURIComponent(did)}`)).body).toEqual(one);
    const bareDid = new TestDevice('bare', 'plant', 'P-256').did;
    const bare = await make(gateway, { sub, kind: 'plant', custody: 'device', did: bareDid });
    expect((await gateway.api(`/devices/${bareDid}`)).body).toEqual({ ...bare.device, declaredGaps: [] });
    expect(bare.device).toMatchObject({ owner: null, capacityW: null, energySource: null, label: null });

    const { devices } = (await gateway.api('/devices')).body as { devices: View[] };
    // The gateway itself is one: entry 0 is its own.
    expect(devices.map((d) => d.did)).toEqual([gateway.info.did, did, bare.device.did]);
    await gateway.finish();
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    expect((await again.api(`/devices/${did}`)).body).toEqual(one);
    await again.finish();
  });

  it('of a device whose key the gateway holds makes a key and a secret, which is told this once', async () => {
    const gateway = await startTestGateway();
    const wanted = { kind: 'meter', custody: 'gateway', sub: 'urn:sejong:mp:1' };
    const [a, b] = [await make(gateway, wanted), await make(gateway, wanted)];
    expect(publicKeyFromDid(a.device.did).type).toBe('Ed25519');
    expect(a.device.did).not.toBe(b.device.did);
    expect(Buffer.from(a.secret as string, 'base64url')).toHaveLength(32);
    expect(a.secret).not.toBe(b.secret);
    for (const path of ['/devices', `/devices/${a.device.did}`])
      expect((await gateway.api(path)).text).not.toContain(a.secret);
    const client = await connectMqtt(gateway, a.device.did, a.secret as string);
    await client.publishAsync(`up/${a.device.did}/senml`, '[{"n":"1-0:1.8.0","u":"Wh","v":5}]', { qos: 1 });
    expect((await gateway.api(`/devices/${a.device.did}`)).body).toMatchObject({
      counter: { epoch: 1, seq: 0, entries: 1, lastIndex: 3, gaps: [] },
    });
    // The secret and the key are good after a restart as well.
    await gateway.finish();
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    const back = await connectMqtt(again, a.device.did, a.secret as string);
    await back.publishAsync(`up/${a.device.did}/senml`, '[{"n":"1-0:1.8.0","u":"Wh","v":6}]', { qos: 1 });
    expect((await again.finish()).entries).toBe(5); // two enrolments are entries as well
  });

  it('is refused with its own code', async () => {
    const gateway = await startTestGateway();
    const { did, sub } = await new TestDevice('taken').enrol(gateway);
    const fresh = new TestDevice('fresh').did;
    const good = { did: fresh, kind: 'meter', custody: 'device', sub };
    const table: [status: number, code: string, body: object][] = [
      [409, 'DEVICE_EXISTS', { ...good, did }],
      [409, 'DEVICE_EXISTS', { ...good, did: gateway.info.did }],
      [400, 'REQUEST_INVALID', { ...good, kind: 'toaster' }],
      [400, 'REQUEST_INVALID', { ...good, kind: 'gateway' }],
      [400, 'REQUEST_INVALID', { ...good, kind: 'constructor' }],
      [400, 'REQUEST_INVALID', { ...good, custody: 'nobody' }],
      [400, 'REQUEST_INVALID', { ...good, custody: 'gateway' }],
      [400, 'REQUEST_INVALID', { kind: 'meter', custody: 'device', sub }],
      [400, 'REQUEST_INVALID', { ...good, sub: 'meter 12' }],
      [400, 'REQUEST_INVALID', { ...good, sub: 'urn:sejong:세종' }],
      [400, 'REQUEST_INVALID', { ...good, sub: `urn:${'x'.repeat(300)}` }],
      [400, 'REQUEST_INVALID', { ...good, did: 'did:web:sejong.example' }],
      [400, 'REQUEST_INVALID', { ...good, secretHash: 'x' }],
      [400, 'REQUEST_INVALID', { ...good, status: 'active' }],
      // Of the right form, but no key of prime order: other lengths, not on the curve, secp256k1, small order.
      [400, 'DID_INVALID', { ...good, did: 'did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5h' }],
      [400, 'DID_INVALID', { ...good, did: didFromPublicKey(Uint8Array.of(2, ...new Uint8Array(31), 1), 'P-256') }],
      [400, 'DID_INVALID', { ...good, did: didFromPublicKey(Uint8Array.of(4, ...new Uint8Array(32)), 'P-256') }],
      [400, 'DID_INVALID', { ...good, did: 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme' }],
      [400, 'REQUEST_INVALID', { ...good, did: `${new TestDevice('p', 'meter', 'P-256').did}1` }],
      [400, 'DID_INVALID', { ...good, did: fresh.slice(0, -1) }],
      [400, 'DID_INVALID', { ...good, did: `${fresh.slice(0, -1)}${fresh.endsWith('1') ? '2' : '1'}` }],
      [400, 'DID_INVALID', { ...good, did: 'did:key:z6MkeTG3bFFSLYVU7VqhgZxqr6YzpaGrQtFMh1uvqGy1vDnP' }],
    ];
    for (const [status, code, body] of table) {
      const answer = await post(gateway, '/devices', body);
      expect([answer.status, (answer.body as Problem).code], JSON.stringify(body)).toEqual([status, code]);
    }
    expect(((await gateway.api('/devices')).body as { devices: View[] }).devices).toHaveLength(2);
    await gateway.finish();
  });

  it('of one DID at the same time by many makes one device', async () => {
    const gateway = await startTestGateway();
    const { did, sub } = new TestDevice('at-once');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(gateway, '/devices', { did, sub, kind: 'meter', custody: 'device' })),
    );
    expect(answers.map((a) => a.status).sort()).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
    await gateway.finish();
  });
});

/** A swap of meters whose registers nobody could read. */
const UNREAD = { finalRegister: null, initialRegister: null };

describe('the life of a device', () => {
  const may: Record<string, readonly string[]> = {
    active: ['suspend', 'revoke', 'replace'],
    suspended: ['resume', 'revoke', 'replace'],
    revoked: [],
    replaced: [],
  };
  const leadsTo: Record<string, string> = {
    suspend: 'suspended',
    resume: 'active',
    revoke: 'revoked',
    replace: 'replaced',
  };

  it('goes only the ways there are, and stays where it was over a restart', async () => {
    const gateway = await startTestGateway();
    const sub = 'urn:sejong:mp:life';
    const enrol = async (name: string): Promise<string> => {
      const { did } = new TestDevice(name);
      return (await make(gateway, { did, sub, kind: 'meter', custody: 'device' })).device.did;
    };
    const heir = await enrol('heir');
    const ended = new Map<string, string>();
    for (const [state, allowed] of Object.entries(may))
      for (const action of Object.keys(leadsTo)) {
        const did = await enrol(`${state}-${action}`);
        const body = (of: string) => (of === 'replace' ? { by: heir, ...UNREAD } : undefined); // and no body at all otherwise
        const way = Object.entries(leadsTo).find(([, to]) => to === state)?.[0] as string;
        if (state !== 'active') expect((await post(gateway, `/devices/${did}/${way}`, body(way))).status).toBe(200);
        const answer = await post(gateway, `/devices/${did}/${action}`, body(action));
        const what = `${action} of ${state}`;
        if (allowed.includes(action)) {
          expect([answer.status, (answer.body as View).status], what).toEqual([200, leadsTo[action]]);
          expect((answer.body as View).replacedBy, what).toBe(action === 'replace' ? heir : null);
        } else expect([answer.status, (answer.body as Problem).code], what).toEqual([409, 'STATE_CONFLICT']);
        ended.set(did, ((await gateway.api(`/devices/${did}`)).body as View).status);
      }
    await gateway.finish();
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    for (const [did, status] of ended) expect(((await again.api(`/devices/${did}`)).body as View).status).toBe(status);
    await again.finish();
  });

  it('is carried on only by another active device of the same metering point', async () => {
    const gateway = await startTestGateway();
    const old = await new TestDevice('old').enrol(gateway);
    const elsewhere = await new TestDevice('elsewhere').enrol(gateway);
    // With a key of another type, too: the metering point carries on, never the key.
    const heir = { did: new TestDevice('heir', 'meter', 'P-256').did, sub: old.sub, kind: 'meter', custody: 'device' };
    await make(gateway, heir);
    const replace = async (by: string): Promise<[number, string]> => {
      const { status, body } = await post(gateway, `/devices/${old.did}/replace`, { by, ...UNREAD });
      return [status, (body as Problem).code];
    };
    expect(await replace(new TestDevice('unknown').did)).toEqual([404, 'DEVICE_UNKNOWN']);
    expect(await replace(elsewhere.did)).toEqual([409, 'STATE_CONFLICT']);
    expect(await replace(old.did)).toEqual([409, 'STATE_CONFLICT']);
    await post(gateway, `/devices/${heir.did}/suspend`);
    expect(await replace(heir.did)).toEqual([409, 'STATE_CONFLICT']);
    await post(gateway, `/devices/${heir.did}/resume`);
    expect((await gateway.api(`/devices/${old.did}`)).body).toMatchObject({ status: 'active', replacedBy: null });
    expect((await replace(heir.did))[0]).toBe(200);
    for (const action of ['suspend', 'resume', 'revoke'])
      expect((await post(gateway, `/devices/${new TestDevice('unknown').did}/${action}`)).body).toMatchObject({
        code: 'DEVICE_UNKNOWN',
        status: 404,
      });
    await gateway.finish();
  });

  it('shows its counter, the gaps in it, and what lies in quarantine', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('counter').enrol(gateway);
    const client = await device.connect(gateway);
    for (const seq of [0, 5, 3]) await device.publish(client, device.envelope({ seq }));
    await device.publish(client, Buffer.from('bad'));
    expect((await gateway.api(`/devices/${device.did}`)).body).toMatchObject({
      counter: {
        epoch: 1,
        seq: 5,
        entries: 3,
        lastIndex: 3,
        gaps: [
          { epoch: 1, first: 1, last: 2 },
          { epoch: 1, first: 4, last: 4 },
        ],
      },
      quarantined: 1,
    });
    await gateway.finish();
  });
});
