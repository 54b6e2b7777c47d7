/**
 * Sealed entries. A reading that must not stand in the open (profile `sealed`) is in the log as a hash envelope
 * (wire/hash-envelope.ts) of the gateway; what it is over lies beside it, in the store alone:
 *
 *   content = deterministic CBOR of [salt, envelope]      salt: 32 random bytes; envelope: as the device signed it
 *   payload of the hash envelope = SHA-256(content)
 *
 * Nothing of the device is in the open: not its DID or counter, and not its signature either, with which anybody could
 * try public keys (an ECDSA signature even gives the key away). Without the salt nobody can try contents; with it and
 * the envelope, an opening, anybody can hold the reading against the log. Pure.
 */
import { EdgeError } from '../errors.ts';
import { equalBytes } from '../wire/bytes.ts';
import { encodeCbor } from '../wire/cbor.ts';
import { decodeHashEnvelope, type HashEnvelope } from '../wire/hash-envelope.ts';
import { leafHash } from './merkle.ts';
import { sha256 } from './sha256.ts';

export const SALT_BYTES = 32;

export type Opening = { salt: Uint8Array; envelope: Uint8Array };

/** The payload of the hash envelope. */
export const contentDigest = ({ salt, envelope }: Opening): Uint8Array => sha256(encodeCbor([salt, envelope]));

/** Whether this is what the entry is over. */
export const isOpeningOf = ({ digest }: HashEnvelope, opening: Opening): boolean =>
  opening.salt.length === SALT_BYTES && equalBytes(contentDigest(opening), digest);

/** The hash envelope. @throws EdgeError RECEIPT_INVALID where the opening is of another entry, and those of decoding */
export function checkOpening(entry: Uint8Array, opening: Opening): HashEnvelope {
  const sealed = decodeHashEnvelope(entry);
  if (!isOpeningOf(sealed, opening))
    throw new EdgeError('RECEIPT_INVALID', 'the opening is not of this entry: its hash is not the payload');
  return sealed;
}

/** What the store holds of an entry: see EntryRow. */
type Held = {
  envelope: Uint8Array;
  leaf: Uint8Array | null;
  salt: Uint8Array | null;
  digest: Uint8Array | null;
  forgotten: boolean;
};

/**
 * Whether a device sent these bytes before, where an entry has their counter. Of a pruned entry the leaf hash, or salt
 * and digest, are left, and that is enough to know them again. Of a forgotten one nothing is: whatever comes with its
 * counter is taken for the same, because a device that resends is honest, and to keep the bytes in quarantine would be
 * to remember.
 */
export function isSame({ envelope, leaf, salt, digest, forgotten }: Held, bytes: Uint8Array): boolean {
  if (forgotten) return true;
  if (envelope.length > 0) return equalBytes(envelope, bytes);
  if (salt) return digest !== null && equalBytes(contentDigest({ salt, envelope: bytes }), digest);
  return leaf !== null && equalBytes(leaf, leafHash(bytes));
}
