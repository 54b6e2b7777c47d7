/** A socket: Modbus TCP, or a serial device server that passes bytes through. */
import { connect, type Socket } from 'node:net';
import type { SerialFault } from '../../drivers/fault.ts';
import { away, type Listener, type Wire } from './wire.ts';

const CONNECT_MS = 5000;
/** A device that lost power says no good-bye. */
const KEEP_ALIVE_MS = 10_000;

export class Tcp implements Wire {
  readonly #address: string;
  #socket: Socket | undefined;
  readonly #closed = Promise.withResolvers<void>();

  /** @param address host:port, an IPv6 host in brackets */
  constructor(address: string) {
    this.#address = address;
  }

  async open(listener: Listener): Promise<void> {
    const address = this.#address;
    const [, host, port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(address) ?? [];
    if (host === undefined || !(Number(port) >= 1 && Number(port) <= 65535))
      throw away(`${address} is not host:port (1 to 65535)`);
    const socket = connect({ host, port: Number(port), noDelay: true, keepAlive: true });
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#socket = socket;
    let open = false;
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(CONNECT_MS, () => {
        if (!open) socket.destroy(new Error(`no connection within ${CONNECT_MS / 1000} s`));
      });
      let fault: SerialFault | undefined;
      socket.once('connect', () => {
        open = true;
        socket.setTimeout(0);
        resolve();
      });
      socket.on('data', (chunk) => listener.heard(chunk));
      socket.on('error', (error: NodeJS.ErrnoException) => {
        fault = away(`${address}: ${WORDS[error.code ?? ''] ?? error.message}`);
      });
      socket.on('end', () => socket.destroy());
      socket.once('close', () => {
        fault ??= away(`${address}: the device closed the connection`);
        if (open) listener.lost(fault);
        else reject(fault);
        this.#closed.resolve();
      });
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || bytes.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      socket.write(bytes, () => resolve());
    });
  }

  async close(): Promise<void> {
    if (this.#socket === undefined) return;
    this.#socket.destroy();
    await this.#closed.promise;
  }
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused (nothing listens there, or the device takes no more connections)',
  ENOTFOUND: 'no such host',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the host',
  ECONNRESET: 'the device reset the connection',
  ETIMEDOUT: 'the device does not answer',
};
