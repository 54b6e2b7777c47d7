/** How a device signs. A real one asks its secure element; these two do without. */
import { createPrivateKey, hash, randomBytes, sign } from 'node:crypto';
import { didFromPublicKey } from '../edge/wire/did.ts';
import { publicKeyOf, signEd25519 } from '../edge/wire/ed25519.ts';
import type { KeyType } from '../edge/wire/keys.ts';
import { lowS, p256PublicKeyOf, p256SecretKey, signP256 } from '../edge/wire/p256.ts';

/** `secretKey`: the seed of RFC 8032 section 5.1.5; for P-256 a number of 1 to n - 1, 32 bytes, big-endian. */
export type SecretKey = { keyType: KeyType; secretKey: Uint8Array };
export type Sign = (message: Uint8Array) => Uint8Array;

/** @param seed whoever knows it knows the key; without one it is random */
export function newSecretKey(keyType: KeyType, seed?: string): Uint8Array {
  if (keyType === 'Ed25519')
    return seed === undefined ? randomBytes(32) : new Uint8Array(hash('sha256', seed, 'buffer'));
  return p256SecretKey(seed === undefined ? randomBytes(48) : hash('sha512', seed, 'buffer').subarray(0, 48));
}

export const didOf = ({ keyType, secretKey }: SecretKey): string =>
  didFromPublicKey(keyType === 'Ed25519' ? publicKeyOf(secretKey) : p256PublicKeyOf(secretKey), keyType);

/** The same message has the same signature (for P-256 by RFC 6979), so that a seeded run repeats to the byte. */
export const makeSigner = ({ keyType, secretKey }: SecretKey): Sign =>
  keyType === 'Ed25519' ? (m) => signEd25519(m, secretKey) : (m) => signP256(m, secretKey);

/** PKCS #8 but for the key: RFC 8410 section 7; RFC 5958 around RFC 5915 without the public key. */
const PKCS8_HEADS: Readonly<Record<KeyType, string>> = {
  Ed25519: '302e020100300506032b657004220420',
  'P-256': '3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420',
};

/** By OpenSSL, for speed. Its ECDSA draws a random nonce, and takes either twin, as secure elements do. */
export function fastSigner({ keyType, secretKey }: SecretKey): Sign {
  const der = Buffer.concat([Buffer.from(PKCS8_HEADS[keyType], 'hex'), secretKey]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  if (keyType === 'Ed25519') return (message) => sign(null, message, key);
  return (message) => lowS(sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' }));
}
