/** The config as people meet it: the file that init writes, its schema for editors, and the environment. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { exampleConfig } from '../../edge/config/example.ts';
import { configJsonSchema } from '../../edge/config/json-schema.ts';
import { changes, KEYS, shown } from '../../edge/config/keys.ts';
import { makeConfig } from '../../edge/config.ts';
import { loadConfig, overridesOf } from '../../edge/config-file.ts';
import { EdgeError } from '../../edge/errors.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

function fileOf(text: string): string {
  const path = join(tempFolder(), 'edge.yaml');
  writeFileSync(path, text);
  return path;
}

const refusal = (text: string, env: NodeJS.ProcessEnv = {}): string => {
  try {
    loadConfig(fileOf(text), { env });
  } catch (error) {
    expect(error).toBeInstanceOf(EdgeError);
    expect((error as EdgeError).code).toBe('CONFIG_INVALID');
    return (error as EdgeError).detail;
  }
  return 'taken';
};

describe('the file that init writes', () => {
  const text = exampleConfig({ log: { origin: 'sejong.example/pole-1' } }, '/opt/schema.json');

  it('names its schema for editors, and every key with its doc; what is not chosen is a comment', () => {
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=/opt/schema.json');
    for (const { path } of KEYS) expect(text).toMatch(new RegExp(`^ *(# )?${path.at(-1)}:`, 'm'));
    for (const { schema } of KEYS)
      if (schema.description) expect(text.replace(/\n *# */g, ' ')).toContain(schema.description);
    expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(120);
    const said = parse(text) as Record<string, Record<string, unknown>>;
    expect(said.log).toEqual({ origin: 'sejong.example/pole-1' });
    expect(said.mqtt).toEqual({ tls: null });
  });

  it('means the defaults', () => {
    const path = fileOf(text);
    expect(changes(makeConfig(), loadConfig(path)).map(({ key }) => key)).toEqual(['dataFolder', 'log.origin']);
  });

  it('means them still when every comment of a key is taken away', () => {
    const bare = text
      .split('\n')
      // Lists are empty where nothing is in them: what each item has stays a comment.
      .map((line) => line.replace(/^( *)# (?=[a-zA-Z0-9]+: \S)/, '$1'))
      .join('\n');
    expect(bare).toContain('\n  maxConnections: 10000\n');
    expect(changes(loadConfig(fileOf(text)), loadConfig(fileOf(bare))).map(({ key }) => key)).toEqual(['dataFolder']);
  });
});

