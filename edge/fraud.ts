/**
 * Fraud proofs: what a log signed, held against what it signed elsewhere. A proof is a file that stands for itself: who
 * has it and the log's key needs nobody to believe it. Three kinds:
 *
 *   checkpoints   two checkpoints of one size with different roots
 *   consistency   a checkpoint, a larger one, and a consistency proof (RFC 9162 section 2.1.4) which shows that the tree
 *                 of the larger one had another root at the size of the smaller
 *   heads         two heads of one size with different roots, signed for the contract: with the call of Anchors.freeze
 */
import type { Hex } from 'viem';
import { freezeData, headSigner, type SignedHead } from './chain/heads.ts';
import { EdgeError } from './errors.ts';
import { type Checkpoint, openCheckpoint, type VerifierKey } from './log/checkpoint.ts';
import { consistencyPath, rootAt, verifyConsistency } from './log/merkle.ts';
import { parseReceipt } from './log/receipt.ts';
import { HASH_BYTES } from './log/sha256.ts';
import { type TileSource, withTiles } from './log/tile-source.ts';
import { equalBytes } from './wire/bytes.ts';

export const FRAUD_FORMAT = 'sejong-edge/fraud@1';
const MAX_PATH = 64;

/** JSON of these, with these names. Notes are verbatim, roots and hashes in base64. */
export type FraudProof = { format: typeof FRAUD_FORMAT } & (
  | { kind: 'checkpoints'; a: string; b: string }
  | { kind: 'consistency'; a: string; b: string; rootInB: string; path: string[] }
  | {
      kind: 'heads';
      chainId: number;
      contract: string;
      size: number;
      a: { root: string; signature: string };
      b: { root: string; signature: string };
      /** The call that freezes the log, to `contract`. */
      freeze: string;
    }
);

export type Statement = { kind: 'note'; note: string; checkpoint: Checkpoint } | { kind: 'head'; head: SignedHead };

const refuse = (why: string): never => {
  throw new EdgeError('FRAUD_INVALID', why);
};

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function unbase64(text: unknown, what: string): Uint8Array {
  const bytes = Buffer.from(typeof text === 'string' ? text : '', 'base64');
  return bytes.toString('base64') === text && bytes.length === HASH_BYTES
    ? Uint8Array.from(bytes)
    : refuse(`${what} is not ${HASH_BYTES} bytes in base64`);
}

function openNote(note: unknown, key: VerifierKey): Checkpoint {
  if (typeof note !== 'string') return refuse('a checkpoint is missing');
  const checkpoint = openCheckpoint(note, key);
  return checkpoint.origin === key.name ? checkpoint : refuse(`a checkpoint is of ${checkpoint.origin}`);
}

/**
 * What a text says in the name of the log: a checkpoint, a receipt (not COSE, which has none in it), or heads as
 * `GET /anchors` answers them.
 * @throws EdgeError FRAUD_INVALID, RECEIPT_INVALID
 */
export function readStatements(text: string, key: VerifierKey): Statement[] {
  const note = (body: string): Statement => ({ kind: 'note', note: body, checkpoint: openNote(body, key) });
  if (!text.trimStart().startsWith('{'))
    return [note(text.startsWith('c2sp.org/tlog-proof') ? parseReceipt(text).checkpoint : text)];
  const value = parseJson(text);
  if (typeof value.checkpoint === 'string') return [note(value.checkpoint)];
  if (!Array.isArray(value.anchors)) return refuse('it is neither a checkpoint, nor a receipt, nor a list of anchors');
  return value.anchors.flatMap((anchor: Record<string, unknown>): Statement[] =>
    anchor?.signature == null ? [] : [{ kind: 'head', head: parseHead(anchor, anchor, key) }],
  );
}

function parseJson(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    return refuse(`it is not JSON (${(error as Error).message})`);
  }
}

function parseHead(where: Record<string, unknown>, what: Record<string, unknown>, key: VerifierKey): SignedHead {
  const { chainId, contract, size } = where;
  const { root, signature } = what;
  if (!Number.isSafeInteger(chainId) || !Number.isSafeInteger(size) || (size as number) < 0)
    return refuse('chainId and size of a head are unsigned integers');
  if (typeof contract !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(contract))
    return refuse('contract is not an address');
  if (typeof signature !== 'string') return refuse('a head has no signature');
  return {
    origin: key.name,
    chainId: chainId as number,
    contract: contract.toLowerCase(),
    size: size as number,
    root: unbase64(root, 'the root of a head'),
    signature,
  };
}

/**
 * The first contradiction among statements, undefined where there is none.
 * @param tiles of the log that serves the largest of them: checkpoints of different sizes can be compared with it
 * @throws EdgeError LOG_UNREADABLE where the tiles are not those of what was signed
 */
