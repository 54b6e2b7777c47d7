/** The package on a clean system, under a systemd of its own: installed, changed, broken, upgraded, removed, purged. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buildConsole } from '../../edge/console-build.ts';
import { type Deb, makeDeb } from '../../edge/ops/deb.ts';
import { makeTree } from '../../edge/ops/tree.ts';
import { VERSION } from '../../edge/version.ts';
import {
  bootCleanSystem,
  type CleanSystem,
  makeCleanSystem,
  script,
  whyNoCleanSystem,
} from '../support/clean-system.ts';
import { until } from '../support/temp.ts';

const reason = process.arch === 'x64' ? whyNoCleanSystem() : 'the package of this machine is not built here';
/** Sorts below the version of the repository. */
const BEFORE = `${VERSION}~before`;

const UNIT = 'sejong-edge.service';
const FLOWS = 'sejong-edge-flows.service';
const CONFIG = '/etc/sejong-edge/sejong-edge.yaml';
const DATA = '/var/lib/sejong-edge';

async function makeDebs(folder: string): Promise<Deb[]> {
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  await makeTree(tree, 'amd64', await buildConsole(join(folder, 'console')));
  return [BEFORE, VERSION].map((version) =>
    makeDeb(tree, {
      ...{ out: join(folder, 'out'), version, architecture: 'amd64', epochSeconds: 1_790_000_000 },
      compression: 'zstd',
    }),
  );
}

const show = async (system: CleanSystem, name: string): Promise<string> =>
  (await system.must('systemctl', 'show', '--value', '-p', name, UNIT)).trim();

/** A device in the gateway's custody sends one reading, with the broker's word that it is on disk. */
const PUBLISH = `
import { createRequire } from 'node:module';
const mqtt = createRequire('/usr/lib/sejong-edge/package.json')('mqtt');
const [did, secret] = process.argv.slice(2);
const client = await mqtt.connectAsync('mqtt://127.0.0.1:1883', { username: did, password: secret, reconnectPeriod: 0 });
await client.publishAsync('up/' + did + '/senml', '[{"n":"temperature","u":"Cel","v":21.5}]', { qos: 1 });
await client.endAsync();
const text = await (await fetch('http://127.0.0.1:8080/metrics')).text();
const page = await (await fetch('http://127.0.0.1:8080/')).text();
const value = (name) => Number(new RegExp('^sejong_edge_' + name + ' (\\\\d+)', 'm').exec(text)?.[1]);
console.log(JSON.stringify({ size: value('log_size'), page: page.slice(0, 15) }));
`;
/** Of whichever of its two ports there is. */
const ASK = `
for (const port of [8081, 8080])
  try {
    console.log(await (await fetch('http://127.0.0.1:' + port + process.argv[2])).text());
    break;
  } catch {}
`;
type Health = { did: string; parts: Record<string, { ok: boolean; detail: string }> };
const health = async (system: CleanSystem): Promise<Health> =>
  JSON.parse(await script(system, ASK, '/health')) as Health;
const size = async (system: CleanSystem): Promise<number> =>
  Number(/^sejong_edge_log_size (\d+)$/m.exec(await script(system, ASK, '/metrics'))?.[1]);

if (reason) console.log(`the package is not installed in a test: ${reason}`);

