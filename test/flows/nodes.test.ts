/** Every node of the palette package does its work, and has its place in the editor: in real Node-RED 5 and 4, at a real gateway. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../edge/config.ts';
import { encodeVerifierKey } from '../../edge/log/checkpoint.ts';
import { Link, offerBundle } from '../checks/gateway.ts';
import { GATES, TestCity, TestVehicle } from '../checks/rig.ts';
import { startMinting, TestPlant } from '../credits/rig-gateway.ts';
import { TestDevice, type TestGateway } from '../support/gateway.ts';
import { TestCa, writePair } from '../support/pki.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkEditor } from './editor.ts';
import { type FlowNode, injects, installed, NodeRed, type Version, writes } from './rig.ts';

const TYPES = [
  ...['edge-gateway', 'edge-readings-in', 'edge-entries', 'edge-receipt', 'edge-sign', 'edge-certificate-in'],
  ...['edge-claim', 'edge-check', 'edge-device', 'edge-alarm-in'],
];

/** A key that signed nothing here, under the name of this log. */
const otherKey = (gateway: TestGateway): string => {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  return encodeVerifierKey(gateway.health().log, Buffer.from(x as string, 'base64url'));
};

type Caught = { message: string; code: string; source: { id: string } };
type Enrolled = { device: { did: string }; secret: string };

async function enrol(gateway: TestGateway, kind: string, sub: string): Promise<{ did: string; secret: string }> {
  const { status, body, text } = await gateway.api('/devices', {
    method: 'POST',
    body: { kind, custody: 'gateway', sub },
  });
  expect(status, text).toBe(201);
  const { device, secret } = body as Enrolled;
  return { did: device.did, secret };
}

