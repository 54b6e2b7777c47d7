/** A device that is asked: when it is due, its job under way, and what a failure costs it. Does no input or output. */
import type { Exchange, Job, PolledDriver, Reading } from '../../drivers/driver.ts';
import { SerialFault } from '../../drivers/fault.ts';
import { Account, asFault, type SerialDeviceConfig, type SerialHooks } from './account.ts';

/** A device that gives nothing has one part in this many of the bus's time, 5 %: it waits until it can pay a try. */
const SHARE = 20;
/** So many timeouts it may use up quickly, at first and after each value: one lost answer is no death. */
const ALLOWED_TIMEOUTS = 2;

/** A discovery, or a load profile on a slow line, takes its time. */
const LEAST_DEADLINE_MS = 60_000;
/** After the deadline a job may still end a session in order, for so long. */
const PARTING_MS = 2000;

/** Whoever waits longer than so many timeouts is not passed over for a higher priority, for one exchange. */
const STARVED_TIMEOUTS = 10;

/** Silent this often, a device is given its full timeout again, whatever is due: it may be slow, and not dead. */
const PATIENT_EACH = 4;

const RANK = { high: 0, normal: 1, low: 2 };
/** Discovery is long, and what is known already is read first. */
const STRANGE_RANK = 3;

export class Polled {
  readonly account: Account;
  readonly driver: PolledDriver;
  /** Times are of performance.now(). */
  dueAt = 0;
  /** Polls in a row that ended without any answer. */
  silent = 0;
  /** What is to be sent next. */
  exchange: Exchange | undefined;
  /** Not to be sent before. */
  notBefore = 0;
  /** Since when it waits for the bus. */
  #waitingSince = 0;
  #job: Job | undefined;
  #begunAt = 0;
  #late: SerialFault | undefined;
  /** Bus time that this job has had. */
  #costMs = 0;
  /** Unix ms of the last byte of the last answer. */
  #heardAtMs = 0;
  #counted: SerialFault | undefined;
  /** Bus time that was wasted and is not waited for yet; below zero what may be wasted. As of `#debtAt`. */
  #debtMs: number;
  #debtAt = 0;
  /** Polls in a row that gave nothing while others were well. */
  #failures = 0;
  readonly #everyMs: number;
  readonly #deadlineMs: number;
  readonly #timeoutMs: number;
  readonly #rank: number;

  constructor(
    config: SerialDeviceConfig,
    driver: PolledDriver,
    portName: string,
    timeoutMs: number,
    hooks: SerialHooks,
  ) {
    this.account = new Account(config, portName, hooks);
    this.driver = driver;
    this.#everyMs = config.everySeconds * 1000;
    this.#deadlineMs =
      config.deadlineSeconds === undefined ? Math.max(this.#everyMs, LEAST_DEADLINE_MS) : config.deadlineSeconds * 1000;
    this.#timeoutMs = timeoutMs;
    this.#rank = RANK[config.priority ?? 'normal'];
    this.#debtMs = -ALLOWED_TIMEOUTS * timeoutMs;
  }

  get underWay(): boolean {
    return this.#job !== undefined;
  }

  /** The port is open anew: poll now, and take nothing for known. */
  opened(now: number): void {
    this.drop();
    this.dueAt = now;
    this.#waitingSince = now;
    this.silent = 0;
    this.#debtMs = -ALLOWED_TIMEOUTS * this.#timeoutMs;
    this.driver.reset();
  }

  /** Not the device's doing: no fault. */
  drop(): void {
    this.#job = undefined;
    this.exchange = undefined;
    this.notBefore = 0;
  }

  /** Lower goes first; among equals who is due longer. */
  rank(now: number): number {
    if (this.starved(now)) return -1;
    return this.#rank + (this.driver.discovered() ? 0 : STRANGE_RANK);
  }

  starved(now: number): boolean {
    return now - this.#waitingSince > STARVED_TIMEOUTS * this.#timeoutMs;
  }

  patient(): boolean {
    return this.silent % PATIENT_EACH === 0;
  }

  /** Have the next exchange ready. @returns false where there is none: the job ended without */
  begin(now: number): boolean {
    if (this.#job === undefined) {
      const { state } = this.account;
      state.polls++;
      state.latestMs = Math.max(state.latestMs, now - this.dueAt);
      this.#costMs = 0;
      this.#begunAt = now;
      this.#late = undefined;
      this.#counted = undefined;
      this.#heardAtMs = Date.now();
      const turn = { startedAtMs: Date.now(), heardAtMs: () => this.#heardAtMs };
      this.#advance(() => {
        this.#job = this.driver.poll(turn);
        return this.#job.next();
      });
    } else if (this.#late === undefined && now - this.#begunAt > this.#deadlineMs) {
      this.#late = new SerialFault('late', `the poll was not done within ${this.#deadlineMs / 1000} s`);
      const late = this.#late;
      this.#advance((job) => job.throw(late));
    } else if (this.#late !== undefined && now - this.#begunAt > this.#deadlineMs + PARTING_MS) {
      this.#end(this.#late);
    }
    return this.exchange !== undefined;
  }

