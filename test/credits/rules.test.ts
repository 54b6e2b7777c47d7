/** The rules of certificates, one after the other, under the words in which they were agreed. */
import { describe, expect, it } from 'vitest';
import { mostWh } from '../../edge/credits/cap.ts';
import { HORIZON, highestSun, sunElevation } from '../../edge/credits/sun.ts';
import { boundaryOf, kstMonthEnd, kstMonthRange, kstMonthStart, RAW_SLOT, slotOf } from '../../edge/credits/time.ts';
import { brief, HOUR, hourly, meter, NOON, plant, profile, reading, SEJONG, settled, swap } from './rig.ts';

const utc = (text: string): number => Date.parse(text) / 1000;
const two = [meter('A'), meter('B')];

describe('1. Slots: UTC lattice of 3600 s for certificates, 900 s raw. KST has no summer time; a REC month is a KST month (it starts at 15:00Z on the last day before)', () => {
  it('a slot begins at a full hour of UTC, also before 1970 and in the last second', () => {
    expect(slotOf(NOON)).toBe(NOON);
    expect(slotOf(NOON + 3599)).toBe(NOON);
    expect(slotOf(-1)).toBe(-HOUR);
    expect(slotOf(NOON + 1799, RAW_SLOT)).toBe(NOON + 900);
  });

  it('a month begins and ends at 15:00Z, in every month of the year, without a jump in spring', () => {
    for (let month = 1; month <= 12; month++) {
      const text = `2026-${String(month).padStart(2, '0')}`;
      const range = kstMonthRange(text) as { from: number; until: number };
      expect(new Date(range.from * 1000).toISOString()).toMatch(/T15:00:00\.000Z$/);
      expect(range.until - range.from).toBe(new Date(Date.UTC(2026, month, 0)).getUTCDate() * 86_400);
      expect(kstMonthStart(range.from)).toBe(range.from);
      expect(kstMonthStart(range.from - 1)).not.toBe(range.from);
      expect(kstMonthEnd(range.until - 1)).toBe(range.until);
    }
    expect(kstMonthRange('2026-03')?.from).toBe(utc('2026-02-28T15:00:00Z'));
    expect(kstMonthRange('2024-03')?.from).toBe(utc('2024-02-29T15:00:00Z'));
    expect(kstMonthRange('2026-01')?.from).toBe(utc('2025-12-31T15:00:00Z'));
    for (const text of ['2026-13', '2026-00', '2026-1', '26-01', '2026-01-01'])
      expect(kstMonthRange(text)).toBe(undefined);
  });
});

describe("2. The key is (metering point, slot start), unique in SQLite and on the chain. Not the device's DID (a swap would reopen the slot), not a content hash, not a high-water mark (late data would never certify)", () => {
  it('a slot is certified once, however many readings and meters speak of it', () => {
    const of = plant({ meters: two });
    const both = [...hourly(NOON, [0, 100, 200]), ...hourly(NOON, [0, 100, 200]), ...hourly(NOON, [7, 150, 300], 'B')];
    const { certificates } = settled(both, { swaps: [swap({ finalWh: 200, initialWh: 0 })] }, of);
    expect(certificates.map((c) => [c.slot, c.wh, c.start.device])).toEqual([
      [NOON, 100, 'A'],
      [NOON + HOUR, 100, 'A'],
    ]);
  });

  it('what is taken on the chain is not certified again, by whatever meter', () => {
    const taken = new Set([NOON]);
    expect(brief(settled(hourly(NOON, [0, 100, 200]), { taken }))).toEqual({ 1: '100' });
    const other = settled(
      hourly(NOON, [0, 100, 200], 'B'),
      { taken, swaps: [swap({ finalWh: 0, initialWh: 0 })] },
      plant({ meters: two }),
    );
    expect(brief(other)).toEqual({ 1: '100' });
  });

  it('late data certifies, also before what is certified already', () => {
    const fixed = [5, 6].map((h) => ({ at: NOON + h * HOUR, registerWh: 100 * h, device: 'A' }));
    const taken = new Set([NOON + 5 * HOUR]);
    const late = settled(hourly(NOON, [0, 100, undefined, 300, 400, 500, 600]), { fixed, taken });
    expect(brief(late)).toEqual({ 0: '100', '1-3': '200 gap', 3: '100', 4: '100' });
  });
});

