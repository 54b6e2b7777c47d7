/**
 * Verifies a bundle entry by entry, in bounded memory: the same steps as for one receipt, but each checkpoint's
 * signature, and each root on the chain, once.
 */
import { EdgeError } from './errors.ts';
import { type BundleEnd, type BundleHead, bundleLines, parseEnd, parseHead } from './log/bundle.ts';
import { type Checkpoint, openCheckpoint, parseVerifierKey } from './log/checkpoint.ts';
import { leafHash, verifyInclusion } from './log/merkle.ts';
import { parseReceipt } from './log/receipt.ts';
import { checkAnchor, checkCosignatures, openClaim, type Quorum, type Step } from './verify.ts';
import { decodeHashEnvelope } from './wire/hash-envelope.ts';
import { verifyEnvelope } from './wire/verify.ts';

/** Of a bundle that we wrote there are two; one that has more is checked all the same, and more slowly. */
const KEPT_CHECKPOINTS = 64;

/** `sealed` of `entries` are sealed, and `forgotten` of those without what they are over. */
export type BundleResult = {
  entries: number;
  sealed: number;
  forgotten: number;
  pruned: number;
  checkpoints: number;
  failed: string | undefined;
};

/** @param say hears of each checkpoint once, of the first failure, and of the whole at the end */
export async function verifyBundle(
  stream: AsyncIterable<Uint8Array>,
  verifierKey: string,
  chain: { rpc: string; contract: string } | undefined,
  say: (step: Step) => void,
  witnesses?: Quorum,
): Promise<BundleResult> {
  const bundle = new Bundle(verifierKey, chain, say, witnesses);
  try {
    for await (const line of bundleLines(stream)) await bundle.line(line);
    bundle.finish();
    return { ...bundle.result, failed: undefined };
  } catch (error) {
    const { step } = bundle;
    const why = error instanceof EdgeError ? `${error.code}: ${error.detail}` : (error as Error).message.split('\n')[0];
    say({ ok: false, name: step, detail: `${bundle.where}: ${why}` });
    return { ...bundle.result, failed: step };
  }
}

const invalid = (why: string): never => {
  throw new EdgeError('BUNDLE_INVALID', why);
};

class Bundle {
  readonly #key: ReturnType<typeof parseVerifierKey>;
  readonly #verifierKey: string;
  readonly #chain: { rpc: string; contract: string } | undefined;
  readonly #say: (step: Step) => void;
  readonly #witnesses: Quorum | undefined;
  readonly #checkpoints = new Map<string, Checkpoint>();
  #head: BundleHead | undefined;
  #end: BundleEnd | undefined;
  #next = 0;
  step = 'bundle format';
  where = 'line 1';
  readonly result = { entries: 0, sealed: 0, forgotten: 0, pruned: 0, checkpoints: 0 };

  constructor(
    verifierKey: string,
    chain: { rpc: string; contract: string } | undefined,
    say: (step: Step) => void,
    witnesses: Quorum | undefined,
  ) {
    this.#witnesses = witnesses;
    this.#verifierKey = verifierKey.trim();
    this.#key = parseVerifierKey(verifierKey);
    this.#chain = chain;
    this.#say = say;
  }

  async line(text: string): Promise<void> {
    this.step = 'bundle format';
    if (!this.#head) {
      this.#head = parseHead(text);
      const { key, from, to, device } = this.#head;
      if (key !== this.#verifierKey) invalid(`it is of the log with the key ${key}`);
      this.#next = from;
      const what = `entries ${from} up to ${to}${device === undefined ? '' : ` of ${device}`}`;
      this.#say({ ok: true, name: this.step, detail: `${what} of ${this.#key.name}` });
      return;
    }
    if (this.#end) invalid('there is more after the last line');
    this.where = `after entry ${this.#next - 1}`;
    this.#end = parseEnd(text);
    if (!this.#end) await this.#entry(text, this.#head);
  }

  async #entry(text: string, head: BundleHead): Promise<void> {
    this.step = 'receipt format';
    const receipt = parseReceipt(text);
    const { index, entry, path, checkpoint: note } = receipt;
    this.where = `entry ${index}`;
    if (index < this.#next || index >= head.to) invalid(`entry ${index} is out of order or out of range`);
    this.step = 'canonical bytes';
    const { envelope, sealedBy } = openClaim(receipt);
    if (head.device !== undefined && envelope?.iss !== head.device)
      invalid(`it is ${envelope ? `of ${envelope.iss}` : 'sealed, and not opened'}`);
    if (sealedBy !== undefined) {
      this.step = 'seal';
      verifyEnvelope(decodeHashEnvelope(entry));
      this.result.sealed++;
    }
    this.step = 'device signature';
    if (envelope) verifyEnvelope(envelope);
    else this.result.forgotten++;
    const checkpoint = this.#checkpoints.get(note) ?? (await this.#checkpoint(note));
    this.step = 'inclusion';
    if (!verifyInclusion(leafHash(entry), index, checkpoint.size, path, checkpoint.root))
      throw new EdgeError('RECEIPT_INVALID', `its path does not lead to the root of ${checkpoint.size} entries`);
    this.#next = index + 1;
    this.result.entries++;
    this.step = 'bundle format';
  }

  async #checkpoint(note: string): Promise<Checkpoint> {
    this.step = 'checkpoint signature';
    const checkpoint = openCheckpoint(note, this.#key);
    const { origin, size } = checkpoint;
    if (origin !== this.#key.name) throw new EdgeError('RECEIPT_INVALID', `the checkpoint is of ${origin}`);
    this.#say({ ok: true, name: this.step, detail: `by ${origin}, ${size} entries` });
    if (this.#witnesses) {
      this.step = 'witness cosignatures';
      this.#say({ ok: true, name: this.step, detail: checkCosignatures(note, this.#witnesses) });
    }
    if (this.#chain) {
      this.step = 'anchored root';
      this.#say({ ok: true, name: this.step, detail: await checkAnchor(this.#chain, checkpoint) });
    }
    if (this.#checkpoints.size >= KEPT_CHECKPOINTS)
      this.#checkpoints.delete(this.#checkpoints.keys().next().value as string);
    this.#checkpoints.set(note, checkpoint);
    this.result.checkpoints++;
    return checkpoint;
  }

  /** Nothing may be missing but what the bundle itself says is. */
  finish(): void {
    this.step = 'bundle end';
    this.where = 'at its end';
    const { entries, pruned, forgotten } = this.#end ?? invalid('it was cut off: the last line is missing');
    const { from, to, device } = this.#head as BundleHead;
    if (entries !== this.result.entries) invalid(`${this.result.entries} entries are there, it says ${entries}`);
    if (device === undefined && entries + pruned !== to - from)
      invalid(`${entries} entries and ${pruned} pruned ones are not the ${to - from} of its range`);
    this.result.pruned = pruned;
    const { sealed } = this.result;
    if (forgotten !== this.result.forgotten)
      invalid(`${this.result.forgotten} sealed entries are without their openings, it says ${forgotten}`);
    this.#say({
      ok: true,
      name: this.step,
      detail: `${entries} entries${sealed > 0 ? `, ${sealed} of them sealed, ${forgotten} of those forgotten` : ''}, ${pruned} pruned before the export`,
    });
  }
}
