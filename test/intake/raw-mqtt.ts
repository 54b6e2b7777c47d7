/**
 * MQTT 3.1.1 by hand, on a plain socket: for bytes that no client library would send, and for seeing exactly which
 * bytes come back.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from '../support/ends.ts';
import { CONNACK, type ConnectOptions, connectPacket, PINGREQ } from './packets.ts';

export * from './packets.ts';

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
