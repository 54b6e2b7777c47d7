/** A small city for tests: its keys, issuer, lists and bundle, each document as right as it can be unless told otherwise. */
import { randomUUID } from 'node:crypto';
import type { KeyType } from '../../edge/wire/keys.ts';
import { type CityBundle, type CityPolicy, signCityBundle } from '../../edge/wire/vc/city-bundle.ts';
import {
  type GatewayCredential,
  issueGatewayCredential,
  issueStatusList,
  issueVehicleCredential,
  type StatusListCredential,
  type VehicleCredential,
} from '../../edge/wire/vc/credential.ts';
import type { Signer } from '../../edge/wire/vc/proof.ts';
import { timeText } from '../../edge/wire/vc/shape.ts';
import { encodeStatusList, MIN_LIST_BYTES, setStatus } from '../../edge/wire/vc/status-list.ts';
import { didOf, fastSigner, makeSigner, newSecretKey } from '../../firmware-sim/signer.ts';

/** The same key for the same name. */
export function signerOf(name: string, keyType: KeyType = 'Ed25519'): Signer {
  const key = { keyType, secretKey: newSecretKey(keyType, `test ${name}`) };
  // RFC 6979 for P-256: the same signature at each run.
  return { did: didOf(key), sign: keyType === 'Ed25519' ? fastSigner(key) : makeSigner(key) };
}

export const ORIGIN = 'test.example/log';
export const LIST_ID = 'https://city.example/status/revocation/1';
export const SUSPENSIONS_ID = 'https://city.example/status/suspension/1';
export const POLICY: CityPolicy = {
  freshSeconds: 3600,
  maxStalenessSeconds: 86_400,
  publishSeconds: 900,
  challengeSeconds: 10,
  zones: { north: { purposes: ['passage', 'charging'] }, depot: { purposes: ['passage'] } },
  maxSpeedKmh: 150,
};

const HOUR = 3_600_000;
const uuid = (): string => `urn:uuid:${randomUUID()}`;

export class City {
  readonly now: number;
  readonly key: Signer;
  readonly issuer: Signer;
  readonly gateway: Signer;

  /** @param now Unix ms: everything is issued an hour before it */
  constructor(now: number, keyType: KeyType = 'Ed25519') {
    this.now = now;
    this.key = signerOf('city', keyType);
    this.issuer = signerOf('issuer', keyType);
    this.gateway = signerOf('gateway', keyType);
  }

  at(hours: number): string {
    return timeText(this.now + hours * HOUR);
  }

  vehicleCredential(
    holder: string,
    fields: Partial<Omit<VehicleCredential, 'proof'>> = {},
    index = 7,
    by: Signer = this.issuer,
  ): VehicleCredential {
    const entry = (statusPurpose: 'revocation' | 'suspension', statusListCredential: string) => ({
      type: 'BitstringStatusListEntry' as const,
      statusPurpose,
      statusListIndex: String(index),
      statusListCredential,
    });
    return issueVehicleCredential(
      {
        id: uuid(),
        validFrom: this.at(-1),
        validUntil: this.at(1),
        credentialSubject: {
          id: holder,
          registration: 'urn:sejong:registration:0123456789abcdef',
          zones: ['north'],
          purposes: ['passage'],
        },
        credentialStatus: [entry('revocation', LIST_ID), entry('suspension', SUSPENSIONS_ID)],
        ...fields,
      },
      by,
      this.at(-1),
    );
  }

  gatewayCredential(fields: Partial<GatewayCredential> = {}, by: Signer = this.key): GatewayCredential {
    return issueGatewayCredential(
      {
        id: uuid(),
        validFrom: this.at(-1),
        validUntil: this.at(24),
        credentialSubject: { id: this.gateway.did, origin: ORIGIN, zones: ['north', 'depot'] },
        ...fields,
      },
      by,
      this.at(-1),
    );
  }

  statusList(
    statusPurpose: 'revocation' | 'suspension',
    set: readonly number[] = [],
    by: Signer = this.issuer,
    encodedList?: string,
  ): StatusListCredential {
    const list = new Uint8Array(MIN_LIST_BYTES);
    for (const index of set) setStatus(list, index, true);
    const id = statusPurpose === 'revocation' ? LIST_ID : SUSPENSIONS_ID;
    return issueStatusList(
      {
        id,
        validFrom: this.at(-0.5),
        credentialSubject: {
          id: `${id}#list`,
          type: 'BitstringStatusList',
          statusPurpose,
          encodedList: encodedList ?? encodeStatusList(list),
        },
      },
      by,
      this.at(-0.5),
    );
  }

  bundle(fields: Partial<CityBundle> = {}, by: Signer = this.key): CityBundle {
    return signCityBundle(
      {
        version: 1,
        issued: this.at(-0.5),
        issuers: [
          {
            did: this.issuer.did,
            name: 'Sejong vehicle registry',
            kinds: ['SejongVehicleCredential', 'BitstringStatusListCredential'],
          },
        ],
        statusLists: [this.statusList('revocation'), this.statusList('suspension')],
        gateways: [this.gatewayCredential()],
        policy: POLICY,
        ...fields,
      },
      by,
    );
  }
}
