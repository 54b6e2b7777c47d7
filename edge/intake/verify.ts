/**
 * Ed25519 verification in libuv's thread pool: the hot path's verifier. The rule is the one of
 * wire/ed25519.ts; OpenSSL checks S and recomputes R byte for byte, so with a key that publicKeyFromDid
 * let through, signatureFlaw is all that is missing (test/wire/ed25519.test.ts holds both against each other).
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { signatureFlaw } from '../wire/ed25519.ts';

/** @param publicKey 32 bytes that checkPublicKey finds no flaw in */
export const verifyKey = (publicKey: Uint8Array): KeyObject =>
  createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') },
    format: 'jwk',
  });

/** Calls back later, on the event loop, with whether the signature is valid. */
export function verifyInPool(
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
  done: (valid: boolean) => void,
): void {
  if (signatureFlaw(signature)) {
    setImmediate(done, false);
    return;
  }
  verify(null, signed, key, signature, (error, valid) => done(!error && valid));
}
