/**
 * Seven bits and an even parity (7E1), as IEC 62056-21 has it on the line. The parity is made and checked here, on a
 * line that is opened as 8N1: the bits on the wire are the same, but a wrong parity is seen, where a tty opened as 7E1
 * loses or passes such a byte without a word. A line that was opened as 7E1 works too: its bytes have no eighth bit.
 */

function evenParity(byte: number): boolean {
  let ones = byte;
  ones ^= ones >>> 4;
  ones ^= ones >>> 2;
  ones ^= ones >>> 1;
  return (ones & 1) === 0;
}

/** @param text 7-bit characters */
export function withEvenParity(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => {
    const code = char.charCodeAt(0) & 0x7f;
    return evenParity(code) ? code : code | 0x80;
  });
}

/**
 * How the bytes of one message carry their characters. The first byte is known (`/` is 2F and AF with parity, STX 02 and
 * 82), so it tells.
 */
export class Characters {
  /** The bytes of this message have a parity that is checked. */
  readonly parity: boolean;
  constructor(first: number) {
    this.parity = (first & 0x80) !== 0;
  }

  /** @returns the 7-bit character, or undefined where the parity is wrong, or an eighth bit where there should be none */
  of(byte: number): number | undefined {
    if (!this.parity) return byte < 0x80 ? byte : undefined;
    return evenParity(byte) ? byte & 0x7f : undefined;
  }
}
