import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EdgeError } from '../../edge/errors.ts';
import { encodeJsonOpening, parseJsonOpening } from '../../edge/log/receipt.ts';
import { checkOpening, contentDigest, isSame } from '../../edge/log/sealed.ts';
import { subjectDigest, tombstoneRecords } from '../../edge/log/tombstone.ts';
import { didFromPublicKey } from '../../edge/wire/did.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { prepareHashEnvelope } from '../../edge/wire/hash-envelope.ts';
import { saltedHash } from '../support/sealed-truth.ts';

const secret = new Uint8Array(32).fill(7);
const did = didFromPublicKey(publicKeyOf(secret));
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const openings = fc.record({ salt: bytes(32, 32), envelope: bytes(1, 300) });
const seal = (opening: { salt: Uint8Array; envelope: Uint8Array }): Uint8Array => {
  const { signed, finish } = prepareHashEnvelope(did, contentDigest(opening));
  return finish(signEd25519(signed, secret));
};

describe('what a sealed entry is over', () => {
  it('is the hash of deterministic CBOR of salt and envelope, by another encoder', () => {
    fc.assert(
      fc.property(openings, ({ salt, envelope }) => {
        expect(Buffer.from(contentDigest({ salt, envelope }))).toEqual(saltedHash(salt, envelope));
      }),
      { seed: 1 },
    );
  });

  it('is shown by its own opening, and by no other', () => {
    fc.assert(
      fc.property(openings, openings, fc.nat(), (opening, other, at) => {
        const entry = seal(opening);
        expect(checkOpening(entry, opening).iss).toBe(did);
        const salt = Uint8Array.from(opening.salt);
        salt[at % 32] = (salt[at % 32] as number) ^ 1;
        const moved = { salt: opening.salt, envelope: Uint8Array.from([...opening.envelope, 0]) };
        for (const wrong of [{ ...opening, salt }, moved, { ...opening, salt: opening.salt.subarray(1) }])
          expect(() => checkOpening(entry, wrong)).toThrow('RECEIPT_INVALID');
        if (Buffer.compare(other.envelope, opening.envelope) !== 0)
          expect(() => checkOpening(entry, { ...opening, envelope: other.envelope })).toThrow('RECEIPT_INVALID');
      }),
      { numRuns: 40, seed: 2 },
    );
  });

  it('comes back from its file, and nothing else that is called one is taken', () => {
    fc.assert(
      fc.property(openings, fc.nat(1e6), (opening, index) => {
        const text = JSON.stringify(encodeJsonOpening(index, opening));
        expect(parseJsonOpening(text)).toEqual({
          salt: Uint8Array.from(opening.salt),
          envelope: Uint8Array.from(opening.envelope),
        });
      }),
      { seed: 3 },
    );
    const good = encodeJsonOpening(1, { salt: new Uint8Array(32), envelope: new Uint8Array(9) });
    for (const text of [
      '',
      'null',
      '[]',
      '{}',
      JSON.stringify({ ...good, format: 'x' }),
      JSON.stringify({ ...good, salt: 'AA==' }),
      JSON.stringify({ ...good, salt: 1 }),
      JSON.stringify({ ...good, envelope: '*' }),
      'x'.repeat(2 ** 21),
    ])
      expect(() => parseJsonOpening(text), text.slice(0, 60)).toThrow(EdgeError);
  });
});

describe('whether a device sent these bytes before', () => {
  const [salt, envelope, other] = [randomBytes(32), randomBytes(100), randomBytes(100)];
  const none = new Uint8Array(0);
  it('is known while anything is left of them, and of what was forgotten it is supposed', () => {
    const held = { envelope, leaf: null, salt, digest: null, forgotten: false };
    const pruned = {
      envelope: none,
      leaf: randomBytes(32),
      salt,
      digest: contentDigest({ salt, envelope }),
      forgotten: false,
    };
    const forgotten = { envelope: none, leaf: null, salt: none, digest: null, forgotten: true };
    for (const row of [held, pruned]) expect([isSame(row, envelope), isSame(row, other)]).toEqual([true, false]);
    expect([isSame(forgotten, envelope), isSame(forgotten, other)]).toEqual([true, true]);
    // What cannot be: then it is taken for other bytes, and kept.
    expect(isSame({ ...pruned, digest: null }, envelope)).toBe(false);
    expect(isSame({ ...held, envelope: none, salt: null }, envelope)).toBe(false);
  });
});

describe('a tombstone', () => {
  it('names a subject to whom has the salt, and to nobody else', () => {
    const salt = randomBytes(32);
    const digest = subjectDigest(salt, 'urn:sejong:mp:1');
    expect(tombstoneRecords(digest, 7)).toEqual([
      { n: 'forget', vs: Buffer.from(digest).toString('hex') },
      { n: 'forget-below', v: 7 },
    ]);
    expect(subjectDigest(salt, 'urn:sejong:mp:2')).not.toEqual(digest);
    expect(subjectDigest(randomBytes(32), 'urn:sejong:mp:1')).not.toEqual(digest);
  });
});
