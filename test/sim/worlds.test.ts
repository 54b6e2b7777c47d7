import { describe, expect, it } from 'vitest';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { encodePack } from '../../edge/wire/senml.ts';
import { Meter } from '../../firmware-sim/worlds/meter.ts';
import { cloudCover, Plant, plantCapacityW, plantPowerW } from '../../firmware-sim/worlds/plant.ts';
import { Registers, STEP } from '../../firmware-sim/worlds/register.ts';
import { SEJONG, sunElevation } from '../../firmware-sim/worlds/sun.ts';
import { metres, ROUTE, Vehicle } from '../../firmware-sim/worlds/vehicle.ts';
import { NOON } from './harness.ts';

const value = (records: readonly SenmlRecord[], name: string): number => {
  const record = records.find((r) => r.n === name);
  if (record?.v === undefined) throw new Error(`no ${name}`);
  return record.v;
};

describe('sun', () => {
  const highest = (day: string): number => {
    const midnight = Date.parse(`${day}T00:00:00+09:00`);
    return Math.max(...Array.from({ length: 1440 }, (_, i) => sunElevation(midnight + i * 60_000, SEJONG)));
  };

  it('culminates at 90 degrees less the latitude at an equinox, and the tilt of the earth away from it at a solstice', () => {
    expect(highest('2026-03-20')).toBeCloseTo(53.52, 0);
    expect(highest('2026-06-21')).toBeCloseTo(90 - 36.48 + 23.44, 1);
    expect(highest('2026-12-22')).toBeCloseTo(90 - 36.48 - 23.44, 1);
  });

  it('agrees with the worked example of the NREL Solar Position Algorithm (TP-560-34302, A.5)', () => {
    // Topocentric elevation without refraction: 39.872046 degrees.
    const ms = Date.parse('2003-10-17T12:30:30-07:00');
    expect(Math.abs(sunElevation(ms, { latitude: 39.742476, longitude: -105.1786 }) - 39.872)).toBeLessThan(0.02);
  });

  it('stands highest in Sejong half an hour after noon, less the equation of time', () => {
    // 3 November: 127.29 degrees east is 30.8 minutes behind the meridian of KST, the sun is 16.4 minutes ahead.
    const noon = Date.parse('2026-11-03T12:00:00+09:00');
    const minutes = Array.from({ length: 60 }, (_, i) => i);
    const at = minutes.reduce((best, i) =>
      sunElevation(noon + i * 60_000, SEJONG) > sunElevation(noon + best * 60_000, SEJONG) ? i : best,
    );
    expect(Math.abs(at - 14.4)).toBeLessThan(1.5);
  });

  it('is below the horizon at midnight, before 1970 as well', () => {
    expect(sunElevation(Date.parse('2026-06-21T00:30:00+09:00'), SEJONG)).toBeLessThan(-25);
    expect(sunElevation(Date.parse('1960-06-21T12:30:00+09:00'), SEJONG)).toBeGreaterThan(70);
  });
});

describe('registers', () => {
  it('are the exact sum of power times time, however the time is cut', () => {
    const power = (ms: number) => ((ms / STEP) % 7) * 1000 - 2500;
    const start = 1_790_000_000_123;
    const end = start + 5_000_001;
    let taken = 0n;
    let given = 0n;
    for (let ms = start; ms < end; ) {
      const next = Math.min(end, (Math.floor(ms / STEP) + 1) * STEP);
      const watts = power(Math.floor(ms / STEP) * STEP);
      if (watts < 0) given += BigInt(-watts) * BigInt(next - ms);
      else taken += BigInt(watts) * BigInt(next - ms);
      ms = next;
    }
    for (const cut of [1, 777, 10_000, 123_456, 5_000_001]) {
      const registers = new Registers(power, { ms: start, wh: [0, 0], rest: [0, 0] });
      for (let ms = start; ms < end; ms += cut) registers.advance(ms);
      registers.advance(end);
      const { wh, rest } = registers.state;
      expect(BigInt(wh[0]) * 3_600_000n + BigInt(rest[0])).toBe(taken);
      expect(BigInt(wh[1]) * 3_600_000n + BigInt(rest[1])).toBe(given);
    }
  });

  it('never count backwards where the clock is set back, and a day at most after a long pause', () => {
    const registers = new Registers(() => 1000, { ms: NOON, wh: [5, 0], rest: [0, 0] });
    registers.advance(NOON - 7_200_000);
    expect(registers.wh[0]).toBe(5);
    registers.advance(NOON - 3_600_000);
    expect(registers.wh[0]).toBe(1005);
    registers.advance(NOON + 400 * 86_400_000);
    expect(registers.wh[0]).toBe(1005 + 24_000);
  });
});

