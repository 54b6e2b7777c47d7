/**
 * What an auditor does with a receipt, step by step, with nothing of the gateway but its key. The steps stand on
 * their own code paths: Ed25519 and P-256 by the noble libraries, not by the OpenSSL that accepted the reading.
 * Without node:crypto and without a file of ours, so that all of it runs in a browser too (edge/console/verify/).
 */
import { AnchorReader } from './chain/anchor-reader.ts';
import { commitment } from './chain/commitment.ts';
import { CALL_FORMAT, type EntryCall, parseEntryCall } from './chain/entry-call.ts';
import { EdgeError } from './errors.ts';
import { type Checkpoint, openCheckpoint, parseVerifierKey, splitNote, type VerifierKey } from './log/checkpoint.ts';
import { parseCoseReceipt } from './log/cose-receipt.ts';
import { findCosignature } from './log/cosignature.ts';
import { leafHash, verifyInclusion } from './log/merkle.ts';
import { MAX_RECEIPT, parseReceipt } from './log/receipt.ts';
import { checkOpening, isOpeningOf, type Opening } from './log/sealed.ts';
import { equalBytes, utf8Bytes } from './wire/bytes.ts';
import { isSign1 } from './wire/cose.ts';
import { decodeDid } from './wire/did.ts';
import { decodeEnvelope, type Envelope } from './wire/envelope.ts';
import { decodeHashEnvelope, isHashEnvelope } from './wire/hash-envelope.ts';
import { verifyEnvelope } from './wire/verify.ts';

/** Bytes, or text, that a step looked at. */
export type Shown = {
  what:
    | ('receipt' | 'entry' | 'envelope' | 'salt' | 'signed' | 'signature' | 'key' | 'verifier key' | 'note')
    | ('leaf hash' | 'path' | 'root' | 'question' | 'answer' | 'file');
  value: Uint8Array | string;
};
export type Step = { ok: boolean; name: string; detail: string; shown?: readonly Shown[] };

type Show = (what: Shown['what'], value: Uint8Array | string) => void;
/** A step that is to be taken. `run` answers what it found, or undefined where there is nothing for it to check. */
export type PlannedStep = { name: string; run: (show: Show) => string | undefined | Promise<string | undefined> };

/** What is said of an error that a step ended with. */
export const detailOf = (error: unknown): string =>
  error instanceof EdgeError ? `${error.code}: ${error.detail}` : ((error as Error).message.split('\n')[0] as string);

/** @returns the name of the first step that failed, or undefined when all hold */
export async function runSteps(steps: readonly PlannedStep[], say: (step: Step) => void): Promise<string | undefined> {
  for (const { name, run } of steps) {
    const shown: Shown[] = [];
    try {
      const detail = await run((what, value) => shown.push({ what, value }));
      if (detail !== undefined) say({ ok: true, name, detail, shown });
    } catch (error) {
      say({ ok: false, name, detail: detailOf(error), shown });
      return name;
    }
  }
  return undefined;
}

/** What every format says, in its own way. */
export type Claim = {
  index: number;
  entry: Uint8Array;
  path: Uint8Array[];
  /** Checks the log's signature. @throws EdgeError RECEIPT_INVALID */
  open: (key: VerifierKey) => Checkpoint;
  /** The signed note, where the format has it. */
  checkpoint?: string;
  /** Of the format calldata: what the contract is to be asked. */
  call?: EntryCall;
  /** What a sealed entry is over, where the receipt came with it. */
  opening?: Opening;
};

const fatalUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws EdgeError RECEIPT_INVALID and those of an envelope */
export function readClaim(receipt: Uint8Array, entry?: Uint8Array): Claim {
  if (receipt.length > MAX_RECEIPT) throw new EdgeError('RECEIPT_INVALID', `longer than ${MAX_RECEIPT} bytes`);
  if (isSign1(receipt)) return parseCoseReceipt(receipt, entry);
  let text: string;
  try {
    text = fatalUtf8.decode(receipt);
  } catch {
    throw new EdgeError('RECEIPT_INVALID', 'neither a COSE receipt nor text');
  }
  return readCall(text) ?? withNote(parseReceipt(text));
}

const withNote = <R extends { checkpoint: string }>(receipt: R) => ({
  ...receipt,
  open: (key: VerifierKey) => openCheckpoint(receipt.checkpoint, key),
});

function readCall(text: string): Claim | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // another format, or what parseReceipt says of it
  }
  if ((value as { format?: unknown } | null)?.format !== CALL_FORMAT) return undefined;
  const { call, receipt, originId: origin, size } = parseEntryCall(value as Record<string, unknown>);
  const open = (key: VerifierKey): Checkpoint => {
    const checkpoint = openCheckpoint(receipt.checkpoint, key);
    if (size !== checkpoint.size || origin !== commitment(checkpoint.origin))
      throw new EdgeError('RECEIPT_INVALID', `the call is for another origin or size (${size} entries)`);
    return checkpoint;
  };
  return { ...receipt, call, open };
}

