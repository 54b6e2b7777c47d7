/**
 * Bitstring Status List v1.0 (W3C): one bit for each credential, gzipped, in base64url behind a multibase `u`. A list
 * comes from outside: what it may expand to is capped while it expands. Of edge/wire, only this file needs Node (zlib).
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { EdgeError } from '../../errors.ts';

/** Section 2.2: 16 KiB, so that a list of few credentials hides which of them somebody asks for. In bytes. */
export const MIN_LIST_BYTES = 16_384;
/** Eight million credentials. */
export const MAX_LIST_BYTES = 1_048_576;
/** Of what arrives, in characters: what the largest list is when nothing of it compresses. */
export const MAX_ENCODED = 1_400_000;

const refuse = (why: string): never => {
  throw new EdgeError('STATUS_LIST_INVALID', why);
};

/** @param list 16 KiB to 1 MiB, the first bit leftmost */
export function encodeStatusList(list: Uint8Array): string {
  checkSize(list.length);
  return `u${gzipSync(list, { level: 9 }).toString('base64url')}`;
}

/** @throws EdgeError STATUS_LIST_INVALID */
export function decodeStatusList(encoded: string): Uint8Array {
  if (encoded.length > MAX_ENCODED) refuse(`${encoded.length} characters, ${MAX_ENCODED} is the most`);
  if (encoded[0] !== 'u') refuse('it is not base64url in multibase (u)');
  const gzipped = Buffer.from(encoded.slice(1), 'base64url');
  // Node skips what is not base64url; a list has one spelling.
  if (gzipped.toString('base64url') !== encoded.slice(1)) refuse('it is not base64url without padding');
  let list: Uint8Array;
  let read: number;
  try {
    // zlib stops as soon as the output is over the cap: a bomb costs that much and no more.
    const { buffer, engine } = gunzipSync(gzipped, { maxOutputLength: MAX_LIST_BYTES, info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    list = buffer;
    read = engine.bytesWritten;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return refuse(
      code === 'ERR_BUFFER_TOO_LARGE' ? `it expands to more than ${MAX_LIST_BYTES} bytes` : 'it is not gzip',
    );
  }
  if (read !== gzipped.length) refuse('there is something behind the gzip');
  checkSize(list.length);
  return list;
}

function checkSize(bytes: number): void {
  if (bytes < MIN_LIST_BYTES || bytes > MAX_LIST_BYTES)
    refuse(`a list has ${MIN_LIST_BYTES} to ${MAX_LIST_BYTES} bytes, not ${bytes}`);
}

/** @throws EdgeError STATUS_LIST_INVALID where the list is shorter (RANGE_ERROR of the standard) */
export function statusAt(list: Uint8Array, index: number): boolean {
  const byte = list[index >> 3] ?? refuse(`index ${index} is beyond its ${8 * list.length} bits`);
  return (byte & (0x80 >> (index & 7))) !== 0;
}

export function setStatus(list: Uint8Array, index: number, value: boolean): void {
  statusAt(list, index);
  const bit = 0x80 >> (index & 7);
  list[index >> 3] = value ? (list[index >> 3] as number) | bit : (list[index >> 3] as number) & ~bit;
}
