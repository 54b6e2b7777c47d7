/**
 * One serial port and the devices on it: who is asked when, and what happens when the port or a device fails.
 *
 * A poll is a job, which yields one exchange after the other; the bus carries out one at a time and then chooses
 * again, so that a long discovery never holds up a poll, unless the driver needs the line for the whole of it.
 */
import { isHeard } from '../../drivers/driver.ts';
import { SerialFault } from '../../drivers/fault.ts';
import { errorLine } from '../../errors.ts';
import { asFault, type SerialDeviceConfig, type SerialDeviceState, type SerialHooks } from './account.ts';
import { Heard } from './heard.ts';
import { Polled } from './polled.ts';
import { Port, type PortSettings, TIMEOUT_MS } from './port.ts';

export type SerialPortState = {
  name: string;
  state: 'closed' | 'open' | 'away';
  error: string | undefined;
  /** Times that the port was opened. */
  opens: number;
  /** Since start. */
  requests: number;
  sentBytes: number;
  heardBytes: number;
  /** Time in which the bus was taken by an exchange, ms. */
  busMs: number;
  devices: SerialDeviceState[];
};

const REOPEN_FIRST_MS = 250;
const REOPEN_MOST_MS = 5000;

/** How long stop() waits for readings that are being accepted. */
const STOP_MS = 300;

/** All devices behind a socket silent this often: the connection may be dead without having said so. */
const SILENT_SOCKET = 3;

export class Bus {
  readonly #settings: PortSettings;
  readonly #timeoutMs: number;
  readonly #hooks: SerialHooks;
  readonly #polled: Polled[] = [];
  readonly #heard: Heard[] = [];
  /** In the order of the config. */
  readonly #devices: (Polled | Heard)[];
  readonly #state: Omit<SerialPortState, 'devices'>;
  #port: Port | undefined;
  #stopping = false;
  #running: Promise<void> | undefined;
  #ring: (() => void) | undefined;
  /** Who has the line until its job ends. */
  #holder: Polled | undefined;
  /** The last thing on the bus was an answer of a device that is well: no moment is further from the next poll. */
  #freshlyPolled = false;
  /** The connection was given up by ourselves: not a word of it. */
  #renewing = false;