describe.skipIf(reason)('the package on a clean system', () => {
  it('is installed, starts, takes a reading, changes, breaks, is upgraded, removed and purged', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'sejong-edge-installed-'));
    onTestFinished(() => void execFileSync('rm', ['-rf', folder]), 120_000); // some 40,000 files
    const root = join(folder, 'root');
    const [debs, reached] = await Promise.all([makeDebs(folder), makeCleanSystem(root)]);
    if (!reached) context.skip("Debian's archive cannot be reached");
    for (const [i, { path }] of debs.entries()) copyFileSync(path, join(root, `root/${i}.deb`));
    const system = await bootCleanSystem(root);
    const { must } = system;
    const at = (path: string): string => join(root, path);

    // Installed: a user, a config by init, a service that is ready, and no key that came with the package.
    await must('dpkg', '-i', '/root/0.deb');
    expect(await show(system, 'ActiveState')).toBe('active');
    expect(await show(system, 'StatusText')).toMatch(/^\d+ entries, checkpoint/);
    expect(await show(system, 'WatchdogUSec')).toBe('1min');
    expect(statSync(at(CONFIG)).mode & 0o777).toBe(0o640);
    expect(readFileSync(at(CONFIG), 'utf8')).toContain(`dataFolder: ${DATA}`);
    const passphrase = statSync(at('/etc/sejong-edge/passphrase'));
    expect([passphrase.uid, passphrase.mode & 0o777]).toEqual([0, 0o600]);
    expect(existsSync(at(`${DATA}/keys/passphrase`)), 'no passphrase beside the keys').toBe(false);
    const { did } = await health(system);
    expect(did).toMatch(/^did:key:z6Mk/);

    // A reading, with the command line as root would use it, and the page.
    const enrolled = await must('sejong-edge', 'enroll', '--kind', 'sensor', '--sub', 'urn:sejong:room:1');
    const word = (name: string): string => new RegExp(`^${name} +(\\S+)`, 'm').exec(enrolled)?.[1] ?? '';
    const seen = JSON.parse(await script(system, PUBLISH, word('did'), word('secret'))) as {
      size: number;
      page: string;
    };
    expect(seen.page).toBe('<!doctype html>');
    expect(seen.size).toBeGreaterThan(2);

    // Flows beside it, which may write their own part of the data folder alone.
    await must('systemctl', 'start', FLOWS);
    await until(
      async () => /"msg":"ready"/.test(await must('journalctl', '-o', 'cat', '-u', FLOWS)),
      'Node-RED is ready',
      60_000,
    );
    await must('systemctl', 'stop', FLOWS);
    expect(await show(system, 'ActiveState')).toBe('active');

    // What systemd says of the units where all they name is there.
    await must('systemd-analyze', 'verify', UNIT, FLOWS, 'sejong-edge-passphrase.service');

    await must('systemctl', 'reload', UNIT);
    expect(await show(system, 'ActiveState')).toBe('active');

    // What doctor and backup say; root names the file.
    const doctor = JSON.parse((await system.run('sejong-edge', 'doctor', '--json')).stdout) as {
      state: string;
      name: string;
    }[];
    expect(doctor.filter(({ state }) => state === 'bad')).toEqual([]);
    await must('sejong-edge', 'backup', '/root/backup.tar');

    // A change that needs a restart, and one with which it cannot come up.
    const changed = readFileSync(at(CONFIG), 'utf8').replace(/^( +)# port: 8080$/m, '$1port: 8081');
    writeFileSync(at('/root/changed.yaml'), changed);
    expect(await must('sejong-edge', 'config', 'apply', '/root/changed.yaml')).toContain('in force after a restart');
    expect((await health(system)).did).toBe(did);
    writeFileSync(at('/root/broken.yaml'), changed.replace(/^( +)# port: 1883$/m, '$1port: 8081'));
    const applied = await system.run('sejong-edge', 'config', 'apply', '/root/broken.yaml');
    expect(applied.code, applied.stderr).toBe(1);
    expect(applied.stdout).toContain(`put back ${CONFIG}`);
    expect(readFileSync(at(CONFIG), 'utf8')).toBe(changed);
    expect((await health(system)).did).toBe(did);

    // The same by hand: it comes up with the last good one, and says so.
    writeFileSync(at(CONFIG), 'mqtt: {prot: 1}\n');
    await must('systemctl', 'restart', UNIT);
    expect(await show(system, 'StatusText')).toMatch(/look at .*config/);
    expect((await health(system)).parts.config).toMatchObject({
      ok: false,
      detail: expect.stringContaining('the last good config is in force'),
    });
    expect(await must('sejong-edge', 'config', 'rollback')).toContain('in force');
    expect(readFileSync(at(CONFIG), 'utf8')).toBe(changed);
    expect((await health(system)).parts.config).toMatchObject({ ok: true });
    expect(await must('find', DATA, '/var/cache/sejong-edge', '!', '-user', 'sejong-edge')).toBe('');

    // Where it hangs, systemd ends it and starts it.
    await must(
      'sh',
      '-c',
      `mkdir -p /run/systemd/system/${UNIT}.d; printf '[Service]\\nWatchdogSec=5\\n' > /run/systemd/system/${UNIT}.d/w.conf`,
    );
    await must('systemctl', 'daemon-reload');
    await must('systemctl', 'restart', UNIT);
    await must('systemctl', 'kill', '--kill-who=main', '--signal=STOP', UNIT);
    await until(async () => Number(await show(system, 'NRestarts')) > 0, 'systemd starts it again', 60_000);
    await until(async () => (await show(system, 'ActiveState')) === 'active', 'it is ready again', 60_000);
    expect(await must('journalctl', '-u', UNIT)).toMatch(/Watchdog timeout/);
    await must('rm', '-r', `/run/systemd/system/${UNIT}.d`);

    // An upgrade keeps all there is.
    const before = await size(system);
    await must('dpkg', '-i', '/root/1.deb');
    expect(await must('dpkg-query', '-W', 'sejong-edge')).toBe(`sejong-edge\t${VERSION}\n`);
    expect(await show(system, 'ActiveState')).toBe('active');
    expect(await show(system, 'WatchdogUSec')).toBe('1min');
    expect((await health(system)).did).toBe(did);
    expect(await size(system)).toBeGreaterThanOrEqual(before);
    expect(readFileSync(at(CONFIG), 'utf8')).toBe(changed);

    // A backup put in its place. Removed: it stops, and data, keys and config stay. Purged: nothing stays.
    await must('systemctl', 'stop', UNIT);
    await must('sejong-edge', 'restore', '/root/backup.tar', '--force');
    await must('systemctl', 'start', UNIT);
    expect((await health(system)).did).toBe(did);
    expect(await must('find', DATA, '!', '-user', 'sejong-edge')).toBe('');
    await must('dpkg', '-r', 'sejong-edge');
    expect((await system.run('systemctl', 'is-active', UNIT)).stdout.trim()).not.toBe('active');
    expect(existsSync(at('/usr/lib/sejong-edge')), 'nothing of the program is left').toBe(false);
    for (const path of [`${DATA}/edge.db`, `${DATA}/keys/gateway.key`, CONFIG, '/etc/sejong-edge/passphrase'])
      expect(existsSync(at(path)), path).toBe(true);
    await must('dpkg', '-P', 'sejong-edge');
    for (const path of [DATA, '/var/cache/sejong-edge', '/etc/sejong-edge', '/etc/default/sejong-edge'])
      expect(existsSync(at(path)), path).toBe(false);
    expect((await system.run('getent', 'passwd', 'sejong-edge')).stdout).toBe('');
    expect(await must('systemctl', 'is-system-running')).toBe('running\n');
    // Most of it is waiting for cores that the suite beside it has.
  }, 600_000);
});
