/** Backup and restore, by the real program: while it takes readings, and over a power cut in the middle of a restore. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkBackup } from '../../edge/backup/backup.ts';
import type { RunInfo } from '../../edge/run-info.ts';
import { edge, type Running, start } from '../support/cli.ts';
import { connectMqtt, TestDevice } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

const TEXT = 'mqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\nlog: {checkpointSeconds: 0.2}\n';
const runOn = (config: string): Running => start(process.execPath, ['edge/main.ts', 'run', '--config', config]);
const ready = async (run: Running): Promise<RunInfo> => JSON.parse(await run.line(/"msg":"ready"/)) as RunInfo;

function site(): { folder: string; config: string; data: string } {
  const folder = tempFolder();
  const config = join(folder, 'edge.yaml');
  writeFileSync(config, TEXT);
  return { folder, config, data: join(folder, 'data') };
}

describe('backup and restore', () => {
  it('take all of a gateway that runs to another box, where the log goes on as its next epoch', async () => {
    const here = site();
    const run = runOn(here.config);
    const info = await ready(run);
    const device = new TestDevice('backup', 'plant');
    const enrolled = await edge([
      ...['enroll', '--config', here.config, '--kind', 'plant', '--did', device.did, '--sub', device.sub],
    ]);
    expect(enrolled.code, enrolled.stderr).toBe(0);
    const client = await connectMqtt({ info }, device.did, device.jwt(info.origin));
    const publish = (n: number): Promise<unknown>[] =>
      Array.from({ length: n }, (_, i) =>
        device.publish(client, device.envelope({ records: [{ n: '1-0:2.8.0', u: 'Wh', v: 5000 + device.seq + i }] })),
      );
    await Promise.all(publish(50));
    // What lies there for Node-RED: what opens it stays here.
    mkdirSync(join(here.data, 'flows', 'user'), { recursive: true });
    for (const name of [
      'password',
      'credential-secret',
      'password.hash',
      'state.json',
      'user/gateway.json',
      'user/flows.json',
    ])
      writeFileSync(join(here.data, 'flows', name), `${name}\n`);
    // While it is made, readings come.
    const file = join(here.folder, 'one.tar');
    const coming = publish(100);
    const made = await edge(['backup', file, '--config', here.config]);
    await Promise.all(coming);
    expect(made.code, made.stderr).toBe(0);
    expect(made.stdout).toContain('verified  each hash, the database, and the tree under the checkpoint');
    expect(made.stdout).toContain('passphrase of the keys is NOT in it');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(here.folder).sort()).toEqual(['data', 'edge.yaml', 'edge.yaml.last-good', 'one.tar']);
    // Any tar reads it; no secret but the encrypted keys is in it.
    const names = execFileSync('tar', ['tf', file], { encoding: 'utf8' }).split('\n');
    expect(names).toEqual(
      expect.arrayContaining(['data/edge.db', 'data/keys/gateway.key', 'config/edge.yaml', 'manifest.json']),
    );
    expect(names.filter((name) => name.startsWith('data/flows/')).sort()).toEqual([
      'data/flows/password.hash',
      'data/flows/user/flows.json',
    ]);
    expect(names.filter((name) => /passphrase|run\.json|lock|-wal/.test(name))).toEqual([]);
    const passphrase = readFileSync(join(here.data, 'keys', 'passphrase'), 'utf8').trim();
    expect(readFileSync(file).includes(passphrase)).toBe(false);
    expect((await edge(['backup', file, '--config', here.config])).stderr).toContain('is there already');
    const manifest = await checkBackup(file);
    expect(manifest.entries).toBeGreaterThanOrEqual(51);
    expect(await run.stop()).toBe(0);
    const before = wholeTruth(here.data);
    expect(before.entries).toBeGreaterThan(manifest.entries - 1);

    // Another box.
    const there = site();
    const dry = await edge(['restore', file, '--config', there.config, '--dry-run']);
    expect(dry.stdout, dry.stderr).toContain('begins its next epoch');
    expect(existsSync(there.data)).toBe(false);
    const restored = await edge(['restore', file, '--config', there.config]);
    expect(restored.code, restored.stderr).toBe(0);
    expect(restored.stdout).toContain('Bring the passphrase');
    writeFileSync(join(there.data, 'keys', 'passphrase'), passphrase, { mode: 0o600 });
    const other = runOn(there.config);
    const second = await ready(other);
    expect(second.did).toBe(info.did);
    await other.line(/epoch 2 takes over/);
    // The device goes on with its counter, also over what came after the backup.
    const again = await connectMqtt({ info: second }, device.did, device.jwt(second.origin));
    await device.publish(again, device.envelope({ records: [{ n: '1-0:2.8.0', u: 'Wh', v: 9000 }] }));
    expect(await other.stop()).toBe(0);
    const truth = wholeTruth(there.data);
    expect(truth.quarantined.size, 'nothing was refused').toBe(0);
    const [aside] = readdirSync(there.data).filter(
      (name) => name.startsWith('edge.db.behind-') && !/-(wal|shm)$/.test(name),
    );
    const salvaged = await edge(['salvage', join(there.data, aside as string), '--index', '1']);
    expect(salvaged.code, salvaged.stderr).toBe(0);
  });

  it('--same-log goes on where it was, data that is there is refused or moved aside, and a power cut leaves either', async () => {
    const s = site();
    const first = runOn(s.config);
    const origin = (await ready(first)).origin;
    expect(await first.stop()).toBe(0);
    const file = join(s.folder, 'stopped.tar');
    const made = await edge(['backup', file, '--with-secrets', '--config', s.config]);
    expect(made.stdout, made.stderr).toContain('whoever has the file has the keys');
    const { entries } = wholeTruth(s.data);

    const refused = await edge(['restore', file, '--config', s.config]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/^RESTORE_REFUSED/);

    for (const [fault, n] of [
      ['restore.unpacked', 1],
      ['restore.whole', 1],
      ['restore.moving', 2],
      ['restore.placing', 2],
    ]) {
      const cut = await edge(['restore', file, '--force', '--same-log', '--config', s.config], {
        env: { SEJONG_EDGE_FAULTS: `${fault}=kill@${n}` },
      });
      expect(cut.signal, `${fault}: ${cut.stderr}`).toBe('SIGKILL');
      if (fault !== 'restore.unpacked') {
        const early = await edge(['run', '--config', s.config]);
        expect(early.code, early.stderr).toBe(2);
        expect(early.stderr).toContain('a restore was cut off');
      }
      const done = await edge(['restore', file, '--force', '--same-log', '--config', s.config]);
      expect(done.code, `${fault}: ${done.stderr}`).toBe(0);
      expect(wholeTruth(s.data).entries).toBe(entries);
    }
    // Each of the four left what was there, whole.
    const asides = readdirSync(s.data).filter((name) => name.startsWith('before-'));
    expect(asides).toHaveLength(4);
    for (const name of asides) expect(wholeTruth(join(s.data, name)).entries).toBe(entries);

    const run = runOn(s.config);
    expect((await ready(run)).origin).toBe(origin);
    const busy = await edge(['restore', file, '--force', '--config', s.config]);
    expect(busy.stderr).toMatch(/^DATA_IN_USE/);
    expect(await run.stop()).toBe(0);
    // The same log, and one more run of the gateway.
    expect(readdirSync(s.data).filter((name) => name.includes('.behind-'))).toEqual([]);
    expect(wholeTruth(s.data).entries).toBeGreaterThanOrEqual(entries);
  });

  it('a file that is damaged, cut off, or none at all changes nothing', async () => {
    const s = site();
    const run = runOn(s.config);
    await ready(run);
    await run.stop();
    const file = join(s.folder, 'good.tar');
    expect((await edge(['backup', file, '--config', s.config])).code).toBe(0);
    const empty = site();
    const size = statSync(file).size;
    const harmed = (harm: (path: string) => void): string => {
      const path = join(s.folder, 'harmed.tar');
      rmSync(path, { force: true });
      copyFileSync(file, path);
      harm(path);
      return path;
    };
    const flip = (at: number) => (path: string) => {
      const bytes = readFileSync(path);
      bytes[at] = (bytes[at] as number) ^ 1;
      writeFileSync(path, bytes);
    };
    for (const path of [
      harmed(flip(5000)),
      harmed(flip(10)),
      harmed((p) => truncateSync(p, size - 1024)),
      harmed((p) => truncateSync(p, Math.floor(size / 2))),
      s.config,
      join(s.folder, 'none.tar'),
    ]) {
      const { code, stderr } = await edge(['restore', path, '--config', empty.config]);
      expect(code, stderr).not.toBe(0);
      expect(stderr).toMatch(/^BACKUP_INVALID: /);
      expect(existsSync(empty.data)).toBe(false);
    }
  });
});