describe('JSON Schema for editors', () => {
  it('is the same in the repository as in the code, and takes what the gateway takes, by another validator', () => {
    const file = JSON.parse(readFileSync(new URL('../../edge/schemas/config.json', import.meta.url), 'utf8'));
    expect(file).toEqual(configJsonSchema());
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(file);
    const taken = [exampleConfig(), '{}', 'mqtt: {port: 1}', 'serial: {ports: [{tcp: "x:1", devices: []}]}', 'log:'];
    for (const text of taken) {
      expect(validate(parse(text)), `${text} ${JSON.stringify(validate.errors)}`).toBe(true);
      expect(refusal(text)).toBe('taken');
    }
    for (const text of [
      'mqtt: {prot: 1}',
      'mqtt: {port: 70000}',
      'chain: {mode: x}',
      'serial: {ports: [{devices: [{}]}]}',
    ]) {
      expect(validate(parse(text)), text).toBe(false);
      expect(refusal(text)).not.toBe('taken');
    }
  });

  it('is what sejong-edge config schema prints', async () => {
    const { stdout, code } = await edge(['config', 'schema']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(configJsonSchema());
  });
});

describe('the environment', () => {
  it('goes before the file, in any case, with lists as JSON', () => {
    const env = {
      SEJONG_EDGE__MQTT__PORT: '2883',
      SEJONG_EDGE__MQTT__MAX_PACKET_BYTES: '70000',
      sejong_edge__http__port: 'not ours: the prefix is in capitals',
      SEJONG_EDGE__HTTP__MAXEVENTSTREAMS: '7',
      SEJONG_EDGE__DATA_FOLDER: 'elsewhere',
      SEJONG_EDGE__LOG__ORIGIN: '2026',
      SEJONG_EDGE__CREDITS__ENABLED: 'false',
      SEJONG_EDGE__CHECKS__GATES: '[{"name":"north","zone":"port","purposes":["freight"]}]',
      SEJONG_EDGE_PASSPHRASE: 'no key of the config',
    };
    const path = fileOf('mqtt: {port: 1, host: "::1"}\nhttp:\n');
    const config = loadConfig(path, { env });
    expect(config).toMatchObject({
      mqtt: { port: 2883, maxPacketBytes: 70_000, host: '::1' },
      http: { maxEventStreams: 7, port: 8080 },
      log: { origin: '2026' },
      credits: { enabled: false },
      checks: { gates: [{ name: 'north', radiusM: 0 }] },
    });
    expect(config.dataFolder).toBe(join(path, '..', 'elsewhere'));
    expect(overridesOf(config)).toContainEqual({ variable: 'SEJONG_EDGE__MQTT__PORT', key: 'mqtt.port' });
  });

  it('is refused where it is misspelt, of no use, said twice or wrong in the whole, by the name of the variable', () => {
    expect(refusal('', { SEJONG_EDGE__MQTT__PROT: '1' })).toBe(
      'SEJONG_EDGE__MQTT__PROT (environment) is not a key of the config (did you mean SEJONG_EDGE__MQTT__PORT?)',
    );
    expect(refusal('', { SEJONG_EDGE__MQTT__PORT: 'x' })).toMatch(
      /^SEJONG_EDGE__MQTT__PORT \(environment\): mqtt.port must be/,
    );
    expect(refusal('', { SEJONG_EDGE__CHAIN__MODE: 'x' })).toContain('chain.mode must be one of embedded, rpc, none');
    expect(refusal('', { SEJONG_EDGE__MQTT__MAX_INFLIGHT: '5', SEJONG_EDGE__MQTT__MAXINFLIGHT: '6' })).toContain('too');
    expect(refusal('', { SEJONG_EDGE__CHECKS__GATES: '[{"name":"a"}]' })).toContain('SEJONG_EDGE__CHECKS__GATES');
    expect(refusal('', { SEJONG_EDGE__LOG__QUORUM: '3' })).toContain('(SEJONG_EDGE__LOG__QUORUM in the environment)');
    // A file that is wrong is wrong also where the environment speaks of the same section.
    expect(refusal('mqtt: 7', { SEJONG_EDGE__MQTT__PORT: '1' })).toContain('mqtt must be');
  });

  it('is said by check-config and by config show', async () => {
    const path = fileOf('chain: {mode: rpc, rpc: "https://user:pass@rpc.example/v3/0123456789abcdef"}\n');
    const env = { SEJONG_EDGE__HTTP__PORT: '9999' };
    const checked = await edge(['check-config', path], { env });
    expect(checked.stdout, checked.stderr).toContain('override  http.port from SEJONG_EDGE__HTTP__PORT');
    const { stdout } = await edge(['config', 'show', '--config', path], { env });
    expect(stdout).toContain('http.port: 9999  # SEJONG_EDGE__HTTP__PORT');
    expect(stdout).toContain('chain.rpc: https://rpc.example/...');
    expect(stdout).not.toMatch(/0123456789abcdef|pass/);
    const wrong = await edge(['check-config', path], { env: { SEJONG_EDGE__HTTP__PORT: 'x' } });
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('SEJONG_EDGE__HTTP__PORT (environment)');
  });
});

it('an address with a key in it is shown without', () => {
  expect(shown('chain.rpc', 'http://127.0.0.1:8545')).toBe('http://127.0.0.1:8545');
  expect(shown('chain.rpc', 'https://rpc.example/key')).toBe('https://rpc.example/...');
  expect(shown('log.origin', 'https://a/b')).toBe('https://a/b');
});

it('what the schema marks as taken over while it runs is what the gateway follows, and no more', async () => {
  const gateway = await startTestGateway();
  // Those of logging are followed by whoever writes the log.
  const marked = KEYS.filter(({ name, reload }) => reload && !name.startsWith('logging.')).map(({ name }) => name);
  expect(gateway.reloading.followed).toEqual(marked.sort());
});
