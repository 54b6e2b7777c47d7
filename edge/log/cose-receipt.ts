/**
 * COSE receipts (RFC 9942): a COSE_Sign1 whose detached payload is the root (section 5.2.1). Pure.
 *
 * The signature covers the root and the protected header, and in RFC 9942 the size of the tree is in neither: paths in
 * trees of several sizes can be walked alike (5 and 7, say), so a size could be changed unnoticed. Here it stands in the
 * protected header, too, under a label for private use; other verifiers pass over it. So one signature, made together
 * with the checkpoint, serves all entries under it.
 *
 * Header labels: 394 to 396 are those of RFC 9942 section 2, -1 is the inclusion proof of section 4.2.
 */
import { EdgeError } from '../errors.ts';
import { equalBytes } from '../wire/bytes.ts';
import { type CborKey, type CborMap, type CborValue, decodeCbor, encodeCbor } from '../wire/cbor.ts';
import { ALG_ED25519, decodeOpenSign1, encodeOpenSign1, encodeSign1, sigStructure } from '../wire/cose.ts';
import { verifyEd25519 } from '../wire/ed25519.ts';
import { counterBytes, decodeEnvelope } from '../wire/envelope.ts';
import type { Checkpoint, VerifierKey } from './checkpoint.ts';
import { inclusionRoot, leafHash } from './merkle.ts';
import { checkOpening, type Opening, SALT_BYTES } from './sealed.ts';

const ALG = 1;
const KID = 4;
const CWT_CLAIMS = 15;
const ISS = 1;
const RECEIPTS = 394;
const VDS = 395;
const RFC9162_SHA256 = 1;
const VDP = 396;
const INCLUSION = -1;
/** Private use, RFC 9052 section 11.1. */
const TREE_SIZE = -65_537;
const COUNTER = -65_538;
const SEAL = -65_539;
const MAX_PATH = 64;

const refuse = (why: string): never => {
  throw new EdgeError('RECEIPT_INVALID', `COSE receipt: ${why}`);
};

/** The key as C2SP notes name it: `iss` is its name, `kid` its 4 bytes. */
function protectedHeader({ name, id }: VerifierKey, size: number): Uint8Array {
  const kid = new Uint8Array(4);
  new DataView(kid.buffer).setUint32(0, id);
  return encodeCbor(
    new Map<CborKey, CborValue>([
      [ALG, ALG_ED25519],
      [KID, kid],
      [CWT_CLAIMS, new Map([[ISS, name]])],
      [VDS, RFC9162_SHA256],
      [TREE_SIZE, size],
    ]),
  );
}

/** What the log signs for all receipts under a checkpoint. */
export const receiptToSign = (key: VerifierKey, { size, root }: Checkpoint): Uint8Array =>
  sigStructure(protectedHeader(key, size), root);

/** How a sealed entry is made of its envelope: the salt, and the hash envelope. */
export type Seal = { salt: Uint8Array; entry: Uint8Array };

/**
 * A receipt as it goes to a device, which has its envelope.
 * @param claim `counter` is the entry's cti, 8 bytes: a device learns no index when it is acknowledged. `seal` is there
 *   where the entry is sealed: the device has only what it is over
 */
export const encodeCoseReceipt = (
  key: VerifierKey,
  claim: {
    index: number;
    size: number;
    path: readonly Uint8Array[];
    counter?: Uint8Array | undefined;
    seal?: Seal | undefined;
  },
  signature: Uint8Array,
): Uint8Array =>
  encodeOpenSign1({
    protectedHeader: protectedHeader(key, claim.size),
    unprotected: new Map<CborKey, CborValue>([
      [VDP, new Map([[INCLUSION, [encodeCbor([claim.size, claim.index, [...claim.path]])]]])],
      ...(claim.counter ? [[COUNTER, claim.counter] as const] : []),
      ...(claim.seal ? [[SEAL, [claim.seal.salt, claim.seal.entry]] satisfies [number, CborValue]] : []),
    ]),
    payload: null,
    signature,
  });

/** An entry with its receipt in its unprotected header (RFC 9942 section 4.3): all that a verifier needs but the key. */
export function attachReceipt(entry: Uint8Array, receipt: Uint8Array): Uint8Array {
  const envelope = decodeOpenSign1(entry);
  return encodeOpenSign1({ ...envelope, unprotected: new Map([[RECEIPTS, [receipt]]]) });
}

export type CoseReceipt = {
  index: number;
  entry: Uint8Array;
  path: Uint8Array[];
  /** Where it is sealed, and the receipt was read together with the envelope. */
  opening?: Opening;
  /** Checks the log's signature over the root that the path leads to. @throws EdgeError RECEIPT_INVALID */
  open: (key: VerifierKey) => Checkpoint;
};

