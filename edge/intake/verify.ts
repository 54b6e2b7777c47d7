/**
 * Verification in libuv's thread pool: the hot path's verifier. The rules are those of wire/ed25519.ts and
 * wire/p256.ts; with a key that publicKeyFromDid let through, signatureFlaw is all that OpenSSL leaves out of them:
 * for Ed25519 it checks S and recomputes R byte for byte, for ECDSA it takes both twins of a signature
 * (test/wire/ed25519.test.ts and p256.test.ts hold the implementations against each other).
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { checkAlg, type KeyType, type PublicKey, VERIFIERS, type Verifier } from '../wire/keys.ts';

/** A device's key as OpenSSL takes it, and the rules of its type. */
export type VerifyKey = { verifier: Verifier; object: KeyObject };

/** All of a SubjectPublicKeyInfo but the key: RFC 8410 section 4; RFC 5480 section 2.2, where a point may be compressed. */
const SPKI_HEADS: Readonly<Record<KeyType, Buffer>> = {
  Ed25519: Buffer.from('302a300506032b6570032100', 'hex'),
  'P-256': Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex'),
};

/** @param publicKey one that publicKeyFromDid finds no flaw in */
export const verifyKey = ({ type, bytes }: PublicKey): VerifyKey => ({
  verifier: VERIFIERS[type],
  object: createPublicKey({ key: Buffer.concat([SPKI_HEADS[type], bytes]), format: 'der', type: 'spki' }),
});

/** By the same rules at once, on this thread, where the order of what comes must stay. @param signature without a flaw */
export function verifyNow({ verifier, object }: VerifyKey, signed: Uint8Array, signature: Uint8Array): boolean {
  if (verifier.type === 'Ed25519') return verify(null, signed, object, signature);
  return verify('sha256', signed, { key: object, dsaEncoding: 'ieee-p1363' }, signature);
}

/**
 * Calls back later, on the event loop, with whether the signature is valid, and with why not where more is to say.
 * @throws EdgeError ALG_MISMATCH, at once, where `alg` is none that a key of this type signs with
 */
export function verifyInPool(
  { verifier, object }: VerifyKey,
  { alg, signed, signature }: { alg: number; signed: Uint8Array; signature: Uint8Array },
  done: (valid: boolean, flaw?: string) => void,
): void {
  checkAlg(verifier, alg);
  const flaw = verifier.signatureFlaw(signature);
  if (flaw) {
    setImmediate(done, false, flaw);
    return;
  }
  const answer = (error: Error | null, valid: boolean): void => done(!error && valid);
  if (verifier.type === 'Ed25519') verify(null, signed, object, signature, answer);
  else verify('sha256', signed, { key: object, dsaEncoding: 'ieee-p1363' }, signature, answer);
}
