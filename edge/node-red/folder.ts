/**
 * The data folder of Node-RED: `<dataFolder>/flows`, with the login and the secret of credentials, which no flow can read,
 * and in `user` what is the engineer's: flows, context, and the file by which flows find the gateway.
 */
import { randomBytes } from 'node:crypto';
import { constants, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { readPrivate, writePrivate } from '../keystore.ts';
import { writeWhole } from './state.ts';

/** As strong as Node-RED's own tool makes them. */
const BCRYPT_ROUNDS = 8;
const LEAST_PASSWORD = 12;

export const userDirOf = (folder: string): string => join(folder, 'user');
export const passwordFile = (folder: string): string => join(folder, 'password');
export const gatewayFile = (folder: string): string => join(userDirOf(folder), 'gateway.json');

export type Secrets = { passwordHash: string; credentialSecret: string };
/** How flows reach the gateway; the token is an engineer's. */
export type GatewayAccess = { url: string; mqtt: string; token: string; expiresMs: number };

/**
 * Makes what is not there yet: folders, a password, a secret, and as the first flows the examples. What is there stays.
 *
 * The password is kept as a hash. The file with the password itself is for whoever looks for it at the first start: it
 * may be deleted then. A new one is written into it, and counts from the next start on.
 * @param examples folder of flow files
 * @throws EdgeError KEY_UNREADABLE
 */
export async function prepareFolder(folder: string, examples: string): Promise<Secrets> {
  mkdirSync(userDirOf(folder), { recursive: true, mode: 0o700 });
  const secret = join(folder, 'credential-secret');
  if (!existsSync(secret)) writePrivate(secret, `${randomBytes(32).toString('hex')}\n`);
  const flows = join(userDirOf(folder), 'flows.json');
  if (!existsSync(flows)) writePrivate(flows, `${JSON.stringify(joinFlows(examples), null, 2)}\n`);
  return { passwordHash: await passwordHash(folder), credentialSecret: readPrivate(secret) };
}

async function passwordHash(folder: string): Promise<string> {
  const path = passwordFile(folder);
  const hashPath = `${path}.hash`;
  if (!existsSync(path) && !existsSync(hashPath)) writePrivate(path, `${randomBytes(16).toString('base64url')}\n`);
  const isNew = existsSync(path) && !(existsSync(hashPath) && statSync(hashPath).mtimeMs >= statSync(path).mtimeMs);
  if (!isNew) return readPrivate(hashPath);
  const password = readPrivate(path);
  if (password.length < LEAST_PASSWORD)
    throw new EdgeError('KEY_UNREADABLE', `the password in ${path} has less than ${LEAST_PASSWORD} characters`);
  const require = createRequire(createRequire(import.meta.url).resolve('node-red'));
  const bcrypt = require('bcryptjs') as { hash: (text: string, rounds: number) => Promise<string> };
  const hash = await bcrypt.hash(password, BCRYPT_ROUNDS);
  writePrivate(hashPath, `${hash}\n`);
  return hash;
}

type Node = { id: string; type: string };

/** All flow files of a folder as one, in the order of their names; a config node that several have stands once. */
export function joinFlows(folder: string): Node[] {
  const nodes = new Map<string, Node>();
  for (const name of existsSync(folder) ? readdirSync(folder).sort() : [])
    if (name.endsWith('.json'))
      for (const node of JSON.parse(readFileSync(join(folder, name), 'utf8')) as Node[])
        if (!nodes.has(node.id)) nodes.set(node.id, node);
  return [...nodes.values()];
}

export function writeAccess(folder: string, access: GatewayAccess): void {
  writeWhole(gatewayFile(folder), access);
}

/** More files than this are as bad as large ones: a file system has so many and no more. */
const MAX_FILES = 20_000;

/** Bytes of all files in the user's folder; Infinity where there are too many of them. */
export async function weigh(folder: string): Promise<number> {
  const entries = await readdir(userDirOf(folder), { recursive: true, withFileTypes: true });
  if (entries.length > MAX_FILES) return Number.POSITIVE_INFINITY;
  let bytes = 0;
  // It may be gone by now.
  for (const entry of entries)
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0;
  return bytes;
}

/** Has all files of the user's folder on the disk, as they are now. Those that a flow made are below it, and its own. */
export async function flush(folder: string): Promise<void> {
  const userDir = userDirOf(folder);
  const names = (await readdir(userDir, { withFileTypes: true })).filter((entry) => entry.isFile());
  // The folder last: it holds the new names.
  for (const path of [...names.map(({ name }) => join(userDir, name)), userDir]) {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
      () => undefined,
    );
    await file?.sync();
    await file?.close();
  }
}
