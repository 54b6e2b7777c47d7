import { createHmac, sign } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { keyPair } from '../../edge/tokens.ts';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { CONNACK, type ConnectOptions, connectPacket, publishPacket, RawMqtt } from './raw-mqtt.ts';

const N_OF_P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const now = (): number => Math.floor(Date.now() / 1000);
const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A JWT made by hand, so that any part of it may be wrong. */
function jwt(
  device: TestDevice,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
  by: TestDevice = device,
): string {
  const iat = now();
  const head = `${b64({ alg: 'EdDSA', ...header })}.${b64({ sub: device.did, iat, exp: iat + 300, ...claims })}`;
  const { privateKey } = keyPair(by.secretKey, publicKeyFromDid(by.did).bytes);
  return `${head}.${sign(null, Buffer.from(head), privateKey).toString('base64url')}`;
}

/** The CONNACK in hex, and whether the gateway closed the connection after it. */
async function knock(gateway: TestGateway, options: ConnectOptions): Promise<string> {
  const raw = await RawMqtt.open(gateway);
  raw.send(connectPacket(options));
  const answer = (await raw.take(4)).toString('hex');
  if (answer === CONNACK.accepted) await raw.ping();
  else expect((await raw.rest()).length).toBe(0);
  await raw.cut();
  return answer;
}

