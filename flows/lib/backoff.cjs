/** How long to wait before the next try: twice as long each time up to half a minute, and never all at once. */
'use strict';

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

class Backoff {
  #tries = 0;
  #timer;

  /**
   * @param isRefused a login was refused: trying often helps nobody, and gateways count it
   * @returns ms until `again` is called; a call before cancels the one that waits
   */
  next(again, isRefused = false) {
    const most = isRefused ? LONGEST_MS : Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.#tries++, 16));
    // Half of it is chance: a hundred flows are not to come back in the same moment.
    const ms = Math.round(most / 2 + (Math.random() * most) / 2);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      again();
    }, ms);
    return ms;
  }

  /** It went well. */
  reset() {
    this.#tries = 0;
  }

  get waits() {
    return this.#timer !== undefined;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

module.exports = { Backoff };
