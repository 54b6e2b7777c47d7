/**
 * Bundles: many entries with their receipts in one file that outlives the gateway. Lines of JSON:
 *
 *   {"format":"sejong-edge/bundle@1","key":VKEY,"from":I,"to":J}          and "device":DID where it is of one alone
 *   a JSON receipt (receipt.ts) for each entry, in the order of the log
 *   {"end":true,"entries":N,"pruned":M}                                and "forgotten":F where that is not 0
 *
 * Each line between is a receipt that stands on its own; of a sealed entry with its opening, or without where that was
 * forgotten. The last one tells a bundle that was cut off from a whole one:
 * of the range [from, to) it has N entries, and of M the payload was gone already; F of the N are sealed and without
 * their openings. Pure.
 */
import { EdgeError } from '../errors.ts';
import { encodeJsonReceipt, MAX_RECEIPT, type Receipt } from './receipt.ts';

export const BUNDLE_FORMAT = 'sejong-edge/bundle@1';

/** `key` is the log's verifier key; indexes from `from` up to `to`, which is not in it. */
export type BundleHead = { key: string; from: number; to: number; device?: string };
export type BundleEnd = { entries: number; pruned: number; forgotten: number };

const line = (value: object): string => `${JSON.stringify(value)}\n`;

export const encodeHead = (head: BundleHead): string => line({ format: BUNDLE_FORMAT, ...head });
export const encodeEntry = (receipt: Receipt): string => line(encodeJsonReceipt(receipt));
export const encodeEnd = ({ forgotten, ...end }: BundleEnd): string =>
  line({ end: true, ...end, ...(forgotten > 0 ? { forgotten } : {}) });

const refuse = (why: string): never => {
  throw new EdgeError('BUNDLE_INVALID', why);
};

/** Whether a file that begins like this is a bundle and not a receipt. */
export const looksLikeBundle = (start: string): boolean => start.startsWith(`{"format":"${BUNDLE_FORMAT}"`);

const isCount = (n: unknown): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;

/** @throws EdgeError BUNDLE_INVALID */
export function parseHead(text: string): BundleHead {
  const { format, key, from, to, device } = parse(text, 'the first line');
  if (format !== BUNDLE_FORMAT) return refuse(`the first line does not say ${BUNDLE_FORMAT}`);
  if (typeof key !== 'string') return refuse('the first line has no key');
  if (!isCount(from) || !isCount(to) || from > to) return refuse('from and to are no range of indexes');
  if (device === undefined) return { key, from, to };
  return typeof device === 'string' ? { key, from, to, device } : refuse('device is not a DID');
}

/** The last line, or undefined where it is a receipt. @throws EdgeError BUNDLE_INVALID */
export function parseEnd(text: string): BundleEnd | undefined {
  if (!text.startsWith('{"end":')) return undefined;
  const { entries, pruned, forgotten = 0 } = parse(text, 'the last line');
  return isCount(entries) && isCount(pruned) && isCount(forgotten)
    ? { entries, pruned, forgotten }
    : refuse('the last line has no counts');
}

function parse(text: string, which: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  return refuse(`${which} is not a JSON object`);
}

/** Lines of a stream, none longer than a receipt may be, so that no file can fill the memory. @throws EdgeError BUNDLE_INVALID */
export async function* bundleLines(stream: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    let from = 0;
    const bytes = Buffer.concat([rest, chunk]);
    for (let at = bytes.indexOf(10, rest.length); at >= 0; at = bytes.indexOf(10, from)) {
      yield bytes.toString('utf8', from, at);
      from = at + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > MAX_RECEIPT) refuse(`a line of more than ${MAX_RECEIPT} bytes`);
  }
  if (rest.length > 0) refuse('the last line does not end');
}
