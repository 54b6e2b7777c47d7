/**
 * A database of an earlier data format. All steps that are missing are taken in one transaction (writer-thread.ts), so that
 * a power cut leaves the old format or the new one, and never one between. Before that the database is copied, as long as
 * the disk has the room: whoever goes back to the version before has what that version can read.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { EdgeError } from '../errors.ts';
import { faultPoint } from '../faults.ts';
import { SCHEMA_VERSION } from './schema.ts';

/** What the steps themselves and the first commits after them may need. */
const SPARE_BYTES = 32 * 1024 * 1024;

/** Copies that were kept before an upgrade, oldest first: full paths. */
export function formerCopies(path: string): string[] {
  const prefix = `${basename(path)}.format-`;
  const known = /^\d+-[\dTZ-]+$/;
  const names = existsSync(dirname(path)) ? readdirSync(dirname(path)) : [];
  return names
    .filter((name) => name.startsWith(prefix) && known.test(name.slice(prefix.length)))
    .sort((a, b) => timeOf(a).localeCompare(timeOf(b)))
    .map((name) => join(dirname(path), name));
}
const timeOf = (name: string): string => name.slice(name.lastIndexOf('format-')).replace(/^format-\d+-/, '');

/** @throws EdgeError DATA_FORMAT where a later version of this program wrote it */
export function refuseLater(path: string, format: number): void {
  if (format > SCHEMA_VERSION)
    throw new EdgeError(
      'DATA_FORMAT',
      `${path} has data format ${format}, of a later version of this program, which knows ${SCHEMA_VERSION}${
        formerCopies(path).length > 0
          ? `; kept before upgrades: ${formerCopies(path)
              .map((p) => basename(p))
              .join(', ')}`
          : ''
      }`,
    );
}

/**
 * To be called with the lock held, before the writer opens the file.
 * @throws EdgeError DATA_FORMAT
 */
export async function prepareUpgrade(path: string, report: (line: string) => void): Promise<void> {
  if (!existsSync(path) || statSync(path).size === 0) return;
  const db = new Database(path, { readonly: true });
  try {
    const format = db.pragma('user_version', { simple: true }) as number;
    refuseLater(path, format);
    if (format === 0 || format === SCHEMA_VERSION) return;
    const kept = await keepCopy(path, db, format);
    report(`the database is upgraded from data format ${format} to ${SCHEMA_VERSION}; ${kept}`);
  } finally {
    db.close();
  }
}

async function keepCopy(path: string, db: Database.Database, format: number): Promise<string> {
  const folder = dirname(path);
  const copying = `${path}.copying`;
  rmSync(copying, { force: true });
  const prefix = join(folder, `${basename(path)}.format-${format}-`);
  const boot = bootOf(db);
  // A start that was killed between its copy and the upgrade: nothing was written since.
  const before = formerCopies(path).find((p) => p.startsWith(prefix) && bootOfFile(p) === boot);
  if (before !== undefined) return `${basename(before)} was kept before`;
  const bytes = statSync(path).size + (existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free < bytes + SPARE_BYTES)
    return `NO copy of it is kept: ${mib(free)} MiB are free, and it would take ${mib(bytes)} and ${mib(SPARE_BYTES)} to spare`;
  await db.backup(copying);
  faultPoint('upgrade.copying');
  sync(copying);
  const name = `${prefix}${new Date().toISOString().replace(/[:.]/g, '-')}`;
  renameSync(copying, name);
  sync(folder);
  faultPoint('upgrade.copied');
  return `${basename(name)} is the copy from before, which nothing deletes by itself`;
}

const mib = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);

const bootOf = (db: Database.Database): string =>
  String(db.prepare("SELECT value FROM meta WHERE key = 'boot'").pluck().get() ?? '');

function bootOfFile(path: string): string | undefined {
  const db = new Database(path, { readonly: true });
  try {
    return bootOf(db);
  } catch {
    return undefined; // then it is no copy to rely on
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
