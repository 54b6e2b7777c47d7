import { join } from 'node:path';
import Database from 'better-sqlite3';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { flawOf } from '../../edge/commands/audit.ts';
import { openIdentity } from '../../edge/identity.ts';
import { edge } from '../support/cli.ts';
import { connectMqtt, startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';

type Made = { id: string; token: string; name: string; role: string; expiresMs: number };
type Row = Parameters<typeof flawOf>[0];

async function make(gateway: TestGateway, body: object): Promise<Made> {
  const { status, body: made, text } = await gateway.api('/tokens', { method: 'POST', body });
  expect(status, text).toBe(201);
  return made as Made;
}
const revoke = (gateway: TestGateway, id: string) => gateway.api(`/tokens/${id}/revoke`, { method: 'POST' });
const audit = async (gateway: TestGateway): Promise<Row[]> =>
  ((await gateway.api('/audit')).body as { audit: Row[] }).audit;

describe('tokens of people', () => {
  it('are made by an operator, listed without the token, and good for their role until they are revoked', async () => {
    const gateway = await startTestGateway();
    const kim = await make(gateway, { role: 'viewer', name: '김', seconds: 7 * 86_400 });
    const lee = await make(gateway, { role: 'engineer', name: 'lee' });
    expect(lee.expiresMs - Date.now()).toBeGreaterThan(11 * 3_600_000);
    const list = await gateway.api('/tokens');
    expect((list.body as { tokens: object[] }).tokens).toMatchObject([
      { id: lee.id, name: 'lee', role: 'engineer', madeBy: 'test operator', revokedMs: null },
      { id: kim.id, name: '김', role: 'viewer' },
    ]);
    expect(list.text).not.toContain(kim.token);
    for (const [token, path, status] of [
      [kim.token, '/devices', 200],
      [kim.token, '/tokens', 403],
      [lee.token, '/audit', 403],
    ] as const)
      expect((await gateway.api(path, { token })).status, path).toBe(status);
    for (const body of [
      { role: 'king', name: 'x' },
      { role: 'viewer' },
      { role: 'viewer', name: 'x', seconds: 1e9 },
      { role: 'viewer', name: '' },
    ])
      expect((await gateway.api('/tokens', { method: 'POST', body })).body).toMatchObject({ code: 'REQUEST_INVALID' });

    expect((await revoke(gateway, kim.id)).status).toBe(200);
    expect((await revoke(gateway, kim.id)).status).toBe(200); // it is so already
    expect((await gateway.api('/devices', { token: kim.token })).body).toMatchObject({
      code: 'TOKEN_INVALID',
      detail: `token ${kim.id} was revoked`,
    });
    expect((await gateway.api('/devices', { token: lee.token })).status).toBe(200);
    expect((await revoke(gateway, crypto.randomUUID())).body).toMatchObject({ code: 'NOT_FOUND' });
    expect((await gateway.finish()).audits.map(({ action, on }) => [action, on])).toEqual([
      ['token.make', kim.id],
      ['token.make', lee.id],
      ['token.revoke', kim.id],
    ]);
    // Over a restart both are what they were.
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    expect((await again.api('/devices', { token: kim.token })).status).toBe(401);
    expect((await again.api('/devices', { token: lee.token })).status).toBe(200);
    await again.finish();
  });

  it('that are revoked end what is open in their name at once, events and MQTT, and nothing of others', async () => {
    const gateway = await startTestGateway();
    const open = (token: string) =>
      fetch(`${gateway.info.http}/events`, { headers: { authorization: `Bearer ${token}` } });
    const [kim, lee] = [
      await make(gateway, { role: 'viewer', name: 'kim' }),
      await make(gateway, { role: 'viewer', name: 'lee' }),
    ];
    const [hers, his] = [await open(kim.token), await open(lee.token)];
    const [flow, other] = [
      await connectMqtt(gateway, 'viewer', kim.token),
      await connectMqtt(gateway, 'viewer', lee.token),
    ];
    const closed = new Promise((resolve) => flow.once('close', () => resolve(undefined)));
    await revoke(gateway, kim.id);
    await hers.text(); // it ends
    await closed;
    expect(other.connected).toBe(true);
    await expect(connectMqtt(gateway, 'viewer', kim.token)).rejects.toThrow();
    const device = await new TestDevice('after').enrol(gateway);
    await device.publish(await device.connect(gateway), device.envelope());
    const reader = his.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain('event: ');
    await reader?.cancel();

    // One from the keys of the data folder is in no list; once it was used it can be revoked like any other.
    const local = await gateway.token('operator');
    const { jti } = JSON.parse(Buffer.from(local.split('.')[1] as string, 'base64url').toString()) as { jti: string };
    expect((await revoke(gateway, jti)).status).toBe(404);
    expect((await gateway.api('/tokens', { token: local })).status).toBe(200);
    expect((await revoke(gateway, jti)).status).toBe(200);
    expect((await gateway.api('/tokens', { token: local })).status).toBe(401);
    await gateway.finish();
  });

  it('that the gateway does not know are good for two hours at the most, and must have an id', async () => {
    const gateway = await startTestGateway();
    const { did, keys } = openIdentity(gateway.config);
    const forge = (over: { seconds?: number; jti?: string }) => {
      const now = Math.floor(Date.now() / 1000);
      const jwt = new SignJWT({ role: 'operator' })
        .setProtectedHeader({ alg: 'EdDSA' })
        .setIssuer(did)
        .setSubject('x')
        .setAudience(gateway.info.origin)
        .setIssuedAt(now)
        .setExpirationTime(now + (over.seconds ?? 600));
      return (over.jti === '' ? jwt : jwt.setJti(crypto.randomUUID())).sign(keys.privateKey);
    };
    for (const [token, status] of [
      [await forge({}), 200],
      [await forge({ seconds: 7200 }), 200],
      [await forge({ seconds: 7201 }), 401],
      [await forge({ jti: '' }), 401],
    ] as const)
      expect((await gateway.api('/devices', { token })).status).toBe(status);
    await gateway.finish();
  });

  it('are throttled by address where they fail too often, but for those that were good before', async () => {
    const gateway = await startTestGateway({ http: { maxFailedLogins: 5 } });
    const good = await gateway.token('viewer');
    const unused = await gateway.token('viewer');
    expect((await gateway.api('/devices', { token: good })).status).toBe(200);
    for (let i = 0; i < 5; i++) expect((await gateway.api('/devices', { token: `x${i}` })).status).toBe(401);
    for (const token of ['x', unused])
      expect((await gateway.api('/devices', { token })).body).toMatchObject({ code: 'LOGIN_THROTTLED', status: 429 });
    expect((await gateway.api('/devices', { token: good })).status).toBe(200);
    expect((await gateway.api('/health', { token: null })).status).toBe(200);
    expect(gateway.parts.caps.hits('http.maxFailedLogins')).toBe(2);
    await gateway.finish();
  });
});

describe('what operators do', () => {
  it('is one entry each, which names nobody and nothing; salt and content beside the log open it', async () => {
    const gateway = await startTestGateway();
    const device = new TestDevice('audited');
    const { did, sub, kind } = device;
    const { token, id } = await make(gateway, { role: 'operator', name: 'kim' });
    const post = (path: string, body: object = {}) => gateway.api(path, { method: 'POST', body, token });
    expect((await post('/devices', { did, sub, kind, custody: 'device', owner: 'a household' })).status).toBe(201);
    expect((await post('/devices', { did, sub, kind, custody: 'device' })).status).toBe(409);
    const client = await device.connect(gateway);
    await device.publish(client, device.envelope());
    await device.publish(client, device.envelope({ seq: 5 }));
    expect((await post(`/devices/${did}/gaps`, { epoch: 1, first: 1, last: 4 })).status).toBe(201);
    for (const action of ['suspend', 'resume', 'revoke'])
      expect((await post(`/devices/${did}/${action}`)).status).toBe(200);
    expect((await post(`/devices/${did}/resume`)).status).toBe(409);

    const rows = await audit(gateway);
    expect(rows.map(({ action, on }) => [action, on])).toEqual([
      ['device.revoked', did],
      ['device.active', did],
      ['device.suspended', did],
      ['gap.lost', did],
      ['device.enrol', did],
      ['token.make', id],
    ]);
    expect(rows[0]).toMatchObject({ by: { name: 'kim', role: 'operator', token: id }, atMs: expect.any(Number) });
    for (const row of rows) expect(flawOf(row, gateway.info.did)).toBeUndefined();
    // Changed anywhere, it is seen.
    const [row] = rows as [Row];
    const other = { ...row, on: gateway.info.did };
    const forged = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(row.content, 'base64').toString()), on: other.on }),
    );
    for (const [why, changed] of [
      ['listed differently', other],
      ['with other content', { ...other, content: forged.toString('base64') }],
      ['with the entry of another', { ...row, envelope: rows[1]?.envelope }],
      ['with no entry', { ...row, envelope: undefined }],
    ] as const)
      expect(flawOf(changed as Row, gateway.info.did), why).toBeDefined();

    // Nothing of it in the log itself, but for the gap, which speaks of the device by its nature.
    const entries = ((await gateway.api('/entries')).body as { entries: { records: { n: string }[] }[] }).entries;
    const said = entries.filter(({ records }) => records[0]?.n === 'audit');
    expect(said).toHaveLength(6);
    for (const text of [did, sub, 'kim', id, 'household', token]) expect(JSON.stringify(said)).not.toContain(text);
    // Forgotten: the entries stay, and what opens those about the device is gone.
    expect((await post('/forget', { subject: sub })).status).toBe(200);
    expect((await audit(gateway)).map(({ action, on }) => [action, on.replace(/\d+/, 'N')])).toEqual([
      ['forget', 'entry N'],
      ['token.make', id.replace(/\d+/, 'N')],
    ]);
    const truth = await gateway.finish();
    expect(truth.audits).toHaveLength(2);
  });

  it('stands or falls with what it changes', async () => {
    const gateway = await startTestGateway();
    const { did, sub, kind } = new TestDevice('both');
    const post = (path: string, body: object = {}) => gateway.api(path, { method: 'POST', body });
    const sql = (text: string) => gateway.parts.store.write({ statements: [{ sql: text, params: [] }] });
    await sql("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'disk on fire'); END");
    expect((await post('/devices', { did, sub, kind, custody: 'device' })).status).toBe(503);
    expect((await gateway.api(`/devices/${did}`)).status).toBe(404);
    expect((await post('/tokens', { role: 'viewer', name: 'x' })).status).toBe(503);
    expect((await gateway.api('/tokens')).body).toEqual({ tokens: [] });
    await sql('DROP TRIGGER broken');
    expect((await post('/devices', { did, sub, kind, custody: 'device' })).status).toBe(201);
    await sql("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'disk on fire'); END");
    expect((await post(`/devices/${did}/revoke`)).status).toBe(503);
    expect((await gateway.api(`/devices/${did}`)).body).toMatchObject({ status: 'active' });
    await sql('DROP TRIGGER broken');
    expect((await gateway.finish()).audits.map(({ action }) => action)).toEqual(['device.enrol']);
  });

  it('is listed and checked by the command, as are tokens made, listed and revoked', async () => {
    const gateway = await startTestGateway();
    const data = ['--data', gateway.config.dataFolder];
    const token = (await edge(['token', 'make', '--role', 'viewer', '--name', 'kim', ...data])).stdout.trim();
    expect((await gateway.api('/devices', { token })).status).toBe(200);
    const [listed] = JSON.parse((await edge(['token', 'list', '--json', ...data])).stdout) as Made[];
    expect(listed).toMatchObject({ name: 'kim', role: 'viewer', madeBy: 'token make' });
    expect((await edge(['token', 'revoke', listed?.id as string, ...data])).stdout).toMatch(/^revoked /);
    expect((await gateway.api('/devices', { token })).status).toBe(401);
    const seen = await edge(['audit', ...data]);
    expect([
      seen.code,
      seen.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.slice(0, 3)),
    ]).toEqual([0, ['ok ', 'ok ']]);
    expect(seen.stdout).toMatch(
      /token revoke \(operator, [0-9a-f-]{36}\) {2}token\.revoke [0-9a-f-]{36} name=kim role=viewer$/m,
    );
    await gateway.finish();

    // Somebody with the database changes what it says beside the log.
    const db = new Database(join(gateway.config.dataFolder, 'edge.db'));
    db.prepare("UPDATE audit SET content = CAST(replace(CAST(content AS TEXT), 'kim', 'lee') AS BLOB)").run();
    db.close();
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    const bad = await edge(['audit', ...data]);
    expect([bad.code, bad.stderr.split(':')[0]]).toEqual([1, 'AUDIT_INVALID']);
    expect(bad.stdout.match(/^BAD .*another digest$/gm)).toHaveLength(2);
    await again.close();
    // No gateway: only a short one, which no list knows.
    expect((await edge(['token', 'make', '--role', 'viewer', ...data])).stderr).toMatch(/^USAGE: .*--for 2h/);
    const short = await edge(['token', '--role', 'viewer', '--for', '1h', ...data]);
    expect(short.stdout.split('.')).toHaveLength(3);
  });

  it('with a refused envelope: it is offered again, or it goes for good', async () => {
    const gateway = await startTestGateway();
    const post = (path: string, body?: object) => gateway.api(path, { method: 'POST', ...(body && { body }) });
    const device = await new TestDevice('refused').enrol(gateway);
    const { devices, quarantine, accept } = gateway.parts;
    const offer = (envelope: Uint8Array) => accept.offer(envelope, { did: device.did, topic: `up/${device.did}/cose` });
    await devices.setStatus(device.did, 'suspended', Date.now());
    for (const envelope of [device.envelope(), device.envelope(), device.envelope({ sub: 'urn:sejong:mp:else' })])
      expect((await offer(envelope)).kind).toBe('quarantined');
    const held = () =>
      quarantine
        .list(9, 99)
        .map(({ id, code }) => [id, code])
        .reverse();
    const [[first], [second], [third]] = held() as [[number], [number], [number]];
    expect((await post(`/quarantine/${first}/release`)).body).toMatchObject({ code: 'DEVICE_INACTIVE' });
    await devices.setStatus(device.did, 'active', Date.now());
    expect((await post(`/quarantine/${first}/release`, { reason: '' })).body).toMatchObject({
      code: 'REQUEST_INVALID',
    });
    const reason = 'it was suspended by mistake';
    expect((await post(`/quarantine/${first}/release`, { reason })).body).toEqual({ index: 1 });
    expect((await post(`/quarantine/${third}/release`)).body).toMatchObject({ code: 'SUBJECT_MISMATCH' });
    expect(held()).toEqual([
      [second, 'DEVICE_INACTIVE'],
      [third, 'SUBJECT_MISMATCH'],
    ]);
    const many = await Promise.all(Array.from({ length: 8 }, () => post(`/quarantine/${third}/drop`)));
    expect(many.map(({ status }) => status).sort(), 'however they come to the disk').toEqual([
      200,
      ...Array(7).fill(404),
    ]);
    for (const way of ['release', 'drop']) expect((await post(`/quarantine/${first}/${way}`)).status).toBe(404);
    expect([quarantine.held, quarantine.heldBy(device.did)]).toEqual([1, 1]);
    expect(
      (await gateway.finish()).audits.map(({ action, on, detail }) => [action, on, detail.id, detail.reason]),
    ).toEqual([
      ['quarantine.release', device.did, first, reason],
      ['quarantine.drop', device.did, third, undefined],
    ]);
  });
});
