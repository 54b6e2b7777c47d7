import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../edge/wire/cbor.ts';
import { decodeSign1, encodeSign1 } from '../../edge/wire/cose.ts';
import { decodeDid, didFromPublicKey, MAX_DID_LENGTH, publicKeyFromDid } from '../../edge/wire/did.ts';
import { publicKeyOf, signEd25519, verifyEd25519 } from '../../edge/wire/ed25519.ts';
import { type Claims, decodeEnvelope, encodeEnvelope } from '../../edge/wire/envelope.ts';
import { p256PublicKeyOf, signP256 } from '../../edge/wire/p256.ts';
import { decodePack, encodePack, resolveLegacy, type SenmlRecord } from '../../edge/wire/senml.ts';
import { verifyEnvelope } from '../../edge/wire/verify.ts';

const secret = new Uint8Array(32).fill(7);
const publicKey = publicKeyOf(secret);
const did = didFromPublicKey(publicKey);
const claims: Claims = { iss: did, sub: 'urn:sejong:mp:000123', iat: 1_790_000_000, epoch: 3, seq: 17 };
const records: SenmlRecord[] = [
  { n: '1-0:1.8.0', u: 'Wh', v: 123_456 },
  { n: '1-0:16.7.0', u: 'W', v: -412 },
  { n: 'Vehicle.CurrentLocation.Latitude', u: 'lat', v: 36.4801 },
];
const sign = (signed: Uint8Array) => signEd25519(signed, secret);
const p256Point = p256PublicKeyOf(secret);
const p256Did = didFromPublicKey(p256Point, 'P-256');
const signEsp256 = (signed: Uint8Array) => signP256(signed, secret);

const record: fc.Arbitrary<SenmlRecord> = fc
  .tuple(
    fc.stringMatching(/^[A-Za-z0-9.:*-]{1,40}$/),
    fc.option(fc.constantFrom('Wh', 'W', 'lat', 'm/s'), { nil: undefined }),
    fc.option(fc.integer({ min: 0, max: 2_000_000_000 }), { nil: undefined }),
    fc.oneof(
      fc.maxSafeInteger().map((v) => ({ v })),
      fc
        .double({ noNaN: true, noDefaultInfinity: true })
        .filter((v) => !Number.isInteger(v))
        .map((v) => ({ v })),
      fc.string({ maxLength: 40 }).map((vs) => ({ vs })),
      fc.boolean().map((vb) => ({ vb })),
      fc.uint8Array({ maxLength: 40 }).map((vd) => ({ vd })),
    ),
  )
  .map(([n, u, t, value]) => ({ n, ...(u === undefined ? {} : { u }), ...(t === undefined ? {} : { t }), ...value }));
const pack = fc.uniqueArray(record, { minLength: 1, maxLength: 12, selector: (r) => `${r.n}\n${r.t ?? ''}` });

