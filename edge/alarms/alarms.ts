/**
 * Alarms. What is open is held in memory; each change goes to the store by itself, beside the log and after it, and is
 * told when it is on disk. One alarm for one code and place: what goes on or comes again while it is open counts it up.
 *
 *   source      raised when                                     over when
 *   health      a part of the gateway is not well, twice        the part is well
 *   said        a warning with a code is said                   it was not said again for an hour, or a person says so
 *   device      a device is silent                              its next entry, or it may not speak any more
 *   quarantine  an envelope is refused that speaks of a clone   none of it lies there any more, or a person says so
 */
import { EdgeError, type ErrorCode, errorLine } from '../errors.ts';
import { type AlarmRow, type AlarmRows, type AlarmSource, dropAlarms, saveAlarm } from '../store/alarms.ts';
import type { SqlStatement } from '../store/store.ts';

/** So many rows are kept, and those that are open. */
const KEPT = 10_000;
/** Those beyond it go when there are so many. */
const DROPPED_AT_ONCE = 100;
/** Rows in one transaction: intake is never held up by more. */
const MOST_AT_ONCE = 200;
/** How often the count of one that goes on is written. */
const COUNT_MS = 60_000;
const MAX_DETAIL = 500;
const MAX_PLACE = 300;
/** Warnings open at once: there are not so many codes, but places. */
const MAX_SAID = 200;
/** These end by themselves, and are raised again at the next look. */
const LASTING: readonly AlarmSource[] = ['health', 'device'];

export type Raised = Pick<AlarmRow, 'source' | 'part' | 'place' | 'detail' | 'severity'> & { code: ErrorCode };

export type AlarmsOptions = {
  rows: AlarmRows;
  write: (statements: readonly SqlStatement[]) => Promise<void>;
  nowMs: () => number;
  /** Alarms about devices and their envelopes that are open at once. */
  maxOpen: number;
  onFull: () => void;
  /** Something is on disk that was not told yet. */
  onTold: () => void;
  report: (line: string) => void;
};

const keyOf = ({ code, place }: Pick<AlarmRow, 'code' | 'place'>): string => `${code} ${place}`;

export class Alarms {
  readonly #o: AlarmsOptions;
  readonly #open = new Map<string, AlarmRow>();
  /** What is not on disk yet, by id. */
  readonly #dirty = new Map<number, AlarmRow>();
  /** When the count of an alarm went to disk last, by id. */
  readonly #counted = new Map<number, number>();
  readonly #openBy = { health: 0, said: 0, device: 0, quarantine: 0 };
  #nextId = 1;
  #nextChange = 1;
  #dropped = 0;
  #writing: Promise<void> | undefined;
  #problem: string | undefined;

  constructor(options: AlarmsOptions) {
    this.#o = options;
  }

  start(): void {
    const { id, change } = this.#o.rows.newest();
    this.#nextId = id + 1;
    this.#nextChange = change + 1;
    this.#dropped = Math.max(0, id - KEPT);
    for (const row of this.#o.rows.open()) {
      this.#open.set(keyOf(row), row);
      this.#openBy[row.source]++;
    }
  }

  async stop(): Promise<void> {
    await this.#writing;
    await this.flush();
  }

  get rows(): AlarmRows {
    return this.#o.rows;
  }

  get nowMs(): number {
    return this.#o.nowMs();
  }

  get open(): number {
    return this.#open.size;
  }

