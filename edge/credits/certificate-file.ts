/**
 * The portable file of a certificate: all that somebody needs who has neither the gateway nor a chain at hand, from the
 * claim back to the meter's signature. JSON in its canonical form (RFC 8785), so that a file has one spelling; the
 * gateway signs the whole of it, and most of it has a proof of its own inside (edge/verify-certificate.ts). Pure.
 */
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { EdgeError } from '../errors.ts';
import { equalBytes } from '../wire/bytes.ts';
import { canonicalJson, parseStrictJson } from '../wire/vc/jcs.ts';
import { addProof, type Secured, type Signer, verifyProof } from '../wire/vc/proof.ts';
import { timeText } from '../wire/vc/shape.ts';
import { asCertificateCredential, type CertificateCredential } from './certificate.ts';

export const FILE_FORMAT = 'sejong-edge/certificate@1';
/** Two envelopes of any size, a thousand claims. */
export const MAX_FILE = 2 * 1024 * 1024;
const MAX_CLAIMS = 4096;

const Integer = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Hash = Type.String({ pattern: '^0x[0-9a-f]{64}$' });
const Account = Type.String({ pattern: '^0x[0-9a-fA-F]{40}$' });
const Base64 = Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$' });
const closed = { additionalProperties: false };

/** Where something stands on a chain. */
const transaction = { chainId: Integer, contract: Account, transaction: Hash, block: Integer };

export const MintRecord = Type.Object(
  {
    ...transaction,
    /** The fields of the event Minted (contracts/src/ICredits.sol). `amounts`: Wh of the slots from `firstSlot` on. */
    id: Hash,
    meteringPoint: Hash,
    device: Hash,
    owner: Account,
    firstSlot: Integer,
    minted: Integer,
    debited: Integer,
    startRegister: Integer,
    endRegister: Integer,
    amounts: Type.Array(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 }), { minItems: 1, maxItems: 24 }),
  },
  closed,
);
export type MintRecord = Static<typeof MintRecord>;

export const ClaimRecord = Type.Object(
  {
    ...transaction,
    /** The fields of the events ClaimSingle and Claimed. */
    holder: Account,
    id: Hash,
    slot: Integer,
    wh: Integer,
    purpose: Type.Enum(['own-use', 'k-re100', 'donation', 'rec-application', 'storage-charge']),
    beneficiary: Hash,
    recipient: Type.String({ maxLength: 256 }),
  },
  closed,
);
export type ClaimRecord = Static<typeof ClaimRecord>;

const Entry = Type.Object(
  { index: Integer, entry: Base64, path: Type.Array(Base64, { maxItems: 64 }) },
  { ...closed, description: 'An envelope in the log, and its RFC 6962 path under the checkpoint' },
);

const Body = Type.Object(
  {
    format: Type.Literal(FILE_FORMAT),
    credential: Type.Unknown(),
    entries: Type.Array(Entry, { minItems: 1, maxItems: 2 }),
    log: Type.Object({ key: Type.String({ maxLength: 512 }), checkpoint: Type.String({ maxLength: 65_536 }) }, closed),
    anchor: Type.Object(transaction, closed),
    mint: MintRecord,
    claims: Type.Array(ClaimRecord, { maxItems: MAX_CLAIMS }),
    made: Type.String(),
    proof: Type.Unknown(),
  },
  closed,
);
type Body = Static<typeof Body>;

/** `log.key` is the verifier key of the checkpoint, `made` when it was put together. */
export type CertificateFile = Omit<Body, 'credential' | 'proof'> & { credential: CertificateCredential };
export type SignedFile = Secured<CertificateFile>;

export const signFile = (
  file: Omit<CertificateFile, 'format' | 'made'>,
  gateway: Signer,
  nowMs: number,
): SignedFile => {
  const made = timeText(nowMs);
  return addProof({ format: FILE_FORMAT, ...file, made } as CertificateFile, gateway, {
    purpose: 'assertionMethod',
    created: made,
  });
};

export const encodeFile = (file: SignedFile): Uint8Array => canonicalJson(file);

const refuse = (why: string): never => {
  throw new EdgeError('CREDIT_INVALID', why);
};

/** Its form alone. @throws EdgeError CREDIT_INVALID, MESSAGE_INVALID */
export function parseFile(bytes: Uint8Array): SignedFile {
  const value = parseStrictJson(bytes, MAX_FILE);
  const flaw = [...Value.Errors(Body, value)][0];
  if (flaw) refuse(`the file${flaw.instancePath} ${flaw.message}`);
  const file = value as unknown as SignedFile;
  asCertificateCredential(file.credential);
  if (!equalBytes(canonicalJson(value), bytes)) refuse('it is not in the canonical form of RFC 8785');
  for (const { entry, path } of file.entries) for (const text of [entry, ...path]) bytesOf(text);
  return file;
}

/** @throws EdgeError CREDIT_INVALID where it isn't the one spelling of its bytes */
export function bytesOf(base64: string): Uint8Array {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) refuse('base64 that is not canonical');
  return Uint8Array.from(bytes);
}

/** @throws EdgeError PROOF_INVALID, MESSAGE_INVALID, DID_INVALID unless the certificate's issuer signed the whole file */
export const verifyFileProof = (file: SignedFile): void =>
  verifyProof(file, { did: file.credential.issuer, purpose: 'assertionMethod' });

const HEX_256 = 64;
const NUMBER_BITS = 64n;
const DAY_TYPE = 1n;

/**
 * The id of a day's tokens: 192 bits of the metering point's commitment ‖ 1 ‖ day since 1970 (32) ‖ 16 zero bits ‖ version
 * (8); contracts/src/ICredits.sol.
 */
export function dayTokenId(meteringPoint: string, day: number, version: number): string {
  const low = (DAY_TYPE << 56n) | (BigInt(day) << 8n) | BigInt(version);
  const id = ((BigInt(meteringPoint) >> NUMBER_BITS) << NUMBER_BITS) | low;
  return `0x${id.toString(16).padStart(HEX_256, '0')}`;
}
