/**
 * Opening an association (Green Book clause 9.4.2, ACSE in BER; clause 9.5, xDLMS initiate): AARQ and AARE, logical
 * names; no security, low security (a password) or high security with GMAC; with or without ciphering. Pure.
 */
import { SerialFault } from '../fault.ts';
import { Reader } from './axdr.ts';
import { diagnostic } from './words.ts';

/** joint-iso-ccitt(2) country(16) country-name(756) identified-organisation(5) DLMS-UA(8). */
const DLMS_UA = [0x60, 0x85, 0x74, 0x05, 0x08];
const contextName = (ciphered: boolean) => [...DLMS_UA, 1, ciphered ? 3 : 1];
const LOW_SECURITY = [...DLMS_UA, 2, 1];
const HIGH_SECURITY_GMAC = [...DLMS_UA, 2, 5];

/** Bits of the conformance block, from the highest of 24. What this client does: it reads, and nothing else. */
const GET = 19;
const SELECTIVE_ACCESS = 21;
const BLOCK_TRANSFER_GET = 11;
const MULTIPLE_REFERENCES = 14;
/** Only for the proof of high security. */
const ACTION = 23;
const PROPOSED = [GET, SELECTIVE_ACCESS, BLOCK_TRANSFER_GET, MULTIPLE_REFERENCES, ACTION];
const bit = (number: number): number => 1 << (23 - number);
const DLMS_VERSION = 6;

/** What we can take in one APDU. */
export const MAX_PDU = 0xffff;

export const INITIATE_REQUEST: Uint8Array = (() => {
  const block = PROPOSED.reduce((sum, number) => sum | bit(number), 0);
  const conformance = [0x5f, 0x1f, 4, 0, (block >>> 16) & 0xff, (block >>> 8) & 0xff, block & 0xff];
  // No dedicated key, response allowed by default, no quality of service.
  return Uint8Array.of(1, 0, 0, 0, DLMS_VERSION, ...conformance, MAX_PDU >>> 8, MAX_PDU & 0xff);
})();

const tlv = (tag: number, ...value: number[]): number[] => {
  if (value.length > 0xff) throw new RangeError(`a value of ${value.length} bytes`);
  return value.length < 0x80 ? [tag, value.length, ...value] : [tag, 0x81, value.length, ...value];
};

/**
 * @param initiate {@link INITIATE_REQUEST}, or what it enciphers to, with its tag
 * @param systemTitle ours, where it is ciphered
 */
export function encodeAarq(parts: {
  initiate: Uint8Array;
  systemTitle: Uint8Array | undefined;
  password: Uint8Array | undefined;
  /** Of high security: then there is no password. */
  challenge?: Uint8Array | undefined;
}): Uint8Array {
  const { initiate, systemTitle, password, challenge } = parts;
  const authentication = challenge ?? password;
  return Uint8Array.from(
    tlv(
      0x60,
      ...tlv(0xa1, ...tlv(6, ...contextName(systemTitle !== undefined))),
      ...(systemTitle ? tlv(0xa6, ...tlv(4, ...systemTitle)) : []),
      ...(authentication
        ? [
            ...tlv(0x8a, 7, 0x80),
            ...tlv(0x8b, ...(challenge ? HIGH_SECURITY_GMAC : LOW_SECURITY)),
            ...tlv(0xac, ...tlv(0x80, ...authentication)),
          ]
        : []),
      ...tlv(0xbe, ...tlv(4, ...initiate)),
    ),
  );
}

/** `initiate` may be ciphered still: its first byte tells. */
export type Aare = {
  result: number;
  diagnostic: number;
  systemTitle: Uint8Array | undefined;
  /** Of high security: what the meter wants a proof over. */
  challenge: Uint8Array | undefined;
  initiate: Uint8Array;
};

