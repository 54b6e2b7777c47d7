import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Line, registersAt, type Seen } from '../../edge/care/history.ts';

const NEAR_S = 1800;

/** A line over readings in memory, that counts what is opened. */
function lineOf(readings: Seen[]): Line & { opened: number } {
  const ordered = [...readings].sort((a, b) => a.epoch - b.epoch || a.seq - b.seq);
  const line = {
    opened: 0,
    from: ({ epoch, seq }: { epoch: number; seq: number }) => {
      line.opened++;
      return ordered.find((r) => r.epoch > epoch || (r.epoch === epoch && r.seq >= seq));
    },
    last: (epoch?: number) => {
      line.opened++;
      return ordered.findLast((r) => epoch === undefined || r.epoch === epoch);
    },
  };
  return line;
}

describe('the register at full hours', () => {
  it('is that of the last reading before, at most half an hour before, whatever the counters are', async () => {
    const reading = fc.record({
      wait: fc.integer({ min: 0, max: 4000 }),
      skip: fc.integer({ min: 1, max: 50 }),
      boots: fc.constantFrom(0, 0, 0, 0, 1, 3),
      gone: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(reading, { maxLength: 200 }),
        fc.integer({ min: 0, max: 30 }),
        async (steps, pruned) => {
          let [iat, epoch, seq] = [1_790_000_000, 1, 0];
          const readings = steps.map(({ wait, skip, boots }, i): Seen => {
            iat += wait;
            seq = boots > 0 ? 0 : seq + skip;
            epoch += boots;
            // What is pruned is the oldest.
            return { epoch, seq, iat: i < pruned ? undefined : iat, registerWh: i < pruned ? undefined : i * 10 };
          });
          const first = Math.floor(1_790_000_000 / 3600) * 3600;
          const hours = Array.from({ length: 60 }, (_, i) => first + (i - 2) * 3600);
          const expected = hours.map((hour) => {
            const before = readings.findLast((r) => r.iat !== undefined && r.iat <= hour);
            return before && hour - (before.iat as number) <= NEAR_S ? (before.registerWh as number) : null;
          });
          expect(await registersAt(lineOf(readings), hours)).toEqual(expected);
        },
      ),
      { numRuns: 300, seed: 11 },
    );
  });

  it('opens a handful of readings for each hour, also where there is one a second', async () => {
    const from = 1_790_000_000;
    const readings = Array.from(
      { length: 24 * 3600 },
      (_, i): Seen => ({ epoch: 1, seq: i, iat: from + i, registerWh: i }),
    );
    const bySeq = (seq: number): Seen | undefined => readings[seq];
    let opened = 0;
    const line: Line = {
      from: ({ epoch, seq }) => {
        opened++;
        return epoch > 1 ? undefined : bySeq(seq);
      },
      last: () => {
        opened++;
        return readings.at(-1);
      },
    };
    const hours = Array.from({ length: 23 }, (_, i) => from + (i + 1) * 3600);
    expect(await registersAt(line, hours)).toEqual(hours.map((hour) => hour - from));
    expect(opened / hours.length).toBeLessThan(20);
  });

  it('is not known of a device that said nothing', async () => {
    expect(await registersAt({ from: () => undefined, last: () => undefined }, [3600, 7200])).toEqual([null, null]);
  });
});
