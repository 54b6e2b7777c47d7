/** doctor: what it says of a machine on which all is well, and of one on which things are not; beside a real gateway. */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { askServer, kernelClock } from '../../edge/doctor/clock.ts';
import { mountOf } from '../../edge/doctor/disk.ts';
import type { Finding } from '../../edge/doctor/finding.ts';
import { TestChain } from '../support/anvil.ts';
import { edge, start } from '../support/cli.ts';
import { tempFolder } from '../support/temp.ts';

async function doctor(
  args: string[],
): Promise<{ code: number | null; of: (name: string) => Finding | undefined; all: Finding[] }> {
  const { code, stdout, stderr } = await edge(['doctor', '--json', ...args]);
  expect(stderr).toBe('');
  const all = JSON.parse(stdout) as Finding[];
  for (const { state, todo } of all) if (state !== 'ok') expect(todo, 'each says what to do').toMatch(/\w.*/);
  return { code, all, of: (name) => all.find((finding) => finding.name === name) };
}

/** A time server that is so many ms ahead of this machine's clock. */
async function timeServer(aheadMs: number, stratum = 2): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (_, { port, address }) => {
    const answer = Buffer.alloc(48);
    answer[0] = 0x24;
    answer[1] = stratum;
    const ms = Date.now() + aheadMs;
    for (const at of [32, 40]) {
      answer.writeUInt32BE(Math.floor(ms / 1000) + 2_208_988_800, at);
      answer.writeUInt32BE(Math.floor(((ms % 1000) / 1000) * 2 ** 32), at + 4);
    }
    socket.send(answer, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

describe('doctor', () => {
  it('beside a gateway that runs: its ports are its own, its clock is measured, and nothing is changed', async () => {
    const folder = tempFolder();
    const config = join(folder, 'edge.yaml');
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as { port: number };
    probe.close();
    await once(probe, 'close');
    const text = `mqtt: {port: 0}\nhttp: {port: ${port}}\nchain: {mode: none}\nclock: {source: synced}\n`;
    writeFileSync(config, text, { mode: 0o600 });
    const run = start(process.execPath, ['edge/main.ts', 'run', '--config', config]);
    await run.line(/"msg":"ready"/);
    const before = readdirSync(join(folder, 'data')).sort();
    const { code, of, all } = await doctor(['--config', config, '--ntp', await timeServer(5000)]);
    expect(of('port http')).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining(`held by the gateway that runs (pid ${run.child.pid})`),
    });
    expect(of('gateway')).toMatchObject({ state: 'ok', detail: expect.stringContaining('answers at') });
    expect(of('clock')).toMatchObject({ state: 'warn' });
    expect(of('clock offset')).toMatchObject({
      state: 'warn',
      detail: expect.stringMatching(/^[45]\d{3} ms behind 127/),
    });
    expect(of('fsync')?.detail).toMatch(/^\d+\.\d ms, the slowest of 24 \d+/);
    for (const name of ['node', 'config', 'permissions', 'database', 'last good config'])
      expect(of(name)?.state, name).toBe('ok');
    expect(of('chain')).toMatchObject({ state: 'warn' });
    expect(code).toBe(all.some(({ state }) => state === 'bad') ? 2 : 1);
    expect(readdirSync(join(folder, 'data')).sort()).toEqual(before);

    // What people read has the same in it, and what to do.
    const words = await edge(['doctor', '--config', config]);
    expect(words.stdout).toMatch(/^WARN {2}chain .*\n +-> Set chain.mode to rpc/m);
    expect(await run.stop()).toBe(0);
  });

  it('names what is wrong: who holds a port, keys that others can read, a chain that is not the one, a device that is away', async () => {
    const folder = tempFolder();
    const config = join(folder, 'edge.yaml');
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    onTestFinished(() => void holder.close());
    const { port } = holder.address() as { port: number };
    const anvil = await TestChain.start();
    writeFileSync(
      config,
      [
        `mqtt: {port: ${port}}`,
        'http: {port: 0, host: 192.0.2.7}',
        `chain: {mode: rpc, rpc: "${anvil.rpc}", chainId: 7, anchors: "0x0000000000000000000000000000000000000001"}`,
        'serial: {ports: [{path: /dev/serial/by-id/gone, devices: [{sub: "urn:x:1", profile: meter-p1}]}]}',
        '',
      ].join('\n'),
      { mode: 0o600 },
    );
    expect((await edge(['init', '--config', config])).code).toBe(0);
    const keys = join(folder, 'data', 'keys');
    chmodSync(join(keys, 'log.key'), 0o644);
    const { code, of } = await doctor(['--config', config, '--ntp', await timeServer(0, 0)]);
    expect(code).toBe(2);
    expect(of('port mqtt')).toMatchObject({ state: 'bad', detail: expect.stringContaining(`(pid ${process.pid})`) });
    expect(of('port http')).toMatchObject({ state: 'bad', detail: expect.stringContaining('EADDRNOTAVAIL') });
    expect(of('permissions')).toMatchObject({ state: 'bad', detail: expect.stringContaining('log.key (0644)') });
    expect(of('passphrase')).toMatchObject({ state: 'warn' });
    expect(of('chain')).toMatchObject({ state: 'bad', detail: expect.stringContaining('chain.chainId says 7') });
    expect(of('contract')).toMatchObject({ state: 'bad' });
    expect(of('gas')).toMatchObject({ state: 'bad', detail: expect.stringContaining('has 0 wei') });
    expect(of('serial /dev/serial/by-id/gone')).toMatchObject({
      state: 'bad',
      detail: expect.stringContaining('not there'),
    });
    expect(of('clock offset')).toMatchObject({ state: 'warn', detail: expect.stringContaining('not synced itself') });
    expect(of('gateway')?.detail).toContain('none runs');

    writeFileSync(config, 'mqtt: {prot: 1}\n');
    const broken = await doctor(['--config', config]);
    expect(broken.code).toBe(2);
    expect(broken.of('config')).toMatchObject({ state: 'bad', detail: expect.stringContaining('did you mean port?') });
  });
});

it('a mount is the nearest above, also with a space in its name', () => {
  const mounts = '/dev/sda1 / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/sdb1 /mnt/a\\040b vfat rw 0 0\n';
  expect(mountOf('/tmp/nowhere/yet', mounts)?.kind).toBe('tmpfs');
  expect(mountOf('/usr', mounts)?.device).toBe('/dev/sda1');
});

it('the kernel is asked what its clock is worth, and a server that does not answer is given up', async () => {
  expect(kernelClock()).toEqual({ synced: expect.any(Boolean), maxErrorMs: expect.any(Number) });
  const silent = createSocket('udp4');
  silent.bind(0, '127.0.0.1');
  await once(silent, 'listening');
  onTestFinished(() => void silent.close());
  await expect(askServer(`127.0.0.1:${silent.address().port}`, 50)).rejects.toThrow('no answer in time');
  expect(existsSync('/proc/meminfo')).toBe(true);
});