describe('plant', () => {
  const seed = 42;
  const plant = (saved = '', nowMs = NOON) => new Plant({ weather: 7, seed, saved, nowMs });

  it('shows a register that is the integral of its power, over restarts', () => {
    const power = plantPowerW(7, seed, plantCapacityW(seed));
    let p = plant();
    const first = value(p.sample(NOON), '1-0:2.8.0');
    let wattMs = 0;
    for (let ms = NOON; ms < NOON + 6 * 3_600_000; ms += STEP) {
      wattMs += power(ms) * STEP;
      if ((ms / STEP) % 500 === 0) {
        p.sample(ms);
        p = plant(p.state(), ms);
      }
    }
    const last = value(p.sample(NOON + 6 * 3_600_000), '1-0:2.8.0');
    expect(last - first).toBe(Math.floor(wattMs / 3_600_000));
    expect(last).toBeGreaterThan(first);
  });

  it('gives nothing at night and never more than its capacity', () => {
    const capacity = plantCapacityW(seed);
    const power = plantPowerW(7, seed, capacity);
    const day = Array.from({ length: 1440 }, (_, i) => power(NOON + i * 60_000));
    expect(Math.max(...day)).toBeLessThanOrEqual(capacity);
    expect(Math.max(...day)).toBeGreaterThan(capacity / 10);
    expect(power(NOON + 12 * 3_600_000)).toBe(0);
  });

  it('has clouds without jumps, the same for the same seeds and others for others', () => {
    const [a, same, other] = [cloudCover(7, 1), cloudCover(7, 1), cloudCover(7, 2)];
    const times = Array.from({ length: 2000 }, (_, i) => NOON + i * STEP);
    expect(times.map(a)).toEqual(times.map(same));
    expect(times.map(a)).not.toEqual(times.map(other));
    for (const ms of times) expect(Math.abs(a(ms + STEP) - a(ms))).toBeLessThan(0.06);
    expect(times.map(a).every((c) => c >= 0 && c <= 1)).toBe(true);
  });
});

describe('meter', () => {
  it('bills import first; both registers rise only; the power is what flows between them', () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const meter = new Meter({ weather: 7, seed, saved: '', nowMs: NOON });
      let before = meter.sample(NOON);
      expect(before.map((r) => [r.n, r.u])).toEqual([
        ['1-0:1.8.0', 'Wh'],
        ['1-0:2.8.0', 'Wh'],
        ['1-0:16.7.0', 'W'],
      ]);
      for (let ms = NOON + 60_000; ms <= NOON + 86_400_000; ms += 60_000) {
        const now = meter.sample(ms);
        encodePack(now);
        expect(value(now, '1-0:1.8.0')).toBeGreaterThanOrEqual(value(before, '1-0:1.8.0'));
        expect(value(now, '1-0:2.8.0')).toBeGreaterThanOrEqual(value(before, '1-0:2.8.0'));
        before = now;
      }
      const used =
        value(before, '1-0:1.8.0') -
        value(new Meter({ weather: 7, seed, saved: '', nowMs: NOON }).sample(NOON), '1-0:1.8.0');
      // A home takes 4 to 25 kWh a day.
      expect(used).toBeGreaterThan(3000);
      expect(used).toBeLessThan(25_000);
    }
  });
});

describe('vehicle', () => {
  const drive = (seed: number, seconds: number, every: number): SenmlRecord[][] => {
    const vehicle = new Vehicle({ seed, saved: '', nowMs: NOON });
    return Array.from({ length: seconds / every }, (_, i) => vehicle.sample(NOON + (i + 1) * every * 1000));
  };

  it('stays on its route, and goes as far as its speed and its odometer say', () => {
    const trip = drive(3, 7200, 1);
    for (const [i, records] of trip.entries()) {
      encodePack(records);
      const lat = value(records, 'Vehicle.CurrentLocation.Latitude');
      const lon = value(records, 'Vehicle.CurrentLocation.Longitude');
      expect(lat >= 36.48 && lat <= 36.52 && lon >= 127.25 && lon <= 127.3).toBe(true);
      const before = trip[i - 1];
      if (!before) continue;
      const km = value(records, 'Vehicle.TraveledDistance') - value(before, 'Vehicle.TraveledDistance');
      expect(km).toBeGreaterThanOrEqual(0);
      const moved = metres(
        [lat, lon],
        [value(before, 'Vehicle.CurrentLocation.Latitude'), value(before, 'Vehicle.CurrentLocation.Longitude')],
      );
      expect(Math.abs(moved - km * 1000)).toBeLessThan(1.6);
      expect(value(records, 'Vehicle.Speed')).toBeLessThan(56);
    }
    expect(
      value(trip.at(-1) ?? [], 'Vehicle.TraveledDistance') - value(trip[0] ?? [], 'Vehicle.TraveledDistance'),
    ).toBeGreaterThan(25);
  });

  it('drives the same for the same seed, however often it is looked at, and over a restart', () => {
    const often = drive(5, 3600, 1);
    const seldom = drive(5, 3600, 60);
    expect(often[3599]).toEqual(seldom[59]);
    const first = new Vehicle({ seed: 5, saved: '', nowMs: NOON });
    first.sample(NOON + 1_800_000);
    const second = new Vehicle({ seed: 5, saved: first.state(), nowMs: NOON + 1_800_000 });
    expect(second.sample(NOON + 3_600_000)).toEqual(often[3599]);
    expect(drive(6, 3600, 60)).not.toEqual(seldom);
  });

  it('charges before its battery is empty', () => {
    const soc = drive(8, 3 * 86_400, 300).map((r) =>
      value(r, 'Vehicle.Powertrain.TractionBattery.StateOfCharge.Current'),
    );
    expect(Math.min(...soc)).toBeGreaterThan(15);
    expect(Math.max(...soc)).toBeLessThanOrEqual(95);
  });

  it('has a route inside of Sejong without long leaps', () => {
    for (const [i, point] of ROUTE.entries())
      expect(metres(point, ROUTE[(i + 1) % ROUTE.length] as typeof point)).toBeLessThan(2500);
  });
});
