/**
 * Date and time as DLMS writes them (Blue Book clause 4.1.6.1), 12 bytes:
 *
 *   year 2 | month | day | day of week | hour | minute | second | hundredths | deviation 2 | clock status
 *
 * The deviation is minutes from local time TO UTC, signed: UTC is local time plus deviation, and Korean time has -540 =
 * FDE4. 8000 says that it is not specified: then nobody knows when it was, and nothing is dated by it. FF (year FFFF)
 * says the same of a part.
 */

/** Why a time dates nothing, in words. */
export type Undated = { why: string };
export type Moment = {
  /** Unix seconds; hundredths are left out. */
  t: number;
  /** Minutes to add to local time for UTC. */
  deviation: number;
};

const STATUS_INVALID = 0x01;
const STATUS_DOUBTFUL = 0x02;
const STATUS_DIFFERENT_BASE = 0x04;
const STATUS_INVALID_STATUS = 0x08;

export const isDated = (moment: Moment | Undated): moment is Moment => 't' in moment;

/** @param bytes 12 */
export function decodeDateTime(bytes: Uint8Array): Moment | Undated {
  if (bytes.length !== 12) return { why: `a time of ${bytes.length} bytes` };
  const view = new DataView(bytes.buffer, bytes.byteOffset, 12);
  const year = view.getUint16(0);
  const [month, day, , hour, minute] = [...bytes.subarray(2, 7)] as [number, number, number, number, number];
  // Many meters do not specify seconds in a load profile: then it is the minute's begin.
  const second = bytes[7] === 0xff ? 0 : (bytes[7] as number);
  const deviation = view.getInt16(9);
  const status = bytes[11] as number;
  if (deviation === -0x8000) return { why: 'its deviation from UTC is not specified (8000)' };
  if (deviation < -840 || deviation > 840) return { why: `its deviation from UTC is ${deviation} minutes` };
  // FF: the status is not specified. Bits 3 to 7 beside: reserved, and summer time.
  if (status !== 0xff) {
    if (status & STATUS_INVALID) return { why: 'its status says that it is invalid' };
    if (status & STATUS_DOUBTFUL) return { why: 'its status says that it is doubtful' };
    if (status & STATUS_DIFFERENT_BASE) return { why: 'its status says that it has another base' };
    if (status & STATUS_INVALID_STATUS) return { why: 'its status says that the status is invalid' };
  }
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  const date = new Date(ms);
  const real =
    year >= 1990 &&
    year < 2106 &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60;
  if (!real) return { why: 'it is no date and time, or only a part of one' };
  return { t: ms / 1000 + deviation * 60, deviation };
}

/** The same moment as the meter's own clock would write it. */
export function encodeDateTime({ t, deviation }: Moment): Uint8Array {
  const local = new Date((t - deviation * 60) * 1000);
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, local.getUTCFullYear());
  bytes[2] = local.getUTCMonth() + 1;
  bytes[3] = local.getUTCDate();
  bytes[4] = 0xff;
  bytes[5] = local.getUTCHours();
  bytes[6] = local.getUTCMinutes();
  bytes[7] = local.getUTCSeconds();
  view.setInt16(9, deviation);
  return bytes;
}
