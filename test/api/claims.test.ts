import { createHmac, hash } from 'node:crypto';
import { join } from 'node:path';
import { base32 } from '@scure/base';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimKey, claimNonce, fingerprint, formatCode, parseCode } from '../../edge/wire/claim.ts';
import { openIdentity } from '../../firmware-sim/identity.ts';
import { readOptions } from '../../firmware-sim/options.ts';
import { run as runSim } from '../../firmware-sim/run.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

type Made = { id: string; code: string; status: string; expiresMs: number };
type Shown = { id: string; status: string; did: string | null; fingerprint: string | null };

const post = (gateway: TestGateway, path: string, body: object = {}, token?: string | null) =>
  gateway.api(path, { method: 'POST', body, ...(token === undefined ? {} : { token }) });
async function make(gateway: TestGateway, over: object = {}): Promise<Made> {
  const { status, body, text } = await post(gateway, '/claims', {
    kind: 'meter',
    sub: 'urn:sejong:mp:claimed',
    ...over,
  });
  expect(status, text).toBe(201);
  return body as Made;
}
const listed = async (gateway: TestGateway): Promise<Shown[]> =>
  ((await gateway.api('/claims')).body as { claims: Shown[] }).claims;

/** By another HMAC and another base32 than the gateway's. */
function nonceOf(code: string, did: string, origin: string): string {
  const [id, secret] = code.split('-') as [string, string];
  const raw = base32.decode(secret.padEnd(32, '='));
  return createHmac('sha256', hash('sha256', raw, 'buffer'))
    .update(`claim\0${id}\0${did}\0${origin}`)
    .digest('base64url');
}
const proofOf = (device: TestDevice, code: string, origin: string, over: Record<string, unknown> = {}): string =>
  device.jwt(origin, { jti: code.slice(0, 8), nonce: nonceOf(code, device.did, origin), ...over });
/** As a device does it: without a token. */
const prove = (gateway: TestGateway, device: TestDevice, code: string, proof?: string) =>
  post(
    gateway,
    `/claims/${code.slice(0, 8)}`,
    { did: device.did, proof: proof ?? proofOf(device, code, gateway.info.origin) },
    null,
  );

describe('a claim code', () => {
  it('is read as it was written, and as a person types it; anything else is none', () => {
    const bytes = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
    fc.assert(
      fc.property(bytes(5), bytes(16), (id, secret) => {
        const code = formatCode(id, secret);
        expect(code).toMatch(/^[A-Z2-7]{8}-[A-Z2-7]{26}$/);
        for (const typed of [code, ` ${code.toLowerCase()}\n`])
          expect(parseCode(typed)).toEqual({ id: code.slice(0, 8), secret });
      }),
      { seed: 1 },
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        const read = parseCode(text);
        // One spelling of each.
        if (read) expect(text.trim().toUpperCase().slice(9)).toBe(formatCode(new Uint8Array(5), read.secret).slice(9));
      }),
      { seed: 2 },
    );
    expect(parseCode(`${'A'.repeat(8)}-${'A'.repeat(25)}B`)).toBeUndefined();
  });
});

