/**
 * Telegrams that a meter says by itself: from `/` to `!`, in P1 (DSMR P1 companion standard section 6) and in mode D (IEC
 * 62056-21 section 6.4.5). From version 4 of P1 on a CRC16 follows the exclamation mark; before it, and in mode D,
 * nothing does. Pure.
 */
import { SerialFault } from '../fault.ts';
import { type Dataset, parseDataset } from './dataset.ts';
import { Characters } from './parity.ts';

export type Telegram = {
  /** Maker (three letters), baud character and identification: `ISk5\2MT382-1000`. */
  ident: string;
  sets: Dataset;
  /** A CRC16 was there, and right. */
  summed: boolean;
  /** Every byte had an even parity. */
  parity: boolean;
  /** Lines that are no data sets. */
  strange: number;
};

/** Far more than the 1,024 octets of a text message and all channels take. */
const MAX_BYTES = 16_384;
/** Where no checksum tells, a pause in the middle means that something is not there. */
const LONGEST_PAUSE_MS = 1000;

const SLASH = 0x2f;
const MARK = 0x21;
const LF = 0x0a;
const IDENT = /^\/([A-Za-z]{3}[0-9A-Za-z][\x20-\x7e]{0,40})\r\n(?:\r\n)?/;

/** CRC-16/ARC: polynomial A001 reflected, begins at 0 (DSMR P1 section 6.2). */
export function crc16(bytes: ArrayLike<number>): number {
  let crc = 0;
  for (let i = 0; i < bytes.length; i++) {
    crc ^= bytes[i] as number;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc;
}

export class TelegramReader {
  #chars: number[] = [];
  #characters: Characters | undefined;
  /** Where the exclamation mark stands. */
  #mark: number | undefined;
  #lastMs = 0;
  #paused = false;

  reset(): void {
    this.#chars = [];
    this.#characters = undefined;
    this.#mark = undefined;
    this.#paused = false;
  }

  /** @returns telegrams, and what began as one and was none */
  push(chunk: Uint8Array, atMs: number): (Telegram | SerialFault)[] {
    const out: (Telegram | SerialFault)[] = [];
    if (this.#characters !== undefined && atMs - this.#lastMs > LONGEST_PAUSE_MS) this.#paused = true;
    this.#lastMs = atMs;
    for (const byte of chunk) {
      if (byte === SLASH || byte === (SLASH | 0x80)) {
        if (this.#characters !== undefined) out.push(this.#broken('another one begins in the middle of it'));
        this.reset();
        this.#characters = new Characters(byte);
        this.#chars.push(SLASH);
        continue;
      }
      if (this.#characters === undefined) continue;
      const char = this.#characters.of(byte);
      const wrong =
        char === undefined
          ? this.#characters.parity
            ? 'a byte has a wrong parity'
            : 'a byte has an eighth bit'
          : this.#take(char, out);
      if (wrong !== undefined) {
        out.push(this.#broken(wrong));
        this.reset();
      }
    }
    return out;
  }

  #broken(why: string): SerialFault {
    return new SerialFault('corrupt', `a telegram of ${this.#chars.length} bytes is dropped: ${why}`);
  }

  /** @returns why there will be no telegram */
  #take(char: number, out: (Telegram | SerialFault)[]): string | undefined {
    if (this.#chars.length >= MAX_BYTES) return `longer than ${MAX_BYTES} bytes`;
    this.#chars.push(char);
    if (this.#mark === undefined) {
      if (char === MARK) this.#mark = this.#chars.length - 1;
      return undefined;
    }
    if (char !== LF) return this.#chars.length - this.#mark > 6 ? 'no line ends after the exclamation mark' : undefined;
    const telegram = this.#finish(this.#mark);
    if (typeof telegram === 'string') return telegram;
    out.push(telegram);
    this.reset();
    return undefined;
  }

  #finish(mark: number): Telegram | string {
    const end = String.fromCharCode(...this.#chars.slice(mark + 1));
    const sum = /^([0-9A-F]{4})?\r\n$/.exec(end);
    if (sum === null) return 'what follows the exclamation mark is neither a CRC16 nor nothing';
    const summed = sum[1] !== undefined;
    if (summed && crc16(this.#chars.slice(0, mark + 1)) !== Number.parseInt(sum[1] as string, 16))
      return 'the CRC16 is wrong';
    if (!summed && this.#paused) return 'there was a pause in the middle of it, and no checksum';
    const text = Buffer.from(this.#chars.slice(0, mark)).toString('latin1');
    const ident = IDENT.exec(text);
    if (ident === null) return 'it has no identification';
    const { sets, strange } = parseDataset(text.slice(ident[0].length));
    const parity = (this.#characters as Characters).parity;
    return { ident: ident[1] as string, sets, summed, parity, strange };
  }
}
