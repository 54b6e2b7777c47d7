import { describe, expect, it } from 'vitest';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { VERIFIERS } from '../../edge/wire/keys.ts';
import { didOf, fastSigner, makeSigner, newSecretKey } from '../../firmware-sim/signer.ts';

const messages = Array.from({ length: 12 }, (_, i) => new Uint8Array(40 + i).fill(i));

describe.each(['Ed25519', 'P-256'] as const)('a device with an %s key', (keyType) => {
  const key = { keyType, secretKey: newSecretKey(keyType, 'a seed') };
  const { type, bytes } = publicKeyFromDid(didOf(key));
  const { verify } = VERIFIERS[keyType];

  it('has the same key again for the same seed, and another for another or none', () => {
    expect(type).toBe(keyType);
    expect(newSecretKey(keyType, 'a seed')).toEqual(key.secretKey);
    const others = [newSecretKey(keyType, 'another'), newSecretKey(keyType), newSecretKey(keyType)];
    expect(new Set([key.secretKey, ...others].map((k) => Buffer.from(k).toString('hex'))).size).toBe(4);
    expect(others.every((k) => k.length === 32)).toBe(true);
  });

  it('signs the same message with the same bytes, and every way of signing verifies', () => {
    const [sign, again, fast] = [makeSigner(key), makeSigner(key), fastSigner(key)];
    for (const m of messages) {
      expect(sign(m)).toEqual(again(m));
      expect(verify(sign(m), m, bytes)).toBe(true);
      // OpenSSL's twin may be either one: half of these would be refused as they come.
      expect(verify(fast(m), m, bytes)).toBe(true);
    }
  });
});
