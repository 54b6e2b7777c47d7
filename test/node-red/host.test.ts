/** Node-RED beside the gateway: what a flow does to its own process, and that it does nothing to anybody else. */
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { onTestFinished } from '../support/ends.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import { type FlowNode, logInAs, runsOnce, startFlows } from './rig.ts';

/** A device that sends twenty envelopes a second; the time of each until its PUBACK, in ms. */
async function keepSending(gateway: TestGateway): Promise<{ ackedMs: number[]; stop: () => Promise<void> }> {
  const device = await new TestDevice('busy').enrol(gateway);
  const client = await device.connect(gateway);
  const ackedMs: number[] = [];
  let going = true;
  const sending = (async () => {
    while (going) {
      const began = performance.now();
      await device.publish(client, device.envelope());
      ackedMs.push(performance.now() - began);
      await delay(50);
    }
  })();
  const stop = (): Promise<void> => {
    going = false;
    return sending;
  };
  onTestFinished(stop);
  return { ackedMs, stop };
}

const BAD: [string, string, RegExp][] = [
  ['loops for ever', 'for (;;);', /its loop stood still for 2 s/],
  [
    'throws where nobody catches it',
    "Promise.reject(new Error('planted here'));",
    /nobody caught this in a flow: planted here/,
  ],
  [
    'keeps buffers',
    'const held = []; setInterval(() => held.push(Buffer.alloc(8_000_000, 1)), 10);',
    /it used \d+ MB, more than 250 MB/,
  ],
  ['keeps objects', 'const held = []; for (;;) held.push(new Array(10_000).fill({}));', /more than 125 MB of heap/],
  [
    'fills the disk',
    `const fs = (0, Buffer.constructor)('return this')().process.getBuiltinModule('fs');
     let n = 0; setInterval(() => { if (n < 3) fs.writeFileSync('filled-' + n++, Buffer.alloc(8_000_000)); }, 100);`,
    /it holds more than 16 MB of files/,
  ],
];
const GOOD: FlowNode[] = [
  { id: 'tab', type: 'tab', label: 'test' },
  { id: 'in', type: 'http in', z: 'tab', url: 'hello', method: 'get', wires: [['out']] },
  { id: 'out', type: 'http response', z: 'tab', statusCode: '200', wires: [] },
];

it('a flow that loops, throws, eats memory or fills the disk ends Node-RED alone: intake goes on, and it comes back in safe mode', async () => {
  const gateway = await startTestGateway();
  const flows = await startFlows(gateway, { hangSeconds: 2, maxMemoryMb: 250, pauseMs: 100, nice: 0, maxDiskMb: 16 });
  const { ackedMs, stop } = await keepSending(gateway);
  for (const [i, [what, code, why]] of BAD.entries()) {
    const before = { crashes: flows.host.state.crashes, acked: ackedMs.length };
    await flows.deploy(runsOnce(code));
    // The first one is tried three times; then it is known that these flows are not good, and once is enough.
    await flows.host.until(({ state, crashes }) => state === 'safe' && crashes > before.crashes);
    const state = flows.host.state;
    expect(state.crashes - before.crashes, what).toBe(i === 0 ? 3 : 1);
    expect(state.why, what).toMatch(why);
    expect(flows.lines.filter((line) => line.includes('FLOWS_CRASHED')).at(-1)).toMatch(why);
    // Meanwhile readings were taken, and no reading waited for what the flow did.
    expect(ackedMs.length - before.acked, what).toBeGreaterThan(10);
    const { status, parts } = gateway.health();
    expect(parts.flows).toMatchObject({ ok: false, detail: expect.stringContaining('safe mode') });
    expect(status).toBe('ok');
    // The editor is up, and the flow can be seen.
    expect(await (await flows.admin('/flows')).json()).toContainEqual(expect.objectContaining({ id: 'do' }));
    for (let n = 0; n < 3; n++)
      rmSync(join(gateway.config.dataFolder, 'flows', 'user', `filled-${n}`), { force: true });
    // Repaired: it runs, without another start.
    await flows.deploy(GOOD);
    await flows.host.until(({ state }) => state === 'running');
    expect((await fetch(new URL('/public/hello', flows.url()))).status).toBe(200);
    expect(gateway.health().parts.flows?.ok).toBe(true);
  }
  // Twice as long after each further crash.
  const pauses = flows.lines.flatMap((line) => / in ([\d.]+) s\./.exec(line)?.[1] ?? []).map(Number);
  expect(pauses.slice(0, 4)).toEqual([0.1, 0.2, 0.4, 0.8]);
  expect(Math.max(...ackedMs), 'the slowest PUBACK').toBeLessThan(2000);
  await stop();
  expect((await gateway.finish({ verifyOneIn: 10 })).entries).toBeGreaterThanOrEqual(ackedMs.length);
}, 90_000);