/** A flow with all the nodes, and what they say written down. */
async function flow(
  gateway: TestGateway,
  folder: string,
  device: TestDevice,
  own: { did: string; secret: string },
  caPem: string,
): Promise<FlowNode[]> {
  const { http, mqtt, https, mqtts } = gateway.info;
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, caPem);
  writeFileSync(
    join(folder, 'gateway.json'),
    JSON.stringify({ url: http, mqtt, token: await gateway.token('engineer') }),
    { mode: 0o600 },
  );
  const viewer = await gateway.token('viewer');
  const login = { gateway: 'gw-file', name: '' };
  return [
    {
      id: 'gw-operator',
      type: 'edge-gateway',
      auth: 'token',
      url: https,
      mqtt: mqtts,
      ca,
      credentials: { token: await gateway.token('operator') },
    },
    { id: 'gw-file', type: 'edge-gateway', name: 'depot', auth: 'file', url: '', file: '' },
    {
      id: 'gw-mqtt',
      type: 'edge-gateway',
      auth: 'mqtt',
      url: '',
      mqtt,
      credentials: { user: 'viewer', password: viewer },
    },
    ...writes(folder, 'readings'),
    {
      id: 'in',
      type: 'edge-readings-in',
      ...login,
      device: device.did,
      record: '1-0:*',
      from: 'now',
      ack: 'auto',
      wires: [['readings']],
    },
    ...writes(folder, 'live'),
    {
      id: 'live-in',
      type: 'edge-readings-in',
      gateway: 'gw-mqtt',
      kind: 'meter',
      from: 'now',
      ack: 'auto',
      wires: [['live']],
    },
    ...writes(folder, 'from-start'),
    {
      id: 'start-in',
      type: 'edge-readings-in',
      ...login,
      kind: 'gateway',
      from: 'index',
      index: '0',
      ack: 'auto',
      wires: [['from-start']],
    },
    ...writes(folder, 'entries'),
    injects('ask', 'ask-list', 'ask-each'),
    {
      id: 'ask-list',
      type: 'edge-entries',
      ...login,
      device: device.did,
      limit: '2',
      out: 'list',
      wires: [['entries']],
    },
    ...writes(folder, 'each'),
    { id: 'ask-each', type: 'edge-entries', ...login, device: device.did, limit: '2', out: 'each', wires: [['each']] },
    ...writes(folder, 'holds'),
    ...writes(folder, 'fails'),
    injects('prove', 'receipt', 'receipt-other'),
    { id: 'receipt', type: 'edge-receipt', ...login, key: '', wait: '30', wires: [['holds'], ['fails']] },
    {
      id: 'receipt-other',
      type: 'edge-receipt',
      ...login,
      key: otherKey(gateway),
      wait: '30',
      wires: [['holds'], ['fails']],
    },
    ...writes(folder, 'signed'),
    injects('measure', 'sign'),
    {
      id: 'sign',
      type: 'edge-sign',
      gateway: 'gw-operator',
      record: '1-0:1.8.0',
      unit: 'Wh',
      credentials: own,
      wires: [['signed']],
    },
    ...writes(folder, 'certificates'),
    {
      id: 'minted',
      type: 'edge-certificate-in',
      gateway: 'gw-operator',
      state: 'minted',
      from: 'start',
      wires: [['certificates']],
    },
    ...writes(folder, 'claimed'),
    injects('claim', 'claims'),
    {
      id: 'claims',
      type: 'edge-claim',
      gateway: 'gw-operator',
      purpose: 'k-re100',
      beneficiary: 'Sejong Steel',
      allow: true,
      wires: [['claimed']],
    },
    ...writes(folder, 'allow'),
    ...writes(folder, 'no'),
    injects('gate', 'check'),
    {
      id: 'check',
      type: 'edge-check',
      ...login,
      gate: 'north',
      purpose: 'entry',
      timeout: '1',
      recent: '60',
      wires: [['allow'], ['no']],
    },
    ...writes(folder, 'device'),
    injects('look', 'status'),
    { id: 'status', type: 'edge-device', ...login, action: 'status', wires: [['device']] },
    injects('stop', 'suspend'),
    { id: 'suspend', type: 'edge-device', gateway: 'gw-operator', action: 'suspend', allow: true, wires: [['device']] },
    injects('stop-unasked', 'suspend-unasked'),
    {
      id: 'suspend-unasked',
      type: 'edge-device',
      gateway: 'gw-operator',
      action: 'suspend',
      allow: false,
      wires: [['device']],
    },
    ...writes(folder, 'errors'),
    ...writes(folder, 'alarms'),
    {
      id: 'alarm',
      type: 'edge-alarm-in',
      ...login,
      code: 'EQUIVOCATION',
      tell: 'both',
      open: true,
      from: 'now',
      wires: [['alarms']],
    },
    { id: 'catch', type: 'catch', scope: null, uncaught: false, wires: [['errors']] },
  ];
}

