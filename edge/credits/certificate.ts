/**
 * The certificate: one hour of energy of one metering point, as a document that stands alone. Its members are those of the
 * EnergyTag granular certificate (API specification to version 2 of the standard; the name there is in each description)
 * and of a guarantee of origin by EN 16325 (what was made, when, where, by what plant, with what support), with what
 * neither has: the signed registers that the energy is the difference of. What is not known is null.
 *
 * A certificate is a verifiable credential too (W3C VC Data Model 2.0): this document is its subject, the gateway that
 * watched over the meter its issuer. It is not a guarantee of origin, nor a REC, nor issued by anybody who may: it is
 * evidence for one who is to issue such. Pure.
 */
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { EdgeError } from '../errors.ts';
import { EXPORT_REGISTER, HOUR } from '../wire/boundary.ts';
import { CONTEXT } from '../wire/vc/credential.ts';
import { addProof, type Secured, type Signer, verifyProof } from '../wire/vc/proof.ts';
import { timeText } from '../wire/vc/shape.ts';
import { FLAGS, type Flag } from './types.ts';

export const CERTIFICATE_CREDENTIAL = 'SejongGranularCertificate';
export const SCHEME = 'sejong-edge/granular-certificate@1';
/** A name, and where gateways serve it: GET /schemas/certificate.json. */
export const SCHEMA_ID = 'https://sejong-edge.example/schemas/certificate.json';
export const certificateUrn = (id: string): string => `urn:sejong:certificate:${id}`;

const Nullable = <T extends Type.TSchema>(type: T, description: string) =>
  Type.Union([type, Type.Null()], { description });
const Members = <T extends Type.TProperties>(properties: T, description: string) =>
  Type.Object(properties, { additionalProperties: false, description });

const Time = (description: string) =>
  Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$', description });
const Wh = (description: string) => Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description });
const Text = (description: string) => Type.String({ minLength: 1, maxLength: 256, description });
const Day = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' });
const Did = (description: string) => Type.String({ pattern: '^did:key:z[1-9A-HJ-NP-Za-km-z]{44,50}$', description });
const Id = (description: string) => Type.String({ pattern: '^\\d{18}-\\d{8}T\\d{2}Z-v\\d{1,3}$', description });

const Reading = (which: string) =>
  Members(
    {
      boundary: Time('The full hour that the reading stands for'),
      read: Time("When it was read, by the meter's clock, within 60 s of the hour; in a day profile the hour itself"),
      wh: Wh('The cumulative register, floored to Wh'),
      entry: Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Index in the log of the envelope that the meter signed, which holds this reading',
      }),
    },
    `The register at the ${which} of the hour`,
  );

