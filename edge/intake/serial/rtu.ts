/**
 * Modbus RTU as a master speaks it: MODBUS over Serial Line V1.02 section 2.5, Application Protocol V1.1b3 sections
 * 6.3 and 7. Pure.
 */

const READ_HOLDING_REGISTERS = 3;

/** Most registers in one answer: Application Protocol section 6.3. */
export const MAX_REGISTERS = 125;

/** Unit, function, exception code, CRC. */
const EXCEPTION_BYTES = 5;

/** More than any answer with the noise before it; a babbling line must not fill memory. */
const MAX_HEARD = 1024;

/** Application Protocol section 7. */
const EXCEPTIONS: Readonly<Record<number, string>> = {
  1: 'illegal function',
  2: 'illegal data address',
  3: 'illegal data value',
  4: 'slave device failure',
  5: 'acknowledge',
  6: 'slave device busy',
  8: 'memory parity error',
  10: 'gateway path unavailable',
  11: 'gateway target device failed to respond',
};

export const exceptionName = (code: number): string => EXCEPTIONS[code] ?? 'a code outside the standard';

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xa001 : 0);
  return crc;
});

/** CRC-16 over `bytes`: Serial Line section 2.5.1.2. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] as number);
  return crc;
}

export function readRequest(unitId: number, address: number, count: number): Uint8Array {
  if (!Number.isInteger(unitId) || unitId < 1 || unitId > 247) throw new RangeError(`unitId ${unitId} is not 1 to 247`);
  if (!Number.isInteger(count) || count < 1 || count > MAX_REGISTERS)
    throw new RangeError(`count ${count} is not 1 to ${MAX_REGISTERS}`);
  if (!Number.isInteger(address) || address < 0 || address + count > 65536)
    throw new RangeError(`registers ${address} to ${address + count - 1} are not within 0 to 65535`);
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, unitId);
  view.setUint8(1, READ_HOLDING_REGISTERS);
  view.setUint16(2, address);
  view.setUint16(4, count);
  view.setUint16(6, crc16(bytes.subarray(0, 6)), true);
  return bytes;
}

export const answerBytes = (count: number): number => 3 + 2 * count + 2;

export type Answer = { words: Uint16Array } | { exception: number };

/**
 * Finds the answer to one read request in what a master hears. Only a frame of the right unit, function and length
 * with a right CRC is an answer. All else is passed over byte by byte: the glitch that an RS-485 driver makes when
 * it turns around, or the late answer of another slave.
 */
export class AnswerParser {
  /** Something that begins like the answer was heard. */
  begun = false;
  /** Bytes heard. */
  heard = 0;
  readonly #unitId: number;
  readonly #count: number;
  #bytes = new Uint8Array(0);
  #from = 0;

  constructor(unitId: number, count: number) {
    this.#unitId = unitId;
    this.#count = count;
  }

  push(chunk: Uint8Array): Answer | undefined {
    this.heard += chunk.length;
    if (this.#bytes.length + chunk.length > MAX_HEARD) return undefined;
    const bytes = new Uint8Array(this.#bytes.length + chunk.length);
    bytes.set(this.#bytes);
    bytes.set(chunk, this.#bytes.length);
    this.#bytes = bytes;
    for (; this.#from < bytes.length; this.#from++) {
      const rest = bytes.subarray(this.#from);
      const length = this.#frameLength(rest);
      if (length === 0) continue;
      this.begun ||= rest.length >= 3;
      if (rest.length < length) return undefined;
      const frame = rest.subarray(0, length);
      const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
      if (view.getUint16(length - 2, true) !== crc16(frame.subarray(0, -2))) continue;
      if (frame[1] !== READ_HOLDING_REGISTERS) return { exception: frame[2] as number };
      return { words: Uint16Array.from({ length: this.#count }, (_, i) => view.getUint16(3 + 2 * i)) };
    }
    return undefined;
  }

  /** How long the frame that begins here will be; 0 where it cannot be the answer. */
  #frameLength(rest: Uint8Array): number {
    if (rest[0] !== this.#unitId) return 0;
    if (rest.length === 1) return EXCEPTION_BYTES;
    if (rest[1] === (READ_HOLDING_REGISTERS | 0x80)) return EXCEPTION_BYTES;
    if (rest[1] !== READ_HOLDING_REGISTERS) return 0;
    return rest.length === 2 || rest[2] === 2 * this.#count ? answerBytes(this.#count) : 0;
  }
}
