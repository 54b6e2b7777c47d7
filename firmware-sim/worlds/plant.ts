/** A solar plant: the sun, the clouds, and an export register. */
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { noiseAt, seedOf, smoothNoise } from '../random.ts';
import { type RegisterState, Registers } from './register.ts';
import { SEJONG, sunElevation } from './sun.ts';
import type { World } from './world.ts';

/** What a plant loses in its cells' heat, wires and inverter. */
const PERFORMANCE = 0.85;

/** 3 to 100 kW, small ones more often. */
export const plantCapacityW = (seed: number): number =>
  3000 + 1000 * Math.floor(97 * noiseAt(seedOf('capacity', seed), 0) ** 2);

/** 0 to 1 of the sky over time: fronts that all plants of a run see, and what passes over this one. */
export function cloudCover(weather: number, seed: number): (ms: number) => number {
  const [fronts, passing] = [seedOf('fronts', weather), seedOf('passing', seed)];
  return (ms) => {
    const cover = 0.6 * smoothNoise(fronts, ms / 5_400_000) + 0.4 * smoothNoise(passing, ms / 240_000);
    return Math.min(1, Math.max(0, 1.3 * cover - 0.2));
  };
}

/**
 * Whole watts. Clear sky after Haurwitz (1945): 1098 cos z exp(-0.057 / cos z) W/m2; clouds after Kasten and
 * Czeplak (1980): 1 - 0.75 N^3.4.
 */
export function plantPowerW(weather: number, seed: number, capacityW: number): (ms: number) => number {
  const cover = cloudCover(weather, seed);
  return (ms) => {
    const cosZenith = Math.sin((sunElevation(ms, SEJONG) * Math.PI) / 180);
    if (cosZenith <= 0.01) return 0;
    const clear = 1098 * cosZenith * Math.exp(-0.057 / cosZenith);
    const irradiance = clear * (1 - 0.75 * cover(ms) ** 3.4);
    return Math.min(capacityW, Math.round((capacityW * PERFORMANCE * irradiance) / 1000));
  };
}

export class Plant implements World {
  readonly #registers: Registers;

  constructor(options: { weather: number; seed: number; saved: string; nowMs: number }) {
    const { weather, seed, saved, nowMs } = options;
    // The energy that a plant gives is counted as positive power here, and shown as export.
    this.#registers = new Registers(
      plantPowerW(weather, seed, plantCapacityW(seed)),
      saved === ''
        ? { ms: nowMs, wh: [1_000_000 + Math.floor(9_000_000 * noiseAt(seed, 1)), 0], rest: [0, 0] }
        : (JSON.parse(saved) as RegisterState),
    );
  }

  sample(ms: number): SenmlRecord[] {
    this.#registers.advance(ms);
    return [
      { n: '1-0:2.8.0', u: 'Wh', v: this.#registers.wh[0] },
      { n: '1-0:16.7.0', u: 'W', v: this.#registers.powerAt(ms) },
    ];
  }

  state(): string {
    return JSON.stringify(this.#registers.state);
  }
}