describe('did:key', () => {
  it('round-trips the example of the did:key specification', () => {
    const example = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK';
    expect(didFromPublicKey(publicKeyFromDid(example).bytes)).toBe(example);
  });

  it('round-trips the P-256 examples of the did:key specification, and answers the type of the key', () => {
    for (const example of [
      'did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169',
      'did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv',
    ]) {
      const { type, bytes } = publicKeyFromDid(example);
      expect([type, bytes.length]).toEqual(['P-256', 33]);
      expect(didFromPublicKey(bytes, type)).toBe(example);
    }
    expect(decodeDid(did)).toEqual({ type: 'Ed25519', bytes: publicKey });
  });

  it('has the letters and the length of its type for every key', () => {
    const [lowest, highest] = [new Uint8Array(32), new Uint8Array(32).fill(0xff)];
    for (const rest of [lowest, highest]) {
      expect(didFromPublicKey(rest)).toMatch(/^did:key:z6Mk.{44}$/);
      for (const form of [2, 3])
        expect(didFromPublicKey(Uint8Array.of(form, ...rest), 'P-256')).toMatch(/^did:key:zDn.{46}$/);
    }
    expect(MAX_DID_LENGTH).toBe(p256Did.length);
  });

  it('refuses P-256 keys in any other form, off the curve, of another length or with altered characters', () => {
    const uncompressed = Uint8Array.of(4, ...p256Point.subarray(1), ...new Uint8Array(32));
    const off = p256Point.map((byte, i) => (i === 32 ? byte ^ 4 : byte)); // this x has no point
    for (const bad of [
      didFromPublicKey(uncompressed, 'P-256'),
      didFromPublicKey(off, 'P-256'),
      didFromPublicKey(Uint8Array.of(4, ...p256Point.subarray(1)), 'P-256'),
      didFromPublicKey(Uint8Array.of(2, ...new Uint8Array(32).fill(0xff)), 'P-256'),
      didFromPublicKey(p256Point.subarray(1), 'P-256'),
      didFromPublicKey(p256Point), // a P-256 key said to be Ed25519
      didFromPublicKey(publicKey, 'P-256'),
      `${p256Did}1`,
      p256Did.slice(0, -1),
      p256Did.replace('did:key:zDn', 'did:key:z1Dn'),
      p256Did.replace('did:key:zDn', 'did:key:zDN'),
      p256Did.replace('did:key:z', 'did:key:'),
      p256Did.replace('did:key:z', 'did:key:Z'),
      `${p256Did.slice(0, -1)}0`,
      ` ${p256Did}`,
      'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme', // secp256k1
      'did:key:z82Lm1MpAkeJcix9K8TMiLd5NMAhnwkjjCBeWHXyu3U4oT2MVJJKXkcVBgjGhnLBn2Kaau9', // P-384
    ])
      expect(() => publicKeyFromDid(bad), bad).toThrow(expect.objectContaining({ code: 'DID_INVALID' }));
  });

  it('refuses other methods, other keys, other lengths and altered characters', () => {
    for (const bad of [
      '',
      'did:web:example.com',
      `${did}1`,
      did.slice(0, -1),
      did.replace('z6Mk', 'z6M0'),
      `did:key:z1${did.slice(10)}`,
    ])
      expect(() => publicKeyFromDid(bad)).toThrow(expect.objectContaining({ code: 'DID_INVALID' }));
  });
});