describe.each<Version>(['node-red', 'node-red-4'])('in %s', (version) => {
  it('each node does its work', { timeout: 180_000 }, async ({ skip }) => {
    const folder = await installed();
    if (!folder) return skip();
    const city = new TestCity();
    const ca = await TestCa.make();
    const tls = { ...writePair(tempFolder(), await ca.issue()), host: '127.0.0.1', port: 0 };
    const gateway = await startMinting({
      http: { tls },
      mqtt: { tls },
      checks: { cityDid: city.did, gates: GATES as Config['checks']['gates'] },
    });
    expect((await offerBundle(gateway, city.bundle([gateway.info.did], Date.now()))).status).toBe(200);
    const meter = await new TestDevice('one').enrol(gateway);
    const other = await new TestDevice('two').enrol(gateway);
    const own = await enrol(gateway, 'meter', 'urn:sejong:mp:own');
    const red = await NodeRed.start(version, folder, {
      lang: version === 'node-red-4' ? 'ko' : 'en-US',
    });
    expect(await red.types()).toEqual({ types: TYPES, errors: [] });
    await red.deploy(await flow(gateway, red.folder, meter, own, ca.pem));
    const error = (id: string, seen = 0) =>
      red.next('errors', seen, ({ msg }) => (msg as unknown as { error: Caught }).error.source.id === id);

    // Readings, live over HTTP and over MQTT.
    expect(await red.next('from-start')).toMatchObject({
      index: 0,
      topic: `gateway/${gateway.info.did}`,
      gateway: 'depot',
    });
    await until(() => gateway.parts.mqtt.hasLiveSubscribers, 'it listens');
    const client = await meter.connect(gateway);
    const second = await other.connect(gateway);
    await other.publish(second, other.envelope());
    await meter.publish(client, meter.envelope({ records: [{ n: '1-0:1.8.0', u: 'Wh', v: 5000 }] }));
    const reading = await red.next('readings');
    expect(reading).toMatchObject({
      topic: `meter/${meter.did}`,
      payload: { did: meter.did, kind: 'meter', custody: 'device', sub: meter.sub, epoch: 1, seq: 0 },
      record: { n: '1-0:1.8.0', u: 'Wh', v: 5000 },
      value: 5000,
    });
    const { index } = reading as unknown as { index: number };
    expect(await red.next('live', 1)).toMatchObject({ index, payload: reading.payload });
    expect(
      red.said().filter(({ node }) => node === 'readings'),
      'the other meter is filtered out',
    ).toHaveLength(1);

    // The log of the past.
    for (const v of [5001, 5002])
      await meter.publish(client, meter.envelope({ records: [{ n: '1-0:1.8.0', u: 'Wh', v }] }));
    await red.inject('ask', { query: { after: index } });
    expect(await red.next('entries')).toMatchObject({
      topic: 'entries',
      payload: { entries: [{ seq: 1 }, { seq: 2 }] },
    });
    const each = [await red.next('each', 0), await red.next('each', 1)];
    expect(each).toMatchObject([{ payload: { seq: 1 }, parts: { index: 0, count: 2 } }, { payload: { seq: 2 } }]);
    await red.inject('ask', { query: { device: 'did:key:none' } });
    expect(await error('ask-list')).toMatchObject({ error: { code: 'REQUEST_INVALID' }, edge: { status: 400 } });

    // The receipt of the newest entry, which waits for its checkpoint; and one under a key of somebody else.
    await red.inject('prove', { payload: (each[1] as unknown as { index: number }).index });
    expect(await red.next('holds')).toMatchObject({ verified: { ok: true, keyFrom: 'gateway', reading: { seq: 2 } } });
    expect(await red.next('fails')).toMatchObject({ verified: { ok: false, keyFrom: 'config' } });
    expect(red.said().filter(({ node }) => node === 'holds')).toHaveLength(1);

    // An engineer's own device, in gateway custody; what does not fit its profile is an error with the gateway's code.
    await red.inject('measure', { payload: 42 });
    expect(await red.next('signed')).toMatchObject({
      topic: `up/${own.did}/senml`,
      payload: [{ n: '1-0:1.8.0', u: 'Wh', v: 42 }],
    });
    expect(gateway.parts.devices.get(own.did)?.counter.entries, 'before it was told').toBe(1);
    await red.inject('measure', { payload: -1 });
    expect(await error('sign')).toMatchObject({
      error: { code: 'PROFILE_MISMATCH' },
      edge: { code: 'PROFILE_MISMATCH' },
    });
    await red.inject('measure', { payload: null });
    expect(await error('sign', 1)).toMatchObject({ error: { code: 'FLOW_INPUT_INVALID' } });

    // Certificates, and a claim of one: never without its confirmation.
    const plant = await TestPlant.at(gateway);
    await plant.read([0, 1000], [1, 1500, 12], [2, 4000, -9]);
    const certificates = [await red.next('certificates', 0), await red.next('certificates', 1)];
    expect(certificates).toMatchObject([
      { payload: { wh: 500, state: 'minted' } },
      { payload: { wh: 2500, state: 'minted' } },
    ]);
    const id = certificates[1]?.topic as unknown as string;
    await red.inject('claim', { payload: id });
    expect(await error('claims')).toMatchObject({ error: { code: 'FLOW_NOT_CONFIRMED' } });
    await red.inject('claim', { payload: certificates[1]?.payload, confirm: id, wh: 400 });
    const claimed = await red.next('claimed');
    expect(claimed).toMatchObject({ topic: id, payload: { wh: 400, purpose: 'k-re100' } });
    expect(claimed).not.toHaveProperty('confirm');

    // The gate: ALLOW opens; nobody there, and a gate that is none, do not.
    const vehicle = new TestVehicle(city, 'enters', Date.now());
    const link = await Link.open(gateway, vehicle);
    expect((await link.pass()).decision.decision).toBe('ALLOW');
    await red.inject('gate', {});
    expect(await red.next('allow')).toMatchObject({
      decision: 'ALLOW',
      topic: 'north',
      payload: { holder: vehicle.did },
    });
    await red.inject('gate', {});
    expect(await red.next('no')).toMatchObject({ decision: 'NONE', reason: 'CHECK_TIMEOUT' });
    await red.inject('gate', { gate: 'nowhere' });
    expect(await red.next('no', 1)).toMatchObject({ decision: 'NONE', reason: 'GATE_UNKNOWN', topic: 'nowhere' });
    const caught = await error('check');
    expect(caught).toMatchObject({ error: { code: 'GATE_UNKNOWN' } });
    expect(caught.edge, 'and only that one is an error').toMatchObject({
      todo: expect.stringContaining('checks.gates'),
    });

    // A device: looked at; suspended only where the flow and the message both mean it.
    await red.inject('look', { payload: other.did });
    expect(await red.next('device')).toMatchObject({ topic: other.did, payload: { status: 'active', kind: 'meter' } });
    await red.inject('stop', { device: other.did });
    expect(await error('suspend')).toMatchObject({ error: { code: 'FLOW_NOT_CONFIRMED' } });
    await red.inject('stop-unasked', { device: other.did, confirm: other.did });
    const refused = await error('suspend-unasked');
    expect(refused).toMatchObject({ error: { code: 'FLOW_NOT_CONFIRMED' } });
    // What this package says is in the language of its Node-RED.
    expect((refused as unknown as { edge: { title: string } }).edge.title).toMatch(
      version === 'node-red-4' ? /[가-힣]/ : /undone/,
    );
    expect(gateway.parts.devices.get(other.did)?.status).toBe('active');
    await red.inject('stop', { device: other.did, confirm: other.did });
    expect(await red.next('device', 1)).toMatchObject({ topic: other.did, payload: { status: 'suspended' } });

    // Two envelopes of one counter raise an alarm; a person clears it.
    await meter.publish(client, meter.envelope({ seq: 0, records: [{ n: '1-0:1.8.0', u: 'Wh', v: 9000 }] }));
    const alarm = await red.next('alarms');
    expect(alarm).toMatchObject({
      topic: 'EQUIVOCATION',
      raised: true,
      payload: { where: meter.did, clearedMs: null },
    });
    const { id: alarmId } = alarm.payload as { id: number };
    expect((await gateway.api(`/alarms/${alarmId}/clear`, { method: 'POST', body: {} })).status).toBe(200);
    expect(await red.next('alarms', 1)).toMatchObject({ raised: false, payload: { id: alarmId } });

    // All of them in the editor, where each version is seen in one language, and speaks the other one itself.
    await checkEditor(red, version === 'node-red' ? 'ko-KR' : 'en-US');

    // A gateway that is away is an error like any other, and a NO at the gate.
    await gateway.finish();
    await red.inject('gate', {});
    expect(await red.next('no', 2)).toMatchObject({ decision: 'NONE', reason: 'FLOW_GATEWAY_AWAY' });
    await red.inject('ask', {});
    expect(await error('ask-list', 1)).toMatchObject({ error: { code: 'FLOW_GATEWAY_AWAY' } });
    const secrets = [...tokensOf(red.folder), own.secret];
    for (const secret of secrets) expect(red.lines.join('\n')).not.toContain(secret);
  });
});

/** Tokens that were given to flows: none may be in what Node-RED says. */
const tokensOf = (folder: string): string[] => [
  (JSON.parse(readFileSync(join(folder, 'gateway.json'), 'utf8')) as { token: string }).token,
];