/**
 * What a claim's entry says, and of a sealed one what it is over, where an opening of it is among those given.
 * @returns `envelope` undefined where it is sealed and nobody has opened it
 * @throws EdgeError RECEIPT_INVALID where an opening came with it that is not its own, and those of decoding
 */
export function openClaim(
  { entry, opening }: Pick<Claim, 'entry' | 'opening'>,
  openings: readonly Opening[] = [],
): { envelope: Envelope | undefined; sealedBy?: string } {
  if (!isHashEnvelope(entry)) {
    if (opening) throw new EdgeError('RECEIPT_INVALID', 'an opening came with an entry that is not sealed');
    return { envelope: decodeEnvelope(entry) };
  }
  const sealed = opening ? checkOpening(entry, opening) : decodeHashEnvelope(entry);
  const found = opening ?? openings.find((o) => isOpeningOf(sealed, o));
  return { envelope: found && decodeEnvelope(found.envelope), sealedBy: sealed.iss };
}

export type ReceiptOptions = {
  entry?: Uint8Array | undefined;
  openings?: readonly Opening[] | undefined;
  witnesses?: Quorum | undefined;
};
/** Where the root is to be asked for. */
export type ChainPlace = { rpc: string; contract: string };
/** What the steps have come to know so far. */
export type Found = { claim?: Claim; envelope?: Envelope; sealedBy?: string; checkpoint?: Checkpoint };

/**
 * @param receipt in any of the four formats
 * @param also `entry`, the envelope, for a COSE receipt that has none in it; `openings`, of which one may be that of this
 *   entry, where it is sealed; `witnesses`, the verifier keys (type 0x04) of which `quorum` must have cosigned the
 *   checkpoint
 * @returns the name of the first step that failed, or undefined when all hold
 */
export const verifyReceipt = (
  receipt: string | Uint8Array,
  verifierKey: string,
  chain: ChainPlace | undefined,
  say: (step: Step) => void,
  also: ReceiptOptions = {},
): Promise<string | undefined> => runSteps(receiptSteps(receipt, verifierKey, chain, also).steps, say);

/** The steps of {@link verifyReceipt}, to be run in their order; `found` fills while they are. */
export function receiptSteps(
  receipt: string | Uint8Array,
  verifierKey: string,
  chain: ChainPlace | undefined,
  also: ReceiptOptions = {},
): { steps: PlannedStep[]; found: Found } {
  const found: Found = {};
  let claim!: Claim;
  let opened!: ReturnType<typeof openClaim>;
  let checkpoint!: Checkpoint;
  const steps: PlannedStep[] = [
    {
      name: 'receipt format',
      run: (show) => {
        show('receipt', receipt);
        claim = readClaim(typeof receipt === 'string' ? utf8Bytes(receipt) : receipt, also.entry);
        found.claim = claim;
        return `entry ${claim.index}, ${claim.entry.length} bytes, a path of ${claim.path.length} hashes`;
      },
    },
    {
      name: 'canonical bytes',
      run: (show) => {
        show('entry', claim.entry);
        opened = openClaim(claim, also.openings);
        const { envelope, sealedBy } = opened;
        Object.assign(found, { envelope, sealedBy });
        if (!envelope) return 'sealed: what it is over is not shown';
        const first = envelope.records[0];
        const value = first?.v ?? first?.vs ?? first?.vb ?? '(bytes)';
        return `${envelope.sub}: ${first?.n} = ${value}${first?.u ? ` ${first.u}` : ''}, ${timeOf(envelope.iat)}, counter ${envelope.epoch}/${envelope.seq}`;
      },
    },
    {
      name: 'seal',
      run: (show) => {
        if (opened.sealedBy === undefined) return undefined;
        const sealed = decodeHashEnvelope(claim.entry);
        showSignature(show, sealed);
        verifyEnvelope(sealed);
        return `by ${opened.sealedBy}${opened.envelope ? ', over the salted reading that is shown' : ''}`;
      },
    },
    {
      name: 'device signature',
      run: (show) => {
        if (!opened.envelope) return undefined;
        showSignature(show, opened.envelope);
        verifyEnvelope(opened.envelope);
        return `by ${opened.envelope.iss}`;
      },
    },
    {
      name: 'checkpoint signature',
      run: (show) => {
        show('verifier key', verifierKey.trim());
        if (claim.checkpoint !== undefined) show('note', claim.checkpoint);
        checkpoint = claim.open(parseVerifierKey(verifierKey));
        found.checkpoint = checkpoint;
        show('root', checkpoint.root);
        if (checkpoint.origin !== parseVerifierKey(verifierKey).name)
          throw new EdgeError('RECEIPT_INVALID', `the checkpoint is of ${checkpoint.origin}`);
        return `by ${checkpoint.origin}, ${checkpoint.size} entries`;
      },
    },
    {
      name: 'inclusion',
      run: (show) => {
        const leaf = leafHash(claim.entry);
        show('leaf hash', leaf);
        for (const hash of claim.path) show('path', hash);
        show('root', checkpoint.root);
        if (!verifyInclusion(leaf, claim.index, checkpoint.size, claim.path, checkpoint.root))
          throw new EdgeError(
            'RECEIPT_INVALID',
            `the path does not lead from entry ${claim.index} to the root of ${checkpoint.size} entries`,
          );
        return `entry ${claim.index} is in the tree of ${checkpoint.size} entries`;
      },
    },
  ];
  const { witnesses } = also;
  if (witnesses)
    steps.push({
      name: 'witness cosignatures',
      run: (show) => {
        if (claim.checkpoint !== undefined) show('note', claim.checkpoint);
        return checkCosignatures(claim.checkpoint, witnesses);
      },
    });
  if (chain) steps.push({ name: 'anchored root', run: (show) => checkAnchor(chain, checkpoint, claim.call, show) });
  return { steps, found };
}

