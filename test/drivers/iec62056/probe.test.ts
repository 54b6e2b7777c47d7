import { describe, expect, it } from 'vitest';
import type { Found } from '../../../edge/drivers/driver.ts';
import { DRIVERS } from '../../../edge/drivers/drivers.ts';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import { Receiver } from '../../../firmware-sim/serial/gnss.ts';
import { ModeDMeter, sevenBit } from '../../../firmware-sim/serial/iec.ts';
import { P1Meter } from '../../../firmware-sim/serial/p1.ts';

const energy = { seed: 1, now: () => 1_700_000_000_000, powerW: () => 700 };
const SAID: Record<string, Uint8Array> = {
  p1: new P1Meter(energy).telegram(),
  'p1 2.2': new P1Meter({ ...energy, version: '2.2' }).telegram(),
  'mode D': new ModeDMeter(energy).telegram(),
  nmea: new Receiver(energy).epoch(),
};

describe('a device that speaks is known by what it says', () => {
  it.each([
    ['p1', { p1: 'meter-p1', 'p1 2.2': 'meter-p1' }],
    ['iec62056-21-push', { 'mode D': 'meter-iec-push' }],
    ['nmea', { nmea: 'gnss' }],
  ])('%s', (driver, expected) => {
    const found: Record<string, string> = {};
    for (const [name, bytes] of Object.entries(SAID)) {
      const hear = DRIVERS[driver]?.probe?.listen?.hear();
      const answer = hear?.(bytes);
      if (answer) found[name] = answer.profile;
    }
    expect(found).toEqual(expected);
  });

  it('a P1 meter with its serial number, so that another one on this port is a mismatch', () => {
    expect(DRIVERS.p1?.probe?.listen?.hear()(SAID.p1 as Uint8Array)?.device).toEqual({ address: 'E0044007000000001' });
  });
});

describe('mode C is asked', () => {
  const ask = (answer: (parser: { push(chunk: Uint8Array): unknown }) => unknown): Found[] => {
    const job = DRIVERS['iec62056-21']?.probe?.ask?.();
    const step = job?.next();
    if (!job || !step || step.done) throw new Error('nothing is asked');
    const said = answer(step.value.parser);
    const end = said instanceof Error ? job.throw(said) : job.next(said);
    if (!end.done) throw new Error('more is asked');
    return end.value;
  };

  it('and finds a meter, nothing, or that the port is gone', () => {
    expect(ask((parser) => parser.push(sevenBit('/EMH5\\2ITZ4\r\n')))).toEqual([
      { profile: 'meter-iec', device: {}, about: 'EMH5\\2ITZ4' },
    ]);
    expect(ask(() => new SerialFault('no-answer', 'no answer'))).toEqual([]);
    expect(() => ask(() => new SerialFault('away', 'unplugged'))).toThrow('unplugged');
  });
});
