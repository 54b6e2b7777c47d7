import { type ChildProcess, fork, spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { readOptions, UsageError } from '../../firmware-sim/options.ts';
import type { Counts, Progress } from '../../firmware-sim/run.ts';
import { cti, type TestBroker } from './broker.ts';
import { startBroker, temporaryFolder } from './harness.ts';

const MAIN = new URL('../../firmware-sim/main.ts', import.meta.url).pathname;

type Run = { child: ChildProcess; done: Promise<{ code: number | null; stdout: string; stderr: string }> };

function start(args: readonly string[], env: Record<string, string> = {}): Run {
  const child = fork(MAIN, [...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, SEJONG_TOKEN: '', ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => (stdout += chunk));
  child.stderr?.on('data', (chunk) => (stderr += chunk));
  return { child, done: once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr })) };
}

const last = (stdout: string): Counts => JSON.parse(stdout.trimEnd().split('\n').at(-1) as string);

async function untilProgress(child: ChildProcess, condition: (p: Progress) => boolean): Promise<void> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [{ type: string } & Progress];
    if (message.type === 'progress' && condition(message)) return;
  }
}

const to = (broker: TestBroker): string[] => ['--mqtt', broker.url, '--origin', 'sejong.example/test', '--no-enroll'];
const few = ['--meters', '1', '--plants', '1', '--vehicles', '1', '--seed', '7', '--every', '0.05'];

