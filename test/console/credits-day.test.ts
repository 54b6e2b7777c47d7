import { describe, expect, it } from 'vitest';
import type { PointSlotsView, SlotView } from '../../edge/api/credit-views.ts';
import {
  CELLS,
  cellOf,
  koreanDate,
  levelOf,
  mostOf,
  parseDate,
  SIGNS,
  shiftDate,
  sumsOf,
} from '../../edge/console/pages/credits-day.ts';

const slot = (over: Partial<SlotView>): SlotView => ({
  ...{ slot: 0, state: 'none', missing: null, id: null, wh: 0, claimedWh: 0, code: null, flags: [] },
  ...over,
});
const point = (slots: SlotView[], residuals: { wh: number; state: string }[] = []): PointSlotsView =>
  ({ meteringPoint: 'urn:x', capacityW: 1000, slots, residuals }) as unknown as PointSlotsView;

describe('a strip of a day', () => {
  it('has a cell for each state, and a sign that no other has', () => {
    const cells = [
      slot({ state: 'minted', wh: 400 }),
      slot({ state: 'minted', wh: 400, claimedWh: 1 }),
      slot({ state: 'minted', wh: 400, claimedWh: 400 }),
      ...(['sent', 'ready', 'refused', 'withdrawn'] as const).map((state) => slot({ state, wh: 1 })),
      ...(['residual', 'no-energy', 'clock', 'no-start', 'ahead'] as const).map((missing) => slot({ missing })),
    ].map(cellOf);
    expect(cells).toEqual([...CELLS]);
    expect(new Set(Object.values(SIGNS)).size).toBe(CELLS.length);
    for (const missing of ['no-readings', 'no-end'] as const) expect(cellOf(slot({ missing }))).toBe('missing');
    for (const missing of ['suspended', 'charge', 'pending'] as const)
      expect(cellOf(slot({ missing }))).toBe('waiting');
    expect(cellOf(slot({ missing: 'running' }))).toBe('ahead');
  });

  it('is coloured by what the plant can give, or else by the most that is shown', () => {
    expect([0, 1, 250, 251, 1000, 1050].map((wh) => levelOf(wh, 1000, 9999))).toEqual([0, 1, 1, 2, 4, 4]);
    expect([1, 400].map((wh) => levelOf(wh, null, 400))).toEqual([1, 4]);
    expect(levelOf(5, null, 0)).toBe(0);
    expect(mostOf([point([slot({ wh: 7 })]), point([slot({ wh: 9 })])])).toBe(9);
    expect(mostOf([])).toBe(0);
  });

  it('adds up each hour once', () => {
    const day = point(
      [
        slot({ state: 'minted', wh: 400, claimedWh: 150 }),
        slot({ state: 'ready', wh: 10 }),
        slot({ state: 'sent', wh: 5 }),
        slot({ state: 'refused', wh: 3 }),
        slot({ missing: 'no-end' }),
        slot({ missing: 'ahead' }),
      ],
      [
        { wh: 1500, state: 'ready' },
        { wh: 9, state: 'refused' },
      ],
    );
    const expected = { minted: 400, claimed: 150, waiting: 15, refused: 3, residual: 1500, missingHours: 1 };
    expect(sumsOf([day])).toEqual(expected);
    expect(sumsOf([])).toEqual({ minted: 0, claimed: 0, waiting: 0, refused: 0, residual: 0, missingHours: 0 });
  });

  it('is of a day of Korean time', () => {
    expect(koreanDate(Date.parse('2026-11-24T14:59:59Z'))).toBe('2026-11-24');
    expect(koreanDate(Date.parse('2026-11-24T15:00:00Z'))).toBe('2026-11-25');
    expect([shiftDate('2026-12-31', 1), shiftDate('2026-03-01', -1)]).toEqual(['2027-01-01', '2026-02-28']);
    expect(['2026-02-30', '2026-2-3', 'today', '', null].map(parseDate)).toEqual(Array(5).fill(undefined));
    expect(parseDate('2026-02-28')).toBe('2026-02-28');
  });
});
