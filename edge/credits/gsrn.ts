/** Numbers of metering points and certificates. Pure. */
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8Bytes } from '../wire/bytes.ts';

/** 880 is the prefix of Korea's GS1 members. */
const PREFIX = '880';
const DIGITS = 17;

/** The check digit of GS1 (General Specifications, section 7.9): weights 3 and 1 from the right. */
export function checkDigit(digits: string): number {
  const sum = [...digits].reverse().reduce((total, digit, i) => total + Number(digit) * (i % 2 === 0 ? 3 : 1), 0);
  return (10 - (sum % 10)) % 10;
}

/**
 * 18 digits in the form of a Global Service Relation Number, made from the URN of a metering point: 880, 14 digits of its
 * SHA-256 (as one number, modulo 10^14), check digit. GS1 has not assigned it: it only fits where a GSRN does.
 */
export function gsrnOf(sub: string): string {
  const digest = sha256(utf8Bytes(sub));
  const number = BigInt(`0x${Buffer.from(digest).toString('hex')}`) % 10n ** BigInt(DIGITS - PREFIX.length);
  const digits = PREFIX + number.toString().padStart(DIGITS - PREFIX.length, '0');
  return `${digits}${checkDigit(digits)}`;
}

/** @param slot its first second; `version` counts from 0, as the contract does */
export function certificateId(gsrn: string, slot: number, version: number): string {
  const hour = new Date(slot * 1000).toISOString().slice(0, 13).replaceAll('-', '');
  return `${gsrn}-${hour}Z-v${version}`;
}

/** The metering point's number, the slot and the version of an id; undefined where it is none. */
export function parseCertificateId(id: string): { gsrn: string; slot: number; version: number } | undefined {
  const m = /^(\d{18})-(\d{4})(\d\d)(\d\d)T(\d\d)Z-v(\d{1,3})$/.exec(id);
  if (!m) return undefined;
  const [, gsrn, year, month, day, hour, version] = m as unknown as string[];
  const slot = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour)) / 1000;
  const parsed = { gsrn: gsrn as string, slot, version: Number(version) };
  return certificateId(parsed.gsrn, slot, parsed.version) === id ? parsed : undefined;
}
