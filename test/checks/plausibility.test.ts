import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  counterFork,
  frozenFix,
  gnssTime,
  impossibleTravel,
  type Limits,
  metresBetween,
  outOfReach,
  type PastCheck,
  type Place,
  registrationTwoKeys,
  type Sample,
  speedDisplacement,
} from '../../edge/checks/plausibility.ts';

const LIMITS: Limits = { maxSpeedKmh: 200, fixErrorM: 25, gnssSkewMs: 30_000 };
const T = 1_790_000_000_000;
const HOUR = 3_600_000;
const METRES_A_DEGREE = 111_195;
const DEPOT: Place = { lat: 36.4803, lon: 127.2538 };

const past = (over: Partial<PastCheck> = {}): PastCheck => ({
  ms: T,
  holder: 'A',
  registration: 'urn:r',
  counter: 1,
  telemetry: 'd1',
  validFromMs: T - HOUR,
  validUntilMs: T + HOUR,
  gate: 'north',
  allowed: true,
  ...over,
});

/** North from the depot, second by second, as the wheels say; `scale` is what the fixes make of it. */
const track = (kmh: readonly number[], scale = 1, noise: readonly number[] = []): Sample[] => {
  let metres = 0;
  return kmh.map((speedKmh, i) => {
    if (i > 0) metres += ((kmh[i - 1] as number) + speedKmh) / 2 / 3.6;
    const lat = DEPOT.lat + (metres * scale + (noise[i] ?? 0)) / METRES_A_DEGREE;
    return { ms: T + 1000 * i, speedKmh, fix: { lat, lon: DEPOT.lon } };
  });
};

it('knows the distance between two stops of Sejong, and that it is the same in both directions', () => {
  const there = metresBetween(DEPOT, { lat: 36.4846, lon: 127.2551 });
  expect(there).toBeGreaterThan(480);
  expect(there).toBeLessThan(500);
  expect(metresBetween({ lat: 36.4846, lon: 127.2551 }, DEPOT)).toBeCloseTo(there, 6);
  expect(metresBetween({ lat: 0, lon: 0 }, { lat: 0, lon: 180 })).toBeCloseTo(Math.PI * 6_371_008.8, 0);
});

describe('a fork of the counter', () => {
  it('is the same counter of the same key with other telemetry', () => {
    const now = { holder: 'A', counter: 1, telemetry: 'd2' };
    expect(counterFork([past()], now)?.evidence).toEqual({ counter: 1, earlier: 'd1', now: 'd2', earlierMs: T });
    expect(counterFork([past()], { ...now, telemetry: 'd1' }), 'the same again is a replay').toBeUndefined();
    expect(counterFork([past()], { ...now, counter: 2 })).toBeUndefined();
    expect(counterFork([past({ holder: 'B' })], now), 'of another key').toBeUndefined();
  });
});

describe('one registration with two keys', () => {
  const now = { holder: 'A', registration: 'urn:r', validFromMs: T - HOUR, validUntilMs: T + HOUR };
  const b = past({ holder: 'B', ms: T + 1 });

  it('is found when both are used in turns', () => {
    expect(registrationTwoKeys([b, past()], now)?.evidence).toMatchObject({ other: 'B', otherMs: T + 1, beforeMs: T });
  });

  it('is not what a rotation of pseudonyms looks like, however often', () => {
    expect(registrationTwoKeys([past()], now)).toBeUndefined();
    expect(registrationTwoKeys([b, b], now), 'from B on to A').toBeUndefined();
    const rotation = ['A', 'A', 'B', 'B', 'C', 'D', 'D', 'E'];
    for (let i = 0; i < rotation.length; i++) {
      const before = rotation.slice(0, i).map((holder) => past({ holder }));
      expect(registrationTwoKeys(before.reverse(), { ...now, holder: rotation[i] as string })).toBeUndefined();
    }
  });

  it('is none where the two were never valid together, or belong to others', () => {
    const old = past({ holder: 'B', validFromMs: T - 3 * HOUR, validUntilMs: T - 2 * HOUR });
    expect(registrationTwoKeys([old, past()], now)).toBeUndefined();
    expect(registrationTwoKeys([{ ...b, registration: 'urn:other' }, past()], now)).toBeUndefined();
  });
});

