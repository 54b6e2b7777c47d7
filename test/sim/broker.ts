/** A real broker that remembers what it got, acknowledges as it is told, and can be killed. */
import { EventEmitter, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { decodeEnvelope, type Envelope } from '../../edge/wire/envelope.ts';
import { verifyEnvelope } from '../../edge/wire/verify.ts';

export type Received = { did: string; bytes: Uint8Array; dup: boolean; connection: number; acked: boolean };

export class TestBroker {
  readonly received: Received[] = [];
  readonly logins: { user: string; password: string }[] = [];
  /** What becomes of a publish: its PUBACK, silence, or the end of its connection. */
  policy: (received: Received) => 'ack' | 'hold' | 'cut' = () => 'ack';
  port = 0;
  readonly #events = new EventEmitter().setMaxListeners(0);
  #aedes: Aedes | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #connections = 0;

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** On the same port again after {@link kill}. */
  async start(): Promise<this> {
    const numbers = new WeakMap<object, number>();
    const aedes = await Aedes.createBroker({
      authenticate: (client, user, password, done) => {
        this.logins.push({ user: user ?? '', password: String(password) });
        numbers.set(client, ++this.#connections);
        done(null, true);
      },
      authorizePublish: (client, packet, done) => {
        if (client === null) return done(null);
        const did = packet.topic.split('/')[1] as string;
        const bytes = new Uint8Array(packet.payload as Buffer);
        const received = { did, bytes, dup: packet.dup, connection: numbers.get(client) as number, acked: false };
        this.received.push(received);
        const verdict = this.policy(received);
        received.acked = verdict === 'ack';
        if (verdict === 'ack') done(null);
        else if (verdict === 'cut') done(new Error('cut'));
        this.#events.emit('publish');
      },
    });
    aedes.on('clientDisconnect', () => this.#events.emit('publish'));
    aedes.on('subscribe', () => this.#events.emit('publish'));
    this.#aedes = aedes;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      aedes.handle(socket);
    });
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as { port: number }).port;
    return this;
  }

  /** As SIGKILL does it: every socket is gone at once. */
  async kill(): Promise<void> {
    const server = this.#server as Server;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
    await new Promise<void>((resolve) => this.#aedes?.close(() => resolve()));
  }

  get connected(): number {
    return this.#aedes?.connectedClients ?? 0;
  }

  say(topic: string, payload: string): void {
    this.#aedes?.publish(
      { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain: false, dup: false },
      () => {},
    );
  }

  /** Resolves when the condition holds; asked after each publish, subscription and lost connection. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#events, 'publish');
  }

  /** Envelopes in the order in which the broker first saw them. */
  firsts(did?: string): Envelope[] {
    const seen = new Set<string>();
    const firsts: Envelope[] = [];
    for (const received of this.received) {
      const key = Buffer.from(received.bytes).toString('base64');
      if (seen.has(key) || (did !== undefined && received.did !== did)) continue;
      seen.add(key);
      firsts.push(decodeEnvelope(received.bytes));
    }
    return firsts;
  }

  /** The whole truth about what honest devices sent, re-verified: @throws where any of it does not hold. */
  check(): void {
    const bytesOf = new Map<string, Uint8Array>();
    const highest = new Map<string, bigint>();
    const newest = new Map<string, bigint>();
    for (const { did, bytes, connection } of this.received) {
      const envelope = decodeEnvelope(bytes);
      if (envelope.iss !== did) throw new Error(`${envelope.iss} on the topic of ${did}`);
      verifyEnvelope(envelope);
      const cti = (BigInt(envelope.epoch) << 32n) | BigInt(envelope.seq);
      const key = `${did} ${cti}`;
      const before = bytesOf.get(key);
      if (before && Buffer.compare(before, bytes) !== 0) throw new Error(`${key} with other bytes`);
      bytesOf.set(key, bytes);
      if (!before) {
        if (cti <= (highest.get(did) ?? -1n)) throw new Error(`${key} came first after a higher one`);
        highest.set(did, cti);
      }
      const line = `${did} ${connection}`;
      if (cti <= (newest.get(line) ?? -1n)) throw new Error(`${key} out of order on one connection`);
      newest.set(line, cti);
    }
  }
}

export const cti = ({ epoch, seq }: { epoch: number; seq: number }): string => `${epoch}/${seq}`;