describe('self-enrolment', () => {
  it('is a code, a proof, a look at the fingerprint; both types of keys; the code is nowhere but in the answer', async () => {
    const gateway = await startTestGateway();
    for (const [n, type] of (['Ed25519', 'P-256'] as const).entries()) {
      const device = new TestDevice(`claims-${n}`, 'meter', type);
      const made = await make(gateway, { sub: device.sub, owner: 'a household', label: 'hall' });
      expect(await listed(gateway)).toMatchObject([{ id: made.id, status: 'open', did: null }, ...Array(n).fill({})]);
      expect((await post(gateway, `/claims/${made.id}/confirm`, { fingerprint: 'x' })).body).toMatchObject({
        code: 'CLAIM_STATE',
      });
      const first = await prove(gateway, device, made.code);
      expect([first.status, first.body]).toEqual([
        202,
        {
          status: 'pending',
          kind: 'meter',
          sub: device.sub,
          fingerprint: expect.stringMatching(/^[A-Z2-7]{4}-[A-Z2-7]{4}$/),
        },
      ]);
      expect((await prove(gateway, device, made.code)).body).toEqual(first.body); // asked again
      await expect(device.connect(gateway)).rejects.toThrow(); // nobody has confirmed it
      const mark = (first.body as { fingerprint: string }).fingerprint;
      expect((await post(gateway, `/claims/${made.id}/confirm`, { fingerprint: 'AAAA-AAAA' })).body).toMatchObject({
        code: 'FINGERPRINT_DIFFERS',
      });
      const confirmed = await post(gateway, `/claims/${made.id}/confirm`, { fingerprint: mark.toLowerCase() });
      expect([confirmed.status, confirmed.body]).toMatchObject([
        200,
        { did: device.did, sub: device.sub, custody: 'device', owner: 'a household', label: 'hall', status: 'active' },
      ]);
      await device.publish(await device.connect(gateway), device.envelope());
      expect((await prove(gateway, device, made.code)).body).toMatchObject({ status: 'confirmed' });
      for (const way of ['confirm', 'drop'])
        expect(
          (await post(gateway, `/claims/${made.id}/${way}`, way === 'drop' ? {} : { fingerprint: mark })).body,
        ).toMatchObject({ code: 'CLAIM_STATE' });
      expect((await gateway.api('/claims')).text).not.toContain(made.code.slice(9));
    }
    const { audits } = await gateway.finish();
    expect(audits.map(({ action }) => action)).toEqual(['claim.make', 'claim.confirm', 'claim.make', 'claim.confirm']);
    const db = new Database(join(gateway.config.dataFolder, 'edge.db'), { readonly: true });
    const keys = db.prepare('SELECT key FROM claims').pluck().all() as Uint8Array[];
    db.close();
    expect(keys.map((key) => key.length)).toEqual([32, 32]);
  });

  it('is refused to who has no code, another code, another key, or comes late; a code is used once', async () => {
    const gateway = await startTestGateway({ http: { maxFailedLogins: 100 }, clock: { source: 'synced' } });
    const { origin } = gateway.info;
    const [device, other] = [new TestDevice('claimant'), new TestDevice('thief')];
    const { code, id } = await make(gateway);
    const second = await make(gateway);
    const secretOf = (c: string) => parseCode(c)?.secret as Uint8Array;
    const refused: [string, string, TestDevice?][] = [
      ['of another code', proofOf(device, second.code, origin)],
      ['of another secret', proofOf(device, code, origin, { nonce: nonceOf(second.code, device.did, origin) })],
      ['with the nonce for another DID', proofOf(device, code, origin, { nonce: nonceOf(code, other.did, origin) })],
      [
        'with the nonce for another gateway',
        proofOf(device, code, origin, { nonce: nonceOf(code, device.did, 'elsewhere') }),
      ],
      ['for another gateway', proofOf(device, code, 'elsewhere')],
      ['without a nonce', proofOf(device, code, origin, { nonce: undefined })],
      ['with another id', proofOf(device, code, origin, { jti: second.id })],
      ['by another key', proofOf(other, code, origin, { sub: device.did, nonce: nonceOf(code, device.did, origin) })],
      ['old', proofOf(device, code, origin, { iat: 1_700_000_000, exp: 1_700_000_300 })],
      ['no proof', 'x'],
    ];
    for (const [why, proof] of refused)
      expect((await prove(gateway, device, code, proof)).body, why).toMatchObject({
        code: 'CLAIM_INVALID',
        status: 403,
      });
    expect((await prove(gateway, device, `AAAAAAAA${code.slice(8)}`)).body).toMatchObject({ code: 'CLAIM_INVALID' });
    expect((await post(gateway, `/claims/${id}`, { did: 'did:key:z6Mkx', proof: 'x' }, null)).body).toMatchObject({
      code: 'DID_INVALID',
    });
    expect((await listed(gateway)).map(({ status }) => status)).toEqual(['open', 'open']);

    // Both have the code: the first is shown, and the operator sees that it is not the one in hand.
    for (const [who, status] of [
      [other, 202],
      [device, 409],
    ] as const)
      expect((await prove(gateway, who, code)).status).toBe(status);
    const third = await make(gateway);
    const atOnce = await Promise.all([0, 1, 2, 3].map((n) => prove(gateway, n % 2 ? other : device, third.code)));
    expect(atOnce.map(({ status }) => status).sort(), 'one of two, however often').toEqual([202, 202, 409, 409]);
    const mark = fingerprint(claimKey(secretOf(code)), device.did);
    expect((await post(gateway, `/claims/${id}/confirm`, { fingerprint: mark })).body).toMatchObject({
      code: 'FINGERPRINT_DIFFERS',
    });
    expect((await post(gateway, `/claims/${id}/drop`)).body).toMatchObject({ status: 'dropped', did: other.did });
    for (const who of [device, other])
      expect((await prove(gateway, who, code)).body).toMatchObject({ code: 'CLAIM_TAKEN' });
    await expect(other.connect(gateway)).rejects.toThrow();

    await gateway.parts.store.write({
      statements: [{ sql: 'UPDATE claims SET expires_ms = ? WHERE id = ?', params: [Date.now() - 1, second.id] }],
    });
    expect((await prove(gateway, device, second.code)).body).toMatchObject({
      code: 'CLAIM_INVALID',
      detail: `${second.id} has expired`,
    });
    for (const body of [{ kind: 'nothing' }, { sub: 'urn:sejong:gateway:x' }, { seconds: 1 }, { did: device.did }])
      expect((await post(gateway, '/claims', { kind: 'meter', sub: 'urn:x', ...body })).body).toMatchObject({
        code: 'REQUEST_INVALID',
      });
    expect(claimNonce(claimKey(secretOf(code)), id, device.did, origin)).toBe(nonceOf(code, device.did, origin));
    await gateway.finish();
  });

  it('is throttled by address', async () => {
    const gateway = await startTestGateway({ http: { maxFailedLogins: 3 } });
    const device = new TestDevice('guessing');
    const { code } = await make(gateway);
    for (let i = 0; i < 3; i++) expect((await prove(gateway, device, code, 'x')).status).toBe(403);
    expect((await prove(gateway, device, code)).body).toMatchObject({ code: 'LOGIN_THROTTLED' });
    await gateway.finish();
  });

  it('works from the command line to a simulated device, which waits for the operator and then measures', async () => {
    const gateway = await startTestGateway();
    const { dataFolder } = gateway.config;
    const state = tempFolder();
    const argv = [
      '--meters',
      '1',
      '--plants',
      '0',
      '--vehicles',
      '0',
      '--mqtt',
      gateway.info.mqtt,
      '--api',
      gateway.info.http,
      '--state',
      state,
      '--every',
      '0.2',
      '--for',
      '1',
      '--seed',
      '7',
      '--quiet',
    ];
    const reported: string[] = [];
    const sim = (code: string) =>
      runSim(
        readOptions([...argv, '--claim', code], {}),
        { report: (line) => reported.push(line), ready: () => undefined, watch: () => undefined },
        AbortSignal.timeout(60_000),
      );
    const wrong = await make(gateway);
    await expect(sim(wrong.code)).rejects.toThrow(/is for a meter of urn:sejong:mp:claimed, this is a meter of/);
    const [name] = (await import('node:fs')).readdirSync(state).filter((file) => file.includes('meter'));
    const me = openIdentity(join(state, name as string), {
      name: name as string,
      kind: 'meter',
      runSeed: 7,
      seeded: true,
      ordinal: 0,
    });

    const made = await edge([
      'claim',
      'make',
      '--kind',
      'meter',
      '--sub',
      me.sub,
      '--for',
      '15m',
      '--json',
      '--data',
      dataFolder,
    ]);
    const { id, code } = JSON.parse(made.stdout) as Made;
    const done = sim(code);
    await until(() => reported.some((line) => line.includes(`claimed ${id}`)), 'it has shown the code');
    const mark = /fingerprint (\S{9}):/.exec(reported.join('\n'))?.[1] as string;
    expect((await edge(['claim', 'list', '--data', dataFolder])).stdout).toContain(`${id}  pending `);
    expect((await edge(['claim', 'confirm', id, '--data', dataFolder])).stderr).toMatch(/^USAGE: .*--fingerprint/);
    const confirmed = await edge(['claim', 'confirm', id, '--fingerprint', mark, '--data', dataFolder]);
    expect(confirmed).toMatchObject({ code: 0, stdout: `enrolled  ${me.did}\n` });
    expect((await done).acked).toBeGreaterThan(0);
    expect((await edge(['claim', 'drop', wrong.id, '--data', dataFolder])).stdout).toContain('dropped');
    await gateway.finish();
  });
});
