/**
 * A simulated city: the key that signs bundles, an issuer of vehicle credentials, and its books. What is in the folder:
 * `city.key` and `issuer.key` (0600), `books.json`. A credential is in the books before anybody holds it, so an index of
 * a status list is never given twice while the credential that has it is good.
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type KeyType, VERIFIERS } from '../../edge/wire/keys.ts';
import { encodeMessage } from '../../edge/wire/vc/check.ts';
import { type CityPolicy, signCityBundle } from '../../edge/wire/vc/city-bundle.ts';
import {
  type GatewayCredential,
  issueGatewayCredential,
  issueStatusList,
  issueVehicleCredential,
  STATUS_LIST_CREDENTIAL,
  STATUS_PURPOSES,
  type StatusListCredential,
  type StatusPurpose,
  VEHICLE_CREDENTIAL,
  type VehicleCredential,
} from '../../edge/wire/vc/credential.ts';
import type { Signer } from '../../edge/wire/vc/proof.ts';
import { timeText } from '../../edge/wire/vc/shape.ts';
import { encodeStatusList, MIN_LIST_BYTES, setStatus } from '../../edge/wire/vc/status-list.ts';
import { makeFolder, readIfThere, writeDurably } from '../durable.ts';
import { didOf, makeSigner, newSecretKey, type SecretKey } from '../signer.ts';

const LIST_BITS = 8 * MIN_LIST_BYTES;
/** A list is begun anew when half of it is given out: until then a free index drawn at random is soon found. */
const MOST_IN_LIST = LIST_BITS / 2;
const HOUR_MS = 3_600_000;
/** How long a credential is good unless said otherwise. Short, so that a lost pseudonym dies by itself. */
const VEHICLE_HOURS = 24;
const GATEWAY_HOURS = 30 * 24;

/** `list` counts from 0; index and statuses by the id of the credential. */
type Issued = { id: string; list: number; index: number; validUntil: string; set: StatusPurpose[] };
type Books = {
  name: string;
  /** Of the newest bundle; 0: none yet. */
  version: number;
  policy: CityPolicy;
  issued: Issued[];
  gateways: GatewayCredential[];
};

export const DEFAULT_POLICY: CityPolicy = {
  freshSeconds: 3600,
  maxStalenessSeconds: 86_400,
  publishSeconds: 900,
  challengeSeconds: 10,
  zones: {},
  maxSpeedKmh: 150,
};

export type VehicleWish = {
  did: string;
  /** A new one where there is none: the vehicle keeps it over all of its pseudonyms. */
  registration?: string;
  zones: string[];
  purposes: string[];
  hours?: number;
  /** Unix ms; now where it is not said. */
  from?: number;
};

export const newRegistration = (): string => `urn:sejong:registration:${randomBytes(16).toString('base64url')}`;

export class CityOffice {
  readonly #folder: string;
  readonly #city: Signer;
  readonly #issuer: Signer;
  readonly #books: Books;

  private constructor(folder: string, books: Books) {
    this.#folder = folder;
    this.#city = readKey(join(folder, 'city.key'));
    this.#issuer = readKey(join(folder, 'issuer.key'));
    this.#books = books;
  }

  /** Opens the office in this folder, or begins it: keys are made only where there is no office at all. */
  static open(folder: string, fresh?: { name?: string; keyType?: KeyType; policy?: Partial<CityPolicy> }): CityOffice {
    const path = join(folder, 'books.json');
    const text = readIfThere(path);
    if (text !== undefined) return new CityOffice(folder, JSON.parse(text) as Books);
    if (!fresh) throw new Error(`there is no city in ${folder}; begin one with: issuer init`);
    const { name = 'Sejong vehicle registry', keyType = 'Ed25519', policy = {} } = fresh;
    makeFolder(folder);
    for (const key of ['city.key', 'issuer.key'])
      if (readIfThere(join(folder, key)) === undefined) writeKey(join(folder, key), keyType);
    const office = new CityOffice(folder, {
      name,
      version: 0,
      policy: { ...DEFAULT_POLICY, ...policy },
      issued: [],
      gateways: [],
    });
    office.#save();
    return office;
  }

  /** Gateways and vehicles pin this one. */
  get cityDid(): string {
    return this.#city.did;
  }
  get issuerDid(): string {
    return this.#issuer.did;
  }
  get version(): number {
    return this.#books.version;
  }
  get policy(): CityPolicy {
    return this.#books.policy;
  }
  get counts(): { issued: number; revoked: number; suspended: number; gateways: number } {
    const { issued, gateways } = this.#books;
    const set = (purpose: StatusPurpose): number => issued.filter((one) => one.set.includes(purpose)).length;
    return {
      issued: issued.length,
      revoked: set('revocation'),
      suspended: set('suspension'),
      gateways: gateways.length,
    };
  }

  setPolicy(change: Partial<CityPolicy>): void {
    this.#books.policy = { ...this.#books.policy, ...change };
    this.#save();
  }

  issue(wish: VehicleWish): VehicleCredential {
    const now = Date.now();
    const from = wish.from ?? now;
    // What is over needs no status any more, and its index is free.
    this.#books.issued = this.#books.issued.filter((one) => Date.parse(one.validUntil) > now - HOUR_MS);
    const { list, index } = this.#freshIndex();
    const id = `urn:uuid:${randomUUID()}`;
    const validUntil = timeText(from + (wish.hours ?? VEHICLE_HOURS) * HOUR_MS);
    const credential = issueVehicleCredential(
      {
        id,
        validFrom: timeText(from),
        validUntil,
        credentialSubject: {
          id: wish.did,
          registration: wish.registration ?? newRegistration(),
          zones: wish.zones,
          purposes: wish.purposes,
        },
        credentialStatus: STATUS_PURPOSES.map((statusPurpose) => ({
          type: 'BitstringStatusListEntry',
          statusPurpose,
          statusListIndex: String(index),
          statusListCredential: listId(statusPurpose, list),
        })),
      },
      this.#issuer,
      timeText(now),
    );
    this.#books.issued.push({ id, list, index, validUntil, set: [] });
    this.#save();
    return credential;
  }

