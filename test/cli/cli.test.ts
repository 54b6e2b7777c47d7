import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { exampleConfig } from '../../edge/config/example.ts';
import { loadConfig } from '../../edge/config-file.ts';
import type { RunInfo } from '../../edge/run-info.ts';
import { decodeOpenSign1, encodeOpenSign1 } from '../../edge/wire/cose.ts';
import { edge, start } from '../support/cli.ts';
import { connectMqtt, TestDevice } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

const COMMANDS = [
  'demo',
  'run',
  'console',
  'init',
  'check-config',
  'config',
  'doctor',
  'backup',
  'restore',
  'enroll',
  'token',
  'keys',
  'audit',
  'claim',
  'device',
  'verify',
  'fraud',
  'salvage',
  'export',
  'deploy',
  'probe',
  'read',
  'flows',
];

function writeConfig(folder: string, extra = ''): string {
  const path = join(folder, 'edge.yaml');
  writeFileSync(path, `mqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\nlog: {checkpointSeconds: 0.2}\n${extra}`);
  return path;
}

async function startRun(config: string, env?: NodeJS.ProcessEnv) {
  const gateway = start(process.execPath, ['edge/main.ts', 'run', '--config', config], env ? { env } : {});
  const ready = JSON.parse(await gateway.line(/"msg":"ready"/)) as RunInfo;
  return { ...gateway, info: ready };
}

/** One line, with a code of the table and something to do. */
function expectOneLine(stderr: string, code: string): void {
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(new RegExp(`^${code}: .+: .+\\. .+\\.\\n$`));
}

