/**
 * What the gateway says in its own log when it has destroyed what entries of somebody were over. Pure.
 *
 *   forget         SHA-256 of deterministic CBOR [salt, subject], in hex; the salt (32 bytes) goes to the operator alone
 *   forget-below   entries from here on are later ones, and not meant
 *
 * Who holds the salt can show which tombstone is whose; to all others it is one of nobody.
 */
import { encodeCbor } from '../wire/cbor.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import { sha256 } from './sha256.ts';

/** @param subject a DID or a URN */
export const subjectDigest = (salt: Uint8Array, subject: string): Uint8Array => sha256(encodeCbor([salt, subject]));

export const tombstoneRecords = (digest: Uint8Array, below: number): SenmlRecord[] => [
  { n: 'forget', vs: Buffer.from(digest).toString('hex') },
  { n: 'forget-below', v: below },
];
