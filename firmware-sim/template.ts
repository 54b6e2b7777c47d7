/**
 * Many envelopes of one shape, fast: encoded once by edge/wire with marks where the numbers go, then only the numbers
 * are written anew. A number keeps the width of its mark, so the bytes stay deterministic CBOR.
 */
import { sigStructure } from '../edge/wire/cose.ts';
import { encodeEnvelope } from '../edge/wire/envelope.ts';
import type { SenmlRecord } from '../edge/wire/senml.ts';

/** CBOR of an integer in this range takes a head and four bytes. */
export const REGISTER_MIN = 0x10000;
export const REGISTER_MAX = 0xffffffff;

const EPOCH_MARK = 0xe1e2e3e4;
const SEQ_MARK = 0xe5e6e7e8;
const IAT_MARK = 0xf1f2f3f4;
const REGISTER_MARK = 0xd1d20000;

export class Template {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #iat: number;
  readonly #cti: number;
  readonly #registers: number[];
  readonly #protectedHeader: Uint8Array;
  readonly #payload: Uint8Array;

  /** @param pack records in one envelope; all but the first say how many minutes before `iat` they are */
  constructor(iss: string, sub: string, pack: number) {
    const records: SenmlRecord[] = Array.from({ length: pack }, (_, i) => ({
      n: '1-0:1.8.0',
      u: 'Wh',
      v: REGISTER_MARK + i,
      ...(i === 0 ? {} : { t: -60 * i }),
    }));
    const claims = { iss, sub, iat: IAT_MARK, epoch: EPOCH_MARK, seq: SEQ_MARK };
    let covered = new Uint8Array(0);
    const bytes = encodeEnvelope(claims, records, (signed) => {
      covered = new Uint8Array(signed);
      return new Uint8Array(64);
    });
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#iat = find(bytes, IAT_MARK);
    this.#cti = find(bytes, EPOCH_MARK);
    this.#registers = records.map((_, i) => find(bytes, REGISTER_MARK + i));
    // COSE_Sign1 here: tag and array head, protected header, empty map, payload, 2 + 64 bytes of signature.
    const [headerAt, headerEnd] = byteString(bytes, 2);
    const [payloadAt, payloadEnd] = byteString(bytes, headerEnd + 1);
    this.#protectedHeader = bytes.subarray(headerAt, headerEnd);
    this.#payload = bytes.subarray(payloadAt, payloadEnd);
    if (
      Buffer.compare(sigStructure(this.#protectedHeader, this.#payload), covered) !== 0 ||
      payloadEnd + 66 !== bytes.length
    )
      throw new Error('the template does not find its way in an envelope of edge/wire');
  }

  /** @param register of the newest record, Wh; the ones before count `step` less each */
  fill(
    iat: number,
    epoch: number,
    seq: number,
    register: number,
    step: number,
    sign: (m: Uint8Array) => Uint8Array,
  ): Uint8Array {
    const view = this.#view;
    view.setUint32(this.#iat, iat);
    view.setUint32(this.#cti, epoch);
    view.setUint32(this.#cti + 4, seq);
    for (let i = 0; i < this.#registers.length; i++)
      view.setUint32(this.#registers[i] as number, Math.max(REGISTER_MIN, register - i * step));
    const bytes = this.#bytes.slice();
    bytes.set(sign(sigStructure(this.#protectedHeader, this.#payload)), bytes.length - 64);
    return bytes;
  }
}

function find(bytes: Uint8Array, mark: number): number {
  const needle = Buffer.alloc(4);
  needle.writeUInt32BE(mark);
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = haystack.indexOf(needle);
  if (at < 0 || haystack.indexOf(needle, at + 1) >= 0) throw new Error('a mark does not stand once in the template');
  return at;
}

/** Where the byte string that begins at `at` has its content: from, to. */
function byteString(bytes: Uint8Array, at: number): [number, number] {
  const info = (bytes[at] as number) & 31;
  if (info < 24) return [at + 1, at + 1 + info];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (info === 24) return [at + 2, at + 2 + view.getUint8(at + 1)];
  return [at + 3, at + 3 + view.getUint16(at + 1)];
}
