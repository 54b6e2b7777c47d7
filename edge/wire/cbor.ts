/**
 * Deterministic CBOR (RFC 8949 section 4.2.1), the subset that envelopes use.
 *
 * The decoder accepts exactly the bytes that the encoder makes, and nothing else, so that "decode, re-encode,
 * compare" holds by construction (a property test does compare). Both are ours: no kept decoder refuses
 * everything that is not deterministic, and cborg, otherwise good, writes the subnormal half-precision floats
 * in four bytes instead of two. The tests hold the encoder against cborg everywhere else.
 *
 * Taken: integers within +/-(2^53 - 1), byte strings, text (valid UTF-8), arrays, maps with integer or
 * text keys, false, true, null, and floats that no integer can stand for.
 * Refused: tags, undefined, indefinite lengths, long forms, unsorted or double keys, NaN, infinities,
 * floats with an integral value, more than {@link MAX_DEPTH} levels, trailing bytes.
 */
import { EdgeError } from '../errors.ts';
import { compareBytes, utf8Bytes } from './bytes.ts';

export type CborKey = number | string;
export type CborMap = Map<CborKey, CborValue>;
export type CborValue = number | string | boolean | null | Uint8Array | CborValue[] | CborMap;

export const MAX_DEPTH = 8;

/** @throws RangeError for a number that deterministic CBOR of this subset has no form for */
export function encodeCbor(value: CborValue): Uint8Array {
  const writer = new Writer();
  writer.value(value);
  return writer.bytes.slice(0, writer.at);
}

class Writer {
  bytes = new Uint8Array(256);
  view = new DataView(this.bytes.buffer);
  at = 0;

  /** Make room for `more` bytes and move past them; answers where they start. */
  #claim(more: number): number {
    const start = this.at;
    if (start + more > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.bytes.length * 2, start + more));
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    this.at = start + more;
    return start;
  }

  #byte(byte: number): void {
    const at = this.#claim(1); // before `this.bytes` is read: claiming may replace it
    this.bytes[at] = byte;
  }

  #head(major: number, n: number): void {
    const initial = major << 5;
    if (n < 24) this.#byte(initial | n);
    else if (n < 0x100) {
      const at = this.#claim(2);
      this.bytes[at] = initial | 24;
      this.bytes[at + 1] = n;
    } else if (n < 0x10000) {
      const at = this.#claim(3);
      this.bytes[at] = initial | 25;
      this.view.setUint16(at + 1, n);
    } else if (n < 0x100000000) {
      const at = this.#claim(5);
      this.bytes[at] = initial | 26;
      this.view.setUint32(at + 1, n);
    } else {
      const at = this.#claim(9);
      this.bytes[at] = initial | 27;
      this.view.setUint32(at + 1, Math.floor(n / 0x100000000));
      this.view.setUint32(at + 5, n >>> 0);
    }
  }

  #raw(bytes: Uint8Array): void {
    const at = this.#claim(bytes.length);
    this.bytes.set(bytes, at);
  }

  value(value: CborValue): void {
    if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'string') {
      const raw = utf8Bytes(value);
      this.#head(3, raw.length);
      this.#raw(raw);
    } else if (value instanceof Uint8Array) {
      this.#head(2, value.length);
      this.#raw(value);
    } else if (Array.isArray(value)) {
      this.#head(4, value.length);
      for (const item of value) this.value(item);
    } else if (value instanceof Map) {
      this.#head(5, value.size);
      const pairs = Array.from(value, ([key, item]) => ({ key: encodeCbor(key), item }));
      pairs.sort((a, b) => compareBytes(a.key, b.key));
      for (const { key, item } of pairs) {
        this.#raw(key);
        this.value(item);
      }
    } else this.#byte(value === null ? 0xf6 : value ? 0xf5 : 0xf4);
  }

  #number(n: number): void {
    if (Number.isSafeInteger(n) && !Object.is(n, -0)) {
      if (n >= 0) this.#head(0, n);
      else this.#head(1, -1 - n);
    } else if (!Number.isFinite(n) || Number.isInteger(n))
      throw new RangeError(`${Object.is(n, -0) ? '-0' : n} has no form in deterministic CBOR here`);
    else if (Math.f16round(n) === n) {
      const at = this.#claim(3);
      this.bytes[at] = 0xf9;
      this.view.setFloat16(at + 1, n);
    } else if (Math.fround(n) === n) {
      const at = this.#claim(5);
      this.bytes[at] = 0xfa;
      this.view.setFloat32(at + 1, n);
    } else {
      const at = this.#claim(9);
      this.bytes[at] = 0xfb;
      this.view.setFloat64(at + 1, n);
    }
  }
}

