/** What the witness tests share: a log made by the words of the specifications, and what stands before a witness. */
import { createHash, type KeyObject, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { keyPair } from '../../edge/tokens.ts';
import { publicKeyOf } from '../../edge/wire/ed25519.ts';
import { ListedLeaves, plainLeaf, plainProof, plainRoot, sha256 } from '../log/plain.ts';
import type { TestGateway } from '../support/gateway.ts';

const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** A log of numbered leaves, or with another leaf from `forkAt` on; nothing of it is edge/log's. */
export class PlainLog {
  readonly origin: string;
  readonly key: string;
  readonly #leaves: ListedLeaves;
  readonly #name: string;
  readonly #secret: KeyObject;
  readonly #id: Buffer;

  constructor(name: string, over: { forkAt?: number; origin?: string; seed?: string } = {}) {
    const seed = createHash('sha256')
      .update(over.seed ?? `log ${name}`)
      .digest();
    const raw = Buffer.concat([Buffer.of(1), publicKeyOf(seed)]);
    this.#name = name;
    this.origin = over.origin ?? name;
    this.#secret = keyPair(seed, raw.subarray(1)).privateKey;
    this.#id = sha256(Buffer.from(`${name}\n`), raw).subarray(0, 4);
    this.key = `${name}+${this.#id.toString('hex')}+${b64(raw)}`;
    const { forkAt = 1000 } = over;
    this.#leaves = new ListedLeaves(
      Array.from({ length: 600 }, (_, i) => plainLeaf(Buffer.from(i < forkAt ? `${i}` : `fork ${i}`))),
    );
  }

  body(size: number, extensions = ''): string {
    return `${this.origin}\n${size}\n${b64(plainRoot(this.#leaves, size))}\n${extensions}`;
  }

  line(body: string): string {
    return `— ${this.#name} ${b64(Buffer.concat([this.#id, sign(null, Buffer.from(body), this.#secret)]))}\n`;
  }

  note(size: number, extensions = ''): string {
    const body = this.body(size, extensions);
    return `${body}\n${this.line(body)}`;
  }

  proof(old: number, size: number): string[] {
    return plainProof(this.#leaves, old, size).map(b64);
  }

  request(old: number, size: number, note = this.note(size), proof = this.proof(old, size)): string {
    return [`old ${old}`, ...proof, '', note].join('\n');
  }
}

export type WitnessReply = { status: number; type: string; text: string };
export async function submit(
  { info }: Pick<TestGateway, 'info'>,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<WitnessReply> {
  const answer = await fetch(`${info.http}/witness/add-checkpoint`, {
    method: 'POST',
    body: body as string,
    headers,
  });
  return { status: answer.status, type: answer.headers.get('content-type') ?? '', text: await answer.text() };
}

/** What becomes of one request; with `sent`, the witness gets it and the log does not hear so. */
export type Fate =
  | 'forward'
  | 'hang'
  | 'drop'
  | 'sent'
  | { status: number; body: string | Buffer; type?: string; headers?: Record<string, string> };

/** Stands before a witness, at an address that outlives it. `fate` decides, `asked` remembers the bodies. */
export class WitnessProxy {
  readonly #server: Server;
  readonly asked: string[] = [];
  /** The gateway behind it; undefined while it is away. */
  target: string | undefined;
  hanging = 0;
  fate: (body: string) => Fate = () => 'forward';

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response).catch(() => request.socket.destroy());
    });
  }

  static async start(): Promise<WitnessProxy> {
    const proxy = new WitnessProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    onTestFinished(
      () =>
        new Promise<void>((resolve) => {
          proxy.#server.close(() => resolve());
          proxy.#server.closeAllConnections();
        }),
    );
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/witness`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += chunk;
    this.asked.push(body);
    const fate = this.fate(body);
    if (fate === 'hang') {
      this.hanging++;
      request.socket.once('close', () => this.hanging--);
    } else if (fate === 'drop' || this.target === undefined) request.socket.destroy();
    else if (fate === 'forward' || fate === 'sent') {
      const answer = await fetch(this.target + request.url, { method: 'POST', body });
      const text = await answer.text();
      if (fate === 'sent') request.socket.destroy();
      else response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(text);
    } else
      response.writeHead(fate.status, { 'content-type': fate.type ?? 'text/plain', ...fate.headers }).end(fate.body);
  }
}
