/**
 * SHA-256, the one place to swap where there is no node:crypto. The digest is taken as a binary string and written
 * where it belongs: making a Buffer for each would cost three times as much as the hashing (npm run bench merkle).
 */
import { hash } from 'node:crypto';

export const HASH_BYTES = 32;

/** Write the hash of `bytes` into `out` at `at`. */
export function sha256Into(out: Buffer, at: number, bytes: Uint8Array): void {
  out.write(hash('sha256', bytes, 'binary'), at, HASH_BYTES, 'binary');
}

export function sha256(bytes: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(HASH_BYTES);
  sha256Into(out, 0, bytes);
  return out;
}
