import { describe, expect, it } from 'vitest';
import { AGREEING, type Expected, RegisterWatch, registerOf } from '../../edge/profiles/watch.ts';

const NAME = '1-0:1.8.0';
const watching = (expected: Partial<Expected> = {}) => {
  const watch = new RegisterWatch((name) => (name === NAME ? { scale: 1, ...expected } : undefined));
  let at = 1_790_000_000;
  return (v: number, seconds = 10, t?: number): string | undefined => {
    at += seconds;
    return watch.judge([{ n: NAME, u: 'Wh', v, ...(t === undefined ? {} : { t }) }], at);
  };
};

describe('a register', () => {
  it('that rises is believed, and so is one that stands still', () => {
    const judge = watching({ mostPerHour: 3600 });
    expect([judge(1000), judge(1005), judge(1005), judge(1015)]).toEqual(Array(4).fill(undefined));
  });

  it('that falls where nothing explains it is doubted, and the good value after it is not', () => {
    const judge = watching({ mostPerHour: 3600 });
    judge(1000);
    expect(judge(0)).toBe(`${NAME} fell from 1000 to 0 Wh`);
    expect(judge(1010)).toBeUndefined();
  });

  it('that jumps is doubted, and the good value after it is not', () => {
    const judge = watching({ mostPerHour: 3600 });
    judge(1000);
    expect(judge(9_000_000)).toBe(`${NAME} rose from 1000 to 9000000 Wh in 10 s`);
    expect(judge(1020)).toBeUndefined();
  });

  it('that begins anew at its modulus is believed, by what it can rise in that time', () => {
    const judge = watching({ modulus: 100_000, mostPerHour: 3600 });
    judge(99_990);
    expect(judge(5, 60)).toBeUndefined();
    expect(judge(15)).toBeUndefined();
    const other = watching({ modulus: 100_000, mostPerHour: 3600 });
    other(50_000);
    expect(other(5, 60)).toBe(`${NAME} fell from 50000 to 5 Wh, and it begins anew at 100000`);
  });

  it('of which nobody said how fast it rises begins anew only from its last tenth', () => {
    const judge = watching({ modulus: 100_000 });
    judge(95_000);
    expect(judge(4000)).toBeUndefined();
    expect(judge(3999)).toContain('fell from 4000 to 3999');
  });

  it('may have risen for as long as nobody read it', () => {
    const judge = watching({ mostPerHour: 3600 });
    judge(1000);
    expect(judge(1000 + 86_400, 86_400)).toBeUndefined();
  });

  it('that rises in steps of its own is not doubted for that', () => {
    const judge = watching({ mostPerHour: 100_000, scale: 1000 });
    judge(5000);
    expect(judge(6000)).toBeUndefined();
  });

  it('of a meter that was swapped is believed once enough values follow from each other', () => {
    const judge = watching({ mostPerHour: 3600 });
    judge(1_000_000);
    const doubts = Array.from({ length: AGREEING + 3 }, (_, i) => judge(10 + i));
    expect(doubts.map((doubt) => doubt !== undefined)).toEqual([...Array(AGREEING).fill(true), false, false, false]);
  });

  it('read afterwards from a load profile is compared with nothing newer', () => {
    const judge = watching({ mostPerHour: 3600 });
    judge(1000);
    expect(judge(500, 10, 1_789_990_000)).toBeUndefined();
    expect(judge(1010)).toBeUndefined();
  });

  it('is judged also where the clock of the gateway was set back', () => {
    const judge = watching({ mostPerHour: 3600 });
    judge(1000);
    expect(judge(1010, -7200)).toBeUndefined();
    expect(judge(500)).toContain('fell');
  });
});

it('several values in one pack are taken in the order of their times', () => {
  const watch = new RegisterWatch(() => ({ scale: 1 }));
  const day = [3, 1, 2].map((h) => ({ n: NAME, v: h * 100, t: 1_790_000_000 + h * 3600 }));
  expect(watch.judge(day, 1_790_020_000)).toBeUndefined();
});

it('what was doubted before is not what others are compared with', () => {
  const watch = new RegisterWatch(() => ({ scale: 1 }));
  watch.judge([{ n: NAME, v: 9_999_999 }], 1, true);
  expect(watch.judge([{ n: NAME, v: 10 }], 2)).toBeUndefined();
  expect(watch.judge([{ n: NAME, v: 9 }], 3)).toContain('fell');
});

it('what a register is: billed, or with a modulus or a rate; enrolment says it more nearly', () => {
  const device = { registerModulusWh: null, capacityW: null };
  expect(registerOf({ billed: false, scale: 1 }, device)).toBeUndefined();
  expect(registerOf({ billed: true, scale: 10 }, device)).toEqual({ scale: 10 });
  expect(registerOf({ billed: false, scale: 1, modulus: 5 }, { ...device, registerModulusWh: 7 })).toMatchObject({
    modulus: 5,
  });
  expect(
    registerOf({ billed: true, scale: 1, modulus: 5, mostPerHour: 9 }, { registerModulusWh: 7, capacityW: 1000 }),
  ).toEqual({ scale: 1, modulus: 7, mostPerHour: 1050 });
});
