/**
 * From an adapter's lines to what each control unit said: ISO 15765-2 (ISO-TP) over CAN, ISO 9141-2 and ISO 14230-4 on
 * a K-line, SAE J1850; with headers (AT H1), and as adapters show it that have none. Pure, and strict: the line has no
 * checksum, so whatever is not exactly in form makes the whole answer bad.
 */
import { SerialFault } from '../fault.ts';

/**
 * How the lines of one adapter and vehicle look. `sum` (K-line) and `crc` (J1850) show the message's own checksum, which
 * so reaches over our line too; CAN frames come without their CRC. `plain`: no headers, no control unit is told.
 */
export type Layout = 'can11' | 'can29' | 'sum' | 'crc' | 'plain';

/** One message of one control unit, from the service byte on. */
export type Message = { ecu: string; data: Uint8Array };

/** ISO-TP goes to 4,095 bytes; nothing that is asked for here comes near this. */
const MOST_BYTES = 256;
/** Eight control units may answer on 11 bits (7E8 to 7EF); on 29 bits nobody has seen more. */
const MOST_ECUS = 16;

const bad = (why: string): SerialFault => new SerialFault('corrupt', `the answer is not in form: ${why}`);

const HEX = /^(?:[0-9A-F]{2})+$/;

function bytesOf(hex: string, what: string): Uint8Array {
  if (!HEX.test(hex)) throw bad(`${what} is not in bytes of two hexadecimal digits`);
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** @param lines as they came, spaces or none. @throws SerialFault corrupt where any of them is not in the layout's form */
export function messages(lines: readonly string[], layout: Layout): Message[] {
  const packed = lines.map((line) => line.replaceAll(' ', ''));
  if (packed.length === 0) throw bad('there is none');
  switch (layout) {
    case 'can11':
      return assemble(packed.map((line) => split(line, /^(7E[89A-F])(.*)$/)));
    case 'can29':
      return assemble(packed.map((line) => split(line, /^(18DAF1[0-9A-F]{2})(.*)$/)));
    case 'plain':
      return plain(packed);
    default:
      return packed.map((line) => legacy(line, layout));
  }
}

const LAYOUTS: readonly Layout[] = ['can11', 'can29', 'plain', 'sum', 'crc'];

/** The layout in which all lines are in form and answer 01 00, the first that is ever asked. */
export function layoutOf(lines: readonly string[]): Layout | undefined {
  return LAYOUTS.find((layout) => {
    try {
      return messages(lines, layout).every(({ data }) => data.length === 6 && data[0] === 0x41 && data[1] === 0);
    } catch {
      return false;
    }
  });
}

function split(line: string, form: RegExp): Message {
  const [, ecu, rest] = form.exec(line) ?? [];
  if (ecu === undefined || rest === undefined) throw bad('a line does not begin with the address of a control unit');
  return { ecu, data: bytesOf(rest, 'a frame') };
}

// --- ISO 15765-2 -----------------------------------------------------------------------------------------------------

type Long = { length: number; bytes: number[]; next: number };

/** Frames may come in turns from several control units; those of one are in order. */
function assemble(frames: readonly Message[]): Message[] {
  const done: Message[] = [];
  const open = new Map<string, Long>();
  for (const { ecu, data } of frames) {
    const pci = data[0] as number;
    if (data.length > 8) throw bad('a CAN frame has more than 8 bytes');
    const long = open.get(ecu);
    if (pci >>> 4 === 0) {
      const length = pci & 0xf;
      // What comes after it is padding, and is not looked at.
      if (length < 1 || length > 7 || data.length < 1 + length) throw bad('a single frame has another length');
      if (long !== undefined) throw bad('a single frame stands in the middle of a long answer');
      done.push({ ecu, data: data.slice(1, 1 + length) });
    } else if (pci >>> 4 === 1) {
      const length = ((pci & 0xf) << 8) | (data[1] ?? 0);
      if (length < 8 || length > MOST_BYTES || data.length !== 8) throw bad('a first frame has another length');
      if (long !== undefined) throw bad('a second long answer begins in the middle of one');
      open.set(ecu, { length, bytes: [...data.subarray(2)], next: 1 });
    } else if (pci >>> 4 === 2) {
      if (long === undefined) throw bad('the first frame of a long answer is missing');
      if ((pci & 0xf) !== long.next) throw bad('a frame of a long answer is missing, or out of its order');
      const needed = Math.min(7, long.length - long.bytes.length);
      if (data.length < 1 + needed) throw bad('a frame of a long answer is too short');
      long.bytes.push(...data.subarray(1, 1 + needed));
      long.next = (long.next + 1) & 0xf;
      if (long.bytes.length === long.length) {
        open.delete(ecu);
        done.push({ ecu, data: Uint8Array.from(long.bytes) });
      }
    } else throw bad('a frame is none of an answer');
    if (open.size > MOST_ECUS) throw bad(`more than ${MOST_ECUS} control units`);
  }
  if (open.size > 0) throw bad('a long answer is not whole');
  return done;
}

// --- K-line and J1850 ------------------------------------------------------------------------------------------------

/** ISO 9141-2 and ISO 14230-2: the sum of all bytes. */
export const sum8 = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0);

