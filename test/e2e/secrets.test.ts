/**
 * A whole gateway, with a chain of its own, that is used, refused, rotated and exported; and then everything that it said
 * and everything that it left is searched for every secret there is, in each form that one could have.
 */
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadConfig } from '../../edge/config-file.ts';
import { openIdentity } from '../../edge/identity.ts';
import type { RunInfo } from '../../edge/run-info.ts';
import { type Ended, edge, start } from '../support/cli.ts';
import { connectMqtt, TestDevice } from '../support/gateway.ts';
import { TestCa, writePair } from '../support/pki.ts';
import { tempFolder, until } from '../support/temp.ts';

const PASSPHRASE = 'correct horse battery staple';
const NEXT_PASSPHRASE = 'a second passphrase, as good';

/** All forms in which these bytes could stand somewhere; parts of base64 that don't depend on what is around them. */
function formsOf(secret: Uint8Array | string): Buffer[] {
  const bytes = Buffer.from(secret as string);
  const hex = bytes.toString('hex');
  const inner = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(4, -4),
  );
  const texts = [hex, hex.toUpperCase(), ...inner, ...inner.map((t) => t.replaceAll('+', '-').replaceAll('/', '_'))];
  return [bytes, ...texts.map((text) => Buffer.from(text))];
}

function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

