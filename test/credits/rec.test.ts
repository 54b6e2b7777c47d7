import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NOTICE, type RecInput, recApplication } from '../../edge/credits/rec/application.ts';
import { carryText, deadlineOf, monthInHurry, recsByMonth, recsOf } from '../../edge/credits/rec/rec.ts';
import {
  compoundWeight,
  parseWeights,
  type RecPlant,
  tenThousandthsOf,
  weightOf,
  weightTable,
} from '../../edge/credits/rec/weights.ts';
import { kstMonthRange } from '../../edge/credits/time.ts';

const land = (capacityW: number, confirmed = '2020-01-01'): RecPlant => ({
  source: 'solar',
  class: 'land',
  capacityW,
  confirmed,
});

describe('the weight of a plant', () => {
  it('is 1.1333 at 150 kW and 1.0999 at 200 kW, 1.2 below 100 kW', () => {
    const at = (kw: number) => weightOf(land(kw * 1000)).text;
    expect([150, 200, 99, 99.999, 1, 0.001].map(at)).toEqual([
      '1.1333',
      '1.0999',
      '1.2000',
      '1.2000',
      '1.2000',
      '1.2000',
    ]);
    // (99.999 × 1.2 + 0.001) / 100 is 1.199998
    expect([100, 3000].map(at)).toEqual(['1.1999', '1.0066']);
  });

  it('above 3 MW has its next band, by the date on which the plant was confirmed', () => {
    // (99.999 × 1.2 + 2900.001 + 3000 × w) / 6000
    expect(weightOf(land(6_000_000, '2021-07-27')).text).toBe('0.8533');
    const later = weightOf(land(6_000_000, '2021-07-28'));
    expect([later.text, later.line.checked]).toEqual(['0.9033', false]);
    expect(weightOf({ source: 'solar', class: 'building', capacityW: 4_000_000, confirmed: '2026-11-25' }).text).toBe(
      '1.3750',
    );
    expect(weightOf({ source: 'wind', class: 'onshore', capacityW: 4_000_000, confirmed: '2026-11-25' }).text).toBe(
      '1.2000',
    );
  });

  it('is exact: the formula in whole numbers agrees with decimals by hand, at every capacity', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100_000, max: 3_000_000 }), (w) => {
        // (99.999 × 1.2 + (kW − 99.999)) / kW with everything times 10^4, in W.
        const byHand = (99_999n * 12_000n + (BigInt(w) - 99_999n) * 10_000n) / BigInt(w);
        expect(weightOf(land(w)).tenThousandths).toBe(byHand);
      }),
      { seed: 3, numRuns: 2000 },
    );
    const bands = [{ upToW: 10, weight: '1.2' }, { weight: '0.0001' }];
    expect(compoundWeight(bands, 10)).toBe(12_000n);
    expect(tenThousandthsOf('1.25')).toBe(12_500n);
  });

  it('is refused where the table has none', () => {
    for (const plant of [
      land(0),
      land(1.5),
      land(1000, '2018-06-25'),
      { ...land(1000), class: 'roof' },
      { ...land(1000), source: 'fuel cell' },
    ])
      expect(() => weightOf(plant)).toThrow('CREDIT_REC_UNKNOWN');
  });

  it('comes from a table whose every line says what it rests on', () => {
    expect(weightTable().length).toBeGreaterThanOrEqual(9);
    for (const line of weightTable()) expect(line.basis.length).toBeGreaterThan(20);
  });

  it('a table that is wrong is refused, with the place', () => {
    const line =
      "- { source: solar, class: land, from: '2020-01-01', bands: [{ weight: '1.2' }], basis: a law, checked: true }";
    expect(parseWeights(line)).toHaveLength(1);
    expect(() => parseWeights(`${line}\n${line}`)).toThrow('solar/land from 2020-01-01 is there twice');
    expect(() => parseWeights(line.replace("'1.2'", '1.2')), 'a float').toThrow('/0/bands/0/weight');
    expect(() => parseWeights(line.replace("[{ weight: '1.2' }]", "[{ upToW: 5, weight: '1.2' }]"))).toThrow(
      'the last band has none',
    );
    expect(() => parseWeights('hello')).toThrow('CONFIG_INVALID');
  });
});

describe('RECs of a month', () => {
  it('are MWh × weight in whole RECs, and the remainder goes to the next month', () => {
    // 15.5 MWh × 1.2 = 18.6, then 0.6 + 1 MWh × 1.2 = 1.8, then 0.8 + 0.2 = 1.0
    const weight = 12_000n;
    expect(
      recsByMonth([
        { wh: 15_500_000n, weight },
        { wh: 1_000_000n, weight },
        { wh: 166_667n, weight },
      ]),
    ).toEqual([
      { recs: 18n, carry: 6_000_000_000n },
      { recs: 1n, carry: 8_000_000_000n },
      { recs: 1n, carry: 4_000n },
    ]);
    expect(carryText(4_000n)).toBe('0.0000004000');
    expect(() => recsOf(-1n, 1n, 0n)).toThrow(RangeError);
  });

  it('lose nothing over any months', () => {
    const month = fc.record({
      wh: fc.bigInt({ min: 0n, max: 10n ** 12n }),
      weight: fc.bigInt({ min: 1n, max: 30_000n }),
    });
    fc.assert(
      fc.property(fc.array(month), (months) => {
        const made = recsByMonth(months);
        const parts = months.reduce((sum, { wh, weight }) => sum + wh * weight, 0n);
        const recs = made.reduce((sum, m) => sum + m.recs, 0n);
        expect(recs * 10n ** 10n + (made.at(-1)?.carry ?? 0n)).toBe(parts);
      }),
      { seed: 4 },
    );
  });
});

