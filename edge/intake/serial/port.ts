/**
 * One open port, and one exchange at a time on it. For one connection only: once lost or closed it is thrown away,
 * and the bus makes another. What is heard while nothing is asked, or is noise beside an answer, goes to onUnasked.
 *
 * modbus-serial was tried first and does not do here. Against the twin it took the late answer to a timed-out request
 * for the answer to the next one (a stale value stamped new), lost the good frame that follows one with a byte
 * missing, and after an unplug let the request in flight wait out its timeout.
 */
import type { Exchange, Medium } from '../../drivers/driver.ts';
import { SerialFault } from '../../drivers/fault.ts';
import { Tcp } from './tcp.ts';
import { Tty } from './tty.ts';
import { away, type Wire, type WireSettings } from './wire.ts';

export type PortSettings = WireSettings & {
  /** How it is called in lines: the path, host:port or what tells the USB adapter. */
  name: string;
  /** How long a device may think before it counts as silent, ms. Default 1000. */
  timeoutMs?: number | undefined;
  /** Least silence before a request, ms. Default 3.5 characters, at least 2. After damage or silence at least 5. */
  gapMs?: number | undefined;
};

export const TIMEOUT_MS = 1000;

/** Silence that ends an answer. USB adapters hold bytes back for 16 ms and more. */
const SILENCE_MS = 50;
/** Over a network a pause says little: only protocols whose end is a silence go by it, and by a longer one. */
const TCP_SILENCE_MS = 250;

/** How long an adapter may hold the first bytes back. */
const ADAPTER_MS = 20;

/** Above 19,200 baud Modbus has 1.75 ms between two frames (Serial Line section 2.5.1.1); timers here count whole ms. */
const LEAST_GAP_MS = 2;
/** After damage or a silence: a device must find the beginning again. */
const CAREFUL_GAP_MS = 5;
/** A line that is never silent is not waited for longer. */
const MOST_GAP_MS = 2000;

/** Of what is heard during an exchange, no more is kept for those who only listen. */
const MOST_KEPT = 16_384;

type Waiting = { heard(chunk: Uint8Array, atMs: number): void; failed(fault: SerialFault): void };

export class Port {
  readonly name: string;
  readonly medium: Medium;
  readonly timeoutMs: number;
  /** Why the connection is gone. */
  lost: SerialFault | undefined;
  onLost: (() => void) | undefined;
  /** What is no answer. @param atMs Unix ms */
  onUnasked: ((chunk: Uint8Array, atMs: number) => void) | undefined;
  /** When the last byte came, Unix ms. */
  heardAtMs = 0;
  readonly counts = { requests: 0, sent: 0, heard: 0 };

  readonly #settings: PortSettings;
  readonly #wire: Wire;
  readonly #bits: number;
  #baudRate: number;
  #opened = false;
  #waiting: Waiting | undefined;
  /** A change of rate that an exchange began: an answer may come before it is done. */
  #changing: Promise<void> | undefined;
  readonly #gone = Promise.withResolvers<void>();
  /** performance.now() of the last byte in either direction. */
  #quietSince = 0;
  #careful = false;

  constructor(settings: PortSettings) {
    const { place, line } = settings;
    this.#settings = settings;
    this.name = settings.name;
    this.timeoutMs = settings.timeoutMs ?? TIMEOUT_MS;
    this.medium = 'tcp' in place ? 'tcp' : 'tty';
    this.#wire = 'tcp' in place ? new Tcp(place.tcp) : new Tty(settings, place);
    this.#bits = 1 + line.dataBits + (line.parity === 'none' ? 0 : 1) + line.stopBits;
    this.#baudRate = line.baudRate;
  }

  /** @throws SerialFault away */
  async open(): Promise<void> {
    await this.#wire.open({ heard: (chunk) => this.#heard(chunk), lost: (fault) => this.#lose(fault) });
    this.#opened = true;
    if (this.lost !== undefined) throw this.lost;
  }