it('no secret is in the clear in any answer, line, database, file or backup', { timeout: 180_000 }, async () => {
  const folder = tempFolder();
  const dataFolder = join(folder, 'data');
  const secrets = new Map<string, Uint8Array | string>([
    ['passphrase', PASSPHRASE],
    ['next passphrase', NEXT_PASSPHRASE],
  ]);
  const said: [string, string][] = [];
  const ca = await TestCa.make();
  const pair = await ca.issue();
  const { certFile, keyFile } = writePair(folder, pair);
  secrets.set('TLS key', pair.key.split('\n').slice(1, -2).join('\n').slice(0, 60));
  const config = join(folder, 'edge.yaml');
  const pass = join(folder, 'passphrase.txt');
  writeFileSync(pass, PASSPHRASE, { mode: 0o600 });
  writeFileSync(
    config,
    JSON.stringify({
      dataFolder,
      log: { checkpointSeconds: 0.2 },
      mqtt: { port: 0, tls: { certFile, keyFile, host: '127.0.0.1', port: 0 } },
      http: { port: 0 },
      keys: { passphraseFile: pass },
      chain: { everySeconds: 0.2, pollSeconds: 0.1, confirmations: 1 },
    }),
  );
  const command = async (...args: string[]): Promise<Ended> => {
    const ended = await edge(args);
    said.push([args.join(' '), ended.stdout + ended.stderr]);
    return ended;
  };
  await command('init', '--config', config);
  await command('check-config', config);
  const running = start(process.execPath, ['edge/main.ts', 'run', '--config', config]);
  const info = JSON.parse(await running.line(/"msg":"ready"/)) as RunInfo;

  // Everything that makes or takes a secret.
  const token = (await edge(['token', 'make', '--role', 'operator', '--config', config])).stdout.trim(); // which is to say it
  secrets.set('token', token.split('.')[2] as string);
  const ask = async (path: string, body?: unknown, bearer = token): Promise<Record<string, never>> => {
    const answer = await fetch(info.http + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const once = path === '/devices' || path === '/tokens' || path === '/claims';
    if (!answer.ok || !once || body === undefined) said.push([path, text]);
    return (/^[{[]/.test(text) ? JSON.parse(text) : {}) as Record<string, never>;
  };
  const legacy = (await ask('/devices', { kind: 'meter', custody: 'gateway', sub: 'urn:sejong:mp:1' })) as unknown as {
    device: { did: string };
    secret: string;
  };
  secrets.set('device secret', legacy.secret);
  secrets.set('device secret, raw', Buffer.from(legacy.secret, 'base64url'));
  const viewer = (await ask('/tokens', { role: 'viewer', name: 'kim' })) as unknown as { token: string; id: string };
  secrets.set('other token', viewer.token.split('.')[2] as string);
  const { code } = (await ask('/claims', { kind: 'meter', sub: 'urn:sejong:mp:2' })) as unknown as { code: string };
  secrets.set('claim code', code.slice(9));
  const own = new TestDevice('own');
  await ask('/devices', { did: own.did, kind: own.kind, sub: own.sub, custody: 'device' });
  const jwt = own.jwt(info.origin);
  secrets.set('login token', jwt.split('.')[2] as string);

  // What goes wrong, with secrets in it, as people make mistakes.
  const mqtt = (user: string, password: string) => connectMqtt({ info }, user, password).catch(() => undefined);
  await mqtt(own.did, legacy.secret);
  await mqtt(legacy.device.did, jwt);
  await mqtt(legacy.device.did, viewer.token);
  await mqtt('operator', viewer.token);
  await ask('/devices', { kind: 'meter', custody: 'gateway', sub: 'x', secret: legacy.secret }, viewer.token);
  await ask('/devices', undefined, `${viewer.token}x`);
  await ask(`/claims/${code.slice(0, 8)}`, { did: own.did, proof: jwt });
  await ask(`/tokens/${viewer.id}/revoke`, {});
  await ask('/devices', undefined, viewer.token);

  const client = await connectMqtt({ info }, legacy.device.did, legacy.secret);
  await client.publishAsync(`up/${legacy.device.did}/senml`, '[{"n":"1-0:1.8.0","u":"Wh","v":5}]', { qos: 1 });
  await client.publishAsync(`up/${legacy.device.did}/senml`, 'nonsense', { qos: 1 });
  const device = await connectMqtt({ info }, own.did, own.jwt(info.origin));
  await own.publish(device, own.envelope());
  await until(
    async () => ((await ask('/anchors')) as unknown as { anchors: unknown[] }).anchors.length > 0,
    'an anchor',
  );
  for (const path of [
    '/health',
    '/metrics',
    '/entries',
    '/devices',
    '/quarantine',
    '/tokens',
    '/claims',
    '/audit',
    '/log/checkpoint',
    '/log/key',
    '/witness/key',
    '/openapi.json',
    '/entries/1/receipt',
  ])
    await ask(path);
  for (const args of [['audit'], ['token', 'list'], ['claim', 'list'], ['export', '--out', join(folder, 'bundle')]])
    await command(...args, '--config', config);
  for (const args of [
    ['config', 'show', '--all'],
    ['config', 'reload'],
    ['doctor'],
    ['backup', join(folder, 'one.tar')],
  ])
    await command(...args, '--config', config);
  said.push(['run.json', readFileSync(join(dataFolder, 'run.json'), 'utf8')]);
  running.child.kill('SIGHUP');
  await running.stop();
  said.push(['run', running.lines.join('\n')]);

  const identity = openIdentity(loadConfig(config));
  const jwk = (key: typeof identity.keys.privateKey): Buffer =>
    Buffer.from(key.export({ format: 'jwk' }).d as string, 'base64url');
  secrets.set('gateway key', jwk(identity.keys.privateKey));
  secrets.set('device key', jwk(identity.deviceKey(legacy.device.did)));
  for (const name of ['logKey', 'witnessKey', 'anchorKey'] as const) secrets.set(name, identity[name]);

  // A backup as people make one, from before the rotation, and all that is there after it.
  cpSync(dataFolder, join(folder, 'backup'), { recursive: true });
  const next = join(folder, 'next.txt');
  writeFileSync(next, NEXT_PASSPHRASE, { mode: 0o600 });
  const rotated = await command('keys', 'rotate', '--passphrase', '--new-passphrase-file', next, '--config', config);
  expect(rotated.code, rotated.stderr).toBe(0);
  await command('token', 'make', '--role', 'viewer', '--for', '1h', '--config', config); // under a wrong passphrase now
  await command('keys', 'rotate', '--log', '--config', config);

  const places: [string, Buffer][] = said.map(([where, text]) => [where, Buffer.from(text)]);
  for (const path of filesBelow(folder))
    if (![pass, next, keyFile].includes(path)) places.push([path, readFileSync(path)]);
  for (const [name, secret] of secrets)
    for (const form of formsOf(secret)) {
      expect(form.length, `${name} is long enough to be looked for`).toBeGreaterThan(15);
      const found = places.filter(([, bytes]) => bytes.includes(form)).map(([where]) => where);
      expect(found, `${name}, as ${form.length} bytes`).toEqual([]);
    }
  // The search finds what is there.
  const all = Buffer.concat(places.map(([, bytes]) => bytes));
  expect(all.includes(own.did)).toBe(true);
  expect(readFileSync(keyFile).includes((secrets.get('TLS key') as string).slice(0, 40))).toBe(true);
  for (const path of filesBelow(join(dataFolder, 'keys'))) expect(statSync(path).mode & 0o077, path).toBe(0);
});