  /** @param answer of the exchange, or why there is none */
  answered(answer: { is: unknown } | SerialFault, tookMs: number, heardAtMs: number): void {
    this.#costMs += tookMs;
    this.account.state.busMs += tookMs;
    this.#waitingSince = performance.now();
    if (answer instanceof SerialFault) {
      if (answer.kind !== 'no-answer') this.silent = 0;
      if (answer.kind === 'corrupt') {
        this.account.count('corrupt');
        this.#counted = answer;
      }
      this.#advance((job) => job.throw(answer));
      return;
    }
    this.silent = 0;
    this.#heardAtMs = heardAtMs;
    this.#advance((job) => job.next(answer.is));
  }

  /** The readings before are not durable yet: this poll is left out. */
  skip(): void {
    this.account.state.skipped++;
    this.#reschedule();
  }

  /** Set by the bus: called when readings are durable; and whether another device, which is well, wants the bus. */
  onDone: () => void = () => {};
  shares: () => boolean = () => true;

  get failing(): boolean {
    return this.account.state.state === 'failing';
  }

  /** Nobody is well who would lose by it: it goes on with its schedule, and owes nothing. */
  hasten(now: number): void {
    this.#debtMs = Math.min(this.#debtMs, 0);
    this.#failures = 0;
    const early = Math.floor((this.dueAt - now - 2 * this.#timeoutMs) / this.#everyMs);
    if (early <= 0) return;
    this.dueAt -= early * this.#everyMs;
    this.#waitingSince = this.dueAt;
  }

  /** Let the job run to its next exchange, its readings or its fault. */
  #advance(run: (job: Job) => IteratorResult<Exchange, Reading[]>): void {
    this.exchange = undefined;
    this.notBefore = 0;
    try {
      const result = run(this.#job as Job);
      if (!result.done) {
        this.exchange = result.value;
        this.notBefore = performance.now() + (result.value.afterMs ?? 0);
        return;
      }
      this.#job = undefined;
      this.#debtMs = -ALLOWED_TIMEOUTS * this.#timeoutMs;
      this.#debtAt = performance.now();
      this.#failures = 0;
      this.#reschedule();
      this.account.well(
        result.value.map((reading) => ({ ...reading, atMs: reading.atMs ?? this.#heardAtMs })),
        () => this.onDone(),
      );
    } catch (error) {
      this.#end(asFault(error));
    }
  }

  #end(fault: SerialFault): void {
    this.drop();
    const { account } = this;
    if (fault !== this.#counted) account.count(fault.kind);
    account.failing(fault);
    account.state.wastedMs += this.#costMs;
    this.silent = fault.kind === 'no-answer' ? this.silent + 1 : 0;
    // One lost answer is no reason to discover again, a second one is; so are registers that are gone.
    if (this.silent > 1 || fault.exception === 2 || fault.exception === 3) this.driver.reset();
    // Where no other one is well, nothing is taken from anyone.
    const pause = this.shares() ? this.#pauseMs(fault) : 0;
    // After a silence at least two timeouts, so that a late answer cannot fall into the next request.
    this.#reschedule(this.silent > 0 ? Math.max(pause, 2 * this.#timeoutMs) : pause);
  }

  #pauseMs({ kind }: SerialFault): number {
    this.#failures++;
    // It is there, and the line damages what it says, or it has nothing now: with time it is asked less.
    if (kind !== 'no-answer' && kind !== 'late') return Math.min(2 ** this.#failures, SHARE) * this.#costMs;
    const now = performance.now();
    this.#debtMs =
      Math.max(this.#debtMs - (now - this.#debtAt) / SHARE, -ALLOWED_TIMEOUTS * this.#timeoutMs) + this.#costMs;
    this.#debtAt = now;
    // Once is no death, however long the try took; if it is one, the next pause is for both.
    if (this.#failures === 1) return this.#costMs;
    // The next try will cost what this one did.
    return Math.max(0, this.#debtMs + this.#costMs) * SHARE;
  }

  /** To the next time of its schedule that is not past. A late poll is left out, never made up for. */
  #reschedule(pauseMs = 0): void {
    const every = this.#everyMs;
    const now = performance.now();
    const missed = Math.max(0, Math.ceil((now - this.dueAt) / every) - 1);
    this.account.state.skipped += missed;
    this.dueAt += (1 + missed) * every;
    if (this.dueAt < now + pauseMs) this.dueAt += Math.ceil((now + pauseMs - this.dueAt) / every) * every;
    this.#waitingSince = this.dueAt;
  }
}
