/**
 * C2SP tlog-cosignature, Ed25519 (type 0x04), and the request of C2SP tlog-witness. Pure but for the signing function.
 * A cosignature says: at this time, this is the largest tree of this log that I have seen, and it only ever grew.
 */
import { EdgeError } from '../errors.ts';
import { verifyEd25519 } from '../wire/ed25519.ts';
import { isBy, MAX_NOTE, type NoteSignature, signatureLine, type VerifierKey } from './checkpoint.ts';
import { HASH_BYTES } from './sha256.ts';

/** tlog-witness: a client must not send more. */
export const MAX_PROOF = 63;
const HASH_TEXT = 44;
const MAX_OLD_LINE = 'old 9007199254740991\n'.length;
/** Bytes of the longest request; a note counts here by its bytes. */
export const MAX_ADD_CHECKPOINT = MAX_OLD_LINE + MAX_PROOF * (HASH_TEXT + 1) + 1 + MAX_NOTE;

/** What is signed: the header, the time in Unix seconds, and the whole text of the checkpoint. */
const message = (body: string, time: number): Uint8Array =>
  Buffer.from(`cosignature/v1\ntime ${String(time)}\n${body}`);

/**
 * @param body the text of the checkpoint, extension lines and all
 * @param time Unix seconds
 * @returns the signature line, with its end
 */
export function cosign(
  body: string,
  time: number,
  name: string,
  publicKey: Uint8Array,
  sign: (message: Uint8Array) => Uint8Array,
): string {
  const stamp = Buffer.alloc(8);
  stamp.writeBigUInt64BE(BigInt(time));
  return signatureLine(name, 'witness', publicKey, Buffer.concat([stamp, sign(message(body, time))]));
}

export type Cosignature = { time: number; line: string };

/**
 * The cosignature of `key` among the signatures of a checkpoint, verified; undefined when it is not among them.
 * @throws EdgeError RECEIPT_INVALID when there is one that is wrong (signed-note: such a note is not to be believed)
 */
export function findCosignature(
  body: string,
  signatures: readonly NoteSignature[],
  key: VerifierKey,
): Cosignature | undefined {
  let found: Cosignature | undefined;
  for (const s of signatures) {
    if (!isBy(s, key)) continue;
    const bytes = Buffer.from(s.signature);
    const time = bytes.length === 8 + 64 ? bytes.readBigUInt64BE() : -1n;
    // Beyond 2^53 is no time of this universe; the specification stops at 2^63.
    if (
      time < 0n ||
      time > BigInt(Number.MAX_SAFE_INTEGER) ||
      !verifyEd25519(s.signature.subarray(8), message(body, Number(time)), key.publicKey)
    )
      throw new EdgeError('RECEIPT_INVALID', `the cosignature of ${key.name} does not verify`);
    found ??= { time: Number(time), line: `${s.text}\n` };
  }
  return found;
}

/** The body of add-checkpoint: `old` is the size that the proof goes out from, `note` the signed checkpoint. */
export type AddCheckpoint = { old: number; proof: readonly Uint8Array[]; note: string };

export const encodeAddCheckpoint = ({ old, proof, note }: AddCheckpoint): string =>
  [`old ${old}`, ...proof.map((hash) => Buffer.from(hash).toString('base64')), '', note].join('\n');

/** @throws EdgeError REQUEST_INVALID */
export function parseAddCheckpoint(bytes: Uint8Array): AddCheckpoint {
  const refuse = (why: string): never => {
    throw new EdgeError('REQUEST_INVALID', `add-checkpoint: ${why}`);
  };
  if (bytes.length > MAX_ADD_CHECKPOINT) return refuse(`longer than ${MAX_ADD_CHECKPOINT} bytes`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse('not UTF-8');
  }
  for (let i = 0; i < text.length; i++)
    if (text.charCodeAt(i) < 0x20 && text[i] !== '\n') return refuse('a control character');
  const gap = text.indexOf('\n\n');
  if (gap < 0) return refuse('no empty line before the checkpoint');
  const [first, ...lines] = text.slice(0, gap).split('\n') as [string, ...string[]];
  const m = /^old (0|[1-9]\d{0,15})$/.exec(first);
  const old = Number(m?.[1]);
  if (!m || !Number.isSafeInteger(old)) return refuse('the first line is not old and a size');
  if (lines.length > MAX_PROOF) return refuse(`more than ${MAX_PROOF} hashes`);
  const proof = lines.map((line, i) => {
    const hash = line.length === HASH_TEXT ? Buffer.from(line, 'base64') : Buffer.alloc(0);
    if (hash.length !== HASH_BYTES || hash.toString('base64') !== line)
      return refuse(`line ${i + 2} is not a hash in base64`);
    return Uint8Array.from(hash);
  });
  return { old, proof, note: text.slice(gap + 2) };
}