describe('travel', () => {
  const far = { lat: DEPOT.lat + 100_000 / METRES_A_DEGREE, lon: DEPOT.lon };
  const reaches: Record<string, Place & { radiusM: number }> = {
    north: { ...DEPOT, radiusM: 100 },
    south: { ...far, radiusM: 100 },
  };
  const reachOf = (gate: string) => reaches[gate];

  it('of 100 km in a quarter of an hour is impossible, in an hour it is not', () => {
    const from = [past({ fix: DEPOT })];
    const at = (ms: number) => impossibleTravel(from, { ms, gate: 'south', fix: far }, reachOf, LIMITS);
    expect(at(T + HOUR / 4)).toMatchObject({ reason: 'IMPOSSIBLE_TRAVEL', evidence: { metres: 99_950, seconds: 900 } });
    expect(at(T + HOUR)).toBeUndefined();
  });

  it('is measured between gates where there are no fixes, and not at all where nothing is known', () => {
    const now = { ms: T + 60_000, gate: 'south' };
    expect(impossibleTravel([past()], now, reachOf, LIMITS)).toBeDefined();
    expect(impossibleTravel([past()], { ...now, gate: 'north' }, reachOf, LIMITS)).toBeUndefined();
    expect(impossibleTravel([past()], { ...now, gate: 'nowhere' }, reachOf, LIMITS)).toBeUndefined();
    expect(impossibleTravel([], now, reachOf, LIMITS)).toBeUndefined();
  });

  it('goes out from the last place where it was let pass, not from one that was doubted', () => {
    const doubted = past({ ms: T + 50_000, fix: far, allowed: false });
    const now = { ms: T + 60_000, gate: 'north', fix: DEPOT };
    expect(impossibleTravel([doubted, past({ fix: DEPOT })], now, reachOf, LIMITS)).toBeUndefined();
    expect(impossibleTravel([{ ...doubted, allowed: true }], now, reachOf, LIMITS)).toBeDefined();
  });
});

describe('a track', () => {
  const speeds = fc.array(fc.double({ min: 0, max: 130, noNaN: true }), { minLength: 5, maxLength: 60 });
  const noise = fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 60, maxLength: 60 });

  it('of an honest vehicle is never doubted, whatever it drives, and with noise of a few metres', () => {
    fc.assert(
      fc.property(speeds, noise, (kmh, noise) => {
        // Noise adds to the path, never takes from it, and moves no end farther than 16 m.
        const samples = track(kmh, 1, noise);
        expect(speedDisplacement(samples, LIMITS)).toBeUndefined();
        expect(frozenFix(track(kmh), LIMITS)).toBeUndefined();
      }),
      { seed: 7 },
    );
  });

  it('does not depend on the order of its samples', () => {
    fc.assert(
      fc.property(speeds, fc.double({ min: 0, max: 4, noNaN: true }), fc.integer(), (kmh, scale, seed) => {
        const samples = track(kmh, scale);
        const shuffled = samples.toSorted((a, b) => Math.sin(a.ms * seed) - Math.sin(b.ms * seed));
        expect(speedDisplacement(shuffled, LIMITS)).toEqual(speedDisplacement(samples, LIMITS));
        expect(frozenFix(shuffled, LIMITS)).toEqual(frozenFix(samples, LIMITS));
      }),
      { seed: 7 },
    );
  });

  it('whose fixes run ahead of the wheels, or stay behind, is doubted', () => {
    const cruise = Array.from({ length: 20 }, () => 50);
    expect(speedDisplacement(track(cruise, 2), LIMITS)?.evidence).toEqual({
      seconds: 19,
      drivenM: 264,
      movedM: 528,
      fixes: 20,
    });
    expect(speedDisplacement(track(cruise, 0.3), LIMITS)).toBeDefined();
    // Parked by its wheels, and carried away by its fixes.
    const parked = track(cruise).map((s) => ({ ...s, speedKmh: 0 }));
    expect(speedDisplacement(parked, LIMITS)).toBeDefined();
  });

  it('whose fix stands still to the last digit while the wheels turn is frozen, and is not when they stand', () => {
    const cruise = Array.from({ length: 20 }, () => 50);
    expect(frozenFix(track(cruise, 0), LIMITS)).toMatchObject({ reason: 'FROZEN_FIX', evidence: { drivenM: 264 } });
    expect(
      frozenFix(
        track(
          cruise.map(() => 0),
          0,
        ),
        LIMITS,
      ),
    ).toBeUndefined();
    expect(speedDisplacement(track(cruise, 0), LIMITS), 'said once').toBeUndefined();
  });

  it('with a hole in it is judged on both sides of the hole only', () => {
    const drive = track(Array.from({ length: 10 }, () => 50));
    const later = drive.map((s) => ({
      ...s,
      ms: s.ms + 600_000,
      fix: { lat: (s.fix as Place).lat + 1, lon: DEPOT.lon },
    }));
    expect(speedDisplacement([...drive, ...later], LIMITS)).toBeUndefined();
    expect(speedDisplacement(drive.slice(0, 2), LIMITS), 'too short to say').toBeUndefined();
    expect(speedDisplacement([], LIMITS)).toBeUndefined();
  });
});

it('a receiver whose time is half a minute off is doubted', () => {
  expect(gnssTime(T, T + 29_000, LIMITS)).toBeUndefined();
  expect(gnssTime(T, T + 31_000, LIMITS)?.evidence).toEqual({ aheadSeconds: -31 });
  expect(gnssTime(T + 31_000, T, LIMITS)?.evidence).toEqual({ aheadSeconds: 31 });
});

it('a vehicle that speaks to a gate stands within its reach', () => {
  const reach = { ...DEPOT, radiusM: 100 };
  const at = (metres: number) => ({ lat: DEPOT.lat + metres / METRES_A_DEGREE, lon: DEPOT.lon });
  expect(outOfReach(at(120), reach, LIMITS)).toBeUndefined();
  expect(outOfReach(at(130), reach, LIMITS)?.evidence).toEqual({ metres: 130, radiusM: 100 });
});
