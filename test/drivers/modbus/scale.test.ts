/** Rule 6 of certificates, under its own words: what an inverter tells is compared with the meter of its plant. */
import { describe, expect, it } from 'vitest';
import { inverterDeviation } from '../../../edge/credits/inverter.ts';
import { decimal, wholeWh } from '../../../edge/drivers/records.ts';
import { Inverter } from '../../../firmware-sim/serial/twin.ts';
import { type asked, device, driverOf, poll } from './slave.ts';

const twin = () => new Inverter({ unitId: 1, seed: 5, now: () => 1_000_000, powerW: () => 4321, startWh: 987_654 });
/** Where WH and WH_SF of model 103 stand behind its ID, which is at 40070. */
const [WH, WH_SF] = [40070 + 24, 40070 + 26];

describe('6. SunSpec: energy and scale factor from one request; a change of scale is never a difference; acc32 zero means "not implemented"', () => {
  const polled = (driver: ReturnType<typeof driverOf>, inverter: Inverter) => {
    const reads: ReturnType<typeof asked>[] = [];
    const { records } = poll(
      driver,
      device((_f, address, count) => inverter.read(address, count), reads),
    );
    const [energy, scale] = ['1-0:2.8.0', 'sunspec:103.WH_SF'].map((n) => records.find((r) => r.n === n)?.v);
    return { reads, energy, scale };
  };

  it('one request has both, and the reading says with which scale it was read', () => {
    const [driver, inverter] = [driverOf('pv-sunspec'), twin()];
    polled(driver, inverter);
    inverter.whScale = 0;
    const { reads, ...values } = polled(driver, inverter);
    expect(reads).toHaveLength(1);
    const { address, count } = reads[0] as (typeof reads)[number];
    expect([address <= WH, address + count > WH_SF]).toEqual([true, true]);
    expect(values).toEqual({ energy: 987_654, scale: 0 });
  });

  it('with another scale it is the same energy, floored: each reading is in Wh by the scale that came with it', () => {
    const [driver, inverter] = [driverOf('pv-sunspec'), twin()];
    const at = (scale: number) => {
      inverter.whScale = scale;
      return polled(driver, inverter);
    };
    expect([0, 1, 3, 0, -2].map((scale) => at(scale).energy)).toEqual([987_654, 987_650, 987_000, 987_654, 987_654]);
    expect([0, 1, 3, -2].map((scale) => at(scale).scale)).toEqual([0, 1, 3, -2]);
  });

  it('an energy of zero is not implemented, and no reading; one of a Wh is one', () => {
    const inverter = twin();
    inverter.wh = 0n;
    expect(() => polled(driverOf('pv-sunspec'), inverter)).toThrow('WH is not implemented');
    inverter.wh = 1n;
    expect(polled(driverOf('pv-sunspec'), inverter).energy).toBe(1);
  });

  it('two readings of different scales are not compared with the meter', () => {
    const at = (hour: number, registerWh: number, scale: number) => ({
      ...{ at: hour * 3600, device: 'I', idx: hour, iat: hour * 3600, registerWh, shape: 'reading' as const, scale },
      ...{ receivedMs: 0, clock: { synced: true } as const },
    });
    const energy = { start: at(1, 0, 0), end: at(2, 1000, 0), wh: 1000 };
    const deviation = (a: number, b: number) =>
      inverterDeviation(energy, { capacityW: 10_000 }, [at(1, 1_000_000, a), at(2, 1_005_000, b)])?.flag;
    expect([deviation(0, 0), deviation(0, 1)]).toEqual(['inverter-deviation', undefined]);
  });
});

it('scales by the decimal, not by the float, and rounds energy down', () => {
  expect([decimal(5998, 0.01), decimal(-120, 10), decimal(7, 1), decimal(123n, 1e-3)]).toEqual([
    59.98, -1200, 7, 0.123,
  ]);
  expect(5998 * 0.01).not.toBe(59.98);
  expect([wholeWh(0.7, 1000), wholeWh(1.9999, 1), wholeWh(2n ** 53n - 1n, 1)]).toEqual([700, 1, 2 ** 53 - 1]);
  expect(() => wholeWh(2n ** 53n, 1)).toThrow('beyond 2^53 - 1 Wh');
  expect(() => wholeWh(-1, 1)).toThrow('negative');
  expect(() => decimal(Number.NaN, 2)).toThrow('not a finite number');
});
