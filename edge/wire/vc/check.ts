/**
 * The messages of a vehicle check, each a JSON document with a proof: hello, challenge, presentation, decision. Decoders
 * are strict and look at no signature, so that who receives can go from cheap to costly. Pure.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { base64, base64urlnopad } from '@scure/base';
import { EdgeError } from '../../errors.ts';
import { utf8Bytes } from '../bytes.ts';
import { MAX_CHALLENGE_SECONDS } from './city-bundle.ts';
import {
  asGatewayCredential,
  asVehicleCredential,
  CONTEXT,
  context,
  requireValid,
  verifyCredential,
} from './credential.ts';
import { parseStrictJson } from './jcs.ts';
import { addProof, BOUND_PROOF, PROOF, type Signer, type Verify, verifyProof } from './proof.ts';
import {
  array,
  bytes32,
  dateTime,
  did,
  exactly,
  integer,
  name,
  nullable,
  type Of,
  object,
  oneOf,
  refuse,
  type Shape,
  text,
  timeOf,
  timeText,
  uuidUrn,
} from './shape.ts';

export const MAX_HELLO_BYTES = 512;
export const MAX_CHALLENGE_BYTES = 16 * 1024;
export const MAX_DECISION_BYTES = 8 * 1024;
export const MAX_TELEMETRY_BYTES = 16 * 1024;
/** A presentation with its telemetry in base64. */
export const MAX_PRESENTATION_BYTES = 48 * 1024;

/** Every reason that a decision can have, and the decision that it has. Codes are stable. */
export const REASONS = {
  OK: 'ALLOW',
  STATUS_STALE: 'ALLOW_STALE',
  MESSAGE_INVALID: 'DENY',
  CLOCK: 'DENY',
  NO_BUNDLE: 'DENY',
  NONCE_UNKNOWN: 'DENY',
  NONCE_USED: 'DENY',
  CHALLENGE_EXPIRED: 'DENY',
  PRESENTATION_PROOF: 'DENY',
  DOMAIN_MISMATCH: 'DENY',
  CREDENTIAL_PROOF: 'DENY',
  HOLDER_MISMATCH: 'DENY',
  ISSUER_UNKNOWN: 'DENY',
  NOT_YET_VALID: 'DENY',
  EXPIRED: 'DENY',
  REVOKED: 'DENY',
  SUSPENDED: 'DENY',
  STATUS_MISSING: 'DENY',
  STATUS_TOO_OLD: 'DENY',
  ZONE: 'DENY',
  PURPOSE: 'DENY',
  COUNTER_REPLAY: 'DENY',
  COUNTER_FORK: 'REVIEW',
  REGISTRATION_TWO_KEYS: 'REVIEW',
  IMPOSSIBLE_TRAVEL: 'REVIEW',
  SPEED_DISPLACEMENT: 'REVIEW',
  FROZEN_FIX: 'REVIEW',
  GNSS_TIME: 'REVIEW',
  OUT_OF_REACH: 'REVIEW',
  TELEMETRY_MISMATCH: 'REVIEW',
} as const satisfies Record<string, 'ALLOW' | 'ALLOW_STALE' | 'REVIEW' | 'DENY'>;
export type Reason = keyof typeof REASONS;
export type DecisionKind = (typeof REASONS)[Reason];
export const DECISIONS = ['ALLOW', 'ALLOW_STALE', 'REVIEW', 'DENY'] as const satisfies DecisionKind[];

/** What a proof of a presentation is bound to. @param origin the gateway's name, as logins have it */
export const checkDomain = (origin: string, zone: string): string => `${origin}/${zone}`;
/** base64url of SHA-256. */
export const telemetryDigest = (telemetry: Uint8Array): string => base64urlnopad.encode(sha256(telemetry));
/** base64url without padding, as nonces are written. */
export const nonceText = (nonce: Uint8Array): string => base64urlnopad.encode(nonce);

const hello = object({ gate: name, purpose: name });
/** A vehicle's wish to pass: asks for a challenge. */
export type Hello = Of<typeof hello>;

