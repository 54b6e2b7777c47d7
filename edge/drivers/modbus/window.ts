/** More than any answer with the noise before it; a babbling line must not fill memory. */
const MAX_HEARD = 1024;

/** What was heard in one exchange, and how far it has been looked through. */
export class Window {
  #bytes = new Uint8Array(0);
  #from = 0;
  #full = false;

  /**
   * @param at looks at what begins at one byte: an answer; `no`: go on with the next byte; `more`: wait for further
   * bytes, and then look here again
   */
  find<A extends object>(chunk: Uint8Array, at: (rest: Uint8Array) => A | 'no' | 'more'): A | undefined {
    // For good: what comes after a piece that was left out is not what followed the piece before.
    this.#full ||= this.#bytes.length + chunk.length > MAX_HEARD;
    if (this.#full) return undefined;
    const bytes = new Uint8Array(this.#bytes.length + chunk.length);
    bytes.set(this.#bytes);
    bytes.set(chunk, this.#bytes.length);
    this.#bytes = bytes;
    for (; this.#from < bytes.length; this.#from++) {
      const found = at(bytes.subarray(this.#from));
      if (found === 'no') continue;
      return found === 'more' ? undefined : found;
    }
    return undefined;
  }
}