export const Certificate = Type.Object(
  {
    identity: Members(
      {
        id: Id('GSRN-like number, first hour in UTC, version. EnergyTag: issuance_id, as device, start and version'),
        version: Type.Integer({ minimum: 0, maximum: 255, description: '0, or more of one that was corrected' }),
        supersedes: Nullable(Id('Id'), 'The one that this corrects, which was withdrawn'),
        scheme: Type.Literal(SCHEME, { description: 'EnergyTag: quality_scheme_reference' }),
        issuer: Did("EnergyTag: issuing_body. The gateway's DID"),
        issued: Time('EnergyTag: issuance_datestamp, to the second'),
        expires: Nullable(
          Time('Time'),
          'EnergyTag: expiry_datestamp. Null: this scheme sets no end; one that takes it as evidence may',
        ),
        countryOfIssuance: Nullable(
          Type.String({ pattern: '^[A-Z]{2}$' }),
          'EnergyTag: country_of_issuance, ISO 3166-1. Of the area that the gateway is configured for',
        ),
        legalStatus: Type.Literal('none', {
          description: 'EnergyTag: legal_status. Neither a guarantee of origin by EN 16325 nor a statutory REC',
        }),
      },
      'Which certificate this is',
    ),
    meter: Members(
      {
        meteringPoint: Type.String({
          pattern: '^0x[0-9a-f]{64}$',
          description: 'keccak256 of the URN of the metering point, as the contracts know it',
        }),
        gsrn: Type.String({
          pattern: '^880\\d{15}$',
          description: 'In the form of a Global Service Relation Number, made from the URN; not assigned by GS1',
        }),
        device: Did('EnergyTag: device_id. The meter, by the key that it signs with'),
        registerEpoch: Type.Integer({
          minimum: 1,
          description: 'Which meter of this metering point it is: 1 for the first, one more after each swap or new key',
        }),
        register: Type.Literal(EXPORT_REGISTER, { description: 'OBIS code: active energy, export, total' }),
        unit: Type.Literal('Wh'),
        shape: Type.Enum(['reading', 'profile'], {
          description: 'reading: an envelope for each boundary. profile: one envelope with the 25 registers of the day',
        }),
        start: Reading('start'),
        end: Reading('end'),
        modulusWh: Nullable(Wh('Wh'), 'Where the register begins anew; null: it never does'),
        quality: Members(
          {
            method: Type.Literal('measured', { description: 'Never estimated, never interpolated' }),
            clock: Type.Enum(['synced', 'corrected', 'unknown'], {
              description: 'What the clock of receipt was worth; corrected: its offset was found later',
            }),
          },
          'How good the reading is',
        ),
        log: Nullable(
          Members(
            {
              origin: Text('Of the log (C2SP checkpoint)'),
              size: Type.Integer({
                minimum: 1,
                maximum: Number.MAX_SAFE_INTEGER,
                description: 'Entries under the root',
              }),
              root: Type.String({ pattern: '^[A-Za-z0-9+/]{43}=$', description: 'RFC 6962 tree head, base64' }),
            },
            'Tree head',
          ),
          'The anchored tree that holds both entries; null before there is one',
        ),
      },
      'What measured it',
    ),
    slot: Members(
      {
        start: Time('EnergyTag: production_starting_interval'),
        end: Time('EnergyTag: production_ending_interval'),
        seconds: Type.Literal(HOUR),
      },
      'The hour (UTC)',
    ),
    energy: Members(
      {
        wh: Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, description: 'EnergyTag: bundle_quantity' }),
        faceValueWh: Type.Literal(1, { description: 'EnergyTag: face_value. One token is one Wh' }),
        carrier: Type.Literal('Electricity', { description: 'EnergyTag: energy_carrier' }),
      },
      'How much',
    ),
    plant: Members(
      {
        deviceType: Type.Enum(['production', 'storage'], { description: 'EnergyTag: device_type' }),
        energySource: Nullable(Text('Text'), 'EnergyTag: energy_source, as it was enrolled: solar, wind, ...'),
        technology: Nullable(Text('Text'), 'EnergyTag: device_technology_type'),
        capacityW: Nullable(Type.Integer({ minimum: 0 }), 'EnergyTag: device_capacity, rated W'),
        commissioned: Nullable(Day, 'EnergyTag: device_production_start_date'),
        area: Nullable(
          Type.String({ pattern: '^[A-Z]{2}(-[A-Z0-9]{1,3})?$' }),
          'EnergyTag: device_location, no closer than a province (ISO 3166-2)',
        ),
        supportReceived: Nullable(Text('Text'), 'EnergyTag: support_received; EN 16325: kind of public support'),
        dissemination: Nullable(
          Type.Enum(['public-grid', 'private-grid', 'self-consumed']),
          'EnergyTag: dissemination_level',
        ),
      },
      'What made it',
    ),
    flow: Members(
      {
        flags: Type.Array(
          Members(
            {
              flag: Type.Enum([...FLAGS]),
              evidence: Type.Record(Type.String({ pattern: '^[A-Za-z][A-Za-z0-9]{0,39}$' }), Type.Number(), {
                description: 'In numbers, with the unit at the end of each name',
              }),
            },
            'One thing that a reader should know',
          ),
          {
            maxItems: FLAGS.length,
            description:
              'rollover: the register passed its modulus. night: energy of the sun while it is below the horizon. storage: discharge, made against claimed charge. inverter-deviation: the inverter says otherwise. clock-corrected: a clock was off, and by how much was found later',
          },
        ),
        storageDevice: Nullable(Did('DID'), 'EnergyTag: storage_device_id, of energy that a storage plant gave back'),
      },
      'Flags',
    ),
    rec: Members(
      {
        month: Type.String({ pattern: '^\\d{4}-\\d\\d$', description: 'The month of Korean time that the hour is in' }),
        applyBy: Nullable(Day, 'Last day to apply for a REC, 90 days after the end of the month'),
        weight: Nullable(
          Type.String({ pattern: '^\\d\\.\\d{4}$' }),
          'Weight by the dated table; null where the class of the plant is not known',
        ),
        statutory: Type.Literal(false, { description: 'It prepares an application, and is no REC' }),
      },
      'For the Korean renewable portfolio standard',
    ),
  },
  {
    $id: SCHEMA_ID,
    title: 'Granular certificate of a Sejong Edge gateway',
    additionalProperties: false,
  },
);
export type Certificate = Static<typeof Certificate>;

