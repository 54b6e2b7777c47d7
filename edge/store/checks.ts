/**
 * Checks of vehicles: one row for each decision, written in the transaction of the log entry that it has. The entry
 * holds `digest` = SHA-256(salt || content) and nothing else; salt and content lie here, so that they can be destroyed.
 *
 * The rows are also the memory that later checks are held against (counters, keys, places), and the proof that a nonce
 * was used. There are `keep` of them at most: beyond it the oldest are deleted, whose entries stay, and counters or
 * places that only they knew are known no more.
 */
import type { Commit } from './devices.ts';
import type { SqlStatement, Store } from './store.ts';

export type CheckRow = {
  /** Index of the entry in the log. */
  idx: number;
  decidedMs: number;
  /** null where no challenge of ours was answered. */
  gate: string | null;
  zone: string | null;
  purpose: string | null;
  decision: string;
  reason: string;
  digest: Uint8Array;
  /** What is null from here on was not known, or was forgotten. */
  session: string | null;
  /** The gateway's nonce (32 bytes), only where this check used it up. */
  nonce: Uint8Array | null;
  holder: string | null;
  /** From here to validUntilMs only where the credential was proven. */
  registration: string | null;
  counter: number | null;
  telemetry: string | null;
  validFromMs: number | null;
  validUntilMs: number | null;
  /** The vehicle's own fix, degrees. */
  lat: number | null;
  lon: number | null;
  salt: Uint8Array | null;
  content: Uint8Array | null;
};

const COLUMNS = `idx, decided_ms AS decidedMs, gate, zone, purpose, decision, reason, digest, session, nonce, holder,
  registration, counter, telemetry, valid_from_ms AS validFromMs, valid_until_ms AS validUntilMs, lat, lon, salt, content`;

