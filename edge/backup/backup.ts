/**
 * A backup: one file, made while the gateway runs, with all that another box needs to go on in its place.
 *
 *   data/edge.db      of one moment, by SQLite's online backup
 *   data/keys/...     encrypted as they are; the passphrase is left out unless it is asked for, and so is what opens Node-RED
 *   data/...          what else lies in the data folder, but for what belongs to a run, caches, and copies of databases
 *   config/NAME       the config
 *   manifest.json     what it is, and the SHA-256 of each file; last, so that a file that was cut off has none
 *
 * The order is that in which a gateway writes: what the log has signed is noted in epoch.json after it is in the database,
 * and a device's key is there before the device is, so epoch.json is read before the database, and keys after it.
 */

import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { openSalvaged } from '../log/salvage.ts';
import { inspectSnapshot, removeTraces, type Snapshot, takeSnapshot } from '../store/snapshot.ts';
import { VERSION } from '../version.ts';
import { readTar, TarWriter } from './tar.ts';

export const FORMAT = 'sejong-edge/backup@1';
export const MANIFEST = 'manifest.json';
/** In the clear: what opens the keys, and what opens Node-RED and the credentials in its flows. */
const SECRETS = new Set(['keys/passphrase', 'flows/password', 'flows/credential-secret']);
const DATABASE = 'edge.db';
/** A file beside the database that changes while it is read is read so often. */
const TRIES = 5;
const MAX_SMALL = 1024 * 1024 * 1024;

export type Manifest = Snapshot & {
  kind: typeof FORMAT;
  version: string;
  madeMs: number;
  /** Whether what opens keys and flows is in it, in the clear. */
  secrets: boolean;
  files: { name: string; size: number; sha256: string }[];
};

/** Where a file's bytes go. */
export type Sink = { write: (chunk: Buffer) => Promise<void>; end: () => Promise<void> };

/** What belongs to a run, can be made again, or is a whole database of its own. */
const left = (path: string): boolean =>
  /^flows\/(state|user\/gateway)\.json$/.test(path) ||
  /(^|\/)(run\.json|.*\.lock|.*\.new|.*\.copying|.*-wal|.*-shm|.*-journal)$/.test(path) ||
  /^(cache|\.restoring|before-[^/]+|keys\.(new|old))(\/|$)/.test(path) ||
  /(^|\/)(node_modules|\.npm)(\/|$)/.test(path) ||
  /^edge\.db\./.test(path);

function* filesBelow(folder: string, under = ''): Generator<string> {
  for (const name of readdirSync(join(folder, under)).sort()) {
    const path = under === '' ? name : `${under}/${name}`;
    if (left(path)) continue;
    const found = lstatSync(join(folder, path), { throwIfNoEntry: false });
    if (found?.isDirectory()) yield* filesBelow(folder, path);
    // No links, which may lead anywhere, and no sockets.
    else if (found?.isFile()) yield path;
  }
}

/** The same twice: a file that somebody writes to is not taken half. */
function readStable(path: string): Buffer | undefined {
  let before: Buffer | undefined;
  for (let i = 0; i < TRIES; i++) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) return undefined; // it has gone meanwhile
    if (found.size > MAX_SMALL) throw new EdgeError('BACKUP_INVALID', `${path} is larger than ${MAX_SMALL} bytes`);
    const now = readFileSync(path);
    if (before?.equals(now)) return now;
    before = now;
  }
  throw new EdgeError('BACKUP_INVALID', `${path} changes all the time`);
}

/**
 * Writes it, and reads all of it again: each hash, the database's own check, and the tree under its newest checkpoint.
 * @param configFile undefined where there is none
 * @throws EdgeError BACKUP_INVALID, DATA_UNUSABLE
 */
