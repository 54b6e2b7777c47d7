/** Which registers are read together. Pure. */
import { MAX_REGISTERS } from './pdu.ts';

/** Registers of one value: always in one request, so that no value is of two moments. */
export type Span = { address: number; count: number };

/** First and last register that may not be read, not even between two others. */
export type Forbidden = readonly [first: number, last: number];

export type Limits = {
  /** Most registers in one request. */
  most: number;
  forbidden: readonly Forbidden[];
  /** Registers that nobody asked for are read too, where that is cheaper than another request. */
  bridge: boolean;
};

/** One request, and which of the spans are in it. */
export type Request<S extends Span> = Span & { spans: readonly S[] };

/**
 * What a request costs beside its registers, in registers (2 bytes): the request itself (8 bytes), the frame around the
 * answer (5), the silence after each (3.5 characters) and some 20 ms that a slave thinks, at 9,600 baud. On
 * faster lines the time counts more and the bytes less, so there a bridged gap is all the more worth it.
 */
export const REQUEST_COST = 20;

/**
 * The cheapest set of requests that reads all spans; requests in the order of their addresses. Each span is in exactly
 * one. Cheapest among all ways to cut the spans, sorted by address, into runs.
 * @throws RangeError where a span alone is longer than `most`, or holds a forbidden register
 */
export function plan<S extends Span>(spans: readonly S[], limits: Limits): Request<S>[] {
  const sorted = [...spans].sort((a, b) => a.address - b.address || a.count - b.count);
  return limits.bridge ? cut(sorted, limits) : islands(sorted).flatMap((island) => cut(island, limits));
}

/** Runs between which there are registers of nobody. */
function islands<S extends Span>(sorted: readonly S[]): S[][] {
  const all: S[][] = [];
  let end = -1;
  for (const span of sorted) {
    if (span.address > end) all.push([]);
    all.at(-1)?.push(span);
    end = Math.max(end, endOf(span));
  }
  return all;
}

/** The shortest way from the first span to behind the last, where each step is a request. */
function cut<S extends Span>(sorted: readonly S[], { most, forbidden }: Limits): Request<S>[] {
  const longest = Math.min(most, MAX_REGISTERS);
  /** To before span i: the least cost, and the run that was last. */
  const best: { cost: number; run: Request<S> | undefined; before: number }[] = [
    { cost: 0, run: undefined, before: 0 },
  ];
  for (let i = 1; i <= sorted.length; i++) {
    let least: (typeof best)[number] | undefined;
    let end = 0;
    for (let before = i - 1; before >= 0; before--) {
      const { address } = sorted[before] as S;
      end = Math.max(end, endOf(sorted[before] as S));
      const count = end - address;
      if (count > longest || forbidden.some(([first, last]) => first < end && last >= address)) break;
      const cost = (best[before]?.cost as number) + REQUEST_COST + count;
      if (least === undefined || cost < least.cost)
        least = { cost, run: { address, count, spans: sorted.slice(before, i) }, before };
    }
    if (least === undefined) throw new RangeError(unreadable(sorted[i - 1] as S, longest));
    best.push(least);
  }
  const requests: Request<S>[] = [];
  for (
    let { run, before } = best[sorted.length] as (typeof best)[number];
    run;
    { run, before } = best[before] as (typeof best)[number]
  )
    requests.unshift(run);
  return requests;
}

const endOf = ({ address, count }: Span): number => address + count;

function unreadable(span: Span, longest: number): string {
  const where = `registers ${span.address} to ${endOf(span) - 1}`;
  return span.count > longest ? `${where} are more than the ${longest} of one request` : `${where} are forbidden`;
}