/** SAE J1850: polynomial 0x1D, begins with 0xFF, inverted at the end. */
export function crcJ1850(bytes: Uint8Array): number {
  let crc = 0xff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x1d) & 0xff : (crc << 1) & 0xff;
  }
  return crc ^ 0xff;
}

/** Three bytes of header (format or priority, target, source), 1 to 7 of data, the checksum. */
function legacy(line: string, layout: 'sum' | 'crc'): Message {
  const bytes = bytesOf(line, 'a message');
  if (bytes.length < 5 || bytes.length > 11) throw bad('a message has another length');
  const body = bytes.subarray(0, -1);
  if ((layout === 'sum' ? sum8(body) : crcJ1850(body)) !== bytes.at(-1))
    throw bad('the checksum of a message is wrong');
  const [format, target, source] = body as unknown as [number, number, number];
  const data = body.slice(3);
  // ISO 14230-2: the format byte counts the data, the target is the tester. Before it, 48 6B and 41 6B: to all testers.
  const known = format >= 0x80 ? (format & 0x3f) === data.length && target === 0xf1 : target === 0x6b;
  if (!known) throw bad('a message has no header of an answer');
  return { ecu: source.toString(16).toUpperCase().padStart(2, '0'), data };
}

// --- without headers -------------------------------------------------------------------------------------------------

/** AT H0: short answers as they are; a long one as its length (three digits), then numbered lines. */
function plain(lines: readonly string[]): Message[] {
  const done: Message[] = [];
  let long: Long | undefined;
  for (const line of lines) {
    const numbered = /^([0-9A-F]):(.*)$/.exec(line);
    if (/^[0-9A-F]{3}$/.test(line)) {
      // The lines of two long answers are mixed, and nothing tells whose is which.
      if (long !== undefined) throw bad('several control units give long answers, and the adapter shows no headers');
      long = { length: Number.parseInt(line, 16), bytes: [], next: 0 };
      if (long.length < 8 || long.length > MOST_BYTES) throw bad('a long answer has another length');
    } else if (numbered !== null) {
      if (long === undefined || Number.parseInt(numbered[1] as string, 16) !== long.next)
        throw bad('a line of a long answer is missing, or out of its order');
      const bytes = bytesOf(numbered[2] as string, 'a line');
      const first = long.bytes.length === 0;
      const needed = Math.min(first ? 6 : 7, long.length - long.bytes.length);
      if (needed === 0 || bytes.length < needed || bytes.length > (first ? 6 : 7))
        throw bad('a line of a long answer has another length');
      long.bytes.push(...bytes.subarray(0, needed));
      long.next = (long.next + 1) & 0xf;
    } else {
      const data = bytesOf(line, 'a line');
      if (data.length > 7) throw bad('a line is too long');
      done.push({ ecu: '', data });
    }
  }
  if (long !== undefined) {
    if (long.bytes.length !== long.length) throw bad('a long answer is not whole');
    done.push({ ecu: '', data: Uint8Array.from(long.bytes) });
  }
  return done;
}