describe('sejong-edge', () => {
  it('says what there is, and each command says what it does', async () => {
    const overview = await edge(['--help']);
    expect(overview.code).toBe(0);
    const left = [...COMMANDS];
    // Two at a time: each is a process of its own.
    const next = async (): Promise<void> => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        expect(overview.stdout).toContain(`  ${name}`);
        const { code, stdout } = await edge([name, '--help']);
        expect(code, name).toBe(0);
        expect(stdout).toContain(`usage: sejong-edge ${name}`);
      }
    };
    await Promise.all([next(), next()]);
  });

  it('refuses an unknown command and an unknown option in one line, with exit code 2', async () => {
    for (const args of [
      ['rnu'],
      ['run', '--confg', 'x'],
      ['verify'],
      ['fraud', '--key', 'x'],
      ['token', '--role', 'king'],
      ['demo', '--mqtt', 'x'],
      ['enroll', '--kind', 'meter'],
      ['token', '--role', 'viewer', '--for', '5y'],
    ]) {
      const { code, stderr } = await edge(args);
      expect(code, args.join(' ')).toBe(2);
      expectOneLine(stderr, 'USAGE');
    }
  });

  it('init writes a config that is valid as it stands, and keys that only the owner can read; twice changes nothing', async () => {
    const folder = tempFolder();
    const path = join(folder, 'edge.yaml');
    const first = await edge(['init', '--config', path, '--origin', 'sejong.example/test-1']);
    expect(first.code).toBe(0);
    expect(loadConfig(path)).toEqual({ ...loadConfig(path), dataFolder: join(folder, 'data') });
    expect(first.stdout).toMatch(/^gateway {3}did:key:z6Mk\w+$/m);
    expect(first.stdout).toMatch(/^log key {3}sejong\.example\/test-1\+[0-9a-f]{8}\+\S+$/m);
    for (const name of readdirSync(join(folder, 'data', 'keys')))
      expect(statSync(join(folder, 'data', 'keys', name)).mode & 0o777, name).toBe(0o600);
    const again = await edge(['init', '--config', path]);
    expect(again.stdout.replace('kept ', 'wrote')).toBe(first.stdout);
    const other = await edge(['init', '--config', path, '--origin', 'other.example']);
    expect(other.code).toBe(2);
    expectOneLine(other.stderr, 'CONFIG_INVALID');
  });

  it('check-config takes its own example, and names file, line and key of what is wrong', async () => {
    const folder = tempFolder();
    const path = join(folder, 'edge.yaml');
    writeFileSync(path, exampleConfig());
    expect((await edge(['check-config', path])).code).toBe(0);
    for (const [text, where] of [
      ['mqtt:\n  prot: 1883\n', `${path}:2: mqtt.prot is not a key of the config (did you mean port?)`],
      ['http:\n  port: 99999\n', `${path}:2: http.port must be <= 65535`],
      ['chain:\n  mode: mainnet\n', `${path}:2: chain.mode must be one of embedded, rpc, none`],
      ['chain: {mode: rpc}\n', `${path}:1: chain.rpc must be an http or https URL when chain.mode is rpc`],
      ['mqtt: [\n', path],
    ] as const) {
      writeFileSync(path, text);
      const { code, stderr } = await edge(['check-config', path]);
      expect(code).toBe(2);
      expect(stderr).toContain(where);
      expectOneLine(stderr, 'CONFIG_INVALID');
    }
    expectOneLine((await edge(['check-config', join(folder, 'none.yaml')])).stderr, 'CONFIG_INVALID');
  });

  it('run stops cleanly on SIGINT and leaves a whole log behind, and the next run goes on with it', async () => {
    const folder = tempFolder();
    const config = writeConfig(folder);
    for (const size of [1, 2]) {
      const gateway = await startRun(config);
      expect(existsSync(join(folder, 'data', 'run.json'))).toBe(true);
      const { stdout } = await edge([
        'enroll',
        '--config',
        config,
        '--kind',
        'sensor',
        '--sub',
        `urn:sejong:x:${size}`,
        '--json',
      ]);
      const { device, secret } = JSON.parse(stdout) as { device: { did: string }; secret: string };
      const client = await connectMqtt(gateway, device.did, secret);
      await client.publishAsync(`up/${device.did}/senml`, '[{"n":"t","u":"Cel","v":21.5}]', { qos: 1 });
      // Twice, as some versions of npm hand a Ctrl-C on that we have had from the terminal; and with nobody reading.
      gateway.child.stdout?.destroy();
      gateway.child.kill('SIGINT');
      expect(await gateway.stop('SIGINT')).toBe(0);
      expect(existsSync(join(folder, 'data', 'run.json'))).toBe(false);
      expect(wholeTruth(join(folder, 'data')).entries).toBe(1 + 2 * size); // an enrolment is an entry as well
    }
  });

  it('bad circumstances end a start with one clear line, and exit code 2 where starting again cannot help, else 1', async () => {
    const folder = tempFolder();
    const run = async (config: string, expected: 1 | 2, env: NodeJS.ProcessEnv = {}) => {
      const { code, stderr } = await edge(['run', '--config', config], { env });
      expect(code, stderr).toBe(expected);
      return stderr;
    };

    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    onTestFinished(() => void blocker.close());
    const { port } = blocker.address() as { port: number };
    const taken = join(folder, 'taken.yaml');
    for (const part of ['mqtt', 'http']) {
      writeFileSync(
        taken,
        `mqtt: {port: ${part === 'mqtt' ? port : 0}}\nhttp: {port: ${part === 'http' ? port : 0}}\nchain: {mode: none}\n`,
      );
      const stderr = await run(taken, 1);
      expectOneLine(stderr, 'PORT_TAKEN');
      expect(stderr).toContain(`${part} 127.0.0.1:${port} (EADDRINUSE)`);
    }

    const config = writeConfig(folder);
    const keys = join(folder, 'data', 'keys');
    const gateway = await startRun(config);
    expectOneLine(await run(config, 1), 'DATA_IN_USE');
    await gateway.stop();

    expectOneLine(await run(config, 2, { SEJONG_EDGE_PASSPHRASE: 'not the one' }), 'KEY_UNREADABLE');
    chmodSync(join(keys, 'log.key'), 0o644);
    expect(await run(config, 2)).toContain('has mode 644: others can read it (chmod 600)');
    chmodSync(join(keys, 'log.key'), 0o600);
    const kept = readFileSync(join(keys, 'gateway.key'), 'utf8');
    writeFileSync(join(keys, 'gateway.key'), 'garbage');
    expectOneLine(await run(config, 2), 'KEY_UNREADABLE');
    expect(readFileSync(join(keys, 'gateway.key'), 'utf8'), 'no new key in place of one that is there').toBe('garbage');
    writeFileSync(join(keys, 'gateway.key'), kept);
    const passphrase = readFileSync(join(keys, 'passphrase'), 'utf8');
    rmSync(join(keys, 'passphrase'));
    expectOneLine(await run(config, 2), 'KEY_UNREADABLE');
    writeFileSync(join(keys, 'passphrase'), passphrase, { mode: 0o600 });

    const other = join(folder, 'other.yaml');
    writeFileSync(other, `${readFileSync(config, 'utf8').replace('log: {', 'log: {origin: other.example, ')}`);
    expectOneLine(await run(other, 2), 'STORE_OTHER_LOG');

    writeFileSync(other, `${readFileSync(config, 'utf8')}dataFolder: ${config}/data\n`);
    expectOneLine(await run(other, 2), 'DATA_UNUSABLE');
    writeFileSync(other, `${readFileSync(config, 'utf8')}dataFolder: /proc/nowhere\n`);
    expectOneLine(await run(other, 2), 'DATA_UNUSABLE');

    const again = await startRun(config);
    expect(await again.stop()).toBe(0);
    wholeTruth(join(folder, 'data'));
  });

  it('no secret of the key folder is ever printed', async () => {
    const folder = tempFolder();
    const config = writeConfig(folder);
    const init = await edge(['init', '--config', config]);
    const gateway = await startRun(config);
    const viewer = (await edge(['token', '--role', 'viewer', '--config', config])).stdout.trim();
    const metrics = await (await fetch(`${gateway.info.http}/metrics`)).text();
    const health = await (
      await fetch(`${gateway.info.http}/health`, { headers: { authorization: `Bearer ${viewer}` } })
    ).text();
    await gateway.stop();
    const passphrase = readFileSync(join(folder, 'data', 'keys', 'passphrase'), 'utf8').trim();
    for (const text of [init.stdout, init.stderr, gateway.lines.join('\n'), metrics, health])
      expect(text).not.toContain(passphrase);
  });
});