/** @throws SerialFault mismatch */
export function decodeAare(bytes: Uint8Array): Aare {
  const outer = new Reader(bytes);
  if (outer.byte() !== 0x61) throw new SerialFault('mismatch', 'the meter does not answer AARQ with AARE');
  const inner = new Reader(outer.take(outer.length()));
  const aare: Aare = {
    result: -1,
    diagnostic: 0,
    systemTitle: undefined,
    challenge: undefined,
    initiate: new Uint8Array(),
  };
  while (inner.left > 0) {
    const tag = inner.byte();
    const value = new Reader(inner.take(inner.length()));
    if (tag === 0xa2) aare.result = small(value);
    // Of the service user (A1) or the provider (A2): numbers that do not collide in what they mean to us.
    if (tag === 0xa3) {
      value.byte();
      value.length();
      aare.diagnostic = small(value);
    }
    if (tag === 0xa4) aare.systemTitle = octets(value);
    if (tag === 0xaa) aare.challenge = octets(value);
    if (tag === 0xbe) aare.initiate = octets(value);
  }
  return aare;
}

const small = (reader: Reader): number => {
  reader.byte();
  return reader.unsigned(Math.min(reader.length(), 4));
};
const octets = (reader: Reader): Uint8Array => {
  reader.byte();
  return reader.take(reader.length());
};

/** What the meter agreed to. */
export type Agreed = { withList: boolean; selective: boolean; blocks: boolean };

/**
 * @param high a proof is still to come
 * @throws SerialFault exception with the meter's reason in words
 */
export function checkAccepted(aare: Aare, high: boolean): void {
  const wanted = high ? AUTHENTICATION_REQUIRED : 0;
  if (aare.result === 0 && (aare.diagnostic === 0 || aare.diagnostic === wanted)) return;
  throw new SerialFault('exception', `the meter refuses the association: ${diagnostic(aare.diagnostic)}`);
}
const AUTHENTICATION_REQUIRED = 14;

/** @param bytes plain. @throws SerialFault mismatch */
export function decodeInitiateResponse(bytes: Uint8Array): Agreed {
  const reader = new Reader(bytes);
  const tag = reader.byte();
  if (tag === 0x0e) throw new SerialFault('exception', 'the meter refuses the association: its xDLMS initiate failed');
  if (tag !== 8) throw new SerialFault('mismatch', `the meter’s AARE has no initiate response (tag ${tag})`);
  if (reader.byte() !== 0) reader.byte();
  const version = reader.byte();
  if (version !== DLMS_VERSION)
    throw new SerialFault('mismatch', `the meter speaks DLMS version ${version}, not ${DLMS_VERSION}`);
  // 5F 1F 04 00, or 5F 04 00 as older ones write it.
  reader.byte();
  if (reader.byte() === 0x1f) reader.byte();
  reader.byte();
  const block = reader.unsigned(3);
  const has = (number: number) => (block & bit(number)) !== 0;
  if (!has(GET)) throw new SerialFault('mismatch', 'the meter lets this client read nothing (no GET)');
  return { withList: has(MULTIPLE_REFERENCES), selective: has(SELECTIVE_ACCESS), blocks: has(BLOCK_TRANSFER_GET) };
}

/** exception-response (clause 9.5): the meter could not even look at what it was asked. */
export function exceptionOf(bytes: Uint8Array): { fault: SerialFault; counter: number | undefined } | undefined {
  if (bytes[0] !== 0xd8) return undefined;
  const service = bytes[2] ?? 0;
  if (service === 6 && bytes.length >= 7) {
    const counter = new DataView(bytes.buffer, bytes.byteOffset).getUint32(3);
    const text = `the meter has seen a higher invocation counter of this client (${counter}): the next poll uses one above`;
    return { fault: new SerialFault('exception', text), counter };
  }
  const words: Record<number, string> = {
    1: 'the operation is not possible',
    2: 'the service is not supported',
    3: 'another reason',
    4: 'the message is too long',
    5: 'it cannot decipher our message: wrong encryption or authentication key (secrets)',
    6: 'it has seen a higher invocation counter of this client',
  };
  const text = `the meter refuses: ${words[service] ?? `service error ${service}`}`;
  return { fault: new SerialFault('exception', text), counter: undefined };
}
