/**
 * MQTT 3.1.1 by hand, on a plain socket: for bytes that no client library would send, and for seeing exactly which
 * bytes come back. Encoded here from the standard, not by the package that the broker decodes with.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from '../support/ends.ts';

type Bytes = Uint8Array | string;
const bytes = (value: Bytes): Uint8Array => (typeof value === 'string' ? Buffer.from(value) : value);

/** MQTT 3.1.1 section 2.2.3. */
export function remainingLength(n: number): number[] {
  const out: number[] = [];
  do {
    out.push((n % 128) | (n >= 128 ? 0x80 : 0));
    n = Math.floor(n / 128);
  } while (n > 0);
  return out;
}

export const uint16 = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255);
/** Section 1.5.3: two bytes of length, then the bytes, which a test may make bad on purpose. */
export const string = (value: Bytes): Uint8Array => Buffer.concat([uint16(bytes(value).length), bytes(value)]);

export function packet(first: number, ...parts: Bytes[]): Buffer {
  const body = Buffer.concat(parts.map(bytes));
  return Buffer.concat([Uint8Array.of(first, ...remainingLength(body.length)), body]);
}

export type ConnectOptions = {
  user?: Bytes;
  password?: Bytes;
  clientId?: Bytes;
  protocol?: string;
  level?: number;
  clean?: boolean;
  keepalive?: number;
  will?: { topic: Bytes; payload: Bytes; qos?: number; retain?: boolean };
  /** Added to the connect flags. */
  flags?: number;
};

/** Section 3.1. */
export function connectPacket(o: ConnectOptions): Buffer {
  const { user, password, clientId = 'raw', protocol = 'MQTT', level = 4, clean = true, keepalive = 0, will } = o;
  let flags = (o.flags ?? 0) | (clean ? 2 : 0);
  if (user !== undefined) flags |= 0x80;
  if (password !== undefined) flags |= 0x40;
  if (will) flags |= 0x04 | ((will.qos ?? 1) << 3) | (will.retain ? 0x20 : 0);
  return packet(
    0x10,
    string(protocol),
    Uint8Array.of(level, flags),
    uint16(keepalive),
    ...(level === 5 ? [Uint8Array.of(0)] : []),
    string(clientId),
    ...(will ? [...(level === 5 ? [Uint8Array.of(0)] : []), string(will.topic), string(will.payload)] : []),
    ...(user === undefined ? [] : [string(user)]),
    ...(password === undefined ? [] : [string(password)]),
  );
}

/** Section 3.3. */
export function publishPacket(
  topic: Bytes,
  payload: Bytes,
  o: { qos?: number; id?: number; retain?: boolean; dup?: boolean } = {},
): Buffer {
  const { qos = 1, id = 1, retain = false, dup = false } = o;
  const first = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  return packet(first, string(topic), ...(qos > 0 ? [uint16(id)] : []), payload);
}

/** Section 3.8. */
export const subscribePacket = (id: number, ...filters: Bytes[]): Buffer =>
  packet(0x82, uint16(id), ...filters.flatMap((f) => [string(f), Uint8Array.of(1)]));

export const PINGREQ = Buffer.of(0xc0, 0);
export const DISCONNECT = Buffer.of(0xe0, 0);
export const CONNACK = { accepted: '20020000', version: '20020001', refused: '20020005' } as const;

export type Received = { first: number; body: Buffer };

export class RawMqtt {
  readonly socket: Socket;
  /** What came and was not read yet. */
  #pending: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  #ended = false;
  /** Resolves when the connection is gone, however it went. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => {
      this.#pending = Buffer.concat([this.#pending, data]);
      this.#wake();
    });
    socket.on('error', () => undefined); // a reset is one way to be closed
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#ended = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** Connects the socket, and says nothing yet. */
  static async open(gateway: { info: { mqtt: string } }): Promise<RawMqtt> {
    const { hostname, port } = new URL(gateway.info.mqtt);
    const socket = connect(Number(port), hostname);
    const raw = new RawMqtt(socket);
    onTestFinished(() => {
      socket.destroy();
    });
    await once(socket, 'connect');
    return raw;
  }

  /** Connects and logs in. */
  static async login(gateway: { info: { mqtt: string } }, options: ConnectOptions): Promise<RawMqtt> {
    const raw = await RawMqtt.open(gateway);
    raw.send(connectPacket(options));
    const answer = (await raw.take(4)).toString('hex');
    if (answer !== CONNACK.accepted) throw new Error(`CONNACK ${answer}`);
    return raw;
  }

  send(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next `n` bytes. @throws when the connection ends before */
  async take(n: number): Promise<Buffer> {
    while (this.#pending.length < n) {
      if (this.#ended) throw new Error(`closed after ${this.#pending.toString('hex').slice(0, 80) || 'nothing'}`);
      await this.#more();
    }
    const taken = this.#pending.subarray(0, n);
    this.#pending = this.#pending.subarray(n);
    return taken;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** The next whole packet. @throws when the connection ends before */
  async packet(): Promise<Received> {
    const first = (await this.take(1))[0] as number;
    let length = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = (await this.take(1))[0] as number;
      length += (byte & 127) * shift;
      if (byte < 128) break;
    }
    return { first, body: await this.take(length) };
  }

  /** All that came from now on until the connection was closed by the other side. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) await this.#more();
    const taken = this.#pending;
    this.#pending = Buffer.alloc(0);
    return taken;
  }

  /** PINGREQ answered by PINGRESP, so everything before it was dealt with. @throws when the connection ends before */
  async ping(): Promise<void> {
    this.send(PINGREQ);
    const { first } = await this.packet();
    if (first !== 0xd0) throw new Error(`packet 0x${first.toString(16)} where PINGRESP was due`);
  }

  /** As a link that breaks: all that was sent arrives, and then nothing more, not even a DISCONNECT. */
  async cut(): Promise<void> {
    await new Promise((resolve) => this.socket.write('', resolve));
    this.socket.destroy();
    await this.closed;
  }
}
