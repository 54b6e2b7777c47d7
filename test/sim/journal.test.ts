import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { raiseEpoch } from '../../firmware-sim/identity.ts';
import { Journal } from '../../firmware-sim/journal.ts';
import { temporaryFolder } from './harness.ts';

type Held = { epoch: number; seq: number; bytes: string };
type Moment = { size: number; held: Held[]; state: string };

const held = (journal: Journal): Held[] =>
  Array.from(journal.items)
    .filter((item) => !item.acked)
    .map((item) => ({ epoch: item.epoch, seq: item.seq, bytes: Buffer.from(item.bytes()).toString('hex') }));

const quiet = (): void => {};

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('append' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('ack' as const), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reboot' as const) }) },
);

/** A life of a device, with what its journal held after each step that was written. */
function live(folder: string, steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]) {
  const path = join(folder, 'journal');
  let journal = new Journal(path, 1000, quiet);
  let epoch = raiseEpoch(folder, journal.highestEpoch);
  let seq = 0;
  const used = new Set<string>();
  const moments: Moment[] = [{ size: 0, held: [], state: '' }];
  for (const s of steps) {
    if (s.do === 'append') {
      used.add(`${epoch}/${seq}`);
      journal.append(epoch, seq++, s.bytes, `{"n":${moments.length}}`);
    } else if (s.do === 'ack') {
      const open = Array.from(journal.items).filter((item) => !item.acked);
      const item = open[s.which % Math.max(1, open.length)];
      if (item) journal.acknowledge(item);
    } else {
      journal.close();
      journal = new Journal(path, 1000, quiet);
      epoch = raiseEpoch(folder, journal.highestEpoch);
      seq = 0;
    }
    moments.push({ size: statSync(path).size, held: held(journal), state: journal.state });
  }
  journal.close();
  return { path, moments, used };
}

describe('journal', () => {
  it('recovers what it held at some moment, wherever a crash cuts the file, and reuses no counter', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 25 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 8, maxLength: 8 }),
        (steps, cuts) => {
          const folder = temporaryFolder();
          const { path, moments, used } = live(folder, steps);
          const whole = readFileSync(path);
          for (const cut of [...cuts.map((f) => Math.floor(f * whole.length)), whole.length]) {
            writeFileSync(path, whole);
            truncateSync(path, cut);
            const said: string[] = [];
            const after = new Journal(path, 1000, (line) => said.push(line));
            const moment = moments.findLast((m) => m.size <= cut) as Moment;
            expect(held(after)).toEqual(moment.held);
            expect(after.state).toBe(moment.state);
            const epoch = raiseEpoch(folder, after.highestEpoch);
            expect(used.has(`${epoch}/0`)).toBe(false);
            // And the torn record is not in the way of the next ones.
            after.append(epoch, 0, Uint8Array.of(1, 2, 3), '{}');
            after.close();
            const again = new Journal(path, 1000, (line) => said.push(line));
            expect(held(again)).toEqual([...moment.held, { epoch, seq: 0, bytes: '010203' }]);
            again.close();
            // A torn end is what a crash leaves, not damage.
            expect(said).toEqual([]);
          }
        },
      ),
      { numRuns: 25, seed: 1 },
    );
  });

  it('recovers what stands before a byte that the disk has changed, keeps the file and says so', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 3, maxLength: 15 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (steps, at, change) => {
          const folder = temporaryFolder();
          const { path, moments } = live(folder, steps);
          const bytes = readFileSync(path);
          if (bytes.length === 0) return;
          bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ change;
          writeFileSync(path, bytes);
          const said: string[] = [];
          const after = new Journal(path, 1000, (line) => said.push(line));
          expect(moments.map((m) => m.held)).toContainEqual(held(after));
          const aside = readdirSync(folder).filter((name) => name.startsWith('journal.damaged-'));
          // A changed length can look like a torn record; everything else is damage.
          expect(aside.length).toBe(said.length);
          if (aside[0]) expect(readFileSync(join(folder, aside[0]))).toEqual(bytes);
          after.close();
        },
      ),
      { numRuns: 40, seed: 2 },
    );
  });

  it('takes zeros at the end, which a power cut leaves, as the end', () => {
    const { path, moments } = live(temporaryFolder(), [{ do: 'append', bytes: Uint8Array.of(9) }]);
    appendFileSync(path, Buffer.alloc(100));
    const said: string[] = [];
    const after = new Journal(path, 10, (line) => said.push(line));
    expect(held(after)).toEqual(moments.at(-1)?.held);
    expect(said).toEqual([]);
    after.close();
  });

  it('is full at its cap and takes more once something is acknowledged', () => {
    const journal = new Journal(join(temporaryFolder(), 'journal'), 2, quiet);
    journal.append(1, 0, Uint8Array.of(1), '');
    expect(journal.full).toBe(false);
    journal.append(1, 1, Uint8Array.of(2), '');
    expect(journal.full).toBe(true);
    journal.acknowledge(journal.items.first as never);
    expect(journal.full).toBe(false);
    journal.close();
  });

  it('stays small while envelopes come and go, and loses none that wait', () => {
    const path = join(temporaryFolder(), 'journal');
    let journal = new Journal(path, 100, quiet);
    const bytes = (seq: number) => new Uint8Array(1000).fill(seq % 251);
    let largest = 0;
    for (let seq = 0; seq < 3000; seq++) {
      journal.append(4, seq, bytes(seq), `{"seq":${seq}}`);
      // Number 0 is never acknowledged, the rest a little out of order.
      const open = Array.from(journal.items).filter((item) => !item.acked);
      if (open.length > 6) journal.acknowledge(open[2] as never);
      largest = Math.max(largest, statSync(path).size);
    }
    expect(largest).toBeLessThan(600_000);
    const before = held(journal);
    expect(before).toHaveLength(6);
    expect(before[0]).toEqual({ epoch: 4, seq: 0, bytes: Buffer.from(bytes(0)).toString('hex') });
    journal.close();
    journal = new Journal(path, 100, quiet);
    expect(held(journal)).toEqual(before);
    expect(journal.state).toBe('{"seq":2999}');
    expect(journal.highestEpoch).toBe(4);
    journal.close();
  });
});

describe('boot epoch', () => {
  it('rises at each boot and is on disk before it is used', () => {
    const folder = temporaryFolder();
    expect([raiseEpoch(folder, 0), raiseEpoch(folder, 0), raiseEpoch(folder, 0)]).toEqual([1, 2, 3]);
    expect(readFileSync(join(folder, 'epoch'), 'utf8')).toBe('3\n');
  });

  it('passes what the journal has seen, where its own file was put back', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'epoch'), '2\n');
    expect(raiseEpoch(folder, 7)).toBe(8);
  });

  it('is never guessed', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'epoch'), '');
    expect(() => raiseEpoch(folder, 0)).toThrow(/does not hold a boot epoch/);
  });
});
