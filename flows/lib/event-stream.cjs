/** Server-sent events (WHATWG HTML, section 9.2) out of the chunks of an answer. */
'use strict';

/** More in one event than any the gateway sends. */
const MAX_EVENT = 4 * 1024 * 1024;

class EventParser {
  #tell;
  #text = '';
  #decoder = new TextDecoder();

  /** @param tell called with {id, kind, data}, where data is text */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @throws where an event is larger than the cap */
  push(chunk) {
    this.#text += this.#decoder.decode(chunk, { stream: true });
    let end = this.#text.indexOf('\n\n');
    while (end >= 0) {
      const block = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      this.#event(block);
      end = this.#text.indexOf('\n\n');
    }
    if (this.#text.length > MAX_EVENT) throw new Error(`an event of more than ${MAX_EVENT} characters`);
  }

  #event(block) {
    const fields = {};
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, '');
    }
    if (fields.data !== undefined)
      this.#tell({ id: fields.id ?? '', kind: fields.event ?? 'message', data: fields.data });
  }
}

module.exports = { EventParser };
