/** What a service manager hears of a gateway, over a real datagram socket. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { unixAddress } from '../../edge/service/datagram.ts';
import { openServiceManager } from '../../edge/service/manager.ts';
import { type Running, start } from '../support/cli.ts';
import { notifySocket } from '../support/notify-socket.ts';
import { tempFolder, until } from '../support/temp.ts';

const HANG = fileURLToPath(new URL('./hang.ts', import.meta.url));
/** The watchdog's time, and how often it must be told. */
const WATCHDOG_MS = 300;

function run(folder: string, socket: string, env: NodeJS.ProcessEnv = {}, config = ''): Running {
  const file = join(folder, 'edge.yaml');
  writeFileSync(file, config || 'mqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\n');
  return start(process.execPath, ['--import', HANG, 'edge/main.ts', 'run', '--config', file], {
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: String(WATCHDOG_MS * 1000), ...env },
  });
}

const monotonicUsec = (): number => Number(process.hrtime.bigint() / 1_000n);

describe.skipIf(process.platform !== 'linux')('sd_notify', () => {
  it('says ready, reloading and stopping, and how it is', async () => {
    const folder = tempFolder();
    const socket = notifySocket(join(folder, 'notify'));
    const gateway = run(folder, join(folder, 'notify'));
    await socket.line(/^READY=1$/);
    expect(socket.heard()[0]).toEqual([
      'READY=1',
      expect.stringMatching(/^STATUS=1 entries, checkpoint \d, 0 connect/),
    ]);

    const before = monotonicUsec();
    gateway.child.kill('SIGHUP');
    const [, usec] = (await socket.line(/^MONOTONIC_USEC=/)).split('=');
    expect(Number(usec)).toBeGreaterThan(before);
    expect(Number(usec)).toBeLessThan(monotonicUsec());
    await until(() => socket.count('READY=1') === 2, 'it is ready again');
    expect(socket.heard().find((lines) => lines.includes('RELOADING=1'))).toHaveLength(3);

    expect(await gateway.stop()).toBe(0);
    expect(socket.heard().at(-1)).toEqual(['STOPPING=1', 'STATUS=Stopping']);
  });

  for (const thread of ['main', 'writer'])
    it(`tells the watchdog nothing while the ${thread} thread hangs`, async () => {
      const folder = tempFolder();
      const hang = join(folder, 'hang');
      writeFileSync(hang, '');
      const name = `@sejong-edge-test-${process.pid}-${thread}`;
      const socket = notifySocket(name);
      const gateway = run(folder, name, { TEST_HANG: thread, TEST_HANG_FILE: hang });
      await until(() => socket.count('WATCHDOG=1') >= 3, 'it is alive');
      gateway.child.kill('SIGUSR2');

      // It hangs when nothing has come for as long as the watchdog waits; a live one speaks twice in that time.
      let told = socket.count('WATCHDOG=1');
      let since = performance.now();
      await until(() => {
        if (socket.count('WATCHDOG=1') > told) since = performance.now();
        told = socket.count('WATCHDOG=1');
        return performance.now() - since > WATCHDOG_MS;
      }, 'the watchdog would have run out');

      rmSync(hang);
      await until(() => socket.count('WATCHDOG=1') > told, 'it is alive again');
      expect(await gateway.stop()).toBe(0);
    });

  it('says why it does not come up', async () => {
    const folder = tempFolder();
    const socket = notifySocket(join(folder, 'notify'));
    const gateway = run(folder, join(folder, 'notify'), {}, 'mqtt: {prot: 1}\n');
    await gateway.ended;
    expect(gateway.child.exitCode).toBe(2);
    expect(socket.heard()).toEqual([[expect.stringMatching(/^STATUS=CONFIG_INVALID: .*edge\.yaml:1/)]]);
  });

  it('does without where the socket is not there, and warns once', async () => {
    const lines: string[] = [];
    const env = { NOTIFY_SOCKET: join(tempFolder(), 'nobody'), WATCHDOG_USEC: '10', WATCHDOG_PID: '1' };
    const manager = await openServiceManager(env, (line) => lines.push(line));
    expect(env).toEqual({});
    manager.ready('one');
    manager.stopping();
    manager.close();
    expect(lines).toEqual([expect.stringMatching(/^service manager: sendto .*: errno 2: it is told nothing$/)]);
  });

  it('leaves the watchdog of another process alone', async () => {
    const name = `@sejong-edge-test-${process.pid}-other`;
    const socket = notifySocket(name);
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '10000', WATCHDOG_PID: '1' };
    const manager = await openServiceManager(env, () => undefined);
    manager.watch(
      () => Promise.resolve(),
      () => 'fine\nand well',
    );
    expect(await socket.line(/./)).toBe('STATUS=fine and well');
    expect(socket.count('WATCHDOG=1')).toBe(0);
    manager.close();
  });

  it('takes the names that systemd uses', () => {
    expect([...unixAddress('@a')]).toEqual([1, 0, 0, 97]);
    expect([...unixAddress('/a')]).toEqual([1, 0, 47, 97, 0]);
    for (const name of ['', 'vsock:2:1', 'a', `/${'a'.repeat(107)}`, `@${'a'.repeat(108)}`, '/a\0b'])
      expect(() => unixAddress(name), name).toThrow(RangeError);
    expect(unixAddress(`@${'a'.repeat(107)}`)).toHaveLength(110);
  });
});
