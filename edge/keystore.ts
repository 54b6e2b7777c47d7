/**
 * Private keys, each in a file of its own, encrypted at rest: AES-256-GCM under a key that scrypt makes from a passphrase.
 * Files have mode 0600; one that others may read is refused, and so is one that cannot be decrypted: a new key is never
 * made in place of one that is there.
 */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeError } from './errors.ts';

/** OWASP's minimum for scrypt with 16 MiB: a quarter of a second on a desktop at each start, a whole one on a Pi. */
const COSTLY = { N: 2 ** 14, r: 8, p: 5, maxmem: 64 * 1024 * 1024 };
/** For a passphrase of 192 random bits: what nobody can guess, nothing need make slow to guess. */
const LIGHT = { N: 2 ** 10, r: 8, p: 1 };
/** What stands before the salt where it is the light one; a bare salt is for the costly one. */
const LIGHT_MARK = 'light:';
const FORMAT = 'sejong-edge/key@1';

/** `random`: it was made just now, by {@link randomBytes}, and nobody chose it. */
export type Passphrase = { passphrase: string; random: boolean };

function derive(passphrase: string, salt: string): Buffer {
  if (salt.startsWith(LIGHT_MARK))
    return scryptSync(passphrase, Buffer.from(salt.slice(LIGHT_MARK.length), 'hex'), 32, LIGHT);
  return scryptSync(passphrase, Buffer.from(salt, 'hex'), 32, COSTLY);
}

type KeyFile = { format: string; iv: string; tag: string; data: string };

export class Keystore {
  readonly #folder: string;
  readonly #kek: Buffer;

  private constructor(folder: string, kek: Buffer) {
    this.#folder = folder;
    this.#kek = kek;
  }

  /**
   * What a folder was begun with holds for each later start: the cost stands beside its salt.
   * @throws EdgeError KEY_UNREADABLE
   */
  static open(folder: string, { passphrase, random }: Passphrase): Keystore {
    if (passphrase.length < 8) throw new EdgeError('KEY_UNREADABLE', 'the passphrase has less than 8 characters');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, 'salt');
    if (!existsSync(path)) writePrivate(path, (random ? LIGHT_MARK : '') + randomBytes(32).toString('hex'));
    return new Keystore(folder, derive(passphrase, readPrivate(path)));
  }

  has(name: string): boolean {
    return existsSync(this.#path(name));
  }

  /** @throws EdgeError KEY_UNREADABLE */
  load(name: string): Uint8Array {
    const path = this.#path(name);
    let file: KeyFile;
    try {
      file = JSON.parse(readPrivate(path)) as KeyFile;
    } catch (error) {
      if (error instanceof EdgeError) throw error;
      throw new EdgeError('KEY_UNREADABLE', `${path} is not a key file`);
    }
    if (file.format !== FORMAT) throw new EdgeError('KEY_UNREADABLE', `${path} is not of format ${FORMAT}`);
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#kek, Buffer.from(file.iv, 'base64'));
      decipher.setAAD(Buffer.from(name));
      decipher.setAuthTag(Buffer.from(file.tag, 'base64'));
      return Uint8Array.from(Buffer.concat([decipher.update(Buffer.from(file.data, 'base64')), decipher.final()]));
    } catch {
      throw new EdgeError('KEY_UNREADABLE', `${path} does not decrypt: a wrong passphrase, or a damaged file`);
    }
  }

  save(name: string, secret: Uint8Array): void {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#kek, iv);
    cipher.setAAD(Buffer.from(name));
    const data = Buffer.concat([cipher.update(secret), cipher.final()]);
    const file: KeyFile = {
      format: FORMAT,
      iv: iv.toString('base64'),
      tag: cipher.getAuthTag().toString('base64'),
      data: data.toString('base64'),
    };
    writePrivate(this.#path(name), `${JSON.stringify(file)}\n`);
  }

  /** The key of that name; 32 random bytes are made where there is none yet. */
  loadOrCreate(name: string): Uint8Array {
    if (!this.has(name)) this.save(name, randomBytes(32));
    return this.load(name);
  }

  #path(name: string): string {
    if (!/^[a-z0-9][a-z0-9.-]*$/i.test(name)) throw new RangeError(`a key's name: ${name}`);
    return join(this.#folder, `${name}.key`);
  }
}

/** @throws EdgeError KEY_UNREADABLE */
export function readPrivate(path: string): string {
  try {
    const { mode } = statSync(path);
    if ((mode & 0o077) !== 0)
      throw new EdgeError(
        'KEY_UNREADABLE',
        `${path} has mode ${(mode & 0o777).toString(8)}: others can read it (chmod 600)`,
      );
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (error instanceof EdgeError) throw error;
    throw new EdgeError('KEY_UNREADABLE', `${path}: ${(error as Error).message}`);
  }
}

/** Whole or not at all, mode 0600 from the first byte on. */
export function writePrivate(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, path);
}