describe('3. Floor each cumulative register to Wh, then subtract: sums telescope exactly', () => {
  it('hours of 1/3 kWh lose nothing over a day', () => {
    const floored = Array.from({ length: 25 }, (_, i) => Math.floor((i * 1000) / 3));
    const { certificates } = settled(hourly(NOON, floored));
    expect(certificates.map((c) => c.wh).slice(0, 3)).toEqual([333, 333, 334]);
    expect(certificates.reduce((sum, c) => sum + c.wh, 0)).toBe(8000);
  });
});

describe("4. Both boundary readings present within ±60 s. Never interpolate. A gap's known total goes to a residual of its period: visible, usable for a month, never as an hour", () => {
  it('a reading 60 s away stands for its hour, one of 61 s for none', () => {
    expect([-61, -60, 60, 61].map((off) => boundaryOf(NOON + off))).toEqual([undefined, NOON, NOON, undefined]);
    const at = (off: number) => brief(settled([reading(NOON, 0), reading(NOON + HOUR, 100, { off })]));
    expect(at(60)).toEqual({ 0: '100' });
    expect(at(-60)).toEqual({ 0: '100' });
    expect(at(61)).toEqual({});
  });

  it('of the same reading twice, the entry that came first is named', () => {
    const [start, end] = [reading(NOON, 0), reading(NOON + HOUR, 100)];
    const again = [start, end].map((b) => ({ ...b, idx: b.idx + 10 }));
    for (const order of [
      [start, end, ...again],
      [...again, end, start],
    ]) {
      const [certificate] = settled(order).certificates;
      expect([certificate?.start.idx, certificate?.end.idx]).toEqual([start.idx, end.idx]);
    }
  });

  it('the nearest reading stands for the hour, of two that are as near the earlier one', () => {
    const end = [
      reading(NOON + HOUR, 103, { off: 20 }),
      reading(NOON + HOUR, 97, { off: -20 }),
      reading(NOON + HOUR, 90, { off: -40 }),
    ];
    expect(brief(settled([reading(NOON, 0), ...end]))).toEqual({ 0: '97' });
  });

  it('a gap is one residual of its KST month, and no hour of it is made', () => {
    const { certificates, residuals } = settled(hourly(NOON, [0, 100, undefined, undefined, 400, 500]));
    expect(certificates.map((c) => c.slot)).toEqual([NOON, NOON + 4 * HOUR]);
    expect(residuals).toMatchObject([
      {
        from: NOON + HOUR,
        until: NOON + 4 * HOUR,
        wh: 300,
        month: utc('2026-09-30T15:00:00Z'),
        mintable: true,
        reason: 'gap',
      },
    ]);
  });

  it("a gap across a month's end belongs to none: visible, unusable", () => {
    const last = utc('2026-10-31T14:00:00Z');
    const across = settled(hourly(last, [0, undefined, 200]));
    expect(across.residuals).toMatchObject([{ wh: 200, month: undefined, mintable: false }]);
    const before = settled(hourly(last - HOUR, [0, undefined, 200]));
    expect(before.residuals).toMatchObject([{ month: utc('2026-09-30T15:00:00Z'), mintable: true }]);
    const after = settled(hourly(last + HOUR, [0, undefined, 200]));
    expect(after.residuals).toMatchObject([{ month: utc('2026-10-31T15:00:00Z'), mintable: true }]);
  });

  it('the register that the chain has fixed stands for the hour, though another reading is nearer', () => {
    const far = reading(NOON + HOUR, 95, { off: -50 });
    const boundaries = [...hourly(NOON, [0, 100, 200]), far];
    const fixed = [{ at: NOON + HOUR, registerWh: 95, device: 'A' }];
    const { certificates } = settled(boundaries, { fixed, taken: new Set([NOON]) });
    expect(certificates).toMatchObject([{ slot: NOON + HOUR, wh: 105, start: { idx: far.idx } }]);
  });

  it('a boundary fixed with a register that no reading here has makes the neighbour a residual, and so does another meter', () => {
    const taken = new Set([NOON]);
    const at = (registerWh: number, device: string) =>
      brief(settled(hourly(NOON, [0, 100, 200, 300]), { taken, fixed: [{ at: NOON + HOUR, registerWh, device }] }));
    expect(at(102, 'A')).toEqual({ '1-2': '98 boundary-fixed unusable', 2: '100' });
    expect(at(100, '')).toEqual({ '1-2': '100 boundary-fixed unusable', 2: '100' });
  });

  it('a day profile gives its 24 hours; a reading at one end and a profile at the other give none', () => {
    const day = utc('2026-10-02T00:00:00Z');
    const registers = Array.from({ length: 25 }, (_, i) => 10 * i);
    expect(settled(profile(day, registers)).certificates).toHaveLength(24);
    const mixed = settled([
      reading(day - HOUR, 0),
      ...profile(
        day,
        registers.map((wh) => wh + 10),
      ),
    ]);
    expect(brief(mixed, day)).toMatchObject({ '-1-0': '10 shape unusable', 0: '10', 23: '10' });
    const next = profile(
      day + 86_400,
      registers.map((wh) => wh + 240),
    );
    expect(settled([...profile(day, registers), ...next]).certificates).toHaveLength(48);
  });
});

