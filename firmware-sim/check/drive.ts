/** What a vehicle measured on its last metres to a gate: one envelope, signed by the key that presents itself. */
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import type { Signer } from '../../edge/wire/vc/proof.ts';

/** Degrees, WGS 84. */
export type Place = { latitude: number; longitude: number };
export type Drive = {
  to: Place;
  /** Of the wheels. */
  speedKmh: number;
  /** How many times farther the fixes move than the wheels drive: 1 for an honest receiver. */
  fixFactor?: number;
  /** One sample a second. */
  seconds?: number;
};

const METRES_PER_DEGREE = 111_195;
/** It stops in front of the barrier, to the south of it. */
const STOP_METRES = 5;
const URN = 'urn:sejong:check';

/** @param nowMs Unix ms: of the newest sample; @param seq different for each envelope of this key */
export function driveEnvelope(drive: Drive, { did, sign }: Signer, nowMs: number, seq: number): Uint8Array {
  const { to, speedKmh, fixFactor = 1, seconds = 10 } = drive;
  const iat = Math.floor(nowMs / 1000);
  const records: SenmlRecord[] = [];
  for (let i = seconds; i >= 0; i--) {
    const metres = STOP_METRES + (i * fixFactor * speedKmh) / 3.6;
    const latitude = to.latitude - metres / METRES_PER_DEGREE;
    records.push(
      { n: 'Vehicle.Speed', u: 'km/h', v: speedKmh, t: iat - i },
      { n: 'Vehicle.CurrentLocation.Latitude', u: 'lat', v: round(latitude), t: iat - i },
      { n: 'Vehicle.CurrentLocation.Longitude', u: 'lon', v: round(to.longitude), t: iat - i },
    );
  }
  return encodeEnvelope({ iss: did, sub: URN, iat, epoch: 1, seq }, records, sign);
}

const round = (degrees: number): number => Math.round(degrees * 1e6) / 1e6;
