/**
 * What the fields of a sentence mean: NMEA 0183 version 4.11, section 6. Strict: a field that is neither empty nor of its form
 * makes the sentence none, since the checksum of one byte lets through what two errors make. Pure.
 */

/** Decimal degrees. */
export type Position = { latitude: number; longitude: number };

/** Values are absent where the field is empty. */
export type Parsed =
  | {
      type: 'RMC';
      timeMs?: number;
      valid: boolean;
      at?: Position;
      knots?: number;
      course?: number;
      date?: Day;
      mode?: string;
    }
  | {
      type: 'GGA';
      timeMs?: number;
      quality: number;
      at?: Position;
      satellites?: number;
      hdop?: number;
      altitude?: string;
      geoid?: string;
    }
  | { type: 'GSA'; fix: 1 | 2 | 3 }
  | { type: 'VTG'; course?: number; knots?: number; kmh?: number; mode?: string }
  | { type: 'ZDA'; timeMs?: number; date?: Day }
  /** GLL and GNS: only when, so that what follows is known to be of that time. */
  | { type: 'TIME'; timeMs: number }
  | { type: 'GST'; timeMs?: number; latitudeM?: number; longitudeM?: number };
export type Day = { year: number; month: number; day: number };

/** Thrown within this file only. */
class Malformed extends Error {}
const bad = (): never => {
  throw new Malformed();
};

/** @returns undefined where the type is not one of these, `malformed` where it is and a field is not of its form */
export function parseFields(type: string, f: readonly string[]): Parsed | undefined | 'malformed' {
  try {
    return parse(type, f);
  } catch (error) {
    if (error instanceof Malformed) return 'malformed';
    throw error;
  }
}

function parse(type: string, f: readonly string[]): Parsed | undefined {
  switch (type) {
    case 'RMC': {
      // 9 fields before version 2, 11 in 2.0, 12 with the mode (2.3), 13 with the navigational status (4.1), which says
      // nothing of the fix: V means that the receiver does not tell one.
      if (f.length < 9 || f.length > 13) return bad();
      return given({
        type,
        timeMs: time(f[0]),
        valid: oneOf(f[1], 'A', 'V') === 'A',
        at: position(f, 2),
        knots: number(f[6], 0, 4000),
        course: number(f[7], 0, 360),
        date: compactDate(f[8]),
        mode: mode(f[11]),
      });
    }
    case 'GGA': {
      if (f.length !== 14) return bad();
      return given({
        type,
        timeMs: time(f[0]),
        quality: Number(oneOf(f[5], '0', '1', '2', '3', '4', '5', '6', '7', '8')),
        at: position(f, 1),
        satellites: number(f[6], 0, 99),
        hdop: number(f[7], 0, 100),
        altitude: metres(f[8], f[9]),
        geoid: metres(f[10], f[11]),
      });
    }
    case 'GSA':
      if (f.length < 17 || f.length > 18) return bad();
      return { type, fix: Number(oneOf(f[1], '1', '2', '3')) as 1 | 2 | 3 };
    case 'VTG':
      if (f.length < 8 || f.length > 9) return bad();
      // u-blox leaves the letters out too where there is no fix.
      for (const [i, letter] of ['T', 'M', 'N', 'K'].entries())
        if (f[2 * i + 1] !== letter && (f[2 * i + 1] !== '' || f[2 * i] !== '')) return bad();
      return given({
        type,
        course: number(f[0], 0, 360),
        knots: number(f[4], 0, 4000),
        kmh: number(f[6], 0, 8000),
        mode: mode(f[8]),
      });
    case 'ZDA': {
      if (f.length !== 6) return bad();
      const [day, month, year] = [number(f[1], 1, 31), number(f[2], 1, 12), number(f[3], 1980, 2200)];
      const date = day === undefined || month === undefined || year === undefined ? undefined : { year, month, day };
      return given({ type, timeMs: time(f[0]), date: date && real(date) });
    }
    case 'GST':
      if (f.length !== 8) return bad();
      return given({ type, timeMs: time(f[0]), latitudeM: number(f[5], 0, 1e6), longitudeM: number(f[6], 0, 1e6) });
    case 'GLL':
    case 'GNS': {
      const timeMs = time(f[type === 'GLL' ? 4 : 0]);
      return timeMs === undefined ? undefined : { type: 'TIME', timeMs };
    }
    default:
      return undefined;
  }
}

