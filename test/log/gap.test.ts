import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Gap, gapRecords, parseGap } from '../../edge/log/gap.ts';

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const gaps = fc.record({ a: uint32, b: uint32, epoch: uint32, lost: fc.boolean() }).map(
  ({ a, b, epoch, lost }): Gap => ({
    did: 'did:key:z6MkexampleExample',
    epoch,
    first: Math.min(a, b),
    last: Math.max(a, b),
    reason: lost ? 'lost' : 'thinned',
  }),
);

it('reads back every gap that it writes', () => {
  fc.assert(
    fc.property(gaps, (gap) => {
      expect(parseGap({ records: gapRecords(gap) })).toEqual(gap);
    }),
  );
});

it('has one spelling: whatever is changed in a record is no gap, or another one', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('lost', 'LOST', '00000001000000020', '000000010000000G'));
  fc.assert(
    fc.property(gaps, fc.nat(4), fc.oneof(text, fc.nat()), (gap, at, value) => {
      const records = gapRecords(gap);
      const changed = records.map((r, i) =>
        i !== at ? r : typeof value === 'string' ? { n: r.n, vs: value } : { n: r.n, v: value },
      );
      const read = parseGap({ records: changed });
      if (read) expect(gapRecords(read)).toEqual(changed);
    }),
  );
  const records = gapRecords({ did: 'did:key:z', epoch: 1, first: 2, last: 4, reason: 'lost' });
  for (const wrong of [
    [],
    records.slice(0, 4),
    [...records, { n: 'more', v: 1 }],
    records.with(1, { n: 'gap-first', vs: '0000000200000002' }), // of another epoch than the last
    records.with(3, { n: 'gap-count', v: 2 }),
    records.with(4, { n: 'gap-reason', vs: 'eaten' }),
  ])
    expect(parseGap({ records: wrong })).toBeUndefined();
});