describe("5. A negative difference is a rollover only if `modulus − previous + current` fits capacity × Δt × 1.05, the modulus coming from the register's type; else it is quarantined and a new register epoch needs a signed swap event with final and initial readings", () => {
  const rolling = (modulusWh: number | null) => plant({ meters: [meter('A', { modulusWh })] });
  const brieflyRolling = (modulusWh: number | null, registers: number[]) =>
    brief(settled(hourly(NOON, registers), {}, rolling(modulusWh)));

  it('over the modulus it goes on', () => {
    expect(brieflyRolling(1_000_000, [999_900, 50, 150])).toEqual({ 0: '150 rollover', 1: '100' });
    expect(brieflyRolling(1_000_000, [900_000, 5_000, 6_000]), 'just the most').toEqual({
      0: '105000 rollover',
      1: '1000',
    });
  });

  it('more than the plant can give is no rollover, and nothing without a modulus is', () => {
    expect(brieflyRolling(1_000_000, [900_000, 5_001])).toEqual({ '0-1': '0 CREDIT_REGISTER_FELL' });
    expect(brieflyRolling(null, [999_900, 50])).toEqual({ '0-1': '0 CREDIT_REGISTER_FELL' });
    expect(brieflyRolling(1_000_000, [1_000_001, 50]), 'the register is above its modulus').toEqual({
      '0-1': '0 CREDIT_REGISTER_FELL',
    });
  });

  it('a register that fell and came back counts nothing twice', () => {
    expect(brieflyRolling(null, [900, 1000, 500, 1010, 1020])).toEqual({
      0: '100',
      '1-2': '0 CREDIT_REGISTER_FELL',
      '2-3': '0 CREDIT_REGISTER_FELL',
      3: '10',
    });
    const before = new Map([['A', { at: NOON - 5 * HOUR, registerWh: 1000 }]]);
    expect(brief(settled(hourly(NOON, [500, 1010, 1020]), { before })), 'also where the range begins later').toEqual({
      '0-1': '0 CREDIT_REGISTER_FELL',
      1: '10',
    });
    const taken = new Set([NOON + 2 * HOUR]);
    const fixed = [2, 3].map((h) => ({ at: NOON + h * HOUR, registerWh: 500 + 10 * h, device: 'A' }));
    expect(
      brief(settled(hourly(NOON, [500, 600, 520, 530]), { taken, fixed })),
      'or the certified hour is after it',
    ).toEqual({
      '0-1': '0 CREDIT_REGISTER_FELL',
      '1-2': '0 CREDIT_REGISTER_FELL',
    });
  });

  it('what is certified nearest after it is what counts, in whatever order the chain says it', () => {
    const fixed = [
      { at: NOON + 6 * HOUR, registerWh: 2000, device: 'A' },
      { at: NOON + 3 * HOUR, registerWh: 1000, device: 'A' },
    ];
    for (const order of [fixed, fixed.toReversed()])
      expect(brief(settled(hourly(NOON, [900, 1000, 1500]), { fixed: order }))).toEqual({
        0: '100',
        '1-2': '0 CREDIT_REGISTER_FELL',
      });
  });

  it('a register that jumped up for one reading costs its two hours, and no more', () => {
    expect(brieflyRolling(null, [900, 1000, 9_000_000, 1010, 1020])).toEqual({
      0: '100',
      '1-2': '8999000 CREDIT_OVER_CAPACITY',
      '2-3': '0 CREDIT_REGISTER_FELL',
      3: '10',
    });
  });

  it('a register that begins anew certifies nothing until a signed swap says so', () => {
    expect(brieflyRolling(null, [900, 1000, 0, 100, 200])).toEqual({
      0: '100',
      '1-2': '0 CREDIT_REGISTER_FELL',
      '2-3': '0 CREDIT_REGISTER_FELL',
      '3-4': '0 CREDIT_REGISTER_FELL',
    });
    const boundaries = [...hourly(NOON, [900, 1000]), ...hourly(NOON + 2 * HOUR, [30, 100, 200], 'B')];
    const of = plant({ meters: two });
    expect(brief(settled(boundaries, {}, of))).toEqual({
      0: '100',
      '2-3': '70 CREDIT_EPOCH_UNKNOWN',
      '3-4': '100 CREDIT_EPOCH_UNKNOWN',
    });
    const told = settled(boundaries, { swaps: [swap({ finalWh: 1040, initialWh: 10 })] }, of);
    expect(brief(told)).toEqual({ 0: '100', '1-2': '60 swap unusable', 2: '70', 3: '100' });
  });

  it('the hour of a swap is known as a whole where both registers were read, and never certified', () => {
    const of = plant({ meters: two });
    const boundaries = [...hourly(NOON, [900, 1000]), ...hourly(NOON + 2 * HOUR, [30, 100], 'B')];
    const at = (over: Parameters<typeof swap>[0]) => brief(settled(boundaries, { swaps: [swap(over)] }, of))['1-2'];
    expect(at({ finalWh: 1040, initialWh: 10 })).toBe('60 swap unusable');
    expect(at({ finalWh: null, initialWh: 10 })).toBe('0 CREDIT_SWAP_UNREAD');
    expect(at({ finalWh: 1040, initialWh: null })).toBe('0 CREDIT_SWAP_UNREAD');
    expect(at({ finalWh: 990, initialWh: 10 }), 'below what the old one signed').toBe('0 CREDIT_SWAP_CONTRADICTED');
    expect(at({ finalWh: 1040, initialWh: 31, atMs: 0 }), 'above what the new one signed').toBe(
      '0 CREDIT_SWAP_CONTRADICTED',
    );
    expect(at({ finalWh: 1_000_000, initialWh: 10 })).toBe('999020 CREDIT_OVER_CAPACITY');
  });

  it('what a meter counted before it was put in does not count', () => {
    const of = plant({ meters: two });
    const boundaries = [...hourly(NOON, [900, 1000]), ...hourly(NOON + 2 * HOUR, [5, 9, 30, 100], 'B')];
    const swaps = [swap({ finalWh: 1040, initialWh: 20, atMs: (NOON + 3.5 * HOUR) * 1000 })];
    expect(brief(settled(boundaries, { swaps }, of))).toEqual({ 0: '100', '1-4': '50 swap unusable', 4: '70' });
  });

  it('with a new key the register goes on: the hour of the change is known as a whole', () => {
    const boundaries = [...hourly(NOON, [900, 1000]), ...hourly(NOON + 2 * HOUR, [1070, 1100], 'B')];
    const swaps = [swap({ how: 'rekey' })];
    expect(brief(settled(boundaries, { swaps }, plant({ meters: two })))).toEqual({
      0: '100',
      '1-2': '70 rekey unusable',
      2: '30',
    });
    const fell = [...hourly(NOON, [900, 1000]), ...hourly(NOON + 3 * HOUR, [500, 1010, 1020], 'B')];
    expect(brief(settled(fell, { swaps }, plant({ meters: two })))).toEqual({
      0: '100',
      '1-3': '0 CREDIT_SWAP_CONTRADICTED',
      '3-4': '0 CREDIT_REGISTER_FELL',
      4: '10',
    });
  });

  it('a meter that was revoked leaves its place to the next one, and what it signed does not count', () => {
    const of = plant({ meters: [meter('A', { status: 'revoked' }), meter('B')] });
    const boundaries = [...hourly(NOON, [900, 1000]), ...hourly(NOON + 2 * HOUR, [30, 100], 'B')];
    expect(brief(settled(boundaries, {}, of))).toEqual({ '0-1': '100 CREDIT_METER_REVOKED', 2: '70' });
  });

  it('only a meter that holds its own key certifies', () => {
    const of = plant({ meters: [meter('A', { custody: 'gateway' })] });
    expect(brief(settled(hourly(NOON, [0, 100]), {}, of))).toEqual({ '0-1': '100 CREDIT_CUSTODY' });
  });
});

