/** Changes to bytes, the same ones on every machine for the same seed. */

export type Below = (limit: number) => number;

/** mulberry32. */
export function numbers(seed: number): Below {
  let a = seed >>> 0;
  return (limit) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

/** Where parsers turn: limits of CBOR heads, of MQTT lengths, of signs; and what texts are made of. */
const TELLING = [0x00, 0x01, 0x02, 0x04, 0x10, 0x17, 0x18, 0x1b, 0x1f, 0x20, 0x40, 0x5f, 0x7f, 0x80].concat(
  [0x9f, 0xa1, 0xbf, 0xc2, 0xd2, 0xf0, 0xf4, 0xf9, 0xfb, 0xfe, 0xff],
  [...'\n\r\t "\\,:.-+0123456789=[]{}xnull/'].map((c) => c.charCodeAt(0)),
);

/** One to four changes. */
export function mutate(original: Uint8Array, other: Uint8Array, below: Below): Buffer {
  let bytes = Buffer.from(original);
  for (let i = below(4); i >= 0; i--) {
    const at = below(Math.max(1, bytes.length));
    const near = Math.min(at, below(24)); // where the structure is
    const change = below(11);
    if (bytes.length === 0) bytes = Buffer.from(other);
    else if (change === 0) bytes[at] = (bytes[at] as number) ^ (1 << below(8));
    else if (change === 1) bytes[near] = TELLING[below(TELLING.length)] as number;
    else if (change === 2) bytes[at] = TELLING[below(TELLING.length)] as number;
    else if (change === 3) bytes[at] = below(256);
    else if (change === 4) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(8))]);
    else if (change === 5)
      bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(1 + below(8), below(256)), bytes.subarray(at)]);
    else if (change === 6) bytes = bytes.subarray(0, at);
    else if (change === 7) bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(below(other.length))]);
    else if (change === 8 && bytes.length > 1) bytes.writeUInt16BE(below(65_536), Math.min(near, bytes.length - 2));
    else if (change === 9) {
      // A piece of it once more, or elsewhere.
      const piece = bytes.subarray(at, at + 1 + below(40));
      const to = below(bytes.length);
      bytes = Buffer.concat([bytes.subarray(0, to), piece, bytes.subarray(to)]);
    } else bytes[0] = below(256);
  }
  return bytes;
}
