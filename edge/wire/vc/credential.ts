/**
 * Verifiable credentials (W3C VC Data Model 2.0) of the three kinds that a vehicle check needs. Issuers are pinned
 * did:keys; contexts are compared with {@link CONTEXT}, never fetched or processed. Pure.
 */
import { EdgeError } from '../../errors.ts';
import { addProof, PROOF, type Secured, type Signer, type Verify, verifyProof } from './proof.ts';
import {
  array,
  dateTime,
  did,
  exactly,
  name,
  type Of,
  object,
  oneOf,
  refuse,
  type Shape,
  set,
  text,
  timeOf,
  uri,
  uuidUrn,
} from './shape.ts';
import { MAX_ENCODED, MAX_LIST_BYTES } from './status-list.ts';

/** The `@context` of every document here: W3C's own first, as VC 2.0 section 4.3 demands, then this project's terms. */
export const CONTEXT = ['https://www.w3.org/ns/credentials/v2', 'https://sejong-edge.example/ns/v1'] as const;
export const context = exactly(CONTEXT);

export const VEHICLE_CREDENTIAL = 'SejongVehicleCredential';
export const GATEWAY_CREDENTIAL = 'SejongGatewayCredential';
export const STATUS_LIST_CREDENTIAL = 'BitstringStatusListCredential';
/** What an issuer may be pinned for; gateways are vouched for by the city itself. */
export const ISSUER_KINDS = [VEHICLE_CREDENTIAL, STATUS_LIST_CREDENTIAL] as const;

/** What a bit of a status list says where it is set: for good, or for now. */
export const STATUS_PURPOSES = ['revocation', 'suspension'] as const;
export type StatusPurpose = (typeof STATUS_PURPOSES)[number];

export const MAX_ZONES = 32;
const zones = set(name, 1, MAX_ZONES);
const purposes = set(name, 1, MAX_ZONES);
/** Drawn by the city at random: it says nothing of plate, VIN or owner. */
const registration = text(/^urn:sejong:registration:[A-Za-z0-9_-]{16,64}$/, 'an opaque urn:sejong:registration:');

const statusEntry = object({
  type: oneOf('BitstringStatusListEntry'),
  statusPurpose: oneOf(...STATUS_PURPOSES),
  /** A decimal number in a string, as the standard has it. */
  statusListIndex: text(/^(0|[1-9]\d{0,6})$/, `a number below ${8 * MAX_LIST_BYTES} in a string`, 7),
  statusListCredential: uri,
});
const statusEntries: Shape<Of<typeof statusEntry>[]> = (value, at) => {
  const entries = array(statusEntry, 1, STATUS_PURPOSES.length)(value, at);
  const named = new Set(entries.map((entry) => entry.statusPurpose));
  if (!named.has('revocation') || named.size < entries.length) refuse(at, 'is not one entry for each purpose');
  return entries;
};

const vehicleCredential = object({
  '@context': context,
  id: uuidUrn,
  type: exactly(['VerifiableCredential', VEHICLE_CREDENTIAL]),
  issuer: did,
  validFrom: dateTime,
  validUntil: dateTime,
  /** `id`: a pseudonym of the vehicle, whose key presents the credential. */
  credentialSubject: object({ id: did, registration, zones, purposes }),
  credentialStatus: statusEntries,
  proof: PROOF,
});
export type VehicleCredential = Of<typeof vehicleCredential>;

const gatewayCredential = object({
  '@context': context,
  id: uuidUrn,
  type: exactly(['VerifiableCredential', GATEWAY_CREDENTIAL]),
  issuer: did,
  validFrom: dateTime,
  validUntil: dateTime,
  /** `origin`: the name that devices log in to, so that nobody can pass on this gateway's challenges as his own. */
  credentialSubject: object({ id: did, origin: text(/^[\x21-\x7e]+$/, 'an origin'), zones }),
  proof: PROOF,
});
export type GatewayCredential = Of<typeof gatewayCredential>;

const statusListCredential = object({
  '@context': context,
  id: uri,
  type: exactly(['VerifiableCredential', STATUS_LIST_CREDENTIAL]),
  issuer: did,
  /** When the city looked: the age of the status counts from here. */
  validFrom: dateTime,
  credentialSubject: object({
    id: uri,
    type: oneOf('BitstringStatusList'),
    statusPurpose: oneOf(...STATUS_PURPOSES),
    encodedList: text(/^u/, 'a multibase of base64url', MAX_ENCODED),
  }),
  proof: PROOF,
});
export type StatusListCredential = Of<typeof statusListCredential>;

export type Credential = VehicleCredential | GatewayCredential | StatusListCredential;
/** What an issuer fills in. */
type Fields<T extends Credential> = Omit<T, '@context' | 'type' | 'issuer' | 'proof'>;

/** What the city's issuers sign. @param created of the proof, see {@link timeText} */
function issue<T extends Credential>(kind: string, fields: Fields<T>, signer: Signer, created: string): T {
  const head = { '@context': [...CONTEXT], type: ['VerifiableCredential', kind], issuer: signer.did };
  return addProof({ ...head, ...fields }, signer, { purpose: 'assertionMethod', created }) as unknown as T;
}
export const issueVehicleCredential = (fields: Fields<VehicleCredential>, signer: Signer, created: string) =>
  issue<VehicleCredential>(VEHICLE_CREDENTIAL, fields, signer, created);
export const issueGatewayCredential = (fields: Fields<GatewayCredential>, signer: Signer, created: string) =>
  issue<GatewayCredential>(GATEWAY_CREDENTIAL, fields, signer, created);
export const issueStatusList = (fields: Fields<StatusListCredential>, signer: Signer, created: string) =>
  issue<StatusListCredential>(STATUS_LIST_CREDENTIAL, fields, signer, created);

/** A span of time that there is. */
const inOrder =
  <T extends { validFrom: string; validUntil: string }>(shape: Shape<T>): Shape<T> =>
  (value, at) => {
    const credential = shape(value, at);
    return timeOf(credential.validFrom) < timeOf(credential.validUntil)
      ? credential
      : refuse(at, 'ends before it begins');
  };

/** Shapes of parsed values: @throws EdgeError MESSAGE_INVALID, the proof is not looked into. */
export const asVehicleCredential = inOrder(vehicleCredential);
export const asGatewayCredential = inOrder(gatewayCredential);
export const asStatusListCredential: Shape<StatusListCredential> = statusListCredential;

/** @throws EdgeError PROOF_INVALID unless its issuer, whom the caller has pinned, signed it */
export const verifyCredential = (credential: Secured<{ issuer: string }>, verify?: Verify): void =>
  verifyProof(credential, { did: credential.issuer, purpose: 'assertionMethod', verify });

/** Where `now` (Unix ms) lies; the first moment belongs to the span, the last does not. */
export function validityAt(
  { validFrom, validUntil }: { validFrom: string; validUntil: string },
  now: number,
): 'valid' | 'early' | 'expired' {
  if (now < timeOf(validFrom)) return 'early';
  return now < timeOf(validUntil) ? 'valid' : 'expired';
}

/** @throws EdgeError MESSAGE_INVALID */
export function requireValid(credential: { validFrom: string; validUntil: string }, now: number, at: string): void {
  const validity = validityAt(credential, now);
  if (validity !== 'valid')
    throw new EdgeError(
      'MESSAGE_INVALID',
      `${at} is ${validity === 'early' ? `not valid before ${credential.validFrom}` : `expired since ${credential.validUntil}`}`,
    );
}