describe('7. A slot is capped by capacity × duration × 1.05; energy at night from a solar plant is flagged; an inverter is cross-checked against the revenue meter where both exist', () => {
  it('the cap is exact, and counts the time between the two readings', () => {
    expect(mostWh(100_000, 3600)).toBe(105_000);
    expect(mostWh(1, 3600)).toBe(1);
    expect(mostWh(19, 3600)).toBe(19);
    expect(mostWh(20, 3600)).toBe(21);
    expect(brief(settled(hourly(NOON, [0, 105_000])))).toEqual({ 0: '105000' });
    expect(brief(settled(hourly(NOON, [0, 105_001])))).toEqual({ '0-1': '105001 CREDIT_OVER_CAPACITY' });
    const longer = settled([reading(NOON, 0, { off: -60 }), reading(NOON + HOUR, 108_500, { off: 60 })]);
    expect(brief(longer), '120 s more').toEqual({ 0: '108500' });
    const shorter = settled([reading(NOON, 0, { off: 60 }), reading(NOON + HOUR, 105_000, { off: -60 })]);
    expect(brief(shorter), '120 s less').toEqual({ '0-1': '105000 CREDIT_OVER_CAPACITY' });
  });

  it('a gap is capped alike, and a plant without a known capacity certifies nothing', () => {
    expect(brief(settled(hourly(NOON, [0, undefined, 210_000])))).toEqual({ '0-2': '210000 gap' });
    expect(brief(settled(hourly(NOON, [0, undefined, 210_001])))).toEqual({ '0-2': '210001 CREDIT_OVER_CAPACITY' });
    const of = plant({ meters: [meter('A', { capacityW: null })] });
    expect(brief(settled(hourly(NOON, [0, 1]), {}, of))).toEqual({ '0-1': '1 CREDIT_CAPACITY_UNKNOWN' });
  });

  it('who lies about the capacity loses the hours above it, and keeps the others', () => {
    const of = plant({ meters: [meter('A', { capacityW: 1000 })] });
    expect(brief(settled(hourly(NOON, [0, 900, 4000, 4800]), {}, of))).toEqual({
      0: '900',
      '1-2': '3100 CREDIT_OVER_CAPACITY',
      2: '800',
    });
  });

  it('the sun of Sejong sets and rises when the Korea Astronomy and Space Science Institute says', () => {
    // Published for Sejong: last sunset of 2019 at 17:25 KST, first sunrise of 2020 at 07:43.
    const up = (text: string): boolean => sunElevation(utc(text), SEJONG) > HORIZON;
    expect([up('2019-12-31T08:24:00Z'), up('2019-12-31T08:26:30Z')]).toEqual([true, false]);
    expect([up('2019-12-31T22:41:30Z'), up('2019-12-31T22:44:00Z')]).toEqual([false, true]);
    const noon = (day: string): number => highestSun(utc(`${day}T00:00:00Z`), utc(`${day}T09:00:00Z`), SEJONG);
    expect(noon('2026-06-21')).toBeCloseTo(90 - 36.48 + 23.44, 0);
    expect(noon('2026-12-22')).toBeCloseTo(90 - 36.48 - 23.44, 0);
  });

  it('energy of the sun at night is flagged, of the wind or by day it is not', () => {
    const midnight = utc('2026-10-02T15:00:00Z');
    const night = settled(hourly(midnight, [0, 100, 200]));
    expect(brief(night, midnight)).toEqual({ 0: '100 night', 1: '100 night' });
    expect(night.certificates[0]?.flags[0]?.evidence.sunDegrees).toBeLessThan(-40);
    expect(brief(settled(hourly(NOON, [0, 100])))).toEqual({ 0: '100' });
    expect(brief(settled(hourly(midnight, [0, 100]), {}, plant({ source: 'wind' })), midnight)).toEqual({ 0: '100' });
    expect(brief(settled(hourly(midnight, [0, 0])), midnight)).toEqual({ 0: 'empty' });
  });

  it('an inverter that says otherwise is a flag with the numbers, and never makes a certificate', () => {
    const meterSays = hourly(NOON, [0, 50_000, 100_000]);
    const inverter = (registers: number[], over: object = {}) =>
      registers.map((wh, i) => ({ ...reading(NOON + i * HOUR, wh, { device: 'I' }), ...over }));
    const flags = (inverters: ReturnType<typeof inverter>) =>
      settled(meterSays, { inverters }).certificates.map((c) => c.flags);
    expect(flags(inverter([7, 51_007, 100_007]))).toEqual([[], []]);
    expect(flags(inverter([7, 40_007, 90_007]))).toEqual([
      [
        {
          flag: 'inverter-deviation',
          evidence: { meterWh: 50_000, inverterWh: 40_000, deviationWh: 10_000, apartWh: 0 },
        },
      ],
      [],
    ]);
    expect(settled([], { inverters: inverter([0, 1000]) }).certificates).toEqual([]);
    expect(brief(settled([], { inverters: inverter([0, 1000]) }))).toEqual({});
    const two = [...inverter([0, 20_000]), ...inverter([0, 30_000]).map((b) => ({ ...b, device: 'J' }))];
    expect(flags(two), 'their sum is compared').toEqual([[], []]);
    expect(flags(two.filter((b) => b.device === 'I' || b.at === NOON)), 'and nothing where one is missing').toEqual([
      [],
      [],
    ]);
  });

  it('readings of an inverter that are apart in time may differ by what the plant gives in it', () => {
    const inverters = [
      reading(NOON, 0, { device: 'I', off: 60 }),
      reading(NOON + HOUR, 50_000 - 3_300, { device: 'I', off: -60 }),
    ];
    const [certificate] = settled(hourly(NOON, [0, 50_000]), { inverters }).certificates;
    expect(certificate?.flags).toEqual([]);
  });
});

