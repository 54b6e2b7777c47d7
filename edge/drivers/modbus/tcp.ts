/**
 * Modbus TCP as a client speaks it: MODBUS Messaging on TCP/IP Implementation Guide V1.0b section 3.1.3. Pure. There is
 * no checksum of its own: TCP has one. What keeps a late answer from being taken for a new one is the transaction.
 */
import type { Parser } from '../driver.ts';
import { type Answer, answerLength, decodeAnswer, type Read, readPdu } from './pdu.ts';
import { Window } from './window.ts';

/** Of a device behind a gateway; 255 or 0 of one that has the address for itself: section 4.4.1.2. */
export const MAX_TCP_UNIT_ID = 255;

/** Transaction, protocol (0), length of what follows, unit. */
export const MBAP_BYTES = 7;

/** @throws RangeError */
export function tcpRequest(transaction: number, unitId: number, read: Read): Uint8Array {
  if (!Number.isInteger(unitId) || unitId < 0 || unitId > MAX_TCP_UNIT_ID)
    throw new RangeError(`unitId ${unitId} is not 0 to ${MAX_TCP_UNIT_ID}`);
  const pdu = readPdu(read);
  return Uint8Array.of(transaction >>> 8, transaction & 0xff, 0, 0, 0, 1 + pdu.length, unitId, ...pdu);
}

/**
 * Finds the answer to one read: of the same transaction and unit, and of the right function and length. What is before
 * it is passed over byte by byte: the end of an answer that came too late for the request before.
 */
export class TcpParser implements Parser<Answer> {
  begun = false;
  heard = 0;
  readonly #transaction: number;
  readonly #unitId: number;
  readonly #read: Read;
  readonly #window = new Window();

  constructor(transaction: number, unitId: number, read: Read) {
    this.#transaction = transaction;
    this.#unitId = unitId;
    this.#read = read;
  }

  push(chunk: Uint8Array): Answer | undefined {
    this.heard += chunk.length;
    return this.#window.find(chunk, (rest) => {
      const length = this.#length(rest);
      if (length === 0) return 'no';
      this.begun ||= rest.length > MBAP_BYTES;
      if (rest.length < MBAP_BYTES + length) return 'more';
      return decodeAnswer(this.#read, rest.subarray(MBAP_BYTES, MBAP_BYTES + length));
    });
  }

  /** Of the PDU of the answer that begins here, 0 where none does. Looks only at the bytes that are there. */
  #length(rest: Uint8Array): number {
    const length = answerLength(this.#read, rest.subarray(MBAP_BYTES));
    const header = [this.#transaction >>> 8, this.#transaction & 0xff, 0, 0, 0, undefined, this.#unitId];
    for (let i = 0; i < Math.min(rest.length, MBAP_BYTES); i++)
      if (header[i] !== undefined && rest[i] !== header[i]) return 0;
    // The length is known for sure only once the function is there, too.
    return rest.length > MBAP_BYTES && rest[5] !== 1 + length ? 0 : length;
  }
}
