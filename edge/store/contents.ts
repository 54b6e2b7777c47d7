/**
 * What sealed entries are over (log/sealed.ts): salt and envelope, in a table of their own beside the entries, written
 * in the same transaction.
 *
 * Each lies in a box, encrypted with a key of whom it speaks about, and to forget somebody is to overwrite that one key:
 * SQLite leaves copies of rows in pages that it reshaped, and flash leaves copies of everything, so that no overwriting
 * of many rows could be relied on. A key is overwritten where it stands, by as many zeros: SQLite then writes the cell
 * in place. (It is no protection against who has the whole file: keys lie beside boxes.)
 *
 *   box   16 bytes IV, then AES-256-CTR of the salt (32 bytes) and the envelope. The hash envelope authenticates it
 *         pruned: IV and salt are left of it, and the entry's digest, to know the same bytes again
 *         forgotten: empty
 */
import { createCipheriv, createDecipheriv, randomBytes, randomFillSync } from 'node:crypto';
import type Database from 'better-sqlite3';
import type { SqlStatement } from './writer.ts';

const CIPHER = 'aes-256-ctr';
const IV_BYTES = 16;
const KEY_BYTES = 32;
const SALT_BYTES = 32;
/** What is left of the box of a pruned entry. */
export const PRUNED_BOX = IV_BYTES + SALT_BYTES;

/** `about`: the number of the device that it speaks about. */
export type Content = { about: number; salt: Uint8Array; envelope: Uint8Array };

/**
 * Packed as entries are: of the entry at `places[i]` of its batch, `lengths[i]` bytes of salt and envelope, about the
 * device `abouts[i]`.
 */
export type ContentBatch = {
  places: Uint32Array<ArrayBuffer>;
  abouts: Uint32Array<ArrayBuffer>;
  lengths: Uint32Array<ArrayBuffer>;
  bytes: Uint8Array<ArrayBuffer>;
};

/** Undefined where no entry has content. */
export function packContents(contents: readonly (Content | undefined)[]): ContentBatch | undefined {
  const all = contents.flatMap((content, place) => (content ? [{ place, ...content }] : []));
  if (all.length === 0) return undefined;
  const bytes = new Uint8Array(all.reduce((sum, { salt, envelope }) => sum + salt.length + envelope.length, 0));
  let at = 0;
  for (const { salt, envelope } of all) {
    bytes.set(salt, at);
    bytes.set(envelope, at + salt.length);
    at += salt.length + envelope.length;
  }
  return {
    places: Uint32Array.from(all, ({ place }) => place),
    abouts: Uint32Array.from(all, ({ about }) => about),
    lengths: Uint32Array.from(all, ({ salt, envelope }) => salt.length + envelope.length),
    bytes,
  };
}

const ivs = Buffer.alloc(IV_BYTES * 256);
let nextIv = ivs.length;

function encrypt(secret: Uint8Array, plain: Uint8Array): Buffer {
  if (nextIv === ivs.length) {
    randomFillSync(ivs);
    nextIv = 0;
  }
  const iv = ivs.subarray(nextIv, nextIv + IV_BYTES);
  nextIv += IV_BYTES;
  return Buffer.concat([iv, createCipheriv(CIPHER, secret, iv).update(plain)]);
}

type Key = { id: number | bigint; secret: Uint8Array };

/** The writer's side: one object a connection, its keys good for one transaction. */
export class ContentWriter {
  readonly #select: Database.Statement;
  readonly #insertKey: Database.Statement;
  readonly #insert: Database.Statement;
  readonly #keys = new Map<number, Key>();

  constructor(db: Database.Database) {
    this.#select = db.prepare('SELECT id, secret FROM content_keys WHERE about = ? ORDER BY id DESC LIMIT 1');
    this.#insertKey = db.prepare('INSERT INTO content_keys (about, secret) VALUES (?, ?)');
    this.#insert = db.prepare('INSERT INTO contents (idx, key, box) VALUES (?, ?, ?)');
  }

  /** A transaction begins: what was read in one before may be rolled back, or forgotten. */
  begin(): void {
    this.#keys.clear();
  }

  insert(first: number, { places, abouts, lengths, bytes }: ContentBatch): void {
    let at = 0;
    for (let i = 0; i < places.length; i++) {
      const { id, secret } = this.#key(abouts[i] as number);
      const end = at + (lengths[i] as number);
      this.#insert.run(first + (places[i] as number), id, encrypt(secret, bytes.subarray(at, end)));
      at = end;
    }
  }

  /** The newest that was not forgotten; who speaks again after that gets a new one. */
  #key(about: number): Key {
    let key = this.#keys.get(about);
    if (!key) {
      key = this.#select.get(about) as Key | undefined;
      if (!key || isForgotten(key.secret)) {
        const secret = randomBytes(KEY_BYTES);
        key = { id: this.#insertKey.run(about, secret).lastInsertRowid, secret };
      }
      this.#keys.set(about, key);
    }
    return key;
  }
}

export const isForgotten = (secret: Uint8Array): boolean => secret.every((byte) => byte === 0);

/** To read beside `entries`: none of these columns is set for an entry that is not sealed. */
export const WITH_CONTENTS =
  'LEFT JOIN contents ON contents.idx = entries.idx LEFT JOIN content_keys ON content_keys.id = contents.key';
export const CONTENT_COLUMNS = 'secret, box, digest';
export type ContentColumns = { secret: Uint8Array | null; box: Uint8Array | null; digest: Uint8Array | null };

export type Opened = {
  /** Of a sealed entry; null of a public one, empty of a forgotten one. */
  salt: Uint8Array | null;
  /** Undefined where it is not sealed; empty where it was pruned or forgotten. */
  envelope: Uint8Array | undefined;
  forgotten: boolean;
};

const NOTHING = new Uint8Array(0);

export function openBox({ secret, box }: Pick<ContentColumns, 'secret' | 'box'>): Opened {
  if (!secret || !box) return { salt: null, envelope: undefined, forgotten: false };
  if (isForgotten(secret)) return { salt: NOTHING, envelope: NOTHING, forgotten: true };
  const plain = createDecipheriv(CIPHER, secret, box.subarray(0, IV_BYTES)).update(box.subarray(IV_BYTES));
  return { salt: plain.subarray(0, SALT_BYTES), envelope: plain.subarray(SALT_BYTES), forgotten: false };
}

/** The digest of an entry is the payload of its hash envelope, which stands before the signature and its head of 2 bytes. */
const DIGEST_OF_ENTRY = 'substr(entries.envelope, -98, 32)';

/** The statements for the transaction in which these entries of [first, end) lose their payloads, before it is done. */
export const pruneContents = (first: number, end: number, indexes: readonly number[]): SqlStatement[] => [
  { sql: 'INSERT INTO temp.moving_contents SELECT * FROM contents WHERE idx >= ? AND idx < ?', params: [first, end] },
  {
    sql: `UPDATE temp.moving_contents SET box = substr(box, 1, ${PRUNED_BOX}),
      digest = (SELECT ${DIGEST_OF_ENTRY} FROM entries WHERE entries.idx = moving_contents.idx)
      WHERE length(box) > 0 AND digest IS NULL AND idx IN (SELECT value FROM json_each(?))`,
    params: [JSON.stringify(indexes)],
  },
  { sql: 'DELETE FROM contents WHERE idx >= ? AND idx < ?', params: [first, end] },
  { sql: 'INSERT INTO contents SELECT * FROM temp.moving_contents ORDER BY idx', params: [] },
  { sql: 'DELETE FROM temp.moving_contents', params: [] },
];
