import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { edge } from '../support/cli.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

type Code = { code: string; role: string; name: string; expiresMs: number };
type Session = { token: string; name: string; role: string; expiresMs: number; id: string };

const makeCode = async (gateway: TestGateway, body: object): Promise<Code> => {
  const { status, body: made, text } = await gateway.api('/session/codes', { method: 'POST', body });
  expect(status, text).toBe(201);
  return made as Code;
};
const open = (gateway: TestGateway, code: string) =>
  gateway.api('/session', { method: 'POST', body: { code }, token: null });

describe('signing in to the console', () => {
  it('changes a code for a token of that role, once, and out again', async () => {
    const gateway = await startTestGateway();
    const made = await makeCode(gateway, { role: 'engineer', name: '김', seconds: 3600 });
    expect(made).toEqual({
      code: expect.stringMatching(/^[\w-]{22}$/),
      role: 'engineer',
      name: '김',
      expiresMs: expect.any(Number),
    });
    expect(made.expiresMs - Date.now()).toBeGreaterThan(590_000);
    const answers = await Promise.all(Array.from({ length: 5 }, () => open(gateway, made.code)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 401, 401, 401, 401]);
    const good = answers.find(({ status }) => status === 201) as (typeof answers)[number];
    expect(good.body).toMatchObject({ name: '김', role: 'engineer' });
    expect(good.headers.get('cache-control')).toBe('no-store');
    const { token, expiresMs } = good.body as Session;
    expect(expiresMs - Date.now()).toBeGreaterThan(3_590_000);
    const who = await gateway.api('/session', { token });
    expect(who.body).toEqual({ name: '김', role: 'engineer', expiresMs, id: expect.any(String) });
    const { id } = who.body as Session;
    const { tokens } = (await gateway.api('/tokens')).body as { tokens: object[] };
    expect(tokens).toMatchObject([{ id, name: '김', role: 'engineer', madeBy: 'test operator' }]);
    expect((await gateway.api('/devices', { token })).status).toBe(200);
    expect((await gateway.api('/tokens', { token })).status).toBe(403);

    expect((await gateway.api('/session/end', { method: 'POST', token })).status).toBe(200);
    expect((await gateway.api('/devices', { token })).body).toMatchObject({ code: 'TOKEN_INVALID' });
    const { audits } = await gateway.finish();
    expect(audits.map(({ action, on, by }) => [action, on, by.name])).toEqual([
      ['token.make', id, 'test operator'],
      ['token.revoke', id, '김'],
    ]);
    // Neither the code nor its hash is in any file.
    const forms = [made.code, Buffer.from(made.code, 'base64url'), createHash('sha256').update(made.code).digest()];
    for (const file of readdirSync(gateway.config.dataFolder, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const bytes = readFileSync(join(file.parentPath, file.name));
      for (const form of forms) expect(bytes.includes(form), file.name).toBe(false);
    }
  });

  it('refuses a code that is none, and soon does not look at more from there', async () => {
    const gateway = await startTestGateway({ http: { maxFailedLogins: 5 } });
    const { code } = await makeCode(gateway, { role: 'viewer' });
    const codes = [];
    for (let i = 0; i < 8; i++) codes.push(((await open(gateway, `guess-${i}`)).body as { code: string }).code);
    expect(codes).toEqual([...Array(5).fill('SIGN_IN_INVALID'), ...Array(3).fill('LOGIN_THROTTLED')]);
    expect((await open(gateway, code)).body).toMatchObject({ code: 'LOGIN_THROTTLED' });
    expect(gateway.parts.caps.hits('http.maxFailedLogins')).toBe(4);
    for (const body of [{}, { code: '' }, { code: 'x'.repeat(65) }, { code: 1 }])
      expect((await gateway.api('/session', { method: 'POST', body, token: null })).status).toBe(400);
    await gateway.finish();
  });

  it('keeps 100 codes; with one more the oldest is good for nothing', async () => {
    const gateway = await startTestGateway();
    const codes = [];
    for (let i = 0; i < 101; i++) codes.push((await makeCode(gateway, { role: 'viewer' })).code);
    const answers = [];
    for (const at of [0, 1, 100]) answers.push((await open(gateway, codes[at] as string)).status);
    expect(answers).toEqual([401, 201, 201]);
    await gateway.finish();
  });

  it('begins with a link that the command prints', async () => {
    const gateway = await startTestGateway();
    const { dataFolder } = gateway.config;
    for (const [args, role] of [
      [[], 'viewer'],
      [['--role', 'operator', '--name', 'lee'], 'operator'],
    ] as const) {
      const { code, stdout, stderr } = await edge(['console', '--data', dataFolder, ...args]);
      expect(code, stderr).toBe(0);
      const link = new URL(stdout.trim());
      expect(link.origin).toBe(gateway.info.http);
      const [, page, secret] = link.hash.split('/');
      expect(page).toBe('sign-in');
      expect((await open(gateway, secret as string)).body).toMatchObject({ role });
    }
    expect((await edge(['console', '--data', dataFolder, '--role', 'king'])).code).toBe(2);
    await gateway.finish();
  });
});
