import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../edge/wire/cbor.ts';
import { didFromPublicKey, publicKeyFromDid } from '../../edge/wire/did.ts';
import { publicKeyOf, signEd25519, verifyEd25519 } from '../../edge/wire/ed25519.ts';
import { type Claims, decodeEnvelope, encodeEnvelope } from '../../edge/wire/envelope.ts';
import { decodePack, encodePack, resolveLegacy, type SenmlRecord } from '../../edge/wire/senml.ts';

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

  it('any byte changed is refused or fails to verify, wherever it is', () => {
    const bytes = encodeEnvelope(claims, records, sign);
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
        if (at % 7 === 0) expect(verifyEd25519(e.signature, e.signed, publicKey)).toBe(false);
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
