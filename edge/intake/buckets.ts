/** Token buckets, one for each key: they refill with (monotonic) time, and a full one is not worth remembering. */

type Bucket = { tokens: number; at: number };

/** When so many are kept, the full ones are forgotten. */
const SWEEP_AT = 1024;

export class Buckets {
  #perSecond: number;
  #full: number;
  readonly #buckets = new Map<string, Bucket>();
  #sweepAt = SWEEP_AT;

  constructor(perSecond: number, full: number) {
    this.#perSecond = perSecond;
    this.#full = full;
  }

  /** From now on; what is in a bucket stays in it, as far as it goes. */
  setRate(perSecond: number, full: number): void {
    this.#perSecond = perSecond;
    this.#full = full;
  }

  /** Takes one, which may be a debt. @returns the ms after which the debt is paid; 0 where there is none */
  take(key: string): number {
    const bucket = this.#refilled(key);
    bucket.tokens -= 1;
    this.#keep(key, bucket);
    return bucket.tokens >= 0 ? 0 : (-bucket.tokens / this.#perSecond) * 1000;
  }

  /** Takes one where there is one. */
  tryTake(key: string): boolean {
    const bucket = this.#refilled(key);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    this.#keep(key, bucket);
    return true;
  }

  isEmpty(key: string): boolean {
    return this.#refilled(key).tokens < 1;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  #refilled(key: string): Bucket {
    const at = performance.now();
    const held = this.#buckets.get(key);
    if (!held) return { tokens: this.#full, at };
    return { tokens: Math.min(this.#full, held.tokens + ((at - held.at) / 1000) * this.#perSecond), at };
  }

  #keep(key: string, bucket: Bucket): void {
    this.#buckets.set(key, bucket);
    if (this.#buckets.size < this.#sweepAt) return;
    for (const k of this.#buckets.keys()) if (this.#refilled(k).tokens >= this.#full) this.#buckets.delete(k);
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#buckets.size);
  }
}
