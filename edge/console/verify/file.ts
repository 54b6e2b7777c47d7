/**
 * What a verifier is given, in files: which kind each is, and the steps that hold it against what the auditor trusts.
 * The steps are those of the auditor's tool (edge/verify.ts and its neighbours). Pure, but for asking the chain.
 */

import { CALL_FORMAT } from '../../chain/entry-call.ts';
import { FILE_FORMAT, MAX_FILE } from '../../credits/certificate-file.ts';
import './older.ts';
import { EdgeError } from '../../errors.ts';
import { BUNDLE_FORMAT, looksLikeBundle } from '../../log/bundle.ts';
import { parseVerifierKey } from '../../log/checkpoint.ts';
import { JSON_FORMAT, MAX_RECEIPT, OPENING_FORMAT, parseJsonOpening } from '../../log/receipt.ts';
import { tilePath } from '../../log/tile.ts';
import type { TileSource } from '../../log/tile-source.ts';
import {
  type ChainPlace,
  type Found,
  type PlannedStep,
  type Quorum,
  type ReceiptOptions,
  receiptSteps,
} from '../../verify.ts';
import { verifyBundle } from '../../verify-bundle.ts';
import { certificateSteps } from '../../verify-certificate.ts';
import { chainChecks } from '../../verify-certificate-chain.ts';
import { checkGap } from '../../verify-gap.ts';
import { logSteps } from '../../verify-log.ts';
import { decodeOpenSign1, isSign1 } from '../../wire/cose.ts';

export { detailOf } from '../../verify.ts';
export { decodeSign1 } from '../../wire/cose.ts';
export { tilePath };

export type Kind =
  | 'checkpoint'
  | 'json'
  | 'tlog-proof'
  | 'cose'
  | 'calldata'
  | 'certificate'
  | 'bundle'
  | 'opening'
  | 'envelope';
/** What a file is at most, but for a bundle. */
export const MAX_BYTES = Math.max(MAX_FILE, MAX_RECEIPT);

/**
 * What the auditor believes beforehand: the log's verifier key, and where roots are anchored. Of a certificate, which
 * names contracts and issuer itself, `credits` and `issuer` may be pinned.
 */
export type Trust = {
  key: string;
  chain?: ChainPlace | undefined;
  witnesses?: Quorum | undefined;
  issuer?: string | undefined;
  credits?: string | undefined;
};

/** `receipts` in a group each, and after them what they say together. `found` fills while the steps run. */
export type Group = { title: string; kind: Kind; steps: PlannedStep[]; found: Found; gap?: true };
export type Named = { name: string; bytes: Uint8Array };

/**
 * What a file says it is. What says nothing that is known is taken for a receipt in JSON, so that the first step says
 * what is wrong with it.
 */
export function kindOf(bytes: Uint8Array): Kind {
  if (isSign1(bytes)) return isBareEnvelope(bytes) ? 'envelope' : 'cose';
  const start = new TextDecoder().decode(bytes.subarray(0, 256));
  if (start.startsWith('c2sp.org/tlog-proof')) return 'tlog-proof';
  if (looksLikeBundle(start)) return 'bundle';
  if (/^[^\n]+\n\d+\n[A-Za-z0-9+/]{43}=\n/.test(start)) return 'checkpoint';
  if (bytes.length > MAX_BYTES) return 'json';
  let format: unknown;
  try {
    format = (JSON.parse(new TextDecoder().decode(bytes)) as { format?: unknown } | null)?.format;
  } catch {
    return 'json'; // the first step says why it is none
  }
  const kinds = { [CALL_FORMAT]: 'calldata', [FILE_FORMAT]: 'certificate', [OPENING_FORMAT]: 'opening' } as const;
  return Object.hasOwn(kinds, String(format)) ? kinds[format as keyof typeof kinds] : 'json';
}

/** An envelope as a device sent it: it may go with a COSE receipt that has none inside. */
function isBareEnvelope(bytes: Uint8Array): boolean {
  try {
    const { payload, unprotected } = decodeOpenSign1(bytes);
    return payload !== null && unprotected.size === 0;
  } catch {
    return false;
  }
}

const refuse = (why: string): never => {
  throw new EdgeError('RECEIPT_INVALID', why);
};

/**
 * The steps for files that were given together: receipts, openings of sealed ones among them, an envelope for a COSE
 * receipt without one; or a certificate; or a bundle. Three receipts of which the middle one is of a gap are a proof that
 * there is no reading between.
 * @throws EdgeError RECEIPT_INVALID where there is nothing among them to verify
 */
