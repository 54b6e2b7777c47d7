import { once } from 'node:events';
import { connect } from 'node:net';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ERRORS } from '../../edge/errors.ts';
import type { Role } from '../../edge/tokens.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

type Operation = {
  summary?: string;
  description?: string;
  tags?: string[];
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: string; required?: boolean; schema?: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses?: Record<string, { description: string; content?: Record<string, { schema?: object }> }>;
};
type OpenApi = {
  openapi: string;
  info: { title: string; version: string };
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components?: { securitySchemes?: Record<string, { type: string; scheme: string }>; schemas?: object };
};

const openApi = async (gateway: TestGateway): Promise<OpenApi> =>
  (await gateway.api('/openapi.json', { token: null })).body as OpenApi;

/** Every route that there is and the least role for it. A route that is not here fails the tests: decide, then add it. */
const ROUTES: Record<string, Role | 'open'> = {
  'GET /health': 'open',
  'GET /metrics': 'open',
  'GET /log/checkpoint': 'open',
  'GET /log/key': 'open',
  'GET /log/minimum-index': 'open',
  'GET /log/chain': 'open',
  'GET /log/witnesses': 'open',
  'GET /log/tile/{*}': 'open',
  'GET /entries': 'viewer',
  'GET /entries/{index}': 'viewer',
  'GET /entries/{index}/opening': 'viewer',
  'GET /entries/{index}/receipt': 'open',
  'GET /devices': 'viewer',
  'GET /devices/{did}': 'viewer',
  'GET /district': 'viewer',
  'GET /devices/{did}/series': 'viewer',
  'GET /vitals': 'viewer',
  'GET /alarms': 'viewer',
  'POST /alarms/{id}/clear': 'operator',
  'GET /profiles': 'viewer',
  'GET /profiles/{name}': 'viewer',
  'POST /devices': 'operator',
  'POST /devices/{did}/gaps': 'operator',
  'POST /devices/{did}/suspend': 'operator',
  'POST /devices/{did}/resume': 'operator',
  'POST /devices/{did}/revoke': 'operator',
  'POST /devices/{did}/replace': 'operator',
  'POST /devices/{did}/rekey': 'operator',
  'POST /forget': 'operator',
  'POST /checks': 'engineer',
  'GET /checks': 'viewer',
  'GET /checks/{index}': 'viewer',
  'GET /checks/bundle': 'viewer',
  'GET /checks/gates': 'viewer',
  'POST /checks/bundle': 'operator',
  'GET /claims': 'operator',
  'POST /claims': 'operator',
  'POST /claims/{id}': 'open',
  'POST /claims/{id}/confirm': 'operator',
  'POST /claims/{id}/drop': 'operator',
  'GET /tokens': 'operator',
  'POST /tokens': 'operator',
  'POST /tokens/{id}/revoke': 'operator',
  'GET /audit': 'operator',
  'GET /session': 'viewer',
  'POST /session': 'open',
  'POST /session/codes': 'operator',
  'POST /session/end': 'viewer',
  'GET /config': 'operator',
  'POST /config/reload': 'operator',
  'POST /config/restart': 'operator',
  'GET /anchors': 'viewer',
  'GET /quarantine': 'viewer',
  'POST /quarantine/{id}/release': 'operator',
  'POST /quarantine/{id}/drop': 'operator',
  'GET /schemas/certificate.json': 'open',
  'GET /certificates': 'viewer',
  'GET /certificates/{id}': 'viewer',
  'GET /certificates/{id}/file': 'viewer',
  'POST /certificates/{id}/claim': 'operator',
  'POST /certificates/{id}/withdraw': 'operator',
  'POST /certificates/{id}/reissue': 'operator',
  'GET /residuals': 'viewer',
  'GET /trades': 'viewer',
  'GET /statements/{month}': 'viewer',
  'GET /rec/{month}': 'viewer',
  'POST /rec/{month}/lock': 'operator',
  'GET /evidence/building': 'viewer',
  'GET /slots': 'viewer',
  'GET /care': 'engineer',
  'POST /care': 'operator',
  'POST /care/{did}/decision': 'operator',
  'POST /care/{did}/withdraw': 'operator',
  'GET /events': 'viewer',
  'GET /witness/key': 'open',
  'POST /witness/add-checkpoint': 'open',
  'GET /witness/evidence': 'viewer',
};
const RANK: (Role | 'open')[] = ['open', 'viewer', 'engineer', 'operator'];

