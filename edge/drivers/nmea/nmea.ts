/** A GNSS receiver that speaks NMEA 0183 (version 4.11 and earlier): from an epoch to a reading by VSS paths. */
import Type from 'typebox';
import type { DriverType, Found, HeardDriver, Quality, Reading, Setup } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { decimal, type Raw, recordsOf } from '../records.ts';
import { type Epoch, Epochs } from './epoch.ts';
import { type Day, type Position, parseFields } from './fields.ts';
import { type Sentence, SentenceReader } from './sentence.ts';

/** GPS, GLONASS, Galileo, BeiDou (three spellings), QZSS (two), NavIC, and all together. */
const TALKERS: readonly string[] = ['GP', 'GL', 'GA', 'GB', 'BD', 'PQ', 'QZ', 'GQ', 'GI', 'GN'];

const FIELDS = [
  'latitude',
  'longitude',
  'altitude',
  'heading',
  'speed',
  'horizontalAccuracy',
  'timestamp',
  'satellites',
  'hdop',
] as const;
export type Field = (typeof FIELDS)[number];
export type From = { field: Field };

const FromSchema = Type.Object(
  {
    field: Type.Enum([...FIELDS], {
      description:
        'Degrees, metres above the WGS 84 ellipsoid, degrees from true north, km/h, metres (root of the sum of both variances, from GST), ISO 8601 in UTC.',
    }),
  },
  { additionalProperties: false },
);
const Nothing = Type.Object({}, { additionalProperties: false });

const DAY_MS = 86_400_000;
/** GPS counts weeks in 10 bits: a receiver that lost count is 1,024 weeks behind. */
const ROLLOVER_MS = 1024 * 7 * DAY_MS;
const KMH_PER_KNOT = 1.852;
/** RMC and GGA of one moment are one solution; the last digits may be cut differently. */
const SAME_DEGREES = 0.0003;
const SAME_KMH = 0.5;

function receiver({ values }: Setup<Record<string, never>, Record<string, never>, From>): HeardDriver {
  const reader = new SentenceReader();
  const epochs = new Epochs();
  const talkers = new Set<string>();

  function evaluate(epoch: Epoch): Reading | SerialFault | undefined {
    try {
      return readingOf(epoch, values);
    } catch (error) {
      if (error instanceof SerialFault) return error;
      throw error;
    }
  }

  return {
    hear(chunk, atMs) {
      epochs.at(atMs);
      return reader.push(chunk).flatMap((heard) => {
        if (heard === 'noise' || heard instanceof SerialFault) {
          epochs.damaged();
          return heard === 'noise' ? [] : heard;
        }
        if (!TALKERS.includes(heard.talker)) return [];
        const parsed = parseFields(heard.type, heard.fields);
        if (parsed === undefined) return [];
        if (parsed === 'malformed') {
          epochs.damaged();
          return new SerialFault('corrupt', `a field of ${heard.talker}${heard.type} is not of its form`);
        }
        talkers.add(heard.talker);
        return epochs.push(parsed, atMs).flatMap((epoch) => evaluate(epoch) ?? []);
      });
    },
    reset() {
      reader.reset();
      epochs.reset();
      talkers.clear();
    },
    about: () => (talkers.size === 0 ? undefined : `NMEA 0183 receiver, talkers ${[...talkers].sort().join(', ')}`),
  };
}

/** @returns undefined where the epoch says nothing of a fix at all. @throws SerialFault no-value, corrupt */
function readingOf(epoch: Epoch, values: Setup<unknown, unknown, From>['values']): Reading | undefined {
  const { rmc, gga, vtg, gst, contradiction } = epoch;
  if (rmc === undefined && gga === undefined) return undefined;
  if (contradiction !== undefined) throw new SerialFault('corrupt', contradiction);
  const at = fix(epoch);
  const doubts: string[] = [];
  if (rmc?.mode === 'E' || gga?.quality === 6 || vtg?.mode === 'E') doubts.push('dead reckoning');
  const flat = epoch.gsa.length > 0 && epoch.gsa.every((g) => g.fix < 3);
  if (flat) doubts.push('a fix in two dimensions');
  const { timestamp, doubt } = timestampOf(epoch);
  if (doubt !== undefined) doubts.push(doubt);

  const spoken = vtg !== undefined && consistent(vtg.knots, vtg.kmh) ? vtg : undefined;
  const knots = rmc?.knots ?? spoken?.knots;
  const raw: Record<Field, Raw> = {
    latitude: at.latitude,
    longitude: at.longitude,
    altitude: flat ? undefined : ellipsoidal(gga?.altitude, gga?.geoid),
    heading: rmc?.course ?? spoken?.course,
    speed: knots === undefined ? spoken?.kmh : decimal(knots, KMH_PER_KNOT),
    horizontalAccuracy:
      gst?.latitudeM === undefined || gst.longitudeM === undefined
        ? undefined
        : Math.round(Math.hypot(gst.latitudeM, gst.longitudeM) * 1000) / 1000,
    timestamp,
    satellites: gga?.satellites,
    hdop: gga?.hdop,
  };
  const quality: Quality = doubts.length === 0 ? 'Good' : `Uncertain: ${doubts.join('; ')}`;
  return { records: recordsOf(values, ({ field }) => raw[field]), quality, atMs: epoch.atMs };
}

