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
  readonly #lock: Database.Database | undefined;
  readonly #reader: Database.Database;
  readonly #writer: Writer | undefined;
  readonly #prepared = new Map<string, Database.Statement>();
  /** Resolves when the writer thread has died. Nothing is acknowledged then, and the gateway had better start anew. */
  readonly lost: Promise<EdgeError>;
  /** How many times this data folder was opened; a new number for each run of the gateway. */
  readonly boot: number;

  private constructor(
    path: string,
    reader: Database.Database,
    boot: number,
    lock?: Database.Database,
    writer?: Writer,
  ) {
    this.path = path;
    this.#lock = lock;
    this.#reader = reader;
    this.#writer = writer;
    this.boot = boot;
    this.lost = new Promise((resolve) => {
      if (writer) writer.onLost = (error) => resolve(new EdgeError('STORE_UNAVAILABLE', `${path}: ${error.message}`));
    });
  }

  /**
   * @param path of the database file; its folder is made if need be
   * @param maxBytes that the file may grow to; 0 for no limit
   * @throws EdgeError DATA_IN_USE, STORE_DAMAGED (the file has been set aside by then), STORE_OTHER_LOG,
   *   STORE_UNAVAILABLE
   */
  static async open(path: string, maxBytes = 0): Promise<Store> {
    const closers: (() => unknown)[] = [];
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const lock = takeLock(`${path}.lock`);
      closers.push(() => lock.close());
      checkHealth(path);
      const writer = await Writer.open(path, maxBytes);
      closers.push(() => writer.close());
      const reader = new Database(path, { readonly: true });
      closers.push(() => reader.close());
      checkVersion(path, reader);
      const read = reader.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'boot'");
      const boot = Number(read.get()?.value ?? 0) + 1;
      await writer.write({ statements: [setMeta('boot', String(boot)), setMeta('clean', '0')] });
      return new Store(path, reader, boot, lock, writer);
    } catch (error) {
      for (const close of closers.reverse()) await close();
      if (error instanceof EdgeError) throw error;
      throw new EdgeError('STORE_UNAVAILABLE', `${path}: ${(error as Error).message}`, { cause: error });
    }
  }

  /**
   * For reading alone, beside a gateway that may run.
   * @throws EdgeError DATA_UNUSABLE, STORE_OTHER_LOG
   */
  static read(path: string): Store {
    if (!existsSync(path)) throw new EdgeError('DATA_UNUSABLE', `there is no ${path}`);
    const reader = new Database(path, { readonly: true });
    try {
      checkVersion(path, reader);
      return new Store(path, reader, 0);
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  get<Row>(sql: string, ...params: unknown[]): Row | undefined {
    return this.#statement(sql).get(...params) as Row | undefined;
  }

  all<Row>(sql: string, ...params: unknown[]): Row[] {
    return this.#statement(sql).all(...params) as Row[];
  }

  /** All that `work` reads is of one moment, whatever is written meanwhile. */
  snapshot<T>(work: () => T): T {
    return this.#reader.transaction(work)();
  }

  /** How large the file is by its own account, and what of it is free for new pages, in bytes. */
  get pages(): { bytes: number; freeBytes: number } {
    const pragma = (name: string): number => this.get<Record<string, number>>(`PRAGMA ${name}`)?.[name] ?? 0;
    const size = pragma('page_size');
    return { bytes: pragma('page_count') * size, freeBytes: pragma('freelist_count') * size };
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
    return this.#writer?.write(job) ?? Promise.reject(new EdgeError('STORE_UNAVAILABLE', `${this.path} is read only`));
  }

  meta(key: string): string | undefined {
    return this.get<{ value: string }>('SELECT value FROM meta WHERE key = ?', key)?.value;
  }

  /** For metrics. */
  get commits(): { count: number; lastMs: number } {
    return { count: this.#writer?.commits ?? 0, lastMs: this.#writer?.lastCommitMs ?? 0 };
  }

  /** Close, and set the file aside: damage that only a reader of what is inside could see. @throws EdgeError STORE_DAMAGED */
  async giveUp(flaw: string): Promise<never> {
    this.#reader.close();
    await this.#writer?.close();
    try {
      return setAside(this.path, flaw);
    } finally {
      this.#lock?.close();
    }
  }

  async close(): Promise<void> {
    if (this.#writer) await this.write({ statements: [setMeta('clean', '1')] }).catch(() => undefined);
    this.#reader.close();
    await this.#writer?.close();
    this.#lock?.close();
  }
}

export const setMeta = (key: string, value: string) => ({
  sql: 'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  params: [key, value],
});

/** @throws EdgeError STORE_OTHER_LOG */
function checkVersion(path: string, reader: Database.Database): void {
  const version = reader.pragma('user_version', { simple: true });
  if (version !== SCHEMA_VERSION)
    throw new EdgeError('STORE_OTHER_LOG', `${path} has data format ${version}, this program knows ${SCHEMA_VERSION}`);
}

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