describe('SenML', () => {
  it('decodes what it encodes', () => {
    fc.assert(
      fc.property(pack, (p) => {
        expect(decodePack(encodePack(p))).toEqual(p.map((r) => ({ ...r })));
      }),
      { numRuns: 1_000, seed: 5 },
    );
  });

  it('refuses base fields, unknown labels, two values, no value, names twice, and packs that are no packs', () => {
    const m = (...pairs: [number, string | number | boolean][]) => new Map(pairs);
    for (const bad of [
      [],
      new Map(),
      [1],
      [m([-2, 'x'], [0, 'a'], [2, 1])],
      [m([0, 'a'], [2, 1], [5, 1])],
      [m([0, 'a'], [2, 1], [3, 'x'])],
      [m([0, 'a'])],
      [m([2, 1])],
      [m([0, ''], [2, 1])],
      [m([0, 'a\n'], [2, 1])],
      [m([0, 'a'], [2, 'x'])],
      [m([0, 'a'], [2, 1]), m([0, 'a'], [2, 2])],
      [m([0, 'a'], [2, 1], [6, 5]), m([0, 'a'], [2, 2], [6, 5])],
      [m([0, 'a'], [2, 1], [6, 5.5])],
    ])
      expect(() => decodePack(encodeCbor(bad))).toThrow(expect.objectContaining({ code: 'SENML_INVALID' }));
  });

  it('takes the same name at different times, as a day profile has it', () => {
    const day = Array.from({ length: 25 }, (_, h) => ({
      n: '1-0:2.8.0',
      u: 'Wh',
      v: h * 1000,
      t: 1_790_000_000 + h * 3600,
    }));
    expect(decodePack(encodePack(day))).toEqual(day);
  });

  it('resolves the base fields of legacy JSON and CBOR (RFC 8428 section 4)', () => {
    const json =
      '[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1.276020076e9,"bu":"A","bver":10,"n":"voltage","u":"V","v":120.1},{"n":"current","t":-5,"v":1.2}]';
    const resolved = [
      { n: 'urn:dev:ow:10e2073a01080063:voltage', u: 'V', v: 120.1, t: 1_276_020_076 },
      { n: 'urn:dev:ow:10e2073a01080063:current', u: 'A', v: 1.2, t: 1_276_020_071 },
    ];
    expect(resolveLegacy(Buffer.from(json))).toEqual(resolved);
    const cbor = encodeCbor([
      new Map<number, string | number>([
        [-2, 'urn:dev:ow:10e2073a01080063:'],
        [-3, 1_276_020_076],
        [-4, 'A'],
        [0, 'voltage'],
        [1, 'V'],
        [2, 120.1],
      ]),
      new Map<number, string | number>([
        [0, 'current'],
        [6, -5],
        [2, 1.2],
      ]),
    ]);
    expect(resolveLegacy(cbor)).toEqual(resolved);
  });

  it('refuses legacy input that it would have to guess at', () => {
    for (const bad of [
      '',
      '{}',
      '[]',
      '[1]',
      '[{"n":"a"}]',
      '[{"n":"a","v":1,"s":2}]',
      '[{"n":"a","v":"1"}]',
      '[{"n":"a","v":1,"x":2}]',
      '[{"n":"a","v":1,"bver":11}]',
      '[{"n":"a","v":1e300}]',
      '[{"n":"a","v":1},{"n":"a","v":2}]',
      '\u0000',
      '[{"n":"a","v":1}',
      '[{"n":"a","vd":"!"}]',
    ])
      expect(() => resolveLegacy(Buffer.from(bad))).toThrow(expect.objectContaining({ code: 'SENML_INVALID' }));
  });
});

