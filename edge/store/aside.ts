/**
 * Databases that were set aside: moved out of the way whole, never deleted, and read as far as SQLite can read what is
 * left of them. Nothing in such a file is ever changed.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import Database from 'better-sqlite3';
import type { Reader } from './store.ts';

export type AsideReason = 'damaged' | 'behind';

const SUFFIXES = ['', '-wal', '-shm'];

export const asideName = (path: string, reason: AsideReason): string =>
  `${basename(path)}.${reason}-${new Date().toISOString().replace(/[:.]/g, '-')}`;

/** What was set aside beside this database, oldest first: full paths, each once. */
export function asidesOf(path: string): string[] {
  const names = existsSync(dirname(path)) ? readdirSync(dirname(path)) : [];
  const known = /^\.(?:damaged|behind)-([\dTZ-]+?)(?:-wal|-shm)?$/;
  const found = new Map<string, string>();
  for (const name of names) {
    const made = name.startsWith(basename(path)) ? known.exec(name.slice(basename(path).length))?.[1] : undefined;
    if (made !== undefined) found.set(`${dirname(path)}/${name.replace(/-(wal|shm)$/, '')}`, made);
  }
  return [...found].sort(([, a], [, b]) => (a < b ? -1 : 1)).map(([file]) => file);
}

/** Moves a database with all that belongs to it. Begun again after a power cut it moves what it had not moved yet. */
export function moveAside(path: string, aside: string, betweenTwo: () => void = () => undefined): void {
  for (const suffix of SUFFIXES)
    if (existsSync(path + suffix) && !existsSync(aside + suffix)) {
      renameSync(path + suffix, aside + suffix);
      betweenTwo();
    }
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** Keys of tables are at most this: what is looked for beyond damage ends here. */
const HIGHEST = 2 ** 48;
const PAGE = 256;

export class Aside {
  readonly path: string;
  readonly #db: Database.Database;
  readonly #prepared = new Map<string, Database.Statement>();

  private constructor(path: string, db: Database.Database) {
    this.path = path;
    this.#db = db;
  }

  /** Undefined where SQLite finds no database of ours in it. */
  static open(path: string): Aside | undefined {
    // A write-ahead log alone is no database, and SQLite would delete it.
    if (!existsSync(path)) return undefined;
    let db: Database.Database | undefined;
    try {
      db = new Database(path, { readonly: true, fileMustExist: true });
      db.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get('entries');
      return new Aside(path, db);
    } catch {
      db?.close();
      return undefined;
    }
  }

  close(): void {
    this.#db.close();
  }

  #statement(sql: string): Database.Statement {
    let found = this.#prepared.get(sql);
    if (!found) {
      found = this.#db.prepare(sql);
      this.#prepared.set(sql, found);
    }
    return found;
  }

  /** Undefined also where it cannot be read. */
  get: Reader['get'] = <Row>(sql: string, ...params: unknown[]) => {
    try {
      return this.#statement(sql).get(...params) as Row | undefined;
    } catch {
      return undefined;
    }
  };

  /** Empty also where any of it cannot be read. */
  all: Reader['all'] = <Row>(sql: string, ...params: unknown[]) => {
    try {
      return this.#statement(sql).all(...params) as Row[];
    } catch {
      return [];
    }
  };

  meta(key: string): string | undefined {
    return this.get<{ value: string }>('SELECT value FROM meta WHERE key = ?', key)?.value;
  }

  /** Databases of an earlier data format have fewer columns. */
  has(table: string, column: string): boolean {
    return this.get('SELECT 1 FROM pragma_table_info(?) WHERE name = ?', table, column) !== undefined;
  }

  /**
   * All rows that can be read, by rising key; what is damaged between them is stepped over.
   * @param sql of a table with an integer key: "... WHERE key >= ? ORDER BY key LIMIT ?"
   */
  *rows<Row>(sql: string, keyOf: (row: Row) => number, from = 0): Generator<Row> {
    let statement: Database.Statement;
    try {
      statement = this.#statement(sql);
    } catch {
      return; // the table is not there
    }
    const page = (at: number, limit: number): Row[] | undefined => {
      try {
        return statement.all(at, limit) as Row[];
      } catch {
        return undefined;
      }
    };
    let limit = PAGE;
    for (let at = from; ; ) {
      const found = page(at, limit);
      if (found) {
        yield* found;
        if (found.length < limit) return;
        at = keyOf(found.at(-1) as Row) + 1;
      } else if (limit > 1) limit = 1;
      else {
        const next = beyond(at, (key) => page(key, 1) !== undefined);
        if (next === undefined) return;
        at = next;
        limit = PAGE;
      }
    }
  }
}

/** The lowest key above `bad` from which on something can be read: found by doubling, then by halving. */
function beyond(bad: number, isReadable: (key: number) => boolean): number | undefined {
  let low = bad;
  let step = 1;
  while (!isReadable(low + step)) {
    low += step;
    step *= 2;
    if (low + step > HIGHEST) return undefined;
  }
  let high = low + step;
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (isReadable(middle)) high = middle;
    else low = middle;
  }
  return high;
}
