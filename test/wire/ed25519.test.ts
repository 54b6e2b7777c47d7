import { Point } from '@noble/ed25519';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyInPool, verifyKey } from '../../edge/intake/verify.ts';
import { checkPublicKey, publicKeyOf, signatureFlaw, signEd25519, verifyEd25519 } from '../../edge/wire/ed25519.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const P = 2n ** 255n - 19n;
const littleEndian = (n: bigint) => hex(n.toString(16).padStart(64, '0')).reverse();
const fromLittleEndian = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);

/** The verifier of the hot path, with the check of the key that comes before it there. */
const hotPath = async (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => {
  if (checkPublicKey(publicKey)) return false;
  const key = verifyKey({ type: 'Ed25519', bytes: publicKey });
  return new Promise<boolean>((resolve) => verifyInPool(key, { alg: -19, signed: message, signature }, resolve));
};
const both = async (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => {
  const noble = verifyEd25519(signature, message, publicKey);
  expect(await hotPath(signature, message, publicKey)).toBe(noble);
  return noble;
};

/** RFC 8032 section 7.1: secret key, public key, message, signature. */
const rfc8032 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  ],
] as const;

/** A point of order 8, found by clearing the prime-order part of a point outside the subgroup. */
const torsion = (() => {
  for (let y = 2n; ; y++) {
    try {
      // 8-torsion only: multiply by L.
      let candidate = Point.ZERO;
      let addend = Point.fromBytes(littleEndian(y), false);
      for (let n = L; n > 0n; n >>= 1n) {
        if (n & 1n) candidate = candidate.add(addend);
        addend = addend.double();
      }
      if (!candidate.double().double().is0()) return candidate;
    } catch {
      // not a point, try the next y
    }
  }
})();
const smallOrder = Array.from({ length: 8 }, (_, i) => {
  let p = Point.ZERO;
  for (let j = 0; j < i; j++) p = p.add(torsion);
  return p;
});

const secret = hex(rfc8032[0][0]);
const publicKey = publicKeyOf(secret);
const message = new TextEncoder().encode('one kilowatt hour');
const signature = signEd25519(message, secret);

describe('Ed25519, strict', () => {
  it('takes the vectors of RFC 8032', async () => {
    for (const [sk, pk, msg, sig] of rfc8032) {
      expect(Buffer.from(publicKeyOf(hex(sk))).toString('hex')).toBe(pk);
      expect(Buffer.from(signEd25519(hex(msg), hex(sk))).toString('hex')).toBe(sig);
      expect(await both(hex(sig), hex(msg), hex(pk))).toBe(true);
    }
  });

  it('refuses keys of small order, in canonical and other forms', async () => {
    const encodings = smallOrder.map((p) => Uint8Array.from(p.toBytes()));
    // y >= p, and x = 0 with the sign bit: the other forms that lax decoders take.
    for (const y of [0n, 1n]) {
      encodings.push(littleEndian(y + P));
      encodings.push(littleEndian((y + P) | (1n << 255n)));
    }
    encodings.push(littleEndian(1n | (1n << 255n)), littleEndian((P - 1n) | (1n << 255n)));
    // With R = [S]B and A of small order, a lax verifier takes one signature for (nearly) any message.
    const forged = new Uint8Array(64);
    forged.set(Point.BASE.multiply(5n).toBytes());
    forged.set(littleEndian(5n), 32);
    for (const key of encodings) {
      expect(checkPublicKey(key)).toBeDefined();
      expect(await both(forged, message, key)).toBe(false);
    }
  });

  it('refuses a key with a part of small order', async () => {
    for (const p of smallOrder.slice(1)) {
      const mixed = Uint8Array.from(Point.fromBytes(publicKey).add(p).toBytes());
      expect(checkPublicKey(mixed)).toBe('the key is not of prime order');
      expect(await both(signature, message, mixed)).toBe(false);
    }
  });

  it('refuses S + L, and every S that is not below L', async () => {
    const s = fromLittleEndian(signature.subarray(32));
    for (const other of [s + L, L, L + 1n, 2n ** 256n - 1n, s + 8n * L].filter((n) => n < 2n ** 256n)) {
      const bad = Uint8Array.from([...signature.subarray(0, 32), ...littleEndian(other)]);
      expect(signatureFlaw(bad)).toBe('S is not below the group order');
      expect(await both(bad, message, publicKey)).toBe(false);
    }
    expect(signatureFlaw(Uint8Array.from([...signature.subarray(0, 32), ...littleEndian(L - 1n)]))).toBeUndefined();
  });

  it('refuses R with a part of small order, even with the S that the signer could compute for it', async () => {
    // The signer knows a, so can make S fit any R up to torsion: verifiers that multiply by the cofactor take it.
    const { sha512 } = await import('@noble/hashes/sha2.js');
    const a = fromLittleEndian(clamp(sha512(secret)));
    for (const p of smallOrder) {
      const r = 987654321n;
      const R = Point.BASE.multiply(r).add(p).toBytes();
      const k = fromLittleEndian(sha512(Uint8Array.from([...R, ...publicKey, ...message]))) % L;
      const bad = Uint8Array.from([...R, ...littleEndian((r + k * a) % L)]);
      expect(await both(bad, message, publicKey)).toBe(p.is0());
    }
  });

  it('refuses R of small order and R in a non-canonical form', async () => {
    const { sha512 } = await import('@noble/hashes/sha2.js');
    const a = fromLittleEndian(clamp(sha512(secret)));
    const encodings = smallOrder.map((p) => Uint8Array.from(p.toBytes()));
    encodings.push(littleEndian(1n + P), littleEndian(P), littleEndian(1n | (1n << 255n)));
    for (const R of encodings) {
      const k = fromLittleEndian(sha512(Uint8Array.from([...R, ...publicKey, ...message]))) % L;
      const bad = Uint8Array.from([...R, ...littleEndian((k * a) % L)]);
      expect(await both(bad, message, publicKey)).toBe(false);
    }
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
      { numRuns: 300, seed: 4 },
    );
  });
});

function clamp(hash: Uint8Array): Uint8Array {
  const h = Uint8Array.from(hash.subarray(0, 32));
  h[0] = (h[0] as number) & 248;
  h[31] = ((h[31] as number) & 127) | 64;
  return h;
}
