/**
 * Claim codes, by which a device enrols itself once, and what it proves with one: that it has the code, without showing
 * it on the wire, and that it holds the key of its DID. Pure.
 *
 *   code         ID-SECRET: 8 and 26 characters of base32 (RFC 4648 section 6), 5 and 16 random bytes
 *   key          SHA-256(secret), the only trace of the secret that the gateway keeps
 *   nonce        HMAC-SHA256(key, "claim" ‖ 0 ‖ id ‖ 0 ‖ did ‖ 0 ‖ origin), in base64url
 *   proof        a JWT by the device's key: jti the id, nonce, sub the DID, aud the gateway's origin
 *   fingerprint  what both sides show, for a person to compare: 8 characters of HMAC-SHA256(key, "fingerprint" ‖ 0 ‖ did)
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { base32nopad, base64urlnopad } from '@scure/base';
import { utf8Bytes } from './bytes.ts';

export const CLAIM_ID = '[A-Z2-7]{8}';
const CODE = new RegExp(`^(${CLAIM_ID})-([A-Z2-7]{26})$`);
export const ID_BYTES = 5;
export const SECRET_BYTES = 16;

export type ClaimCode = { id: string; secret: Uint8Array };

export const formatCode = (id: Uint8Array, secret: Uint8Array): string =>
  `${base32nopad.encode(id)}-${base32nopad.encode(secret)}`;

/** As a person types it, too: in small letters, with spaces around. @returns undefined where it is no code */
export function parseCode(text: string): ClaimCode | undefined {
  const m = CODE.exec(text.trim().toUpperCase());
  if (!m) return undefined;
  try {
    return { id: m[1] as string, secret: base32nopad.decode(m[2] as string) };
  } catch {
    return undefined; // its last bits are not zero
  }
}

export const claimKey = (secret: Uint8Array): Uint8Array => sha256(secret);

const mac = (key: Uint8Array, ...parts: string[]): Uint8Array => hmac(sha256, key, utf8Bytes(parts.join('\0')));

export const claimNonce = (key: Uint8Array, id: string, did: string, origin: string): string =>
  base64urlnopad.encode(mac(key, 'claim', id, did, origin));

/** Bound to the code, so that nobody can look for a key with the same one beforehand. */
export function fingerprint(key: Uint8Array, did: string): string {
  const text = base32nopad.encode(mac(key, 'fingerprint', did).subarray(0, 5));
  return `${text.slice(0, 4)}-${text.slice(4)}`;
}
