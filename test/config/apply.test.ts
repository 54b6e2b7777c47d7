/** A config on its way to a gateway that runs, and back: the real program, as an operator has it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunInfo } from '../../edge/run-info.ts';
import { edge, type Running, start } from '../support/cli.ts';
import { connectMqtt } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

const BASE = 'mqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\nlog: {checkpointSeconds: 0.2}\n';
type Site = { folder: string; config: string; file: (name: string, text: string) => string; info: () => RunInfo };

function site(text = BASE): Site {
  const folder = tempFolder();
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const info = (): RunInfo => JSON.parse(readFileSync(join(folder, 'data', 'run.json'), 'utf8')) as RunInfo;
  return { folder, config: file('edge.yaml', text), file, info };
}
const run = (config: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Running =>
  start(process.execPath, ['edge/main.ts', 'run', '--config', config, ...args], { env });
const health = async (info: RunInfo): Promise<{ parts: Record<string, { ok: boolean; detail: string }> }> =>
  (await (await fetch(`${info.http}/health`)).json()) as never;

/** A port that is taken for as long as the test runs. */
async function takenPort(): Promise<{ port: number; close: () => void }> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { port: (server.address() as { port: number }).port, close: () => server.close() };
}

describe('config apply', () => {
  it('takes over at once what it can, restarts for the rest, and goes back from what does not come up', async () => {
    const s = site();
    const running = run(s.config, ['--supervise']);
    await running.line(/"msg":"ready"/);
    const first = s.info();
    const token = await edge(['token', 'make', '--role', 'viewer', '--config', s.config]);
    const client = await connectMqtt({ info: first }, 'viewer', token.stdout.trim().split('\n').at(-1) as string);
    let dropped = false;
    client.on('close', () => {
      dropped = true;
    });

    const live = s.file('live.yaml', `${BASE}retention: {days: 30}\nlogging: {level: debug, parts: {mqtt: silent}}\n`);
    const dry = await edge(['config', 'apply', '--config', s.config, live, '--dry-run']);
    expect(dry.stdout).toMatch(/^reload {3}logging.level: info -> debug$/m);
    expect(dry.stdout).toMatch(/^reload {3}retention.days: 0 -> 30$/m);
    expect(readFileSync(s.config, 'utf8')).toBe(BASE);
    const taken = await edge(['config', 'apply', '--config', s.config, live]);
    expect(taken.stdout, taken.stderr).toContain('in force without a restart');
    expect(taken.code).toBe(0);
    expect(s.info().pid).toBe(first.pid);
    expect(dropped, 'the connection is still there').toBe(false);
    expect(client.connected).toBe(true);
    await running.line(/"part":"config".*taken over: .*retention.days/);
    // debug now shows the requests.
    await fetch(`${first.http}/health`);
    await running.line(/"level":20.*"part":"http".*GET \/health/);

    const slow = s.file('slow.yaml', `${BASE}mqtt: {port: 0, maxInflight: 7}\n`.replace('mqtt: {port: 0}\n', ''));
    const again = await edge(['config', 'apply', '--config', s.config, slow]);
    expect(again.stdout, again.stderr).toContain('in force after a restart');
    expect(again.code).toBe(0);
    const second = s.info();
    expect(second.pid).not.toBe(first.pid);
    await running.line(/^supervisor: started again as it was asked for$/);

    const { port, close } = await takenPort();
    const broken = s.file(
      'broken.yaml',
      readFileSync(s.config, 'utf8').replace('http: {port: 0}', `http: {port: ${port}}`),
    );
    const refused = await edge(['config', 'apply', '--config', s.config, broken]);
    expect(refused.stdout).toMatch(/^failed {3}.*PORT_TAKEN/m);
    expect(refused.stdout).toContain('put back');
    expect(refused.code).toBe(1);
    await running.line(/"code":"CONFIG_ROLLED_BACK"/);
    expect(readFileSync(s.config, 'utf8')).toBe(readFileSync(slow, 'utf8'));
    const third = s.info();
    expect(third.pid).not.toBe(second.pid);
    close();
    // The file is the one that is in force again, which a reload finds.
    const reloaded = await edge(['config', 'reload', '--config', s.config]);
    expect(reloaded.stdout, reloaded.stderr).toBe('nothing has changed\n');
    expect((await health(third)).parts.config).toMatchObject({ ok: true });

    // What does not even load never gets near the file.
    const worse = await edge(['config', 'apply', '--config', s.config, s.file('worse.yaml', 'mqtt: {prot: 1}\n')]);
    expect(worse.code).toBe(2);
    expect(worse.stderr).toContain('did you mean port?');

    const back = await edge(['config', 'rollback', '--config', s.config]);
    expect(back.stdout, back.stderr).toContain('in force after a restart');
    expect(readFileSync(s.config, 'utf8')).toBe(readFileSync(live, 'utf8'));
    expect(await running.stop()).toBe(0);
    expect(wholeTruth(join(s.folder, 'data')).entries).toBeGreaterThan(0);
  });

  it('says that it cannot restart a gateway that nobody starts again, and diff says what would need one', async () => {
    const s = site();
    const running = run(s.config);
    await running.line(/"msg":"ready"/);
    const next = s.file('next.yaml', `${BASE}clock: {source: synced}\n`);
    const diff = await edge(['config', 'diff', '--config', s.config, next]);
    expect(diff.stdout).toBe('restart  clock.source: system -> synced\n');
    const applied = await edge(['config', 'apply', '--config', s.config, next]);
    expect(applied.stdout, applied.stderr).toContain('stop it and start it yourself');
    expect((await health(s.info())).parts.config?.detail).toContain('clock.source: after a restart');
    // SIGHUP with a file that is no good: all stays as it is, and that is said.
    writeFileSync(s.config, 'mqtt: [');
    running.child.kill('SIGHUP');
    await running.line(/"code":"CONFIG_INVALID"/);
    expect((await health(s.info())).parts.config?.ok).toBe(false);
    expect(await running.stop()).toBe(0);
  });
});

