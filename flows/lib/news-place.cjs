/**
 * How far a reader of certificates or alarms has come: what stands in the ids of the events that it was told. Of
 * certificates that is two counters: when the newest was made, and the newest of what the chain said of them. Several
 * certificates may share one place, so what was told of late is known by its content, too.
 */
'use strict';

const { createHash } = require('node:crypto');

const IN_ID = { certificate: /,certificate:(\d+-\d+-\d+)/, alarm: /,alarm:(\d+)/ };
/** A place before all others. */
const FIRST = { certificate: '0-0-0', alarm: '0' };
const MAX_TOLD = 256;

/** The counters of a place; each is a list of numbers that is compared from the left. */
function countersOf(kind, text) {
  const numbers = text.split('-').map(Number);
  return kind === 'certificate' ? [[numbers[0]], [numbers[1], numbers[2]]] : [numbers];
}

const textOf = (counters) => counters.flat().join('-');

function compare(a, b) {
  const at = a.findIndex((n, i) => n !== b[i]);
  return at < 0 ? 0 : a[at] - b[at];
}

/** The place of a kind in the id of an event; undefined where it says none. */
const placeIn = (id, kind) => IN_ID[kind]?.exec(id)?.[1];

/** Where a stream must begin for readers at these places; undefined where there are none. */
function beginFor(kind, texts) {
  const all = texts.map((text) => countersOf(kind, text));
  const least = all.reduce((a, b) => a?.map((c, i) => (compare(c, b[i]) < 0 ? c : b[i])) ?? b, undefined);
  if (!least || kind !== 'certificate') return least && textOf(least);
  // A little before: the connection may have ended between two that share a place.
  const [[madeMs], [block, logIndex]] = least;
  const before = logIndex > 0 ? [block, logIndex - 1] : block > 0 ? [block - 1, 999_999_999] : [0, 0];
  return textOf([[Math.max(0, madeMs - 1)], before]);
}

class NewsPlace {
  #kind;
  #at;
  /** Where it began, which itself was no news any more; undefined for the very beginning. */
  #since;
  #told;

  /** @param saved what toJSON() gave */
  constructor(kind, saved) {
    this.#kind = kind;
    this.#at = saved && countersOf(kind, saved.place);
    this.#since = saved?.since === undefined ? undefined : countersOf(kind, saved.since);
    this.#told = new Set(saved?.told ?? []);
  }

  /** One that is told everything there is. */
  static first(kind) {
    return new NewsPlace(kind, { place: FIRST[kind] });
  }

  /** Undefined until it has begun. */
  get text() {
    return this.#at && textOf(this.#at);
  }

  beginAt(text) {
    this.#at = countersOf(this.#kind, text);
    this.#since = this.#at;
  }

  /** The log began anew, and with it all that is counted in its database. */
  beginAnew() {
    this.#at = countersOf(this.#kind, FIRST[this.#kind]);
    this.#since = undefined;
  }

  /** Moves on to an event. @returns whether it is to be told */
  passes(text, data) {
    const event = countersOf(this.#kind, text);
    const isNews = event.some((counter, i) => {
      const ahead = compare(counter, this.#at[i]);
      return ahead > 0 || (ahead === 0 && !(this.#since && compare(counter, this.#since[i]) === 0));
    });
    this.#at = this.#at.map((counter, i) => (compare(event[i], counter) > 0 ? event[i] : counter));
    if (!isNews) return false; // it was for another reader
    const content = createHash('sha256').update(data).digest('base64').slice(0, 16);
    if (this.#told.has(content)) return false;
    this.#told.add(content);
    if (this.#told.size > MAX_TOLD) this.#told.delete(this.#told.values().next().value);
    return true;
  }

  toJSON() {
    const since = this.#since && textOf(this.#since);
    return { kind: this.#kind, place: this.text, ...(since ? { since } : {}), told: [...this.#told] };
  }
}

module.exports = { beginFor, FIRST, NewsPlace, placeIn };