describe('a device that holds its key', () => {
  it('logs in with a short-lived EdDSA token for this gateway, and gets return code 5 for any other', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const aud = gateway.info.origin;
    const device = await new TestDevice('login').enrol(gateway);
    const other = await new TestDevice('login-other').enrol(gateway);
    const unsigned = `${b64({ alg: 'none' })}.${b64({ sub: device.did, aud, iat: now(), exp: now() + 300 })}.`;
    const hmacHead = `${b64({ alg: 'HS256' })}.${b64({ sub: device.did, aud, iat: now(), exp: now() + 300 })}`;
    const hmac = createHmac('sha256', publicKeyFromDid(device.did).bytes).update(hmacHead).digest('base64url');
    const good = jwt(device, { aud });

    const accepted: [string, string][] = [
      ['EdDSA (RFC 8037)', good],
      ['Ed25519 (RFC 9864)', jwt(device, { aud }, { alg: 'Ed25519' })],
      ['one of several audiences', jwt(device, { aud: ['elsewhere', aud] })],
      ['an hour long', jwt(device, { aud, exp: now() + 3600, iat: now() })],
      ['a clock that is a little fast', jwt(device, { aud, iat: now() + 30, exp: now() + 330 })],
      ['a clock that is a little slow', jwt(device, { aud, iat: now() - 330, exp: now() - 30 })],
    ];
    for (const [why, password] of accepted)
      expect(await knock(gateway, { user: device.did, password }), why).toBe(CONNACK.accepted);

    const refused: [string, string][] = [
      ["another device's key", jwt(device, { aud }, {}, other)],
      ['another audience', jwt(device, { aud: 'sejong.example/edge-2' })],
      ['no audience', jwt(device, {})],
      ['the subject another device', jwt(device, { aud, sub: other.did })],
      ['no subject', jwt(device, { aud, sub: undefined })],
      ["another device's token", jwt(other, { aud })],
      ['expired', jwt(device, { aud, iat: now() - 600, exp: now() - 300 })],
      ['no expiry', jwt(device, { aud, exp: undefined })],
      ['no time of issue', jwt(device, { aud, iat: undefined })],
      ['valid for longer than an hour', jwt(device, { aud, exp: now() + 3700 })],
      ['valid for five minutes, from a year ahead on', jwt(device, { aud, iat: now() + 3e7, exp: now() + 3e7 + 300 })],
      ['not valid yet', jwt(device, { aud, nbf: now() + 300 })],
      ['dates that are no numbers', jwt(device, { aud, exp: '2099', iat: '2098' })],
      ['alg none', unsigned],
      ['alg none with a signature', jwt(device, { aud }, { alg: 'none' })],
      ['alg HS256 with the public key', `${hmacHead}.${hmac}`],
      ['an unknown critical header', jwt(device, { aud }, { crit: ['x'], x: 1 })],
      ['a signature cut short', good.slice(0, -4)],
      ['no signature', good.slice(0, good.lastIndexOf('.') + 1)],
      ['longer than any token', jwt(device, { aud, pad: 'x'.repeat(5000) })],
      ['not a token', 'secret'],
      ['nothing', ''],
      ["a person's token", await gateway.token('operator')],
    ];
    for (const [why, password] of refused)
      expect(await knock(gateway, { user: device.did, password }), why).toBe(CONNACK.refused);
    expect(await knock(gateway, { user: device.did })).toBe(CONNACK.refused);
    expect(await knock(gateway, {})).toBe(CONNACK.refused);
    expect(await knock(gateway, { password: good })).toBe(CONNACK.refused);

    expect(gateway.parts.mqtt.counts).toMatchObject({
      logins: accepted.length,
      loginsRefused: refused.length + 3,
      malformed: 0,
    });
    expect(gateway.lines.filter((l) => l.includes(good.slice(-20)))).toEqual([]); // no token in any line
    await gateway.finish();
  });

  it('is not judged by dates while the clock of the gateway is not set, but by all else', async () => {
    const gateway = await startTestGateway({ clock: { source: 'unsynced' } });
    const aud = gateway.info.origin;
    const device = await new TestDevice('login').enrol(gateway);
    const other = await new TestDevice('login-other').enrol(gateway);
    for (const shift of [-1e9, -600, 600, 1e9]) {
      const password = jwt(device, { aud, iat: now() + shift, exp: now() + shift + 300 });
      expect(await knock(gateway, { user: device.did, password }), `${shift}`).toBe(CONNACK.accepted);
    }
    for (const password of [
      jwt(device, { aud }, {}, other),
      jwt(device, { aud: 'elsewhere' }),
      jwt(device, { aud, sub: other.did }),
      jwt(device, { aud, exp: now() + 4000 }),
      jwt(device, { aud, exp: undefined }),
    ])
      expect(await knock(gateway, { user: device.did, password })).toBe(CONNACK.refused);
    await gateway.finish();
  });

  it('must be enrolled and active; one that was suspended logs in again when it is resumed', async () => {
    const gateway = await startTestGateway();
    const aud = gateway.info.origin;
    const stranger = new TestDevice('stranger');
    expect(await knock(gateway, { user: stranger.did, password: jwt(stranger, { aud }) })).toBe(CONNACK.refused);
    for (const user of ['did:key:z6MkNotAKey', 'did:', 'did:web:example.com', '__proto__', 'constructor'])
      expect(await knock(gateway, { user, password: 'x' }), user).toBe(CONNACK.refused);

    const device = await new TestDevice('login').enrol(gateway);
    const login = { user: device.did, password: jwt(device, { aud }) };
    const post = (action: string, body?: unknown) =>
      gateway.api(`/devices/${device.did}/${action}`, { method: 'POST', body: body ?? {} });
    const open = await RawMqtt.login(gateway, login);
    expect((await post('suspend')).status).toBe(200);
    expect(await knock(gateway, login)).toBe(CONNACK.refused);
    // The connection that was open stays, and what it sends is refused where all is refused.
    open.send(publishPacket(`up/${device.did}/cose`, device.envelope()));
    expect((await open.packet()).first).toBe(0x40);
    expect((await gateway.api('/quarantine')).body).toMatchObject({ quarantine: [{ code: 'DEVICE_INACTIVE' }] });
    await post('resume');
    expect(await knock(gateway, login)).toBe(CONNACK.accepted);
    await post('revoke');
    expect(await knock(gateway, login)).toBe(CONNACK.refused);
    expect((await gateway.finish()).entries).toBe(4);
  });
});

