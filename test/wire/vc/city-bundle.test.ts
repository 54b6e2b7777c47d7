import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { EdgeError } from '../../../edge/errors.ts';
import { encodeMessage } from '../../../edge/wire/vc/check.ts';
import { type CityBundle, openCityBundle, statusOf } from '../../../edge/wire/vc/city-bundle.ts';
import { asVehicleCredential, validityAt, verifyCredential } from '../../../edge/wire/vc/credential.ts';
import { City, LIST_ID, POLICY, SUSPENSIONS_ID, signerOf } from '../../support/city.ts';

const NOW = Date.parse('2026-06-21T03:00:00Z');
const city = new City(NOW);
const cityDid = city.key.did;
const vehicle = signerOf('vehicle');
const stranger = signerOf('stranger');

const open = (bundle: object, held?: { version: number; digest: string }) =>
  openCityBundle(encodeMessage(bundle), { cityDid, held });
const fate = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as EdgeError).code;
  }
  return 'taken';
};

describe('a vehicle credential', () => {
  const credential = city.vehicleCredential(vehicle.did);

  it('has its form and its proof', () => {
    expect(asVehicleCredential(JSON.parse(JSON.stringify(credential)), 'it')).toEqual(credential);
    verifyCredential(credential);
    expect(fate(() => verifyCredential({ ...credential, issuer: stranger.did }))).toBe('PROOF_INVALID');
  });

  it('begins with its first moment and ends before its last', () => {
    const { validFrom, validUntil } = credential;
    const at = (ms: number) => validityAt({ validFrom, validUntil }, ms);
    expect([at(NOW - 3_600_001), at(NOW - 3_600_000), at(NOW + 3_599_999), at(NOW + 3_600_000)]).toEqual([
      'early',
      'valid',
      'valid',
      'expired',
    ]);
  });

  it('is refused in any other form', () => {
    const subject = credential.credentialSubject;
    const [entry, other] = credential.credentialStatus;
    for (const changed of [
      { more: 1 },
      { '@context': [...credential['@context']].reverse() },
      { '@context': credential['@context'][0] },
      { type: ['VerifiableCredential'] },
      { type: [...credential.type, 'More'] },
      { id: 'x' },
      { issuer: 'did:web:city.example' },
      { issuer: { id: credential.issuer } },
      { validFrom: credential.validUntil },
      { validFrom: '2026-02-30T00:00:00Z' },
      { validFrom: '2026-06-21T00:00:00+09:00' },
      { validUntil: undefined },
      { credentialSubject: { ...subject, plate: '12GA3456' } },
      { credentialSubject: { ...subject, registration: 'KMHXX00XXXX000000' } },
      { credentialSubject: { ...subject, zones: [] } },
      { credentialSubject: { ...subject, zones: ['north', 'north'] } },
      { credentialSubject: { ...subject, zones: Array.from({ length: 33 }, (_, i) => `z${i}`) } },
      { credentialSubject: [subject] },
      { credentialStatus: entry },
      { credentialStatus: [] },
      { credentialStatus: [other] },
      { credentialStatus: [entry, entry] },
      { credentialStatus: [{ ...entry, statusListIndex: 7 }] },
      { credentialStatus: [{ ...entry, statusListIndex: '07' }] },
      { credentialStatus: [{ ...entry, statusListIndex: '-1' }] },
      { credentialStatus: [{ ...entry, statusPurpose: 'message' }] },
      { proof: { ...credential.proof, challenge: 'c' } },
      { proof: undefined },
    ]) {
      const value = JSON.parse(JSON.stringify({ ...credential, ...changed }));
      expect(
        fate(() => asVehicleCredential(value, 'it')),
        JSON.stringify(changed),
      ).toBe('MESSAGE_INVALID');
    }
  });
});

