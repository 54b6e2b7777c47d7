/** A histogram of latencies, as Prometheus has them: each bucket counts all that took no longer than its bound. */

/** In milliseconds. */
const BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000] as const;

export class Latencies {
  readonly #counts = new Array<number>(BOUNDS.length).fill(0);
  count = 0;
  sumMs = 0;

  add(ms: number): void {
    this.count++;
    this.sumMs += ms;
    BOUNDS.forEach((bound, i) => {
      if (ms <= bound) this.#counts[i] = (this.#counts[i] as number) + 1;
    });
  }

  /** Bound in seconds (or +Inf) and how many were no longer. */
  *[Symbol.iterator](): Iterator<[string, number]> {
    for (const [i, bound] of BOUNDS.entries()) yield [String(bound / 1000), this.#counts[i] as number];
    yield ['+Inf', this.count];
  }
}