export async function findFraud(
  statements: readonly Statement[],
  tiles: TileSource | undefined,
): Promise<FraudProof | undefined> {
  const heads = new Map<string, SignedHead>();
  const notes = new Map<number, Statement & { kind: 'note' }>();
  for (const statement of statements)
    if (statement.kind === 'note') {
      const { size, root } = statement.checkpoint;
      const other = notes.get(size);
      if (other && !equalBytes(other.checkpoint.root, root))
        return { format: FRAUD_FORMAT, kind: 'checkpoints', a: other.note, b: statement.note };
      notes.set(size, other ?? statement);
    } else {
      const { head } = statement;
      const id = `${head.chainId}/${head.contract}/${head.size}`;
      const other = heads.get(id);
      if (other && !equalBytes(other.root, head.root)) return headsProof(other, head);
      heads.set(id, other ?? head);
    }
  if (!tiles) return undefined;
  // Each against the largest: whatever they differ in, one of them differs from it.
  const sorted = [...notes.values()].sort((a, b) => a.checkpoint.size - b.checkpoint.size);
  const b = sorted.pop();
  for (const a of sorted) {
    const proof = b && (await compareSizes(a, b, tiles));
    if (proof) return proof;
  }
  return undefined;
}

const headsProof = (a: SignedHead, b: SignedHead): FraudProof => ({
  format: FRAUD_FORMAT,
  kind: 'heads',
  chainId: a.chainId,
  contract: a.contract,
  size: a.size,
  a: { root: base64(a.root), signature: a.signature },
  b: { root: base64(b.root), signature: b.signature },
  freeze: freezeData(a, b),
});

type Note = { note: string; checkpoint: Checkpoint };

async function compareSizes(a: Note, b: Note, tiles: TileSource): Promise<FraudProof | undefined> {
  const [m, n] = [a.checkpoint.size, b.checkpoint.size];
  if (m === 0) return undefined;
  const { root, path } = await withTiles(n, tiles, (node) => ({
    root: rootAt(m, node),
    path: consistencyPath(m, n, node),
  }));
  // Only what leads to the root that was signed for n entries is the log's word.
  if (!verifyConsistency(m, n, root, b.checkpoint.root, path))
    throw new EdgeError('LOG_UNREADABLE', `its tiles do not give the root that it signed for ${n} entries`);
  if (equalBytes(root, a.checkpoint.root)) return undefined;
  return {
    format: FRAUD_FORMAT,
    kind: 'consistency',
    a: a.note,
    b: b.note,
    rootInB: base64(root),
    path: path.map(base64),
  };
}

export type Shown = {
  /** In words, a line each. */
  lines: string[];
  /** Of the kind heads: who must be, or have been, senders of the log for the contract to believe it. */
  signers?: { chainId: number; contract: Hex; accounts: Hex[] };
};

/** Checks a proof, believing nothing in it. @throws EdgeError FRAUD_INVALID, RECEIPT_INVALID */
export async function showFraud(text: string, key: VerifierKey): Promise<Shown> {
  const value = parseJson(text);
  if (value?.format !== FRAUD_FORMAT) return refuse(`format is not ${FRAUD_FORMAT}`);
  if (value.kind === 'heads') return showHeads(value, key);
  const a = openNote(value.a, key);
  const b = openNote(value.b, key);
  const roots = [`root A   ${base64(a.root)}`, `root B   ${base64(b.root)}`];
  if (value.kind === 'checkpoints') {
    if (a.size !== b.size) return refuse(`its checkpoints are of ${a.size} and ${b.size} entries`);
    if (equalBytes(a.root, b.root)) return refuse('its checkpoints have the same root');
    return { lines: [`${key.name} signed two trees of ${a.size} entries`, ...roots] };
  }
  if (value.kind !== 'consistency') return refuse('its kind is none of checkpoints, consistency, heads');
  const { path } = value;
  if (!Array.isArray(path) || path.length > MAX_PATH)
    return refuse(`path is not an array of at most ${MAX_PATH} hashes`);
  const root = unbase64(value.rootInB, 'rootInB');
  const hashes = path.map((h, i) => unbase64(h, `hash ${i} of the path`));
  if (a.size === 0 || a.size >= b.size || !verifyConsistency(a.size, b.size, root, b.root, hashes))
    return refuse('the path does not lead from rootInB to root B');
  if (equalBytes(root, a.root)) return refuse('root A is the one in the tree of B');
  return {
    lines: [
      `${key.name} signed a tree of ${a.size} entries that is not the beginning of its tree of ${b.size} entries`,
      ...roots,
      `in B     ${base64(root)} at ${a.size} entries`,
    ],
  };
}

async function showHeads(value: Record<string, unknown>, key: VerifierKey): Promise<Shown> {
  const side = (name: 'a' | 'b'): SignedHead => parseHead(value, (value[name] ?? {}) as Record<string, unknown>, key);
  const [a, b] = [side('a'), side('b')];
  if (equalBytes(a.root, b.root)) return refuse('its heads have the same root');
  if (value.freeze !== freezeData(a, b)) return refuse('freeze is not the call by its heads');
  const accounts = [await headSigner(a), await headSigner(b)];
  return {
    lines: [
      `two heads of ${a.size} entries are signed in the name of ${key.name}, for ${a.contract} on chain ${a.chainId}`,
      `root A   ${base64(a.root)} by ${accounts[0]}`,
      `root B   ${base64(b.root)} by ${accounts[1]}`,
      `freeze   cast send ${a.contract} ${value.freeze}`,
    ],
    signers: { chainId: a.chainId, contract: a.contract as Hex, accounts },
  };
}