const addressOf = (route: string, did: string): [method: string, path: string] => {
  const [method, path] = route.split(' ') as [string, string];
  return [
    method,
    path.replace('{did}', did).replace('{index}', '0').replace('{name}', 'meter').replace('{*}', '0/000.p/1'),
  ];
};

type Answer = { status: number; headers: Headers; text: string };

/** Asks and reads to the end, but for /events, which has none. */
async function ask(gateway: TestGateway, path: string, init: RequestInit = {}): Promise<Answer> {
  const answer = await fetch(gateway.info.http + path, init);
  const endless = answer.headers.get('content-type') === 'text/event-stream';
  if (endless) await answer.body?.cancel();
  return { status: answer.status, headers: answer.headers, text: endless ? '' : await answer.text() };
}

function expectProblem({ status, headers, text }: Answer, wanted: { status: number; code: string }, what = ''): void {
  expect(status, `${what}: ${text.slice(0, 300)}`).toBe(wanted.status);
  expect(headers.get('content-type'), what).toMatch(/^application\/problem\+json/);
  const problem = JSON.parse(text) as Record<string, unknown>;
  expect(problem, what).toEqual({
    type: `urn:sejong-edge:error:${wanted.code}`,
    title: ERRORS[wanted.code as keyof typeof ERRORS].title,
    todo: ERRORS[wanted.code as keyof typeof ERRORS].todo,
    status: wanted.status,
    code: wanted.code,
    detail: expect.any(String),
  });
}

describe('who may ask what', () => {
  it('is decided for every route in the OpenAPI document', async () => {
    const gateway = await startTestGateway();
    const { paths, tags } = await openApi(gateway);
    const found = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { security }]) => [
        `${method.toUpperCase()} ${path}`,
        security !== undefined && security.length > 0,
      ]),
    );
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(Object.entries(ROUTES).map(([route, role]) => [route, role !== 'open'])),
    );
    // It is said there, too, and each stands under a heading that is explained.
    for (const [route, role] of Object.entries(ROUTES)) {
      const [method, path] = route.split(' ') as [string, string];
      const { description = '', tags: under = [] } = paths[path]?.[method.toLowerCase()] ?? {};
      expect(/Role: (\w+)$/.exec(description)?.[1] ?? 'open', route).toBe(role);
      expect(
        tags.map(({ name }) => name),
        route,
      ).toEqual(expect.arrayContaining(under));
    }
    await gateway.finish();
  });

  it('open routes want no token, and the others one with a role that is high enough', async () => {
    const gateway = await startTestGateway({ http: { maxFailedLogins: 1_000_000 } });
    const elsewhere = await startTestGateway({ log: { origin: 'sejong.example/elsewhere' } });
    const device = await new TestDevice('access').enrol(gateway);
    const expired = await gateway.parts.tokens.issue({ name: 'late', role: 'operator' }, -120);
    const roleless = await gateway.parts.tokens.issue({ name: 'odd', role: 'admin' as Role }, 60);
    const good = await gateway.token('operator');
    const bad: [string, string | undefined][] = [
      ['none', undefined],
      ['empty', ''],
      ['another scheme', `Basic ${Buffer.from('a:b').toString('base64')}`],
      ['without its scheme', good],
      ['not a token', 'Bearer x'],
      ['two tokens', `Bearer ${good} ${good}`],
      ['cut short', `Bearer ${good.slice(0, -3)}`],
      ['expired', `Bearer ${expired}`],
      ['of no role', `Bearer ${roleless}`],
      ['of another gateway', `Bearer ${await elsewhere.token('operator')}`],
      ["a device's", `Bearer ${device.jwt(gateway.info.origin, { role: 'operator' })}`],
      ['longer than any token', `Bearer ${'x'.repeat(5000)}`],
    ];
    for (const [route, needed] of Object.entries(ROUTES)) {
      const [method, path] = addressOf(route, device.did);
      if (needed === 'open') {
        const expected = method === 'GET' ? 200 : 400; // what is posted here is nothing
        for (const headers of [{}, { authorization: 'Bearer x' }])
          expect((await ask(gateway, path, { method, headers })).status, route).toBe(expected);
        continue;
      }
      for (const [what, authorization] of bad) {
        const answer = await ask(gateway, path, { method, ...(authorization ? { headers: { authorization } } : {}) });
        expectProblem(answer, { status: 401, code: 'TOKEN_INVALID' }, `${route} with a token that is ${what}`);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
      for (const role of ['viewer', 'engineer', 'operator'] as const) {
        const answer = await ask(gateway, path, {
          method,
          headers: { authorization: `Bearer ${await gateway.token(role)}` },
        });
        if (RANK.indexOf(role) < RANK.indexOf(needed))
          expectProblem(answer, { status: 403, code: 'ROLE_MISSING' }, `${route} as ${role}`);
        else expect([401, 403], `${route} as ${role}`).not.toContain(answer.status);
      }
    }
    for (const path of ['/openapi.json', '/docs', '/docs/json', '/docs/static/index.css'])
      expect((await ask(gateway, path)).status, path).toBe(200);
    await elsewhere.finish();
    await gateway.finish();
  });

  it('is checked before anything of the request is looked at', async () => {
    const gateway = await startTestGateway();
    for (const [method, path] of [
      ['GET', '/entries?limit=x'],
      ['GET', '/devices/nonsense'],
      ['POST', '/devices'],
      ['POST', '/devices/nonsense/suspend'],
    ] as const) {
      const body = method === 'POST' ? { body: '{', headers: { 'content-type': 'application/json' } } : {};
      expectProblem(await ask(gateway, path, { method, ...body }), { status: 401, code: 'TOKEN_INVALID' }, path);
    }
    await gateway.finish();
  });
});