describe('a start with a config that is no good', () => {
  it('comes up with the last good one, says so, and leaves the file as it is', async () => {
    const s = site();
    const good = run(s.config);
    await good.line(/"msg":"ready"/);
    await good.stop();
    expect(readFileSync(`${s.config}.last-good`, 'utf8')).toBe(BASE);

    writeFileSync(s.config, 'chain: {mode: rpc}\n');
    const running = run(s.config);
    await running.line(/"code":"CONFIG_ROLLED_BACK".*chain.rpc must be/);
    await running.line(/"msg":"ready"/);
    const part = (await health(s.info())).parts.config;
    expect(part).toMatchObject({ ok: false, detail: expect.stringContaining('the last good config is in force') });
    expect(readFileSync(s.config, 'utf8')).toBe('chain: {mode: rpc}\n');
    expect(await running.stop()).toBe(0);

    // Where nothing helps, it is the new config's error that is said, and nothing is made up.
    writeFileSync(join(s.folder, 'data', 'keys', 'passphrase'), 'another passphrase');
    const { code, stderr } = await edge(['run', '--config', s.config]);
    expect(code).toBe(2);
    expect(stderr).toContain('CONFIG_INVALID');
  });

  it('is tried twice where it ends without a word, and not a third time', async () => {
    const s = site();
    const good = run(s.config);
    await good.line(/"msg":"ready"/);
    await good.stop();
    writeFileSync(s.config, `${BASE}retention: {days: 7}\n`);
    for (const times of [1, 2]) {
      const dies = run(s.config, [], { SEJONG_EDGE_FAULTS: 'epoch.begun=kill@1' });
      await dies.ended;
      expect(dies.child.signalCode, String(times)).toBe('SIGKILL');
    }
    const running = run(s.config);
    await running.line(/"code":"CONFIG_ROLLED_BACK".*2 starts with it ended/);
    await running.line(/"msg":"ready"/);
    expect(await running.stop()).toBe(0);
    // Changed, it is another one.
    writeFileSync(s.config, `${BASE}retention: {days: 8}\n`);
    const next = run(s.config);
    await next.line(/"msg":"ready"/);
    await until(() => !existsSync(`${s.config}.last-good.trying`), 'it is good');
    expect(readFileSync(`${s.config}.last-good`, 'utf8')).toContain('days: 8');
    expect(readFileSync(`${s.config}.last-good.1`, 'utf8')).toBe(BASE);
    expect(await next.stop()).toBe(0);
  });
});
