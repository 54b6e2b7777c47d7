/**
 * The city bundle: all that a gateway needs to check vehicles without a network, signed by the city. Versions rise; an
 * older one is refused, so that nobody brings back a list from before a revocation. Pure.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { base64urlnopad } from '@scure/base';
import { EdgeError } from '../../errors.ts';
import {
  asGatewayCredential,
  asStatusListCredential,
  CONTEXT,
  context,
  ISSUER_KINDS,
  MAX_ZONES,
  STATUS_LIST_CREDENTIAL,
  type StatusPurpose,
  type VehicleCredential,
  verifyCredential,
} from './credential.ts';
import { parseStrictJson } from './jcs.ts';
import { addProof, PROOF, type Signer, type Verify, verifyProof } from './proof.ts';
import { array, dateTime, did, integer, name, type Of, object, oneOf, record, set, text, timeOf } from './shape.ts';
import { decodeStatusList, statusAt } from './status-list.ts';

export const MAX_BUNDLE_BYTES = 8 * 1024 * 1024;
/** Of a challenge. A longer one would be worth relaying. */
export const MAX_CHALLENGE_SECONDS = 10;
const DAY = 86_400;

const issuer = object({
  did,
  name: text(/^[^\p{C}]{1,100}$/u, 'a name of 1 to 100 characters', 100),
  kinds: set(oneOf(...ISSUER_KINDS), 1, ISSUER_KINDS.length),
});

const policy = object({
  /** Status data up to this age gives ALLOW, */
  freshSeconds: integer(1, 365 * DAY),
  /** up to this one ALLOW_STALE, beyond it DENY. */
  maxStalenessSeconds: integer(1, 365 * DAY),
  /** How often the city publishes; with the other two it bounds how late a revocation may reach a gate. */
  publishSeconds: integer(1, 365 * DAY),
  challengeSeconds: integer(1, MAX_CHALLENGE_SECONDS),
  zones: record(name, object({ purposes: set(name, 1, MAX_ZONES) }), 256),
  /** No vehicle of this city is faster. */
  maxSpeedKmh: integer(1, 1000),
});

const cityBundle = object({
  '@context': context,
  type: oneOf('SejongCityBundle'),
  version: integer(1, Number.MAX_SAFE_INTEGER),
  issued: dateTime,
  issuers: array(issuer, 1, 64),
  statusLists: array(asStatusListCredential, 0, 64),
  gateways: array(asGatewayCredential, 0, 1024),
  policy,
  proof: PROOF,
});
export type CityBundle = Of<typeof cityBundle>;
export type CityPolicy = CityBundle['policy'];

/** `validFrom`: Unix ms. `list`: bits, see status-list.ts. */
export type StatusList = { issuer: string; purpose: StatusPurpose; validFrom: number; list: Uint8Array };
export type OpenCityBundle = {
  bundle: CityBundle;
  /** base64url of SHA-256 of the bytes. */
  digest: string;
  issuers: ReadonlyMap<string, ReadonlySet<string>>;
  /** By the id of their credential. */
  statusLists: ReadonlyMap<string, StatusList>;
};

/** By the city. What it holds is the issuer's to make right: who opens it checks all of it. */
export const signCityBundle = (fields: Omit<CityBundle, '@context' | 'type' | 'proof'>, city: Signer): CityBundle =>
  addProof({ '@context': [...CONTEXT], type: 'SejongCityBundle', ...fields }, city, {
    purpose: 'assertionMethod',
    created: fields.issued,
  }) as unknown as CityBundle;

const refuse = (why: string): never => {
  throw new EdgeError('CITY_BUNDLE_INVALID', why);
};

/**
 * Every signature in it is checked, every list decoded.
 * @param held what the gateway has; the same bytes again are fine
 * @throws EdgeError CITY_BUNDLE_INVALID, BUNDLE_ROLLBACK or BUNDLE_CONFLICT
 */
