/** Timers of a run that all stop together. */
export class Timers {
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  after(ms: number, run: () => void): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  every(ms: number, run: () => void): void {
    this.after(ms, () => {
      this.every(ms, run);
      run();
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
