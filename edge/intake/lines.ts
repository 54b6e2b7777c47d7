/** Lines of what clients do wrong: so many at once, and then so many a second. A flood must not fill the log's disk. */
import { Buckets } from './buckets.ts';

const AT_ONCE = 200;
const A_SECOND = 20;

export class Lines {
  readonly #report: (line: string) => void;
  readonly #room = new Buckets(A_SECOND, AT_ONCE);
  #unsaid = 0;

  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  say(line: string): void {
    if (!this.#room.tryTake('')) {
      this.#unsaid++;
      return;
    }
    const more = this.#unsaid === 0 ? '' : ` (and ${this.#unsaid} lines before this one that are left out)`;
    this.#unsaid = 0;
    this.#report(line + more);
  }
}