/** @param keep rows, this one included */
export const saveCheck = (c: CheckRow, keep: number): SqlStatement[] => [
  {
    sql: `INSERT INTO checks (idx, decided_ms, gate, zone, purpose, decision, reason, digest, session, nonce, holder,
      registration, counter, telemetry, valid_from_ms, valid_until_ms, lat, lon, salt, content)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    params: [
      c.idx,
      c.decidedMs,
      c.gate,
      c.zone,
      c.purpose,
      c.decision,
      c.reason,
      c.digest,
      c.session,
      c.nonce,
      c.holder,
      c.registration,
      c.counter,
      c.telemetry,
      c.validFromMs,
      c.validUntilMs,
      c.lat,
      c.lon,
      c.salt,
      c.content,
    ],
  },
  // One goes for one that comes; a few more where the cap was lowered.
  {
    sql: `DELETE FROM checks WHERE idx IN (SELECT idx FROM checks ORDER BY idx
      LIMIT max(0, min(1000, (SELECT count(*) FROM checks) - ?)))`,
    params: [keep],
  },
];

const OF_SUBJECT = `(registration = ? OR holder = ?
  OR holder IN (SELECT holder FROM checks WHERE registration = ?))`;

/** How many rows still know something of a vehicle, by a pseudonym or by its registration. */
export const knownChecks = (store: Pick<Store, 'get'>, subject: string): number =>
  store.get<{ n: number }>(`SELECT count(*) AS n FROM checks WHERE ${OF_SUBJECT}`, subject, subject, subject)?.n ?? 0;

/**
 * Destroys what is known of one vehicle, by a pseudonym or by its registration (which takes all of its pseudonyms).
 * Index, time, gate, decision and digest stay: the receipt of the entry still proves that something was there.
 */
export const forgetChecks = (subject: string): SqlStatement[] => [
  // Overwritten where it lies before it goes: SQLite leaves what it only lets go of.
  {
    sql: `UPDATE checks SET salt = zeroblob(length(salt)), content = zeroblob(length(content)) WHERE ${OF_SUBJECT}`,
    params: [subject, subject, subject],
  },
  {
    sql: `UPDATE checks SET session = NULL, nonce = NULL, holder = NULL, registration = NULL, counter = NULL,
      telemetry = NULL, valid_from_ms = NULL, valid_until_ms = NULL, lat = NULL, lon = NULL, salt = NULL, content = NULL
      WHERE ${OF_SUBJECT}`,
    params: [subject, subject, subject],
  },
];

export class Checks {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get(idx: number): CheckRow | undefined {
    return this.#store.get<CheckRow>(`SELECT ${COLUMNS} FROM checks WHERE idx = ?`, idx);
  }

  /** Newest first. */
  list(limit: number, before: number): CheckRow[] {
    return this.#store.all<CheckRow>(
      `SELECT ${COLUMNS} FROM checks WHERE idx < ? ORDER BY idx DESC LIMIT ?`,
      before,
      limit,
    );
  }

  /** Oldest first, from this index on. */
  from(idx: number, limit: number): CheckRow[] {
    return this.#store.all<CheckRow>(`SELECT ${COLUMNS} FROM checks WHERE idx >= ? ORDER BY idx LIMIT ?`, idx, limit);
  }

  /** The index of the newest one. */
  get newest(): number | undefined {
    return this.#store.get<{ idx: number | null }>('SELECT max(idx) AS idx FROM checks')?.idx ?? undefined;
  }

  /** How often each decision was given, of the rows that are kept. */
  counts(): { decision: string; reason: string; n: number }[] {
    return this.#store.all('SELECT decision, reason, count(*) AS n FROM checks GROUP BY decision, reason');
  }

  isUsed(nonce: Uint8Array): boolean {
    return this.#store.get('SELECT 1 AS yes FROM checks WHERE nonce = ?', nonce) !== undefined;
  }

  /** Proven checks of one registration, newest first. */
  ofRegistration(registration: string, limit: number): CheckRow[] {
    return this.#store.all<CheckRow>(
      `SELECT ${COLUMNS} FROM checks WHERE registration = ? ORDER BY idx DESC LIMIT ?`,
      registration,
      limit,
    );
  }

  /** Of a pseudonym's proven checks. */
  highestCounter(holder: string): number | undefined {
    return (
      this.#store.get<{ top: number | null }>('SELECT max(counter) AS top FROM checks WHERE holder = ?', holder)?.top ??
      undefined
    );
  }

  /** Proven checks of one pseudonym with this counter. */
  withCounter(holder: string, counter: number, limit: number): CheckRow[] {
    return this.#store.all<CheckRow>(
      `SELECT ${COLUMNS} FROM checks WHERE holder = ? AND counter = ? ORDER BY idx DESC LIMIT ?`,
      holder,
      counter,
      limit,
    );
  }
}

/** A city's newest word, as it came. `city`: the DID that signed it. */
export type BundleRow = {
  city: string;
  version: number;
  sha256: Uint8Array;
  bytes: Uint8Array;
  receivedMs: number;
  source: string;
};

export class CityBundles {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get(city: string): BundleRow | undefined {
    return this.#store.get<BundleRow>(
      'SELECT city, version, sha256, bytes, received_ms AS receivedMs, source FROM city_bundles WHERE city = ?',
      city,
    );
  }

  /**
   * Takes the place of an older one only.
   * @param commit writes it together with something else
   * @throws EdgeError STORE_UNAVAILABLE
   */
  async put(
    b: BundleRow,
    commit: Commit = (s) => this.#store.write({ name: 'bundle', statements: [s] }),
  ): Promise<void> {
    try {
      await commit({
        sql: `INSERT INTO city_bundles (city, version, sha256, bytes, received_ms, source) VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT (city) DO UPDATE SET version = excluded.version, sha256 = excluded.sha256,
          bytes = excluded.bytes, received_ms = excluded.received_ms, source = excluded.source
          WHERE excluded.version > city_bundles.version`,
        params: [b.city, b.version, b.sha256, b.bytes, b.receivedMs, b.source],
      });
    } catch (error) {
      // A write that failed may have happened: what is on disk decides.
      const held = this.get(b.city);
      if (held?.version !== b.version || Buffer.compare(held.sha256, b.sha256) !== 0) throw error;
    }
  }
}