describe('8. Storage: discharge earns credit only against cancelled charge certificates', () => {
  const storage = plant({ kind: 'storage', source: 'battery' });

  it('nothing without a charge, and no more than the charge', () => {
    const day = hourly(NOON, [0, 100, 250, 300]);
    expect(brief(settled(day, {}, storage))).toEqual({ '0-1': '100 charge', '1-2': '150 charge', '2-3': '50 charge' });
    expect(brief(settled(day, { chargedWh: 150 }, storage))).toEqual({
      0: '100 storage',
      '1-2': '150 charge',
      2: '50 storage',
    });
    expect(brief(settled(day, { chargedWh: 300 }, storage))).toEqual({
      0: '100 storage',
      1: '150 storage',
      2: '50 storage',
    });
  });

  it('a gap of a storage plant wants its charge too, and a plant needs none', () => {
    const gap = hourly(NOON, [0, undefined, 250]);
    expect(brief(settled(gap, { chargedWh: 249 }, storage))).toEqual({ '0-2': '250 charge' });
    expect(brief(settled(gap, { chargedWh: 250 }, storage))).toEqual({ '0-2': '250 gap' });
    expect(brief(settled(gap))).toEqual({ '0-2': '250 gap' });
    expect(brief(settled(gap, {}, plant({ source: 'storage' })))).toEqual({ '0-2': '250 charge' });
  });
});

