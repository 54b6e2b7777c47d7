/**
 * Which devices are silent: for three times as long as they usually let pass, and for a minute at the least. By the
 * monotonic clock, and from the start of this run on: neither a clock that is set nor a gateway that was off makes a
 * device silent.
 */
import type { Device } from '../store/devices.ts';

const FACTOR = 3;
/** Devices whose usual interval is looked up at one look. */
const LOOKUPS = 100;

type Seen = { entries: number; at: number; usualMs: number | null | undefined; silent: boolean };

export type SilenceOptions = {
  minMs: number;
  ownKind: string;
  /** Times of receipt of a device's newest entries, in the order of its counter, newest first. */
  receipts: (device: Device) => number[];
  /** Devices that were silent when the last run ended: id, and when that was found. */
  silent: ReadonlyMap<number, number>;
};

export class Silence {
  readonly #o: SilenceOptions;
  readonly #seen: Seen[] = [];

  constructor(options: SilenceOptions) {
    this.#o = options;
  }

  isSilent(device: Device): boolean {
    return this.#seen[device.id]?.silent === true;
  }

  /** Ms that usually pass between two entries, where that was looked up; null where there are too few. */
  usualMs(device: Device): number | null {
    return this.#seen[device.id]?.usualMs ?? null;
  }

  /**
   * @param now monotonic ms
   * @returns devices that have become silent, and those that are not any more
   */
  look(devices: readonly Device[], now: number): { silent: Device[]; back: Device[] } {
    const silent: Device[] = [];
    const back: Device[] = [];
    let lookups = LOOKUPS;
    for (const device of devices) {
      const { entries, lastMs } = device.counter;
      let seen = this.#seen[device.id];
      if (!seen) {
        const since = this.#o.silent.get(device.id);
        seen = { entries, at: now, usualMs: undefined, silent: since !== undefined };
        this.#seen[device.id] = seen;
        if (since !== undefined && lastMs > since) seen.entries = -1; // it spoke just before the end
      }
      const spoke = seen.entries !== entries;
      if (spoke) Object.assign(seen, { entries, at: now, usualMs: undefined });
      if (device.kind === this.#o.ownKind || device.status !== 'active' || spoke) {
        if (seen.silent) {
          seen.silent = false;
          back.push(device);
        }
        continue;
      }
      if (seen.silent || entries === 0 || now - seen.at < this.#o.minMs) continue;
      if (seen.usualMs === undefined) {
        if (lookups-- <= 0) continue;
        seen.usualMs = usualOf(this.#o.receipts(device));
      }
      if (seen.usualMs === null || now - seen.at < FACTOR * seen.usualMs) continue;
      seen.silent = true;
      silent.push(device);
    }
    return { silent, back };
  }
}

/** The median of what passed between two; null with fewer than three. What a clock that was set back left counts as 0. */
export function usualOf(newestFirst: readonly number[]): number | null {
  const between = newestFirst
    .slice(1)
    .map((ms, i) => Math.max(0, (newestFirst[i] as number) - ms))
    .sort((a, b) => a - b);
  return between.length < 2 ? null : (between[Math.floor(between.length / 2)] as number);
}
