import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settle } from '../../edge/credits/settle.ts';
import {
  type Statement,
  type StatementInput,
  type StatementResidual,
  type StatementRow,
  statement,
} from '../../edge/credits/statement.ts';
import { kstMonthRange, kstMonthStart } from '../../edge/credits/time.ts';
import type { Settled } from '../../edge/credits/types.ts';
import { historyArb } from './histories.ts';
import { HOUR } from './rig.ts';

const MONTH = '2026-11';
const { from: FROM, until: UNTIL } = kstMonthRange(MONTH) as { from: number; until: number };

const row = (hour: number, over: Partial<StatementRow> = {}): StatementRow => ({
  id: `c${hour}`,
  slot: FROM + hour * HOUR,
  version: 0,
  device: 'A',
  wh: 100,
  state: 'minted',
  code: null,
  claimedWh: 0,
  leftWh: 100,
  startIdx: hour,
  startWh: 100 * hour,
  endIdx: hour + 1,
  endWh: 100 * hour + 100,
  ...over,
});
const residual = (from: number, until: number, over: Partial<StatementResidual> = {}): StatementResidual => ({
  from: FROM + from * HOUR,
  until: FROM + until * HOUR,
  wh: 70,
  reason: 'gap',
  state: 'ready',
  code: null,
  mintable: true,
  ...over,
});
const of = (over: Partial<StatementInput>): Statement =>
  statement({
    month: MONTH,
    point: 'urn:sejong:mp:1',
    pointId: '0x',
    gsrn: '880',
    certificates: [],
    residuals: [],
    residualClaimedWh: 0,
    trades: [],
    ...over,
  });

const expectToAddUp = (s: Statement): void => {
  expect(s.generatedWh).toBe(s.certifiedWh + s.residualWh + s.unusableWh + s.refusedWh + s.withdrawnWh);
  const { readyWh, sentWh, mintedWh, claimedWh, debitedWh, owedWh, leftWh } = s.certified;
  expect(s.certifiedWh).toBe(readyWh + sentWh + mintedWh);
  expect(mintedWh + owedWh).toBe(claimedWh + debitedWh + leftWh);
  expect(s.residualWh).toBe(s.residual.readyWh + s.residual.mintedWh);
  expect(s.hours.all).toBe(s.hours.certified + s.hours.refused + s.hours.withdrawn + s.hours.unknown);
};