export async function makeBackup(o: {
  dataFolder: string;
  configFile: string | undefined;
  out: string;
  withSecrets: boolean;
  force: boolean;
}): Promise<{ manifest: Manifest; bytes: number; leftOut: string[] }> {
  const { dataFolder, out } = o;
  if (existsSync(out) && !o.force)
    throw new EdgeError('BACKUP_INVALID', `${out} is there already (--force replaces it)`);
  const part = `${out}.part`;
  const staged = `${out}.edge.db`;
  const clean = (): void => {
    for (const path of [part, staged]) rmSync(path, { force: true });
    removeTraces(staged);
  };
  clean();
  let tar: TarWriter | undefined;
  try {
    const epoch = existsSync(join(dataFolder, 'epoch.json')) ? readStable(join(dataFolder, 'epoch.json')) : undefined;
    await takeSnapshot(join(dataFolder, DATABASE), staged);
    const snapshot = inspectSnapshot(staged);
    checkTree(staged);
    removeTraces(staged);
    tar = await TarWriter.create(part);
    const files: Manifest['files'] = [];
    const add = async (name: string, content: Buffer | string, mode = 0o600): Promise<void> => {
      const size = typeof content === 'string' ? statSync(content).size : content.length;
      files.push({
        name,
        size,
        sha256: await (tar as TarWriter).add({ name, size, mode, mtimeMs: Date.now() }, content),
      });
    };
    await add(`data/${DATABASE}`, staged);
    if (epoch) await add('data/epoch.json', epoch);
    let secrets = false;
    for (const path of filesBelow(dataFolder)) {
      if (path === DATABASE || path === 'epoch.json' || (SECRETS.has(path) && !o.withSecrets)) continue;
      const content = readStable(join(dataFolder, path));
      if (!content) continue;
      if (SECRETS.has(path)) secrets = true;
      await add(`data/${path}`, content);
    }
    if (o.configFile !== undefined) await add(`config/${basename(o.configFile)}`, readFileSync(o.configFile), 0o640);
    const manifest: Manifest = { kind: FORMAT, version: VERSION, madeMs: Date.now(), ...snapshot, secrets, files };
    const last = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
    await tar.add({ name: MANIFEST, size: last.length, mode: 0o600, mtimeMs: manifest.madeMs }, last);
    await tar.finish();
    await checkBackup(part);
    renameSync(part, out);
    const leftOut = readdirSync(dataFolder).filter((name) => /^edge\.db\.(damaged|behind|format)-/.test(name));
    return { manifest, bytes: statSync(out).size, leftOut };
  } catch (error) {
    await tar?.abandon();
    if (error instanceof EdgeError) throw error;
    throw new EdgeError('BACKUP_INVALID', `${out}: ${(error as Error).message}`, { cause: error });
  } finally {
    clean();
  }
}

/** That all entries below the newest checkpoint can be proven from this file alone. @throws EdgeError BACKUP_INVALID */
export function checkTree(path: string): void {
  const { log, close } = openSalvaged(path);
  try {
    const { latest, provable } = log;
    if (latest && provable?.size !== latest.size)
      throw new EdgeError(
        'BACKUP_INVALID',
        `${path}: the tree under the checkpoint of ${latest.size} entries cannot be computed from it`,
      );
  } finally {
    close();
  }
}

/**
 * Reads it to its end, and compares each file with the manifest.
 * @param take where the bytes of a file go; undefined: nowhere
 * @throws EdgeError BACKUP_INVALID
 */
export async function checkBackup(
  path: string,
  take: (name: string) => Promise<Sink | undefined> = async () => undefined,
): Promise<Manifest> {
  const found = new Map<string, { size: number; sha256: string }>();
  let manifest: Manifest | undefined;
  await readTar(path, async ({ name, size }, content) => {
    if (manifest) throw new EdgeError('BACKUP_INVALID', `${path}: ${name} stands after the manifest`);
    if (name === MANIFEST) {
      if (size > MAX_SMALL) throw new EdgeError('BACKUP_INVALID', `${path}: a manifest of ${size} bytes`);
      const chunks: Buffer[] = [];
      for await (const chunk of content) chunks.push(chunk);
      manifest = parse(path, Buffer.concat(chunks));
      return;
    }
    // Nothing that could lie outside the folder that it is put into.
    if (
      !/^(data|config)\/[^\0]+$/.test(name) ||
      name.split('/').some((part) => part === '' || part === '.' || part === '..')
    )
      throw new EdgeError('BACKUP_INVALID', `${path}: a file named ${JSON.stringify(name)}`);
    if (found.has(name)) throw new EdgeError('BACKUP_INVALID', `${path}: ${name} is there twice`);
    const hash = createHash('sha256');
    const sink = await take(name);
    for await (const chunk of content) {
      hash.update(chunk);
      await sink?.write(chunk);
    }
    await sink?.end();
    found.set(name, { size, sha256: hash.digest('hex') });
  });
  if (!manifest) throw new EdgeError('BACKUP_INVALID', `${path} has no manifest: it was not written to its end`);
  for (const { name, size, sha256 } of manifest.files) {
    const file = found.get(name);
    if (!file || file.size !== size || file.sha256 !== sha256)
      throw new EdgeError('BACKUP_INVALID', `${path}: ${name} is ${file ? 'not what it was' : 'missing'}`);
  }
  if (found.size !== manifest.files.length)
    throw new EdgeError('BACKUP_INVALID', `${path} has files that its manifest does not name`);
  return manifest;
}

function parse(path: string, bytes: Buffer): Manifest {
  try {
    const manifest = JSON.parse(bytes.toString('utf8')) as Manifest;
    if (manifest.kind === FORMAT && Array.isArray(manifest.files)) return manifest;
  } catch {
    // As below.
  }
  throw new EdgeError('BACKUP_INVALID', `${path} is no backup of format ${FORMAT}`);
}
