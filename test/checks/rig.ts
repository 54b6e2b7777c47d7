/** A city, its vehicles and their messages, by hand: what the simulated ones do, and what they never would. */
import { randomBytes } from 'node:crypto';
import { makeVerify } from '../../edge/checking.ts';
import type { Gate } from '../../edge/checks/sessions.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import type { KeyType } from '../../edge/wire/keys.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import {
  type Challenge,
  checkDomain,
  encodeMessage,
  encodePresentation,
  type Presentation,
  signPresentation,
  telemetryDigest,
} from '../../edge/wire/vc/check.ts';
import {
  type CityBundle,
  type OpenCityBundle,
  openCityBundle,
  signCityBundle,
} from '../../edge/wire/vc/city-bundle.ts';
import {
  issueGatewayCredential,
  issueStatusList,
  issueVehicleCredential,
  STATUS_LIST_CREDENTIAL,
  STATUS_PURPOSES,
  VEHICLE_CREDENTIAL,
  type VehicleCredential,
} from '../../edge/wire/vc/credential.ts';
import type { Signer } from '../../edge/wire/vc/proof.ts';
import { encodeStatusList, MIN_LIST_BYTES, setStatus } from '../../edge/wire/vc/status-list.ts';
import { signerOf } from '../support/city.ts';

export const ORIGIN = 'sejong.example/edge-1';
export const verify = makeVerify();
export const DEPOT = { lat: 36.4803, lon: 127.2538 };
export const NORTH: Gate = { name: 'north', zone: 'depot', purposes: ['entry', 'charge'], ...DEPOT, radiusM: 200 };
/** 55 km to the south of the other one. */
export const SOUTH: Gate = { ...NORTH, name: 'south', zone: 'port', lat: DEPOT.lat - 0.5 };
/** It knows nothing of places. */
export const INNER: Gate = { ...NORTH, name: 'inner', lat: 0, lon: 0, radiusM: 0 };
export const GATES = [NORTH, SOUTH, INNER];

const HOUR = 3_600_000;
const LISTS = 'https://city.example/status';
const iso = (ms: number): string => new Date(ms).toISOString();
let uuids = 0;
const uuid = (): string => `urn:uuid:00000000-0000-4000-8000-${(uuids++).toString(16).padStart(12, '0')}`;

type Part<T> = { [K in keyof T]?: T[K] };

export class TestCity {
  readonly signer: Signer;
  readonly issuer: Signer;
  version = 0;
  readonly #lists = new Map(STATUS_PURPOSES.map((p) => [p, new Uint8Array(MIN_LIST_BYTES)]));
  #nextIndex = 0;

  constructor(seed = 'city', keyType: KeyType = 'Ed25519') {
    this.signer = signerOf(`${seed} itself`, keyType);
    this.issuer = signerOf(`${seed} issuer`, keyType);
  }

  get did(): string {
    return this.signer.did;
  }

