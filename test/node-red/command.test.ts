/** sejong-edge flows: Node-RED beside a gateway that runs in another process, as on a box with systemd. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { GatewayAccess } from '../../edge/node-red/folder.ts';
import { edge, start } from '../support/cli.ts';
import { startTestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

const processesOf = (data: string): string[] =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(data) && !line.startsWith('ps '));

it('runs Node-RED beside a gateway, follows it to another port, and leaves nothing behind, killed or stopped', async () => {
  const folder = tempFolder();
  const dataFolder = join(folder, 'data');
  const config = join(folder, 'edge.yaml');
  writeFileSync(config, 'mqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\nflows: {port: 0, nice: 0}\n');
  const command = () => start(process.execPath, ['edge/main.ts', 'flows', '--config', config]);

  // No gateway was ever here: there are no keys, and none are made.
  const early = await edge(['flows', '--config', config]);
  expect([early.code, early.stderr]).toEqual([2, expect.stringContaining('KEY_UNREADABLE')]);

  const gateway = await startTestGateway({ dataFolder });
  const first = command();
  const { url, user, password } = JSON.parse(await first.line(/"msg":"ready"/)) as Record<string, string>;
  expect([user, password]).toEqual(['engineer', join(dataFolder, 'flows', 'password')]);
  expect((await fetch(new URL('/flows', url))).status).toBe(401);
  expect(gateway.health()).toMatchObject({
    status: 'ok',
    parts: { flows: { ok: true, detail: expect.stringContaining(url as string) } },
  });
  const access = () =>
    JSON.parse(readFileSync(join(dataFolder, 'flows', 'user', 'gateway.json'), 'utf8')) as GatewayAccess;
  const { token, ...place } = access();
  expect(place).toMatchObject({ url: gateway.info.http, mqtt: gateway.info.mqtt });
  // An engineer's: it reads, and neither enrols nor suspends.
  expect((await gateway.api('/devices', { token })).status).toBe(200);
  expect((await gateway.api('/tokens', { token })).status).toBe(403);

  // The host is killed where it stands: Node-RED ends with it.
  const nodeRed = `--allow-fs-write=${join(dataFolder, 'flows', 'user')}`;
  expect(processesOf(nodeRed).length).toBeGreaterThan(0);
  await first.stop('SIGKILL');
  await until(() => processesOf(nodeRed).length === 0, 'nothing is left');
  expect(gateway.health().parts.flows).toBeUndefined();

  // The gateway comes back elsewhere, and flows are told.
  const second = command();
  await second.line(/"msg":"ready"/);
  await gateway.close();
  const again = await startTestGateway({ dataFolder });
  await until(() => access().url === again.info.http, 'flows know where it is');
  expect(await second.stop()).toBe(0);
  expect(processesOf(nodeRed)).toEqual([]);
  expect(second.lines.join('\n')).not.toContain(readFileSync(password as string, 'utf8').trim());
  await again.finish();
});
