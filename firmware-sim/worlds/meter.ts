/** A household meter: a day of a home in Korean time, on a third of the roofs a few solar panels. */
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { noiseAt, seedOf, smoothNoise } from '../random.ts';
import { plantPowerW } from './plant.ts';
import { type RegisterState, Registers } from './register.ts';
import type { World } from './world.ts';

const KST = 9 * 3_600_000;
const DAY = 86_400_000;
const ROOF_W = 3000;

/** A bump of height 1 around `hour`, over midnight too. */
function around(hour: number, center: number, width: number): number {
  const away = Math.abs(((hour - center + 36) % 24) - 12);
  return Math.exp(-((away / width) ** 2));
}

/** What a home draws, in whole watts. */
export function homePowerW(seed: number): (ms: number) => number {
  const trait = (i: number) => noiseAt(seedOf('home', seed), i);
  const [kettle, fridge, use] = [seedOf('kettle', seed), seedOf('fridge', seed), seedOf('use', seed)];
  const standby = 60 + 120 * trait(0);
  const size = 0.6 + 0.9 * trait(1);
  const shift = 2 * trait(2) - 1; // hours: not everyone gets up at the same time
  const fridgePeriod = 2_400_000 + 1_200_000 * trait(3);
  return (ms) => {
    const hour = ((((ms + KST) % DAY) + DAY) % DAY) / 3_600_000 - shift;
    const day = 0.25 + 0.8 * around(hour, 7.5, 1.3) + 0.35 * around(hour, 12.5, 1.5) + 1.3 * around(hour, 20, 2.6);
    const living = 450 * size * day * (0.6 + 0.8 * smoothNoise(use, ms / 600_000));
    const cooling = (ms / fridgePeriod + noiseAt(fridge, 0)) % 1 < 0.4 ? 95 : 0;
    // Kettle, rice cooker, induction hob: a few minutes each, mostly when people eat.
    const cooking =
      noiseAt(kettle, Math.floor(ms / 300_000)) < 0.06 * day
        ? 900 + 1300 * noiseAt(kettle, Math.floor(ms / 900_000))
        : 0;
    return Math.round(standby + living + cooling + cooking);
  };
}

export class Meter implements World {
  readonly #registers: Registers;

  constructor(options: { weather: number; seed: number; saved: string; nowMs: number }) {
    const { weather, seed, saved, nowMs } = options;
    const home = homePowerW(seed);
    const roof = noiseAt(seedOf('roof', seed), 0) < 1 / 3 ? plantPowerW(weather, seed, ROOF_W) : () => 0;
    this.#registers = new Registers(
      (ms) => home(ms) - roof(ms),
      saved === ''
        ? {
            ms: nowMs,
            wh: [2_000_000 + Math.floor(28_000_000 * noiseAt(seed, 1)), Math.floor(900_000 * noiseAt(seed, 2))],
            rest: [0, 0],
          }
        : (JSON.parse(saved) as RegisterState),
    );
  }

  sample(ms: number): SenmlRecord[] {
    this.#registers.advance(ms);
    const [taken, given] = this.#registers.wh;
    return [
      { n: '1-0:1.8.0', u: 'Wh', v: taken },
      { n: '1-0:2.8.0', u: 'Wh', v: given },
      { n: '1-0:16.7.0', u: 'W', v: this.#registers.powerAt(ms) },
    ];
  }

  state(): string {
    return JSON.stringify(this.#registers.state);
  }
}
