/**
 * Data Integrity proofs (W3C VC Data Integrity 1.0) by the two suites that sign the canonical JSON itself:
 * `eddsa-jcs-2022` (VC Data Integrity EdDSA Cryptosuites 1.0, section 3.3) for Ed25519 keys and `ecdsa-jcs-2019` (VC
 * Data Integrity ECDSA Cryptosuites 1.0, section 3.3) for P-256 keys. Contexts are compared, never processed.
 *
 * The key's type decides the suite, never the proof. The verification method is the one key of a did:key. Signatures
 * are strict, as everywhere here: RFC 8032 without small orders, low-S (ed25519.ts, p256.ts). Pure.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { base58 } from '@scure/base';
import { EdgeError } from '../../errors.ts';
import { concatBytes } from '../bytes.ts';
import { keyTypeOf } from '../did.ts';
import { type KeyType, type PublicKey, VERIFIERS } from '../keys.ts';
import { canonicalJson } from './jcs.ts';
import { array, checkedKey, dateTime, object, oneOf, text } from './shape.ts';

const SUITES = { Ed25519: 'eddsa-jcs-2022', 'P-256': 'ecdsa-jcs-2019' } as const satisfies Record<KeyType, string>;
export type Purpose = 'assertionMethod' | 'authentication';

export type Proof = {
  type: 'DataIntegrityProof';
  cryptosuite: (typeof SUITES)[KeyType];
  created: string;
  verificationMethod: string;
  proofPurpose: Purpose;
  '@context'?: string[];
  challenge?: string;
  domain?: string;
  /** base58btc multibase of 64 bytes. */
  proofValue: string;
};
export type Secured<T> = T & { proof: Proof };

/** Who signs: a did:key and its signing function, over the message itself (the hash of ECDSA is inside). */
export type Signer = { did: string; sign: (message: Uint8Array) => Uint8Array };
/** Another verifier of the same strict rule. Signatures and keys have passed the checks that need no message. */
export type Verify = (key: PublicKey, message: Uint8Array, signature: Uint8Array) => boolean;

const own = {
  type: oneOf('DataIntegrityProof'),
  cryptosuite: oneOf(...Object.values(SUITES)),
  created: dateTime,
  verificationMethod: text(/^did:key:z[^#]+#z[^#]+$/, 'a verification method of a did:key', 120),
  proofPurpose: oneOf('assertionMethod', 'authentication'),
  proofValue: text(/^z[1-9A-HJ-NP-Za-km-z]+$/, 'base58btc', 100),
};
const context = array(text(/^[\x21-\x7e]+$/, 'a URI'), 1, 8);
const bound = text(/^[\x21-\x7e]+$/, 'printable ASCII');
/** The shape of a proof that is bound to nothing, and of a presentation's. */
export const PROOF = object({ ...own, '@context': context });
export const BOUND_PROOF = object({ ...own, '@context': context, challenge: bound, domain: bound });
const ANY_PROOF = object(own, { '@context': context, challenge: bound, domain: bound });

export const verificationMethodOf = (did: string): string => `${did}#${did.slice('did:key:'.length)}`;

/** What is signed: the hashes of the canonical proof options and of the canonical document, 64 bytes. */
export const hashData = (document: object, options: object): Uint8Array =>
  concatBytes(sha256(canonicalJson(options)), sha256(canonicalJson(document)));

type ProofOptions = { purpose: Purpose; created: string; challenge?: string; domain?: string };

/** @param document without a proof; its `@context` is part of what the proof covers */
export function addProof<T extends object>(document: T, { did, sign }: Signer, options: ProofOptions): Secured<T> {
  const { purpose, created, challenge, domain } = options;
  const { '@context': context } = document as { '@context'?: string[] };
  const proof = {
    type: 'DataIntegrityProof' as const,
    cryptosuite: SUITES[keyTypeOf(did)],
    created,
    verificationMethod: verificationMethodOf(did),
    proofPurpose: purpose,
    ...(context && { '@context': context }),
    ...(challenge !== undefined && { challenge }),
    ...(domain !== undefined && { domain }),
  };
  return { ...document, proof: { ...proof, proofValue: `z${base58.encode(sign(hashData(document, proof)))}` } };
}

const invalid = (why: string): never => {
  throw new EdgeError('PROOF_INVALID', why);
};

/**
 * Whether this DID signed this document for this purpose. The challenge and the domain of the proof are signed with it;
 * comparing them is the caller's.
 * @throws EdgeError PROOF_INVALID, MESSAGE_INVALID (the proof's shape) or DID_INVALID
 */
export function verifyProof(
  { proof: unknownProof, ...document }: { proof: unknown },
  { did, purpose, verify }: { did: string; purpose: Purpose; verify?: Verify | undefined },
): void {
  const { proofValue, ...options } = ANY_PROOF(unknownProof, 'proof');
  const { '@context': context } = document as { '@context'?: unknown };
  const key = checkedKey(did);
  const verifier = VERIFIERS[key.type];
  if (options.verificationMethod !== verificationMethodOf(did)) invalid(`it is not by the key of ${did}`);
  if (options.cryptosuite !== SUITES[key.type]) invalid(`a key of ${key.type} signs with ${SUITES[key.type]}`);
  if (options.proofPurpose !== purpose) invalid(`its purpose is not ${purpose}`);
  // The suite would take a proof of the first contexts only; here a document has one reading.
  if (JSON.stringify(options['@context']) !== JSON.stringify(context)) invalid("its @context is not the document's");
  const signature = base58.decode(proofValue.slice(1));
  const flaw = verifier.signatureFlaw(signature);
  if (flaw) invalid(flaw);
  const message = hashData(document, options);
  if (!(verify ? verify(key, message, signature) : verifier.verify(signature, message, key.bytes)))
    invalid(`the signature is not by ${did}, or what it covers was changed`);
}
