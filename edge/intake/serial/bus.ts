/**
 * One serial port and the slaves on it: who is asked when, and what happens when the port or a slave fails.
 *
 * A slave's poll is a {@link Job}, which yields one read after the other; the bus carries out one read at a time and
 * then chooses again, so that a long discovery never holds up a poll.
 */

import { type FaultKind, SerialFault } from '../../drivers/fault.ts';
import { errorLine } from '../../errors.ts';
import type { SenmlRecord } from '../../wire/senml.ts';
import { type LineSettings, RtuMaster } from './master.ts';

/** Holding registers to read in one request. */
export type Read = { address: number; count: number };

/** One poll. Registers come back from each yield, or a SerialFault is thrown there. Returns what was measured. */
export type Job = Generator<Read, SenmlRecord[], Uint16Array>;

/** What a slave speaks above Modbus. Does no input or output itself. */
export type Driver = {
  poll(): Job;
  /** Forget what was discovered: there may be another device now. */
  reset(): void;
  discovered(): boolean;
  /** The device in a few words, once discovered. */
  about(): string | undefined;
};

export type SlaveConfig = { did: string; unitId: number; everySeconds: number };

export type SerialHooks = {
  /** Resolves when the reading is durable; the next poll of this device waits for it. */
  submit(did: string, records: SenmlRecord[]): Promise<void>;
  report(line: string, level: 'info' | 'warn'): void;
};

export type SerialDeviceState = {
  did: string;
  unitId: number;
  /** new: not polled yet; ok: the last poll gave a value; failing: it gave none, see error. */
  state: 'new' | 'ok' | 'failing';
  about: string | undefined;
  error: string | undefined;
  /** Polls begun, and values submitted. */
  polls: number;
  values: number;
  /** Polls left out because the one before, or the bus, was late. */
  skipped: number;
  errors: Partial<Record<FaultKind | 'submit', number>>;
  /** Time that this slave has had the bus. */
  busMs: number;
  /** Unix time in ms of the last value. */
  lastValueAt: number | undefined;
};

export type SerialPortState = {
  path: string;
  state: 'closed' | 'open' | 'away';
  error: string | undefined;
  /** Times that the port was opened. */
  opens: number;
  requests: number;
  devices: SerialDeviceState[];
};

/** A damaged answer comes from a slave that is there: ask again at once, this often. */
const RETRIES = 2;

const REOPEN_FIRST_MS = 250;
const REOPEN_MOST_MS = 5000;

/**
 * A slave that gives no values is left alone for up to this many times what it cost, so that it has less than 5 % of a
 * bus that it shares.
 */
const BACK_OFF_MOST = 20;

/** The same line about the same slave is not written again within this time. */
const QUIET_MS = 60_000;

/** How long stop() waits for readings that are being accepted. */
const STOP_MS = 300;

type Slave = {
  config: SlaveConfig;
  driver: Driver;
  state: SerialDeviceState;
  /** Times are of performance.now(). */
  dueAt: number;
  job: Job | undefined;
  read: Read | undefined;
  retries: number;
  /** Bus time that this job has had. */
  costMs: number;
  /** Polls in a row that gave no value, and polls in a row that ended without any answer. */
  failures: number;
  silent: number;
  submitting: Promise<void> | undefined;
  reported: Map<string, number>;
  /** The fault that was reported, until the recovery is. */
  troubled: boolean;
  introduced: string | undefined;
};

export class Bus {
  readonly #line: LineSettings;
  readonly #timeoutMs: number;
  readonly #hooks: SerialHooks;
  readonly #slaves: Slave[];
  readonly #port: Omit<SerialPortState, 'devices'>;
  #master: RtuMaster | undefined;
  #stopping = false;
  #running: Promise<void> | undefined;
  #ring: (() => void) | undefined;
  /** The last thing on the bus was an answer of a slave that is well: no moment is further from the next poll. */
  #freshlyPolled = false;