describe('envelope', () => {
  it('decodes what it encodes, and its signature verifies', () => {
    fc.assert(
      fc.property(pack, fc.nat(4294967295), fc.nat(4294967295), fc.nat(2_000_000_000), (p, epoch, seq, iat) => {
        const bytes = encodeEnvelope({ ...claims, epoch, seq, iat }, p, sign);
        const e = decodeEnvelope(bytes);
        expect(e).toMatchObject({ iss: did, sub: claims.sub, iat, epoch, seq, alg: -19 });
        expect(e.records).toEqual(p.map((r) => ({ ...r })));
      }),
      { numRuns: 200, seed: 6 },
    );
    const e = decodeEnvelope(encodeEnvelope(claims, records, sign));
    expect(verifyEd25519(e.signature, e.signed, publicKey)).toBe(true);
  });

  it('has the bytes that the design gives for a meter', () => {
    const bytes = encodeEnvelope(claims, [{ n: '1-0:1.8.0', u: 'Wh', v: 123_456 }], () => new Uint8Array(64));
    expect(Buffer.from(bytes).toString('hex')).toMatchInlineSnapshot(
      `"d2845869a301320318700fa40178386469643a6b65793a7a364d6b76447147543534635865735947764142704631556170564e776a43715263616669345078365468763554335a027475726e3a73656a6f6e673a6d703a303030313233061a6ab13b8007480000000300000011a05781a30069312d303a312e382e3001625768021a0001e240584000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"`,
    );
  });

  it('has alg -9 where iss is the DID of a P-256 key, and its signature verifies as that and as nothing else', () => {
    const own = { ...claims, iss: p256Did };
    const bytes = encodeEnvelope(own, records, signEsp256);
    const e = decodeEnvelope(bytes);
    expect(e.alg).toBe(-9);
    verifyEnvelope(e);
    expect(Buffer.from(encodeEnvelope(own, records, signEsp256)).equals(bytes), 'RFC 6979').toBe(true);
    const failing = (envelope: Uint8Array) => {
      try {
        verifyEnvelope(decodeEnvelope(envelope));
      } catch (error) {
        return (error as { code: string }).code;
      }
      return undefined;
    };
    verifyEnvelope(decodeEnvelope(encodeEnvelope({ ...claims, alg: -8 }, records, sign)));
    // Whatever signed it: the key in iss says which alg there may be.
    for (const signer of [sign, signEsp256]) {
      expect(failing(encodeEnvelope({ ...claims, alg: -9 }, records, signer))).toBe('ALG_MISMATCH');
      expect(failing(encodeEnvelope({ ...own, alg: -19 }, records, signer))).toBe('ALG_MISMATCH');
      expect(failing(encodeEnvelope({ ...own, alg: -8 }, records, signer))).toBe('ALG_MISMATCH');
    }
    expect(failing(encodeEnvelope(own, records, sign))).toBe('SIGNATURE_INVALID');
  });

  it('is refused with alg -7 (ES256), and told to say -9', () => {
    const sign1 = decodeSign1(encodeEnvelope({ ...claims, iss: p256Did }, records, signEsp256));
    const protectedHeader = Uint8Array.from(sign1.protectedHeader);
    expect(protectedHeader.subarray(0, 3)).toEqual(Uint8Array.of(0xa3, 0x01, 0x28));
    protectedHeader[2] = 0x26;
    expect(() => decodeEnvelope(encodeSign1({ ...sign1, protectedHeader }))).toThrow(
      expect.objectContaining({ code: 'ALG_MISMATCH', detail: expect.stringContaining('-9 (ESP256)') }),
    );
  });

  it.each([
    ['Ed25519', claims, sign],
    ['P-256', { ...claims, iss: p256Did }, signEsp256],
  ] as const)('%s: any byte changed is refused or fails to verify, wherever it is', (_, own, signer) => {
    const bytes = encodeEnvelope(own, records, signer);
    let refused = 0;
    for (let at = 0; at < bytes.length; at++)
      for (const flip of [0x01, 0x80, 0xff]) {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] as number) ^ flip;
        let e: ReturnType<typeof decodeEnvelope>;
        try {
          e = decodeEnvelope(changed);
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^(CBOR|ENVELOPE|SENML)_INVALID|ALG_MISMATCH$/);
          refused++;
          continue;
        }
        // What decodes must be the only encoding of what it says ...
        expect(Buffer.from(encodeEnvelope(e, e.records, () => e.signature)).equals(changed)).toBe(true);
        // ... and says something else than the device signed.
        if (at % 7 === 0)
          expect(() => verifyEnvelope(e)).toThrow(
            expect.objectContaining({ code: expect.stringMatching(/^(DID|SIGNATURE)_INVALID|ALG_MISMATCH$/) }),
          );
      }
    expect(refused).toBeGreaterThan(bytes.length);
  });

  it('is refused over 65,535 bytes, and with a counter that does not fit', () => {
    const big = [{ n: 'a', vd: new Uint8Array(65_600) }];
    expect(() => encodeEnvelope(claims, big, sign)).toThrow(expect.objectContaining({ code: 'ENVELOPE_TOO_LARGE' }));
    expect(() => decodeEnvelope(new Uint8Array(65_536))).toThrow(
      expect.objectContaining({ code: 'ENVELOPE_TOO_LARGE' }),
    );
    for (const seq of [-1, 2 ** 32, 0.5])
      expect(() => encodeEnvelope({ ...claims, seq }, records, sign)).toThrow(
        expect.objectContaining({ code: 'ENVELOPE_INVALID' }),
      );
  });
});
