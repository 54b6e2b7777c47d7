import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Limits, plan, REQUEST_COST, type Request, type Span } from '../../../edge/drivers/modbus/plan.ts';

const span = fc.record({ address: fc.integer({ min: 0, max: 400 }), count: fc.integer({ min: 1, max: 8 }) });
const cost = (requests: readonly Span[]) => requests.reduce((sum, r) => sum + REQUEST_COST + r.count, 0);

/** All ways to cut the sorted spans into runs. */
function* cuts(spans: Span[]): Generator<Span[]> {
  if (spans.length === 0) yield [];
  for (let n = 1; n <= spans.length; n++) {
    const run = spans.slice(0, n);
    const end = Math.max(...run.map((s) => s.address + s.count));
    for (const rest of cuts(spans.slice(n)))
      yield [{ address: run[0]!.address, count: end - run[0]!.address }, ...rest];
  }
}

describe('which registers are read together', () => {
  const allowed = ({ address, count }: Span, { most, forbidden }: Limits) =>
    count <= most && !forbidden.some(([first, last]) => first < address + count && last >= address);

  it('each span whole in one request; none too long, none over a forbidden register; and there is no cheaper way', () => {
    const range = fc
      .tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 5 }))
      .map(([a, n]) => [a, a + n] as const);
    fc.assert(
      fc.property(
        fc.array(span, { maxLength: 9 }),
        fc.array(range, { maxLength: 3 }),
        fc.integer({ min: 8, max: 125 }),
        fc.boolean(),
        (all, forbidden, most, bridge) => {
          const limits = { most, forbidden, bridge };
          const spans = all.filter((s) => allowed(s, limits));
          const requests: Request<Span>[] = plan(spans, limits);
          expect(requests.flatMap((r) => r.spans)).toHaveLength(spans.length);
          for (const request of requests) {
            expect(allowed(request, limits)).toBe(true);
            for (const s of request.spans)
              expect(s.address >= request.address && s.address + s.count <= request.address + request.count).toBe(true);
          }
          if (!bridge) return;
          const sorted = [...spans].sort((a, b) => a.address - b.address || a.count - b.count);
          let least = Number.POSITIVE_INFINITY;
          for (const cut of cuts(sorted)) if (cut.every((r) => allowed(r, limits))) least = Math.min(least, cost(cut));
          expect(cost(requests)).toBe(least);
        },
      ),
      { seed: 1, numRuns: 400 },
    );
  });

  it('a gap is bridged where that is cheaper than a request, and not where nothing may be bridged', () => {
    const two = (gap: number) => [
      { address: 0, count: 2 },
      { address: 2 + gap, count: 2 },
    ];
    const limits = { most: 125, forbidden: [], bridge: true };
    expect(plan(two(REQUEST_COST - 1), limits)).toHaveLength(1);
    expect(plan(two(REQUEST_COST + 1), limits)).toHaveLength(2);
    expect(plan(two(1), { ...limits, bridge: false })).toHaveLength(2);
    expect(plan(two(0), { ...limits, bridge: false })).toHaveLength(1);
    expect(plan(two(3), { ...limits, forbidden: [[3, 3]] })).toHaveLength(2);
    expect(() => plan([{ address: 1, count: 126 }], limits)).toThrow('more than the 125');
  });
});
