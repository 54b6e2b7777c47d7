/**
 * What Modbus says, whatever carries it: MODBUS Application Protocol V1.1b3, sections 6.3, 6.4 and 7. Only reads: nothing
 * here can change a device.
 */

/** Holding registers and input registers: two memories of a device, and some devices have the same in both. */
export type ReadFunction = 3 | 4;

/** Registers to read in one request. */
export type Read = { functionCode: ReadFunction; address: number; count: number };

/** Most registers in one answer: sections 6.3 and 6.4. */
export const MAX_REGISTERS = 125;
export const REGISTERS = 65536;

/** Added to the function code of an answer that is an exception: section 7. */
export const EXCEPTION = 0x80;

export const ILLEGAL_ADDRESS = 2;
export const ILLEGAL_VALUE = 3;
export const ACKNOWLEDGE = 5;
export const BUSY = 6;
/** A gateway speaks for a slave behind it, which stayed silent. */
export const TARGET_SILENT = 11;

/** Section 7. */
const EXCEPTIONS: Readonly<Record<number, string>> = {
  1: 'illegal function',
  [ILLEGAL_ADDRESS]: 'illegal data address',
  [ILLEGAL_VALUE]: 'illegal data value',
  4: 'slave device failure',
  [ACKNOWLEDGE]: 'acknowledge',
  [BUSY]: 'slave device busy',
  8: 'memory parity error',
  10: 'gateway path unavailable',
  [TARGET_SILENT]: 'gateway target device failed to respond',
};

export const exceptionName = (code: number): string => EXCEPTIONS[code] ?? 'a code outside the standard';

export type Answer = { words: Uint16Array } | { exception: number };

/** @throws RangeError */
export function readPdu({ functionCode, address, count }: Read): Uint8Array {
  if (!Number.isInteger(count) || count < 1 || count > MAX_REGISTERS)
    throw new RangeError(`count ${count} is not 1 to ${MAX_REGISTERS}`);
  if (!Number.isInteger(address) || address < 0 || address + count > REGISTERS)
    throw new RangeError(`registers ${address} to ${address + count - 1} are not within 0 to ${REGISTERS - 1}`);
  return Uint8Array.of(functionCode, address >>> 8, address & 0xff, count >>> 8, count & 0xff);
}

/** Of an answer with registers: function, byte count, registers. */
export const answerPduBytes = (count: number): number => 2 + 2 * count;

/** Function and exception code. */
export const EXCEPTION_PDU_BYTES = 2;

/**
 * How long the answer to `read` is that begins with these bytes: 0 where they are no answer to it. Where too few bytes
 * are there to tell, the least that it can be.
 * @param pdu from the function code on; may be empty
 */
export function answerLength(read: Read, pdu: Uint8Array): number {
  if (pdu.length === 0) return EXCEPTION_PDU_BYTES;
  if (pdu[0] === (read.functionCode | EXCEPTION)) return EXCEPTION_PDU_BYTES;
  if (pdu[0] !== read.functionCode) return 0;
  return pdu.length === 1 || pdu[1] === 2 * read.count ? answerPduBytes(read.count) : 0;
}

/** @param pdu whole, as {@link answerLength} found it */
export function decodeAnswer(read: Read, pdu: Uint8Array): Answer {
  if (pdu[0] !== read.functionCode) return { exception: pdu[1] as number };
  const view = new DataView(pdu.buffer, pdu.byteOffset, pdu.byteLength);
  return { words: Uint16Array.from({ length: read.count }, (_, i) => view.getUint16(2 + 2 * i)) };
}