describe('a device that holds a P-256 key', () => {
  it('logs in with an ES256 token, either twin of its signature, and with no other algorithm or form', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const aud = gateway.info.origin;
    const device = await new TestDevice('login-p256', 'meter', 'P-256').enrol(gateway);
    const other = await new TestDevice('login-p256-other', 'meter', 'P-256').enrol(gateway);
    const edwards = await new TestDevice('login').enrol(gateway);
    const good = device.jwt(aud);
    const [head, claims, signature] = good.split('.') as [string, string, string];
    const raw = Buffer.from(signature, 'base64url');
    const s = BigInt(`0x${raw.subarray(32).toString('hex')}`);
    const twin = Buffer.from((N_OF_P256 - s).toString(16).padStart(64, '0'), 'hex');
    const withSignature = (bytes: Uint8Array): string =>
      `${head}.${claims}.${Buffer.from(bytes).toString('base64url')}`;
    const integer = (bytes: Uint8Array): Buffer => Buffer.concat([Uint8Array.of(2, 33, 0), bytes]);
    const der = Buffer.concat([Uint8Array.of(0x30, 70), integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
    const { bytes } = publicKeyFromDid(device.did);
    const hmacHead = `${b64({ alg: 'HS256' })}.${claims}`;
    const hmac = createHmac('sha256', bytes).update(hmacHead).digest('base64url');

    for (const password of [good, withSignature(Buffer.concat([raw.subarray(0, 32), twin]))])
      expect(await knock(gateway, { user: device.did, password })).toBe(CONNACK.accepted);
    const refused: [string, TestDevice, string][] = [
      ["another device's key", device, other.jwt(aud, { sub: device.did })],
      ['another audience', device, device.jwt('elsewhere')],
      ['expired', device, device.jwt(aud, { iat: now() - 600, exp: now() - 300 })],
      ...['EdDSA', 'Ed25519', 'ES256K', 'ES384', 'ESP256', 'none', 'HS256'].map((alg): [string, TestDevice, string] => [
        alg,
        device,
        device.jwt(aud, {}, alg),
      ]),
      ['HS256 with the public key', device, `${hmacHead}.${hmac}`],
      ['a signature in DER', device, withSignature(der)],
      ['an Ed25519 key that says ES256', edwards, edwards.jwt(aud, {}, 'ES256')],
    ];
    for (const [why, { did: user }, password] of refused)
      expect(await knock(gateway, { user, password }), why).toBe(CONNACK.refused);
    await gateway.finish();
  });
});

describe('a device whose key the gateway holds', () => {
  it('logs in with the secret that it got when it was enrolled, and with nothing else', async () => {
    const gateway = await startTestGateway();
    const enrol = async (sub: string) =>
      (await gateway.api('/devices', { method: 'POST', body: { kind: 'meter', custody: 'gateway', sub } })).body as {
        device: { did: string };
        secret: string;
      };
    const { device, secret } = await enrol('urn:sejong:mp:1');
    const other = await enrol('urn:sejong:mp:2');
    expect(await knock(gateway, { user: device.did, password: secret })).toBe(CONNACK.accepted);
    for (const password of ['', 'wrong', other.secret, secret.slice(1), `${secret} `, secret.toUpperCase()])
      expect(await knock(gateway, { user: device.did, password })).toBe(CONNACK.refused);
    expect(gateway.lines.filter((line) => line.includes(secret))).toEqual([]);
    await gateway.finish();
  });

  it('is never the gateway itself, whose DID has no secret', async () => {
    const gateway = await startTestGateway();
    for (const password of ['', 'x', await gateway.token('operator')])
      expect(await knock(gateway, { user: gateway.info.did, password })).toBe(CONNACK.refused);
    // Not even with a token that names it.
    const token = await gateway.parts.tokens.issue({ name: gateway.info.did, role: 'viewer' }, 60);
    expect(await knock(gateway, { user: gateway.info.did, password: token })).toBe(CONNACK.refused);
    await gateway.finish();
  });
});

describe('a person', () => {
  it('logs in with a role as user name and a token for that role', async () => {
    const gateway = await startTestGateway();
    for (const role of ['viewer', 'engineer', 'operator'] as const)
      expect(await knock(gateway, { user: role, password: await gateway.token(role) })).toBe(CONNACK.accepted);

    const device = await new TestDevice('login').enrol(gateway);
    const key = keyPair(device.secretKey, publicKeyFromDid(device.did).bytes).privateKey;
    const forged = await new SignJWT({ role: 'viewer' })
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer(gateway.info.did)
      .setSubject('mallory')
      .setAudience(gateway.info.origin)
      .setExpirationTime('1h')
      .sign(key);
    const refused: [user: string, password: string][] = [
      ['operator', await gateway.token('viewer')],
      ['viewer', await gateway.token('operator')],
      ['admin', await gateway.token('operator')],
      ['', await gateway.token('viewer')],
      ['viewer', ''],
      ['viewer', 'x'],
      ['viewer', forged],
      ['viewer', jwt(device, { aud: gateway.info.origin, role: 'viewer' })],
      ['viewer', await gateway.parts.tokens.issue({ name: 'late', role: 'viewer' }, -300)],
    ];
    for (const [user, password] of refused)
      expect(await knock(gateway, { user, password }), user).toBe(CONNACK.refused);
    await gateway.finish();
  });
});