function showSignature(show: Show, { signed, signature, iss }: Pick<Envelope, 'signed' | 'signature' | 'iss'>): void {
  show('signed', signed);
  show('signature', signature);
  show('key', decodeDid(iss).bytes);
}

/** RFC 3339, or the bare number beyond what a Date can hold: a receipt may claim any. */
function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds} s after 1970` : date.toISOString();
}

/** Verifier keys (type 0x04), and how many of them must have cosigned. */
export type Quorum = { keys: readonly string[]; quorum: number };

/**
 * As many different keys as the quorum says; a known key that signed wrongly spoils the note (C2SP signed-note).
 * @throws EdgeError RECEIPT_INVALID
 */
export function checkCosignatures(note: string | undefined, { keys, quorum }: Quorum): string {
  if (note === undefined)
    throw new EdgeError('RECEIPT_INVALID', 'a COSE receipt has no cosignatures; fetch it in another format');
  const { body, signatures } = splitNote(note);
  const signers = new Map<string, string>();
  for (const text of keys) {
    const key = parseVerifierKey(text, 'witness');
    const found = findCosignature(body, signatures, key);
    if (found)
      signers.set(
        Buffer.from(key.publicKey).toString('hex'),
        `${key.name} at ${new Date(found.time * 1000).toISOString()}`,
      );
  }
  const by = [...signers.values()].join(', ') || 'none';
  if (signers.size < quorum)
    throw new EdgeError('RECEIPT_INVALID', `${signers.size} of the ${quorum} cosignatures asked for: ${by}`);
  return `${signers.size}, a quorum is ${quorum}: ${by}`;
}

/** @throws EdgeError CHAIN_WRONG, CHAIN_AWAY, RECEIPT_INVALID */
export async function checkAnchor(
  { rpc, contract }: ChainPlace,
  { origin, size, root }: Checkpoint,
  call?: EntryCall,
  show: Show = () => undefined,
): Promise<string> {
  const anchors = new AnchorReader(rpc, contract);
  try {
    const chainId = await anchors.open();
    const where = `${contract} on chain ${chainId}`;
    show('question', `eth_call ${contract} ${anchors.rootCall(origin, size)}`);
    const held = await anchors.rootAt(origin, size);
    if (held) show('answer', held);
    show('root', root);
    if (!held)
      throw new EdgeError(
        'RECEIPT_INVALID',
        `${where} holds no root of ${size} entries for ${origin}; fetch the receipt again after the next anchor`,
      );
    if (!equalBytes(held, root))
      throw new EdgeError('RECEIPT_INVALID', `${where} holds another root for ${size} entries`);
    if (!call) return `${where} holds this root for ${size} entries`;
    if (call.to.toLowerCase() !== contract.toLowerCase() || call.chainId !== chainId)
      throw new EdgeError('RECEIPT_INVALID', `the call is to ${call.to} on chain ${call.chainId}`);
    show('question', `eth_call ${call.to} ${call.data}`);
    const answer = await anchors.callEntry(call.data);
    show('answer', answer);
    if (!equalBytes(answer, root))
      throw new EdgeError('RECEIPT_INVALID', `${where} answers the call with another root`);
    return `${where} holds this root for ${size} entries, and answers the call with it`;
  } catch (error) {
    throw anchors.node.errorOf(error);
  }
}