  count(severity: AlarmRow['severity']): number {
    let n = 0;
    for (const row of this.#open.values()) if (row.severity === severity) n++;
    return n;
  }

  of(source: AlarmSource): AlarmRow[] {
    return [...this.#open.values()].filter((row) => row.source === source);
  }

  get(code: ErrorCode, place: string): AlarmRow | undefined {
    return this.#open.get(keyOf({ code, place }));
  }

  get hasRoom(): boolean {
    return this.#openBy.device + this.#openBy.quarantine < this.#o.maxOpen;
  }

  /** @param times how often it came. What is open already goes on. False where there is no room for one more. */
  raise(raised: Raised, times = 1): boolean {
    const nowMs = this.#o.nowMs();
    const place = raised.place.slice(0, MAX_PLACE);
    const detail = raised.detail.slice(0, MAX_DETAIL);
    const open = this.#open.get(keyOf({ ...raised, place }));
    if (open) {
      Object.assign(open, { detail, lastMs: nowMs });
      // Of one that lasts each look would count.
      if (!LASTING.includes(open.source)) open.times += times;
      if (nowMs - (this.#counted.get(open.id) ?? open.raisedMs) >= COUNT_MS) this.#keep(open, nowMs);
      return true;
    }
    const { source } = raised;
    if (source === 'said' ? this.#openBy.said >= MAX_SAID : source !== 'health' && !this.hasRoom) {
      this.#o.onFull();
      return false;
    }
    const row: AlarmRow = {
      ...{ ...raised, place, detail, times, raisedMs: nowMs, lastMs: nowMs, clearedMs: null },
      id: this.#nextId++,
      change: this.#nextChange++,
    };
    this.#open.set(keyOf(row), row);
    this.#openBy[source]++;
    this.#keep(row, nowMs);
    return true;
  }

  clear(row: AlarmRow): void {
    if (!this.#forgetRow(row)) return;
    const nowMs = this.#o.nowMs();
    Object.assign(row, { clearedMs: Math.max(nowMs, row.raisedMs), change: this.#nextChange++ });
    this.#keep(row, nowMs);
  }

  /**
   * A person says that it is over. It is, once `commit` has it on disk.
   * @throws EdgeError NOT_FOUND, ALARM_STATE, STORE_UNAVAILABLE
   */
  async clearBy(id: number, commit: (row: AlarmRow) => Promise<void>): Promise<AlarmRow> {
    const row = [...this.#open.values()].find((open) => open.id === id);
    if (!row) {
      const over = this.#o.rows.get(id);
      throw over
        ? new EdgeError('ALARM_STATE', `alarm ${id} is over since ${new Date(over.clearedMs ?? 0).toISOString()}`)
        : new EdgeError('NOT_FOUND', `no alarm ${id}`);
    }
    if (LASTING.includes(row.source))
      throw new EdgeError('ALARM_STATE', `alarm ${id} ends when ${row.place} is well again`);
    await commit(row);
    this.clear(row);
    await this.flush();
    return { ...row };
  }

  /** Nothing more is written of these. */
  forget(names: readonly string[]): void {
    for (const row of [...this.#open.values(), ...this.#dirty.values()])
      if (names.some((name) => row.place === name || row.detail.includes(name))) {
        this.#forgetRow(row);
        this.#dirty.delete(row.id);
      }
  }

  /** Writes what is not on disk; what fails is tried again at the next call. Never throws. */
  flush(): Promise<void> {
    this.#writing ??= this.#flush().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #flush(): Promise<void> {
    while (this.#dirty.size > 0) {
      // By their changes, so that whoever has read up to one has missed none.
      const rows = [...this.#dirty.values()].sort((a, b) => a.change - b.change).slice(0, MOST_AT_ONCE);
      for (const { id } of rows) this.#dirty.delete(id);
      const old = this.#nextId - 1 - KEPT;
      const drops = this.#dirty.size === 0 && old - this.#dropped >= DROPPED_AT_ONCE;
      try {
        await this.#o.write([...rows.map(saveAlarm), ...(drops ? [dropAlarms(old)] : [])]);
        if (drops) this.#dropped = old;
        this.#problem = undefined;
        this.#o.onTold();
      } catch (error) {
        for (const row of rows) if (!this.#dirty.has(row.id)) this.#dirty.set(row.id, row);
        const line = errorLine(error);
        if (line !== this.#problem) this.#o.report(`alarms: ${line}`);
        this.#problem = line;
        return;
      }
    }
  }

  #forgetRow(row: AlarmRow): boolean {
    const key = keyOf(row);
    if (this.#open.get(key) !== row) return false;
    this.#open.delete(key);
    this.#openBy[row.source]--;
    this.#counted.delete(row.id);
    return true;
  }

  #keep(row: AlarmRow, nowMs: number): void {
    this.#dirty.set(row.id, row);
    if (row.clearedMs === null) this.#counted.set(row.id, nowMs);
  }
}
