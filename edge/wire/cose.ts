/** COSE_Sign1 (RFC 9052 section 4.2), tagged. Envelopes have an empty unprotected header and their payload inside. Pure. */
import { EdgeError } from '../errors.ts';
import { concatBytes, utf8Bytes } from './bytes.ts';
import { type CborMap, decodeCbor, encodeCbor } from './cbor.ts';

const TAG_COSE_SIGN1 = 0xd2; // tag 18
/** COSE algorithm identifiers of RFC 9864: Ed25519, and ECDSA on P-256 with SHA-256. */
export const ALG_ED25519 = -19;
export const ALG_ESP256 = -9;
/** Those of RFC 9053 that leave the curve open: EdDSA, and ES256. */
export const ALG_EDDSA = -8;
export const ALG_ES256 = -7;

export type Sign1 = { protectedHeader: Uint8Array; payload: Uint8Array; signature: Uint8Array };
/** With whatever is not signed; the payload is null where it is detached. */
export type OpenSign1 = Omit<Sign1, 'payload'> & { unprotected: CborMap; payload: Uint8Array | null };

export const isSign1 = (bytes: Uint8Array): boolean => bytes[0] === TAG_COSE_SIGN1;

export const encodeOpenSign1 = (m: OpenSign1): Uint8Array =>
  concatBytes(Uint8Array.of(TAG_COSE_SIGN1), encodeCbor([m.protectedHeader, m.unprotected, m.payload, m.signature]));

export const encodeSign1 = (m: Sign1): Uint8Array => encodeOpenSign1({ ...m, unprotected: new Map() });

/** @throws EdgeError CBOR_INVALID or ENVELOPE_INVALID */
export function decodeSign1(bytes: Uint8Array): Sign1 {
  const { unprotected, payload, ...rest } = decodeOpenSign1(bytes);
  if (unprotected.size !== 0) throw new EdgeError('ENVELOPE_INVALID', 'the unprotected header is an empty map');
  if (payload === null)
    throw new EdgeError('ENVELOPE_INVALID', 'the protected header and the payload are byte strings');
  return { ...rest, payload };
}

/** @throws EdgeError CBOR_INVALID or ENVELOPE_INVALID */
export function decodeOpenSign1(bytes: Uint8Array): OpenSign1 {
  if (bytes[0] !== TAG_COSE_SIGN1) throw new EdgeError('ENVELOPE_INVALID', 'the first byte is not tag 18 (COSE_Sign1)');
  const message = decodeCbor(bytes.subarray(1));
  if (!Array.isArray(message) || message.length !== 4)
    throw new EdgeError('ENVELOPE_INVALID', 'a COSE_Sign1 is an array of 4');
  const [protectedHeader, unprotected, payload, signature] = message;
  if (!(protectedHeader instanceof Uint8Array) || !(payload instanceof Uint8Array || payload === null))
    throw new EdgeError('ENVELOPE_INVALID', 'the protected header and the payload are byte strings');
  if (!(unprotected instanceof Map)) throw new EdgeError('ENVELOPE_INVALID', 'the unprotected header is a map');
  if (!(signature instanceof Uint8Array) || signature.length !== 64)
    throw new EdgeError('ENVELOPE_INVALID', 'the signature is 64 bytes');
  return { protectedHeader, unprotected, payload, signature };
}

const CONTEXT = concatBytes(Uint8Array.of(0x84, 0x6a), utf8Bytes('Signature1'));

function byteStringHead(length: number, out: Uint8Array, at: number): number {
  if (length < 24) {
    out[at] = 0x40 | length;
    return at + 1;
  }
  if (length < 0x100) {
    out[at] = 0x58;
    out[at + 1] = length;
    return at + 2;
  }
  if (length > 0xffff) throw new RangeError(`a byte string of ${length} bytes in a Sig_structure`);
  out[at] = 0x59;
  out[at + 1] = length >> 8;
  out[at + 2] = length & 0xff;
  return at + 3;
}

/**
 * The bytes that are signed: Sig_structure ["Signature1", protected, h'', payload], RFC 9052 section 4.4.
 * Built by hand because each envelope needs it once on the hot path.
 */
export function sigStructure(protectedHeader: Uint8Array, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(CONTEXT.length + 7 + protectedHeader.length + payload.length);
  out.set(CONTEXT);
  let at = byteStringHead(protectedHeader.length, out, CONTEXT.length);
  out.set(protectedHeader, at);
  at += protectedHeader.length;
  out[at++] = 0x40; // external_aad: empty
  at = byteStringHead(payload.length, out, at);
  out.set(payload, at);
  return out.subarray(0, at + payload.length);
}
