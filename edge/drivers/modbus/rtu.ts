/** Modbus RTU as a master speaks it: MODBUS over Serial Line V1.02 section 2.5. Pure. */
import type { Parser } from '../driver.ts';
import { type Answer, answerLength, decodeAnswer, type Read, readPdu } from './pdu.ts';
import { Window } from './window.ts';

/** Of a slave on a line; 0 is all of them, who never answer: section 2.2. */
export const MAX_UNIT_ID = 247;

/** Unit, and the checksum. */
export const RTU_EXTRA_BYTES = 3;

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xa001 : 0);
  return crc;
});

/** CRC-16 over `bytes`: section 2.5.1.2. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] as number);
  return crc;
}

/** @throws RangeError */
export function rtuRequest(unitId: number, read: Read): Uint8Array {
  if (!Number.isInteger(unitId) || unitId < 1 || unitId > MAX_UNIT_ID)
    throw new RangeError(`unitId ${unitId} is not 1 to ${MAX_UNIT_ID}`);
  const body = Uint8Array.of(unitId, ...readPdu(read));
  const crc = crc16(body);
  return Uint8Array.of(...body, crc & 0xff, crc >>> 8);
}

/**
 * Finds the answer to one read in what a master hears. Only a frame of the right unit, function and length with a right
 * CRC is an answer. All else is passed over byte by byte: the glitch that an RS-485 driver makes when it turns around,
 * or the late answer of another slave.
 */
export class RtuParser implements Parser<Answer> {
  begun = false;
  heard = 0;
  readonly #unitId: number;
  readonly #read: Read;
  readonly #window = new Window();

  constructor(unitId: number, read: Read) {
    this.#unitId = unitId;
    this.#read = read;
  }

  push(chunk: Uint8Array): Answer | undefined {
    this.heard += chunk.length;
    return this.#window.find(chunk, (rest) => {
      if (rest[0] !== this.#unitId) return 'no';
      const length = answerLength(this.#read, rest.subarray(1));
      if (length === 0) return 'no';
      this.begun ||= rest.length >= 3;
      if (rest.length < length + RTU_EXTRA_BYTES) return 'more';
      const body = rest.subarray(0, 1 + length);
      const crc = (rest[1 + length] as number) | ((rest[2 + length] as number) << 8);
      return crc === crc16(body) ? decodeAnswer(this.#read, body.subarray(1)) : 'no';
    });
  }
}