/** JSON Schema 2020-12, as it is published. */
export const certificateSchema = (): object => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  ...(JSON.parse(JSON.stringify(Certificate)) as object),
});

export type CertificateCredential = Secured<{
  '@context': string[];
  id: string;
  type: string[];
  issuer: string;
  validFrom: string;
  credentialSchema: { id: string; type: 'JsonSchema' };
  credentialSubject: Certificate;
}>;

/**
 * The facts that a certificate is made of. Times are Unix seconds but for `...Ms`.
 * `flags` as the rules name them; `log` undefined before there is an anchored tree.
 */
export type CertificateFacts = {
  id: string;
  version: number;
  supersedes: string | null;
  issuer: string;
  madeMs: number;
  pointId: string;
  gsrn: string;
  device: string;
  registerEpoch: number;
  shape: 'reading' | 'profile';
  slot: number;
  wh: number;
  start: { iat: number; wh: number; entry: number };
  end: { iat: number; wh: number; entry: number };
  modulusWh: number | null;
  clock: Certificate['meter']['quality']['clock'];
  log: { origin: string; size: number; root: Uint8Array } | undefined;
  plant: { storage: boolean; energySource: string | null; capacityW: number | null; area: string | null };
  flags: readonly Flag[];
  weight: string | null;
};

const text = (seconds: number): string => timeText(seconds * 1000);
const KST = 9 * HOUR;
/** Days after the end of a month within which one must apply. */
const APPLY_DAYS = 90;

/** 2026-11 of any second in that month of Korean time, which has no summer time. */
export const kstMonthOf = (second: number): string => text(second + KST).slice(0, 7);

function applyBy(month: string): string {
  const [year, number] = month.split('-').map(Number) as [number, number];
  const lastDay = Date.UTC(year, number, 0);
  return timeText(lastDay + APPLY_DAYS * 86_400_000).slice(0, 10);
}

