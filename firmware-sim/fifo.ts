/** A queue whose elements keep their position numbers while earlier ones leave. */
export class Fifo<T> {
  #items: T[] = [];
  #head = 0;
  #left = 0;

  /** Position of the first element; `end` is one past the last. */
  get begin(): number {
    return this.#left;
  }

  get end(): number {
    return this.#left + this.size;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  at(position: number): T | undefined {
    return position < this.#left ? undefined : this.#items[position - this.#left + this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head++] as T;
    this.#left++;
    // Array.shift() moves all the rest each time; this moves them once in a while.
    if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as T;
  }
}
