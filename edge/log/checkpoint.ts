/** C2SP signed notes, checkpoints and verifier keys, Ed25519 (type 0x01). Pure but for the signing function. */
import { EdgeError } from '../errors.ts';
import { checkPublicKey, verifyEd25519 } from '../wire/ed25519.ts';
import { sha256 } from './sha256.ts';

const ED25519 = 0x01;
/** A note with 16 post-quantum signatures is well below this. */
const MAX_NOTE = 128 * 1024;
/** As many as Go's note package takes; each one by a known key costs a verification. */
const MAX_SIGNATURES = 100;

export type Checkpoint = { origin: string; size: number; root: Uint8Array };
export type VerifierKey = { name: string; id: number; publicKey: Uint8Array };

/** Key names: not empty, no Unicode space, no plus, no control character; here also no longer than 255. */
export const isKeyName = (name: string): boolean => name.length <= 255 && /^[^\s+\p{Cc}]+$/u.test(name);

const keyId = (name: string, publicKey: Uint8Array): number =>
  Buffer.from(sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([ED25519]), publicKey]))).readUInt32BE();

/** `name+hash+base64(0x01 || key)`, the form that Go's note package and its users take. */
export function encodeVerifierKey(name: string, publicKey: Uint8Array): string {
  const hash = keyId(name, publicKey).toString(16).padStart(8, '0');
  return `${name}+${hash}+${Buffer.concat([Buffer.from([ED25519]), publicKey]).toString('base64')}`;
}

/** @throws EdgeError RECEIPT_INVALID */
export function parseVerifierKey(text: string): VerifierKey {
  const refuse = (why: string): never => {
    throw new EdgeError('RECEIPT_INVALID', `the verifier key ${why}`);
  };
  const m = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim());
  if (!m) return refuse('is not of the form name+hash+base64');
  const [, name, hash, data] = m as unknown as [string, string, string, string];
  const bytes = unbase64(data);
  if (bytes?.length !== 33 || bytes[0] !== ED25519) return refuse('is not an Ed25519 key (type 0x01)');
  const publicKey = Uint8Array.from(bytes.subarray(1));
  if (!isKeyName(name)) refuse('has an unusable name');
  if (keyId(name, publicKey) !== Number.parseInt(hash, 16)) refuse('does not hash to the id that it states');
  const flaw = checkPublicKey(publicKey);
  if (flaw) refuse(`is bad: ${flaw}`);
  return { name, id: Number.parseInt(hash, 16), publicKey };
}

/** Undefined for anything but the one spelling that the bytes have. */
function unbase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

const text = ({ origin, size, root }: Checkpoint): string =>
  `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;

/** @param sign over the note's text; `publicKey` belongs to it */
export function signCheckpoint(
  checkpoint: Checkpoint,
  publicKey: Uint8Array,
  sign: (message: Uint8Array) => Uint8Array,
): string {
  const body = text(checkpoint);
  const id = Buffer.alloc(4);
  id.writeUInt32BE(keyId(checkpoint.origin, publicKey));
  const signature = Buffer.concat([id, sign(Buffer.from(body))]).toString('base64');
  return `${body}\n— ${checkpoint.origin} ${signature}\n`;
}

/**
 * Parse a signed checkpoint and verify the signature of `key`; signatures of unknown keys are ignored.
 * @throws EdgeError RECEIPT_INVALID
 */
export function openCheckpoint(note: string, key: VerifierKey): Checkpoint {
  const refuse = (why: string): never => {
    throw new EdgeError('RECEIPT_INVALID', `checkpoint: ${why}`);
  };
  if (note.length > MAX_NOTE) refuse('longer than any checkpoint');
  const gap = note.lastIndexOf('\n\n');
  if (gap < 0) refuse('no blank line before the signatures');
  const body = note.slice(0, gap + 1);
  const tail = note.slice(gap + 2);
  if (!tail.endsWith('\n')) refuse('the last line does not end');
  const lines = tail.slice(0, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) refuse(`more than ${MAX_SIGNATURES} signatures`);
  let verified = false;
  for (const line of lines) {
    const m = /^— (\S+) (\S+)$/u.exec(line);
    const signature = m ? unbase64(m[2] as string) : undefined;
    if (!m || !signature) return refuse('a signature line is malformed');
    if (signature.length < 5) refuse('a signature is too short');
    if (m[1] !== key.name || signature.readUInt32BE() !== key.id) continue;
    if (!verifyEd25519(Uint8Array.from(signature.subarray(4)), Buffer.from(body), key.publicKey))
      refuse(`the signature of ${key.name} does not verify`);
    verified = true;
  }
  if (!verified) refuse(`no signature by ${key.name} with key id ${key.id.toString(16).padStart(8, '0')}`);
  return parseCheckpointText(body);
}

/**
 * The text of a checkpoint, unverified. Extension lines are refused: this log writes none.
 * @throws EdgeError RECEIPT_INVALID
 */
export function parseCheckpointText(body: string): Checkpoint {
  const m = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n$/.exec(body);
  const size = Number(m?.[2]);
  if (!m || !Number.isSafeInteger(size))
    throw new EdgeError('RECEIPT_INVALID', 'checkpoint: not origin, size and root on three lines');
  const root = unbase64(m[3] as string);
  if (!root) throw new EdgeError('RECEIPT_INVALID', 'checkpoint: the root is not canonical base64');
  return { origin: m[1] as string, size, root: Uint8Array.from(root) };
}
