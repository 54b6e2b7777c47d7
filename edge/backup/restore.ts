/**
 * Puts a backup in place. It is unpacked beside what is there (.restoring in the data folder), checked whole, and only then
 * takes its place: what was there is moved aside, never deleted. Cut off between, the same command goes on, and no gateway
 * starts before it has (identity.ts looks for the mark).
 *
 * The log of a backup is an older copy of a log that may have gone on since: more may have been signed, with the same key,
 * under the same name. A gateway that signed on from here would be one with two histories. So its next start ends that log
 * and begins the next epoch of it, as it does when a chain shows that a copy is old (LOG_BEHIND_CHAIN): entries and
 * receipts stay provable, devices and counters are taken over. Only who knows that nothing ran since may say so.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { faultPoint } from '../faults.ts';
import { markRestored, removeTraces } from '../store/snapshot.ts';
import { checkBackup, checkTree, type Manifest } from './backup.ts';

const STAGING = '.restoring';
const WHOLE = 'whole';
/** What may lie in a folder that is empty for our purposes. */
const NOTHING = new Set([STAGING, 'edge.db.lock', 'lost+found']);

/** Whether a restore was cut off while it changed the folder: no gateway may start then. */
export const isHalfRestored = (dataFolder: string): boolean => existsSync(join(dataFolder, STAGING, WHOLE));

export const isEmptyFolder = (dataFolder: string): boolean =>
  !existsSync(dataFolder) || readdirSync(dataFolder).every((name) => NOTHING.has(name));

/**
 * Only for who has the data folder to itself.
 * @param sameLog nothing ran since the backup was made: the log goes on
 * @returns what it was, and under which name lies what was there
 * @throws EdgeError BACKUP_INVALID; all stays as it was then
 */
export async function restoreBackup(o: {
  file: string;
  dataFolder: string;
  sameLog: boolean;
  nowMs: number;
}): Promise<{ manifest: Manifest | undefined; aside: string | undefined }> {
  const staging = join(o.dataFolder, STAGING);
  let manifest: Manifest | undefined;
  if (!isHalfRestored(o.dataFolder)) {
    rmSync(staging, { recursive: true, force: true });
    try {
      manifest = await unpack(o.file, staging);
      const database = join(staging, 'data', 'edge.db');
      checkTree(database);
      removeTraces(database); // a copy of one file, to which nobody has written
      const { checkpoint, madeMs, boot } = manifest;
      const detail = `restored from a backup of ${new Date(madeMs).toISOString()}, since when the log may have gone on`;
      markRestored(
        database,
        // Higher than any run since can have had: the counters of the gateway's own entries go by it.
        Math.max(boot, Math.floor(o.nowMs / 1000)),
        o.sameLog || !checkpoint ? undefined : JSON.stringify({ ...checkpoint, detail }),
      );
      syncTree(staging);
    } catch (error) {
      rmSync(staging, { recursive: true, force: true });
      throw error;
    }
    faultPoint('restore.unpacked');
    writeFileSync(join(staging, WHOLE), asideName(o.nowMs), { flush: true });
    sync(staging);
  }
  faultPoint('restore.whole');
  return { manifest, aside: swap(o.dataFolder, staging) };
}

const asideName = (ms: number): string => `before-${new Date(ms).toISOString().replace(/[:.]/g, '-')}`;

/** Begun again it goes on: what is moved already is not there any more. */
function swap(folder: string, staging: string): string | undefined {
  const aside = readFileSync(join(staging, WHOLE), 'utf8');
  const moved = join(staging, 'moved');
  if (!existsSync(moved)) {
    const moving = readdirSync(folder).filter((name) => !NOTHING.has(name) && !name.startsWith('before-'));
    if (moving.length > 0) mkdirSync(join(folder, aside), { recursive: true, mode: 0o700 });
    for (const name of moving) {
      renameSync(join(folder, name), join(folder, aside, name));
      faultPoint('restore.moving');
    }
    if (existsSync(join(folder, aside))) sync(join(folder, aside));
    sync(folder);
    writeFileSync(moved, '', { flush: true });
    sync(staging);
  }
  for (const name of readdirSync(join(staging, 'data'))) {
    renameSync(join(staging, 'data', name), join(folder, name));
    faultPoint('restore.placing');
  }
  sync(folder);
  rmSync(join(staging, WHOLE));
  rmSync(staging, { recursive: true, force: true });
  sync(folder);
  return existsSync(join(folder, aside)) ? aside : undefined;
}

async function unpack(file: string, staging: string): Promise<Manifest> {
  mkdirSync(staging, { recursive: true, mode: 0o700 });
  try {
    return await checkBackup(file, async (name) => {
      const path = join(staging, name);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const handle = await open(path, 'wx', 0o600);
      return {
        write: async (chunk) => void (await handle.write(chunk)),
        end: async () => {
          await handle.sync();
          await handle.close();
        },
      };
    });
  } catch (error) {
    if (error instanceof EdgeError) throw error;
    throw new EdgeError('BACKUP_INVALID', `${file}: ${(error as Error).message}`, { cause: error });
  }
}

function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
  }
  sync(folder);
}

function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
