/** Every command of the README, run as it stands there, in the order in which it stands there. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RunInfo } from '../edge/run-info.ts';
import { ROOT, run, start } from './support/cli.ts';
import { tempFolder } from './support/temp.ts';
import { wholeTruth } from './support/whole-truth.ts';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const blocks = [...README.matchAll(/^```sh( stopped)?\n([\s\S]*?)^```$/gm)].map((m) => ({
  stopped: m[1] !== undefined,
  text: m[2] as string,
}));
/** What the two commands install and test is what runs this test: they are run by .ci/run and test/e2e/demo.test.ts. */
const THE_TWO = ['npm ci && npm start\n', 'npm ci && npm test\n'];

const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
};

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
};

it('the README names the two commands', () => {
  expect(blocks.map((b) => b.text)).toEqual(expect.arrayContaining(THE_TWO));
});

it('each command of the README works as it stands there', { timeout: 360_000 }, async (context) => {
  const missing = ['mosquitto_pub', 'curl'].filter((program) => !has(program));
  if (missing.length > 0) context.skip(`needs ${missing.join(' and ')} (Debian: mosquitto-clients, curl)`);
  // A folder that is the checkout, but for its own data: nothing of the user's is touched.
  const folder = tempFolder();
  for (const name of ['package.json', 'node_modules', 'edge', 'firmware-sim', 'contracts'])
    symlinkSync(join(ROOT, name), join(folder, name));
  const demo = start('npm', ['start', '--silent', '--', '--mqtt', '0', '--http', '0', '--no-flows'], { cwd: folder });
  await demo.line(/ anchor {2}/);
  const info = JSON.parse(readFileSync(join(folder, 'data', 'run.json'), 'utf8')) as RunInfo;
  const chainPort = await freePort();
  const here = (text: string): string =>
    text
      .replaceAll('8545', String(chainPort))
      .replaceAll('127.0.0.1:1883', new URL(info.mqtt).host)
      .replaceAll('127.0.0.1:8080', new URL(info.http).host)
      .replaceAll('-p 1883', `-p ${new URL(info.mqtt).port}`);
  const script = (wanted: boolean): string =>
    blocks
      .filter((b) => b.stopped === wanted && !THE_TWO.includes(b.text))
      .map((b) => here(b.text))
      .join('\n');
  // One shell for all, as a reader has one: what one block sets, the next uses.
  const running = await run('bash', ['-euo', 'pipefail', '-c', script(false)], { cwd: folder });
  expect(running.code, `${running.stdout}\n${running.stderr}`).toBe(0);
  expect(running.stdout).toContain('The receipt holds.');
  expect(running.stdout).toContain('The certificate holds');
  expect(running.stdout).toMatch(/event: entry/);
  expect(running.stdout).toMatch(/^anchors {3}0x/m);

  process.kill(info.pid, 'SIGINT');
  expect(await demo.stop('SIGCONT')).toBe(0);
  const stopped = await run('bash', ['-euo', 'pipefail', '-c', script(true)], { cwd: folder });
  expect(stopped.stdout, stopped.stderr).toContain('The receipt holds.');
  const truth = wholeTruth(join(folder, 'data'), { verifyOneIn: 25 });
  expect(truth.entries).toBeGreaterThan(100);
});