  constructor(settings: PortSettings, devices: readonly SerialDeviceConfig[], hooks: SerialHooks) {
    const { name } = settings;
    const timeoutMs = settings.timeoutMs ?? TIMEOUT_MS;
    this.#settings = settings;
    this.#timeoutMs = timeoutMs;
    this.#hooks = hooks;
    this.#state = {
      name,
      state: 'closed',
      error: undefined,
      opens: 0,
      requests: 0,
      sentBytes: 0,
      heardBytes: 0,
      busMs: 0,
    };
    this.#devices = devices.map((config) => {
      const { driver } = config;
      if (isHeard(driver)) {
        const heard = new Heard(config, driver, name, timeoutMs, hooks);
        this.#heard.push(heard);
        return heard;
      }
      const polled = new Polled(config, driver, name, timeoutMs, hooks);
      polled.onDone = () => this.#ring?.();
      this.#polled.push(polled);
      return polled;
    });
    for (const polled of this.#polled)
      polled.shares = () => this.#polled.some((other) => other !== polled && !other.failing);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const heard of this.#heard) heard.stop();
    this.#ring?.();
    await this.#port?.close();
    await this.#running;
    for (const heard of this.#heard) heard.stop();
    const submitting = this.#devices.flatMap(({ account }) => account.submitting ?? []);
    if (submitting.length === 0) return;
    const patience = new AbortController();
    await Promise.race([Promise.all(submitting), wait(STOP_MS, patience.signal)]);
    patience.abort();
  }

  state(): SerialPortState {
    const { requests, sent, heard } = this.#port?.counts ?? { requests: 0, sent: 0, heard: 0 };
    const before = this.#state;
    return {
      ...before,
      requests: before.requests + requests,
      sentBytes: before.sentBytes + sent,
      heardBytes: before.heardBytes + heard,
      devices: this.#devices.map(({ account }) => account.snapshot()),
    };
  }

  // --- the port ------------------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    let pause = REOPEN_FIRST_MS;
    while (!this.#stopping) {
      const port = new Port(this.#settings);
      port.onLost = () => this.#ring?.();
      port.onUnasked = (chunk, atMs) => {
        for (const heard of this.#heard) heard.hear(chunk, atMs);
      };
      this.#port = port;
      let open = false;
      try {
        await port.open();
        open = true;
        this.#opened();
        pause = REOPEN_FIRST_MS;
        while (!this.#stopping && port.lost === undefined) await this.#turn(port);
        if (port.lost !== undefined) throw port.lost;
      } catch (error) {
        // A connection that was given up is not away, but the next one may be.
        if (!open) this.#renewing = false;
        if (!this.#stopping && !this.#renewing) this.#away(error);
      } finally {
        for (const heard of this.#heard) heard.closed();
        await port.close();
        this.#state.requests += port.counts.requests;
        this.#state.sentBytes += port.counts.sent;
        this.#state.heardBytes += port.counts.heard;
        this.#port = undefined;
      }
      if (!this.#stopping) await this.#sleep(pause);
      pause = Math.min(2 * pause, REOPEN_MOST_MS);
    }
    this.#state.state = 'closed';
  }

  #opened(): void {
    this.#holder = undefined;
    this.#state.opens++;
    this.#state.error = undefined;
    if (this.#state.state === 'away') this.#hooks.report(`${this.#state.name}: the port is back`, 'info');
    this.#state.state = 'open';
    const renewed = this.#renewing;
    this.#renewing = false;
    const now = performance.now();
    for (const heard of this.#heard) heard.opened();
    for (const polled of this.#polled) {
      // The same silent devices behind another connection: they wait as they would have.
      if (renewed) polled.drop();
      else polled.opened(now);
    }
  }

  #away(error: unknown): void {
    const line = errorLine(error);
    if (line !== this.#state.error) this.#hooks.report(line, 'warn');
    this.#state.state = 'away';
    this.#state.error = line;
  }

  // --- whose turn it is ----------------------------------------------------------------------------------------------

  /** One exchange, or a sleep until there is one to do. */
  async #turn(port: Port): Promise<void> {
    const now = performance.now();
    const holder = this.#holder;
    if (holder !== undefined) {
      if (holder.notBefore > now) return this.#sleep(holder.notBefore - now);
      return this.#step(port, holder, Number.POSITIVE_INFINITY);
    }
    for (const polled of this.#polled)
      if (polled.account.submitting !== undefined && polled.dueAt <= now) polled.skip();

    const ready = (p: Polled) => Math.max(p.dueAt, p.notBefore);
    const due = this.#polled.filter((p) => p.account.submitting === undefined && ready(p) <= now);
    const next = first(
      due.filter((p) => p.silent === 0 || p.starved(now)),
      now,
    );
    if (next !== undefined) return this.#step(port, next, Number.POSITIVE_INFINITY);

    // A device that was silent may cost a whole timeout. It gets the time until the next poll of one that is well,
    // and where that is short, the moment at which it is longest, which is right after such a poll.
    const silent = first(due, now);
    const slack = Math.min(...this.#polled.filter((p) => p.silent === 0).map(ready)) - now;
    if (silent !== undefined && (slack >= this.#timeoutMs || this.#freshlyPolled)) {
      const think = silent.patient() ? Number.POSITIVE_INFINITY : Math.max(slack, this.#timeoutMs / 4);
      return this.#step(port, silent, think);
    }

    this.#freshlyPolled = false;
    const wakeAt = this.#polled.map(ready).filter((at) => at > now);
    if (port.lost === undefined) await this.#sleep(Math.min(...wakeAt, now + 60_000) - now);
  }

  async #step(port: Port, polled: Polled, thinkMs: number): Promise<void> {
    const begun = performance.now();
    const fresh = !polled.underWay;
    if (fresh && polled.driver.whole === true) this.#holder = polled;
    if (!polled.begin(begun)) return this.#left(port, polled);
    const { exchange } = polled;
    // The job may have asked for a pause just now.
    if (exchange === undefined || polled.notBefore > performance.now()) return;
    const wasWell = polled.silent === 0;
    const answer = await port.exchange(exchange, thinkMs).then((is) => ({ is }), asFault);
    if (answer instanceof SerialFault && answer.kind === 'away') {
      polled.drop();
      throw answer;
    }
    const took = performance.now() - begun;
    this.#state.busMs += took;
    this.#freshlyPolled = wasWell;
    polled.answered(answer, took, port.heardAtMs);
    if (!polled.underWay) await this.#left(port, polled);
  }

  /** Its job has ended: the line is as it was. */
  async #left(port: Port, polled: Polled): Promise<void> {
    if (this.#holder === polled) this.#holder = undefined;
    if (this.#polled.every(({ failing }) => failing)) {
      const now = performance.now();
      for (const waiting of this.#polled) waiting.hasten(now);
    }
    if (port.lost === undefined) await port.restore();
    if (port.medium === 'tcp' && this.#polled.every((p) => p.silent >= SILENT_SOCKET)) {
      this.#renewing = true;
      port.giveUp('no device answers; connecting again');
    }
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#stopping) return;
    const rung = new AbortController();
    this.#ring = () => rung.abort();
    await wait(ms, rung.signal);
    this.#ring = undefined;
  }
}

function first(polled: readonly Polled[], now: number): Polled | undefined {
  const ranked = polled.map((p) => ({ p, rank: p.rank(now) }));
  ranked.sort((a, b) => a.rank - b.rank || a.p.dueAt - b.p.dueAt);
  return ranked[0]?.p;
}

/** Resolves after `ms` or when aborted, never rejects. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, Math.max(0, ms));
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