describe('the 90-day alarm', () => {
  const { from, until } = kstMonthRange('2026-11') as { from: number; until: number };
  const utc = (text: string) => Date.parse(text) / 1000;

  it('counts from the last day of the month of supply, in Korean time', () => {
    expect(deadlineOf(from, until - 1)).toEqual({ state: 'early', applyBy: '2027-02-28', daysLeft: 91 });
    expect(deadlineOf(until - 1, until)).toEqual({ state: 'open', applyBy: '2027-02-28', daysLeft: 90 });
    expect(deadlineOf(from, utc('2027-02-13T15:00:00Z'))).toMatchObject({ state: 'open', daysLeft: 15 });
    expect(deadlineOf(from, utc('2027-02-14T15:00:00Z'))).toMatchObject({ state: 'hurry', daysLeft: 14 });
    expect(deadlineOf(from, utc('2027-02-28T14:59:59Z'))).toMatchObject({ state: 'hurry', daysLeft: 1 });
    expect(deadlineOf(from, utc('2027-02-28T15:00:00Z'))).toMatchObject({ state: 'late', daysLeft: 0 });
  });
});

describe('the application', () => {
  const { from, until } = kstMonthRange('2026-11') as { from: number; until: number };
  const input: RecInput = {
    month: '2026-11',
    point: 'urn:sejong:mp:1',
    pointId: `0x${'ab'.repeat(32)}`,
    plant: land(150_000),
    slots: [
      { certificate: 'c2', slot: from + 3600, wh: 900_000, leftWh: 0 },
      { certificate: 'c1', slot: from, wh: 1_500_000, leftWh: 1_400_000 },
      { certificate: 'before', slot: from - 3600, wh: 1, leftWh: 1 },
      { certificate: 'after', slot: until, wh: 1, leftWh: 1 },
    ],
    residuals: [
      { from: from + 7200, until: from + 14_400, wh: 300_000, leftWh: 300_000 },
      { from: from - 7200, until: from, wh: 1, leftWh: 1 },
    ],
    carried: '5000000000',
    now: until,
  };

  it('lists the slots that it locks, what is left of them, and says what it is not', () => {
    const a = recApplication(input);
    expect(a.locks).toEqual([
      { meteringPoint: input.pointId, kind: 'slot', slot: from, wh: 1_400_000 },
      { meteringPoint: input.pointId, kind: 'residual', slot: from, wh: 300_000 },
    ]);
    expect(a.energy).toEqual({
      certifiedWh: 2_400_000,
      residualWh: 300_000,
      claimedWh: 1_000_000,
      appliedWh: 1_700_000,
    });
    // 1.7 MWh × 1.1333 + 0.5 = 2.42661
    expect(a.weight.value).toBe('1.1333');
    expect(a.recs).toEqual({ whole: '2', carriedIn: '0.5000000000', carriedOut: '0.4266100000', carry: '4266100000' });
    expect(a.deadline).toMatchObject({ state: 'open', daysLeft: 90 });
    expect([a.notice, a.statutory]).toEqual([NOTICE, false]);
    expect(NOTICE).toContain('It is not a REC');
    expect(a.locks.reduce((sum, l) => sum + l.wh, 0)).toBe(a.energy.appliedWh);
  });

  it('a month or a remainder that is none is refused', () => {
    expect(() => recApplication({ ...input, month: '2026-13' })).toThrow('REQUEST_INVALID');
    expect(() => recApplication({ ...input, carried: '-1' })).toThrow('REQUEST_INVALID');
    expect(() => recApplication({ ...input, plant: { ...input.plant, class: 'moon' } })).toThrow('CREDIT_REC_UNKNOWN');
  });
});

describe('the alarm of the 90 days', () => {
  const at = (text: string): number => Date.parse(text) / 1000;

  it('names the month whose last day is near, and none where it is not', () => {
    // August 2026 ends at 2026-08-31T15:00Z, and its 90 days at 2026-11-29T15:00Z.
    const of = (text: string, days = 14) => {
      const found = monthInHurry(at(text), days);
      return found && [found.month, found.due.daysLeft];
    };
    expect(of('2026-11-15T14:59:59Z')).toBeUndefined();
    expect(of('2026-11-15T15:00:00Z')).toEqual(['2026-08', 14]);
    expect(of('2026-11-29T14:59:59Z')).toEqual(['2026-08', 1]);
    expect(of('2026-11-29T15:00:00Z')).toBeUndefined();
    expect(of('2026-11-25T00:00:00Z', 0)).toBeUndefined();
    expect(of('2026-11-29T15:00:00Z', 90)).toEqual(['2026-09', 30]);
  });

  it('is there each month, whatever the day', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_600_000_000, max: 2_200_000_000 }), (now) => {
        const found = monthInHurry(now, 90);
        expect(found?.due).toEqual(deadlineOf(found?.from as number, now));
        expect(found?.due.daysLeft).toBeLessThanOrEqual(32);
      }),
    );
  });
});