describe('HEAD', () => {
  it('answers as GET does, without the body, and leaves the connection usable', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('head').enrol(gateway);
    const authorization = `Bearer ${await gateway.token('operator')}`;
    for (const route of Object.keys(ROUTES)) {
      const [method, path] = addressOf(route, device.did);
      if (method !== 'GET' || path === '/events') continue;
      const get = await ask(gateway, path, { headers: { authorization } });
      const head = await ask(gateway, path, { method: 'HEAD', headers: { authorization } });
      // Entry 0 is not sealed, and no check; without a chain there are no certificates, and no file of a config here.
      const credits = /^\/(config|certificates|slots|residuals|trades|statements|rec|evidence\/)/.test(path);
      if (credits) expect([400, 409], route).toContain(get.status);
      expect([head.status, head.text, head.headers.get('content-type')], route).toEqual([
        credits ? get.status : path.endsWith('/opening') || route === 'GET /checks/{index}' ? 404 : 200,
        '',
        get.headers.get('content-type'),
      ]);
      const bare = await ask(gateway, path, { method: 'HEAD' });
      expect(bare.status, route).toBe(ROUTES[route] === 'open' ? 200 : 401);
    }
    await gateway.finish();
  });

  it('of a stream is no stream: it takes no place among the readers', async () => {
    const gateway = await startTestGateway({ http: { maxEventStreams: 1 } });
    const authorization = `Bearer ${await gateway.token('viewer')}`;
    for (let i = 0; i < 3; i++)
      expect((await ask(gateway, '/events', { method: 'HEAD', headers: { authorization } })).status).toBe(404);
    expect((await ask(gateway, '/events', { headers: { authorization } })).status).toBe(200);
    await gateway.finish();
  });
});

