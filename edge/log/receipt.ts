/**
 * Receipts: one entry's proof that it is in the log, in formats that others already read. Pure.
 * A receipt carries the entry itself, so that it can be verified with nothing else but the log's key.
 */
import { EdgeError } from '../errors.ts';
import { type Opening, SALT_BYTES } from './sealed.ts';

/** Where the checkpoint of a receipt stands on a chain; a hint, never trusted: the verifier asks the chain. */
export type AnchorHint = { chainId: number; contract: string; transaction: string; block: number };

export type Receipt = {
  index: number;
  entry: Uint8Array;
  path: Uint8Array[];
  /** The signed note, verbatim. */
  checkpoint: string;
  anchor?: AnchorHint;
  /** Of a sealed entry, in JSON alone, and only from who may read it. */
  opening?: Opening;
};

export const JSON_FORMAT = 'sejong-edge/receipt@1';
export const OPENING_FORMAT = 'sejong-edge/opening@1';
const TLOG_PROOF = 'c2sp.org/tlog-proof@v1';
const MEMBERS = ['format', 'index', 'entry', 'path', 'checkpoint', 'anchor', 'opening'];
/** An envelope in base64, 64 hashes and a long note fit easily. */
export const MAX_RECEIPT = 1024 * 1024;
const MAX_PATH = 64;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

const refuse = (why: string): never => {
  throw new EdgeError('RECEIPT_INVALID', why);
};

function unbase64(text: unknown, what: string, length?: number): Uint8Array {
  if (typeof text !== 'string') return refuse(`${what} is not base64`);
  const bytes = Buffer.from(text, 'base64');
  // Buffer skips what it does not know; a receipt has one spelling only.
  if (bytes.toString('base64') !== text) return refuse(`${what} is not canonical base64`);
  if (length !== undefined && bytes.length !== length) return refuse(`${what} is ${bytes.length} bytes, not ${length}`);
  return Uint8Array.from(bytes);
}

export const encodeJsonReceipt = (r: Receipt) => ({
  format: JSON_FORMAT,
  index: r.index,
  entry: base64(r.entry),
  path: r.path.map(base64),
  checkpoint: r.checkpoint,
  ...(r.anchor ? { anchor: r.anchor } : {}),
  ...(r.opening ? { opening: encodeOpening(r.opening) } : {}),
});

const encodeOpening = ({ salt, envelope }: Opening) => ({ salt: base64(salt), envelope: base64(envelope) });

/** An opening in a file of its own, which goes with a receipt in any format. */
export const encodeJsonOpening = (index: number, opening: Opening) => ({
  format: OPENING_FORMAT,
  index,
  ...encodeOpening(opening),
});

/** @throws EdgeError RECEIPT_INVALID */
export function parseJsonOpening(text: string): Opening {
  if (text.length > MAX_RECEIPT) return refuse(`longer than ${MAX_RECEIPT} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refuse(`an opening is JSON (${(error as Error).message})`);
  }
  if ((value as { format?: unknown } | null)?.format !== OPENING_FORMAT)
    return refuse(`format is not ${OPENING_FORMAT}`);
  return parseOpening(value);
}

function parseOpening(value: unknown): Opening {
  const { salt, envelope } = (value ?? {}) as Record<string, unknown>;
  return { salt: unbase64(salt, 'the salt', SALT_BYTES), envelope: unbase64(envelope, 'the envelope') };
}

/** C2SP tlog-proof@v1; `extra` is the entry. */
export const encodeTlogProof = (r: Receipt): string =>
  [TLOG_PROOF, `extra ${base64(r.entry)}`, `index ${r.index}`, ...r.path.map(base64), '', r.checkpoint].join('\n');

/**
 * Read either format.
 * @throws EdgeError RECEIPT_INVALID
 */
export function parseReceipt(text: string): Receipt {
  if (text.length > MAX_RECEIPT) return refuse(`longer than ${MAX_RECEIPT} characters`);
  return text.startsWith(TLOG_PROOF) ? parseTlogProof(text) : parseJsonReceipt(text);
}

function parseIndex(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : refuse('the index is not an integer');
}

function parseTlogProof(text: string): Receipt {
  const blank = text.indexOf('\n\n');
  if (blank < 0) return refuse('no blank line before the checkpoint');
  const lines = text.slice(0, blank).split('\n');
  if (lines.shift() !== TLOG_PROOF) return refuse(`the first line is not ${TLOG_PROOF}`);
  const extra = /^extra (.*)$/.exec(lines.shift() ?? '');
  if (!extra) return refuse('no extra line: this proof does not carry its entry');
  const index = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? '');
  if (!index) return refuse('no index line');
  if (lines.length > MAX_PATH) return refuse(`a path of more than ${MAX_PATH} hashes`);
  return {
    index: parseIndex(Number(index[1])),
    entry: unbase64(extra[1], 'the entry'),
    path: lines.map((line, i) => unbase64(line, `hash ${i} of the path`, 32)),
    checkpoint: text.slice(blank + 2),
  };
}

function parseJsonReceipt(text: string): Receipt {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    return refuse(`neither JSON nor a tlog-proof (${(error as Error).message})`);
  }
  if (typeof value !== 'object' || value === null || value.format !== JSON_FORMAT)
    return refuse(`format is not ${JSON_FORMAT}`);
  const unknown = Object.keys(value).find((name) => !MEMBERS.includes(name));
  if (unknown !== undefined) return refuse(`${JSON.stringify(unknown)} is none of its members`);
  if (!Array.isArray(value.path) || value.path.length > MAX_PATH)
    return refuse(`path is not an array of at most ${MAX_PATH} hashes`);
  if (typeof value.checkpoint !== 'string') return refuse('checkpoint is not text');
  return {
    index: parseIndex(value.index),
    entry: unbase64(value.entry, 'the entry'),
    path: value.path.map((h, i) => unbase64(h, `hash ${i} of the path`, 32)),
    checkpoint: value.checkpoint,
    ...(value.opening === undefined ? {} : { opening: parseOpening(value.opening) }),
  };
}
