/** Simulated time: the sun, the roads and the homes may run faster than the clock that stamps envelopes. */
export class SimClock {
  readonly #startMs: number;
  readonly #speed: number;
  #begun: number | undefined;

  /** @param startMs simulated Unix time at the start */
  constructor(startMs: number, speed: number) {
    this.#startMs = startMs;
    this.#speed = speed;
  }

  start(): void {
    this.#begun = performance.now();
  }

  /** Real milliseconds since the start; 0 before it, so that a slow boot moves no sun. */
  get elapsed(): number {
    return this.#begun === undefined ? 0 : performance.now() - this.#begun;
  }

  /** Simulated time at so many real milliseconds after the start: the same in every run. */
  at(elapsed: number): number {
    return Math.round(this.#startMs + elapsed * this.#speed);
  }

  now(): number {
    return this.at(this.elapsed);
  }
}

/** A local time of Sejong (KST, UTC+9) unless it says otherwise. */
export function parseLocalTime(text: string): number | undefined {
  const match = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}(?::\d{2})?))?(Z|[+-]\d{2}:\d{2})?$/.exec(text);
  if (!match) return undefined;
  const ms = Date.parse(`${match[1]}T${match[2] ?? '00:00'}${match[3] ?? '+09:00'}`);
  return Number.isNaN(ms) ? undefined : ms;
}
