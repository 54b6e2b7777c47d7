/**
 * HDLC as a DLMS meter speaks it (IEC 62056-46): written apart from the gateway's side, even the checksum, so that one
 * misreading of the standard cannot hide in both. Pure.
 */

/** Bit by bit, as ISO/IEC 13239 describes it. */
export function crc(bytes: readonly number[]): [number, number] {
  let register = 0xffff;
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) {
      const carry = (register ^ (byte >> bit)) & 1;
      register >>= 1;
      if (carry) register ^= 0x8408;
    }
  register = ~register & 0xffff;
  return [register & 0xff, register >> 8];
}

export type HeardFrame = { to: number[]; from: number[]; control: number; segmented: boolean; body: number[] };

export function say(to: number[], from: number[], control: number, body: number[] = [], segmented = false): number[] {
  const length = 2 + to.length + from.length + 1 + (body.length > 0 ? 2 + body.length : 0) + 2;
  const head = [0xa0 + (segmented ? 8 : 0) + (length >> 8), length & 255, ...to, ...from, control];
  const all = body.length > 0 ? [...head, ...crc(head), ...body] : head;
  return [0x7e, ...all, ...crc(all), 0x7e];
}

/** An address of seven bits a byte. */
export function split(bytes: readonly number[]): { upper: number; lower: number | undefined } {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.map((byte) => byte >> 1);
  if (bytes.length === 1) return { upper: a, lower: undefined };
  if (bytes.length === 2) return { upper: a, lower: b };
  return { upper: a * 128 + b, lower: c * 128 + d };
}

/** What a meter hears: frames that are whole; all else is forgotten. */
export class Ear {
  #heard: number[] = [];

  push(chunk: Uint8Array): HeardFrame[] {
    this.#heard.push(...chunk);
    const frames: HeardFrame[] = [];
    while (this.#heard.length > 0) {
      if (this.#heard[0] !== 0x7e || this.#heard[1] === 0x7e) {
        this.#heard.shift();
        continue;
      }
      if (this.#heard.length < 3) break;
      const length = (((this.#heard[1] as number) & 7) << 8) + (this.#heard[2] as number);
      // What never ends is forgotten in the silence after it.
      if (this.#heard.length < length + 2) break;
      const frame = this.#heard[length + 1] === 0x7e ? read(this.#heard.slice(1, length + 1)) : undefined;
      if (frame) {
        frames.push(frame);
        this.#heard.splice(0, length + 1);
      } else this.#heard.shift();
    }
    return frames;
  }

  /** The wire was silent for longer than between two bytes of a frame. */
  silence(): void {
    this.#heard = [];
  }
}

function read(bytes: number[]): HeardFrame | undefined {
  const right = (end: number) => {
    const [low, high] = crc(bytes.slice(0, end));
    return bytes[end] === low && bytes[end + 1] === high;
  };
  if (bytes.length < 7 || ((bytes[0] as number) & 0xf0) !== 0xa0 || !right(bytes.length - 2)) return undefined;
  let at = 2;
  const address = () => {
    const from = at;
    while (at < bytes.length && !((bytes[at] as number) & 1)) at++;
    return bytes.slice(from, ++at);
  };
  const to = address();
  const from = address();
  const control = bytes[at++] as number;
  const segmented = ((bytes[0] as number) & 8) !== 0;
  if (at === bytes.length - 2) return { to, from, control, segmented, body: [] };
  return right(at) ? { to, from, control, segmented, body: bytes.slice(at + 2, -2) } : undefined;
}
