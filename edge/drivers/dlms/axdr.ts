/**
 * COSEM data in A-XDR (IEC 61334-6), as attributes hold it: DLMS UA Blue Book clause 4.1.5, Green Book clause 9.5.
 * Pure. What comes from a meter is bounded: depth, elements, and each length by the bytes that are there.
 */
import { SerialFault } from '../fault.ts';

export type Data =
  | { type: 'null' }
  | { type: 'array' | 'structure'; items: Data[] }
  | { type: 'boolean'; value: boolean }
  /** Numbers with their sign; those of 64 bits as bigint. */
  | { type: 'integer'; value: number | bigint }
  | { type: 'enum'; value: number }
  | { type: 'float'; value: number }
  /** Dates and times too, which are octet strings mostly. */
  | { type: 'octets'; value: Uint8Array }
  | { type: 'text'; value: string }
  | { type: 'bits'; value: Uint8Array; count: number };

const MAX_DEPTH = 10;
/** A load profile of a month, quarter hours, ten columns, is 30,000. */
const MAX_ELEMENTS = 100_000;

const refuse = (why: string): never => {
  throw new SerialFault('mismatch', `what the meter sent is no COSEM data: ${why}`);
};

/** Reads on from a place. All methods throw SerialFault mismatch at the end of the bytes. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #elements = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    if (this.left < 1) refuse('it ends early');
    return this.#bytes[this.#at++] as number;
  }

  take(count: number): Uint8Array {
    if (count > this.left) refuse('it ends early');
    this.#at += count;
    return this.#bytes.slice(this.#at - count, this.#at);
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  unsigned(bytes: number): number {
    return this.take(bytes).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  /** As BER and A-XDR write it: below 128 in one byte, else the count of bytes comes first. */
  length(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    const bytes = first & 0x7f;
    if (bytes < 1 || bytes > 4) refuse(`a length of ${bytes} bytes`);
    return this.unsigned(bytes);
  }

  data(depth = 0): Data {
    return this.#value(this.byte(), depth);
  }

  #value(tag: number, depth: number): Data {
    if (depth > MAX_DEPTH) refuse(`deeper than ${MAX_DEPTH}`);
    if (++this.#elements > MAX_ELEMENTS) refuse(`more than ${MAX_ELEMENTS} elements`);
    switch (tag) {
      case 0:
      case 255:
        return { type: 'null' };
      case 1:
      case 2: {
        const count = this.length();
        // Each element takes a byte at least.
        if (count > this.left) refuse(`${count} elements in ${this.left} bytes`);
        const items: Data[] = [];
        for (let i = 0; i < count; i++) items.push(this.data(depth + 1));
        return { type: tag === 1 ? 'array' : 'structure', items };
      }
      case 3:
        return { type: 'boolean', value: this.byte() !== 0 };
      case 4: {
        const count = this.length();
        return { type: 'bits', value: this.take(Math.ceil(count / 8)), count };
      }
      case 9:
        return { type: 'octets', value: this.take(this.length()) };
      case 10:
      case 12:
        return { type: 'text', value: Buffer.from(this.take(this.length())).toString(tag === 10 ? 'latin1' : 'utf8') };
      case 19:
        return this.#compactArray(depth);
      case 22:
        return { type: 'enum', value: this.byte() };
      case 23:
        return { type: 'float', value: shortest(this.#view(4).getFloat32(0)) };
      case 24:
        return { type: 'float', value: this.#view(8).getFloat64(0) };
      // date-time, date, time
      case 25:
        return { type: 'octets', value: this.take(12) };
      case 26:
        return { type: 'octets', value: this.take(5) };
      case 27:
        return { type: 'octets', value: this.take(4) };
      default:
        return { type: 'integer', value: this.#integer(tag) };
    }
  }

  #view(bytes: number): DataView {
    const taken = this.take(bytes);
    return new DataView(taken.buffer, taken.byteOffset, bytes);
  }

  #integer(tag: number): number | bigint {
    switch (tag) {
      case 5:
        return this.#view(4).getInt32(0);
      case 6:
        return this.#view(4).getUint32(0);
      case 15:
        return this.#view(1).getInt8(0);
      case 16:
        return this.#view(2).getInt16(0);
      case 17:
        return this.byte();
      case 18:
        return this.#view(2).getUint16(0);
      case 20:
        return this.#view(8).getBigInt64(0);
      case 21:
        return this.#view(8).getBigUint64(0);
      default:
        return refuse(`type ${tag}`);
    }
  }

  /** One description for all elements, then their values without tags (Green Book clause 9.5, TypeDescription). */
  #compactArray(depth: number): Data {
    const description = this.#description(depth + 1);
    const contents = new Reader(this.take(this.length()));
    contents.#elements = this.#elements;
    const items: Data[] = [];
    while (contents.left > 0) {
      const before = contents.left;
      items.push(contents.#described(description, depth + 1));
      if (contents.left === before) refuse('a compact array of nothing');
    }
    this.#elements = contents.#elements;
    return { type: 'array', items };
  }

  #description(depth: number): Description {
    if (depth > MAX_DEPTH) refuse(`deeper than ${MAX_DEPTH}`);
    if (++this.#elements > MAX_ELEMENTS) refuse(`more than ${MAX_ELEMENTS} elements`);
    const tag = this.byte();
    if (tag === 1) {
      const count = this.unsigned(2);
      return { tag, items: Array<Description>(count).fill(this.#description(depth + 1)) };
    }
    if (tag === 2) {
      const count = this.length();
      if (count > this.left) refuse(`${count} elements in ${this.left} bytes`);
      return { tag, items: Array.from({ length: count }, () => this.#description(depth + 1)) };
    }
    return { tag, items: [] };
  }

  #described({ tag, items }: Description, depth: number): Data {
    if (tag !== 1 && tag !== 2) return this.#value(tag, depth);
    if (depth > MAX_DEPTH || ++this.#elements > MAX_ELEMENTS) refuse('too much of it');
    return { type: tag === 1 ? 'array' : 'structure', items: items.map((item) => this.#described(item, depth + 1)) };
  }
}

type Description = { tag: number; items: Description[] };

/** The number that a person would write for a float32: 231.4, not 231.39999389648438. */
function shortest(value: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

/** One datum, and nothing after it. @throws SerialFault mismatch */
export function decodeData(bytes: Uint8Array): Data {
  const reader = new Reader(bytes);
  const data = reader.data();
  if (reader.left > 0) refuse(`${reader.left} bytes too many`);
  return data;
}

// --- what a client says ----------------------------------------------------------------------------------------------

export const encodeLength = (length: number): number[] =>
  length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >>> 8, length & 0xff];

export const octetString = (bytes: Uint8Array): number[] => [9, ...encodeLength(bytes.length), ...bytes];
export const longUnsigned = (value: number): number[] => [0x12, value >>> 8, value & 0xff];
export const doubleLongUnsigned = (value: number): number[] => [
  6,
  value >>> 24,
  (value >>> 16) & 0xff,
  (value >>> 8) & 0xff,
  value & 0xff,
];