describe('the statement of a KST month', () => {
  it('counts each hour once, by what became of it, and nothing of other months', () => {
    const s = of({
      certificates: [
        row(-1, { wh: 1 }),
        row(0, { claimedWh: 30, leftWh: 70 }),
        row(1, { state: 'ready', leftWh: 0 }),
        row(2, { state: 'sent', leftWh: 0 }),
        row(3, { state: 'refused', code: 'CREDIT_OVER_CAPACITY', wh: 900, leftWh: 0 }),
        row(4, { state: 'withdrawn', leftWh: 0 }),
        row(5, { state: 'withdrawn', wh: 412, claimedWh: 300, leftWh: 0 }),
        row(5, { version: 1, wh: 250, claimedWh: 300, leftWh: 0 }),
        row(6, { claimedWh: 0, leftWh: 50 }),
        row((UNTIL - FROM) / HOUR, { wh: 1 }),
      ],
      residuals: [
        residual(7, 9),
        residual(9, 11, { state: 'minted', wh: 30 }),
        residual(11, 12, { mintable: false, reason: 'swap', wh: 5 }),
        residual(12, 14, { mintable: false, state: 'refused', code: 'CREDIT_SWAP_UNREAD', reason: 'refused', wh: 0 }),
        residual(-3, 0, { wh: 1000, mintable: false }),
        residual(-2, 1, { wh: 8, mintable: false }),
      ],
      residualClaimedWh: 12,
      trades: [
        { time: FROM, wh: 40 },
        { time: UNTIL, wh: 1 },
      ],
    });
    expectToAddUp(s);
    expect(s).toMatchObject({
      generatedWh: 650 + 100 + 5 + 900 + 100,
      certifiedWh: 650,
      residualWh: 100,
      unusableWh: 5,
      refusedWh: 900,
      withdrawnWh: 100,
      certified: { readyWh: 100, sentWh: 100, mintedWh: 450, claimedWh: 330, debitedWh: 50, owedWh: 50, leftWh: 120 },
      residual: { readyWh: 70, mintedWh: 30, claimedWh: 12 },
      tradedWh: 40,
      hours: { all: 720, certified: 5, refused: 1, withdrawn: 1, unknown: 713 },
      acrossMonths: [{ wh: 8 }],
      unusable: [{ reason: 'swap' }],
      meters: [{ device: 'A', firstEntry: 0, firstWh: 0, lastEntry: 7, lastWh: 700 }],
    });
    expect(s.refused.map((r) => r.code)).toEqual(['CREDIT_OVER_CAPACITY', 'CREDIT_SWAP_UNREAD']);
  });

  it('adds up over whatever rows there are', () => {
    const any = fc.record({
      hour: fc.integer({ min: -2, max: 30 }),
      version: fc.nat(2),
      wh: fc.nat(1000),
      state: fc.constantFrom<StatementRow['state']>('ready', 'sent', 'minted', 'refused', 'withdrawn'),
      claimedWh: fc.nat(1000),
      left: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 60 }), (rows) => {
        const certificates = rows.map(({ hour, left, ...more }) =>
          row(hour, { ...more, leftWh: more.state === 'minted' ? Math.min(left, more.wh) : 0 }),
        );
        expectToAddUp(of({ certificates }));
      }),
      { seed: 6 },
    );
  });

  it('of random histories: all months and what lies across them are what the rules made, to the Wh', () => {
    fc.assert(
      fc.property(historyArb(true), (h) => {
        const s = settle(h.plant, { boundaries: h.readings, swaps: h.swaps, fixed: [], taken: new Set() });
        const rows = rowsOf(s);
        const statements = ['2026-10', '2026-11'].map((month) => of({ month, ...rows }));
        statements.forEach(expectToAddUp);
        const made = [...s.certificates, ...s.residuals, ...s.refused].reduce((sum, { wh }) => sum + wh, 0);
        // What lies across is seen in both months, and counted in neither.
        const across = statements.map((x) => x.acrossMonths.reduce((sum, { wh }) => sum + wh, 0));
        expect(across[0]).toBe(across[1]);
        expect(statements.reduce((sum, x) => sum + x.generatedWh, 0) + (across[0] as number)).toBe(made);
      }),
      { seed: 8, numRuns: 300 },
    );
  });

  it('a month that is none is refused', () => {
    expect(() => of({ month: '2026-1' })).toThrow('REQUEST_INVALID');
    expect(kstMonthStart(FROM)).toBe(FROM);
  });
});

/** As they are kept. */
function rowsOf(s: Settled): Pick<StatementInput, 'certificates' | 'residuals'> {
  const isHour = (r: Settled['refused'][number]) => r.until - r.from === HOUR && r.start.device === r.end.device;
  const hour = (slot: number, wh: number, state: StatementRow['state'], code: string | null): StatementRow =>
    row((slot - FROM) / HOUR, { slot, wh, state, code, leftWh: 0 });
  return {
    certificates: [
      ...s.certificates.map((c) => hour(c.slot, c.wh, 'ready', null)),
      ...s.refused.filter(isHour).map((r) => hour(r.from, r.wh, 'refused', r.code)),
    ],
    residuals: [
      ...s.residuals.map((r) => ({ ...r, state: 'ready' as const, code: null })),
      ...s.refused
        .filter((r) => !isHour(r))
        .map((r) => ({ ...r, reason: 'refused', mintable: false, state: 'refused' as const })),
    ],
  };
}
