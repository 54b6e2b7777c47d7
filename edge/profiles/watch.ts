/**
 * Registers only rise. Where one falls and nothing explains it, or rises by more than it can, the reading is signed all
 * the same, because it is what the device said, and its quality says why one should think twice. Pure; one for a device.
 *
 * What a doubted register is compared with stays the last value that nobody doubted, so that one bad value (a meter that
 * starts at 0, a damaged register) casts no doubt on the good one after it. Where the new values follow from each other,
 * {@link AGREEING} in a row, they are what the register is now: a meter was swapped, or was off for long.
 */
import type { SenmlRecord } from '../wire/senml.ts';
import type { ProfileValue } from './profile.ts';

/** So many readings in a row that follow from each other are believed, whatever was before them. */
export const AGREEING = 10;

/** Meters renew their registers so often at the least, seconds: so much may come at once. */
const RENEWED_S = 60;

/** `own`: the time is the device's. */
type Seen = { v: number; at: number; own: boolean };
type State = { good: Seen; doubted: (Seen & { agreeing: number }) | undefined };

export type Expected = Pick<ProfileValue, 'modulus' | 'mostPerHour' | 'scale'>;

/** What a plant gives beyond what it is rated at, as credits have it (credits/cap.ts). */
const OVER_CAPACITY = 1.05;

/**
 * What is expected of a value as a register; undefined where it is none.
 * @param device what was said of it when it was enrolled, which is nearer to it than its profile
 */
export function registerOf(
  { billed, modulus, mostPerHour, scale }: Pick<ProfileValue, 'billed' | keyof Expected>,
  device: { registerModulusWh: number | null; capacityW: number | null },
): Expected | undefined {
  if (!billed && modulus === undefined && mostPerHour === undefined) return undefined;
  const begins = (billed ? device.registerModulusWh : null) ?? modulus;
  const rated = billed && device.capacityW !== null ? device.capacityW * OVER_CAPACITY : undefined;
  const most = rated ?? mostPerHour;
  return {
    scale,
    ...(begins === undefined ? {} : { modulus: begins }),
    ...(most === undefined ? {} : { mostPerHour: most }),
  };
}

export class RegisterWatch {
  readonly #expected: (name: string) => Expected | undefined;
  readonly #states = new Map<string, State>();

  /** @param expected of a register by its record's name; undefined: it is none */
  constructor(expected: (name: string) => Expected | undefined) {
    this.#expected = expected;
  }

  /**
   * @param at Unix seconds of the records that have no time of their own
   * @param doubtful somebody doubted them before: nothing is compared with them where nothing else is known
   * @returns why one should think twice; undefined where nothing speaks against it
   */
  judge(records: readonly SenmlRecord[], at: number, doubtful = false): string | undefined {
    const doubts: string[] = [];
    for (const record of [...records].sort((a, b) => (a.t ?? at) - (b.t ?? at))) {
      const { n, u, v, t } = record;
      const seen = v === undefined ? undefined : { v, at: t ?? at, own: t !== undefined };
      const doubt = seen && this.#one(n, u, seen, doubtful);
      if (doubt !== undefined) doubts.push(doubt);
    }
    return doubts.length === 0 ? undefined : doubts.join('; ');
  }

  #one(name: string, unit: string | undefined, seen: Seen, doubtful: boolean): string | undefined {
    const expected = this.#expected(name);
    if (!expected) return undefined;
    const state = this.#states.get(name);
    if (!state) {
      if (!doubtful) this.#states.set(name, { good: seen, doubted: undefined });
      return undefined;
    }
    // Of an earlier time than what is known: a load profile that is read afterwards. It is compared with nothing.
    if (seen.own && seen.at < state.good.at) return undefined;
    const why = flawOf(state.good, seen, expected, unit);
    if (why === undefined) {
      this.#states.set(name, { good: seen, doubted: undefined });
      return undefined;
    }
    const { doubted } = state;
    const follows = doubted !== undefined && flawOf(doubted, seen, expected, unit) === undefined;
    const agreeing = follows ? doubted.agreeing + 1 : 1;
    if (agreeing > AGREEING) {
      this.#states.set(name, { good: seen, doubted: undefined });
      return undefined;
    }
    state.doubted = { ...seen, agreeing };
    return `${name} ${why}`;
  }
}

function flawOf(before: Seen, now: Seen, { modulus, mostPerHour, scale }: Expected, unit = ''): string | undefined {
  const most =
    mostPerHour === undefined
      ? undefined
      : (mostPerHour * (Math.max(0, now.at - before.at) + RENEWED_S)) / 3600 + Math.abs(scale);
  const from = `from ${before.v} to ${now.v} ${unit}`.trimEnd();
  if (now.v >= before.v)
    return most !== undefined && now.v - before.v > most ? `rose ${from} in ${now.at - before.at} s` : undefined;
  if (modulus === undefined) return `fell ${from}`;
  // Nobody said how fast it can rise: then it must have been in its last tenth, and be in its first.
  const risen = modulus - before.v + now.v;
  return risen >= 0 && risen <= (most ?? modulus / 10) ? undefined : `fell ${from}, and it begins anew at ${modulus}`;
}
