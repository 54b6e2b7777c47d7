/** Starts what is measured, each in a process of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { localConfig, localToken } from '../../edge/commands/local.ts';
import type { KeyType } from '../../edge/wire/keys.ts';
import { didOf, newSecretKey } from '../../firmware-sim/signer.ts';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const run = promisify(execFile);

export type BenchGateway = {
  pid: number;
  http: string;
  mqtt: string;
  origin: string;
  data: string;
  token: string;
  /** From the start of its process until it was ready. */
  readyMs: number;
  /** Enrols n devices once and answers them. */
  devices: (n: number, keyType?: KeyType, kind?: BenchKind) => Promise<BenchDevice[]>;
  /** The counter's boot epoch for the next load, which no device has used yet. */
  epoch: () => number;
  /** Ends the process, and leaves its folder for another one. */
  end: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  /** Ends the process, and deletes the folder. */
  stop: () => Promise<void>;
};
/** A sensor stands in the open log; a meter is sealed. */
export type BenchKind = 'meter' | 'sensor';
/** `secretKey` in hex. */
export type BenchDevice = { did: string; keyType: KeyType; secretKey: string; sub: string };
export type LoadResult = {
  messages: number;
  /** Of one envelope, on average. */
  bytes: number;
  seconds: number;
  latencyMs: { p50: number; p99: number; max: number };
};

export async function startBareAedes(): Promise<ChildProcess & { url: string }> {
  const child = spawn(process.execPath, [here('./bare-aedes.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return Object.assign(child, { url: `mqtt://127.0.0.1:${port}` });
}

export function makeDevice(i: number, keyType: KeyType, kind: BenchKind = 'meter'): BenchDevice {
  const secretKey = newSecretKey(keyType, `bench ${kind === 'meter' ? '' : kind}${i}`);
  return {
    did: didOf({ keyType, secretKey }),
    keyType,
    secretKey: Buffer.from(secretKey).toString('hex'),
    sub: `urn:sejong:mp:${String(i).padStart(6, '0')}`,
  };
}

export type BenchFolder = {
  path: string;
  config: string;
  data: string;
  enrolled: Map<string, BenchDevice[]>;
  epoch: number;
};

/** A config and a data folder that outlive a gateway's process; @param path where, if not in a temporary folder */
export function makeBenchFolder(chain: 'none' | 'embedded' = 'none', path = temporary()): BenchFolder {
  const config = join(path, 'edge.yaml');
  const data = join(path, 'data');
  writeFileSync(
    config,
    `dataFolder: ${data}\nmqtt: {port: 0, maxDeviceRate: 1000000, maxConnections: 20000}\nhttp: {port: 0}\nchain: {mode: ${chain}, everySeconds: 1, pollSeconds: 0.5, confirmations: 1}\n`,
  );
  return { path, config, data, enrolled: new Map(), epoch: 0 };
}

const temporary = (): string => mkdtempSync(join(tmpdir(), 'sejong-bench-'));

/** As npm run edge and the unit of the README have it. */
const ENV = {
  MALLOC_ARENA_MAX: '2',
  NODE_OPTIONS: '--max-semi-space-size=2',
  NODE_COMPILE_CACHE: join(tmpdir(), 'sejong-bench-compile-cache'),
};

export async function startBenchGateway(
  folder: BenchFolder = makeBenchFolder(),
  env: NodeJS.ProcessEnv = {},
): Promise<BenchGateway> {
  const { config, data, enrolled } = folder;
  const started = performance.now();
  const child = spawn(process.execPath, [here('../../edge/main.ts'), 'run', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...ENV, ...env },
  });
  const gone = once(child, 'exit');
  let ready = false;
  for await (const line of createInterface({ input: child.stdout }))
    if (line.includes('"ready"')) {
      ready = true;
      break;
    }
  if (!ready) throw new Error('the gateway did not start');
  const readyMs = performance.now() - started;
  child.stdout.resume();
  const info = JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as {
    http: string;
    mqtt: string;
    origin: string;
  };
  const token = await localToken(localConfig({ config }), 'bench', 'operator', 3600);
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    child.kill(signal);
    await gone;
  };
  return {
    pid: child.pid as number,
    ...info,
    data,
    token,
    readyMs,
    devices: async (n, keyType = 'Ed25519', kind = 'meter') => {
      const mine = enrolled.get(`${keyType} ${kind}`) ?? [];
      enrolled.set(`${keyType} ${kind}`, mine);
      const enrol = async (device: BenchDevice): Promise<void> => {
        const answer = await fetch(`${info.http}/devices`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ did: device.did, kind, custody: 'device', sub: device.sub }),
        });
        if (answer.status !== 201) throw new Error(await answer.text());
      };
      while (mine.length < n) {
        const next = Array.from({ length: Math.min(20, n - mine.length) }, (_, i) =>
          makeDevice(mine.length + i, keyType, kind),
        );
        await Promise.all(next.map(enrol));
        mine.push(...next);
      }
      return mine.slice(0, n);
    },
    epoch: () => ++folder.epoch,
    end,
    stop: async () => {
      await end('SIGTERM');
      rmSync(folder.path, { recursive: true, force: true });
    },
  };
}

export async function runLoad(o: {
  gateway?: BenchGateway;
  url?: string;
  keyType?: KeyType;
  kind?: BenchKind;
  connections: number;
  messages: number;
  window: number;
  rate: number;
  plain: boolean;
  /** Records in each envelope. */
  records?: number;
}): Promise<LoadResult> {
  const devices = o.gateway
    ? await o.gateway.devices(o.connections, o.keyType, o.kind)
    : Array.from({ length: o.connections }, (_, i) => makeDevice(i, 'Ed25519'));
  const options = {
    ...o,
    gateway: undefined,
    url: o.gateway?.mqtt ?? o.url,
    origin: o.gateway?.origin ?? '',
    devices,
    epoch: o.gateway?.epoch() ?? 1,
    records: o.records ?? 2,
  };
  const child = run(process.execPath, [here('./load.ts')], { maxBuffer: 1 << 20 });
  child.child.stdin?.end(JSON.stringify(options));
  return JSON.parse((await child).stdout) as LoadResult;
}
