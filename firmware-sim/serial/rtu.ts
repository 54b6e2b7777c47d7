/**
 * Modbus RTU as a slave speaks it: MODBUS over Serial Line V1.02 section 2.5, Application Protocol V1.1b3 sections 6
 * and 7. Pure. Written apart from the gateway's side (edge/intake/serial/rtu.ts), even the checksum, so that one
 * misreading of the standard cannot hide in both.
 */

export type Request = { unitId: number; functionCode: number; data: Uint8Array };

export const READ_HOLDING_REGISTERS = 3;
export const READ_INPUT_REGISTERS = 4;
export const ILLEGAL_FUNCTION = 1;
export const ILLEGAL_DATA_ADDRESS = 2;
export const ILLEGAL_DATA_VALUE = 3;

/** Largest RTU frame: Serial Line section 2.5.1. */
const MAX_FRAME = 256;

/** CRC-16, bit by bit as Serial Line appendix B describes it. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc;
}

/** Append the CRC, low byte first. */
export function frame(...bytes: number[]): Uint8Array {
  const crc = crc16(Uint8Array.from(bytes));
  return Uint8Array.from([...bytes, crc & 0xff, crc >>> 8]);
}

/** Length of a request, or undefined where only the silence after it tells. */
function requestLength(bytes: readonly number[]): number | undefined {
  const functionCode = bytes[1] as number;
  if (functionCode >= 1 && functionCode <= 6) return 8;
  if (functionCode === 15 || functionCode === 16) return bytes.length < 7 ? MAX_FRAME : 9 + (bytes[6] as number);
  return undefined;
}

/**
 * Finds the requests in what a slave hears. A frame that is damaged in any way is dropped without an answer, and so
 * is all that follows it up to the next silence of 3.5 characters (Serial Line section 2.5.1.1), which the caller
 * reports by {@link silence}.
 */
export class RequestFramer {
  #bytes: number[] = [];
  #damaged = false;

  push(chunk: Uint8Array): Request[] {
    const requests: Request[] = [];
    if (this.#damaged) return requests;
    this.#bytes.push(...chunk);
    while (this.#bytes.length >= 2) {
      const length = requestLength(this.#bytes);
      if (length === undefined || this.#bytes.length < length) break;
      const request = unframe(Uint8Array.from(this.#bytes.splice(0, length)));
      if (request === undefined) {
        this.#drop();
        return requests;
      }
      requests.push(request);
    }
    if (this.#bytes.length > MAX_FRAME) this.#drop();
    return requests;
  }

  silence(): Request | undefined {
    const bytes = Uint8Array.from(this.#bytes);
    const request = this.#damaged ? undefined : unframe(bytes);
    this.#bytes = [];
    this.#damaged = false;
    return request;
  }

  #drop(): void {
    this.#bytes = [];
    this.#damaged = true;
  }
}

function unframe(bytes: Uint8Array): Request | undefined {
  if (bytes.length < 4) return undefined;
  const body = bytes.subarray(0, -2);
  const crc = (bytes.at(-2) as number) | ((bytes.at(-1) as number) << 8);
  if (crc !== crc16(body)) return undefined;
  return { unitId: body[0] as number, functionCode: body[1] as number, data: body.slice(2) };
}

export const exceptionTo = (request: Request, code: number): Uint8Array =>
  frame(request.unitId, request.functionCode | 0x80, code);
