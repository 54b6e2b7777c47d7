/** Stands in for edge/log/sha256.ts where there is no node:crypto (edge/console-bundle.ts puts it there). */
import { sha256 as hash } from '@noble/hashes/sha2.js';

export const HASH_BYTES = 32;

export function sha256Into(out: Uint8Array, at: number, bytes: Uint8Array): void {
  out.set(hash(bytes), at);
}

export const sha256 = (bytes: Uint8Array): Uint8Array => hash(bytes);
