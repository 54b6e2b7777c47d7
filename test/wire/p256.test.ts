import { createHash, createPrivateKey, sign } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyInPool, verifyKey } from '../../edge/intake/verify.ts';
import { ALG_ESP256 } from '../../edge/wire/cose.ts';
import {
  checkP256PublicKey,
  lowS,
  p256PublicKeyOf,
  p256SecretKey,
  p256SignatureFlaw,
  signP256,
  verifyP256,
} from '../../edge/wire/p256.ts';

const { Point } = p256;
const { p: P, n: N } = Point.CURVE();
const HALF = N >> 1n;

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const be = (n: bigint) => hex(n.toString(16).padStart(64, '0'));
const num = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`);
const pair = (r: bigint, s: bigint) => Uint8Array.from([...be(r), ...be(s)]);
const mod = (n: bigint) => ((n % N) + N) % N;
const inverse = (n: bigint) => Point.Fn.inv(mod(n));
const times = (point: typeof Point.BASE, n: bigint) => (mod(n) === 0n ? Point.ZERO : point.multiply(mod(n)));

/** The verifier of the hot path, with the check of the key that comes before it there. */
const hotPath = async (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => {
  if (checkP256PublicKey(publicKey)) return false;
  const key = verifyKey({ type: 'P-256', bytes: publicKey });
  return new Promise<boolean>((resolve) => verifyInPool(key, { alg: ALG_ESP256, signed: message, signature }, resolve));
};
/** What both implementations say, who must say the same. */
const both = async (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => {
  const noble = verifyP256(signature, message, publicKey);
  expect(await hotPath(signature, message, publicKey)).toBe(noble);
  return noble;
};

const secret = hex('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721');
const publicKey = p256PublicKeyOf(secret);
const message = new TextEncoder().encode('one kilowatt hour');
const signature = signP256(message, secret);
const z = num(new Uint8Array(createHash('sha256').update(message).digest()));

/** The key for which (r, s) is a signature of the message, R being a point with x = r mod n (SEC 1 section 4.1.6). */
const keyFor = (R: typeof Point.BASE, r: bigint, s: bigint) => {
  const Q = times(times(R, s).add(times(Point.BASE, z).negate()), inverse(r));
  return Uint8Array.from(Q.toBytes(true));
};
/** The first x from `x` on that has a point. */
const pointFrom = (from: bigint): [bigint, typeof Point.BASE] => {
  for (let x = from; ; x++)
    try {
      return [x, Point.fromBytes(Uint8Array.from([2, ...be(x)]))];
    } catch {
      // no point there, try the next
    }
};

/** RFC 6979 appendix A.2.5, SHA-256: message, r, s. The first s is above half of n. */
const rfc6979 = [
  [
    'sample',
    'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716',
    'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
  ],
  [
    'test',
    'f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367',
    '019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
  ],
] as const;

describe('ECDSA on P-256, strict', () => {
  it('makes and takes the vectors of RFC 6979, of two twins the one with the low s', async () => {
    expect(toHex(publicKey)).toBe('0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6');
    for (const [text, r, s] of rfc6979) {
      const m = new TextEncoder().encode(text);
      const standard = hex(r + s);
      const ours = signP256(m, secret);
      expect(toHex(ours)).toBe(toHex(lowS(standard)));
      expect(await both(ours, m, publicKey)).toBe(true);
      expect(await both(standard, m, publicKey)).toBe(num(hex(s)) <= HALF);
    }
  });

  it('refuses the twin (r, n - s) that anybody can make of a signature, though ECDSA has it valid', async () => {
    const twin = pair(num(signature.subarray(0, 32)), N - num(signature.subarray(32)));
    expect(p256.verify(twin, message, publicKey, { lowS: false })).toBe(true);
    expect(p256SignatureFlaw(twin)).toBe('s is above half of the group order (send n - s)');
    expect(await both(signature, message, publicKey)).toBe(true);
    expect(await both(twin, message, publicKey)).toBe(false);
    expect(toHex(lowS(twin))).toBe(toHex(signature));
    expect(toHex(lowS(signature))).toBe(toHex(signature));
  });

  it('takes every s from 1 to half of n, and none from there on, with keys for which they all are right', async () => {
    const R = Point.BASE.multiply(123456789n);
    const r = mod(R.toAffine().x);
    for (const s of [1n, 2n, 255n, 256n, HALF - 1n, HALF]) {
      expect(await both(pair(r, s), message, keyFor(R, r, s)), `${s}`).toBe(true);
      expect(p256.verify(pair(r, N - s), message, keyFor(R, r, N - s), { lowS: false })).toBe(true);
      expect(await both(pair(r, N - s), message, keyFor(R, r, N - s)), `n - ${s}`).toBe(false);
    }
  });

  it('takes r at its lowest, and r of a point whose x is above n; but never x itself there', async () => {
    const [low, lowPoint] = pointFrom(1n);
    expect(await both(pair(low, 77n), message, keyFor(lowPoint, low, 77n))).toBe(true);
    const [x, R] = pointFrom(N + 1n);
    expect(x).toBeLessThan(P);
    expect(await both(pair(x - N, 77n), message, keyFor(R, x - N, 77n))).toBe(true);
    expect(await both(pair(x, 77n), message, keyFor(R, x - N, 77n))).toBe(false);
  });

  it('refuses r and s of 0, n, n + 1 and above, and other numbers that are the same modulo n', async () => {
    const [r, s] = [num(signature.subarray(0, 32)), num(signature.subarray(32))];
    const outside = [0n, N, N + 1n, P - 1n, P, P + 1n, 2n ** 256n - 1n];
    for (const bad of [...outside, r + N].filter((n) => n < 2n ** 256n))
      expect(await both(pair(bad, s), message, publicKey), `r ${bad}`).toBe(false);
    for (const bad of [...outside, s + N, HALF + 1n, N - 1n].filter((n) => n < 2n ** 256n)) {
      expect(p256SignatureFlaw(pair(r, bad)), `s ${bad}`).toBeDefined();
      expect(await both(pair(r, bad), message, publicKey), `s ${bad}`).toBe(false);
    }
    for (const [a, b] of [
      [0n, 0n],
      [0n, 1n],
      [1n, 0n],
      [N, N],
      [1n, 1n],
      [N - 1n, 1n],
      [s, r],
    ] as const)
      expect(await both(pair(a, b), message, publicKey)).toBe(false);
  });

  it('agrees where the two halves of the sum meet: one point twice is taken, a point and its opposite are not', async () => {
    // u1 G and u2 Q with u1 = z/s, u2 = r/s. The same point: d = z/r, so that R = 2 u1 G.
    const k = 987654321n;
    const r = mod(Point.BASE.multiply(k).toAffine().x);
    const d = mod(z * inverse(r));
    const same = lowS(pair(r, mod(2n * z * inverse(k))));
    expect(await both(same, message, p256PublicKeyOf(be(d)))).toBe(true);
    // The opposite: d = -z/r, and the sum is the point at infinity, whatever s is.
    for (const s of [1n, 2n, HALF]) expect(await both(pair(r, s), message, p256PublicKeyOf(be(N - d)))).toBe(false);
    // Q = G and Q = -G, which some ladders stumble on.
    for (const one of [1n, N - 1n]) {
      const sig = signP256(message, be(one));
      expect(await both(sig, message, p256PublicKeyOf(be(one)))).toBe(true);
      expect(await both(sig, message, p256PublicKeyOf(be(N - one)))).toBe(false);
    }
  });

  it('refuses signatures that are not 64 bytes, among them DER', async () => {
    const jwk = { kty: 'EC', crv: 'P-256', d: toBase64url(secret), ...coordinates(publicKey) };
    const der = sign('sha256', message, createPrivateKey({ key: jwk, format: 'jwk' }));
    for (const bad of [der, signature.subarray(1), Uint8Array.from([...signature, 0]), new Uint8Array(0)])
      expect(await both(Uint8Array.from(bad), message, publicKey)).toBe(false);
  });

  it('refuses keys that are not on the curve, the identity, and every form but the compressed one', async () => {
    const uncompressed = Uint8Array.from(Point.fromBytes(publicKey).toBytes(false));
    const hybrid = Uint8Array.from(uncompressed);
    hybrid[0] = 6 | (publicKey[0] as number & 1);
    const offCurve = Array.from({ length: 64 }, (_, i) => Uint8Array.from([2, ...be(BigInt(i))])).filter(
      (key) => checkP256PublicKey(key) !== undefined,
    );
    expect(offCurve.length, 'about half of all x have no point').toBeGreaterThan(16);
    const bad: [string, Uint8Array][] = [
      ['uncompressed', uncompressed],
      ['hybrid', hybrid],
      ['x and y without a form', uncompressed.subarray(1)],
      ['x alone', publicKey.subarray(1)],
      ['the identity', Uint8Array.of(0)],
      ['the identity, padded', new Uint8Array(33)],
      ['x of p', Uint8Array.from([2, ...be(P)])],
      ['x of p + a smaller x', Uint8Array.from([2, ...be(P + pointFrom(1n)[0])])],
      ['x of 2^256 - 1', Uint8Array.from([3, ...be(2n ** 256n - 1n)])],
      ...[0, 1, 4, 5, 6, 7, 0x82].map((form): [string, Uint8Array] => [
        `form ${form}`,
        Uint8Array.from([form, ...publicKey.subarray(1)]),
      ]),
      ['a byte more', Uint8Array.from([...publicKey, 0])],
      ['nothing', new Uint8Array(0)],
      ...offCurve.map((key): [string, Uint8Array] => ['not on the curve', key]),
    ];
    for (const [why, key] of bad) {
      expect(checkP256PublicKey(key), why).toBeDefined();
      expect(await both(signature, message, key), why).toBe(false);
      // OpenSSL, asked without our check, says the same of all that has the length.
      if (key.length === 33) expect(() => verifyKey({ type: 'P-256', bytes: key }), why).toThrow();
    }
  });

  it('takes either y of an x, and the other one is another key', async () => {
    const other = Uint8Array.from(publicKey);
    other[0] = (other[0] as number) ^ 1;
    expect(checkP256PublicKey(other)).toBeUndefined();
    expect(await both(signature, message, other)).toBe(false);
    expect(await both(signP256(message, be(N - num(secret))), message, other)).toBe(true);
  });

  it('agrees with node:crypto on altered signatures, messages and keys', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(2), fc.nat(63), fc.integer({ min: 1, max: 255 }), async (what, at, flip) => {
        const sig = Uint8Array.from(signature);
        const msg = Uint8Array.from(message);
        const key = Uint8Array.from(publicKey);
        const target = [sig, msg, key][what] as Uint8Array;
        target[at % target.length] = (target[at % target.length] as number) ^ flip;
        expect(await both(sig, msg, key)).toBe(false);
      }),
      { numRuns: 200, seed: 14 },
    );
  });

  it('agrees with node:crypto on what node:crypto signs, of which about half must be lowered first', async () => {
    let high = 0;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 48, maxLength: 48 }), fc.uint8Array(), async (random, msg) => {
        const sk = p256SecretKey(random);
        const pk = p256PublicKeyOf(sk);
        const jwk = { kty: 'EC', crv: 'P-256', d: toBase64url(sk), ...coordinates(pk) };
        const key = { key: createPrivateKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const;
        const raw = new Uint8Array(sign('sha256', msg, key));
        const isHigh = num(raw.subarray(32)) > HALF;
        if (isHigh) high++;
        expect(await both(raw, msg, pk)).toBe(!isHigh);
        expect(await both(lowS(raw), msg, pk)).toBe(true);
      }),
      { numRuns: 40, seed: 15 },
    );
    expect(high).toBeGreaterThan(0);
  });
});

const toBase64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

function coordinates(compressed: Uint8Array) {
  const { x, y } = Point.fromBytes(compressed).toAffine();
  return { x: toBase64url(be(x)), y: toBase64url(be(y)) };
}
