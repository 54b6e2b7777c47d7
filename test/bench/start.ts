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
  /** Enrols n devices once and answers them. */
  devices: (n: number, keyType?: KeyType) => Promise<BenchDevice[]>;
  stop: () => Promise<void>;
};
/** `secretKey` in hex. */
export type BenchDevice = { did: string; keyType: KeyType; secretKey: string; sub: string };
export type LoadResult = { messages: number; seconds: number; latencyMs: { p50: number; p99: number; max: number } };

export async function startBareAedes(): Promise<ChildProcess & { url: string }> {
  const child = spawn(process.execPath, [here('./bare-aedes.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return Object.assign(child, { url: `mqtt://127.0.0.1:${port}` });
}

function makeDevice(i: number, keyType: KeyType): BenchDevice {
  const secretKey = newSecretKey(keyType, `bench ${i}`);
  return {
    did: didOf({ keyType, secretKey }),
    keyType,
    secretKey: Buffer.from(secretKey).toString('hex'),
    sub: `urn:sejong:mp:${String(i).padStart(6, '0')}`,
  };
}

export async function startBenchGateway(
  chain: 'none' | 'embedded' = 'none',
  env: NodeJS.ProcessEnv = {},
): Promise<BenchGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'sejong-bench-'));
  const config = join(folder, 'edge.yaml');
  const data = join(folder, 'data');
  writeFileSync(
    config,
    `dataFolder: ${data}\nmqtt: {port: 0, maxDeviceRate: 1000000, maxConnections: 20000}\nhttp: {port: 0}\nchain: {mode: ${chain}, everySeconds: 1, pollSeconds: 0.5, confirmations: 1}\n`,
  );
  const child = spawn(process.execPath, [here('../../edge/main.ts'), 'run', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  for await (const line of createInterface({ input: child.stdout })) if (line.includes('"ready"')) break;
  child.stdout.resume();
  const info = JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as {
    http: string;
    mqtt: string;
    origin: string;
  };
  const token = await localToken(localConfig({ config }), 'bench', 'operator', 3600);
  const enrolled: Record<KeyType, BenchDevice[]> = { Ed25519: [], 'P-256': [] };
  return {
    pid: child.pid as number,
    ...info,
    data,
    token,
    devices: async (n, keyType = 'Ed25519') => {
      const mine = enrolled[keyType];
      for (let i = mine.length; i < n; i++) {
        const device = makeDevice(i, keyType);
        const answer = await fetch(`${info.http}/devices`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ did: device.did, kind: 'meter', custody: 'device', sub: device.sub }),
        });
        if (answer.status !== 201) throw new Error(await answer.text());
        mine.push(device);
      }
      return mine.slice(0, n);
    },
    stop: async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

let epoch = 0;

export async function runLoad(o: {
  gateway?: BenchGateway;
  url?: string;
  keyType?: KeyType;
  connections: number;
  messages: number;
  window: number;
  rate: number;
  plain: boolean;
}): Promise<LoadResult> {
  const devices = o.gateway
    ? await o.gateway.devices(o.connections, o.keyType)
    : Array.from({ length: o.connections }, (_, i) => makeDevice(i, 'Ed25519'));
  const options = {
    ...o,
    gateway: undefined,
    url: o.gateway?.mqtt ?? o.url,
    origin: o.gateway?.origin ?? '',
    devices,
    epoch: ++epoch,
  };
  const child = run(process.execPath, [here('./load.ts')], { maxBuffer: 1 << 20 });
  child.child.stdin?.end(JSON.stringify(options));
  return JSON.parse((await child).stdout) as LoadResult;
}
