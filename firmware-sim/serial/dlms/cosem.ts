/** COSEM data as a meter writes it (Blue Book), and what it enciphers (suite 0). Written apart from the gateway's. Pure. */
import { createCipheriv, createDecipheriv } from 'node:crypto';

export const u8 = (value: number): number[] => [17, value];
export const u16 = (value: number): number[] => [18, (value >> 8) & 255, value & 255];
export const u32 = (value: number): number[] => [6, ...word(value)];
export const word = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
export const i16 = (value: number): number[] => [16, (value >> 8) & 255, value & 255];
export const i32 = (value: number): number[] => [5, ...word(value)];
export const u64 = (value: bigint): number[] => [
  21,
  ...word(Number(BigInt.asUintN(32, value >> 32n))),
  ...word(Number(BigInt.asUintN(32, value))),
];
export const sized = (bytes: readonly number[]): number[] =>
  bytes.length < 128
    ? [bytes.length, ...bytes]
    : bytes.length < 256
      ? [0x81, bytes.length, ...bytes]
      : [0x82, bytes.length >> 8, bytes.length & 255, ...bytes];
export const octets = (bytes: readonly number[]): number[] => [9, ...sized(bytes)];
export const chars = (text: string): number[] => octets([...Buffer.from(text, 'latin1')]);
export const structure = (...items: number[][]): number[] => [2, items.length, ...items.flat()];
export const array = (items: number[][]): number[] => {
  const count = items.length;
  return [1, ...(count < 128 ? [count] : [0x82, count >> 8, count & 255]), ...items.flat()];
};
export const scalerUnit = (scaler: number, unit: number): number[] => structure([15, scaler & 255], [22, unit]);

export const obis = (code: string): number[] => code.split(/[-:.]/).map(Number).concat(255);

/** @param deviation minutes from local time to UTC, or none */
export function dateTime(t: number, deviation: number | undefined, status = 0): number[] {
  const local = new Date((t - (deviation ?? 0) * 60) * 1000);
  const minutes = deviation ?? -0x8000;
  return [
    local.getUTCFullYear() >> 8,
    local.getUTCFullYear() & 255,
    local.getUTCMonth() + 1,
    local.getUTCDate(),
    local.getUTCDay() || 7,
    local.getUTCHours(),
    local.getUTCMinutes(),
    local.getUTCSeconds(),
    0,
    (minutes >> 8) & 255,
    minutes & 255,
    status,
  ];
}

/** Seconds since 1970 of what a client wrote into a range. Day of week and hundredths may be anything. */
export function secondsOf(bytes: readonly number[]): number {
  const [high = 0, low = 0, month = 1, day = 1, , hour = 0, minute = 0, second = 0, , d1 = 0, d2 = 0] = bytes;
  const deviation = ((d1 * 256 + d2) << 16) >> 16;
  return Date.UTC(high * 256 + low, month - 1, day, hour, minute, second) / 1000 + deviation * 60;
}

export type MeterKeys = { encryption: Uint8Array; authentication: Uint8Array };

const iv = (title: readonly number[], counter: number) => Uint8Array.from([...title, ...word(counter)]);

export function encipher(
  keys: MeterKeys,
  title: readonly number[],
  counter: number,
  plain: readonly number[],
): number[] {
  const gcm = createCipheriv('aes-128-gcm', keys.encryption, iv(title, counter), { authTagLength: 12 });
  gcm.setAAD(Uint8Array.from([0x30, ...keys.authentication]));
  const text = [...gcm.update(Uint8Array.from(plain)), ...gcm.final()];
  return [0x30, ...word(counter), ...text, ...gcm.getAuthTag()];
}

/** @returns undefined where it is not authentic */
export function decipher(
  keys: MeterKeys,
  title: readonly number[],
  bytes: readonly number[],
): { counter: number; plain: number[] } | undefined {
  if (bytes[0] !== 0x30 || bytes.length < 17) return undefined;
  const counter = Buffer.from(bytes.slice(1, 5)).readUInt32BE();
  const gcm = createDecipheriv('aes-128-gcm', keys.encryption, iv(title, counter), { authTagLength: 12 });
  gcm.setAAD(Uint8Array.from([0x30, ...keys.authentication]));
  gcm.setAuthTag(Uint8Array.from(bytes.slice(-12)));
  try {
    return { counter, plain: [...gcm.update(Uint8Array.from(bytes.slice(5, -12))), ...gcm.final()] };
  } catch {
    return undefined;
  }
}

/** What proves that its sender has both keys: security control, counter, tag over the other's challenge. */
export function proof(
  keys: MeterKeys,
  title: readonly number[],
  counter: number,
  challenge: readonly number[],
): number[] {
  const gcm = createCipheriv('aes-128-gcm', keys.encryption, iv(title, counter), { authTagLength: 12 });
  gcm.setAAD(Uint8Array.from([0x10, ...keys.authentication, ...challenge]));
  gcm.final();
  return [0x10, ...word(counter), ...gcm.getAuthTag()];
}