export function openCityBundle(
  bytes: Uint8Array,
  options: { cityDid: string; held?: { version: number; digest: string } | undefined; verify?: Verify | undefined },
): OpenCityBundle {
  const { cityDid, held, verify } = options;
  const digest = base64urlnopad.encode(sha256(bytes));
  try {
    const bundle = cityBundle(parseStrictJson(bytes, MAX_BUNDLE_BYTES), 'the bundle');
    // The city's word first: until then nothing in it costs more than reading it.
    verifyProof(bundle, { did: cityDid, purpose: 'assertionMethod', verify });
    if (held && bundle.version < held.version)
      throw new EdgeError('BUNDLE_ROLLBACK', `version ${bundle.version}, and ${held.version} is held`);
    if (held && bundle.version === held.version && digest !== held.digest)
      throw new EdgeError('BUNDLE_CONFLICT', `version ${bundle.version} is held with other content`);
    const issuers = new Map(bundle.issuers.map((i) => [i.did, new Set<string>(i.kinds)]));
    if (issuers.size < bundle.issuers.length) refuse('an issuer stands twice in it');
    if (bundle.policy.freshSeconds > bundle.policy.maxStalenessSeconds)
      refuse('policy.freshSeconds is above policy.maxStalenessSeconds');
    for (const gateway of bundle.gateways) {
      if (gateway.issuer !== cityDid) refuse(`the credential of ${gateway.credentialSubject.id} is not by the city`);
      verifyCredential(gateway, verify);
    }
    return { bundle, digest, issuers, statusLists: openLists(bundle, issuers, verify) };
  } catch (error) {
    if (!(error instanceof EdgeError) || error.code.startsWith('BUNDLE_') || error.code === 'CITY_BUNDLE_INVALID')
      throw error;
    throw new EdgeError('CITY_BUNDLE_INVALID', `${error.code}: ${error.detail}`, { cause: error });
  }
}

function openLists(
  bundle: CityBundle,
  issuers: OpenCityBundle['issuers'],
  verify: Verify | undefined,
): Map<string, StatusList> {
  const lists = new Map<string, StatusList>();
  for (const credential of bundle.statusLists) {
    const { id, issuer, validFrom, credentialSubject } = credential;
    if (!issuers.get(issuer)?.has(STATUS_LIST_CREDENTIAL)) refuse(`the issuer of ${id} may not publish status lists`);
    if (lists.has(id)) refuse(`${id} stands twice in it`);
    // A list from the future would be fresh for longer than the policy allows.
    if (timeOf(validFrom) > timeOf(bundle.issued)) refuse(`${id} is newer than the bundle`);
    verifyCredential(credential, verify);
    lists.set(id, {
      issuer,
      purpose: credentialSubject.statusPurpose,
      validFrom: timeOf(validFrom),
      list: decodeStatusList(credentialSubject.encodedList),
    });
  }
  return lists;
}

/**
 * What the lists say of a credential. A list counts only where the credential's own issuer signed it, for the purpose
 * that the credential names; `missing` where one of them is not there or too short.
 * @returns `validFrom`: of the oldest list that was asked, Unix ms
 */
export function statusOf(
  { issuer, credentialStatus }: Pick<VehicleCredential, 'issuer' | 'credentialStatus'>,
  { statusLists }: Pick<OpenCityBundle, 'statusLists'>,
): { state: 'missing' } | { state: 'valid' | 'revoked' | 'suspended'; validFrom: number } {
  let state: 'valid' | 'revoked' | 'suspended' = 'valid';
  let validFrom = Number.POSITIVE_INFINITY;
  for (const { statusPurpose, statusListIndex, statusListCredential } of credentialStatus) {
    const found = statusLists.get(statusListCredential);
    const index = Number(statusListIndex);
    if (!found || found.issuer !== issuer || found.purpose !== statusPurpose || index >= 8 * found.list.length)
      return { state: 'missing' };
    validFrom = Math.min(validFrom, found.validFrom);
    if (!statusAt(found.list, index)) continue;
    if (statusPurpose === 'revocation') state = 'revoked';
    else if (state === 'valid') state = 'suspended';
  }
  return { state, validFrom };
}