  /** At random: neighbours in a list say nothing of who came when. */
  #freshIndex(): { list: number; index: number } {
    const list = Math.floor(this.#books.issued.length / MOST_IN_LIST);
    const taken = new Set(this.#books.issued.filter((one) => one.list === list).map((one) => one.index));
    let index = randomInt(LIST_BITS);
    while (taken.has(index)) index = randomInt(LIST_BITS);
    return { list, index };
  }

  /** Nobody hears of it before the next bundle. @param credential its id */
  setStatus(credential: string, purpose: StatusPurpose, value: boolean): void {
    const issued = this.#books.issued.find((one) => one.id === credential);
    if (!issued) throw new Error(`no credential ${credential} was issued here`);
    if (purpose === 'revocation' && !value) throw new Error('a revocation is for good; issue a new credential');
    issued.set = issued.set.filter((one) => one !== purpose);
    if (value) issued.set.push(purpose);
    this.#save();
  }

  /** Vouches for a gateway from the next bundle on; a new credential takes the place of its old one. */
  vouchFor(did: string, origin: string, zones: string[], hours = GATEWAY_HOURS): GatewayCredential {
    const now = Date.now();
    const credential = issueGatewayCredential(
      {
        id: `urn:uuid:${randomUUID()}`,
        validFrom: timeText(now),
        validUntil: timeText(now + hours * HOUR_MS),
        credentialSubject: { id: did, origin, zones },
      },
      this.#city,
      timeText(now),
    );
    const others = this.#books.gateways.filter((one) => one.credentialSubject.id !== did);
    this.#books.gateways = [...others, credential];
    this.#save();
    return credential;
  }

  /** @throws Error where no gateway of this origin is vouched for */
  gatewayFor(origin: string): GatewayCredential {
    const found = this.#books.gateways.find((one) => one.credentialSubject.origin === origin);
    if (!found) throw new Error(`the city vouches for no gateway ${origin}; do it with: issuer gateway`);
    return found;
  }

  /** Without it gateways get no credential any more: vehicles take it for a fake one. */
  dropGateway(did: string): void {
    this.#books.gateways = this.#books.gateways.filter((one) => one.credentialSubject.id !== did);
    this.#save();
  }

  /**
   * The next version. It is in the books before it is given away: a version is never signed twice.
   * @param asOf Unix ms: when the lists were made; a city that was cut off publishes old ones
   */
  publish(asOf: number = Date.now()): Uint8Array {
    this.#books.version++;
    this.#save();
    const { name, version, policy, gateways } = this.#books;
    const now = Date.now();
    const bundle = signCityBundle(
      {
        version,
        issued: timeText(Math.max(now, asOf)),
        issuers: [{ did: this.#issuer.did, name, kinds: [VEHICLE_CREDENTIAL, STATUS_LIST_CREDENTIAL] }],
        statusLists: this.#lists(asOf),
        gateways: gateways.filter((one) => Date.parse(one.validUntil) > now),
        policy,
      },
      this.#city,
    );
    return encodeMessage(bundle);
  }

  #lists(asOf: number): StatusListCredential[] {
    const { issued } = this.#books;
    const lists = 1 + Math.max(0, ...issued.map((one) => one.list));
    return STATUS_PURPOSES.flatMap((statusPurpose) =>
      Array.from({ length: lists }, (_, list) => {
        const bits = new Uint8Array(MIN_LIST_BYTES);
        for (const one of issued)
          if (one.list === list && one.set.includes(statusPurpose)) setStatus(bits, one.index, true);
        const id = listId(statusPurpose, list);
        const credentialSubject = {
          id: `${id}#list`,
          type: 'BitstringStatusList' as const,
          statusPurpose,
          encodedList: encodeStatusList(bits),
        };
        return issueStatusList({ id, validFrom: timeText(asOf), credentialSubject }, this.#issuer, timeText(asOf));
      }),
    );
  }

  #save(): void {
    writeDurably(join(this.#folder, 'books.json'), `${JSON.stringify(this.#books)}\n`, 0o600);
  }
}

const listId = (purpose: StatusPurpose, list: number): string =>
  `https://city.sejong-edge.example/status/${purpose}/${list}`;

function writeKey(path: string, keyType: KeyType): void {
  const secretKey = Buffer.from(newSecretKey(keyType)).toString('hex');
  writeDurably(path, `${JSON.stringify({ keyType, secretKey })}\n`, 0o600);
}

/** A file that cannot be read is an error, never a reason for a new key. */
function readKey(path: string): Signer {
  try {
    const { keyType, secretKey } = JSON.parse(readIfThere(path) ?? '') as { keyType: KeyType; secretKey: string };
    if (Object.hasOwn(VERIFIERS, keyType) && /^[0-9a-f]{64}$/.test(secretKey)) {
      const key: SecretKey = { keyType, secretKey: new Uint8Array(Buffer.from(secretKey, 'hex')) };
      return { did: didOf(key), sign: makeSigner(key) };
    }
  } catch {
    // said below, without the text: it may hold half a key
  }
  throw new Error(`${path} is not a key file of a simulated city; put it back`);
}
