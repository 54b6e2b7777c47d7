/**
 * ECDSA on P-256 with SHA-256 (FIPS 186-5; COSE ESP256, RFC 9864) as this project verifies it: strict, one rule
 * for every implementation. A signature is r || s, 32 bytes each, 1 <= r < n and 1 <= s <= n/2 ("low-S").
 *
 * Low-S, because ECDSA lets anybody who sees (r, s) write (r, n - s), which is as valid: one more envelope with the
 * same counter and other bytes, made without the key. The log would call that equivocation and blame an honest
 * device; or, where the twin came first, refuse what the device itself signed. With one s per r there is no twin.
 * A secure element that knows nothing of this rule is no obstacle: its firmware sends n - s where s is over n/2
 * ({@link lowS}). What remains with the signer: a nonce that is drawn anew makes new bytes of an old reading, so
 * firmware keeps and resends what it signed.
 *
 * The precompile of EIP-7951 takes both; whatever is accepted here is accepted there.
 */
import { p256 } from '@noble/curves/nist.js';

/** The order n of the group, SP 800-186 section 3.2.1.3, and half of it, rounded down; big-endian. */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const N_BYTES = bytesOf(N);
const HALF_N_BYTES = bytesOf(N >> 1n);

function bytesOf(n: bigint): Uint8Array {
  return Uint8Array.from(n.toString(16).padStart(64, '0').match(/../g) ?? [], (hex) => Number.parseInt(hex, 16));
}

/** Whether the 32 bytes at `at` are a smaller number than `limit`, equal to it, or a larger one: below 0, 0, above 0. */
function compareAt(bytes: Uint8Array, at: number, limit: Uint8Array): number {
  let i = 0;
  while (i < 31 && bytes[at + i] === limit[i]) i++;
  return (bytes[at + i] as number) - (limit[i] as number);
}

function isZeroAt(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 32; i++) if (bytes[at + i] !== 0) return false;
  return true;
}

/**
 * Why a compressed point (SEC 1 section 2.3.3: 0x02 or 0x03, then x) must not be used as a public key, or undefined
 * when it may. The curve's cofactor is 1, so every point that has this form is of prime order.
 */
export function checkP256PublicKey(publicKey: Uint8Array): string | undefined {
  if (publicKey.length !== 33) return `a P-256 public key is a compressed point of 33 bytes, not ${publicKey.length}`;
  if (publicKey[0] !== 2 && publicKey[0] !== 3) return 'the key is not a compressed point (0x02 or 0x03 first)';
  try {
    p256.Point.fromBytes(publicKey);
  } catch {
    return 'the key is not a point of the curve';
  }
  return undefined;
}

/** Why a signature must be refused before any curve arithmetic. */
export function p256SignatureFlaw(signature: Uint8Array): string | undefined {
  if (signature.length !== 64) return `a signature is 64 bytes, not ${signature.length}`;
  if (isZeroAt(signature, 0)) return 'r is 0';
  if (compareAt(signature, 0, N_BYTES) >= 0) return 'r is not below the group order';
  if (isZeroAt(signature, 32)) return 's is 0';
  if (compareAt(signature, 32, HALF_N_BYTES) > 0) return 's is above half of the group order (send n - s)';
  return undefined;
}

/** The one of the two twins that is taken here: the same signature, or with n - s for s. */
export function lowS(signature: Uint8Array): Uint8Array {
  if (signature.length !== 64) throw new RangeError(`a signature of ${signature.length} bytes`);
  const low = Uint8Array.from(signature);
  if (compareAt(low, 32, HALF_N_BYTES) <= 0 || compareAt(low, 32, N_BYTES) >= 0) return low;
  let borrow = 0;
  for (let i = 31; i >= 0; i--) {
    const d = (N_BYTES[i] as number) - (low[32 + i] as number) - borrow;
    low[32 + i] = d & 0xff;
    borrow = d < 0 ? 1 : 0;
  }
  return low;
}

/** Strict verification without node:crypto. The key is checked too. Never throws. */
export function verifyP256(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (p256SignatureFlaw(signature) || checkP256PublicKey(publicKey)) return false;
  try {
    return p256.verify(signature, message, publicKey, { prehash: true, lowS: true, format: 'compact' });
  } catch {
    return false;
  }
}

/** Deterministic (RFC 6979), low-S. @param secretKey 32 bytes, big-endian, 1 to n - 1 */
export const signP256 = (message: Uint8Array, secretKey: Uint8Array): Uint8Array =>
  p256.sign(message, secretKey, { prehash: true, lowS: true, format: 'compact' });

/** @returns the compressed point, 33 bytes */
export const p256PublicKeyOf = (secretKey: Uint8Array): Uint8Array => p256.getPublicKey(secretKey, true);

/** A secret key out of 48 random bytes: so many that none of the keys is likelier than another (FIPS 186-5 A.2.1). */
export const p256SecretKey = (random: Uint8Array): Uint8Array => p256.utils.randomSecretKey(random);

/** The coordinates of a compressed point that is a public key, 32 bytes each, big-endian. @throws where it is none */
export function p256PointOf(publicKey: Uint8Array): { x: Uint8Array; y: Uint8Array } {
  const bytes = p256.Point.fromBytes(publicKey).toBytes(false);
  return { x: bytes.slice(1, 33), y: bytes.slice(33, 65) };
}
