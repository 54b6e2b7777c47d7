/** How the process ends when it must, and who starts it again. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { nextPause } from '../../edge/commands/supervise.ts';
import type { RunInfo } from '../../edge/run-info.ts';
import { edge, type Running, start } from '../support/cli.ts';
import { tempFolder, until } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

const DIE = fileURLToPath(new URL('./die.ts', import.meta.url));

function makeConfig(): { config: string; data: string } {
  const folder = tempFolder();
  const config = join(folder, 'edge.yaml');
  writeFileSync(config, 'mqtt: {port: 0}\nhttp: {port: 0}\nlog: {checkpointSeconds: 0.2}\nchain: {mode: none}\n');
  return { config, data: join(folder, 'data') };
}

const pidOf = (data: string): number | undefined => {
  const path = join(data, 'run.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as RunInfo).pid : undefined;
};
const processesOf = (config: string): string[] =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(config) && !line.startsWith('ps '));
/** Ready once more, with another pid. */
async function readyAgain(data: string, before: number | undefined): Promise<number> {
  await until(() => ![undefined, before].includes(pidOf(data)), 'it is ready again');
  return pidOf(data) as number;
}
const supervised = (config: string): Running =>
  start(process.execPath, ['edge/main.ts', 'run', '--config', config, '--supervise']);

describe('an error that nobody caught', () => {
  for (const [what, code, says] of [
    ['throw', 70, 'INTERNAL'],
    ['reject', 70, 'INTERNAL'],
    ['writer', 1, 'STORE_UNAVAILABLE'],
  ] as const)
    it(`(${what}) ends the process with code ${code} and one fatal line, and what is on disk is whole`, async () => {
      const { config, data } = makeConfig();
      const run = start(process.execPath, ['--import', DIE, 'edge/main.ts', 'run', '--config', config], {
        env: { TEST_DIE: what },
      });
      await run.line(/"msg":"ready"/);
      run.child.kill('SIGUSR2');
      expect(await run.stop('SIGCONT')).toBe(code);
      const fatal = run.lines.filter((line) => line.includes('"level":60'));
      expect(fatal).toHaveLength(1);
      expect(JSON.parse(fatal[0] as string)).toMatchObject({
        code: says,
        msg: expect.stringContaining('planted here'),
      });
      expect(run.lines.filter((line) => line.startsWith('INTERNAL: '))).toHaveLength(code === 70 ? 1 : 0);
      expect(wholeTruth(data).entries).toBe(1);
      const next = start(process.execPath, ['edge/main.ts', 'run', '--config', config]);
      await next.line(/"msg":"ready"/);
      expect(await next.stop()).toBe(0);
      expect(wholeTruth(data).entries).toBe(1);
    });
});

describe('run --supervise', () => {
  it('starts a gateway again that was killed, hands SIGTERM on, and leaves nothing behind', async () => {
    const { config, data } = makeConfig();
    const run = supervised(config);
    const first = await readyAgain(data, undefined);
    expect(first, 'a process of its own').not.toBe(run.child.pid);
    process.kill(first, 'SIGKILL');
    await run.line(/^supervisor: the gateway has ended by signal 9; started again in 1 s$/);
    await readyAgain(data, first);
    expect(await run.stop('SIGTERM')).toBe(0);
    expect(processesOf(config)).toEqual([]);
    expect(run.lines.at(-1)).toContain('"msg":"stopped"');
    expect(wholeTruth(data).entries).toBe(1);
  });

  it('takes the gateway with it when it is killed itself', async () => {
    const { config, data } = makeConfig();
    const run = supervised(config);
    await readyAgain(data, undefined);
    await run.stop('SIGKILL');
    await until(() => processesOf(config).length === 0, 'no process is left');
    expect(run.lines.at(-1), 'it stopped cleanly').toContain('"msg":"stopped"');
    expect(wholeTruth(data).entries).toBe(1);
  });

  it('does not start again what starting again cannot help', async () => {
    const { config } = makeConfig();
    writeFileSync(config, 'mqtt: {prot: 1}\n');
    const { code, stderr } = await edge(['run', '--supervise', '--config', config]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^CONFIG_INVALID: .*\nsupervisor: not started again before this is put right\n$/);
  });

  it('waits 1 s, then twice as long each time up to a minute, and 1 s again after a minute of health', () => {
    const pauses: number[] = [];
    let pause: number | undefined;
    for (let i = 0; i < 8; i++) {
      pause = nextPause(pause, 500);
      pauses.push(pause / 1000);
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    expect(nextPause(60_000, 59_999)).toBe(60_000);
    expect(nextPause(60_000, 60_000)).toBe(1000);
  });
});
