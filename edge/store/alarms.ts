/** Alarms: what needed a person, when it began and when it was over. Few rows, written beside the log. */
import type { SqlStatement, Store } from './store.ts';

/** Who raised it, and so who says that it is over: alarms/alarms.ts. */
export type AlarmSource = 'health' | 'said' | 'device' | 'quarantine';

export type AlarmRow = {
  id: number;
  source: AlarmSource;
  code: string;
  /** Part of the gateway. */
  part: string;
  /** A DID, or what in that part. */
  place: string;
  detail: string;
  severity: 'warning' | 'alarm';
  raisedMs: number;
  lastMs: number;
  times: number;
  clearedMs: number | null;
  /** Rises with each raising and clearing, of whichever alarm: the order in which they are told. */
  change: number;
};

const COLUMNS = `id, source, code, part, place, detail, severity, raised_ms AS raisedMs, last_ms AS lastMs, times,
  cleared_ms AS clearedMs, change`;

export const saveAlarm = (a: AlarmRow): SqlStatement => ({
  sql: `INSERT INTO alarms (id, source, code, part, place, detail, severity, raised_ms, last_ms, times, cleared_ms, change)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET detail = excluded.detail,
    last_ms = excluded.last_ms, times = excluded.times, cleared_ms = excluded.cleared_ms, change = excluded.change`,
  params: [
    ...[a.id, a.source, a.code, a.part, a.place, a.detail, a.severity],
    ...[a.raisedMs, a.lastMs, a.times, a.clearedMs, a.change],
  ],
});

/** Those that are over, up to that id. */
export const dropAlarms = (upTo: number): SqlStatement => ({
  sql: 'DELETE FROM alarms WHERE id <= ? AND cleared_ms IS NOT NULL',
  params: [upTo],
});

const SPEAKS = `EXISTS (SELECT 1 FROM json_each(?) AS name WHERE name.value = place OR instr(detail, name.value) > 0)`;

/** Alarms about any of these (a JSON array), and how they go: overwritten in place first. */
export const alarmTraces = (store: Store) => ({
  known: (names: string): number =>
    store.get<{ n: number }>(`SELECT count(*) AS n FROM alarms WHERE ${SPEAKS}`, names)?.n ?? 0,
  destroy: (names: string): SqlStatement[] => [
    {
      sql: `UPDATE alarms SET place = substr(hex(zeroblob(length(place))), 1, length(place)),
        detail = substr(hex(zeroblob(length(detail))), 1, length(detail)), source = 'forgotten' WHERE ${SPEAKS}`,
      params: [names],
    },
    { sql: "DELETE FROM alarms WHERE source = 'forgotten'", params: [] },
  ],
});

export class AlarmRows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get(id: number): AlarmRow | undefined {
    return this.#store.get<AlarmRow>(`SELECT ${COLUMNS} FROM alarms WHERE id = ?`, id);
  }

  open(): AlarmRow[] {
    return this.#store.all<AlarmRow>(`SELECT ${COLUMNS} FROM alarms WHERE cleared_ms IS NULL ORDER BY id`);
  }

  /** Newest first; `open` undefined for both. */
  list(limit: number, before: number, open: boolean | undefined): AlarmRow[] {
    const which = open === undefined ? '' : `AND cleared_ms IS ${open ? '' : 'NOT '}NULL`;
    return this.#store.all<AlarmRow>(
      `SELECT ${COLUMNS} FROM alarms WHERE id < ? ${which} ORDER BY id DESC LIMIT ?`,
      before,
      limit,
    );
  }

  /** From that change on, in the order of changes. */
  changes(from: number, limit: number): AlarmRow[] {
    return this.#store.all<AlarmRow>(
      `SELECT ${COLUMNS} FROM alarms WHERE change >= ? ORDER BY change LIMIT ?`,
      from,
      limit,
    );
  }

  /** The highest numbers that were given. */
  newest(): { id: number; change: number } {
    return (
      this.#store.get<{ id: number; change: number }>(
        'SELECT ifnull(max(id), 0) AS id, ifnull(max(change), 0) AS change FROM alarms',
      ) ?? { id: 0, change: 0 }
    );
  }
}
