import { createHash } from 'node:crypto';
import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborValue, encodeCbor } from '../../edge/wire/cbor.ts';
import { encodeSign1 } from '../../edge/wire/cose.ts';
import { didFromPublicKey } from '../../edge/wire/did.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { decodeHashEnvelope, isHashEnvelope, prepareHashEnvelope } from '../../edge/wire/hash-envelope.ts';
import { verifyEnvelope } from '../../edge/wire/verify.ts';

const secret = new Uint8Array(createHash('sha256').update('hash envelope').digest());
const did = didFromPublicKey(publicKeyOf(secret));
const make = (digest: Uint8Array): Uint8Array => {
  const { signed, finish } = prepareHashEnvelope(did, digest);
  return finish(signEd25519(signed, secret));
};
const digests = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** With another protected header, signed all the same. */
const withHeader = (change: (header: Map<number, CborValue>) => void, payload = new Uint8Array(32)): Uint8Array => {
  const header = new Map<number, CborValue>([
    [1, -19],
    [15, new Map([[1, did]])],
    [258, -16],
    [259, 60],
  ]);
  change(header);
  return encodeSign1({ protectedHeader: encodeCbor(header), payload, signature: new Uint8Array(64) });
};

describe('a hash envelope', () => {
  it('has what RFC 9995 says in its protected header, by another decoder, and names nobody but its issuer', () => {
    const digest = new Uint8Array(32).fill(9);
    const bytes = make(digest);
    expect(bytes[0]).toBe(0xd2);
    const [header, unprotected, payload] = decode(bytes.subarray(1), { useMaps: true }) as [
      Uint8Array,
      Map<1, 1>,
      Uint8Array,
    ];
    const labels = decode(header, { useMaps: true }) as Map<number, unknown>;
    expect(labels.get(258)).toBe(-16);
    expect(labels.get(259)).toBe(60);
    expect(labels.has(3), 'label 3 must not be there').toBe(false);
    expect(labels.get(15)).toEqual(new Map([[1, did]]));
    expect(labels.size).toBe(4);
    expect(unprotected.size).toBe(0);
    expect(payload).toEqual(digest);
    expect(Buffer.from(header)).toEqual(Buffer.from(encode(labels, rfc8949EncodeOptions)));
  });

  it('comes back as it was made, with a signature that holds, and is of one length', () => {
    fc.assert(
      fc.property(digests, (digest) => {
        const bytes = make(digest);
        const sealed = decodeHashEnvelope(bytes);
        expect(sealed).toMatchObject({ iss: did, alg: -19 });
        expect(Buffer.from(sealed.digest)).toEqual(Buffer.from(digest));
        expect(() => verifyEnvelope(sealed)).not.toThrow();
        expect(isHashEnvelope(bytes)).toBe(true);
        expect(bytes.length).toBe(make(new Uint8Array(32)).length);
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it('does not hold with any bit of it changed', () => {
    const bytes = make(new Uint8Array(32).fill(1));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => verifyEnvelope(decodeHashEnvelope(changed)), `bit ${bit}`).toThrow();
    }
  });

  it('is refused with any other header', () => {
    expect(() => decodeHashEnvelope(withHeader(() => undefined))).not.toThrow();
    for (const [why, change] of [
      ['label 3', (h) => h.set(3, 112)],
      ['no hash algorithm', (h) => h.delete(258)],
      ['another hash algorithm', (h) => h.set(258, -43)],
      ['no content type', (h) => h.delete(259)],
      ['another content type', (h) => h.set(259, 'application/cbor')],
      ['a location', (h) => h.set(260, 'https://sejong.example/')],
      ['no alg', (h) => h.delete(1)],
      ['no issuer', (h) => h.set(15, new Map())],
      [
        'a subject',
        (h) =>
          h.set(
            15,
            new Map([
              [1, did],
              [2, 'urn:sejong:mp:1'],
            ]),
          ),
      ],
    ] as [string, (header: Map<number, CborValue>) => void][])
      expect(() => decodeHashEnvelope(withHeader(change)), why).toThrow();
    expect(() => decodeHashEnvelope(withHeader(() => undefined, new Uint8Array(31)))).toThrow();
  });

  it('is no reading, and no reading is one', () => {
    const reading = encodeEnvelope(
      { iss: did, sub: 'urn:sejong:mp:1', iat: 1, epoch: 0, seq: 0 },
      [{ n: 'temperature', v: 1 }],
      (m) => signEd25519(m, secret),
    );
    expect(isHashEnvelope(reading)).toBe(false);
    expect(() => decodeHashEnvelope(reading)).toThrow();
    expect(isHashEnvelope(withHeader((h) => h.delete(258)))).toBe(false);
    // Whatever else stands in it: who says that his payload is a hash is not read as anything else.
    expect(isHashEnvelope(withHeader((h) => h.set(3, 112)))).toBe(true);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(isHashEnvelope(bytes)).toBe(false);
        expect(() => decodeHashEnvelope(bytes)).toThrow();
      }),
      { seed: 2 },
    );
  });
});