export function planFiles(files: readonly Named[], trust: Trust, gap = false): Group[] {
  const kinds = files.map(({ bytes }) => kindOf(bytes));
  const of = (...wanted: Kind[]) => files.filter((_, i) => wanted.includes(kinds[i] as Kind));
  const subjects = of('json', 'tlog-proof', 'cose', 'calldata', 'certificate', 'bundle', 'checkpoint');
  if (subjects.length === 0)
    return refuse(
      files.length === 0
        ? 'no file was given'
        : 'there is no receipt, certificate or bundle among the files; an opening or an envelope goes with a receipt',
    );
  const openings = of('opening').map(({ bytes }) => parseJsonOpening(new TextDecoder().decode(bytes)));
  const also: ReceiptOptions = { openings, entry: of('envelope')[0]?.bytes, witnesses: trust.witnesses };
  const groups = subjects.map((file): Group => {
    const kind = kindOf(file.bytes);
    const found: Found = {};
    if (kind === 'certificate') return { title: file.name, kind, found, steps: certificate(file.bytes, trust) };
    if (kind === 'checkpoint') return { title: file.name, kind, found, steps: checkpoint(file.bytes, trust) };
    if (kind === 'bundle') return { title: file.name, kind, found, steps: [bundle(file.bytes, trust)] };
    return { title: file.name, kind, ...receiptSteps(file.bytes, trust.key, trust.chain, also) };
  });
  if (gap) {
    const receipts = subjects.map(({ bytes }) => bytes);
    if (receipts.length !== 3) return refuse('a gap takes three receipts: before it, of it, after it');
    groups.push({
      title: '',
      kind: 'json',
      gap: true,
      found: {},
      steps: [gapStep(receipts as Three, trust.key, openings)],
    });
  }
  return groups;
}

type Three = [Uint8Array, Uint8Array, Uint8Array];

const gapStep = (receipts: Three, key: string, openings: NonNullable<ReceiptOptions['openings']>): PlannedStep => ({
  name: 'no reading between',
  run: () => {
    const { did, epoch, first, last } = checkGap(receipts, parseVerifierKey(key).name, openings);
    return `no reading of ${did} has ${last - first + 1 === 1 ? `counter ${epoch}/${first}` : `the ${last - first + 1} counters ${epoch}/${first} to ${epoch}/${last}`}`;
  },
});

const checkpoint = (bytes: Uint8Array, { key, chain, witnesses }: Trust): PlannedStep[] =>
  logSteps(new TextDecoder().decode(bytes), key, chain, { witnesses });

/** The steps for the newest checkpoint of a log that is there to be read. */
export const planLog = (note: string, tiles: TileSource, { key, chain, witnesses }: Trust): Group[] => [
  { title: '', kind: 'checkpoint', found: {}, steps: logSteps(note, key, chain, { witnesses, tiles }) },
];

const certificate = (bytes: Uint8Array, { key, issuer, chain, credits }: Trust): PlannedStep[] =>
  certificateSteps(bytes, { key, issuer }, chain ? chainChecks(chain.rpc, { anchors: chain.contract, credits }) : [])
    .steps;

const bundle = (bytes: Uint8Array, { key, chain, witnesses }: Trust): PlannedStep => ({
  name: 'bundle',
  run: async (show) => {
    show('receipt', `${BUNDLE_FORMAT}, ${bytes.length} bytes; each line a receipt in the format ${JSON_FORMAT}`);
    let last = '';
    const result = await verifyBundle(
      chunksOf(bytes),
      key,
      chain,
      ({ name, detail, ok }) => {
        if (ok) show('note', `${name}: ${detail}`);
        last = detail;
      },
      witnesses,
    );
    if (result.failed !== undefined) throw new EdgeError('BUNDLE_INVALID', `${result.failed}: ${last}`);
    return `${result.entries} entries under ${result.checkpoints} checkpoints; ${last}`;
  },
});

/** In pieces, and with a pause after each: the page stays alive while a large bundle is verified. */
async function* chunksOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  const PIECE = 16 * 1024;
  for (let at = 0; at < bytes.length; at += PIECE) {
    yield bytes.subarray(at, at + PIECE);
    await new Promise((resolve) => setTimeout(resolve));
  }
}
