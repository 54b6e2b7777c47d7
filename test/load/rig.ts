/**
 * What the load programs share: a gateway in a process of its own (its file descriptors are its own, too), and devices
 * that cost little. Needs nothing of vitest, so that a torture run may call it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { localToken } from '../../edge/commands/local.ts';
import { loadConfig } from '../../edge/config-file.ts';
import { Entries } from '../../edge/store/entries.ts';
import { Store } from '../../edge/store/store.ts';
import { keyPair } from '../../edge/tokens.ts';
import { didFromPublicKey } from '../../edge/wire/did.ts';
import { publicKeyOf } from '../../edge/wire/ed25519.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { connectPacket, publishPacket } from '../intake/packets.ts';

export type LoadResult = {
  name: string;
  counts: Record<string, number>;
  /** Milliseconds. */
  latencies: Record<string, Spread>;
  /** What was acknowledged and is not in the log: none, or the promise is broken. */
  lost: number;
  detail: string;
};
export type Spread = { n: number; p50: number; p99: number; most: number };

export function spread(ms: readonly number[]): Spread {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
  const round = (n: number): number => Math.round(n * 100) / 100;
  return { n: sorted.length, p50: round(at(0.5)), p99: round(at(0.99)), most: round(at(1)) };
}

const MAIN = fileURLToPath(new URL('../../edge/main.ts', import.meta.url));
/** Of one process, beside the connections. */
const DESCRIPTORS_KEPT = 500;

/** Node raises its soft limit to the hard one at its start; the other side has the same. */
export function connectionsAllowed(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? '1024';
  return soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft) - DESCRIPTORS_KEPT;
}

/** Two ports that were free a moment ago: devices must find a gateway again that was killed. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening');
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) await once(server.close(), 'close');
  return ports as [number, number];
}

export class LoadGateway {
  readonly folder = mkdtempSync(join(tmpdir(), 'sejong-load-'));
  readonly #config = join(this.folder, 'edge.yaml');
  mqttPort = 0;
  http = '';
  origin = '';
  #token = '';
  #child: ChildProcess | undefined;

  static async start(mqtt: Record<string, number> = {}, intake: Record<string, number> = {}): Promise<LoadGateway> {
    const gateway = new LoadGateway();
    const [mqttPort, httpPort] = await freePorts();
    gateway.mqttPort = mqttPort;
    gateway.http = `http://127.0.0.1:${httpPort}`;
    const config = { mqtt: { port: mqttPort, ...mqtt }, http: { port: httpPort }, intake, chain: { mode: 'none' } };
    writeFileSync(gateway.#config, JSON.stringify(config)); // JSON is YAML
    await gateway.run();
    gateway.origin = loadConfig(gateway.#config).log.origin;
    gateway.#token = await localToken(loadConfig(gateway.#config), 'load', 'operator', 7200);
    return gateway;
  }

  async run(): Promise<void> {
    const child = spawn(process.execPath, [MAIN, 'run', '--config', this.#config], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}`)));
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
        if (line.includes('"msg":"ready"')) resolve();
      });
    });
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  async enrol(devices: readonly LoadDevice[]): Promise<void> {
    const next = devices.values();
    const worker = async (): Promise<void> => {
      for (const { did, sub } of next) {
        const answer = await fetch(`${this.http}/devices`, {
          method: 'POST',
          headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ did, sub, kind: 'meter', custody: 'device' }),
        });
        if (answer.status !== 201) throw new Error(await answer.text());
        await answer.body?.cancel();
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.http}/metrics`)).text();
    const line = text.split('\n').find((l) => l.startsWith(`sejong_edge_${name} `));
    return Number(line?.split(' ')[1] ?? Number.NaN);
  }

  /** Stops it; answers how many of these are not in the log, and removes all. */
  async finish(acked: ReadonlySet<string>): Promise<number> {
    await this.kill('SIGTERM');
    const store = Store.read(join(this.folder, 'data', 'edge.db'));
    const entries = new Entries(store);
    const held = new Set<string>();
    for (let page = entries.page(0, 1000); page.length > 0; page = entries.page((page.at(-1)?.idx ?? 0) + 1, 1000))
      for (const { envelope } of page) held.add(sha256(envelope));
    await store.close();
    rmSync(this.folder, { recursive: true, force: true });
    return [...acked].filter((hash) => !held.has(hash)).length;
  }
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A device that holds its key, by number and seed. */
export class LoadDevice {
  readonly did: string;
  readonly sub: string;
  readonly #key: KeyObject;
  seq = 0;

  constructor(seed: number, n: number) {
    const secret = new Uint8Array(createHash('sha256').update(`load ${seed} ${n}`).digest());
    const publicKey = publicKeyOf(secret);
    this.#key = keyPair(secret, publicKey).privateKey;
    this.did = didFromPublicKey(publicKey);
    this.sub = `urn:sejong:mp:${n}`;
  }

  #sign = (bytes: Uint8Array): Uint8Array => new Uint8Array(sign(null, bytes, this.#key));

  envelope(): Uint8Array {
    const { did: iss, sub } = this;
    const seq = this.seq++;
    return encodeEnvelope(
      { iss, sub, iat: 1_790_000_000, epoch: 1, seq },
      [{ n: '1-0:1.8.0', u: 'Wh', v: seq }],
      this.#sign,
    );
  }

  login(origin: string, over: { clientId?: string; password?: string } = {}): Buffer {
    const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const iat = Math.floor(Date.now() / 1000);
    const head = `${b64({ alg: 'EdDSA' })}.${b64({ sub: this.did, aud: origin, iat, exp: iat + 3000 })}`;
    const password = `${head}.${Buffer.from(this.#sign(Buffer.from(head))).toString('base64url')}`;
    return connectPacket({ user: this.did, password, clientId: 'load', keepalive: 600, ...over });
  }

  publishPacket(envelope: Uint8Array, id: number): Buffer {
    return publishPacket(`up/${this.did}/cose`, envelope, { id });
  }
}

/** A connection that reads answers of four bytes: CONNACK and PUBACK, and nothing else is asked for. */
export class Link {
  readonly socket: Socket;
  #heard = Buffer.alloc(0);
  #waiting: ((answer: Buffer | undefined) => void)[] = [];
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      this.#heard = this.#heard.length === 0 ? data : Buffer.concat([this.#heard, data]);
      this.#give();
    });
    socket.once('close', () => {
      this.closed = true;
      for (const wake of this.#waiting.splice(0)) wake(undefined);
    });
  }

  /** Undefined where nobody listens, or the connection was closed at once. */
  static async open(port: number): Promise<Link | undefined> {
    const socket = connect(port, '127.0.0.1');
    const link = new Link(socket);
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
    return link.closed ? undefined : link;
  }

  #give(): void {
    while (this.#heard.length >= 4 && this.#waiting.length > 0) {
      this.#waiting.shift()?.(this.#heard.subarray(0, 4));
      this.#heard = this.#heard.subarray(4);
    }
  }

  /** The next four bytes, or undefined where the connection ends. */
  answer(): Promise<Buffer | undefined> {
    if (this.closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#give();
    });
  }

  /** @returns whether it was let in */
  async login(packet: Uint8Array): Promise<boolean> {
    this.socket.write(packet);
    return (await this.answer())?.toString('hex') === '20020000';
  }
}

/** `n` at a time. */
export async function eachOf<T>(items: Iterable<T>, n: number, work: (item: T) => Promise<void>): Promise<void> {
  const next = items[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (let item = next.next(); !item.done; item = next.next()) await work(item.value);
  };
  await Promise.all(Array.from({ length: n }, lane));
}