describe('errors are RFC 9457 problem documents with a stable code', () => {
  it('for every bad request', async () => {
    const gateway = await startTestGateway();
    const { did } = await new TestDevice('problems').enrol(gateway);
    const authorization = `Bearer ${await gateway.token('operator')}`;
    const json = (body: string, type = 'application/json'): RequestInit => ({
      method: 'POST',
      body,
      headers: { 'content-type': type },
    });
    const device = { kind: 'meter', custody: 'gateway', sub: 'urn:sejong:mp:1' };
    const table: [status: number, code: string, path: string, init?: RequestInit][] = [
      [404, 'NOT_FOUND', '/nowhere'],
      [404, 'NOT_FOUND', '/nowhere', json('{}')],
      [400, 'REQUEST_INVALID', '/entries/'],
      [404, 'NOT_FOUND', '/%2e%2e/etc/passwd'],
      [404, 'NOT_FOUND', '/docs/static/nothing.js'],
      [404, 'NOT_FOUND', '/docs/static/..%2f..%2fpackage.json'],
      [414, 'REQUEST_INVALID', `/${'x'.repeat(5000)}`],
      // The wrong method.
      [404, 'NOT_FOUND', '/entries', { method: 'DELETE' }],
      [404, 'NOT_FOUND', '/devices', { method: 'PUT' }],
      [404, 'NOT_FOUND', `/devices/${did}`, { method: 'PATCH' }],
      [404, 'NOT_FOUND', '/health', json('{}')],
      [404, 'NOT_FOUND', `/devices/${did}/suspend`],
      // The query.
      [400, 'REQUEST_INVALID', '/entries?limit=0'],
      [400, 'REQUEST_INVALID', '/entries?limit=1001'],
      [400, 'REQUEST_INVALID', '/entries?limit=ten'],
      [400, 'REQUEST_INVALID', '/entries?limit='],
      [400, 'REQUEST_INVALID', '/entries?limit=1&limit=2'],
      [400, 'REQUEST_INVALID', '/entries?after=-1'],
      [400, 'REQUEST_INVALID', '/entries?after=1e99'],
      [400, 'REQUEST_INVALID', '/entries?from=yesterday'],
      [400, 'REQUEST_INVALID', '/entries?from=2026-13-01T00:00:00Z'],
      [400, 'REQUEST_INVALID', '/entries?from=2016-12-31T23:59:60Z'],
      [400, 'REQUEST_INVALID', '/entries?to=1790000000'],
      [400, 'REQUEST_INVALID', '/entries?device=nobody'],
      [400, 'REQUEST_INVALID', '/entries?newest=true&from=2026-12-31T23:59:00Z'],
      [400, 'REQUEST_INVALID', '/entries?limti=10'],
      [400, 'REQUEST_INVALID', '/quarantine?before=0'],
      [400, 'REQUEST_INVALID', '/quarantine?after=1'],
      [400, 'REQUEST_INVALID', '/anchors?limit=5000'],
      [400, 'REQUEST_INVALID', '/entries/0/receipt?format=xml'],
      [400, 'REQUEST_INVALID', '/events?kinds=everything'],
      [400, 'REQUEST_INVALID', '/events?from=0'],
      // The path.
      [400, 'REQUEST_INVALID', '/entries/one'],
      [400, 'REQUEST_INVALID', '/entries/-1'],
      [400, 'REQUEST_INVALID', '/entries/1.5'],
      [400, 'REQUEST_INVALID', '/entries/99999999999999999999'],
      [404, 'NOT_FOUND', '/entries/123456'],
      [404, 'NOT_FOUND', '/entries/123456/receipt'],
      [400, 'REQUEST_INVALID', '/devices/nobody'],
      [400, 'REQUEST_INVALID', `/devices/did:key:z${'x'.repeat(200)}`],
      [404, 'DEVICE_UNKNOWN', `/devices/${new TestDevice('nobody').did}`],
      [404, 'DEVICE_UNKNOWN', `/entries?device=${new TestDevice('nobody').did}`],
      [400, 'REQUEST_INVALID', '/%zz'],
      [400, 'REQUEST_INVALID', '/entries/%ff'],
      [414, 'REQUEST_INVALID', `/devices/${'x'.repeat(1000)}`],
      // The body.
      [400, 'REQUEST_INVALID', '/devices', json('{')],
      [400, 'REQUEST_INVALID', '/devices', json('')],
      [400, 'REQUEST_INVALID', '/devices', json('[]')],
      [400, 'REQUEST_INVALID', '/devices', json('null')],
      [400, 'REQUEST_INVALID', '/devices', json('{}')],
      [400, 'REQUEST_INVALID', '/devices', json('{"__proto__":{"kind":"meter"}}')],
      [400, 'REQUEST_INVALID', '/devices', json(JSON.stringify({ ...device, capasityW: 5000 }))],
      [400, 'REQUEST_INVALID', '/devices', json(JSON.stringify({ ...device, capacityW: -1 }))],
      [400, 'REQUEST_INVALID', '/devices', json(JSON.stringify({ ...device, capacityW: null }))],
      [400, 'REQUEST_INVALID', '/devices', json(JSON.stringify({ ...device, capacityW: '5000' }))],
      [400, 'REQUEST_INVALID', '/devices', json(JSON.stringify({ ...device, label: 12 }))],
      [400, 'REQUEST_INVALID', '/devices', { method: 'POST' }],
      [400, 'REQUEST_INVALID', '/devices', json(JSON.stringify(device), 'text/plain')],
      [415, 'REQUEST_INVALID', '/devices', json('<device/>', 'application/xml')],
      [415, 'REQUEST_INVALID', '/devices', json('kind=meter', 'application/x-www-form-urlencoded')],
      [413, 'REQUEST_INVALID', '/devices', json(JSON.stringify({ ...device, label: 'x'.repeat(300_000) }))],
      [400, 'REQUEST_INVALID', `/devices/${did}/suspend`, json('{"why":"because"}')],
      [400, 'REQUEST_INVALID', `/devices/${did}/replace`, json('{}')],
    ];
    for (const [status, code, path, init] of table) {
      const headers = { authorization, ...(init?.headers as Record<string, string>) };
      expectProblem(
        await ask(gateway, path, { ...init, headers }),
        { status, code },
        `${init?.method ?? 'GET'} ${path}`,
      );
    }
    const { body } = await gateway.api('/devices');
    expect((body as { devices: { status: string }[] }).devices.map((d) => d.status)).toEqual(['active', 'active']);
    expect(gateway.lines).toEqual([]); // none of these is the gateway's fault
    await gateway.finish();
  });

  it('also where there is hardly a request at all', async () => {
    const gateway = await startTestGateway();
    const { hostname, port } = new URL(gateway.info.http);
    for (const [status, bytes] of [
      [400, 'GARBAGE\r\n\r\n'],
      [400, 'GET /health HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n'],
      [400, 'GET /health HTTP/1.1\r\nHost: x\r\ncontent-length: -1\r\n\r\n'],
      [400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
      [431, `GET /health HTTP/1.1\r\nHost: x\r\nlong: ${'x'.repeat(20_000)}\r\n\r\n`],
    ] as const) {
      const socket = connect(Number(port), hostname);
      onTestFinished(() => {
        socket.destroy();
      });
      let text = '';
      socket.on('data', (data) => {
        text += data.toString();
      });
      socket.on('error', () => undefined);
      socket.write(Buffer.from(bytes, 'latin1'));
      await once(socket, 'close');
      const [head = '', body = ''] = text.split('\r\n\r\n');
      const headers = new Headers(
        head
          .split('\r\n')
          .slice(1)
          .map((line) => line.split(': ') as [string, string]),
      );
      expectProblem(
        { status: Number(head.split(' ')[1]), headers, text: body },
        { status, code: 'REQUEST_INVALID' },
        JSON.stringify(bytes.slice(0, 60)),
      );
    }
    expect((await ask(gateway, '/health')).status).toBe(200);
    await gateway.finish();
  });

  it('and 503 when the store cannot take a device, which is not enrolled then', async () => {
    const gateway = await startTestGateway();
    const db = new Database(`${gateway.config.dataFolder}/edge.db`);
    onTestFinished(() => {
      db.close();
    });
    db.exec("CREATE TRIGGER full BEFORE INSERT ON devices BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    const device = new TestDevice('no-room');
    const body = { did: device.did, kind: 'meter', custody: 'device', sub: device.sub };
    const first = await gateway.api('/devices', { method: 'POST', body });
    expectProblem(first, { status: 503, code: 'STORE_UNAVAILABLE' });
    expect((await gateway.api(`/devices/${device.did}`)).status).toBe(404);
    db.exec('DROP TRIGGER full');
    expect((await gateway.api('/devices', { method: 'POST', body })).status).toBe(201);
    await gateway.finish();
  });
});

describe('the OpenAPI document', () => {
  it('says what each route does, takes and answers, and refers to nothing that is not in it', async () => {
    const gateway = await startTestGateway();
    const document = await openApi(gateway);
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: 'Sejong Edge', version: 'test' });
    for (const [path, operations] of Object.entries(document.paths)) {
      expect(path).toMatch(/^\/[a-z/{}*-]*(\.json)?$/);
      for (const [method, operation] of Object.entries(operations)) {
        const what = `${method} ${path}`;
        expect(operation.summary, what).toMatch(/^[A-Z].{5,}[^.]$/);
        expect(operation.tags, what).toHaveLength(1);
        expect(
          Object.keys(operation.responses ?? {}).filter((status) => /^2\d\d$/.test(status)),
          what,
        ).toHaveLength(1);
        for (const [status, response] of Object.entries(operation.responses ?? {})) {
          expect(status).toMatch(/^(2\d\d|409|4XX|5XX|default)$/);
          expect(response.description, what).toEqual(expect.any(String));
        }
        const problem = operation.responses?.default?.content;
        expect(Object.keys(problem ?? {}), `errors of ${what}`).toEqual(['application/problem+json']);
        // Each parameter in the path is described, and nothing else claims to be in it.
        const inPath = (operation.parameters ?? []).filter((p) => p.in === 'path');
        expect(inPath.map((p) => `{${p.name}}`).sort(), what).toEqual(
          [...path.matchAll(/\{[^}]+\}/g)].map(String).sort(),
        );
        for (const p of operation.parameters ?? [])
          expect([p.in !== 'path' || p.required, p.schema], what).toEqual([true, expect.any(Object)]);
        if (method === 'post' && path === '/devices')
          expect(operation.requestBody?.content).toHaveProperty('application/json');
        for (const scheme of (operation.security ?? []).flatMap((s) => Object.keys(s)))
          expect(document.components?.securitySchemes?.[scheme], what).toMatchObject({
            type: 'http',
            scheme: 'bearer',
          });
      }
    }
    const resolve = (ref: string): unknown =>
      ref
        .slice(2)
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      for (const [key, child] of Object.entries(value)) {
        if (key === '$ref') expect(resolve(child as string), child as string).toBeDefined();
        else walk(child);
      }
    };
    walk(document);
    await gateway.finish();
  });

  it('has a page at /docs that needs nothing from anywhere else', async () => {
    const gateway = await startTestGateway();
    const page = await fetch(`${gateway.info.http}/docs`);
    const html = await page.text();
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(html).not.toMatch(/(?:https?:)?\/\/[a-z0-9]/i);
    const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((m) => m[1] as string);
    expect(parts.filter((part) => part.endsWith('.js')).length).toBeGreaterThan(1);
    for (const part of parts) {
      const answer = await fetch(new URL(part, page.url));
      expect([answer.status, (await answer.arrayBuffer()).byteLength > 0], part).toEqual([200, true]);
    }
    // The browser is told so as well; and not to ask for https, which a gateway on a pole does not have.
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/default-src 'self'/);
    expect(policy).not.toMatch(/upgrade-insecure-requests|https:|\.io/);
    const initializer = await (await fetch(`${gateway.info.http}/docs/static/swagger-initializer.js`)).text();
    expect(initializer).toMatch(/validatorUrl: null/);
    await gateway.finish();
  });
});

describe('the server', () => {
  it('says which port is taken, and leaves nothing running', async () => {
    const gateway = await startTestGateway();
    const port = Number(new URL(gateway.info.http).port);
    await expect(startTestGateway({ http: { port } })).rejects.toMatchObject({ code: 'PORT_TAKEN' });
    await gateway.finish();
  });

  it('closes with requests and idle connections open', async () => {
    const gateway = await startTestGateway();
    const { hostname, port } = new URL(gateway.info.http);
    const sockets = [connect(Number(port), hostname), connect(Number(port), hostname)];
    let gone = 0;
    for (const socket of sockets) {
      await once(socket, 'connect');
      socket.resume().on('close', () => gone++);
    }
    sockets[1]?.write('POST /devices HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{');
    await ask(gateway, '/health');
    await gateway.finish();
    await until(() => gone === 2, 'both are closed');
  });
});
