/**
 * All keys under another passphrase, crash-safe: the whole folder is written anew beside the old one, read back, and
 * then takes its place with two renames. A power cut leaves the old keys or the new ones, each whole, and never both in
 * use; the one moment in which neither is there is put right by whoever opens the keys next ({@link settleKeys}).
 *
 *   keys        in use
 *   keys.new    being written; whole once it has a file `whole`
 *   keys.old    those before, until they are removed
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EdgeError } from './errors.ts';
import { faultPoint } from './faults.ts';
import { Keystore, type Passphrase, readPrivate, writePrivate } from './keystore.ts';

const WHOLE = 'whole';
const KEY = /^(.+)\.key$/;
/** What belongs to a passphrase, and is not carried over to another one. */
const OF_PASSPHRASE = new Set(['salt', 'passphrase', WHOLE]);

/** Finishes a switch that was cut off between its two renames. Does nothing else, so anybody may call it. */
export function settleKeys(folder: string): void {
  if (existsSync(folder)) return;
  try {
    if (existsSync(join(`${folder}.new`, WHOLE))) renameSync(`${folder}.new`, folder);
    else if (existsSync(`${folder}.old`)) renameSync(`${folder}.old`, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error; // somebody else was faster
  }
}

/** Removes what a rotation left. Only for who has the data folder to itself, with its keys in place. */
export function cleanKeys(folder: string): void {
  if (!existsSync(folder)) return;
  for (const left of [`${folder}.new`, `${folder}.old`, join(folder, WHOLE)])
    rmSync(left, { recursive: true, force: true });
}

/**
 * Only for who has the data folder to itself. Repeating it after any interruption ends where it would have ended.
 * @param keepHere the new passphrase lies in a file beside the keys, as the old one did
 * @returns how many keys there are
 * @throws EdgeError KEY_UNREADABLE; the keys are as they were then
 */
export function rotatePassphrase(folder: string, from: Passphrase, to: Passphrase, keepHere: boolean): number {
  cleanKeys(folder);
  const next = `${folder}.new`;
  const old = Keystore.open(folder, from);
  const files = readdirSync(folder);
  const names = files.flatMap((file) => KEY.exec(file)?.[1] ?? []);
  if (names.length === 0) throw new EdgeError('KEY_UNREADABLE', `there are no keys in ${folder}`);
  mkdirSync(next, { mode: 0o700 });
  if (keepHere) writePrivate(join(next, 'passphrase'), `${to.passphrase}\n`);
  const fresh = Keystore.open(next, to);
  for (const name of names) {
    const secret = old.load(name);
    fresh.save(name, secret);
    faultPoint('keys.writing');
    if (!Buffer.from(fresh.load(name)).equals(secret))
      throw new EdgeError('KEY_UNREADABLE', `${join(next, name)}.key does not read back`);
    secret.fill(0);
  }
  for (const file of files)
    if (!KEY.test(file) && !OF_PASSPHRASE.has(file)) writePrivate(join(next, file), readPrivate(join(folder, file)));
  sync(next);
  writePrivate(join(next, WHOLE), '');
  sync(next);
  sync(dirname(folder));
  faultPoint('keys.written');
  renameSync(folder, `${folder}.old`);
  faultPoint('keys.switching');
  renameSync(next, folder);
  sync(dirname(folder));
  faultPoint('keys.switched');
  cleanKeys(folder);
  return names.length;
}

/** So that names in it are on disk, too (fsync(2)). */
function sync(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
