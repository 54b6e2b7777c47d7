/** The GET service with logical names, and the proof of high security (Green Book clauses 9.3.6 and 9.5). Pure. */
import { SerialFault } from '../fault.ts';
import { type Data, decodeData, encodeLength, longUnsigned, octetString, Reader } from './axdr.ts';
import { encodeDateTime, type Moment } from './clock.ts';

/** One attribute of one object; `range` picks rows of a load profile. */
export type Attribute = { class: number; obis: Uint8Array; attribute: number; range?: { from: Moment; to: Moment } };

/** Invoke id 1, confirmed, high priority. */
const INVOKE = 0xc1;
const GET_REQUEST = 0xc0;
const GET_RESPONSE = 0xc4;

const CLOCK_CLASS = 8;
export const CLOCK = Uint8Array.of(0, 0, 1, 0, 0, 255);

function descriptor({ class: classId, obis, attribute, range }: Attribute): number[] {
  const named = [classId >>> 8, classId & 0xff, ...obis, attribute];
  if (range === undefined) return [...named, 0];
  // Selector 1, range_descriptor (Blue Book clause 4.3.6): by the clock, all columns.
  const clock = [2, 4, ...longUnsigned(CLOCK_CLASS), ...octetString(CLOCK), 0x0f, 2, ...longUnsigned(0)];
  const ends = [range.from, range.to].flatMap((moment) => octetString(encodeDateTime(moment)));
  return [...named, 1, 1, 2, 4, ...clock, ...ends, 1, 0];
}

export const getNormal = (attribute: Attribute): Uint8Array =>
  Uint8Array.of(GET_REQUEST, 1, INVOKE, ...descriptor(attribute));
export const getNext = (block: number): Uint8Array =>
  Uint8Array.of(GET_REQUEST, 2, INVOKE, block >>> 24, (block >>> 16) & 0xff, (block >>> 8) & 0xff, block & 0xff);
export const getWithList = (attributes: readonly Attribute[]): Uint8Array =>
  Uint8Array.of(GET_REQUEST, 3, INVOKE, ...encodeLength(attributes.length), ...attributes.flatMap(descriptor));

/** reply_to_HLS_authentication, method 1 of the association (class 15): the one action that is ever asked for. */
export const actionProof = (proof: Uint8Array): Uint8Array =>
  Uint8Array.of(0xc3, 1, INVOKE, 0, 15, 0, 0, 40, 0, 0, 255, 1, 1, ...octetString(proof));

/** @returns the meter's own proof, or undefined where it gives none */
export function decodeProof(bytes: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(bytes);
  if (reader.byte() !== 0xc7 || reader.byte() !== 1) return undefined;
  reader.byte();
  // Result 0, a return parameter is there, and is data.
  if (reader.byte() !== 0 || reader.byte() !== 1 || reader.byte() !== 0) return undefined;
  const data = decodeData(reader.rest());
  return data.type === 'octets' ? data.value : undefined;
}

/** Data, or the number of a refusal. */
export type Result = { data: Data } | { refused: number };

export type GetResponse =
  | { kind: 'normal'; result: Result }
  | { kind: 'block'; last: boolean; block: number; bytes: Uint8Array }
  | { kind: 'refused'; refused: number }
  | { kind: 'list'; results: Result[] };

/** @throws SerialFault mismatch */
export function decodeGetResponse(bytes: Uint8Array): GetResponse {
  const reader = new Reader(bytes);
  if (reader.byte() !== GET_RESPONSE)
    throw new SerialFault('mismatch', `the meter answers GET with a message of tag ${bytes[0]}`);
  const kind = reader.byte();
  const invoke = reader.byte();
  if ((invoke & 0x0f) !== (INVOKE & 0x0f))
    throw new SerialFault('mismatch', `the meter answers another question (invoke id ${invoke & 0x0f})`);
  if (kind === 1) {
    if (reader.byte() !== 0) return { kind: 'normal', result: { refused: reader.byte() } };
    return { kind: 'normal', result: { data: decodeData(reader.rest()) } };
  }
  if (kind === 2) {
    const last = reader.byte() !== 0;
    const block = reader.unsigned(4);
    if (reader.byte() !== 0) return { kind: 'refused', refused: reader.byte() };
    return { kind: 'block', last, block, bytes: reader.take(reader.length()) };
  }
  if (kind === 3) return { kind: 'list', results: decodeList(reader) };
  throw new SerialFault('mismatch', `the meter answers GET with kind ${kind}`);
}

export function decodeList(reader: Reader): Result[] {
  const count = reader.length();
  if (count > reader.left) throw new SerialFault('mismatch', 'the meter’s list ends early');
  return Array.from({ length: count }, () =>
    reader.byte() === 0 ? { data: reader.data() } : { refused: reader.byte() },
  );
}
