/** did:key: "did:key:z" + base58btc(multicodec of the key's type + the key), for Ed25519 and P-256. Pure. */
import { base58 } from '@scure/base';
import { EdgeError } from '../errors.ts';
import { concatBytes, equalBytes } from './bytes.ts';
import { type KeyType, type PublicKey, VERIFIERS } from './keys.ts';

const PREFIX = 'did:key:z';
/** `letters` begin each DID of the type; `codec` is its multicodec as a varint; `length` counts characters of a DID. */
type Form = { letters: string; codec: Uint8Array; keyBytes: number; length: number };
const FORMS: Readonly<Record<KeyType, Form>> = {
  // ed25519-pub, 0xed: 34 bytes are 47 characters.
  Ed25519: { letters: '6Mk', codec: Uint8Array.of(0xed, 0x01), keyBytes: 32, length: 56 },
  // p256-pub, 0x1200: 35 bytes are 48 characters. The multicodec demands the compressed form of the point.
  'P-256': { letters: 'Dn', codec: Uint8Array.of(0x80, 0x24), keyBytes: 33, length: 57 },
};
const TYPES = Object.keys(FORMS) as KeyType[];
export const MAX_DID_LENGTH = Math.max(...TYPES.map((type) => FORMS[type].length));

/** @param publicKey 32 bytes (RFC 8032 section 5.1.2), or 33 of a compressed point for P-256 */
export const didFromPublicKey = (publicKey: Uint8Array, type: KeyType = 'Ed25519'): string =>
  PREFIX + base58.encode(concatBytes(FORMS[type].codec, publicKey));

/**
 * The type that the first letters of a DID claim for its key; Ed25519 where they claim none. Enough to choose how to
 * sign, for who has the key; whoever verifies asks {@link decodeDid}.
 */
export const keyTypeOf = (did: string): KeyType =>
  TYPES.find((type) => did.startsWith(PREFIX + FORMS[type].letters)) ?? 'Ed25519';

const refuse = (did: string, why: string): never => {
  throw new EdgeError('DID_INVALID', `${JSON.stringify(did.slice(0, 80))}: ${why}`);
};

/**
 * The public key that a DID names, as it stands there: enough for a DID that {@link publicKeyFromDid} let through
 * when it was enrolled. One key has one DID: any other spelling of it is refused.
 * @throws EdgeError DID_INVALID
 */
export function decodeDid(did: string): PublicKey {
  if (!did.startsWith(PREFIX)) refuse(did, 'it does not start with did:key:z');
  const type = keyTypeOf(did);
  const { letters, codec, keyBytes, length } = FORMS[type];
  if (!did.startsWith(PREFIX + letters))
    refuse(did, 'it names neither an Ed25519 key (z6Mk...) nor a P-256 key (zDn...)');
  if (did.length !== length) refuse(did, `a did:key of ${type} has ${length} characters`);
  let bytes: Uint8Array;
  try {
    bytes = base58.decode(did.slice(PREFIX.length));
  } catch {
    return refuse(did, 'it is not base58btc');
  }
  if (bytes.length !== codec.length + keyBytes || !equalBytes(bytes.subarray(0, codec.length), codec))
    refuse(did, `it does not hold a key of ${type}`);
  return { type, bytes: bytes.subarray(codec.length) };
}

/**
 * The public key that a DID names, refused where it is not canonical, not on the curve or not of prime order. Costs
 * curve arithmetic (about a millisecond): call it when a device is enrolled, not for each envelope.
 * @throws EdgeError DID_INVALID
 */
export function publicKeyFromDid(did: string): PublicKey {
  const publicKey = decodeDid(did);
  const flaw = VERIFIERS[publicKey.type].keyFlaw(publicKey.bytes);
  return flaw ? refuse(did, flaw) : publicKey;
}
