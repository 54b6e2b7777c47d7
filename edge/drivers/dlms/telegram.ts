/**
 * Telegrams that a meter pushes over HDLC: UI or I frames, whose information goes on over several frames (segmented) or
 * in numbered blocks (general block transfer, Green Book clause 9.3.5), plain or general-glo-ciphered. Pure.
 *
 * UI frames have no numbers: whatever is damaged, strange or late in between ends what was begun, so that two halves of
 * two telegrams never become one.
 */
import { SerialFault } from '../fault.ts';
import { Reader } from './axdr.ts';
import { controlOf, type Frame, FrameScanner, sameBytes } from './hdlc.ts';

/** Of one telegram, put together. */
const MAX_TELEGRAM = 65_535;
/** Between two frames of one telegram, ms. */
const MAX_PAUSE_MS = 5000;
const GENERAL_BLOCK_TRANSFER = 0xe0;

type Part = { from: Frame; bytes: Uint8Array; atMs: number };

export class Telegrams {
  readonly #scanner = new FrameScanner();
  #segments: Part | undefined;
  #blocks: (Part & { next: number }) | undefined;

  /** @returns APDUs that are whole, and what was damaged */
  hear(chunk: Uint8Array, atMs: number): (Uint8Array | SerialFault)[] {
    const heard: (Uint8Array | SerialFault)[] = [];
    for (const frame of this.#scanner.push(chunk)) {
      const apdu = frame === undefined ? this.#damaged() : this.#frame(frame, atMs);
      if (apdu !== undefined) heard.push(apdu);
    }
    return heard;
  }

  reset(): void {
    this.#scanner.reset();
    this.#segments = undefined;
    this.#blocks = undefined;
  }

  /** Noise between telegrams is none of ours; in one, it ends it. */
  #damaged(): SerialFault | undefined {
    const was = this.#segments ?? this.#blocks;
    this.#segments = undefined;
    this.#blocks = undefined;
    return was && new SerialFault('corrupt', 'a telegram is damaged or lost in the middle');
  }

  #frame(frame: Frame, atMs: number): Uint8Array | SerialFault | undefined {
    const { kind } = controlOf(frame.control);
    if ((kind !== 'UI' && kind !== 'I') || frame.information.length === 0) return undefined;
    const before = this.#segments;
    this.#segments = undefined;
    const goesOn = before !== undefined && fits(before, frame, atMs);
    if (before !== undefined && !goesOn) return this.#again(frame, atMs);
    const bytes = goesOn ? Buffer.concat([before.bytes, frame.information]) : frame.information;
    if (bytes.length > MAX_TELEGRAM)
      return new SerialFault('mismatch', `a telegram is longer than ${MAX_TELEGRAM} bytes`);
    if (frame.segmented) {
      this.#segments = { from: frame, bytes, atMs };
      return undefined;
    }
    return this.#whole(frame, bytes, atMs);
  }

  /** It begins anew: what was before is lost, what comes now may be good. */
  #again(frame: Frame, atMs: number): Uint8Array | SerialFault | undefined {
    this.#blocks = undefined;
    return this.#frame(frame, atMs);
  }

  /** LLC or not: some meters leave it out where a block goes on. */
  #whole(frame: Frame, bytes: Uint8Array, atMs: number): Uint8Array | SerialFault | undefined {
    const withLlc = bytes[0] === 0xe6 && (bytes[1] === 0xe7 || bytes[1] === 0xe6) && bytes[2] === 0;
    const apdu = withLlc ? bytes.slice(3) : Uint8Array.from(bytes);
    return apdu[0] === GENERAL_BLOCK_TRANSFER ? this.#block(frame, apdu, atMs) : apdu;
  }

  #block(frame: Frame, apdu: Uint8Array, atMs: number): Uint8Array | SerialFault | undefined {
    const reader = new Reader(apdu);
    const before = this.#blocks;
    this.#blocks = undefined;
    try {
      reader.byte();
      const last = (reader.byte() & 0x80) !== 0;
      const number = reader.unsigned(2);
      reader.unsigned(2);
      const data = reader.take(reader.length());
      if (reader.left > 0) return new SerialFault('mismatch', 'a block has bytes after its end');
      const goesOn = before !== undefined && fits(before, frame, atMs) && number === before.next;
      if (number !== 1 && !goesOn)
        return before === undefined
          ? undefined
          : new SerialFault('corrupt', `block ${before.next} of a telegram is lost`);
      const bytes = goesOn ? Buffer.concat([before.bytes, data]) : data;
      if (bytes.length > MAX_TELEGRAM)
        return new SerialFault('mismatch', `a telegram is longer than ${MAX_TELEGRAM} bytes`);
      if (last) return Uint8Array.from(bytes);
      this.#blocks = { from: frame, bytes, atMs, next: number + 1 };
      return undefined;
    } catch (error) {
      if (error instanceof SerialFault) return error;
      throw error;
    }
  }
}

const fits = (before: Part, frame: Frame, atMs: number): boolean =>
  sameBytes(before.from.source, frame.source) &&
  sameBytes(before.from.destination, frame.destination) &&
  atMs - before.atMs <= MAX_PAUSE_MS;