const challenge = object({
  '@context': context,
  type: oneOf('SejongChallenge'),
  /** The session. */
  id: uuidUrn,
  from: did,
  credential: asGatewayCredential,
  nonce: bytes32,
  zone: name,
  gate: name,
  purpose: name,
  created: dateTime,
  expires: dateTime,
  bundleVersion: integer(1, Number.MAX_SAFE_INTEGER),
  proof: PROOF,
});
export type Challenge = Of<typeof challenge>;

const presentation = object({
  '@context': context,
  type: exactly(['VerifiablePresentation', 'SejongPresentation']),
  /** The vehicle's pseudonym. */
  holder: did,
  verifiableCredential: array(asVehicleCredential, 1, 1) as Shape<[Of<typeof asVehicleCredential>]>,
  session: uuidUrn,
  /** The vehicle's own. */
  nonce: bytes32,
  /** Strictly rising for each pseudonym. */
  counter: integer(0, Number.MAX_SAFE_INTEGER),
  /** Of the bytes of an envelope, signed by the same key, whether or not it comes along. */
  telemetryDigest: bytes32,
  proof: BOUND_PROOF,
});
export type Presentation = Of<typeof presentation>;

const base64Text = text(
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  'base64',
  4 * Math.ceil(MAX_TELEMETRY_BYTES / 3),
);
const presentationMessage = object({ presentation }, { telemetry: base64Text });

const decision = object({
  '@context': context,
  type: oneOf('SejongDecision'),
  /** Null where the presentation named none that could be read. */
  session: nullable(uuidUrn),
  from: did,
  to: did,
  decision: oneOf(...DECISIONS),
  reason: oneOf(...(Object.keys(REASONS) as Reason[])),
  /** Now minus validFrom of the status list that was asked; null where none was. */
  statusAgeSeconds: nullable(integer(0, Number.MAX_SAFE_INTEGER)),
  bundleVersion: nullable(integer(1, Number.MAX_SAFE_INTEGER)),
  nonces: object({ gateway: nullable(bytes32), vehicle: nullable(bytes32) }),
  decided: dateTime,
  proof: PROOF,
});
export type Decision = Of<typeof decision>;

export const encodeMessage = (message: object): Uint8Array => utf8Bytes(JSON.stringify(message));

/** Each: @throws EdgeError MESSAGE_INVALID */
export const decodeHello = (bytes: Uint8Array): Hello => hello(parseStrictJson(bytes, MAX_HELLO_BYTES), 'the hello');

export function decodeChallenge(bytes: Uint8Array): Challenge {
  const message = challenge(parseStrictJson(bytes, MAX_CHALLENGE_BYTES), 'the challenge');
  const life = timeOf(message.expires) - timeOf(message.created);
  if (life <= 0 || life > MAX_CHALLENGE_SECONDS * 1000)
    refuse('the challenge', `is not over within ${MAX_CHALLENGE_SECONDS} s of its making`);
  return message;
}

export function decodePresentation(bytes: Uint8Array): { presentation: Presentation; telemetry?: Uint8Array } {
  const message = presentationMessage(parseStrictJson(bytes, MAX_PRESENTATION_BYTES), 'the message');
  if (message.telemetry === undefined) return { presentation: message.presentation };
  let telemetry: Uint8Array;
  try {
    telemetry = base64.decode(message.telemetry);
  } catch {
    return refuse('the message.telemetry', 'is not base64');
  }
  return { presentation: message.presentation, telemetry };
}

export function decodeDecision(bytes: Uint8Array): Decision {
  const message = decision(parseStrictJson(bytes, MAX_DECISION_BYTES), 'the decision');
  if (REASONS[message.reason] !== message.decision)
    refuse('the decision', `${message.decision} does not fit its reason ${message.reason}`);
  return message;
}

type Fields<T> = Omit<T, '@context' | 'type' | 'proof'>;