  /**
   * @param thinkMs how long the device may think at most, where the caller has less time than the exchange
   * @throws SerialFault away, no-answer, corrupt, or what the parser throws. {@link Exchange.afterMs} is the caller's.
   */
  async exchange<A>(exchange: Exchange<A>, thinkMs = Number.POSITIVE_INFINITY): Promise<A> {
    const { send, parser, answerBytes } = exchange;
    await this.#settled();
    await this.#gap();
    if (this.lost !== undefined) throw this.lost;
    if (!this.#opened || this.#waiting !== undefined)
      throw new Error('a port is opened, and then asked one thing at a time');
    if (exchange.baudRate !== undefined) await this.#setBaudRate(exchange.baudRate);

    const deadline = new Alarm();
    const silence = new Alarm();
    const kept: { chunk: Uint8Array; atMs: number }[] = [];
    let keptBytes = 0;
    let answered = false;
    try {
      const answer = await new Promise<A>((resolve, reject) => {
        const giveUp = () => {
          try {
            const last = parser.end?.();
            if (last !== undefined) resolve(last);
            else
              reject(
                parser.begun
                  ? new SerialFault('corrupt', 'the answer was damaged on the wire')
                  : new SerialFault(
                      'no-answer',
                      parser.heard === 0 ? 'no answer' : 'no answer, only noise (baud rate, parity?)',
                    ),
              );
          } catch (error) {
            reject(error as Error);
          }
        };
        const may = Math.min(exchange.timeoutMs ?? this.timeoutMs, thinkMs);
        // What is sent and what is heard may go at two rates.
        const answerMs = this.#wireMs(answerBytes, exchange.thenBaudRate);
        const sentMs = this.#wireMs(send.length);
        // Of a device that says nothing at all it is known before its answer could have ended.
        const firstMs = Math.min(answerMs, this.#wireMs(4, exchange.thenBaudRate) + ADAPTER_MS);
        const wholeBy = performance.now() + may + sentMs + answerMs;
        deadline.set(may + sentMs + firstMs, giveUp);
        const silenceMs = this.#silenceMs(exchange);
        this.#waiting = {
          failed: reject,
          heard: (chunk, atMs) => {
            if (parser.heard === 0) deadline.set(wholeBy - performance.now(), giveUp);
            let found: A | undefined;
            try {
              found = parser.push(chunk);
            } catch (error) {
              reject(error as Error);
              return;
            }
            if (found !== undefined) {
              resolve(found);
              return;
            }
            if (!parser.begun) this.onUnasked?.(chunk, atMs);
            else if (keptBytes < MOST_KEPT) {
              kept.push({ chunk: Uint8Array.from(chunk), atMs });
              keptBytes += chunk.length;
            }
            // Once the answer has begun, a silence ends it. Mere noise does not: the true answer may still come, and
            // must not fall into the next request.
            if (parser.begun && silenceMs !== undefined) silence.set(silenceMs, giveUp);
          },
        };
        this.counts.requests++;
        this.counts.sent += send.length;
        const sending = this.#send(exchange).catch(reject);
        if (exchange.thenBaudRate !== undefined) this.#changing = sending;
      });
      answered = true;
      return answer;
    } catch (error) {
      this.#careful = true;
      throw error;
    } finally {
      deadline.clear();
      silence.clear();
      this.#waiting = undefined;
      this.#quietSince = performance.now();
      if (!answered) for (const { chunk, atMs } of kept) this.onUnasked?.(chunk, atMs);
    }
  }

  /** Back to the rate that it was opened with, after a job that changed it. @throws SerialFault away */
  async restore(): Promise<void> {
    await this.#settled();
    await this.#setBaudRate(this.#settings.line.baudRate);
  }

  async #settled(): Promise<void> {
    if (this.#changing === undefined) return;
    await Promise.race([this.#changing, this.#gone.promise]);
    this.#changing = undefined;
  }

  /** Fails the exchange in flight. After open() has settled, resolves when no handle is left. Idempotent. */
  async close(): Promise<void> {
    this.#lose(away(`${this.name}: closed`));
    await this.#wire.close();
  }

  /** It goes on with another connection: the devices are silent on this one. */
  giveUp(detail: string): void {
    this.#lose(away(`${this.name}: ${detail}`));
  }

  async #send({ send, thenBaudRate }: Exchange): Promise<void> {
    const left = performance.now() + this.#wireMs(send.length);
    await this.#wire.write(send, thenBaudRate !== undefined);
    this.#quietSince = performance.now();
    if (thenBaudRate === undefined) return;
    // What has left the kernel may still be in the adapter.
    const rest = left - performance.now();
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    await this.#setBaudRate(thenBaudRate);
  }

  async #gap(): Promise<void> {
    const { gapMs } = this.#settings;
    const least = Math.max(this.medium === 'tcp' ? 0 : LEAST_GAP_MS, this.#wireMs(3.5), gapMs ?? 0);
    const gap = this.#careful ? Math.max(CAREFUL_GAP_MS, least) : least;
    this.#careful = false;
    const giveUpAt = performance.now() + MOST_GAP_MS;
    for (;;) {
      const now = performance.now();
      const wait = Math.min(this.#quietSince + gap, giveUpAt) - now;
      if (wait <= 0 || this.lost !== undefined) return;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  #silenceMs({ parser, silenceMs }: Exchange): number | undefined {
    if (this.medium === 'tty') return silenceMs ?? SILENCE_MS;
    return parser.end === undefined ? undefined : Math.max(silenceMs ?? 0, TCP_SILENCE_MS);
  }

  #heard(chunk: Uint8Array): void {
    this.#quietSince = performance.now();
    this.heardAtMs = Date.now();
    this.counts.heard += chunk.length;
    if (this.#waiting === undefined) this.onUnasked?.(chunk, this.heardAtMs);
    else this.#waiting.heard(chunk, this.heardAtMs);
  }

  #lose(fault: SerialFault): void {
    if (this.lost !== undefined) return;
    this.lost = fault;
    this.#gone.resolve();
    this.#waiting?.failed(fault);
    this.onLost?.();
  }

  async #setBaudRate(baudRate: number): Promise<void> {
    if (baudRate === this.#baudRate || this.#wire.setBaudRate === undefined) return;
    await this.#wire.setBaudRate(baudRate);
    this.#baudRate = baudRate;
  }

  #wireMs(characters: number, baudRate = this.#baudRate): number {
    return this.medium === 'tcp' ? 0 : Math.ceil((characters * this.#bits * 1000) / baudRate);
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
