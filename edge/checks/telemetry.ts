/**
 * What a vehicle measured shortly before it was asked: one envelope (wire/envelope.ts), signed by the key that presents
 * itself, with a minute or so of samples. Names are COVESA VSS paths; records with the same time are one sample.
 */
import { EdgeError } from '../errors.ts';
import { decodeEnvelope, type Envelope } from '../wire/envelope.ts';
import { checkAlg, signatureInvalid, VERIFIERS } from '../wire/keys.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import type { Verify } from '../wire/vc/proof.ts';
import { checkedKey } from '../wire/vc/shape.ts';
import type { Place, Sample, Sighting } from './plausibility.ts';

const SPEED = 'Vehicle.Speed';
const LATITUDE = 'Vehicle.CurrentLocation.Latitude';
const LONGITUDE = 'Vehicle.CurrentLocation.Longitude';
/** What the receiver says the time of its fix is, ISO 8601; without it that is the time of the sample. */
const GNSS_TIME = 'Vehicle.CurrentLocation.Timestamp';

/** RFC 8428 section 4.5.3: a time below this is an offset, here to `iat`. */
const ABSOLUTE = 2 ** 28;

/** In the order of time. `fix` and `gnssMs` are of the newest sample that has a fix. */
export type Telemetry = { samples: Sample[]; fix?: Place; gnssMs?: number };

type Measured = { speedKmh?: number; lat?: number; lon?: number; gnssMs?: number };

/** @throws EdgeError of wire/envelope.ts, ISSUER_MISMATCH, ALG_MISMATCH, SIGNATURE_INVALID, PROFILE_MISMATCH */
export function readTelemetry(bytes: Uint8Array, holder: string, verify: Verify): Telemetry {
  const envelope = decodeEnvelope(bytes);
  const { iss, alg, signed, signature } = envelope;
  if (iss !== holder) throw new EdgeError('ISSUER_MISMATCH', `the telemetry is by ${iss}`);
  const key = checkedKey(holder);
  const verifier = VERIFIERS[key.type];
  checkAlg(verifier, alg);
  const flaw = verifier.signatureFlaw(signature);
  if (flaw || !verify(key, signed, signature)) throw signatureInvalid(holder, flaw);
  return samplesOf(envelope);
}

export function samplesOf({ iat, records }: Pick<Envelope, 'iat' | 'records'>): Telemetry {
  const moments = new Map<number, Measured>();
  for (const record of records) {
    const t = record.t ?? 0;
    const seconds = t < ABSOLUTE ? iat + t : t;
    const moment = moments.get(seconds) ?? {};
    moments.set(seconds, moment);
    note(moment, record);
  }
  const telemetry: Telemetry = { samples: [] };
  for (const [seconds, { speedKmh, lat, lon, gnssMs }] of [...moments].sort(([a], [b]) => a - b)) {
    const fix = lat !== undefined && lon !== undefined ? { lat, lon } : undefined;
    telemetry.samples.push({ ms: seconds * 1000, fix, speedKmh });
    if (!fix) continue;
    telemetry.fix = fix;
    telemetry.gnssMs = gnssMs ?? seconds * 1000;
  }
  return telemetry;
}

/** Where an accepted reading says that its vehicle was, and when; undefined where it does not, or is none of a vehicle. */
export function sightingOf(bytes: Uint8Array): Sighting | undefined {
  try {
    const { samples } = samplesOf(decodeEnvelope(bytes));
    const last = samples.findLast(({ fix }) => fix !== undefined);
    return last && { ms: last.ms, gate: 'a reading of its own', fix: last.fix, allowed: true };
  } catch (error) {
    if (!(error instanceof EdgeError)) throw error;
    return undefined; // accepted as telemetry, and no place: no ground to doubt anybody
  }
}

function note(moment: Measured, { n, v, vs }: SenmlRecord): void {
  const within = (max: number): number => {
    if (v === undefined || Math.abs(v) > max)
      throw new EdgeError('PROFILE_MISMATCH', `${n} is ${v ?? 'no number'}, it is a number up to ${max}`);
    return v;
  };
  // Backwards is a negative speed in VSS; the wheels turn all the same.
  if (n === SPEED) moment.speedKmh = Math.abs(within(1000));
  else if (n === LATITUDE) moment.lat = within(90);
  else if (n === LONGITUDE) moment.lon = within(180);
  else if (n === GNSS_TIME) {
    const ms = Date.parse(vs ?? '');
    if (!Number.isFinite(ms)) throw new EdgeError('PROFILE_MISMATCH', `${n} is no time`);
    moment.gnssMs = ms;
  }
}
