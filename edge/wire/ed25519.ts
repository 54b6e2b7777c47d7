/**
 * Ed25519 as this project verifies it: RFC 8032 section 5.1.7, strict, one rule for every implementation.
 *
 * Implementations differ where a key or R has a part of small order: @noble/ed25519 checks the equation
 * times the cofactor, OpenSSL recomputes R and compares bytes. The difference disappears when keys outside
 * the prime-order subgroup are refused (once, when a key is enrolled) and when R must be the very bytes of
 * [S]B - [k]A. Both are done here; node:crypto then needs only {@link signatureFlaw} before it.
 */
import * as ed from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';

ed.hashes.sha512 = sha512;

/** The group order L, RFC 8032 section 5.1, little-endian. */
const L = Uint8Array.from(
  '1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed'.match(/../g)?.reverse() ?? [],
  (hex) => Number.parseInt(hex, 16),
);

/** Why a 32-byte public key must not be used, or undefined when it may. */
export function checkPublicKey(publicKey: Uint8Array): string | undefined {
  if (publicKey.length !== 32) return `a public key is 32 bytes, not ${publicKey.length}`;
  let point: ed.Point;
  try {
    point = ed.Point.fromBytes(publicKey, false);
  } catch {
    return 'the key is not a canonical point of the curve';
  }
  if (point.isSmallOrder()) return 'the key is of small order';
  if (!point.isTorsionFree()) return 'the key is not of prime order';
  return undefined;
}

/**
 * Why a signature must be refused before any curve arithmetic: S >= L (RFC 8032 section 5.1.7, step 1), or R
 * the identity, the only small-order R that can satisfy the equation of a prime-order key.
 */
export function signatureFlaw(signature: Uint8Array): string | undefined {
  if (signature.length !== 64) return `a signature is 64 bytes, not ${signature.length}`;
  let i = 31;
  while (i >= 0 && signature[32 + i] === L[i]) i--;
  if (i < 0 || (signature[32 + i] as number) > (L[i] as number)) return 'S is not below the group order';
  if (signature[0] === 1) {
    let rest = 0;
    for (let j = 1; j < 32; j++) rest |= signature[j] as number;
    if (rest === 0) return 'R is of small order';
  }
  return undefined;
}

/** Strict verification without node:crypto. The key is checked too. Never throws. */
export function verifyEd25519(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (signatureFlaw(signature) || checkPublicKey(publicKey)) return false;
  try {
    // noble's equation is times the cofactor; with A and R both free of torsion it is the plain one.
    return (
      ed.verify(signature, message, publicKey, { zip215: false }) &&
      ed.Point.fromBytes(signature.subarray(0, 32), false).isTorsionFree()
    );
  } catch {
    return false;
  }
}

/** @param secretKey the 32-byte seed of RFC 8032 section 5.1.5 */
export const signEd25519 = (message: Uint8Array, secretKey: Uint8Array): Uint8Array => ed.sign(message, secretKey);

export const publicKeyOf = (secretKey: Uint8Array): Uint8Array => ed.getPublicKey(secretKey);
