/** Which certificates go to the chain together. */
import { describe, expect, it } from 'vitest';
import { batchesOf, residualBatch, slotsOf } from '../../edge/credits/due.ts';
import type { CertificateRow, ResidualRow } from '../../edge/store/credits.ts';

const DAY = 20_000 * 86_400;
const HOUR = 3600;
const iss = (device: number): string => `did:key:z${device}`;

const certificate = (hour: number, over: Partial<CertificateRow> = {}): CertificateRow => ({
  ...{
    point: 'urn:sejong:mp:1',
    slot: DAY + hour * HOUR,
    version: 0,
    id: `c${hour}`,
    pointId: '0x01',
    device: 1,
    wh: 5,
  },
  ...{ startIdx: 100 + hour, startIat: 0, startWh: 0, endIdx: 101 + hour, endIat: 0, endWh: 0, shape: 'reading' },
  ...{ flags: '[]', state: 'ready', code: null, detail: null, madeMs: 0 },
  ...over,
});
const hours = (rows: readonly CertificateRow[], alone: string[] = []) =>
  batchesOf(rows, new Set(alone), iss).map(({ kind, slots, entries }) => [
    kind,
    slots.map((slot) => (slot - DAY) / HOUR),
    entries.map((index) => index - 100),
  ]);

describe('what goes to the chain together', () => {
  it('is hours of one device that follow each other, over the readings between them', () => {
    expect(hours([certificate(9), certificate(8), certificate(10)])).toEqual([['slots', [8, 9, 10], [8, 9, 10, 11]]]);
  });

  it('ends at a gap, at midnight, at another device, version or reading', () => {
    expect(hours([certificate(8), certificate(10)])).toHaveLength(2);
    expect(hours([certificate(23), certificate(24)])).toHaveLength(2);
    expect(hours([certificate(8), certificate(9, { device: 2 })])).toHaveLength(2);
    expect(hours([certificate(8), certificate(9, { version: 1 })])).toHaveLength(2);
    expect(hours([certificate(8), certificate(9, { startIdx: 500 })])).toHaveLength(2);
    expect(hours([certificate(8), certificate(9, { point: 'urn:sejong:mp:2' })])).toHaveLength(2);
  });

  it('is a whole day profile, with its gaps, as its one entry', () => {
    const of = (hour: number) => certificate(hour, { shape: 'profile', startIdx: 107, endIdx: 107 });
    expect(hours([of(0), of(5), of(6)])).toEqual([['day', [0, 5, 6], [7]]]);
  });

  it('leaves alone what was refused with others, and comes in the order of time', () => {
    expect(hours([certificate(8), certificate(9), certificate(10)], ['c9'])).toEqual([
      ['slots', [8], [8, 9]],
      ['slots', [9], [9, 10]],
      ['slots', [10], [10, 11]],
    ]);
    const other = certificate(3, { point: 'urn:sejong:mp:2' });
    expect(hours([certificate(8), other]).map(([, slots]) => slots)).toEqual([[3], [8]]);
  });

  it('of a residual is its two ends, and takes each of its hours', () => {
    const residual = { fromAt: DAY, untilAt: DAY + 3 * HOUR, startIdx: 1, endIdx: 9, device: 1 } as ResidualRow;
    const batch = residualBatch({ ...residual, point: 'urn:x', pointId: '0x02' }, iss);
    expect(batch).toMatchObject({ kind: 'residual', iss: 'did:key:z1', entries: [1, 9] });
    expect(slotsOf(batch)).toEqual([DAY, DAY + HOUR, DAY + 2 * HOUR]);
  });
});
