/**
 * One decision about one vehicle, in the order from cheap to costly, so that who knows nothing costs next to nothing:
 *
 *   size and schema, clock, nonce known, domain, presentation proof, nonce consumed, credential proof, subject is holder,
 *   pinned issuer, validity, status, zone and purpose, counter, plausibility
 *
 * Pure but for what it is handed. The only thing that it changes is the nonce, through `consume`; a presentation that
 * is refused before that leaves the challenge to the vehicle that it was given to.
 */
import { EdgeError } from '../errors.ts';
import { checkDomain, decodePresentation, type Presentation, type Reason, telemetryDigest } from '../wire/vc/check.ts';
import { type OpenCityBundle, statusOf } from '../wire/vc/city-bundle.ts';
import { VEHICLE_CREDENTIAL, type VehicleCredential, validityAt, verifyCredential } from '../wire/vc/credential.ts';
import { type Verify, verifyProof } from '../wire/vc/proof.ts';
import { timeOf } from '../wire/vc/shape.ts';
import {
  counterFork,
  type Finding,
  frozenFix,
  gnssTime,
  impossibleTravel,
  type Limits,
  outOfReach,
  type PastCheck,
  type Reach,
  registrationTwoKeys,
  type Sighting,
  speedDisplacement,
} from './plausibility.ts';
import type { Gate, Session } from './sessions.ts';
import { readTelemetry, type Telemetry } from './telemetry.ts';

/** How far the clock of a vehicle may be from ours, and a fix from the truth. */
export const MAX_SKEW_MS = 30_000;
const FIX_ERROR_M = 25;

/** What is known of earlier checks, of those whose credential was proven. */
export type Past = {
  /** Newest first. */
  ofRegistration: (registration: string) => PastCheck[];
  highestCounter: (holder: string) => number | undefined;
  withCounter: (holder: string, counter: number) => PastCheck[];
  /**
   * Where the newest accepted reading of this key says that it was: a vehicle may come to a gate under the DID that it
   * is enrolled with here. Of a pseudonym nothing is known, and that is what it is for.
   */
  lastReading: (holder: string) => Sighting | undefined;
};

export type World = {
  /** The gateway's name, as logins have it. */
  origin: string;
  bundle: OpenCityBundle | undefined;
  session: (id: string) => Session | undefined;
  /** Whether this nonce was used up, now or before a restart. */
  isUsed: (nonce: string) => boolean;
  /** True once for each session, and then never again. */
  consume: (session: Session) => boolean;
  past: Past;
  gate: (name: string) => Gate | undefined;
  verify: Verify;
};

/** @param did as the connection has proven it */
export type Question = {
  did: string;
  bytes: Uint8Array;
  now: { receivedMs: number; monoMs: number; clockSynced: boolean };
};

/** What was found out, as far as it came. */
export type Verdict = {
  reason: Reason;
  /** What was wrong, in words; said to nobody but the operator. */
  detail?: string;
  presentation?: Presentation;
  /** The challenge that it answers. */
  session?: Session;
  consumed: boolean;
  /** By a pinned issuer, about the key that presents it. */
  credential?: VehicleCredential;
  statusAgeSeconds?: number;
  telemetry?: Telemetry;
  findings: Finding[];
};

