/** What is known and told of one device on a line: counts, the last error, and lines that do not repeat themselves. */
import type { Driver, Reading } from '../../drivers/driver.ts';
import { type FaultKind, SerialFault } from '../../drivers/fault.ts';
import { EdgeError, errorLine } from '../../errors.ts';

/** A reading with the time that it will be signed with, Unix ms. */
export type Timed = Reading & { atMs: number };

export type SerialHooks = {
  /** Resolves when the reading is durable; the next poll of this device waits for it. */
  submit(did: string, reading: Timed): Promise<void>;
  report(line: string, level: 'info' | 'warn'): void;
};

export type SerialDeviceConfig = {
  did: string;
  /** How it is called in lines: "unit 3", "address 17". */
  label: string;
  driver: Driver;
  /** The driver's name, for counts. */
  driverName: string;
  /** Polled: from one poll to the next. Heard: at most one reading is handed on in this time, the newest. */
  everySeconds: number;
  priority?: 'high' | 'normal' | 'low';
  /** Longest that a poll may take. Default: everySeconds, at least 60. */
  deadlineSeconds?: number;
};

export type SerialDeviceState = {
  did: string;
  label: string;
  driver: string;
  /** new: nothing came of it yet; ok: the last poll was well; failing: it was not, see error. */
  state: 'new' | 'ok' | 'failing';
  about: string | undefined;
  error: string | undefined;
  /** Polls begun, and readings submitted. */
  polls: number;
  values: number;
  /** Polls left out because the one before, or the bus, was late. Of what was heard: readings replaced by newer ones. */
  skipped: number;
  /** Damaged exchanges, and for each poll that gave nothing why. */
  errors: Partial<Record<FaultKind | 'submit', number>>;
  /** Time that this device has had the bus, and of that for polls that gave nothing, ms. */
  busMs: number;
  wastedMs: number;
  /** The most that a poll began after its time since start, ms. */
  latestMs: number;
  /** Unix ms of the last value. */
  lastValueAt: number | undefined;
};

/** The same line about the same device is not written again within this time. */
const QUIET_MS = 60_000;

export class Account {
  readonly state: SerialDeviceState;
  /** While readings are being made durable. */
  submitting: Promise<void> | undefined;
  readonly #config: SerialDeviceConfig;
  readonly #where: string;
  readonly #hooks: SerialHooks;
  readonly #reported = new Map<string, number>();
  /** A fault was reported, and its end was not. */
  #troubled = false;
  #introduced: string | undefined;

  constructor(config: SerialDeviceConfig, portName: string, hooks: SerialHooks) {
    this.#config = config;
    this.#where = `${config.label} on ${portName}`;
    this.#hooks = hooks;
    this.state = {
      did: config.did,
      label: config.label,
      driver: config.driverName,
      state: 'new',
      about: undefined,
      error: undefined,
      polls: 0,
      values: 0,
      skipped: 0,
      errors: {},
      busMs: 0,
      wastedMs: 0,
      latestMs: 0,
      lastValueAt: undefined,
    };
  }

  snapshot(): SerialDeviceState {
    return { ...this.state, about: this.#config.driver.about(), errors: { ...this.state.errors } };
  }

  /** @param then called once all are durable, or one was not accepted: those after it are not handed on */
  well(readings: readonly Timed[], then: () => void): void {
    const { driver, did } = this.#config;
    const about = driver.about();
    if (about !== undefined && about !== this.#introduced) {
      this.#introduced = about;
      this.#hooks.report(`${this.#where}: ${about}`, 'info');
    }
    if (this.#troubled) {
      this.#troubled = false;
      this.#hooks.report(`${this.#where}: gives values again`, 'info');
    }
    this.state.state = 'ok';
    this.state.error = undefined;
    if (readings.length === 0) return;
    const submit = async () => {
      try {
        for (const reading of readings) {
          await this.#hooks.submit(did, reading);
          this.state.values++;
          this.state.lastValueAt = Date.now();
        }
      } catch (error) {
        this.count('submit');
        this.#warn(`${did}: the reading was not accepted: ${errorLine(error)}`);
      }
    };
    this.submitting = submit().then(() => {
      this.submitting = undefined;
      then();
    });
  }

  failing(fault: SerialFault): void {
    const { line } = new SerialFault(fault.kind, `${this.#where}: ${fault.detail}`);
    this.state.state = 'failing';
    this.state.error = line;
    this.#warn(line);
  }

  count(kind: FaultKind | 'submit'): void {
    this.state.errors[kind] = (this.state.errors[kind] ?? 0) + 1;
  }

  #warn(line: string): void {
    const now = performance.now();
    const last = this.#reported.get(line);
    if (last !== undefined && now - last < QUIET_MS) return;
    if (this.#reported.size > 50) this.#reported.clear();
    this.#reported.set(line, now);
    this.#troubled = true;
    this.#hooks.report(line, 'warn');
  }
}

/** What is not a fault is a mistake in a driver; it must not stop the bus. */
export function asFault(error: unknown): SerialFault {
  if (error instanceof SerialFault) return error;
  return new SerialFault(
    'no-value',
    error instanceof EdgeError ? error.line : `the driver failed: ${errorLine(error)}`,
  );
}
