/**
 * A tty, by its path or by the identity of its USB adapter. Everything particular to serialport is here.
 *
 * serialport takes an exclusive lock (flock), as picocom, pyserial and others do.
 */
import { stat } from 'node:fs/promises';
import type { SerialPort } from 'serialport';
import type { SerialFault } from '../../drivers/fault.ts';
import { setRs485 } from './rs485.ts';
import { findUsb } from './usb.ts';
import { away, type Listener, type Place, type Wire, type WireSettings } from './wire.ts';

const WATCH_MS = 1000;

export class Tty implements Wire {
  readonly #settings: WireSettings;
  readonly #place: Exclude<Place, { tcp: string }>;
  #path = '';
  #listener: Listener | undefined;
  #port: SerialPort | undefined;
  readonly #closed = Promise.withResolvers<void>();
  #watch: NodeJS.Timeout | undefined;

  constructor(settings: WireSettings, place: Exclude<Place, { tcp: string }>) {
    this.#settings = settings;
    this.#place = place;
  }

  async open(listener: Listener): Promise<void> {
    this.#listener = listener;
    const place = this.#place;
    const path = 'path' in place ? place.path : await findUsb(place.usb);
    this.#path = path;
    // Loaded with the first port: few gateways have one.
    const { SerialPort } = await import('serialport');
    const port = new SerialPort({ path, ...this.#settings.line, autoOpen: false });
    port.once('close', (error: Error | null) => {
      if (error) this.#lose(gone(path));
      this.#closed.resolve();
    });
    port.on('error', (error) => {
      this.#lose(away(`${path}: ${error.message}`));
      if (!port.isOpen) this.#closed.resolve();
    });
    port.on('data', (chunk: Buffer) => listener.heard(chunk));
    const error = await new Promise<Error | null>((resolve) => port.open(resolve));
    if (error) {
      this.#closed.resolve();
      throw openFault(path, error.message);
    }
    this.#port = port;
    if (this.#settings.rs485 !== undefined) setRs485(path, port, this.#settings.rs485);
    this.#watchPath(path);
  }

  write(bytes: Uint8Array, drained: boolean): Promise<void> {
    const port = this.#port;
    if (port === undefined || bytes.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      port.write(bytes, (error) => {
        if (error) {
          this.#lose(gone(this.#path));
          resolve();
        } else if (drained) port.drain(() => resolve());
        else resolve();
      });
    });
  }

  async setBaudRate(baudRate: number): Promise<void> {
    const port = this.#port;
    if (port === undefined) return;
    const error = await new Promise<Error | null>((resolve) => port.update({ baudRate }, resolve));
    if (error) throw away(`${this.#path}: cannot go on at ${baudRate} baud: ${error.message}`);
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    const port = this.#port;
    if (port === undefined) return;
    if (port.isOpen) {
      // Else the close of a real UART waits until what was written has left.
      await new Promise((resolve) => port.flush(resolve));
      if (port.isOpen) port.close(() => this.#closed.resolve());
    }
    await this.#closed.promise;
  }

  #lose(fault: SerialFault): void {
    clearInterval(this.#watch);
    this.#listener?.lost(fault);
  }

  /**
   * serialport misses a hang-up that falls between its read and its next poll: a tty that is gone reads as zero
   * bytes, which it takes as a reason to read again, on a full core, until the next write. So look at the path too;
   * this also notices that a by-id link now leads to another adapter.
   */
  #watchPath(path: string): void {
    const identity = async () => {
      const { dev, ino, rdev } = await stat(path);
      return `${dev} ${ino} ${rdev}`;
    };
    const opened = identity().catch(() => 'gone');
    this.#watch = setInterval(async () => {
      const now = await identity().catch(() => 'gone');
      if (now === 'gone' || now !== (await opened)) this.#lose(gone(path));
    }, WATCH_MS);
  }
}

const gone = (path: string): SerialFault => away(`${path}: no such port now (unplugged, or under another name)`);

/** serialport gives the words of strerror, not errno. */
function openFault(path: string, message: string): SerialFault {
  if (/No such (file|device)|Input\/output error/.test(message)) return gone(path);
  const why = /Permission denied/.test(message)
    ? "permission denied (add the gateway's user to the group that owns the port, often dialout)"
    : /Cannot lock port|busy/.test(message)
      ? 'held by another program'
      : /Inappropriate ioctl|Is a directory/.test(message)
        ? 'not a serial port'
        : message;
  return away(`${path}: ${why}`);
}