it('what a flow may do is decided by the host, not by the flow', async () => {
  process.env.SEJONG_TEST_SECRET = 'operator';
  onTestFinished(() => {
    delete process.env.SEJONG_TEST_SECRET;
  });
  const gateway = await startTestGateway();
  const { port } = await takePort();
  const flows = await startFlows(gateway, { port, anyPort: true });
  expect(flows.url()).not.toContain(`:${port}/`);
  const { dataFolder } = gateway.config;
  const folder = join(dataFolder, 'flows');
  const password = readFileSync(join(folder, 'password'), 'utf8').trim();

  // Its own login; nothing of editor and API without it. What is secret is nobody else's to read.
  expect(flows.url()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  for (const path of ['/flows', '/nodes', '/settings'])
    expect((await fetch(new URL(path, flows.url()))).status).toBe(401);
  expect((await logInAs(flows.url(), 'engineer', 'not the password')).status).toBe(403);
  for (const name of ['password', 'password.hash', 'credential-secret', 'user/gateway.json', 'user/flows.json'])
    expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
  expect(readFileSync(join(folder, 'password.hash'), 'utf8')).toMatch(/^\$2[aby]\$08\$/);
  expect(flows.lines.join('\n')).not.toContain(password);

  // No programs, no code from elsewhere.
  const nodes = (await (await flows.admin('/nodes', { headers: { accept: 'application/json' } })).json()) as {
    types: string[];
  }[];
  const types = nodes.flatMap((node) => node.types);
  expect(types).toContain('function');
  expect(types).not.toContain('exec');
  const install = await flows.admin('/nodes', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ module: 'node-red-node-ping' }),
  });
  expect(install.status).toBeGreaterThanOrEqual(400);

  // A function node is no sandbox: whoever leaves it meets Node's own permissions, and an empty environment.
  const leave = `
    const { process } = (0, Buffer.constructor)('return this')();
    const fs = process.getBuiltinModule('fs');
    const attempt = (f) => { try { return 'done: ' + f(); } catch (error) { return error.code; } };
    msg.payload = {
      keys: attempt(() => fs.readdirSync(${JSON.stringify(join(dataFolder, 'keys'))})),
      password: attempt(() => fs.readFileSync(${JSON.stringify(join(folder, 'password'))})),
      write: attempt(() => fs.writeFileSync(${JSON.stringify(join(dataFolder, 'planted'))}, 'x')),
      own: attempt(() => fs.readFileSync(${JSON.stringify(join(folder, 'user', 'flows.json'))}).length > 0),
      run: attempt(() => process.getBuiltinModule('child_process').execSync('true')),
      env: JSON.stringify(process.env),
      nice: process.getBuiltinModule('os').getPriority(),
    };
    return msg;`;
  await flows.deploy([
    { id: 'tab', type: 'tab', label: 'test' },
    { id: 'in', type: 'http in', z: 'tab', url: 'leave', method: 'get', wires: [['do']] },
    { id: 'do', type: 'function', z: 'tab', func: leave, outputs: 1, wires: [['out']] },
    { id: 'out', type: 'http response', z: 'tab', statusCode: '200', headers: {}, wires: [] },
  ]);
  const page = await fetch(new URL('/public/leave', flows.url()));
  // A page is of no origin: its scripts cannot read the session of the editor, which comes from the same address.
  expect(page.headers.get('content-security-policy')).toMatch(/^sandbox\b(?!.*allow-same-origin)/);
  const left = (await page.json()) as Record<string, unknown>;
  expect(left).toMatchObject({
    keys: 'ERR_ACCESS_DENIED',
    password: 'ERR_ACCESS_DENIED',
    write: 'ERR_ACCESS_DENIED',
    run: 'ERR_ACCESS_DENIED',
    own: 'done: true',
    nice: 10,
  });
  expect(left.env).not.toContain('operator');

  // Flows that an engineer has changed stay as they are; a password that is written is the one from the next start on.
  await flows.host.stop();
  expect(gateway.health().parts.flows).toBeUndefined();
  writeFileSync(join(folder, 'password'), 'one of my own choice\n', { mode: 0o600 });
  const later = new Date(Date.now() + 1000);
  utimesSync(join(folder, 'password'), later, later);
  const again = await startFlows(gateway);
  expect(await (await again.admin('/flows')).json()).toContainEqual(expect.objectContaining({ id: 'do' }));
  expect((await logInAs(again.url(), 'engineer', password)).status).toBe(403);
  expect((await logInAs(again.url(), 'engineer', 'one of my own choice')).status).toBe(200);
});

it('a port that is taken is no fault of a flow: it is tried again, and not in safe mode', async () => {
  const gateway = await startTestGateway();
  const { port, release } = await takePort();
  const flows = startFlows(gateway, { port, pauseMs: 50, nice: 0 });
  const detail = (): string => gateway.health().parts.flows?.detail ?? '';
  await until(() => /ended 3 times by itself, last: listen EADDRINUSE/.test(detail()), 'it was tried', 40_000);
  await release();
  expect((await flows).host.state).toMatchObject({ state: 'running', url: `http://127.0.0.1:${port}/` });
});

async function takePort(): Promise<{ port: number; release: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const release = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  onTestFinished(release);
  return { port: (server.address() as AddressInfo).port, release };
}
