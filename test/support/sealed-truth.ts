/** What a sealed entry promises, checked with nothing of the gateway's own: other CBOR, other ciphers' calls, other words. */
import { createDecipheriv, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type Database from 'better-sqlite3';
import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { expect } from 'vitest';
import { publicKeyFromDid } from '../../edge/wire/did.ts';

const cbor = (value: unknown): Uint8Array => encode(value, rfc8949EncodeOptions);
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** RFC 9995: the payload is the hash of [salt, envelope]. */
export const saltedHash = (salt: Uint8Array, envelope: Uint8Array): Buffer =>
  sha256(cbor([Uint8Array.from(salt), Uint8Array.from(envelope)]));

export type SealedState =
  | { kind: 'public' }
  | { kind: 'held'; envelope: Uint8Array; salt: Uint8Array }
  | { kind: 'pruned'; salt: Uint8Array; digest: Buffer }
  | { kind: 'forgotten' };

type Row = { secret: Uint8Array; box: Uint8Array; digest: Uint8Array | null };

/** Reads what lies beside an entry, and holds it against the entry's bytes (empty where it was pruned). */
export class SealedTruth {
  readonly #row: Database.Statement<[number], Row>;
  readonly #gateway: string;
  /** Made when it is needed: a gateway that was killed in its very first start has no DID yet. */
  #key: KeyObject | undefined;
  /** A forget was begun and not ended: what it left of boxes has no key any more. */
  readonly #forgetting: boolean;

  constructor(db: Database.Database, gatewayDid: string) {
    this.#row = db.prepare(
      'SELECT secret, box, digest FROM contents JOIN content_keys ON content_keys.id = contents.key WHERE idx = ?',
    );
    this.#gateway = gatewayDid;
    this.#forgetting = db.prepare("SELECT 1 FROM meta WHERE key = 'forgetting'").get() !== undefined;
    expect(
      db.prepare('SELECT count(*) FROM contents WHERE key NOT IN (SELECT id FROM content_keys)').pluck().get(),
    ).toBe(0);
    expect(db.prepare('SELECT count(*) FROM contents WHERE idx NOT IN (SELECT idx FROM entries)').pluck().get()).toBe(
      0,
    );
  }

  read(idx: number, entry: Uint8Array): SealedState {
    const row = this.#row.get(idx);
    const payload = entry.length === 0 ? undefined : this.#payload(entry);
    if (entry.length > 0) expect(row !== undefined, `entry ${idx} is sealed`).toBe(payload !== undefined);
    if (!row) return { kind: 'public' };
    const { secret, box, digest } = row;
    expect(secret.length).toBe(32);
    if (secret.every((byte) => byte === 0)) {
      if (!this.#forgetting) expect([box.length, digest], `entry ${idx} is forgotten whole`).toEqual([0, null]);
      return { kind: 'forgotten' };
    }
    const plain = createDecipheriv('aes-256-ctr', secret, box.subarray(0, 16)).update(box.subarray(16));
    const salt = plain.subarray(0, 32);
    expect(salt.length, `entry ${idx} has its salt`).toBe(32);
    if (entry.length === 0) {
      expect([plain.length, digest?.length], `entry ${idx} is pruned whole`).toEqual([32, 32]);
      return { kind: 'pruned', salt, digest: Buffer.from(digest as Uint8Array) };
    }
    const envelope = Uint8Array.from(plain.subarray(32));
    expect(saltedHash(salt, envelope).equals(payload as Uint8Array), `entry ${idx} is over its content`).toBe(true);
    return { kind: 'held', envelope, salt };
  }

  /** Of a hash envelope by the gateway, after its signature; undefined of anything else. */
  #payload(entry: Uint8Array): Uint8Array | undefined {
    const [header, unprotected, payload, signature] = decode(entry, {
      useMaps: true,
      tags: Object.assign([], { 18: (inner: () => unknown) => inner() }),
    }) as [Uint8Array, Map<number, unknown>, Uint8Array, Uint8Array];
    const map = decode(header, { useMaps: true }) as Map<number, unknown>;
    if (!map.has(258)) return undefined;
    expect(map).toEqual(
      new Map<number, unknown>([
        [1, -19],
        [15, new Map([[1, this.#gateway]])],
        [258, -16],
        [259, 60],
      ]),
    );
    expect(unprotected.size).toBe(0);
    this.#key ??= createPublicKey({
      key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKeyFromDid(this.#gateway).bytes]),
      format: 'der',
      type: 'spki',
    });
    const key = this.#key;
    const signed = cbor(['Signature1', header, new Uint8Array(0), payload]);
    expect(verify(null, signed, key, signature), 'signed by the gateway').toBe(true);
    return payload;
  }
}

/** All envelopes in a log, as their devices signed them. */
export function openedEnvelopes(db: Database.Database): Buffer[] {
  const truth = new SealedTruth(db, db.prepare("SELECT value FROM meta WHERE key = 'did'").pluck().get() as string);
  return db
    .prepare<[], { idx: number; envelope: Buffer }>('SELECT idx, envelope FROM entries ORDER BY idx')
    .all()
    .map(({ idx, envelope }) => {
      const state = truth.read(idx, envelope);
      return state.kind === 'held' ? Buffer.from(state.envelope) : envelope;
    });
}
