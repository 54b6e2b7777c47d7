/**
 * One SQLite file: the only place that opens it (with writer-thread.ts). Reads are synchronous on a read-only
 * connection; writes go to the writer thread and resolve when they are on disk.
 */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { EdgeError } from '../errors.ts';
import { SCHEMA_VERSION } from './schema.ts';
import { type WriteJob, Writer } from './writer.ts';

export type { EntryBatch, SqlStatement, SqlValue, WriteJob } from './writer.ts';

export class Store {
  readonly path: string;
  readonly #lock: Database.Database;
  readonly #reader: Database.Database;
  readonly #writer: Writer;
  readonly #prepared = new Map<string, Database.Statement>();
  /** Resolves when the writer thread has died. Nothing is acknowledged then, and the gateway had better start anew. */
  readonly lost: Promise<EdgeError>;
  /** How many times this data folder was opened; a new number for each run of the gateway. */
  readonly boot: number;

  private constructor(path: string, lock: Database.Database, reader: Database.Database, writer: Writer, boot: number) {
    this.path = path;
    this.#lock = lock;
    this.#reader = reader;
    this.#writer = writer;
    this.boot = boot;
    this.lost = new Promise((resolve) => {
      writer.onLost = (error) => resolve(new EdgeError('STORE_UNAVAILABLE', `${path}: ${error.message}`));
    });
  }

  /**
   * @param path of the database file; its folder is made if need be
   * @throws EdgeError DATA_IN_USE, STORE_DAMAGED (the file has been set aside by then), STORE_OTHER_LOG,
   *   STORE_UNAVAILABLE
   */
  static async open(path: string): Promise<Store> {
    const closers: (() => unknown)[] = [];
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const lock = takeLock(`${path}.lock`);
      closers.push(() => lock.close());
      checkHealth(path);
      const writer = await Writer.open(path);
      closers.push(() => writer.close());
      const reader = new Database(path, { readonly: true });
      closers.push(() => reader.close());
      const version = reader.pragma('user_version', { simple: true });
      if (version !== SCHEMA_VERSION)
        throw new EdgeError(
          'STORE_OTHER_LOG',
          `${path} has data format ${version}, this program knows ${SCHEMA_VERSION}`,
        );
      const read = reader.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'boot'");
      const boot = Number(read.get()?.value ?? 0) + 1;
      await writer.write({ statements: [setMeta('boot', String(boot)), setMeta('clean', '0')] });
      return new Store(path, lock, reader, writer, boot);
    } catch (error) {
      for (const close of closers.reverse()) await close();
      if (error instanceof EdgeError) throw error;
      throw new EdgeError('STORE_UNAVAILABLE', `${path}: ${(error as Error).message}`, { cause: error });
    }
  }

  get<Row>(sql: string, ...params: unknown[]): Row | undefined {
    return this.#statement(sql).get(...params) as Row | undefined;
  }

  all<Row>(sql: string, ...params: unknown[]): Row[] {
    return this.#statement(sql).all(...params) as Row[];
  }

  #statement(sql: string): Database.Statement {
    let found = this.#prepared.get(sql);
    if (!found) {
      found = this.#reader.prepare(sql);
      this.#prepared.set(sql, found);
    }
    return found;
  }

  write(job: WriteJob): Promise<void> {
    return this.#writer.write(job);
  }

  meta(key: string): string | undefined {
    return this.get<{ value: string }>('SELECT value FROM meta WHERE key = ?', key)?.value;
  }

  /** For metrics. */
  get commits(): { count: number; lastMs: number } {
    return { count: this.#writer.commits, lastMs: this.#writer.lastCommitMs };
  }

  /** Close, and set the file aside: damage that only a reader of what is inside could see. @throws EdgeError STORE_DAMAGED */
  async giveUp(flaw: string): Promise<never> {
    this.#reader.close();
    await this.#writer.close();
    try {
      return setAside(this.path, flaw);
    } finally {
      this.#lock.close();
    }
  }

  async close(): Promise<void> {
    await this.write({ statements: [setMeta('clean', '1')] }).catch(() => undefined);
    this.#reader.close();
    await this.#writer.close();
    this.#lock.close();
  }
}

export const setMeta = (key: string, value: string) => ({
  sql: 'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  params: [key, value],
});

/** A lock that the kernel drops when the process dies, however it dies: an open transaction on a file of its own. */
function takeLock(path: string): Database.Database {
  const lock = new Database(path, { timeout: 0 });
  try {
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code?.startsWith('SQLITE_BUSY'))
      throw new EdgeError('DATA_IN_USE', dirname(path), { cause: error });
    throw error;
  }
}

/** Sets a damaged file aside, with all that belongs to it. @throws EdgeError STORE_DAMAGED */
function checkHealth(path: string): void {
  const flaw = findFlaw(path);
  if (flaw !== undefined) setAside(path, flaw);
}

/** @throws EdgeError STORE_DAMAGED, always */
function setAside(path: string, flaw: string): never {
  const aside = `${path}.damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`;
  for (const suffix of ['', '-wal', '-shm']) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  throw new EdgeError('STORE_DAMAGED', `${flaw}; it is now ${aside}`);
}

/** After a clean stop the file is believed; after anything else quick_check reads it through. Changes nothing. */
function findFlaw(path: string): string | undefined {
  // SQLite would take a file that is gone or empty for a new database, and delete the write-ahead log beside it.
  if (!existsSync(path)) return existsSync(`${path}-wal`) ? 'the file is gone, its write-ahead log is not' : undefined;
  if (statSync(path).size === 0) return 'the file is empty';
  const db = new Database(path, { readonly: true });
  try {
    if (db.pragma('user_version', { simple: true }) === 0) {
      // What a power cut leaves while the very first start makes the tables has none at all.
      const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get();
      return tables === 0 ? undefined : 'it is the database of another program';
    }
    const clean = db.prepare("SELECT value FROM meta WHERE key = 'clean'").pluck().get();
    const answer = clean === '1' ? 'ok' : db.pragma('quick_check(1)', { simple: true });
    return answer === 'ok' ? undefined : String(answer);
  } catch (error) {
    // Damage, or tables that are not ours; anything else (a lock, a full disk, a mode) says nothing about the file.
    if (/^SQLITE_(CORRUPT|NOTADB|ERROR)/.test((error as { code?: string }).code ?? '')) return (error as Error).message;
    throw error;
  } finally {
    db.close();
  }
}