/** @throws EdgeError INTERNAL where the facts make no certificate, which is a fault of who has them */
export function makeCertificate(f: CertificateFacts): Certificate {
  const month = kstMonthOf(f.slot);
  const reading = (boundary: number, { iat, wh, entry }: CertificateFacts['start']) => ({
    boundary: text(boundary),
    read: text(f.shape === 'profile' ? boundary : iat),
    wh,
    entry,
  });
  const certificate: Certificate = {
    identity: {
      id: f.id,
      version: f.version,
      supersedes: f.supersedes,
      scheme: SCHEME,
      issuer: f.issuer,
      issued: timeText(f.madeMs),
      expires: null,
      countryOfIssuance: f.plant.area?.slice(0, 2) ?? null,
      legalStatus: 'none',
    },
    meter: {
      meteringPoint: f.pointId,
      gsrn: f.gsrn,
      device: f.device,
      registerEpoch: f.registerEpoch,
      register: EXPORT_REGISTER,
      unit: 'Wh',
      shape: f.shape,
      start: reading(f.slot, f.start),
      end: reading(f.slot + HOUR, f.end),
      modulusWh: f.modulusWh,
      quality: { method: 'measured', clock: f.clock },
      log: f.log ? { ...f.log, root: Buffer.from(f.log.root).toString('base64') } : null,
    },
    slot: { start: text(f.slot), end: text(f.slot + HOUR), seconds: HOUR },
    energy: { wh: f.wh, faceValueWh: 1, carrier: 'Electricity' },
    plant: {
      deviceType: f.plant.storage ? 'storage' : 'production',
      energySource: f.plant.energySource,
      technology: null,
      capacityW: f.plant.capacityW,
      commissioned: null,
      area: f.plant.area,
      supportReceived: null,
      dissemination: null,
    },
    flow: {
      flags: f.flags.map(({ flag, evidence }) => ({ flag, evidence: { ...evidence } })),
      storageDevice: f.plant.storage ? f.device : null,
    },
    rec: { month, applyBy: applyBy(month), weight: f.weight, statutory: false },
  };
  const flaw = [...Value.Errors(Certificate, certificate)][0];
  if (flaw) throw new EdgeError('INTERNAL', `certificate ${f.id}${flaw.instancePath} ${flaw.message}`);
  return certificate;
}

/** The certificate as a credential, by the gateway. The same facts give the same bytes. */
export function issueCertificate(certificate: Certificate, gateway: Signer): CertificateCredential {
  const { id, issued, issuer } = certificate.identity;
  const credential = {
    '@context': [...CONTEXT],
    id: certificateUrn(id),
    type: ['VerifiableCredential', CERTIFICATE_CREDENTIAL],
    issuer,
    validFrom: issued,
    credentialSchema: { id: SCHEMA_ID, type: 'JsonSchema' as const },
    credentialSubject: certificate,
  };
  return addProof(credential, gateway, { purpose: 'assertionMethod', created: issued });
}

const refuse = (why: string): never => {
  throw new EdgeError('CREDIT_INVALID', why);
};

const MEMBERS = ['@context', 'id', 'type', 'issuer', 'validFrom', 'credentialSchema', 'credentialSubject', 'proof'];

/**
 * What a parsed value is as a credential of a certificate; its proof is not looked at.
 * @throws EdgeError CREDIT_INVALID
 */
export function asCertificateCredential(value: unknown): CertificateCredential {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('the credential is no object');
  const credential = value as CertificateCredential;
  const names = Object.keys(credential);
  const odd = names.find((n) => !MEMBERS.includes(n)) ?? MEMBERS.find((n) => !names.includes(n));
  if (odd !== undefined) refuse(`the credential has, or lacks, ${JSON.stringify(odd.slice(0, 40))}`);
  const flaw = [...Value.Errors(Certificate, credential.credentialSubject)][0];
  if (flaw) refuse(`the certificate${flaw.instancePath} ${flaw.message}`);
  const { identity } = credential.credentialSubject;
  const same = (a: unknown, b: unknown, what: string) =>
    JSON.stringify(a) === JSON.stringify(b) || refuse(`${what} of the credential is not ${JSON.stringify(b)}`);
  same(credential['@context'], CONTEXT, 'the @context');
  same(credential.type, ['VerifiableCredential', CERTIFICATE_CREDENTIAL], 'the type');
  same(credential.id, certificateUrn(identity.id), 'the id');
  same(credential.issuer, identity.issuer, 'the issuer');
  same(credential.validFrom, identity.issued, 'validFrom');
  same(credential.credentialSchema, { id: SCHEMA_ID, type: 'JsonSchema' }, 'credentialSchema');
  return credential;
}

/** @throws EdgeError PROOF_INVALID, MESSAGE_INVALID, DID_INVALID unless its issuer signed it */
export const verifyCertificateProof = (credential: CertificateCredential): void =>
  verifyProof(credential, { did: credential.issuer, purpose: 'assertionMethod' });