/** All who tell of a fix must say that there is one. */
function fix({ rmc, gga, gsa }: Epoch): Position {
  if (
    rmc?.valid === false ||
    rmc?.mode === 'N' ||
    gga?.quality === 0 ||
    (gsa.length > 0 && gsa.every((g) => g.fix === 1))
  )
    throw new SerialFault('no-value', 'the receiver has no fix');
  if (rmc?.mode === 'S' || rmc?.mode === 'M' || gga?.quality === 7 || gga?.quality === 8)
    throw new SerialFault('no-value', 'the position is simulated, or was entered by hand');
  const at = rmc?.at ?? gga?.at;
  if (at === undefined) throw new SerialFault('no-value', 'the receiver tells no position');
  if (
    rmc?.at &&
    gga?.at &&
    (Math.abs(rmc.at.latitude - gga.at.latitude) > SAME_DEGREES ||
      Math.abs(rmc.at.longitude - gga.at.longitude) > SAME_DEGREES)
  )
    throw new SerialFault('corrupt', 'RMC and GGA of one time tell different positions');
  // The one with more digits is the better one of the same solution.
  return gga?.at ?? at;
}

/** VTG tells one speed in two units. */
const consistent = (knots: number | undefined, kmh: number | undefined): boolean =>
  knots === undefined || kmh === undefined || Math.abs(knots * KMH_PER_KNOT - kmh) <= SAME_KMH;

/** VSS counts altitude from the ellipsoid, GGA from the geoid, and tells how far that is from it. */
function ellipsoidal(altitude: string | undefined, geoid: string | undefined): number | undefined {
  if (altitude === undefined || geoid === undefined) return undefined;
  const decimals = Math.max(...[altitude, geoid].map((s) => s.split('.')[1]?.length ?? 0));
  return Number((Number(altitude) + Number(geoid)).toFixed(decimals));
}

/**
 * The receiver's own time, where it can be believed: within a day of the gateway's. It dates nothing but itself: the
 * reading's time is the gateway's.
 */
function timestampOf({ timeMs, rmc, zda, atMs }: Epoch): { timestamp?: string; doubt?: string } {
  const date = rmc?.date ?? zda?.date;
  if (timeMs === undefined || date === undefined) return {};
  const ms = msOf(date) + timeMs;
  const said = new Date(ms).toISOString().replace('.000Z', 'Z');
  if (rmc?.date && zda?.date && msOf(rmc.date) !== msOf(zda.date))
    return { doubt: 'RMC and ZDA tell different dates, so neither is used' };
  if (Math.abs(ms - atMs) <= DAY_MS) return { timestamp: said };
  const weeks = Math.round((atMs - ms) / ROLLOVER_MS);
  return weeks > 0 && Math.abs(atMs - ms - weeks * ROLLOVER_MS) <= DAY_MS
    ? {
        doubt: `the receiver's date ${said.slice(0, 10)} is ${weeks * 1024} weeks behind (GPS week rollover), so it is not used`,
      }
    : { doubt: `the receiver's date ${said.slice(0, 10)} is far from the gateway's, so it is not used` };
}

const msOf = ({ year, month, day }: Day): number => Date.UTC(year, month - 1, day);

export const nmea: DriverType<Record<string, never>, Record<string, never>, From> = {
  says: 'NMEA 0183: position of a GNSS receiver (heard)',
  media: ['tty', 'tcp'],
  line: { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1 },
  settings: Nothing,
  device: Nothing,
  from: FromSchema,
  create: receiver,
  probe: {
    lines: [9600, 4800, 38_400, 115_200].map((baudRate) => ({ baudRate, dataBits: 8, parity: 'none', stopBits: 1 })),
    listen: {
      seconds: 2,
      hear: () => {
        const reader = new SentenceReader();
        const isOurs = (s: Sentence) => TALKERS.includes(s.talker) && typeof parseFields(s.type, s.fields) === 'object';
        return (chunk): Found | undefined => {
          for (const s of reader.push(chunk))
            if (typeof s === 'object' && !(s instanceof SerialFault) && isOurs(s))
              return { profile: 'gnss', device: {}, about: `NMEA 0183 receiver, talker ${s.talker}` };
          return undefined;
        };
      },
    },
  },
};
