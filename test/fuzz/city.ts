/** The city of the corpus: documents that are right, by keys that everybody knows, so that a mutant can be signed again. */
import {
  type Challenge,
  checkDomain,
  nonceText,
  type Presentation,
  signChallenge,
  signPresentation,
  telemetryDigest,
} from '../../edge/wire/vc/check.ts';
import type { CityBundle } from '../../edge/wire/vc/city-bundle.ts';
import { City, ORIGIN, POLICY, signerOf } from '../support/city.ts';

export const NOW = 1_790_000_000_000;
export const CITY = new City(NOW);
export const HELLO = { gate: 'gate-3', purpose: 'passage' };
export const VEHICLES = [signerOf('fuzz vehicle'), signerOf('fuzz p256 vehicle', 'P-256')];
export const TELEMETRY = new Uint8Array(24).fill(7);

const uuid = (n: number): string => `urn:uuid:00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const nonce = (n: number): string => nonceText(new Uint8Array(32).fill(n));
const gatewayCredential = CITY.gatewayCredential({ id: uuid(1) });

export const CHALLENGES: Challenge[] = [1, 2].map((n) =>
  signChallenge(
    {
      id: uuid(10 + n),
      from: CITY.gateway.did,
      credential: gatewayCredential,
      nonce: nonce(n),
      zone: 'north',
      ...HELLO,
      created: new Date(NOW - 1000 * n).toISOString(),
      expires: new Date(NOW + 1000 * n).toISOString(),
      bundleVersion: n,
    },
    CITY.gateway,
  ),
);

export const PRESENTATIONS: Presentation[] = VEHICLES.map((vehicle, n) =>
  signPresentation(
    {
      holder: vehicle.did,
      verifiableCredential: [CITY.vehicleCredential(vehicle.did, { id: uuid(20 + n) }, 7 + n)],
      session: uuid(11),
      nonce: nonce(3 + n),
      counter: n,
      telemetryDigest: telemetryDigest(TELEMETRY),
    },
    vehicle,
    { nonce: nonce(1), domain: checkDomain(ORIGIN, 'north'), now: NOW },
  ),
);

export const BUNDLES: CityBundle[] = [
  CITY.bundle({ gateways: [gatewayCredential] }),
  CITY.bundle({ version: 2, gateways: [], statusLists: [CITY.statusList('revocation', [7])] }),
  CITY.bundle({ version: 3, gateways: [], statusLists: [], policy: { ...POLICY, zones: {} } }),
];