describe('the city bundle', () => {
  it('opens with all of its parts', () => {
    const bundle = city.bundle();
    const { issuers, statusLists, digest } = open(bundle);
    expect([...issuers.keys()]).toEqual([city.issuer.did]);
    expect([...statusLists.keys()]).toEqual([LIST_ID, SUSPENSIONS_ID]);
    expect(statusLists.get(LIST_ID)?.validFrom).toBe(NOW - 1_800_000);
    expect(digest).toHaveLength(43);
  });

  it('opens for P-256 keys as well', () => {
    const p256 = new City(NOW, 'P-256');
    expect(openCityBundle(encodeMessage(p256.bundle()), { cityDid: p256.key.did }).issuers.size).toBe(1);
  });

  it('only rises: the same bytes again are fine, an older version and another one of the same version are not', () => {
    const three = open(city.bundle({ version: 3 }));
    const held = { version: 3, digest: three.digest };
    expect(open(three.bundle, held).digest).toBe(three.digest);
    expect(open(city.bundle({ version: 4 }), held).bundle.version).toBe(4);
    expect(fate(() => open(city.bundle({ version: 2 }), held))).toBe('BUNDLE_ROLLBACK');
    expect(fate(() => open(city.bundle({ version: 3, issued: city.at(-0.25) }), held))).toBe('BUNDLE_CONFLICT');
    // Nobody but the city can say that a version is taken.
    expect(fate(() => open(city.bundle({ version: 2 }, stranger), held))).toBe('CITY_BUNDLE_INVALID');
  });

  it('is refused where any signature, list or rule in it is wrong', () => {
    const { issuers } = city.bundle();
    const wrong: Record<string, Partial<CityBundle> | CityBundle> = {
      'by a stranger': city.bundle({}, stranger),
      'changed afterwards': { ...city.bundle(), version: 9 },
      'a list by the issuer of nobody': { statusLists: [city.statusList('revocation', [], stranger)] },
      'a list by the city itself, which is no issuer': { statusLists: [city.statusList('revocation', [], city.key)] },
      'a list changed': { statusLists: [{ ...city.statusList('revocation'), validFrom: city.at(-0.75) }] },
      'a list twice': { statusLists: [city.statusList('revocation'), city.statusList('revocation', [3])] },
      'a list from the future': { issued: city.at(-0.75) },
      'a bomb for a list': {
        statusLists: [
          city.statusList(
            'revocation',
            [],
            city.issuer,
            `u${gzipSync(new Uint8Array(64 * 1024 * 1024)).toString('base64url')}`,
          ),
        ],
      },
      'a gateway by a stranger': { gateways: [city.gatewayCredential({}, stranger)] },
      'a gateway by the issuer': { gateways: [city.gatewayCredential({}, city.issuer)] },
      'a gateway changed': { gateways: [{ ...city.gatewayCredential(), validUntil: city.at(9999) }] },
      'an issuer twice': { issuers: [...issuers, ...issuers] },
      'no issuer': { issuers: [] },
      'an issuer of gateways': { issuers: [{ ...issuers[0], kinds: ['SejongGatewayCredential'] }] as never },
      'long challenges': { policy: { ...POLICY, challengeSeconds: 11 } },
      'fresh beyond stale': { policy: { ...POLICY, freshSeconds: 90_000 } },
      'a zone of no name': { policy: { ...POLICY, zones: { '../x': { purposes: ['passage'] } } } },
      'version 0': { version: 0 },
      'a version that is no number': { version: '1' as never },
    };
    for (const [why, part] of Object.entries(wrong))
      expect(
        fate(() => open('proof' in part ? part : city.bundle(part))),
        why,
      ).toBe('CITY_BUNDLE_INVALID');
    for (const bytes of ['', '{}', '[]', 'x'])
      expect(fate(() => openCityBundle(Buffer.from(bytes), { cityDid }))).toBe('CITY_BUNDLE_INVALID');
  });

  it('no bit of it may be another', () => {
    const bytes = Buffer.from(encodeMessage(city.bundle()));
    for (let bit = 5; bit < 8 * bytes.length; bit += 97) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(
        fate(() => openCityBundle(flipped, { cityDid })),
        `bit ${bit}`,
      ).toBe('CITY_BUNDLE_INVALID');
    }
  });
});

describe('the status of a credential', () => {
  const opened = (revoked: number[], suspended: number[]) =>
    open(
      city.bundle({
        statusLists: [city.statusList('revocation', revoked), city.statusList('suspension', suspended)],
      }),
    );
  const credential = city.vehicleCredential(vehicle.did, {}, 7);

  it('is what the bit of each purpose says; revoked outweighs suspended', () => {
    expect(statusOf(credential, opened([6, 8], [6, 8]))).toEqual({ state: 'valid', validFrom: NOW - 1_800_000 });
    expect(statusOf(credential, opened([7], []))).toMatchObject({ state: 'revoked' });
    expect(statusOf(credential, opened([], [7]))).toMatchObject({ state: 'suspended' });
    expect(statusOf(credential, opened([7], [7]))).toMatchObject({ state: 'revoked' });
  });

  it('is missing where a list is not there, is of another purpose or issuer, or too short', () => {
    const [revocation, suspension] = credential.credentialStatus;
    const bundle = opened([], []);
    for (const [why, changed] of Object.entries({
      'no such list': { credentialStatus: [{ ...revocation, statusListCredential: 'https://city.example/x' }] },
      'the purpose of another list': { credentialStatus: [{ ...revocation, statusListCredential: SUSPENSIONS_ID }] },
      'the second of two': { credentialStatus: [revocation, { ...suspension, statusListCredential: LIST_ID }] },
      'beyond its end': { credentialStatus: [{ ...revocation, statusListIndex: '131072' }] },
      'the list of another issuer': { issuer: stranger.did },
    }))
      expect(statusOf({ ...credential, ...(changed as object) }, bundle), why).toEqual({ state: 'missing' });
  });
});
