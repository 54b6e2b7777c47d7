/**
 * NMEA 0183 sentences: `$`, talker and type, fields, `*`, the exclusive or of all between. One without a checksum, or with
 * a wrong one, is none. Pure.
 *
 * nmea-simple 3.3.0 and gps 0.9.0 were tried on gpsd's recordings and on damaged sentences. Both read every intact sentence
 * that is used here, and neither is used:
 *   - nmea-simple makes 0 of a field that is empty: a receiver without a fix is at 0 N 0 E, at speed 0; it drops the
 *     fraction of a second, so epochs of a 10 Hz receiver run together; and a time without a date (GGA) is dated by the
 *     host's clock.
 *   - gps hands out the fields of a sentence with a wrong checksum (with `valid: false`), and its state keeps the speed of
 *     one second beside the void position of the next.
 *   - both take `4404.1x063` for 4404.1, a latitude of 99 degrees, and the hour 25 for one of the next day.
 */
import { SerialFault } from '../fault.ts';

export type Sentence = {
  /** GP, GL, GN, … */
  talker: string;
  /** RMC, GGA, … */
  type: string;
  fields: readonly string[];
};

/** 82 by the standard; receivers with many digits need more. */
const MAX_CHARS = 160;
const DOLLAR = 0x24;
const STAR = 0x2a;
const CR = 0x0d;
const LF = 0x0a;

/** A sentence, or that something was there which is none: what follows it may belong elsewhere. */
export type Heard = Sentence | SerialFault | 'noise';

export class SentenceReader {
  #chars: number[] | undefined;
  #noise = false;

  reset(): void {
    this.#chars = undefined;
    this.#noise = false;
  }

  push(chunk: Uint8Array): Heard[] {
    const out: Heard[] = [];
    for (const byte of chunk) {
      if (byte === DOLLAR) {
        if (this.#chars !== undefined) out.push(broken(this.#chars, 'another one begins in the middle of it'));
        else if (this.#noise) out.push('noise');
        this.#noise = false;
        this.#chars = [];
        continue;
      }
      const chars = this.#chars;
      if (chars === undefined) {
        this.#noise ||= byte !== CR && byte !== LF;
        continue;
      }
      if (byte < 0x20 || byte > 0x7e || chars.length >= MAX_CHARS) {
        out.push(broken(chars, 'it ends without a checksum'));
        this.#chars = undefined;
        continue;
      }
      chars.push(byte);
      if (chars.at(-3) !== STAR) continue;
      out.push(finish(chars));
      this.#chars = undefined;
    }
    return out;
  }
}

const broken = (chars: readonly number[], why: string): SerialFault =>
  new SerialFault('corrupt', `NMEA sentence ${JSON.stringify(String.fromCharCode(...chars.slice(0, 20)))}: ${why}`);

function finish(chars: readonly number[]): Sentence | SerialFault {
  const sum = chars.slice(0, -3).reduce((a, b) => a ^ b, 0);
  const said = String.fromCharCode(...chars.slice(-2));
  if (!/^[0-9A-Fa-f]{2}$/.test(said) || Number.parseInt(said, 16) !== sum)
    return broken(chars, 'its checksum is wrong');
  const [address = '', ...fields] = String.fromCharCode(...chars.slice(0, -3)).split(',');
  // Proprietary ones begin with P and have no talker.
  if (!/^[A-OQ-Z][A-Z][A-Z]{3}$/.test(address) && !address.startsWith('PQ')) return { talker: 'P', type: '', fields };
  return { talker: address.slice(0, 2), type: address.slice(2), fields };
}
