/** did:key for Ed25519: "did:key:z" + base58btc(0xed 0x01 + 32 bytes). Pure. */
import { base58 } from '@scure/base';
import { EdgeError } from '../errors.ts';
import { concatBytes, equalBytes } from './bytes.ts';
import { checkPublicKey } from './ed25519.ts';

const PREFIX = 'did:key:z';
/** Multicodec ed25519-pub, 0xed, as a varint. */
const ED25519_PUB = Uint8Array.of(0xed, 0x01);
/** "did:key:" and the 48 characters that 34 bytes starting with 0xed01 take. */
export const DID_ED25519_LENGTH = 56;

/** @param publicKey 32 bytes, RFC 8032 section 5.1.2 */
export const didFromPublicKey = (publicKey: Uint8Array): string =>
  PREFIX + base58.encode(concatBytes(ED25519_PUB, publicKey));

const refuse = (did: string, why: string): never => {
  throw new EdgeError('DID_INVALID', `${JSON.stringify(did.slice(0, 80))}: ${why}`);
};

/**
 * The public key that a DID names, as it stands there: enough for a DID that {@link publicKeyFromDid} let through
 * when it was enrolled.
 * @throws EdgeError DID_INVALID
 */
export function decodeDid(did: string): Uint8Array {
  if (!did.startsWith(PREFIX)) refuse(did, 'it does not start with did:key:z');
  if (did.startsWith(`${PREFIX}Dn`)) refuse(did, 'P-256 keys (zDn...) are not taken yet, only Ed25519 (z6Mk...)');
  if (did.length !== DID_ED25519_LENGTH) refuse(did, `an Ed25519 did:key has ${DID_ED25519_LENGTH} characters`);
  let bytes: Uint8Array;
  try {
    bytes = base58.decode(did.slice(PREFIX.length));
  } catch {
    return refuse(did, 'it is not base58btc');
  }
  if (bytes.length !== 34 || !equalBytes(bytes.subarray(0, 2), ED25519_PUB))
    refuse(did, 'it does not hold an Ed25519 key');
  return bytes.subarray(2);
}

/**
 * The public key that a DID names, refused where it is not canonical or not of prime order. Costs a scalar
 * multiplication (about a millisecond): call it when a device is enrolled, not for each envelope.
 * @throws EdgeError DID_INVALID
 */
export function publicKeyFromDid(did: string): Uint8Array {
  const publicKey = decodeDid(did);
  const flaw = checkPublicKey(publicKey);
  return flaw ? refuse(did, flaw) : publicKey;
}