/** Without the keys that are undefined. */
function given<T extends { type: string }>(all: { [K in keyof T]: T[K] | undefined }): Parsed {
  return Object.fromEntries(Object.entries(all).filter(([, v]) => v !== undefined)) as Parsed;
}

function oneOf(field: string | undefined, ...values: string[]): string {
  return field !== undefined && values.includes(field) ? field : bad();
}

/** FAA mode: autonomous, differential, estimated, float, manual, none, precise, RTK, simulated. */
function mode(field: string | undefined): string | undefined {
  return field === undefined || field === '' ? undefined : oneOf(field, ...'ADEFMNPRS');
}

function number(field: string | undefined, least: number, most: number): number | undefined {
  if (field === undefined || field === '') return undefined;
  if (!/^-?\d{1,6}(?:\.\d{0,8})?$/.test(field)) return bad();
  const value = Number(field);
  return value < least || value > most ? bad() : value;
}

/** Altitude in metres, as it stands. */
function metres(field: string | undefined, unit: string | undefined): string | undefined {
  if (field === undefined || field === '') return undefined;
  return unit === 'M' && number(field, -100_000, 100_000) !== undefined ? field : bad();
}

/** hhmmss.sss since midnight UTC, in ms. Second 60 is a leap second. */
function time(field: string | undefined): number | undefined {
  if (field === undefined || field === '') return undefined;
  const match = /^([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d{0,6}))?$/.exec(field);
  if (!match) return bad();
  const fraction = Number(`0.${match[4] || '0'}`);
  return (Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3])) * 1000 + Math.round(fraction * 1000);
}

/** ddmmyy: the two digits stand for 1980 to 2079. */
function compactDate(field: string | undefined): Day | undefined {
  if (field === undefined || field === '') return undefined;
  const match = /^(\d\d)(\d\d)(\d\d)$/.exec(field);
  if (!match) return bad();
  const [day, month, short] = match.slice(1).map(Number) as [number, number, number];
  return real({ year: short < 80 ? 2000 + short : 1900 + short, month, day });
}

function real(date: Day): Day {
  const d = new Date(Date.UTC(date.year, date.month - 1, date.day));
  return d.getUTCMonth() === date.month - 1 && d.getUTCDate() === date.day ? date : bad();
}

function position(f: readonly string[], at: number): Position | undefined {
  const [lat, north, lon, east] = f.slice(at, at + 4);
  if (lat === '' && lon === '') return undefined;
  return {
    latitude: degrees(lat, 2, 90) * (oneOf(north, 'N', 'S') === 'N' ? 1 : -1) + 0,
    longitude: degrees(lon, 3, 180) * (oneOf(east, 'E', 'W') === 'E' ? 1 : -1) + 0,
  };
}

/** [d]ddmm.mmmm, with as many decimals of a degree as the minutes are worth. */
function degrees(field: string | undefined, digits: 2 | 3, most: number): number {
  const match = /^(\d{4,5})(?:\.(\d{0,8}))?$/.exec(field ?? '');
  if (!match || match[1]?.length !== digits + 2) return bad();
  const whole = Number(match[1].slice(0, digits));
  const minutes = Number(`${match[1].slice(digits)}.${match[2] || '0'}`);
  const value = Number((whole + minutes / 60).toFixed(Math.min(9, 3 + (match[2]?.length ?? 0))));
  return minutes >= 60 || value > most ? bad() : value;
}
