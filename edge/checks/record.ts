/**
 * What is kept of a check, and what the log says of it: SHA-256(salt || content), and nothing else, so that nobody can
 * read or guess from the log who passed; and whoever has salt and content can show that they are what was logged.
 */
import { hash, randomBytes } from 'node:crypto';
import type { CheckRow } from '../store/checks.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import type { Decision } from '../wire/vc/check.ts';
import { canonicalJson } from '../wire/vc/jcs.ts';
import { timeOf } from '../wire/vc/shape.ts';
import type { Verdict } from './decide.ts';

/** The name of the only record in the entry of a check; its value is the digest. */
export const CHECK = 'check';

export const checkRecords = (digest: Uint8Array): SenmlRecord[] => [{ n: CHECK, vd: digest }];

export const saltedDigest = (salt: Uint8Array, content: Uint8Array): Uint8Array =>
  Uint8Array.from(hash('sha256', Buffer.concat([salt, content]), 'buffer'));

/** All but its index in the log. `content` is canonical JSON (RFC 8785): the signed decision, and what led to it. */
export function recordOf(did: string, v: Verdict, decision: Decision, decidedMs: number): Omit<CheckRow, 'idx'> {
  const { session, credential, presentation, telemetry } = v;
  const { gate, zone, purpose } = session
    ? { gate: session.gate.name, zone: session.gate.zone, purpose: session.purpose }
    : { gate: null, zone: null, purpose: null };
  const fix = credential ? telemetry?.fix : undefined;
  const proven =
    credential && presentation
      ? {
          registration: credential.credentialSubject.registration,
          counter: presentation.counter,
          telemetry: presentation.telemetryDigest,
          validFromMs: timeOf(credential.validFrom),
          validUntilMs: timeOf(credential.validUntil),
        }
      : { registration: null, counter: null, telemetry: null, validFromMs: null, validUntilMs: null };
  const content = canonicalJson({
    decision,
    gate,
    zone,
    purpose,
    ...(credential && { credential: credential.id, issuer: credential.issuer }),
    registration: proven.registration,
    counter: proven.counter,
    telemetryDigest: proven.telemetry,
    fix: fix ?? null,
    evidence: v.findings,
    ...(v.detail !== undefined && { detail: v.detail.slice(0, 500).toWellFormed() }),
  });
  const salt = Uint8Array.from(randomBytes(32));
  return {
    decidedMs,
    gate,
    zone,
    purpose,
    decision: decision.decision,
    reason: decision.reason,
    digest: saltedDigest(salt, content),
    session: decision.session,
    nonce: v.consumed && session ? Uint8Array.from(Buffer.from(session.nonce, 'base64url')) : null,
    holder: did,
    ...proven,
    lat: fix?.lat ?? null,
    lon: fix?.lon ?? null,
    salt,
    content,
  };
}