/**
 * Read an entry with its receipt, or a receipt alone. There is one spelling only: what is not signed is either proven
 * or refused.
 * @param entry the envelope, for a receipt alone
 * @throws EdgeError RECEIPT_INVALID, CBOR_INVALID or ENVELOPE_INVALID
 */
export function parseCoseReceipt(bytes: Uint8Array, entry?: Uint8Array): CoseReceipt {
  const message = decodeOpenSign1(bytes);
  if (message.payload === null) {
    if (!entry) return refuse('it has no entry in it; give the envelope that it is for');
    return message.unprotected.has(SEAL) ? parseSealedReceiptOf(entry, message) : parseReceiptOf(entry, message);
  }
  const receipts = sole(message.unprotected, RECEIPTS);
  if (!Array.isArray(receipts) || receipts.length !== 1 || !(receipts[0] instanceof Uint8Array))
    return refuse('header 394 is not an array of one receipt');
  // The log holds the envelope as the device sent it: with nothing in its unprotected header (DESIGN section 4).
  const bare = encodeSign1({ ...message, payload: message.payload });
  const receipt = decodeOpenSign1(receipts[0]);
  if (receipt.payload !== null) return refuse('its payload is not detached');
  if (receipt.unprotected.has(COUNTER)) return refuse('it names the counter of an entry that is there');
  return parseReceiptOf(bare, receipt);
}

/** The entry is in the receipt, and is proven by the envelope: so nothing of it can be changed either. */
function parseSealedReceiptOf(envelope: Uint8Array, receipt: ReturnType<typeof decodeOpenSign1>): CoseReceipt {
  const seal = receipt.unprotected.get(SEAL);
  const [salt, entry] = Array.isArray(seal) && seal.length === 2 ? seal : [];
  if (!(salt instanceof Uint8Array) || salt.length !== SALT_BYTES || !(entry instanceof Uint8Array))
    return refuse('the seal is not a salt and a hash envelope');
  const opening = { salt, envelope };
  checkOpening(entry, opening);
  const unprotected = new Map([...receipt.unprotected].filter(([label]) => label !== SEAL));
  return { ...parseReceiptOf(entry, { ...receipt, unprotected }, envelope), opening };
}

function parseReceiptOf(entry: Uint8Array, receipt: ReturnType<typeof decodeOpenSign1>, envelope = entry): CoseReceipt {
  const counter = receipt.unprotected.get(COUNTER);
  // The hint is proven by the envelope, so that nothing in a receipt can be changed.
  if (counter !== undefined && !isCounterOf(envelope, counter)) return refuse('it is for another counter');
  const proofs = sole(new Map([...receipt.unprotected].filter(([label]) => label !== COUNTER)), VDP);
  const list = proofs instanceof Map ? sole(proofs, INCLUSION) : undefined;
  if (!Array.isArray(list) || list.length !== 1 || !(list[0] instanceof Uint8Array))
    return refuse('header 396 is not one inclusion proof');
  const proof = decodeCbor(list[0]);
  if (!Array.isArray(proof) || proof.length !== 3) return refuse('an inclusion proof is size, index and path');
  const [size, index, path] = proof;
  if (!isCount(size) || !isCount(index)) return refuse('size and index are unsigned integers');
  // RFC 9942 section 5.2 writes "one or more" hashes; the path in a tree of one entry has none.
  if (!Array.isArray(path) || path.length > MAX_PATH || !path.every((h) => h instanceof Uint8Array && h.length === 32))
    return refuse(`the path is not an array of at most ${MAX_PATH} hashes`);
  return {
    index,
    entry,
    path: path as Uint8Array[],
    open: (key) => {
      const root = inclusionRoot(leafHash(entry), index, size, path as Uint8Array[]);
      if (!root) return refuse(`a path of ${path.length} hashes is none of entry ${index} of ${size}`);
      const header = protectedHeader(key, size);
      if (!equalBytes(header, receipt.protectedHeader))
        return refuse(`it is not by ${key.name} (the key given) for ${size} entries`);
      if (!verifyEd25519(receipt.signature, sigStructure(header, root), key.publicKey))
        return refuse(`the signature of ${key.name} does not verify over the root that the path leads to`);
      return { origin: key.name, size, root };
    },
  };
}

function isCounterOf(entry: Uint8Array, counter: CborValue): boolean {
  const { epoch, seq } = decodeEnvelope(entry);
  return counter instanceof Uint8Array && equalBytes(counter, counterBytes(epoch, seq));
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const sole = (map: CborMap, label: number): CborValue | undefined =>
  map.size === 1 ? map.get(label) : refuse(`a header other than ${label}`);