/** @throws EdgeError CBOR_INVALID, naming the byte offset */
export function decodeCbor(bytes: Uint8Array): CborValue {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) reader.refuse(`${bytes.length - reader.at} bytes after the end`);
  return value;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Reader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  refuse(why: string): never {
    throw new EdgeError('CBOR_INVALID', `${why} at byte ${this.at}`);
  }

  value(depth: number): CborValue {
    if (depth > MAX_DEPTH) this.refuse(`more than ${MAX_DEPTH} levels`);
    const initial = this.bytes[this.at];
    if (initial === undefined) this.refuse('the input ends early');
    const major = initial >> 5;
    if (major === 7) return this.#simpleOrFloat(initial & 31);
    const n = this.#argument(initial & 31);
    switch (major) {
      case 0:
        return n;
      case 1:
        // -1 - n must be safe as well, so n = 2^53 - 1 (which #argument takes) is one too far.
        return n === Number.MAX_SAFE_INTEGER ? this.refuse('an integer beyond 2^53 - 1') : -1 - n;
      case 2:
        return this.#take(n);
      case 3:
        return this.#text(n);
      case 4:
        return this.#array(n, depth);
      case 5:
        return this.#map(n, depth);
      default:
        return this.refuse('a tag');
    }
  }

  /** The argument of RFC 8949 section 3, in its shortest form. Moves past the head. */
  #argument(info: number): number {
    const head = this.at;
    if (info < 24) {
      this.at = head + 1;
      return info;
    }
    if (info > 27) this.refuse('an indefinite length or a reserved form');
    const width = 1 << (info - 24);
    if (head + 1 + width > this.bytes.length) this.refuse('the input ends early');
    let n: number;
    let least: number;
    if (info === 24) {
      n = this.bytes[head + 1] as number;
      least = 24;
    } else if (info === 25) {
      n = this.view.getUint16(head + 1);
      least = 0x100;
    } else if (info === 26) {
      n = this.view.getUint32(head + 1);
      least = 0x10000;
    } else {
      const high = this.view.getUint32(head + 1);
      if (high > 0x1fffff) this.refuse('an integer beyond 2^53 - 1');
      n = high * 0x100000000 + this.view.getUint32(head + 5);
      least = 0x100000000;
    }
    if (n < least) this.refuse('an integer or a length not in its shortest form');
    this.at = head + 1 + width;
    return n;
  }

  #take(length: number): Uint8Array {
    const start = this.at;
    if (length > this.bytes.length - start) this.refuse('the input ends early');
    this.at = start + length;
    return this.bytes.subarray(start, start + length);
  }

  #text(length: number): string {
    const raw = this.#take(length);
    // Names and units are short ASCII, for which this loop is cheaper than a call out. Longer text it would build as a
    // chain of pieces, which is garbage once somebody reads the text.
    if (length <= 12) {
      let ascii = '';
      let i = 0;
      for (; i < length; i++) {
        const byte = raw[i] as number;
        if (byte > 0x7f) break;
        ascii += String.fromCharCode(byte);
      }
      if (i === length) return ascii;
    }
    try {
      return utf8.decode(raw);
    } catch {
      return this.refuse('text that is not UTF-8');
    }
  }

  #array(length: number, depth: number): CborValue[] {
    // Each item takes at least a byte: a length from outside never sizes an allocation.
    if (length > this.bytes.length - this.at) this.refuse('the input ends early');
    const items: CborValue[] = [];
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1));
    return items;
  }

  #map(length: number, depth: number): CborMap {
    if (length * 2 > this.bytes.length - this.at) this.refuse('the input ends early');
    const map: CborMap = new Map();
    let previousStart = -1;
    let previousEnd = -1;
    for (let i = 0; i < length; i++) {
      const start = this.at;
      const key = this.value(depth + 1);
      if (typeof key !== 'number' && typeof key !== 'string') this.refuse('a key that is neither integer nor text');
      if (previousStart >= 0 && !this.#before(previousStart, previousEnd, start, this.at)) {
        this.at = start;
        this.refuse('a map key out of order or double');
      }
      previousStart = start;
      previousEnd = this.at;
      map.set(key as CborKey, this.value(depth + 1));
    }
    return map;
  }

  /** Bytewise lexicographic order of two encoded keys, RFC 8949 section 4.2.1. */
  #before(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    const shared = Math.min(aEnd - aStart, bEnd - bStart);
    for (let i = 0; i < shared; i++) {
      const d = (this.bytes[aStart + i] as number) - (this.bytes[bStart + i] as number);
      if (d !== 0) return d < 0;
    }
    return aEnd - aStart < bEnd - bStart;
  }

  #simpleOrFloat(info: number): CborValue {
    if (info === 20 || info === 21 || info === 22) {
      this.at += 1;
      return info === 22 ? null : info === 21;
    }
    if (info < 25 || info > 27) this.refuse('a simple value other than false, true, null');
    const width = 1 << (info - 24);
    if (this.at + 1 + width > this.bytes.length) this.refuse('the input ends early');
    let value: number;
    let shortest: boolean;
    if (info === 25) {
      value = this.view.getFloat16(this.at + 1);
      shortest = true;
    } else if (info === 26) {
      value = this.view.getFloat32(this.at + 1);
      shortest = Math.f16round(value) !== value;
    } else {
      value = this.view.getFloat64(this.at + 1);
      shortest = Math.fround(value) !== value;
    }
    if (!Number.isFinite(value)) this.refuse('NaN or an infinity');
    if (Number.isInteger(value)) this.refuse('a float where an integer serves');
    if (!shortest) this.refuse('a float not in its shortest form');
    this.at += 1 + width;
    return value;
  }
}
