/** The energy registers of a meter: exact, only ever rising, by direction and tariff, kept over restarts as an EEPROM does. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { noiseAt } from '../random.ts';

export type EnergyOptions = {
  seed: number;
  /** Simulated Unix ms, never backwards. */
  now: () => number;
  /** W at a simulated time, held for the second that begins there: positive is taken, negative given. */
  powerW: (ms: number) => number;
  /** Wh: taken and given, tariff 1 and 2 of each. From the seed where absent. */
  startWh?: readonly [number, number, number, number];
  /** A file that keeps the registers over restarts. */
  eeprom?: string;
};

const MILLIJOULES_PER_WH = 3_600_000n;
const DAY = 86_400_000;

export class Energy {
  readonly #options: EnergyOptions;
  readonly #millijoules: bigint[];
  #until: number;

  constructor(options: EnergyOptions) {
    const { seed, startWh, eeprom } = options;
    this.#options = options;
    const start = startWh ?? [0, 1, 2, 3].map((i) => Math.floor(noiseAt(seed, i) * 9_000_000));
    this.#millijoules = recall(eeprom) ?? start.map((wh) => BigInt(wh) * MILLIJOULES_PER_WH);
    this.#until = options.now();
  }

  /** Whole Wh, taken and given, tariff 1 and 2 of each. What was told once is never less later. */
  get wh(): readonly [number, number, number, number] {
    const now = this.#options.now();
    // After days of simulated sleep the last one counts.
    this.#until = Math.max(this.#until, now - DAY);
    for (; this.#until + 1000 <= now; this.#until += 1000) {
      const milliwatts = BigInt(Math.round(this.#options.powerW(this.#until) * 1000));
      const direction = milliwatts < 0n ? 2 : 0;
      const at = direction + tariff(this.#until) - 1;
      this.#millijoules[at] = (this.#millijoules[at] as bigint) + (milliwatts < 0n ? -milliwatts : milliwatts);
    }
    remember(this.#options.eeprom, this.#millijoules);
    return this.#millijoules.map((mj) => Number(mj / MILLIJOULES_PER_WH)) as [number, number, number, number];
  }

  get watts(): number {
    return Math.round(this.#options.powerW(this.#options.now()));
  }
}

/** Low from 23 to 7 o'clock in winter time of Central Europe. */
export function tariff(ms: number): 1 | 2 {
  const hour = new Date(ms + 3_600_000).getUTCHours();
  return hour >= 7 && hour < 23 ? 2 : 1;
}

function recall(eeprom: string | undefined): bigint[] | undefined {
  if (eeprom === undefined) return undefined;
  let stored: string;
  try {
    stored = readFileSync(eeprom, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (!/^\d+( \d+){3}$/.test(stored)) throw new Error(`${eeprom} does not hold four energy registers`);
  return stored.split(' ').map(BigInt);
}

function remember(eeprom: string | undefined, millijoules: readonly bigint[]): void {
  if (eeprom === undefined) return;
  writeFileSync(`${eeprom}.new`, `${millijoules.join(' ')}\n`);
  renameSync(`${eeprom}.new`, eeprom);
}