describe('an enrolled device, a token and a receipt from the command line', () => {
  it('enroll, token and verify work together, and verify names the step that fails', async () => {
    const folder = tempFolder();
    const config = writeConfig(folder);
    const gateway = await startRun(config);
    const device = new TestDevice('000042');
    const enrolled = await edge([
      'enroll',
      '--config',
      config,
      '--kind',
      'meter',
      '--sub',
      device.sub,
      '--did',
      device.did,
    ]);
    expect(enrolled).toMatchObject({ code: 0, stdout: `did       ${device.did}\n` });
    const twice = await edge([
      'enroll',
      '--config',
      config,
      '--kind',
      'meter',
      '--sub',
      device.sub,
      '--did',
      device.did,
    ]);
    expect(twice.code).toBe(1);
    expectOneLine(twice.stderr, 'DEVICE_EXISTS');

    const client = await connectMqtt(gateway, device.did, device.jwt(gateway.info.origin));
    for (let i = 0; i < 5; i++) await device.publish(client, device.envelope());
    const token = (await edge(['token', '--role', 'viewer', '--for', '5m', '--config', config])).stdout.trim();
    const get = async (path: string): Promise<Buffer> => {
      const answer = await fetch(gateway.info.http + path, { headers: { authorization: `Bearer ${token}` } });
      return answer.ok ? Buffer.from(await answer.arrayBuffer()) : Buffer.alloc(0);
    };
    await until(async () => (await get('/entries/3/receipt')).length > 0, 'a checkpoint covers entry 3');
    const receipt = join(folder, 'entry.json');
    const proof = join(folder, 'entry.tlog-proof');
    const cose = join(folder, 'entry.cose');
    const key = join(folder, 'key');
    writeFileSync(receipt, await get('/entries/3/receipt'));
    writeFileSync(proof, await get('/entries/3/receipt?format=tlog-proof'));
    writeFileSync(cose, await get('/entries/3/receipt?format=cose'));
    writeFileSync(key, await get('/log/key'));
    const opening = join(folder, 'opening.json');
    writeFileSync(opening, await get('/entries/3/opening'));
    await gateway.stop();

    // A receipt alone, as devices get it, and the envelope that it is for.
    const whole = decodeOpenSign1(readFileSync(cose));
    const [alone, envelope] = [join(folder, 'alone.cose'), join(folder, 'envelope.cose')];
    writeFileSync(alone, (whole.unprotected.get(394) as Uint8Array[])[0] as Uint8Array);
    writeFileSync(envelope, encodeOpenSign1({ ...whole, unprotected: new Map() }));
    for (const args of [[receipt], [proof], [cose], [alone, '--entry', envelope]]) {
      // A meter's reading is sealed: the receipt alone proves that, with its opening what the meter signed.
      for (const [more, steps] of [
        [[], ['seal']],
        [
          ['--opening', opening],
          ['seal', 'device signature'],
        ],
      ] as const) {
        const { code, stdout } = await edge(['verify', ...args, ...more, '--key', key]);
        expect(code, stdout).toBe(0);
        expect(stdout.match(/^ok {4}(.{21})/gm)?.map((l) => l.slice(6).trim())).toEqual([
          'receipt format',
          'canonical bytes',
          ...steps,
          'checkpoint signature',
          'inclusion',
        ]);
        expect(stdout.includes(device.did)).toBe(more.length > 0);
      }
    }
    expect(
      (await edge(['verify', '-', '--key', readFileSync(key, 'utf8').trim()], { input: readFileSync(receipt, 'utf8') }))
        .code,
    ).toBe(0);

    const good = JSON.parse(readFileSync(receipt, 'utf8')) as {
      index: number;
      entry: string;
      path: string[];
      checkpoint: string;
    };
    const bytes = Buffer.from(good.entry, 'base64');
    const forged = Buffer.from(bytes);
    forged[forged.length - 10] = (forged[forged.length - 10] as number) ^ 1;
    const torn = Buffer.concat([bytes, Buffer.from([0])]);
    const other = await edge(['init', '--config', join(tempFolder(), 'edge.yaml')]);
    const otherKey = other.stdout.match(/^log key {3}(\S+)$/m)?.[1] as string;
    for (const [step, change, vkey] of [
      ['receipt format', { format: 'x' }, key],
      ['canonical bytes', { entry: torn.toString('base64') }, key],
      ['seal', { entry: forged.toString('base64') }, key],
      ['canonical bytes', { opening: { salt: Buffer.alloc(32).toString('base64'), envelope: good.entry } }, key],
      ['receipt format', { opening: { salt: '', envelope: good.entry } }, key],
      ['checkpoint signature', { checkpoint: good.checkpoint.replace(/\n(\d+)\n/, '\n9\n') }, key],
      ['checkpoint signature', {}, otherKey],
      ['inclusion', { index: good.index + 1 }, key],
      ['inclusion', { path: good.path.slice(1) }, key],
    ] as const) {
      writeFileSync(receipt, JSON.stringify({ ...good, ...change }));
      const { code, stdout } = await edge(['verify', receipt, '--key', vkey]);
      expect(code).toBe(1);
      expect(stdout).toMatch(new RegExp(`^FAIL {2}${step} `, 'm'));
      expect(stdout).toContain(`does NOT hold: ${step}.`);
    }
    wholeTruth(join(folder, 'data'));
  });
});