export function decide({ did, bytes, now }: Question, world: World): Verdict {
  const v: Verdict = { reason: 'OK', consumed: false, findings: [] };
  const ends = (reason: Reason, detail?: string): Verdict => {
    v.reason = reason;
    if (detail !== undefined) v.detail = detail;
    return v;
  };
  /** Why a step failed, or nothing. */
  const failure = (step: () => unknown): string | undefined => {
    try {
      step();
      return undefined;
    } catch (error) {
      if (!(error instanceof EdgeError)) throw error;
      return `${error.code}: ${error.detail}`;
    }
  };

  let telemetry: Uint8Array | undefined;
  const malformed = failure(() => {
    const message = decodePresentation(bytes);
    v.presentation = message.presentation;
    telemetry = message.telemetry;
  });
  if (!v.presentation) return ends('MESSAGE_INVALID', malformed);
  const presentation = v.presentation;
  const { proof, holder } = presentation;

  if (!now.clockSynced) return ends('CLOCK', 'the clock of the gateway is not synced');
  const ahead = timeOf(proof.created) - now.receivedMs;
  if (Math.abs(ahead) > MAX_SKEW_MS) return ends('CLOCK', `made ${Math.round(ahead / 1000)} s ahead of our clock`);

  const session = world.session(presentation.session);
  if (!session || session.holder !== did || session.nonce !== proof.challenge)
    return ends(world.isUsed(proof.challenge) ? 'NONCE_USED' : 'NONCE_UNKNOWN');
  v.session = session;
  if (!session.used && now.monoMs >= session.expiresMono) return ends('CHALLENGE_EXPIRED');

  const domain = checkDomain(world.origin, session.gate.zone);
  if (proof.domain !== domain) return ends('DOMAIN_MISMATCH', `made for ${proof.domain}, this is ${domain}`);
  if (holder !== did) return ends('PRESENTATION_PROOF', `its holder is ${holder}, who speaks is ${did}`);
  const unproven = failure(() =>
    verifyProof(presentation, { did: holder, purpose: 'authentication', verify: world.verify }),
  );
  if (unproven) return ends('PRESENTATION_PROOF', unproven);

  if (!world.consume(session)) return ends('NONCE_USED');
  v.consumed = true;

  const { bundle } = world;
  if (!bundle) return ends('NO_BUNDLE');
  const [credential] = presentation.verifiableCredential;
  const { issuer, credentialSubject: subject } = credential;
  const unsigned = failure(() => verifyCredential(credential, world.verify));
  if (unsigned) return ends('CREDENTIAL_PROOF', unsigned);
  if (subject.id !== holder) return ends('HOLDER_MISMATCH', `the credential is of ${subject.id}`);
  if (!bundle.issuers.get(issuer)?.has(VEHICLE_CREDENTIAL)) return ends('ISSUER_UNKNOWN', issuer);
  v.credential = credential;

  const validity = validityAt(credential, now.receivedMs);
  if (validity === 'early') return ends('NOT_YET_VALID', credential.validFrom);
  if (validity === 'expired') return ends('EXPIRED', credential.validUntil);

  const status = statusOf(credential, bundle);
  if (status.state === 'missing') return ends('STATUS_MISSING');
  const { freshSeconds, maxStalenessSeconds, zones, maxSpeedKmh } = bundle.bundle.policy;
  const age = Math.max(0, Math.floor((now.receivedMs - status.validFrom) / 1000));
  v.statusAgeSeconds = age;
  if (status.state === 'revoked') return ends('REVOKED'); // however old: it is never taken back
  if (status.state === 'suspended') return ends('SUSPENDED');
  if (age > maxStalenessSeconds) return ends('STATUS_TOO_OLD', `${age} s`);

  const { zone } = session.gate;
  const allowed = Object.hasOwn(zones, zone) ? zones[zone] : undefined;
  if (!allowed || !subject.zones.includes(zone)) return ends('ZONE', zone);
  if (!allowed.purposes.includes(session.purpose) || !subject.purposes.includes(session.purpose))
    return ends('PURPOSE', session.purpose);

  const highest = world.past.highestCounter(holder);
  const same = world.past.withCounter(holder, presentation.counter);
  const fork = counterFork(same, {
    holder,
    counter: presentation.counter,
    telemetry: presentation.telemetryDigest,
  });
  if (highest !== undefined && presentation.counter <= highest && !fork)
    return ends('COUNTER_REPLAY', `counter ${presentation.counter}, and ${highest} was there`);

  v.findings = plausible(v, session, credential, telemetry, fork, { ...world, now: now.receivedMs, maxSpeedKmh });
  const [first] = v.findings;
  if (first) return ends(first.reason);
  return ends(age > freshSeconds ? 'STATUS_STALE' : 'OK');
}

/** All that speaks against it, in the order in which it is to be said. */
function plausible(
  v: Verdict,
  { gate }: Session,
  { validFrom, validUntil, credentialSubject: { registration } }: VehicleCredential,
  bytes: Uint8Array | undefined,
  fork: Finding | undefined,
  { past, gate: gateOf, verify, now, maxSpeedKmh }: World & { now: number; maxSpeedKmh: number },
): Finding[] {
  const { holder, telemetryDigest: digest } = v.presentation as Presentation;
  const limits: Limits = { maxSpeedKmh, fixErrorM: FIX_ERROR_M, gnssSkewMs: MAX_SKEW_MS };
  const mismatch = telemetryFlaw(v, gate, bytes, holder, digest, verify);
  const { samples = [], fix, gnssMs } = v.telemetry ?? {};
  const before = past.ofRegistration(registration);
  const reachOf = (name: string): Reach | undefined => {
    const found = gateOf(name);
    return found && found.radiusM > 0 ? found : undefined;
  };
  const here = reachOf(gate.name);
  const there = { ms: now, gate: gate.name, fix };
  const reading = past.lastReading(holder);
  const readings = reading ? [reading] : [];
  const validity = { validFromMs: timeOf(validFrom), validUntilMs: timeOf(validUntil) };
  return [
    fork,
    registrationTwoKeys(before, { holder, registration, ...validity }),
    impossibleTravel(before, there, reachOf, limits) ?? impossibleTravel(readings, there, reachOf, limits),
    speedDisplacement(samples, limits),
    frozenFix(samples, limits),
    gnssMs === undefined ? undefined : gnssTime(gnssMs, now, limits),
    fix && here ? outOfReach(fix, here, limits) : undefined,
    mismatch,
  ].filter((f) => f !== undefined);
}

/** Telemetry counts only where the presentation named it and its key signed it. */
function telemetryFlaw(
  v: Verdict,
  gate: Gate,
  bytes: Uint8Array | undefined,
  holder: string,
  digest: string,
  verify: Verify,
): Finding | undefined {
  const flaw = (why: string): Finding => ({ reason: 'TELEMETRY_MISMATCH', evidence: { why } });
  // Where a gate has a place, saying nothing of one's own must not be the way around being measured.
  if (!bytes) return gate.radiusM > 0 ? flaw('none came, and this gate has a place') : undefined;
  if (telemetryDigest(bytes) !== digest) return flaw('it is not what the presentation names');
  try {
    v.telemetry = readTelemetry(bytes, holder, verify);
  } catch (error) {
    if (!(error instanceof EdgeError)) throw error;
    return flaw(`${error.code}: ${error.detail}`);
  }
  return gate.radiusM > 0 && !v.telemetry.fix ? flaw('it has no fix, and this gate has a place') : undefined;
}
