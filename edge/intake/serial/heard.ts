/** A device that speaks by itself: of all that it says, the newest reading in each interval is handed on. */
import type { HeardDriver } from '../../drivers/driver.ts';
import { SerialFault } from '../../drivers/fault.ts';
import { Account, asFault, type SerialDeviceConfig, type SerialHooks, type Timed } from './account.ts';

/** So many intervals, and at least so many timeouts of the port, without anything good are long. */
const SILENT_INTERVALS = 3;
const SILENT_TIMEOUTS = 30;

/** A device that says something each 10 s says it each 9.99 s, too. */
const EARLY = 0.1;

export class Heard {
  readonly account: Account;
  readonly #driver: HeardDriver;
  readonly #everyMs: number;
  readonly #silentMs: number;
  #newest: Timed | undefined;
  /** performance.now() from when on the next may be handed on. */
  #nextAt = 0;
  #due: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  /** The last that went wrong since the last good reading. */
  #fault: SerialFault | undefined;

  constructor(
    config: SerialDeviceConfig,
    driver: HeardDriver,
    portName: string,
    timeoutMs: number,
    hooks: SerialHooks,
  ) {
    this.account = new Account(config, portName, hooks);
    this.#driver = driver;
    this.#everyMs = config.everySeconds * 1000;
    this.#silentMs = Math.max(SILENT_INTERVALS * this.#everyMs, SILENT_TIMEOUTS * timeoutMs);
  }

  /** The port is open: there may be another device now. */
  opened(): void {
    this.#driver.reset();
    this.#fault = undefined;
    this.#watch();
  }

  /** The port is gone. What was heard before is handed on in its time. */
  closed(): void {
    clearTimeout(this.#silence);
  }

  stop(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#due);
    this.#newest = undefined;
  }

  hear(chunk: Uint8Array, atMs: number): void {
    let good: Timed | undefined;
    try {
      for (const said of this.#driver.hear(chunk, atMs)) {
        if (said instanceof SerialFault) this.#wrong(said);
        else {
          if (good !== undefined) this.account.state.skipped++;
          good = { ...said, atMs: said.atMs ?? atMs };
          this.account.state.polls++;
        }
      }
    } catch (error) {
      this.#wrong(asFault(error));
    }
    if (good === undefined) return;
    this.#fault = undefined;
    this.#watch();
    if (this.#newest !== undefined) this.account.state.skipped++;
    this.#newest = good;
    this.#handOn();
  }

  #handOn(): void {
    if (this.#newest === undefined || this.account.submitting !== undefined) return;
    const now = performance.now();
    const wait = this.#nextAt - EARLY * this.#everyMs - now;
    clearTimeout(this.#due);
    if (wait > 0) {
      // To the end of the interval: until then a newer one may come.
      this.#due = setTimeout(() => this.#handOn(), Math.max(1, this.#nextAt - now));
      return;
    }
    const reading = this.#newest;
    this.#newest = undefined;
    this.#nextAt = Math.max(this.#nextAt + this.#everyMs, now + (1 - EARLY) * this.#everyMs);
    this.account.well([reading], () => this.#handOn());
  }

  #wrong(fault: SerialFault): void {
    this.account.count(fault.kind);
    this.#fault = fault;
    // One damaged telegram is no trouble: the next one comes by itself. Of a device that never said anything good,
    // and of one that says that it has nothing, it is told at once.
    if (this.account.state.state === 'new' || fault.kind !== 'corrupt') this.account.failing(fault);
  }

  #watch(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      const seconds = Math.round(this.#silentMs / 1000);
      const fault =
        this.#fault === undefined
          ? new SerialFault('no-answer', `nothing heard for ${seconds} s`)
          : new SerialFault(this.#fault.kind, `nothing good heard for ${seconds} s; the last: ${this.#fault.detail}`);
      this.account.count(fault.kind);
      this.account.failing(fault);
      this.#watch();
    }, this.#silentMs);
  }
}
