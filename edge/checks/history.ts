/**
 * Earlier checks, of the store and of those on their way into it: a decision counts for the next one as soon as it is
 * made, so that the order in which the disk answers changes nothing.
 */
import type { CheckRow, Checks } from '../store/checks.ts';
import type { Past } from './decide.ts';
import { MAX_PAST, type PastCheck, type Sighting } from './plausibility.ts';

/** Of one counter there is one check, and a fork of it or two. */
const MAX_FORKS = 8;

export class History implements Past {
  readonly #checks: Checks;
  readonly lastReading: (holder: string) => Sighting | undefined;
  /** Oldest first. A row of them that is on disk meanwhile is dropped before anybody asks again. */
  readonly #onTheirWay = new Set<CheckRow>();

  /** @param lastReading of the accepted readings, which are none of this file's */
  constructor(checks: Checks, lastReading: (holder: string) => Sighting | undefined) {
    this.#checks = checks;
    this.lastReading = lastReading;
  }

  begin(row: CheckRow): void {
    this.#onTheirWay.add(row);
  }

  /** It is on disk, or never will be. */
  end(row: CheckRow): void {
    this.#onTheirWay.delete(row);
  }

  /** Decisions that are being written. */
  get pending(): number {
    return this.#onTheirWay.size;
  }

  isUsed(nonce: Uint8Array): boolean {
    for (const row of this.#onTheirWay) if (row.nonce && Buffer.compare(row.nonce, nonce) === 0) return true;
    return this.#checks.isUsed(nonce);
  }

  ofRegistration(registration: string): PastCheck[] {
    const rows = this.#newest((r) => r.registration === registration);
    return [...rows, ...this.#checks.ofRegistration(registration, MAX_PAST)].flatMap(pastOf).slice(0, MAX_PAST);
  }

  highestCounter(holder: string): number | undefined {
    const counters = this.#newest((r) => r.holder === holder && r.counter !== null).map((r) => r.counter as number);
    const onDisk = this.#checks.highestCounter(holder);
    if (onDisk !== undefined) counters.push(onDisk);
    return counters.length === 0 ? undefined : Math.max(...counters);
  }

  withCounter(holder: string, counter: number): PastCheck[] {
    const rows = this.#newest((r) => r.holder === holder && r.counter === counter);
    return [...rows, ...this.#checks.withCounter(holder, counter, MAX_FORKS)].flatMap(pastOf);
  }

  #newest(wanted: (row: CheckRow) => boolean): CheckRow[] {
    return [...this.#onTheirWay].filter(wanted).reverse();
  }
}

/** Nothing where the credential was not proven. */
function pastOf(r: CheckRow): PastCheck[] {
  const { registration, holder, counter, telemetry, validFromMs, validUntilMs } = r;
  if (registration === null || holder === null || counter === null || telemetry === null) return [];
  return [
    {
      ms: r.decidedMs,
      holder,
      registration,
      counter,
      telemetry,
      validFromMs: validFromMs ?? 0,
      validUntilMs: validUntilMs ?? 0,
      gate: r.gate ?? '',
      fix: r.lat === null || r.lon === null ? undefined : { lat: r.lat, lon: r.lon },
      allowed: r.decision.startsWith('ALLOW'),
    },
  ];
}