describe('10. Clock quality: a reading taken with an unsynced clock does not make a certificate until its offset is known', () => {
  const [first, second, third] = hourly(NOON, [0, 100, 200]) as [
    ReturnType<typeof reading>,
    ReturnType<typeof reading>,
    ReturnType<typeof reading>,
  ];
  const unsynced = (offsetMs: number | undefined) => ({ ...second, clock: { synced: false, offsetMs } as const });

  it('it waits, on both sides of its hour, and no residual is made over it', () => {
    expect(brief(settled([first, unsynced(undefined), third]))).toEqual({ '0-1': '100 clock', '1-2': '100 clock' });
  });

  it('once the offset is known it counts, and says so', () => {
    const { certificates } = settled([first, unsynced(5000), third]);
    expect(certificates.map((c) => c.flags)).toEqual(
      Array(2).fill([{ flag: 'clock-corrected', evidence: { offsetMs: 5000 } }]),
    );
  });

  it('one that says it is of a time that had not come when it was received counts never', () => {
    const early = { ...unsynced(-120_000), receivedMs: second.iat * 1000 };
    expect(brief(settled([first, early]))).toEqual({ '0-1': '100 CREDIT_TIME' });
    expect(brief(settled([first, early, third])), 'its hours are a gap').toEqual({ '0-2': '200 gap' });
    const ahead = (ms: number) => brief(settled([first, { ...second, receivedMs: second.iat * 1000 - ms }]));
    expect(ahead(60_000)).toEqual({ 0: '100' });
    expect(ahead(60_001)).toEqual({ '0-1': '100 CREDIT_TIME' });
  });

  it('another reading of that hour, with a good clock, is taken in its place', () => {
    const good = reading(NOON + HOUR, 99, { off: -30 });
    expect(brief(settled([first, unsynced(undefined), good, third]))).toEqual({ 0: '99', 1: '101' });
  });

  it('what a suspended meter signed waits for the operator', () => {
    const of = plant({ meters: [meter('A', { status: 'suspended' })] });
    expect(brief(settled([first, second], {}, of))).toEqual({ '0-1': '100 suspended' });
  });
});
