/**
 * One open serial port, and one Modbus RTU request at a time on it. For one connection only: once lost or closed it
 * is thrown away, and the bus makes another.
 *
 * modbus-serial was tried first and does not do here. Against the twin it took the late answer to a timed-out request
 * for the answer to the next one (a stale value stamped new), lost the good frame that follows one with a byte
 * missing, and after an unplug let the request in flight wait out its timeout.
 */
import { stat } from 'node:fs/promises';
import type { SerialPort } from 'serialport';
import { SerialFault } from '../../drivers/fault.ts';
import { type Answer, AnswerParser, answerBytes, exceptionName, readRequest } from './rtu.ts';

export type LineSettings = { path: string; baudRate: number; parity: 'none' | 'even' | 'odd' };

/** Start, 8 data, parity or second stop, stop: Serial Line section 2.5.1. */
const BITS_PER_CHARACTER = 11;

/** Silence that ends a frame. The standard has 3.5 characters; USB adapters hold bytes back for 16 ms and more. */
const SILENCE_MS = 50;

const WATCH_MS = 1000;

type Exchange = {
  parser: AnswerParser;
  heard(): void;
  answered(answer: Answer): void;
  failed(fault: SerialFault): void;
};

export class RtuMaster {
  /** Why the connection is gone. */
  lost: SerialFault | undefined;
  readonly #line: LineSettings;
  readonly #onLost: () => void;
  readonly #gapMs: number;
  #port: SerialPort | undefined;
  readonly #closed = Promise.withResolvers<void>();
  #watch: NodeJS.Timeout | undefined;
  #exchange: Exchange | undefined;
  #quietSince = 0;

  constructor(line: LineSettings, onLost: () => void) {
    this.#line = line;
    this.#onLost = onLost;
    // Between two frames 3.5 characters, and above 19,200 baud 1.75 ms (section 2.5.1.1); 5 ms for slaves whose
    // driver takes longer to turn around.
    this.#gapMs = Math.max(5, this.#wireMs(3.5));
  }

  /** @throws SerialFault away */
  async open(): Promise<void> {
    const { path, baudRate, parity } = this.#line;
    // serialport takes the exclusive lock (flock) by default.
    // Loaded with the first port: few gateways have one.
    const { SerialPort } = await import('serialport');
    const port = new SerialPort({ path, baudRate, parity, dataBits: 8, stopBits: 1, autoOpen: false });
    port.once('close', (error: Error | null) => {
      if (error) this.#lose(gone(path));
      this.#closed.resolve();
    });
    port.on('error', (error) => {
      this.#lose(new SerialFault('away', `${path}: ${error.message}`));
      if (!port.isOpen) this.#closed.resolve();
    });
    port.on('data', (chunk: Buffer) => this.#hear(chunk));
    const error = await new Promise<Error | null>((resolve) => port.open(resolve));
    if (error) {
      this.#closed.resolve();
      throw openFault(path, error.message);
    }
    this.#port = port;
    if (this.lost !== undefined) throw this.lost;
    this.#watchPath();
  }

  /**
   * Read holding registers (function 3).
   * @param turnaroundMs how long the slave may think; the time that the frames take on the wire comes on top
   * @throws SerialFault away, no-answer, corrupt or exception
   */
  async read(unitId: number, address: number, count: number, turnaroundMs: number): Promise<Uint16Array> {
    const request = readRequest(unitId, address, count);
    for (;;) {
      const wait = this.#quietSince + this.#gapMs - performance.now();
      if (wait <= 0 || this.lost !== undefined) break;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    const port = this.#port;
    if (this.lost !== undefined) throw this.lost;
    if (port === undefined) throw new Error('read before open');

    const parser = new AnswerParser(unitId, count);
    const deadline = new Alarm();
    const silence = new Alarm();
    try {
      const answer = await new Promise<Answer>((resolve, reject) => {
        const giveUp = () =>
          reject(
            parser.begun
              ? new SerialFault('corrupt', 'the answer was damaged on the wire')
              : new SerialFault(
                  'no-answer',
                  parser.heard === 0 ? 'no answer' : 'no answer, only noise (baud rate, parity?)',
                ),
          );
        deadline.set(turnaroundMs + this.#wireMs(request.length + answerBytes(count)), giveUp);
        this.#exchange = {
          parser,
          answered: resolve,
          failed: reject,
          // Once the answer has begun, a silence ends it. Mere noise does not: the true answer may still come, and
          // must not fall into the next request.
          heard: () => {
            if (parser.begun) silence.set(SILENCE_MS, giveUp);
          },
        };
        port.write(request, (error) => {
          if (error) this.#lose(gone(this.#line.path));
        });
      });
      if ('words' in answer) return answer.words;
      const { exception } = answer;
      throw new SerialFault(
        'exception',
        `exception ${exception} (${exceptionName(exception)}) for registers ${address} to ${address + count - 1}`,
        exception,
      );
    } finally {
      deadline.clear();
      silence.clear();
      this.#exchange = undefined;
      this.#quietSince = performance.now();
    }
  }

  /** Fails the request in flight. After open() has settled, resolves when no handle is left. Idempotent. */
  async close(): Promise<void> {
    this.#lose(new SerialFault('away', `${this.#line.path}: closed`));
    const port = this.#port;
    if (port === undefined) return;
    if (port.isOpen) {
      // Else the close of a real UART waits until what was written has left.
      await new Promise((resolve) => port.flush(resolve));
      if (port.isOpen) port.close(() => this.#closed.resolve());
    }
    await this.#closed.promise;
  }

  #hear(chunk: Buffer): void {
    this.#quietSince = performance.now();
    // Between requests nobody has asked: a late answer, or noise. It never becomes a value.
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const answer = exchange.parser.push(chunk);
    if (answer === undefined) exchange.heard();
    else exchange.answered(answer);
  }

  #lose(fault: SerialFault): void {
    if (this.lost !== undefined) return;
    this.lost = fault;
    clearInterval(this.#watch);
    this.#exchange?.failed(fault);
    this.#onLost();
  }

  /**
   * serialport misses a hang-up that falls between its read and its next poll: a tty that is gone reads as zero
   * bytes, which it takes as a reason to read again, on a full core, until the next write. So look at the path too;
   * this also notices that a by-id link now leads to another adapter.
   */
  #watchPath(): void {
    const { path } = this.#line;
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

  #wireMs(characters: number): number {
    return Math.ceil((characters * BITS_PER_CHARACTER * 1000) / this.#line.baudRate);
  }
}

/**
 * A timer that gives what was heard a chance first: one that fires late tells that this process was busy, and bytes
 * that came in time may still lie in the tty.
 */
class Alarm {
  #timer: NodeJS.Timeout | undefined;

  set(ms: number, ring: () => void): void {
    this.clear();
    const due = performance.now() + ms;
    this.#timer = setTimeout(() => {
      if (performance.now() - due < 20) ring();
      else this.#timer = setTimeout(ring, 50);
    }, ms);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

const gone = (path: string): SerialFault =>
  new SerialFault('away', `${path}: no such port now (unplugged, or under another name)`);

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
  return new SerialFault('away', `${path}: ${why}`);
}
