/**
 * The types of keys that devices hold, and how the signatures of each are verified. The type of the key that a DID
 * names decides, never what a message says of itself: a message only may fit.
 */
import { EdgeError } from '../errors.ts';
import { ALG_ED25519, ALG_EDDSA, ALG_ESP256 } from './cose.ts';
import { checkPublicKey, signatureFlaw, verifyEd25519 } from './ed25519.ts';
import { checkP256PublicKey, p256SignatureFlaw, verifyP256 } from './p256.ts';

/** By the names that JWK curves have as well. */
export type KeyType = 'Ed25519' | 'P-256';

/** `bytes`: 32 for Ed25519 (RFC 8032 section 5.1.2), 33 for P-256 (compressed point, SEC 1 section 2.3.3). */
export type PublicKey = { type: KeyType; bytes: Uint8Array };

export type Verifier = {
  type: KeyType;
  /** COSE algorithms that its keys may sign with; the first is the one that is written here. */
  algs: readonly [number, ...number[]];
  /** JWS algorithms for logins, likewise. */
  jwsAlgs: readonly [string, ...string[]];
  /** Why a public key must not be used, or undefined. Costs curve arithmetic. */
  keyFlaw: (publicKey: Uint8Array) => string | undefined;
  /** Why a signature must be refused before any curve arithmetic, or undefined. */
  signatureFlaw: (signature: Uint8Array) => string | undefined;
  /** All of the rule, without node:crypto. Never throws. */
  verify: (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean;
};

export const VERIFIERS: Readonly<Record<KeyType, Verifier>> = {
  Ed25519: {
    type: 'Ed25519',
    algs: [ALG_ED25519, ALG_EDDSA],
    jwsAlgs: ['EdDSA', 'Ed25519'],
    keyFlaw: checkPublicKey,
    signatureFlaw,
    verify: verifyEd25519,
  },
  'P-256': {
    type: 'P-256',
    algs: [ALG_ESP256],
    // JOSE has no other name for it: there ES256 says both curve and hash (RFC 7518 section 3.4).
    jwsAlgs: ['ES256'],
    keyFlaw: checkP256PublicKey,
    signatureFlaw: p256SignatureFlaw,
    verify: verifyP256,
  },
};

/** @throws EdgeError ALG_MISMATCH */
export function checkAlg({ type, algs }: Verifier, alg: number): void {
  if (!algs.includes(alg))
    throw new EdgeError('ALG_MISMATCH', `alg is ${alg}, but the device's key is ${type}: alg ${algs.join(' or ')}`);
}

/** @param flaw what signatureFlaw said: without it a device maker would look for a wrong key */
export const signatureInvalid = (did: string, flaw?: string): EdgeError =>
  new EdgeError('SIGNATURE_INVALID', `not by ${did}${flaw ? `: ${flaw}` : ''}`);