/** By the gateway. Its life is `created` to `expires`. */
export const signChallenge = (fields: Fields<Challenge>, signer: Signer): Challenge =>
  addProof({ '@context': [...CONTEXT], type: 'SejongChallenge', ...fields }, signer, {
    purpose: 'authentication',
    created: fields.created,
  }) as unknown as Challenge;

/** By the vehicle. @param bound `nonce` is the gateway's; `domain` see {@link checkDomain}; `now` Unix ms */
export const signPresentation = (
  fields: Fields<Presentation>,
  signer: Signer,
  bound: { nonce: string; domain: string; now: number },
): Presentation =>
  addProof({ '@context': [...CONTEXT], type: ['VerifiablePresentation', 'SejongPresentation'], ...fields }, signer, {
    purpose: 'authentication',
    created: timeText(bound.now),
    challenge: bound.nonce,
    domain: bound.domain,
  }) as unknown as Presentation;

export const encodePresentation = (presentation: Presentation, telemetry?: Uint8Array): Uint8Array =>
  encodeMessage({ presentation, ...(telemetry && { telemetry: base64.encode(telemetry) }) });

/** By the gateway. */
export const signDecision = (fields: Fields<Decision>, signer: Signer): Decision =>
  addProof({ '@context': [...CONTEXT], type: 'SejongDecision', ...fields }, signer, {
    purpose: 'assertionMethod',
    created: fields.decided,
  }) as unknown as Decision;

/** How far the clocks of vehicle and gateway may be apart. */
const SKEW_MS = 5000;

/**
 * The vehicle's side of "mutual": is this a gateway of the city, here, now, for what was asked? Until then it has said
 * nothing but its login and its hello, and afterwards nothing at all if not.
 * @param expected `origin` that it logged in to; `hello` that it sent; `now` Unix ms, of the vehicle's own clock
 * @throws EdgeError FAKE_GATEWAY
 */
export function verifyChallenge(
  message: Challenge,
  expected: { cityDid: string; origin: string; hello: Hello; now: number; verify?: Verify | undefined },
): void {
  const { cityDid, origin, hello, now, verify } = expected;
  const { credential, from, zone, gate, purpose, created, expires } = message;
  const fake = (why: string): never => {
    throw new EdgeError('FAKE_GATEWAY', why);
  };
  if (credential.issuer !== cityDid) fake('its credential is not by the city');
  if (credential.credentialSubject.id !== from) fake('its credential is of another gateway');
  if (credential.credentialSubject.origin !== origin)
    fake(`its credential is of ${credential.credentialSubject.origin}`);
  if (!credential.credentialSubject.zones.includes(zone)) fake(`its credential is not for the zone ${zone}`);
  if (gate !== hello.gate || purpose !== hello.purpose) fake('it answers another hello');
  if (now + SKEW_MS < timeOf(created)) fake(`it was made at ${created}, which is not yet`);
  if (now >= timeOf(expires)) fake(`it expired at ${expires}`);
  try {
    requireValid(credential, now, 'its credential');
    verifyCredential(credential, verify);
    verifyProof(message, { did: from, purpose: 'authentication', verify });
  } catch (error) {
    if (error instanceof EdgeError) throw new EdgeError('FAKE_GATEWAY', error.detail, { cause: error });
    throw error;
  }
}

/**
 * Whether a decision is by the gateway that asked, about this very exchange.
 * @throws EdgeError FAKE_GATEWAY
 */
export function verifyDecision(
  message: Decision,
  { challenge, presentation, verify }: { challenge: Challenge; presentation: Presentation; verify?: Verify },
): void {
  const { session, from, to, nonces } = message;
  const matches =
    from === challenge.from &&
    to === presentation.holder &&
    session === challenge.id &&
    nonces.gateway === challenge.nonce &&
    nonces.vehicle === presentation.nonce;
  if (!matches) throw new EdgeError('FAKE_GATEWAY', 'the decision is not about this challenge and presentation');
  try {
    verifyProof(message, { did: from, purpose: 'assertionMethod', verify });
  } catch (error) {
    if (error instanceof EdgeError) throw new EdgeError('FAKE_GATEWAY', error.detail, { cause: error });
    throw error;
  }
}
