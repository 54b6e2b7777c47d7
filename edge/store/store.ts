/**
 * One SQLite file: the only place that opens it (with writer-thread.ts). Reads are synchronous on a read-only
 * connection; writes go to the writer thread and resolve when they are on disk.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { EdgeError } from '../errors.ts';
import { SCHEMA_VERSION } from './schema.ts';
import { prepareUpgrade, refuseLater } from './upgrade.ts';
import { type WriteJob, Writer } from './writer.ts';

export type { EntryBatch, SqlStatement, SqlValue, WriteJob } from './writer.ts';

export type StoreLock = { release: () => void };
/** What reads only: a store, or what is left of one. */
export type Reader = Pick<Store, 'get' | 'all'>;

const DAMAGE = /\bSQLITE_(CORRUPT|NOTADB)/;
export const isDamage = (error: unknown): boolean => DAMAGE.test((error as { code?: string }).code ?? '');
const unavailable = (path: string, error: unknown): EdgeError =>
  error instanceof EdgeError
    ? error
    : new EdgeError('STORE_UNAVAILABLE', `${path}: ${(error as Error).message}`, { cause: error });

export class Store {
  readonly path: string;
  readonly #lock: StoreLock | undefined;
  readonly #reader: Database.Database;
  readonly #writer: Writer | undefined;
  readonly #prepared = new Map<string, Database.Statement>();
  /** Resolves when the writer thread has died, or damage was met: the gateway had better start anew. */
  readonly lost: Promise<EdgeError>;
  /** A new number for each run of the gateway, higher than all before. */
  readonly boot: number;

  readonly #harmed: (error: EdgeError) => void;
  /** Damage was met: the next open must read the file through, however this run ends. */
  #suspect = false;

  private constructor(path: string, reader: Database.Database, boot: number, lock?: StoreLock, writer?: Writer) {
    this.path = path;
    this.#lock = lock;
    this.#reader = reader;
    this.#writer = writer;
    this.boot = boot;
    const { promise, resolve } = Promise.withResolvers<EdgeError>();
    this.lost = promise;
    this.#harmed = resolve;
    if (writer) writer.onLost = (error) => resolve(new EdgeError('STORE_UNAVAILABLE', `${path}: ${error.message}`));
  }

  /**
   * One at a time may use a database: the kernel drops the lock when the process dies, however it dies.
   * @param path of the database file; its folder is made if need be
   * @throws EdgeError DATA_IN_USE, STORE_UNAVAILABLE
   */
  static lock(path: string): StoreLock {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const lock = takeLock(`${path}.lock`);
      return { release: () => lock.close() };
    } catch (error) {
      throw unavailable(path, error);
    }
  }

  /**
   * @param path of the database file; its folder is made if need be
   * @param held the lock, where the caller has it already: it is the store's if this succeeds
   * @param leastBoot the number of this run at least
   * @param maxBytes that the file may grow to; 0 for no limit
   * @param report is told of an upgrade from an earlier data format
   * @throws EdgeError DATA_IN_USE, STORE_DAMAGED (the file is left as it is), DATA_FORMAT, STORE_UNAVAILABLE
   */
  static async open(
    path: string,
    {
      held,
      leastBoot = 1,
      maxBytes = 0,
      report = () => undefined,
    }: { held?: StoreLock; leastBoot?: number; maxBytes?: number; report?: (line: string) => void } = {},
  ): Promise<Store> {
    const closers: (() => unknown)[] = [];
    try {
      const lock = held ?? Store.lock(path);
      if (!held) closers.push(() => lock.release());
      const flaw = findFlaw(path);
      if (flaw !== undefined) throw new EdgeError('STORE_DAMAGED', `${path}: ${flaw}`);
      await prepareUpgrade(path, report);
      const writer = await Writer.open(path, maxBytes);
      closers.push(() => writer.close());
      const reader = new Database(path, { readonly: true });
      closers.push(() => reader.close());
      checkVersion(path, reader);
      const read = reader.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'boot'");
      const boot = Math.max(Number(read.get()?.value ?? 0) + 1, leastBoot);
      await writer.write({ statements: [setMeta('boot', String(boot)), setMeta('clean', '0')] });
      return new Store(path, reader, boot, lock, writer);
    } catch (error) {
      for (const close of closers.reverse()) await close();
      throw unavailable(path, error);
    }
  }

  /**
   * For reading alone, beside a gateway that may run.
   * @throws EdgeError DATA_UNUSABLE, DATA_FORMAT
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

  /** @throws EdgeError STORE_DAMAGED */
  get<Row>(sql: string, ...params: unknown[]): Row | undefined {
    return this.#read(() => this.#statement(sql).get(...params) as Row | undefined);
  }

  /** @throws EdgeError STORE_DAMAGED */
  all<Row>(sql: string, ...params: unknown[]): Row[] {
    return this.#read(() => this.#statement(sql).all(...params) as Row[]);
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!isDamage(error)) throw error;
      throw this.#damaged((error as Error).message);
    }
  }

  #damaged(what: string): EdgeError {
    this.#suspect = true;
    const error = new EdgeError('STORE_DAMAGED', `${this.path}: ${what}`);
    this.#harmed(error);
    return error;
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

  async write(job: WriteJob): Promise<void> {
    if (!this.#writer) throw new EdgeError('STORE_UNAVAILABLE', `${this.path} is read only`);
    try {
      await this.#writer.write(job);
    } catch (error) {
      // Nothing was acknowledged; but what cannot be written any more must be found at the next start.
      if (DAMAGE.test((error as EdgeError).detail)) this.#damaged((error as EdgeError).detail);
      throw error;
    }
  }

  meta(key: string): string | undefined {
    return this.get<{ value: string }>('SELECT value FROM meta WHERE key = ?', key)?.value;
  }

  /** For metrics. */
  get commits(): { count: number; lastMs: number } {
    return { count: this.#writer?.commits ?? 0, lastMs: this.#writer?.lastCommitMs ?? 0 };
  }

  /** Resolves when the writer has done what was asked of it before. @throws EdgeError STORE_UNAVAILABLE when it is gone */
  async answers(): Promise<void> {
    await this.#writer?.answers();
  }

  /** Closes it as no clean stop does, with the lock still held: for whoever sets the file aside. */
  async leave(): Promise<StoreLock> {
    this.#reader.close();
    await this.#writer?.close();
    return this.#lock ?? { release: () => undefined };
  }

  async close(): Promise<void> {
    if (this.#writer && !this.#suspect)
      await this.write({ statements: [setMeta('clean', '1')] }).catch(() => undefined);
    (await this.leave()).release();
  }
}

export const setMeta = (key: string, value: string) => ({
  sql: 'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  params: [key, value],
});

/** @throws EdgeError DATA_FORMAT */
function checkVersion(path: string, reader: Database.Database): void {
  const version = reader.pragma('user_version', { simple: true }) as number;
  refuseLater(path, version);
  if (version !== SCHEMA_VERSION)
    throw new EdgeError(
      'DATA_FORMAT',
      `${path} has data format ${version}, of an earlier version of this program, which has ${SCHEMA_VERSION}`,
    );
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

/** After a clean stop the file is believed; after anything else quick_check reads it through. Changes nothing. */
export function findFlaw(path: string): string | undefined {
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
    return answer === 'ok' ? undefined : String(answer).replace(/\s+/g, ' ');
  } catch (error) {
    // Damage, or tables that are not ours; anything else (a lock, a full disk, a mode) says nothing about the file.
    if (isDamage(error) || (error as { code?: string }).code === 'SQLITE_ERROR') return (error as Error).message;
    throw error;
  } finally {
    db.close();
  }
}
