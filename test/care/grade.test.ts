import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAYS, gradeDay, REGISTERS } from '../../edge/care/grade.ts';

/** Wh of each hour of 61 days, as registers. */
function registers(wh: (day: number, hour: number) => number, start = 123_456): number[] {
  const found = [start];
  for (let i = 0; i < REGISTERS - 1; i++) found.push((found.at(-1) as number) + wh(Math.floor(i / 24), i % 24));
  return found;
}

/** Somebody who sleeps from hour 15 to 22 of the window, and whose days differ by what `noise` says. */
const usually = (noise: (day: number, hour: number) => number) => (day: number, hour: number) =>
  hour >= 15 && hour < 22 ? 40 + (noise(day, hour) % 8) : 150 + (noise(day, hour) % 400);
/** Wide enough apart that days are not the same, and the same at each run. */
const noise = (seed: number) => (day: number, hour: number) => ((day * 24 + hour + seed) * 2_654_435_761) % 7919;
const today = (of: (hour: number) => number, before = usually(noise(1))) =>
  registers((day, hour) => (day === DAYS ? of(hour) : before(day, hour)));

describe('a day is graded by the 60 before it', () => {
  it('a day like one of them is usual', () => {
    for (let like = 0; like < DAYS; like += 7)
      expect(gradeDay(today((hour) => usually(noise(1))(like, hour)))).toMatchObject({ days: DAYS });
    // Of the 60 themselves at most as many are unusual as the two shares of 5 % make.
    const grades = Array.from(
      { length: DAYS },
      (_, like) => gradeDay(today((hour) => usually(noise(1))(like, hour))).grade,
    );
    expect(grades.filter((grade) => grade !== 'usual').length).toBeLessThanOrEqual(2 * Math.floor(0.05 * DAYS));
    expect(grades).not.toContain('very-unusual');
  });

  it('nobody up since last evening is very unusual, and so is nothing at all', () => {
    expect(gradeDay(today(() => 42))).toEqual({ grade: 'very-unusual', reason: 'quiet-for-long', days: DAYS });
    expect(gradeDay(today(() => 0))).toEqual({ grade: 'very-unusual', reason: 'quiet-for-long', days: DAYS });
  });

  it('an hour or so longer in bed than ever is unusual, not more', () => {
    const later = today((hour) => (hour >= 15 && hour < 23 ? 40 : 300));
    expect(gradeDay(later)).toMatchObject({ grade: 'unusual', reason: 'quiet-for-long' });
  });

  it('up and about with next to nothing switched on is told apart from lying still', () => {
    // One hour in three is above the base load, so that no run is long.
    const little = today((hour) => (hour % 3 === 0 ? 60 : 38));
    expect(gradeDay(little)).toMatchObject({ reason: 'uses-little', grade: 'very-unusual' });
  });

  it('who always is as quiet, is usual', () => {
    expect(gradeDay(registers(() => 30))).toEqual({ grade: 'usual', reason: 'as-usual', days: DAYS });
  });

  it('a meter that was not heard says nothing of the day, and days without readings are no days', () => {
    const whole: (number | null)[] = registers(usually(noise(2)));
    const deaf = whole.with(-4, null).with(-3, null);
    expect(gradeDay(deaf)).toEqual({ grade: 'unknown', reason: 'no-readings', days: DAYS });
    // One hour that is missing at its end costs two differences: that much is borne.
    expect(gradeDay(whole.with(-4, null)).grade).not.toBe('unknown');
    const away = whole.map((register, i) => (i >= 24 * 20 && i < 24 * 51 ? null : register));
    expect(gradeDay(away)).toEqual({ grade: 'unknown', reason: 'too-few-days', days: 29 });
    const shorter = whole.map((register, i) => (i >= 24 * 20 && i < 24 * 40 ? null : register));
    expect(gradeDay(shorter)).toMatchObject({ days: 40, grade: 'usual' });
  });

  it('a register that falls makes no energy', () => {
    const swapped = registers(usually(noise(3))).map((register, i) => (i >= 24 * 30 ? register - 100_000 : register));
    expect(gradeDay(swapped)).toMatchObject({ days: DAYS, grade: 'usual' });
  });

  it('depends on nothing but the differences, and a day with more in it never makes a worse grade', () => {
    const rank = ['usual', 'unusual', 'very-unusual'];
    const wh = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: REGISTERS - 1, maxLength: REGISTERS - 1 });
    fc.assert(
      fc.property(wh, fc.integer({ min: 0, max: 1e12 }), fc.integer({ min: 1, max: 5000 }), (hours, start, more) => {
        const of = (given: readonly number[], first = 0) => {
          let sum = first;
          return [sum, ...given.map((x) => (sum += x))];
        };
        const graded = gradeDay(of(hours));
        expect(gradeDay(of(hours, start))).toEqual(graded);
        const busier = gradeDay(of(hours.map((x, i) => (i >= DAYS * 24 ? x + more : x))));
        expect(rank.indexOf(busier.grade)).toBeLessThanOrEqual(rank.indexOf(graded.grade));
      }),
      { numRuns: 200, seed: 7 },
    );
  });
});
