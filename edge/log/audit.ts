/**
 * What an operator did, as an entry of the gateway's own: one record, `audit`, with a digest and nothing else, because
 * a log that anybody may read must name neither people nor devices. Beside the log lie salt and content, which open it.
 * Pure.
 *
 *   audit   SHA-256(salt ‖ content); salt is 32 random bytes, content the JSON of an {@link Action} in UTF-8
 */
import { randomBytes } from 'node:crypto';
import { equalBytes } from '../wire/bytes.ts';
import type { Envelope } from '../wire/envelope.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import { sha256 } from './sha256.ts';

/** By the token that they used: its id, and what is said in it. */
export type Actor = { name: string; role: string; token: string };

export type Action = {
  /** Unix milliseconds, by the gateway's clock. */
  atMs: number;
  by: Actor;
  /** What was done, for example device.suspend. */
  action: string;
  /** On what: a DID, the id of a token. */
  on: string;
  detail: Record<string, string | number | null>;
};

export type Sealed = { digest: Uint8Array; salt: Uint8Array; content: Uint8Array };

const NAME = 'audit';

const digestOf = (salt: Uint8Array, content: Uint8Array): Uint8Array => sha256(Buffer.concat([salt, content]));

export function sealAction(action: Action): Sealed {
  const salt = new Uint8Array(randomBytes(32));
  const content = new TextEncoder().encode(JSON.stringify(action));
  return { digest: digestOf(salt, content), salt, content };
}

export const auditRecords = ({ digest }: Sealed): SenmlRecord[] => [{ n: NAME, vd: digest }];

/** The digest in an envelope of the gateway's own; undefined where it speaks of something else. */
export function auditDigest({ records }: Pick<Envelope, 'records'>): Uint8Array | undefined {
  const [record] = records;
  return records.length === 1 && record?.n === NAME && record.vd?.length === 32 ? record.vd : undefined;
}

/** Whether this salt and content are what the entry speaks of. */
export function opens(envelope: Pick<Envelope, 'records'>, { salt, content }: Omit<Sealed, 'digest'>): boolean {
  const digest = auditDigest(envelope);
  return digest !== undefined && salt.length === 32 && equalBytes(digest, digestOf(salt, content));
}
