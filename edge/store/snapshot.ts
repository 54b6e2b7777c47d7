/** A database as a whole: copied while a gateway may write to it, looked at, and made ready for a gateway to go on from. */
import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { EdgeError } from '../errors.ts';

export type Snapshot = {
  /** `user_version` */
  format: number;
  entries: number;
  origin: string;
  did: string;
  boot: number;
  /** The newest that was signed; root in hex. */
  checkpoint: { size: number; root: string } | null;
};

/**
 * All of one moment, page by page; a gateway that writes meanwhile is not held up, and what it commits is in it or not.
 * @throws EdgeError DATA_UNUSABLE
 */
export async function takeSnapshot(from: string, to: string): Promise<void> {
  let db: Database.Database;
  try {
    db = new Database(from, { readonly: true, fileMustExist: true });
  } catch (error) {
    throw new EdgeError('DATA_UNUSABLE', `${from}: ${(error as Error).message}`);
  }
  try {
    await db.backup(to);
  } finally {
    db.close();
  }
  const file = openSync(to, 'r');
  fsyncSync(file);
  closeSync(file);
}

/** Reads it through, and changes nothing. @throws EdgeError BACKUP_INVALID */
export function inspectSnapshot(path: string): Snapshot {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true });
    const answer = db.pragma('integrity_check(1)', { simple: true });
    if (answer !== 'ok') throw new Error(String(answer));
    const meta = db.prepare<[string], string>('SELECT value FROM meta WHERE key = ?').pluck();
    const newest = db
      .prepare<[], { size: number; root: Buffer }>('SELECT size, root FROM checkpoints ORDER BY size DESC LIMIT 1')
      .get();
    return {
      format: db.pragma('user_version', { simple: true }) as number,
      entries: db.prepare('SELECT count(*) FROM entries').pluck().get() as number,
      origin: meta.get('origin') ?? '',
      did: meta.get('did') ?? '',
      boot: Number(meta.get('boot') ?? 0),
      checkpoint: newest ? { size: newest.size, root: newest.root.toString('hex') } : null,
    };
  } catch (error) {
    throw new EdgeError('BACKUP_INVALID', `${path}: ${(error as Error).message}`);
  } finally {
    db?.close();
  }
}

/**
 * @param boot the number of the next run is higher
 * @param behind why its log must not be signed any more; undefined where it may go on
 */
export function markRestored(path: string, boot: number, behind: string | undefined): void {
  const db = new Database(path, { fileMustExist: true });
  try {
    db.pragma('journal_mode = DELETE'); // one file, and nothing beside it
    db.pragma('synchronous = FULL');
    const set = db.prepare(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
    db.transaction(() => {
      set.run('boot', String(boot));
      if (behind !== undefined) set.run('behind', behind);
    })();
  } finally {
    db.close();
  }
}

/**
 * What SQLite leaves beside a copy that was only read. Never of a database that somebody wrote to: the log beside that one
 * is a part of it.
 */
export function removeTraces(path: string): void {
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
}
