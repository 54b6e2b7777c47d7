/** Who has asked to be looked after (care/grade.ts), and what was decided about them. No reading stands here. */
import type { SqlStatement, Store } from './store.ts';

/** `untilMs` null: until it is withdrawn. `consent`: who consented, when and how, in the operator's words. */
export type Consent = { device: number; sinceMs: number; untilMs: number | null; consent: string; madeBy: string };
/** `grade` is the one that whoever decided has seen. */
export type Decision = { atMs: number; by: string; grade: string; decision: 'none' | 'call' | 'visit'; note: string };

/** Decisions kept of each subject: older ones go. */
const MAX_DECISIONS = 100;

export const saveConsent = (c: Consent): SqlStatement => ({
  sql: 'INSERT INTO care (device, since_ms, until_ms, consent, made_by) VALUES (?, ?, ?, ?, ?)',
  params: [c.device, c.sinceMs, c.untilMs, c.consent, c.madeBy],
});

export const saveDecision = (device: number, d: Decision): SqlStatement[] => [
  {
    sql: 'INSERT INTO care_decisions (device, at_ms, by, grade, decision, note) VALUES (?, ?, ?, ?, ?, ?)',
    params: [device, d.atMs, d.by, d.grade, d.decision, d.note],
  },
  {
    sql: `DELETE FROM care_decisions WHERE device = ? AND id NOT IN
      (SELECT id FROM care_decisions WHERE device = ? ORDER BY id DESC LIMIT ?)`,
    params: [device, device, MAX_DECISIONS],
  },
];

const blank = (column: string): string => `${column} = substr(hex(zeroblob(length(${column}))), 1, length(${column}))`;
const OF = '(SELECT id FROM devices WHERE did = ? OR sub = ?)';

/** All about a device that it was cared for by, or about all of a metering point: overwritten in place, then gone. */
export const endCare = (subject: string): SqlStatement[] =>
  (
    [
      ['care', 'consent'],
      ['care_decisions', 'note'],
    ] as const
  ).flatMap(([table, column]) => [
    { sql: `UPDATE ${table} SET ${blank(column)} WHERE device IN ${OF}`, params: [subject, subject] },
    { sql: `DELETE FROM ${table} WHERE device IN ${OF}`, params: [subject, subject] },
  ]);

/** For whoever forgets a subject. */
export const careTraces = (store: Store) => ({
  known: (subject: string): number =>
    store.get<{ n: number }>(
      `SELECT (SELECT count(*) FROM care WHERE device IN ${OF}) +
        (SELECT count(*) FROM care_decisions WHERE device IN ${OF}) AS n`,
      ...[subject, subject, subject, subject],
    )?.n ?? 0,
  destroy: endCare,
});

export class Cares {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  list(): Consent[] {
    return this.#store.all<Consent>(
      'SELECT device, since_ms AS sinceMs, until_ms AS untilMs, consent, made_by AS madeBy FROM care ORDER BY device',
    );
  }

  get(device: number): Consent | undefined {
    return this.list().find((row) => row.device === device);
  }

  /** The newest one. */
  decision(device: number): Decision | undefined {
    return this.#store.get<Decision>(
      `SELECT at_ms AS atMs, by, grade, decision, note FROM care_decisions WHERE device = ? ORDER BY id DESC LIMIT 1`,
      device,
    );
  }
}
