/**
 * The envelope: what a device sends, and what the log holds (DESIGN section 4). Pure: signing and verifying
 * functions are handed in or live elsewhere.
 */
import { EdgeError } from '../errors.ts';
import { isPrintableAscii } from './bytes.ts';
import { type CborMap, type CborValue, decodeCbor, encodeCbor } from './cbor.ts';
import { ALG_ED25519, ALG_EDDSA, ALG_ES256, ALG_ESP256, decodeSign1, encodeSign1, sigStructure } from './cose.ts';
import { keyTypeOf } from './did.ts';
import { VERIFIERS } from './keys.ts';
import { decodePack, encodePack, type SenmlRecord } from './senml.ts';

/** The largest envelope in bytes: a C2SP entry bundle prefixes each entry with a uint16. */
export const MAX_ENVELOPE = 65_535;

/** Header labels of RFC 9052 section 3.1 and RFC 9597. */
const ALG = 1;
const CONTENT_TYPE = 3;
const CWT_CLAIMS = 15;
/** CoAP content format of application/senml+cbor, RFC 8428 section 12.3.1. */
const SENML_CBOR = 112;
/** CWT claims, RFC 8392 section 4. */
const ISS = 1;
const SUB = 2;
const IAT = 6;
const CTI = 7;

/**
 * `iss` the device's DID; `sub` a URN of what it measures; `iat` Unix seconds; `epoch` and `seq` (each 0 to
 * 2^32 - 1) together are the `cti`, strictly rising per device.
 */
export type Claims = { iss: string; sub: string; iat: number; epoch: number; seq: number };

export type Envelope = Claims & {
  alg: number;
  records: SenmlRecord[];
  /** The payload's own bytes, inside `bytes`. */
  payload: Uint8Array;
  /** What the signature covers. */
  signed: Uint8Array;
  signature: Uint8Array;
};

const MAX_ISS = 256;
const MAX_SUB = 256;

/** A `cti`: 8 bytes, big-endian. */
export function counterBytes(epoch: number, seq: number): Uint8Array {
  const cti = new Uint8Array(8);
  const view = new DataView(cti.buffer);
  view.setUint32(0, epoch);
  view.setUint32(4, seq);
  return cti;
}

/**
 * @param claims with `alg` where it is to be another than the first of the type of key that `iss` names
 * @throws EdgeError ENVELOPE_INVALID, ALG_MISMATCH, SENML_INVALID or ENVELOPE_TOO_LARGE
 */
export function encodeEnvelope(
  claims: Claims & { alg?: number },
  records: readonly SenmlRecord[],
  sign: (signed: Uint8Array) => Uint8Array,
): Uint8Array {
  for (const part of [claims.epoch, claims.seq])
    if (!Number.isInteger(part) || part < 0 || part > 0xffffffff) invalid('epoch and seq are 0 to 2^32 - 1');
  const protectedHeader = encodeCbor(
    new Map<number, CborValue>([
      [ALG, claims.alg ?? VERIFIERS[keyTypeOf(claims.iss)].algs[0]],
      [CONTENT_TYPE, SENML_CBOR],
      [
        CWT_CLAIMS,
        new Map<number, CborValue>([
          [ISS, claims.iss],
          [SUB, claims.sub],
          [IAT, claims.iat],
          [CTI, counterBytes(claims.epoch, claims.seq)],
        ]),
      ],
    ]),
  );
  decodeProtected(protectedHeader); // one set of rules for both directions
  const payload = encodePack(records);
  if (payload.length > MAX_ENVELOPE) throw new EdgeError('ENVELOPE_TOO_LARGE', `a payload of ${payload.length} bytes`);
  const signature = sign(sigStructure(protectedHeader, payload));
  const bytes = encodeSign1({ protectedHeader, payload, signature });
  if (bytes.length > MAX_ENVELOPE) throw new EdgeError('ENVELOPE_TOO_LARGE', `${bytes.length} bytes`);
  return bytes;
}

/**
 * Everything but the signature's validity, and whether `alg` fits the device's key.
 * @throws EdgeError ENVELOPE_TOO_LARGE, CBOR_INVALID, ENVELOPE_INVALID, ALG_MISMATCH or SENML_INVALID
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > MAX_ENVELOPE) throw new EdgeError('ENVELOPE_TOO_LARGE', `${bytes.length} bytes`);
  const { protectedHeader, payload, signature } = decodeSign1(bytes);
  const header = decodeProtected(protectedHeader);
  return {
    ...header,
    records: decodePack(payload),
    payload,
    signed: sigStructure(protectedHeader, payload),
    signature,
  };
}

const invalid = (why: string): never => {
  throw new EdgeError('ENVELOPE_INVALID', why);
};

function decodeProtected(bytes: Uint8Array): Claims & { alg: number } {
  const header = asMap(decodeCbor(bytes), 'the protected header', 3);
  const alg = header.get(ALG);
  if (alg === ALG_ES256)
    throw new EdgeError(
      'ALG_MISMATCH',
      'alg is -7 (ES256), which RFC 9864 deprecates because it leaves the curve open: -9 (ESP256)',
    );
  if (alg !== ALG_ED25519 && alg !== ALG_EDDSA && alg !== ALG_ESP256)
    throw new EdgeError('ALG_MISMATCH', `alg is ${typeof alg === 'number' ? alg : 'missing'}`);
  if (header.get(CONTENT_TYPE) !== SENML_CBOR) invalid('header 3 is not 112 (application/senml+cbor)');
  const claims = asMap(header.get(CWT_CLAIMS), 'header 15 (CWT claims)', 4);
  const iss = claims.get(ISS);
  const sub = claims.get(SUB);
  const iat = claims.get(IAT);
  const cti = claims.get(CTI);
  if (typeof iss !== 'string' || !isPrintableAscii(iss, 1, MAX_ISS)) return invalid('iss (1) is not printable ASCII');
  if (typeof sub !== 'string' || !isPrintableAscii(sub, 1, MAX_SUB)) return invalid('sub (2) is not printable ASCII');
  if (typeof iat !== 'number' || !Number.isInteger(iat) || iat < 0) return invalid('iat (6) is not unsigned seconds');
  if (!(cti instanceof Uint8Array) || cti.length !== 8) return invalid('cti (7) is not 8 bytes');
  const view = new DataView(cti.buffer, cti.byteOffset, 8);
  return { alg, iss, sub, iat, epoch: view.getUint32(0), seq: view.getUint32(4) };
}

function asMap(value: CborValue | undefined, what: string, size: number): CborMap {
  if (!(value instanceof Map) || value.size !== size) return invalid(`${what} is not a map of ${size}`);
  return value;
}