  /** A short-lived credential of one pseudonym; `by` another one than the pinned issuer. */
  credential(
    pseudonym: string,
    now: number,
    over: {
      registration?: string;
      zones?: string[];
      purposes?: string[];
      fromMs?: number;
      untilMs?: number;
      by?: Signer;
      statusList?: string;
    } = {},
  ): VehicleCredential {
    const by = over.by ?? this.issuer;
    const entry = (statusPurpose: 'revocation' | 'suspension', statusListIndex: string) => ({
      type: 'BitstringStatusListEntry' as const,
      statusPurpose,
      statusListIndex,
      statusListCredential: over.statusList ?? `${LISTS}/${statusPurpose}`,
    });
    const index = String(this.#nextIndex++);
    return issueVehicleCredential(
      {
        id: uuid(),
        validFrom: iso(over.fromMs ?? now - HOUR),
        validUntil: iso(over.untilMs ?? now + HOUR),
        credentialSubject: {
          id: pseudonym,
          registration: `urn:sejong:registration:${`${over.registration ?? 'one'}_`.padEnd(16, '0')}`,
          zones: over.zones ?? ['depot', 'port'],
          purposes: over.purposes ?? ['entry', 'charge'],
        },
        credentialStatus: [entry('revocation', index), entry('suspension', index)],
      },
      by,
      iso(now),
    );
  }

  set(purpose: 'revocation' | 'suspension', credential: VehicleCredential, value = true): void {
    setStatus(this.#lists.get(purpose) as Uint8Array, Number(credential.credentialStatus[0]?.statusListIndex), value);
  }

  /** The next bundle; `age` is how long ago the city looked, ms. */
  bundle(
    gateways: readonly string[],
    now: number,
    over: { version?: number; age?: number; policy?: Part<CityBundle['policy']>; by?: Signer; origin?: string } = {},
  ): Uint8Array {
    const created = iso(now);
    const looked = iso(now - (over.age ?? 0));
    this.version = over.version ?? this.version + 1;
    const statusLists = [...this.#lists].map(([statusPurpose, list]) =>
      issueStatusList(
        {
          id: `${LISTS}/${statusPurpose}`,
          validFrom: looked,
          credentialSubject: {
            id: `${LISTS}/${statusPurpose}#list`,
            type: 'BitstringStatusList',
            statusPurpose,
            encodedList: encodeStatusList(list),
          },
        },
        this.issuer,
        created,
      ),
    );
    const vouched = gateways.map((did) =>
      issueGatewayCredential(
        {
          id: uuid(),
          validFrom: iso(now - 24 * HOUR),
          validUntil: iso(now + 24 * HOUR),
          credentialSubject: { id: did, origin: over.origin ?? ORIGIN, zones: ['depot', 'port'] },
        },
        this.signer,
        created,
      ),
    );
    const bundle = signCityBundle(
      {
        version: this.version,
        issued: looked,
        issuers: [
          { did: this.issuer.did, name: 'Vehicles of Sejong', kinds: [VEHICLE_CREDENTIAL, STATUS_LIST_CREDENTIAL] },
        ],
        statusLists,
        gateways: vouched,
        policy: {
          freshSeconds: 600,
          maxStalenessSeconds: 7200,
          publishSeconds: 60,
          challengeSeconds: 10,
          zones: { depot: { purposes: ['entry', 'charge'] }, port: { purposes: ['entry'] } },
          maxSpeedKmh: 200,
          ...over.policy,
        },
      },
      over.by ?? this.signer,
    );
    return encodeMessage(bundle);
  }

  open(gateways: readonly string[], now: number, over: Parameters<TestCity['bundle']>[2] = {}): OpenCityBundle {
    return openCityBundle(this.bundle(gateways, now, over), { cityDid: this.did, verify });
  }
}

/** What a vehicle is asked: the parts of a challenge that its answer depends on. */
export type AskedOf = Pick<Challenge, 'id' | 'nonce' | 'zone'>;

export class TestVehicle {
  readonly signer: Signer;
  readonly registration: string;
  credential: VehicleCredential;
  counter = 0;

  constructor(
    city: TestCity,
    name: string,
    now: number,
    over: { registration?: string; keyType?: KeyType; credential?: Parameters<TestCity['credential']>[2] } = {},
  ) {
    this.signer = signerOf(`vehicle ${name}`, over.keyType);
    this.registration = over.registration ?? name;
    this.credential = city.credential(this.did, now, { registration: this.registration, ...over.credential });
  }

  get did(): string {
    return this.signer.did;
  }

  /** Ten seconds of standing at the gate, or whatever the records say. */
  telemetry(now: number, over: { at?: { lat: number; lon: number }; records?: SenmlRecord[]; by?: Signer } = {}) {
    const { lat, lon } = over.at ?? DEPOT;
    const iat = Math.floor(now / 1000);
    const records =
      over.records ??
      [-9, -6, -3, 0].flatMap((t): SenmlRecord[] => [
        { n: 'Vehicle.Speed', u: 'km/h', v: 0, t: iat + t },
        { n: 'Vehicle.CurrentLocation.Latitude', u: 'lat', v: lat, t: iat + t },
        { n: 'Vehicle.CurrentLocation.Longitude', u: 'lon', v: lon, t: iat + t },
      ]);
    const by = over.by ?? this.signer;
    return encodeEnvelope({ iss: by.did, sub: 'urn:sejong:check', iat, epoch: 1, seq: this.counter }, records, by.sign);
  }

  presentation(
    asked: AskedOf,
    now: number,
    over: {
      origin?: string;
      zone?: string;
      counter?: number;
      telemetry?: Uint8Array | null;
      holder?: Signer;
      fields?: Part<Presentation>;
    } = {},
  ): { message: Uint8Array; presentation: Presentation } {
    const telemetry = over.telemetry === undefined ? this.telemetry(now) : (over.telemetry ?? undefined);
    const holder = over.holder ?? this.signer;
    const presentation = signPresentation(
      {
        holder: holder.did,
        verifiableCredential: [this.credential],
        session: asked.id,
        nonce: randomBytes(32).toString('base64url'),
        counter: over.counter ?? ++this.counter,
        telemetryDigest: telemetryDigest(telemetry ?? new Uint8Array(0)),
        ...over.fields,
      } as never,
      holder,
      { nonce: asked.nonce, domain: checkDomain(over.origin ?? ORIGIN, over.zone ?? asked.zone), now },
    );
    return { message: encodePresentation(presentation, telemetry), presentation };
  }
}

/** A login as devices do it, signed by the pseudonym itself. */
export function jwtOf({ did, signer }: TestVehicle, origin: string, over: Record<string, unknown> = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const alg = did.startsWith('did:key:zDn') ? 'ES256' : 'EdDSA';
  const head = `${b64({ alg, typ: 'JWT' })}.${b64({ sub: did, aud: origin, iat: now, exp: now + 300, ...over })}`;
  return `${head}.${Buffer.from(signer.sign(Buffer.from(head))).toString('base64url')}`;
}
