/**
 * HDLC frames as DLMS/COSEM uses them: frame format type 3, ISO/IEC 13239 with the choices of IEC 62056-46 (DLMS UA
 * Green Book, clause 8.4). Both checksums are checked, always: HCS over the header where an information field follows,
 * FCS over all. Pure.
 *
 *   7E | A s llllllllll | destination 1, 2 or 4 | source 1, 2 or 4 | control | HCS | information | FCS | 7E
 *
 * The length counts all between the flags (11 bits); s says that the information goes on in the next frame.
 */

const FLAG = 0x7e;
/** The length field has 11 bits. */
export const MAX_FRAME = 2047;

/** CRC-16/X-25 (ISO/IEC 13239 clause 4.2.5.2), low byte first on the wire. */
export function fcs16(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] as number);
  return crc ^ 0xffff;
}

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x8408 : crc >>> 1;
  return crc;
});

/** Upper address: the logical device, or the client. Lower: the physical device on a line of many. */
export type Address = { upper: number; lower?: number | undefined };

/**
 * Seven bits in each byte, the last byte has its lowest bit set (clause 8.4.2.3).
 * @param bytes 1, 2 or 4; without it the fewest
 * @throws RangeError where the address does not fit
 */
export function encodeAddress({ upper, lower }: Address, bytes?: number): Uint8Array {
  const size = bytes ?? (lower === undefined ? (upper < 0x80 ? 1 : 2) : upper < 0x80 && lower < 0x80 ? 2 : 4);
  const groups =
    lower === undefined
      ? size === 1
        ? [upper]
        : [upper >>> 7, upper & 0x7f]
      : size === 2
        ? [upper, lower]
        : [upper >>> 7, upper & 0x7f, lower >>> 7, lower & 0x7f];
  if (groups.length !== size || groups.some((group) => group > 0x7f || group < 0))
    throw new RangeError(`the address ${upper}${lower === undefined ? '' : `/${lower}`} does not fit ${size} bytes`);
  return Uint8Array.from(groups, (group, i) => (group << 1) | Number(i === groups.length - 1));
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Addresses stay as their bytes: a reader compares them, and never needs to know how they are split. */
export type Frame = {
  destination: Uint8Array;
  source: Uint8Array;
  control: number;
  segmented: boolean;
  information: Uint8Array;
};

/** With both flags. @throws RangeError where it would be longer than {@link MAX_FRAME} */
export function encodeFrame({ destination, source, control, segmented, information }: Frame): Uint8Array {
  const header = 2 + destination.length + source.length + 1;
  const length = information.length === 0 ? header + 2 : header + 2 + information.length + 2;
  if (length > MAX_FRAME) throw new RangeError(`a frame of ${length} bytes`);
  const frame = new Uint8Array(length + 2);
  frame[0] = FLAG;
  frame[1] = 0xa0 | (segmented ? 8 : 0) | (length >>> 8);
  frame[2] = length & 0xff;
  frame.set(destination, 3);
  frame.set(source, 3 + destination.length);
  frame[header] = control;
  if (information.length > 0) {
    checksum(frame, header + 1);
    frame.set(information, header + 3);
  }
  checksum(frame, length - 1);
  frame[length + 1] = FLAG;
  return frame;
}

/** Over all after the opening flag, written at `at`. */
function checksum(frame: Uint8Array, at: number): void {
  const crc = fcs16(frame.subarray(1, at));
  frame[at] = crc & 0xff;
  frame[at + 1] = crc >>> 8;
}

const rightAt = (bytes: Uint8Array, at: number): boolean =>
  fcs16(bytes.subarray(1, at)) === ((bytes[at] as number) | ((bytes[at + 1] as number) << 8));

/**
 * Finds frames in what is heard. A frame with a wrong checksum, or none at its length's end, is passed over, and the
 * search goes on with the byte after its opening flag: a damaged length never swallows the frame after it.
 */
export class FrameScanner {
  #bytes: Uint8Array = new Uint8Array();
  /** Something with a right header checksum, or all of a frame's shape, was heard but no frame came of it. */
  damaged = 0;
  /** A frame has begun and its end is awaited. */
  get begun(): boolean {
    return this.#bytes.length > 1;
  }

  /** @returns the frames that end in this chunk, and `undefined` for each place where one was damaged */
  push(chunk: Uint8Array): (Frame | undefined)[] {
    const bytes = new Uint8Array(this.#bytes.length + chunk.length);
    bytes.set(this.#bytes);
    bytes.set(chunk, this.#bytes.length);
    const found: (Frame | undefined)[] = [];
    let at = 0;
    for (;;) {
      const flag = bytes.indexOf(FLAG, at);
      // What lies before a flag and is in no frame is noise, or what is left of a frame.
      const noise = (flag < 0 ? bytes.length : flag) - at;
      if (noise > 0) found.push(undefined);
      at = flag < 0 ? bytes.length : flag;
      if (flag < 0) break;
      const result = parse(bytes.subarray(flag));
      if (result === 'more') break;
      if (result === 'not a frame') {
        at++;
        continue;
      }
      found.push(result.frame);
      // The closing flag may open the next frame.
      at += result.length - 1;
    }
    this.#bytes = bytes.slice(at);
    this.damaged += found.filter((frame) => frame === undefined).length;
    return found;
  }

  reset(): void {
    this.#bytes = new Uint8Array();
  }
}

/** @param bytes from an opening flag on */
function parse(bytes: Uint8Array): { frame: Frame; length: number } | 'more' | 'not a frame' {
  if (bytes.length < 3) return bytes.length === 2 && ((bytes[1] as number) & 0xf0) !== 0xa0 ? 'not a frame' : 'more';
  const format = bytes[1] as number;
  if ((format & 0xf0) !== 0xa0) return 'not a frame';
  const length = ((format & 7) << 8) | (bytes[2] as number);
  if (length < 7) return 'not a frame';
  const destination = addressAt(bytes, 3, length);
  const source = typeof destination === 'string' ? destination : addressAt(bytes, 3 + destination.length, length);
  if (typeof destination === 'string' || typeof source === 'string')
    return destination === 'not a frame' || source === 'not a frame' ? 'not a frame' : 'more';
  const header = 3 + destination.length + source.length;
  // Without information only the FCS follows the control byte; else at least HCS, one byte, FCS.
  const bare = length === header + 2;
  if (!bare && length < header + 5) return 'not a frame';
  if (!bare) {
    // As early as can be: a header that is none is not waited for.
    if (bytes.length < header + 3) return 'more';
    if (!rightAt(bytes, header + 1)) return 'not a frame';
  }
  if (bytes.length < length + 2) return 'more';
  if (bytes[length + 1] !== FLAG || !rightAt(bytes, length - 1)) return 'not a frame';
  const frame: Frame = {
    destination: destination.slice(),
    source: source.slice(),
    control: bytes[header] as number,
    segmented: (format & 8) !== 0,
    information: bare ? new Uint8Array() : bytes.slice(header + 3, length - 1),
  };
  return { frame, length: length + 2 };
}

function addressAt(bytes: Uint8Array, at: number, length: number): Uint8Array | 'more' | 'not a frame' {
  for (const size of [1, 2, 4]) {
    if (at + size > length) return 'not a frame';
    if (at + size > bytes.length) return 'more';
    const last = bytes.subarray(at, at + size).findIndex((byte) => (byte & 1) === 1);
    if (last === size - 1) return bytes.subarray(at, at + size);
    // The end of an address of three bytes, which is none.
    if (last >= 0) return 'not a frame';
  }
  return 'not a frame';
}

// --- control fields ------------------------------------------------------------------------------------------------

/** Clause 8.4.3, with the poll or final bit set where the sender always sets it. */
export const SNRM = 0x93;
export const DISC = 0x53;
export const UA = 0x73;
export const UI = 0x13;
export const FINAL = 0x10;

/** The control byte of an I frame: N(R), poll or final, N(S). */
export const iControl = (sent: number, received: number, final: boolean): number =>
  (received << 5) | (final ? FINAL : 0) | (sent << 1);
export const rrControl = (received: number): number => (received << 5) | FINAL | 1;

export type Control =
  | { kind: 'I'; sent: number; received: number; final: boolean }
  | { kind: 'RR' | 'RNR'; received: number; final: boolean }
  | { kind: 'UA' | 'DM' | 'FRMR' | 'UI' | 'other'; final: boolean };

export function controlOf(byte: number): Control {
  const final = (byte & FINAL) !== 0;
  if ((byte & 1) === 0) return { kind: 'I', sent: (byte >>> 1) & 7, received: byte >>> 5, final };
  if ((byte & 0x0f) === 1) return { kind: 'RR', received: byte >>> 5, final };
  if ((byte & 0x0f) === 5) return { kind: 'RNR', received: byte >>> 5, final };
  const kinds: Record<number, 'UA' | 'DM' | 'FRMR' | 'UI'> = { 99: 'UA', 15: 'DM', 135: 'FRMR', 3: 'UI' };
  return { kind: kinds[byte & ~FINAL] ?? 'other', final };
}

// --- what SNRM and UA negotiate --------------------------------------------------------------------------------------

/** Bytes of information in a frame, and frames without an acknowledgement in between, each way. */
export type LinkLimits = { sendBytes: number; receiveBytes: number; sendWindow: number; receiveWindow: number };
/** Where nothing is said: clause 8.4.5.3.2. */
export const DEFAULT_LIMITS: LinkLimits = { sendBytes: 128, receiveBytes: 128, sendWindow: 1, receiveWindow: 1 };

/** The information field of SNRM, from the sender's view. */
export function encodeLimits(limits: LinkLimits): Uint8Array {
  const size = (id: number, value: number) => (value < 256 ? [id, 1, value] : [id, 2, value >>> 8, value & 0xff]);
  const window = (id: number, value: number) => [id, 4, 0, 0, 0, value];
  const items = [
    ...size(5, limits.sendBytes),
    ...size(6, limits.receiveBytes),
    ...window(7, limits.sendWindow),
    ...window(8, limits.receiveWindow),
  ];
  return Uint8Array.of(0x81, 0x80, items.length, ...items);
}

/**
 * The information field of a UA, from the answering side's view: what it sends is what we receive.
 * @returns undefined where it is no such field
 */
export function decodeLimits(bytes: Uint8Array): LinkLimits | undefined {
  const limits = { ...DEFAULT_LIMITS };
  if (bytes.length === 0) return limits;
  if (bytes[0] !== 0x81 || bytes[1] !== 0x80) return undefined;
  for (let at = 3; at < bytes.length; ) {
    const id = bytes[at] as number;
    const length = bytes[at + 1] ?? 0;
    const value = bytes.subarray(at + 2, at + 2 + length).reduce((sum, byte) => sum * 256 + byte, 0);
    if (length < 1 || length > 4 || at + 2 + length > bytes.length || value < 1) return undefined;
    if (id === 5) limits.receiveBytes = Math.min(value, MAX_FRAME);
    if (id === 6) limits.sendBytes = Math.min(value, MAX_FRAME);
    if (id === 7) limits.receiveWindow = Math.min(value, 7);
    if (id === 8) limits.sendWindow = Math.min(value, 7);
    at += 2 + length;
  }
  return limits;
}
