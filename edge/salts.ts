/**
 * The city's registry file: the salts by which the Devices contract knows vehicles and households, a line of JSON each:
 *
 *   {"did": "did:key:z6Mk...", "salt": "<64 hex digits>"}
 *
 * Of two lines of one device the later counts. Mode 0600, and nowhere else: whoever has the salt of a device can find
 * it on the chain, and nobody can once the salt is gone.
 */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { EdgeError } from './errors.ts';
import { readPrivate, writePrivate } from './keystore.ts';

/** About 300,000 devices. */
const MAX_BYTES = 64 * 1024 * 1024;
const DID = /^did:key:z[1-9A-HJ-NP-Za-km-z]{1,100}$/;

export class Salts {
  readonly #path: string;
  #salts = new Map<string, Uint8Array>();
  /** Of the file that was read last: its time of change and its size. */
  #seen = '';

  constructor(path: string) {
    this.#path = path;
  }

  of(did: string): Uint8Array | undefined {
    return this.#salts.get(did);
  }

  /**
   * Reads the file where it has changed; a file that is not there has no salts. What was read before stays where this
   * throws.
   * @returns whether it had changed
   * @throws EdgeError REGISTRY_FILE_INVALID, KEY_UNREADABLE
   */
  refresh(): boolean {
    const seen = this.#look();
    if (seen === this.#seen) return false;
    const size = Number(seen.split(' ')[1] ?? 0);
    if (size > MAX_BYTES) this.#refuse(`it has ${size} bytes, ${MAX_BYTES} is the most`);
    this.#salts = seen === '' ? new Map() : this.#parse(readPrivate(this.#path));
    this.#seen = seen;
    return true;
  }

  /** On disk, whole or not at all, when this returns; before that they are in nobody's hands. */
  add(salts: ReadonlyMap<string, Uint8Array>): void {
    this.#write(new Map([...this.#salts, ...salts]));
  }

  /** Destroys the salt of a device. */
  forget(did: string): void {
    if (!this.#salts.has(did)) return;
    this.#write(new Map([...this.#salts].filter(([other]) => other !== did)));
  }

  #write(salts: Map<string, Uint8Array>): void {
    const lines = [...salts].map(([did, salt]) => JSON.stringify({ did, salt: Buffer.from(salt).toString('hex') }));
    writePrivate(this.#path, lines.map((line) => `${line}\n`).join(''));
    this.#salts = salts;
    this.#seen = this.#look();
  }

  #look(): string {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    return found ? `${found.mtimeMs} ${found.size} ${found.ino}` : '';
  }

  static make(): Uint8Array {
    return new Uint8Array(randomBytes(32));
  }

  #parse(text: string): Map<string, Uint8Array> {
    const salts = new Map<string, Uint8Array>();
    for (const [i, line] of text.split('\n').entries()) {
      if (line.trim() === '') continue;
      let value: { did?: unknown; salt?: unknown } | null;
      try {
        value = JSON.parse(line) as typeof value;
      } catch {
        return this.#refuse(`line ${i + 1} is not JSON`);
      }
      const { did, salt } = value ?? {};
      if (typeof did !== 'string' || !DID.test(did)) return this.#refuse(`line ${i + 1} has no did`);
      if (typeof salt !== 'string' || !/^[0-9a-f]{64}$/i.test(salt))
        return this.#refuse(`line ${i + 1} has no salt of 64 hex digits`);
      salts.set(did, Uint8Array.from(Buffer.from(salt, 'hex')));
    }
    return salts;
  }

  #refuse(why: string): never {
    throw new EdgeError('REGISTRY_FILE_INVALID', `${this.#path}: ${why}`);
  }
}
