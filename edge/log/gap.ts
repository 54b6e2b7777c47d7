/**
 * What the gateway says in its own log about counters of a device that it has no payload for. Pure.
 *
 *   gap         the device's DID
 *   gap-first   the first counter (cti) of the range, 16 hex digits: boot epoch and sequence
 *   gap-last    the last one, of the same epoch
 *   gap-count   how many they are
 *   gap-reason  lost: never accepted, and refused from now on; thinned: accepted, and their payloads taken away since
 */
import type { Range } from '../store/counters.ts';
import type { GapReason } from '../store/gaps.ts';
import type { Envelope } from '../wire/envelope.ts';
import type { SenmlRecord } from '../wire/senml.ts';

export type Gap = Range & { did: string; reason: GapReason };

/** What an envelope of the gateway's own is about: its `sub`. No device is enrolled for such a one. */
export const GATEWAY_SUB = 'urn:sejong:gateway:';

const hex32 = (n: number): string => n.toString(16).padStart(8, '0');
export const formatCti = (epoch: number, seq: number): string => hex32(epoch) + hex32(seq);

export const gapRecords = ({ did, epoch, first, last, reason }: Gap): SenmlRecord[] => [
  { n: 'gap', vs: did },
  { n: 'gap-first', vs: formatCti(epoch, first) },
  { n: 'gap-last', vs: formatCti(epoch, last) },
  { n: 'gap-count', v: last - first + 1 },
  { n: 'gap-reason', vs: reason },
];

/** The gap that an envelope speaks of, or undefined where it is none or says what cannot be. */
export function parseGap({ records }: Pick<Envelope, 'records'>): Gap | undefined {
  const [did, first, last, , reason] = records.map((r) => r.vs);
  if (did === undefined || !/^[0-9a-f]{16}$/.test(first ?? '') || !/^[0-9a-f]{16}$/.test(last ?? '')) return undefined;
  const at = (cti: string | undefined, from: number): number =>
    Number.parseInt((cti as string).slice(from, from + 8), 16);
  const gap = { did, epoch: at(first, 0), first: at(first, 8), last: at(last, 8), reason: reason as GapReason };
  // One spelling only: it is a gap exactly where we would have written the same.
  return JSON.stringify(gapRecords(gap)) === JSON.stringify(records) && at(last, 0) === gap.epoch && isGap(gap)
    ? gap
    : undefined;
}

const isGap = ({ first, last, reason }: Gap): boolean => first <= last && (reason === 'lost' || reason === 'thinned');