describe('command line', () => {
  it('explains itself, and says that seeded keys are for simulation only', async () => {
    const { code, stdout } = await start(['--help']).done;
    expect(code).toBe(0);
    for (const word of [
      'steady',
      'outage',
      'restart',
      'replay',
      'forged',
      'equivocate',
      'flood',
      '--seed',
      '--acked',
      'for simulation only',
    ])
      expect(stdout).toContain(word);
  });

  it('refuses what it cannot do in one line, exit 2', async () => {
    const { code, stdout, stderr } = await start(['--colour', 'red']).done;
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe("sejong-sim: Unknown option '--colour'; see --help\n");
  });

  it.each([
    [['chaos'], 'there is no scenario "chaos"'],
    [['steady', 'outage'], 'one scenario at a time'],
    [['--meters', '-1'], 'meters'],
    [['--meters=-1'], '--meters "-1" is not a whole number of 0 to 5000'],
    [['--every', 'often'], '--every "often" is not a number'],
    [['--mqtt', 'http://x'], '--mqtt "http://x" is not a URL of mqtt:// or mqtts://'],
    [['--hostile', 'forged,evil'], 'names "evil"'],
    [['--at', 'noon'], '--at "noon" is not a time'],
    [['--window', '0'], '--window is at least 1'],
    [['--speed', '100000', '--every', '10'], '--every times --speed is at most one day'],
    [['--inverters', '1'], '--inverters and --wires need --tty-dir'],
    [[], '--origin or --api is needed'],
    [['--api', 'http://127.0.0.1:1'], 'SEJONG_TOKEN is not set'],
  ])('says what is wrong with %j', (args, line) => {
    const error = (() => {
      try {
        readOptions(args, {});
      } catch (e) {
        return e as Error;
      }
      return undefined;
    })();
    expect(error).toBeInstanceOf(UsageError);
    expect(error?.message).toContain(line);
    expect(error?.message).not.toContain('\n');
  });

  it('runs for so long, drains, and ends with one JSON object; --acked holds what was acknowledged', async () => {
    const broker = await startBroker();
    const folder = temporaryFolder();
    const acked = join(folder, 'acked');
    writeFileSync(acked, 'whole line\ntorn li');
    const { code, stdout, stderr } = await start([
      ...few,
      ...to(broker),
      '--for',
      '1',
      '--state',
      folder,
      '--acked',
      acked,
    ]).done;
    expect([code, stderr]).toEqual([0, '']);
    const counts = last(stdout);
    expect(counts).toMatchObject({
      scenario: 'steady',
      seed: 7,
      devices: 3,
      resent: 0,
      buffered: 0,
      refused: {},
      hostile: { sent: 0, acked: 0 },
    });
    expect(counts.sent).toBeGreaterThan(30);
    expect(counts.acked).toBe(counts.sent);
    broker.check();
    const lines = readFileSync(acked, 'utf8').split('\n');
    expect([lines[0], lines.at(-1)]).toEqual(['whole line', '']);
    const expected = broker.received.map(({ did, bytes }) => {
      const { epoch, seq } = decodeEnvelope(bytes);
      return `${did} ${epoch} ${seq} ${hash('sha256', bytes)}`;
    });
    expect(lines.slice(1, -1).sort()).toEqual(expected.sort());
  });

  it('measures the very same again for the same seed and --at', async () => {
    const broker = await startBroker();
    const args = [...few, ...to(broker), '--for', '0.6', '--at', '2026-06-21T12:00', '--speed', '600', '--quiet'];
    const sequences = async (): Promise<Record<string, unknown[]>> => {
      broker.received.length = 0;
      const { code } = await start([...args, '--state', temporaryFolder()]).done;
      expect(code).toBe(0);
      const byDevice: Record<string, unknown[]> = {};
      for (const { iss, records } of broker.firsts()) byDevice[iss] = [...(byDevice[iss] ?? []), records];
      return byDevice;
    };
    const first = await sequences();
    expect(Object.values(first).map((s) => s.length)).toEqual([12, 12, 12]);
    expect(await sequences()).toEqual(first);
  });

  it('keeps its buffers and its keys over a SIGKILL, and drains the old epoch first', async () => {
    const broker = await startBroker();
    await broker.kill(); // nothing listens there for now
    const folder = temporaryFolder();
    const args = [...few, ...to(broker), '--state', folder, '--acked', join(folder, 'acked')];
    const first = start(args);
    await untilProgress(first.child, (p) => p.buffered >= 12);
    first.child.kill('SIGKILL');
    await first.done;
    await broker.start();
    const { code, stdout } = await start([...args, '--for', '0.5']).done;
    expect(code).toBe(0);
    expect(last(stdout).acked).toBeGreaterThan(12);
    broker.check();
    for (const did of new Set(broker.received.map((r) => r.did))) {
      const ctis = broker.firsts(did).map(cti);
      const old = ctis.filter((c) => c.startsWith('1/'));
      expect(old.length).toBeGreaterThan(2);
      expect(ctis).toEqual([...old.map((_, i) => `1/${i}`), ...ctis.slice(old.length).map((_, i) => `2/${i}`)]);
    }
  });

  it.each(['outage', 'restart'])('%s: loses nothing and keeps every order', async (scenario) => {
    const broker = await startBroker();
    const { code, stdout } = await start([
      scenario,
      ...few,
      ...to(broker),
      '--for',
      '2',
      '--away',
      '0.3',
      '--state',
      temporaryFolder(),
    ]).done;
    expect(code).toBe(0);
    const counts = last(stdout);
    expect(counts).toMatchObject({ scenario, buffered: 0 });
    expect(counts.acked).toBe(counts.sent);
    broker.check();
    const epochs = new Set(broker.firsts().map((e) => e.epoch));
    expect(epochs.size).toBe(scenario === 'restart' ? Math.max(...epochs) : 1);
    if (scenario === 'restart') expect(epochs.size).toBeGreaterThan(1);
    expect(broker.logins.length).toBeGreaterThan(3);
    for (const did of new Set(broker.received.map((r) => r.did)))
      for (const epoch of epochs) {
        const seqs = broker
          .firsts(did)
          .filter((e) => e.epoch === epoch)
          .map((e) => e.seq);
        expect(seqs).toEqual(seqs.map((_, i) => i));
      }
  });

  it('has hostile devices beside honest ones, counted apart', async () => {
    const broker = await startBroker();
    const { code, stdout } = await start([
      ...few,
      ...to(broker),
      '--for',
      '1.5',
      '--hostile',
      'forged,replay,equivocate',
      '--hostile-every',
      '0.2',
      '--state',
      temporaryFolder(),
    ]).done;
    expect(code).toBe(0);
    const counts = last(stdout);
    expect(counts.devices).toBe(3);
    expect(counts.acked).toBe(counts.sent);
    expect(counts.hostile.bad).toBeGreaterThan(8);
    expect(counts.hostile.acked).toBe(counts.hostile.sent);
    expect(new Set(broker.received.map((r) => r.did)).size).toBe(6);
  });

  it('exits 1 and says what is left when not everything was acknowledged', async () => {
    const broker = await startBroker();
    broker.policy = () => 'hold';
    const { code, stdout } = await start([
      ...few,
      ...to(broker),
      '--for',
      '0.3',
      '--drain',
      '0.2',
      '--state',
      temporaryFolder(),
    ]).done;
    expect(code).toBe(1);
    const counts = last(stdout);
    expect(counts.buffered).toBeGreaterThan(5);
    expect(stdout).toContain(`${counts.buffered} envelopes were not acknowledged`);
  });

  it('exits 1 when an honest envelope was refused, though it was acknowledged', async () => {
    const broker = await startBroker();
    broker.policy = ({ did }) => {
      broker.say(`down/${did}/error`, JSON.stringify({ code: 'REPLAY', detail: 'd', cti: null }));
      return 'ack';
    };
    const { code, stdout } = await start([...few, ...to(broker), '--for', '0.5', '--state', temporaryFolder()]).done;
    expect(code).toBe(1);
    const counts = last(stdout);
    expect(counts.buffered).toBe(0);
    expect(counts.honestRefused).toBe(counts.refused.REPLAY);
    expect(stdout).toContain('envelopes of honest devices were refused');
  });

  it('--quiet prints nothing but the JSON', async () => {
    const broker = await startBroker();
    const { stdout } = await start([...few, ...to(broker), '--for', '0.2', '--quiet', '--state', temporaryFolder()])
      .done;
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('%s ends it within two seconds, with its summary', async (signal) => {
    const broker = await startBroker();
    const { child, done } = start([...few, ...to(broker), '--state', temporaryFolder()]);
    await broker.until(() => broker.received.length > 10);
    const begun = performance.now();
    child.kill(signal);
    const { code, stdout } = await done;
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(code).toBe(0);
    expect(last(stdout).buffered).toBe(0);
  });

  it('stops within two seconds also while it waits for a gateway, or for a broker that says nothing', async () => {
    const broker = await startBroker();
    broker.policy = () => 'hold';
    for (const args of [
      [...few, ...to(broker)],
      [...few, '--api', 'http://127.0.0.1:1', '--mqtt', broker.url],
    ]) {
      const { child, done } = start([...args, '--state', temporaryFolder()], { SEJONG_TOKEN: 'x' });
      await untilProgress(child, () => true);
      const begun = performance.now();
      child.kill('SIGINT');
      const { stdout } = await done;
      expect(performance.now() - begun).toBeLessThan(2000);
      expect(last(stdout).scenario).toBe('steady');
    }
  });

  it('leaves no orphan when its parent is killed', async () => {
    const broker = await startBroker();
    const folder = temporaryFolder();
    const args = [...few, ...to(broker), '--state', folder];
    const code = `const c = require('node:child_process').fork(${JSON.stringify(MAIN)}, ${JSON.stringify(args)}, { stdio: 'ignore' }); console.log(c.pid)`;
    const parent = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [chunk] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(String(chunk));
    await broker.until(() => broker.received.length > 10);
    parent.kill('SIGKILL');
    await once(parent, 'close');
    await broker.until(() => broker.connected === 0);
    // Not our child, so nothing tells us when it ends; a zombie that nobody reaps has no cwd either.
    await expect.poll(() => existsSync(`/proc/${pid}/cwd`), { timeout: 3000 }).toBe(false);
  });

  it('refuses a state folder that another simulator uses', async () => {
    const broker = await startBroker();
    const folder = temporaryFolder();
    const args = [...few, ...to(broker), '--state', folder];
    start(args);
    await broker.until(() => broker.received.length > 0);
    const { code, stderr } = await start([...args, '--for', '1']).done;
    expect(code).toBe(1);
    expect(stderr).toContain('is in use by another simulator');
  });

  it('sends load at a rate, in packs', async () => {
    const broker = await startBroker();
    const { code, stdout } = await start([
      ...to(broker),
      '--devices',
      '5',
      '--rate',
      '200',
      '--pack',
      '12',
      '--for',
      '1',
      '--seed',
      '3',
      '--quiet',
      '--state',
      temporaryFolder(),
    ]).done;
    expect(code).toBe(0);
    const counts = last(stdout);
    expect(counts).toMatchObject({ scenario: 'load', devices: 5, buffered: 0 });
    expect(counts.acked).toBeGreaterThan(100);
    expect(counts.acked).toBeLessThanOrEqual(210);
    broker.check();
    expect(new Set(broker.firsts().map((e) => e.records.length))).toEqual(new Set([12]));
  });

  it('shows a serial line per inverter, and takes it away again', async () => {
    const broker = await startBroker();
    const folder = temporaryFolder();
    const args = [
      ...few,
      ...to(broker),
      '--inverters',
      '1',
      '--tty-dir',
      join(folder, 'tty'),
      '--for',
      '0.5',
      '--state',
      folder,
    ];
    const { child, done } = start(args);
    const [ready] = (await once(child, 'message')) as [{ type: string; inverters: string[] }];
    expect(ready).toMatchObject({ type: 'ready', inverters: [join(folder, 'tty', 'inverter-1')] });
    expect(existsSync(ready.inverters[0] as string)).toBe(true);
    expect((await done).code).toBe(0);
    expect(existsSync(ready.inverters[0] as string)).toBe(false);
  });
});
