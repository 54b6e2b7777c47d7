import { encode as cborgEncode, rfc8949EncodeOptions } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborValue, decodeCbor, encodeCbor } from '../../edge/wire/cbor.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

const scalar: fc.Arbitrary<CborValue> = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 70_000 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Number.isInteger(x)),
  fc.float({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Number.isInteger(x)),
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 300 }),
);
const value: fc.Arbitrary<CborValue> = fc.letrec<{ any: CborValue }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true, maxDepth: 4 },
    scalar,
    fc.array(tie('any'), { maxLength: 6 }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(fc.integer(), fc.string({ maxLength: 30 })), tie('any')), {
        maxLength: 6,
        selector: ([key]) => `${typeof key}${key}`,
      })
      .map((pairs) => new Map(pairs)),
  ),
})).any;

describe('deterministic CBOR', () => {
  it('decodes what it encodes', () => {
    fc.assert(
      fc.property(value, (v) => {
        const bytes = encodeCbor(v);
        const again = decodeCbor(bytes);
        expect(Buffer.from(encodeCbor(again)).equals(bytes)).toBe(true);
      }),
      { numRuns: 2_000, seed: 1 },
    );
  });

  it('encodes as cborg does, but for half-precision subnormals, which cborg writes too long', () => {
    const hasSubnormal = (v: CborValue): boolean =>
      typeof v === 'number'
        ? v !== 0 && Math.abs(v) < 2 ** -14 && Math.f16round(v) === v
        : v instanceof Map
          ? [...v.values()].some(hasSubnormal)
          : Array.isArray(v) && v.some(hasSubnormal);
    fc.assert(
      fc.property(value, (v) => {
        if (!hasSubnormal(v))
          expect(Buffer.from(encodeCbor(v)).toString('hex')).toBe(
            Buffer.from(cborgEncode(v, rfc8949EncodeOptions)).toString('hex'),
          );
      }),
      { numRuns: 3_000, seed: 9 },
    );
    expect(Buffer.from(encodeCbor(257 * 2 ** -24)).toString('hex')).toBe('f90101');
  });

  it('has no form for numbers that it would have to bend', () => {
    for (const n of [Number.NaN, Infinity, -0, 2 ** 53, -(2 ** 53), 1e300])
      expect(() => encodeCbor(n)).toThrow(RangeError);
  });

  it('refuses any other bytes, or decodes them to something that encodes to the same bytes', () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(255), fc.nat(3), (v, where, byte, kind) => {
        let bytes = Uint8Array.from(encodeCbor(v));
        const at = where % bytes.length;
        if (kind === 0) bytes[at] = byte;
        else if (kind === 1) bytes = bytes.slice(0, at);
        else if (kind === 2) bytes = Uint8Array.from([...bytes.slice(0, at), byte, ...bytes.slice(at)]);
        else bytes[at] = (bytes[at] as number) ^ (1 << (byte % 8));
        let decoded: CborValue;
        try {
          decoded = decodeCbor(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CBOR_INVALID' });
          return;
        }
        expect(Buffer.from(encodeCbor(decoded)).toString('hex')).toBe(Buffer.from(bytes).toString('hex'));
      }),
      { numRuns: 40_000, seed: 2 },
    );
  });

  it('never does anything but decode or refuse on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          const decoded = decodeCbor(bytes);
          expect(Buffer.from(encodeCbor(decoded)).equals(bytes)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CBOR_INVALID' });
        }
      }),
      { numRuns: 20_000, seed: 3 },
    );
  });

  for (const [why, bytes] of [
    ['an integer in a long form', '1817'],
    ['a length in a long form', '5801ff'],
    ['an indefinite array', '9f01ff'],
    ['an indefinite string', '5f4101ff'],
    ['keys out of order', 'a202000100'],
    ['a key twice', 'a201000100'],
    ['a tag', 'c100'],
    ['undefined', 'f7'],
    ['an integral float', 'f93c00'],
    ['minus zero', 'f98000'],
    ['NaN', 'f97e00'],
    ['a float32 that fits a float16', 'fa3fc00000'],
    ['a float64 that fits a float32', 'fb3ff8000000000000'],
    ['an integer of 2^53', '1b0020000000000000'],
    ['a negative integer of -2^53', '3b001fffffffffffff'],
    ['text that is not UTF-8', '61ff'],
    ['a byte too many', '0000'],
    ['a byte too few', '4201'],
    ['a huge length', '9affffffff'],
    ['a byte string as a key', 'a1410100'],
    ['nothing', ''],
    ['more levels than allowed', `${'81'.repeat(9)}00`],
  ] as const)
    it(`refuses ${why}`, () => {
      expect(() => decodeCbor(hex(bytes))).toThrow(expect.objectContaining({ code: 'CBOR_INVALID' }));
    });
});
