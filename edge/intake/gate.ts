/**
 * Room for bytes that are under way, shared fairly: whoever has taken all that one may have waits without keeping
 * anybody else out, and those that wait for room in the whole get it in turn, one each, not in the order in which one
 * of them asked a thousand times. In the order of one key nothing is ever overtaken.
 */
export type GateOptions = {
  /** Whoever comes while no more than this is inside may enter, whatever its size. */
  max: number;
  /** The same for one key. */
  maxPerKey: number;
  /** Somebody has to wait, for the whole or for its own. */
  onWait: (why: 'all' | 'key') => void;
};

export class Gate {
  readonly #o: GateOptions;
  #inside = 0;
  readonly #byKey = new Map<string, number>();
  /** In the order of whose turn it is; never an empty list. */
  readonly #waiting = new Map<string, { size: number; enter: () => void }[]>();

  constructor(options: GateOptions) {
    this.#o = { ...options };
  }

  /** Resolves when it is inside; undefined where it is so at once. */
  enter(key: string, size: number): Promise<void> | undefined {
    const line = this.#waiting.get(key);
    if (!line && this.#inside <= this.#o.max && this.#hasRoom(key)) {
      this.#take(key, size);
      return undefined;
    }
    this.#o.onWait(this.#hasRoom(key) ? 'all' : 'key');
    return new Promise((enter) => {
      if (line) line.push({ size, enter });
      else this.#waiting.set(key, [{ size, enter }]);
    });
  }

  /** From now on; who is inside stays. */
  setRoom(max: number, maxPerKey: number): void {
    Object.assign(this.#o, { max, maxPerKey });
    this.#admit();
  }

  leave(key: string, size: number): void {
    this.#inside -= size;
    const rest = (this.#byKey.get(key) ?? 0) - size;
    if (rest > 0) this.#byKey.set(key, rest);
    else this.#byKey.delete(key);
    this.#admit();
  }

  #hasRoom(key: string): boolean {
    return (this.#byKey.get(key) ?? 0) <= this.#o.maxPerKey;
  }

  #take(key: string, size: number): void {
    this.#inside += size;
    this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + size);
  }

  /** A key that was let in goes to the end, so this comes by it again: until nobody who waits may enter. */
  #admit(): void {
    for (const [key, line] of this.#waiting) {
      if (this.#inside > this.#o.max) return;
      if (!this.#hasRoom(key)) continue;
      const next = line.shift();
      this.#waiting.delete(key);
      if (!next) continue;
      if (line.length > 0) this.#waiting.set(key, line);
      this.#take(key, next.size);
      next.enter();
    }
  }
}
