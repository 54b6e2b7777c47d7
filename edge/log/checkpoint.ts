/** C2SP signed notes, checkpoints and verifier keys, Ed25519 (type 0x01). Pure but for the signing function. */
import { EdgeError } from '../errors.ts';
import { checkPublicKey, verifyEd25519 } from '../wire/ed25519.ts';
import { sha256 } from './sha256.ts';

/** Signature types of C2SP signed-note: a log's plain Ed25519, and a witness' cosignature with the time in it. */
export const KEY_TYPES = { log: 0x01, witness: 0x04 } as const;
export type KeyType = keyof typeof KEY_TYPES;
/** A note with 16 post-quantum signatures is well below this. */
export const MAX_NOTE = 128 * 1024;
/** As many as Go's note package takes; each one by a known key costs a verification. */
const MAX_SIGNATURES = 100;

export type Checkpoint = { origin: string; size: number; root: Uint8Array };
export type VerifierKey = { name: string; id: number; publicKey: Uint8Array };
/** `text` is the whole line as it came, without its end. */
export type NoteSignature = { name: string; id: number; signature: Uint8Array; text: string };

/** Key names: not empty, no Unicode space, no plus, no control character; here also no longer than 255. */
export const isKeyName = (name: string): boolean => name.length <= 255 && /^[^\s+\p{Cc}]+$/u.test(name);

const keyId = (name: string, type: KeyType, publicKey: Uint8Array): number =>
  Buffer.from(
    sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([KEY_TYPES[type]]), publicKey])),
  ).readUInt32BE();

/** `name+hash+base64(type || key)`, the form that Go's note package and its users take. */
export function encodeVerifierKey(name: string, publicKey: Uint8Array, type: KeyType = 'log'): string {
  const hash = keyId(name, type, publicKey).toString(16).padStart(8, '0');
  return `${name}+${hash}+${Buffer.concat([Buffer.from([KEY_TYPES[type]]), publicKey]).toString('base64')}`;
}

/** @throws EdgeError RECEIPT_INVALID */
export function parseVerifierKey(text: string, type: KeyType = 'log'): VerifierKey {
  const refuse = (why: string): never => {
    throw new EdgeError('RECEIPT_INVALID', `the verifier key ${why}`);
  };
  const m = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim());
  if (!m) return refuse('is not of the form name+hash+base64');
  const [, name, hash, data] = m as unknown as [string, string, string, string];
  const bytes = unbase64(data);
  if (bytes?.length !== 33 || bytes[0] !== KEY_TYPES[type])
    return refuse(`is not an Ed25519 key of a ${type} (type 0x0${KEY_TYPES[type]})`);
  const publicKey = Uint8Array.from(bytes.subarray(1));
  if (!isKeyName(name)) refuse('has an unusable name');
  if (keyId(name, type, publicKey) !== Number.parseInt(hash, 16)) refuse('does not hash to the id that it states');
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

/** A signature line of a note, with its end. */
export function signatureLine(name: string, type: KeyType, publicKey: Uint8Array, signature: Uint8Array): string {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(keyId(name, type, publicKey));
  return `— ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`;
}

/** @param sign over the note's text; `publicKey` belongs to it */
export function signCheckpoint(
  checkpoint: Checkpoint,
  publicKey: Uint8Array,
  sign: (message: Uint8Array) => Uint8Array,
): string {
  const body = text(checkpoint);
  return `${body}\n${signatureLine(checkpoint.origin, 'log', publicKey, sign(Buffer.from(body)))}`;
}

const refuseNote = (why: string): never => {
  throw new EdgeError('RECEIPT_INVALID', `checkpoint: ${why}`);
};

/**
 * Signature lines, each with its end.
 * @throws EdgeError RECEIPT_INVALID
 */
export function parseSignatureLines(tail: string): NoteSignature[] {
  if (tail.length > MAX_NOTE) refuseNote('longer than any checkpoint');
  if (!tail.endsWith('\n')) refuseNote('the last line does not end');
  const lines = tail.slice(0, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) refuseNote(`more than ${MAX_SIGNATURES} signatures`);
  return lines.map((line) => {
    const m = /^— (\S+) (\S+)$/u.exec(line);
    const bytes = m ? unbase64(m[2] as string) : undefined;
    if (!m || !bytes) return refuseNote('a signature line is malformed');
    if (bytes.length < 5) refuseNote('a signature is too short');
    return {
      name: m[1] as string,
      id: bytes.readUInt32BE(),
      signature: Uint8Array.from(bytes.subarray(4)),
      text: line,
    };
  });
}

/**
 * The text of a note and its signatures, none of them verified.
 * @throws EdgeError RECEIPT_INVALID
 */
export function splitNote(note: string): { body: string; signatures: NoteSignature[] } {
  if (note.length > MAX_NOTE) refuseNote('longer than any checkpoint');
  const gap = note.lastIndexOf('\n\n');
  if (gap < 0) refuseNote('no blank line before the signatures');
  return { body: note.slice(0, gap + 1), signatures: parseSignatureLines(note.slice(gap + 2)) };
}

export const isBy = (signature: NoteSignature, key: VerifierKey): boolean =>
  signature.name === key.name && signature.id === key.id;

/**
 * Parse a signed checkpoint and verify the signature of `key`; signatures of unknown keys are ignored.
 * @throws EdgeError RECEIPT_INVALID
 */
export function openCheckpoint(note: string, key: VerifierKey): Checkpoint {
  const { body, signatures } = splitNote(note);
  const ours = signatures.filter((s) => isBy(s, key));
  for (const { signature } of ours)
    if (!verifyEd25519(signature, Buffer.from(body), key.publicKey))
      refuseNote(`the signature of ${key.name} does not verify`);
  if (ours.length === 0) refuseNote(`no signature by ${key.name} with key id ${key.id.toString(16).padStart(8, '0')}`);
  return parseCheckpointText(body);
}

/**
 * The text of a checkpoint, unverified.
 * @param extensions may lines follow the three? This log writes none, others may
 * @throws EdgeError RECEIPT_INVALID
 */
export function parseCheckpointText(body: string, extensions = false): Checkpoint {
  const m = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n((?:[^\n]+\n)*)$/.exec(body);
  const size = Number(m?.[2]);
  if (!m || !Number.isSafeInteger(size) || (m[4] !== '' && !extensions))
    throw new EdgeError('RECEIPT_INVALID', 'checkpoint: not origin, size and root on three lines');
  const root = unbase64(m[3] as string);
  if (!root) throw new EdgeError('RECEIPT_INVALID', 'checkpoint: the root is not canonical base64');
  return { origin: m[1] as string, size, root: Uint8Array.from(root) };
}