  constructor(
    line: LineSettings,
    timeoutMs: number,
    slaves: { config: SlaveConfig; driver: Driver }[],
    hooks: SerialHooks,
  ) {
    this.#line = line;
    this.#timeoutMs = timeoutMs;
    this.#hooks = hooks;
    this.#port = { path: line.path, state: 'closed', error: undefined, opens: 0, requests: 0 };
    this.#slaves = slaves.map(({ config, driver }) => ({
      config,
      driver,
      state: {
        did: config.did,
        unitId: config.unitId,
        state: 'new',
        about: undefined,
        error: undefined,
        polls: 0,
        values: 0,
        skipped: 0,
        errors: {},
        busMs: 0,
        lastValueAt: undefined,
      },
      dueAt: 0,
      job: undefined,
      read: undefined,
      retries: 0,
      costMs: 0,
      failures: 0,
      silent: 0,
      submitting: undefined,
      reported: new Map(),
      troubled: false,
      introduced: undefined,
    }));
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#ring?.();
    await this.#master?.close();
    await this.#running;
    const submitting = this.#slaves.flatMap(({ submitting }) => submitting ?? []);
    if (submitting.length === 0) return;
    const patience = new AbortController();
    await Promise.race([Promise.all(submitting), wait(STOP_MS, patience.signal)]);
    patience.abort();
  }

  state(): SerialPortState {
    return {
      ...this.#port,
      devices: this.#slaves.map(({ state, driver }) => ({
        ...state,
        about: driver.about(),
        errors: { ...state.errors },
      })),
    };
  }

  // --- the port ------------------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    let pause = REOPEN_FIRST_MS;
    while (!this.#stopping) {
      const master = new RtuMaster(this.#line, () => this.#ring?.());
      this.#master = master;
      try {
        await master.open();
        this.#opened();
        pause = REOPEN_FIRST_MS;
        while (!this.#stopping && master.lost === undefined) await this.#turn(master);
        if (master.lost !== undefined) throw master.lost;
      } catch (error) {
        if (!this.#stopping) this.#away(error);
      } finally {
        await master.close();
      }
      if (!this.#stopping) await this.#sleep(pause);
      pause = Math.min(2 * pause, REOPEN_MOST_MS);
    }
    this.#port.state = 'closed';
  }

  #opened(): void {
    if (this.#port.state === 'away') this.#hooks.report(`${this.#line.path}: the port is back`, 'info');
    this.#port.state = 'open';
    this.#port.error = undefined;
    this.#port.opens++;
    const now = performance.now();
    for (const slave of this.#slaves) {
      slave.job = undefined;
      slave.dueAt = now;
      slave.failures = 0;
      slave.silent = 0;
      slave.driver.reset();
    }
  }

  #away(error: unknown): void {
    const line = errorLine(error);
    if (line !== this.#port.error) this.#hooks.report(line, 'warn');
    this.#port.state = 'away';
    this.#port.error = line;
  }

  // --- whose turn it is ----------------------------------------------------------------------------------------------

  /** One read, or a sleep until there is one to do. */
  async #turn(master: RtuMaster): Promise<void> {
    const now = performance.now();
    for (const slave of this.#slaves) {
      if (slave.submitting === undefined || slave.dueAt > now) continue;
      slave.state.skipped++;
      this.#reschedule(slave);
    }

    const free = this.#slaves.filter((s) => s.submitting === undefined);
    const well = this.#slaves.filter((s) => s.silent === 0);
    const due = free.filter((s) => s.dueAt <= now);
    const starved = due.filter((s) => now - s.dueAt > BACK_OFF_MOST * this.#timeoutMs);
    const known = due.filter((s) => s.silent === 0 && s.driver.discovered());
    const strange = due.filter((s) => s.silent === 0 && !s.driver.discovered());

    const next = earliest(starved) ?? earliest(known) ?? earliest(strange);
    if (next !== undefined && next.silent === 0) return this.#step(master, next, this.#timeoutMs);

    // A slave that was silent may cost a whole timeout. It gets the time until the next poll of one that is well,
    // and where that is short, the moment at which it is longest, which is right after such a poll.
    const silent = next ?? earliest(due);
    const slack = Math.min(...well.map((s) => s.dueAt)) - now;
    if (silent !== undefined && (slack >= this.#timeoutMs || this.#freshlyPolled || silent === next))
      return this.#step(master, silent, Math.min(Math.max(slack, this.#timeoutMs / 4), this.#timeoutMs));

    this.#freshlyPolled = false;
    const wakeAt = this.#slaves.filter((s) => s !== silent && s.dueAt > now).map((s) => s.dueAt);
    if (master.lost === undefined) await this.#sleep(Math.min(...wakeAt, now + 60_000) - now);
  }

  async #step(master: RtuMaster, slave: Slave, timeoutMs: number): Promise<void> {
    const begun = performance.now();
    if (slave.job === undefined) {
      slave.state.polls++;
      slave.retries = 0;
      slave.costMs = 0;
      slave.job = slave.driver.poll();
      this.#advance(slave, (job) => job.next());
    }
    const { job, read } = slave;
    if (job === undefined || read === undefined) return;
    this.#port.requests++;
    const answer = await master.read(slave.config.unitId, read.address, read.count, timeoutMs).catch(asFault);
    const took = performance.now() - begun;
    slave.costMs += took;
    slave.state.busMs += took;
    this.#freshlyPolled = slave.silent === 0;

    if (answer instanceof SerialFault) {
      if (answer.kind !== 'no-answer') slave.silent = 0;
      if (answer.kind === 'away') {
        // Not the slave's doing. The run loop tells of it.
        slave.job = undefined;
        return;
      }
      if (answer.kind === 'corrupt' && slave.retries++ < RETRIES) {
        this.#count(slave, 'corrupt');
        return;
      }
      this.#advance(slave, (job) => job.throw(answer));
    } else {
      slave.retries = 0;
      slave.silent = 0;
      this.#advance(slave, (job) => job.next(answer));
    }
  }

  /** Let the job run to its next read, its value or its fault. */
  #advance(slave: Slave, run: (job: Job) => IteratorResult<Read, SenmlRecord[]>): void {
    try {
      const result = run(slave.job as Job);
      if (!result.done) {
        slave.read = result.value;
        return;
      }
      slave.job = undefined;
      this.#value(slave, result.value);
    } catch (error) {
      slave.job = undefined;
      this.#fault(slave, asFault(error));
    }
  }

  // --- what came of it -----------------------------------------------------------------------------------------------

  #value(slave: Slave, records: SenmlRecord[]): void {
    const { config, state, driver } = slave;
    slave.failures = 0;
    const about = driver.about();
    if (about !== undefined && about !== slave.introduced) {
      slave.introduced = about;
      this.#hooks.report(`unit ${config.unitId} on ${this.#line.path}: ${about}`, 'info');
    }
    if (slave.troubled) {
      slave.troubled = false;
      this.#hooks.report(`unit ${config.unitId} on ${this.#line.path}: gives values again`, 'info');
    }
    state.state = 'ok';
    state.error = undefined;
    this.#reschedule(slave);
    const submit = async () => {
      try {
        await this.#hooks.submit(config.did, records);
        state.values++;
        state.lastValueAt = Date.now();
      } catch (error) {
        this.#count(slave, 'submit');
        this.#warn(slave, `${config.did}: the reading was not accepted: ${errorLine(error)}`);
      }
    };
    slave.submitting = submit().then(() => {
      slave.submitting = undefined;
      this.#ring?.();
    });
  }

  #fault(slave: Slave, fault: SerialFault): void {
    const { state, driver, config } = slave;
    this.#count(slave, fault.kind);
    const { line } = new SerialFault(fault.kind, `unit ${config.unitId} on ${this.#line.path}: ${fault.detail}`);
    state.state = 'failing';
    state.error = line;
    this.#warn(slave, line);

    slave.failures++;
    slave.silent = fault.kind === 'no-answer' ? slave.silent + 1 : 0;
    // One lost answer is no reason to discover again, a second one is; so are registers that are gone.
    if (slave.silent > 1 || fault.exception === 2 || fault.exception === 3) driver.reset();
    // A slave that has the bus for itself takes nothing from anyone.
    const pause = this.#slaves.length > 1 ? Math.min(2 ** slave.failures, BACK_OFF_MOST) * slave.costMs : 0;
    // After a silence at least two timeouts, so that a late answer cannot fall into the next request.
    this.#reschedule(slave, slave.silent > 0 ? Math.max(pause, 2 * this.#timeoutMs) : pause);
  }

  /** To the next time of its schedule that is not past. A late poll is left out, never made up for. */
  #reschedule(slave: Slave, pauseMs = 0): void {
    const every = slave.config.everySeconds * 1000;
    const now = performance.now();
    const missed = Math.max(0, Math.ceil((now - slave.dueAt) / every) - 1);
    slave.state.skipped += missed;
    slave.dueAt += (1 + missed) * every;
    if (slave.dueAt < now + pauseMs) slave.dueAt += Math.ceil((now + pauseMs - slave.dueAt) / every) * every;
  }

  #count(slave: Slave, kind: FaultKind | 'submit'): void {
    slave.state.errors[kind] = (slave.state.errors[kind] ?? 0) + 1;
  }

  #warn(slave: Slave, line: string): void {
    const now = performance.now();
    const last = slave.reported.get(line);
    if (last !== undefined && now - last < QUIET_MS) return;
    if (slave.reported.size > 50) slave.reported.clear();
    slave.reported.set(line, now);
    slave.troubled = true;
    this.#hooks.report(line, 'warn');
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#stopping) return;
    const rung = new AbortController();
    this.#ring = () => rung.abort();
    await wait(ms, rung.signal);
    this.#ring = undefined;
  }
}

const earliest = (slaves: Slave[]): Slave | undefined =>
  slaves.reduce<Slave | undefined>((a, b) => (a === undefined || b.dueAt < a.dueAt ? b : a), undefined);

/** What is not a fault is a mistake in a driver; it must not stop the bus. */
const asFault = (error: unknown): SerialFault =>
  error instanceof SerialFault ? error : new SerialFault('no-value', `the driver failed: ${errorLine(error)}`);

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
