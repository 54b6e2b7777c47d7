/** What Node-RED says, as far as anybody can read it: a flow may say the same thing a thousand times a second. */

const MAX_LINES = 60;
const MINUTE_MS = 60_000;

type Say = (line: string, level: 'info' | 'warn') => void;

/** Passes on so many lines a minute, and says of the rest how many they were. */
export class LineBudget {
  readonly #say: Say;
  #left = MAX_LINES;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(say: Say) {
    this.#say = say;
  }

  say(text: string, level: 'info' | 'warn' = 'info'): void {
    this.#timer ??= setTimeout(() => this.#next(), MINUTE_MS).unref();
    if (this.#left > 0) {
      this.#left--;
      this.#say(`flows: ${text}`, level);
    } else this.#dropped++;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #next(): void {
    if (this.#dropped > 0) this.#say(`flows: and ${this.#dropped} more lines within a minute`, 'warn');
    this.#left = MAX_LINES;
    this.#dropped = 0;
    this.#timer = undefined;
  }
}
