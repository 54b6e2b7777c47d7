/**
 * COSE hash envelopes (RFC 9995): a COSE_Sign1 whose payload is a hash, so that what was hashed can lie elsewhere. Pure:
 * signing and hashing functions are handed in or live elsewhere.
 *
 * Protected header: `{1: alg, 15: {1: iss}, 258: -16, 259: 60}`. 258 is the hash algorithm, -16 SHA-256 (RFC 9054); 259
 * the content format of what was hashed, 60 application/cbor (RFC 7049 section 7.4). Label 3 must not be there (RFC 9995
 * section 3), nor anything unprotected. `iss` is who signs, and the only claim: two of one issuer differ in nothing but
 * their hash and their signature, not even in length.
 */
import { EdgeError } from '../errors.ts';
import { isPrintableAscii } from './bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from './cbor.ts';
import { decodeOpenSign1, decodeSign1, encodeSign1, isSign1, sigStructure } from './cose.ts';
import { keyTypeOf } from './did.ts';
import { VERIFIERS } from './keys.ts';

const ALG = 1;
const CWT_CLAIMS = 15;
const ISS = 1;
const PAYLOAD_HASH_ALG = 258;
const PREIMAGE_CONTENT_TYPE = 259;
const SHA_256 = -16;
const CBOR = 60;
const DIGEST_BYTES = 32;
const MAX_ISS = 256;

/** `digest` is the SHA-256 that it is over; `signed` what its signature covers. */
export type HashEnvelope = {
  iss: string;
  alg: number;
  digest: Uint8Array;
  signed: Uint8Array;
  signature: Uint8Array;
};

const headerOf = (iss: string): Uint8Array =>
  encodeCbor(
    new Map<number, CborValue>([
      [ALG, VERIFIERS[keyTypeOf(iss)].algs[0]],
      [CWT_CLAIMS, new Map([[ISS, iss]])],
      [PAYLOAD_HASH_ALG, SHA_256],
      [PREIMAGE_CONTENT_TYPE, CBOR],
    ]),
  );

/** The newest header that was made: a gateway has one, and makes each of its hash envelopes with it. */
let newest: { iss: string; header: Uint8Array } = { iss: '', header: new Uint8Array(0) };

/** What `iss` has to sign, and the bytes that the signature makes of it. */
export function prepareHashEnvelope(
  iss: string,
  digest: Uint8Array,
): { signed: Uint8Array; finish: (signature: Uint8Array) => Uint8Array } {
  if (newest.iss !== iss) newest = { iss, header: headerOf(iss) };
  const protectedHeader = newest.header;
  return {
    signed: sigStructure(protectedHeader, digest),
    finish: (signature) => encodeSign1({ protectedHeader, payload: digest, signature }),
  };
}

/** Whether it says of itself that its payload is a hash: then nothing else may be read into it. */
export function isHashEnvelope(bytes: Uint8Array): boolean {
  try {
    const header = isSign1(bytes) && decodeCbor(decodeOpenSign1(bytes).protectedHeader);
    return header instanceof Map && header.has(PAYLOAD_HASH_ALG);
  } catch {
    return false;
  }
}

const invalid = (why: string): never => {
  throw new EdgeError('ENVELOPE_INVALID', `hash envelope: ${why}`);
};

/**
 * The one form that {@link prepareHashEnvelope} writes. Not whether the signature is valid.
 * @throws EdgeError CBOR_INVALID, ENVELOPE_INVALID
 */
export function decodeHashEnvelope(bytes: Uint8Array): HashEnvelope {
  const { protectedHeader, payload, signature } = decodeSign1(bytes);
  const header = decodeCbor(protectedHeader);
  if (!(header instanceof Map) || header.size !== 4) return invalid('the protected header is not a map of 4');
  const alg = header.get(ALG);
  const claims = header.get(CWT_CLAIMS);
  if (typeof alg !== 'number') return invalid('alg (1) is missing');
  if (header.get(PAYLOAD_HASH_ALG) !== SHA_256) return invalid('header 258 is not -16 (SHA-256)');
  if (header.get(PREIMAGE_CONTENT_TYPE) !== CBOR) return invalid('header 259 is not 60 (application/cbor)');
  if (!(claims instanceof Map) || claims.size !== 1) return invalid('header 15 (CWT claims) is not a map of 1');
  const iss = claims.get(ISS);
  if (typeof iss !== 'string' || !isPrintableAscii(iss, 1, MAX_ISS)) return invalid('iss (1) is not printable ASCII');
  if (payload.length !== DIGEST_BYTES) return invalid(`the payload is not ${DIGEST_BYTES} bytes`);
  return { iss, alg, digest: payload, signed: sigStructure(protectedHeader, payload), signature };
}
