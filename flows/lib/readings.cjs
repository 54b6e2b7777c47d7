/**
 * Readings of the log, in its order, each once while this runs. What comes live comes from the shared stream; what
 * was missed, or would be too much now, is read from /entries when there is room. So nothing is kept here but the
 * indexes of what was told and is not confirmed, and nothing is lost with it.
 *
 * With `from: 'stopped'` the place outlives this process: {did, log, next, waiting}. What stands below `next` and not
 * in `waiting` was confirmed, and is never told again; what is in `waiting` is.
 */
'use strict';

const { Backoff } = require('./backoff.cjs');

const PAGE = 200;
/** A place that moves by itself is saved so often at the most, and at the end: a flash card lives longer. */
const SAVE_MS = 1000;

class Readings {
  #o;
  #backoff = new Backoff();
  #next;
  #size = 0;
  #log;
  #did;
  /** Told, and not confirmed. In the order of the log. */
  #waiting = new Set();
  /** Not confirmed when this stopped: the only ones below `#againUntil` that are told again. */
  #again = new Set();
  #againUntil = 0;
  /** The index after the last that was looked at, in this run or before it. */
  #seen = 0;
  #pumping = false;
  #saving;
  #unread;
  #closed = false;

  /**
   * @param options {gateway, from: 'now'|'index'|'stopped', index, first: 'now'|'start', ack: 'auto'|'flow', max,
   *   place: PlaceFile, wants: (entry) => what to tell of it, or undefined, tell: (entry, what) => void,
   *   fail: (fault) => void, onProgress: () => void}
   */
  constructor(options) {
    this.#o = options;
  }

  /** @throws EdgeFault FLOW_PLACE_UNUSABLE: to begin anew unasked would tell all of it again, or miss some */
  start() {
    let saved;
    if (this.#o.from === 'stopped')
      try {
        saved = this.#o.place.load();
      } catch (error) {
        throw this.#o.gateway.fault('FLOW_PLACE_UNUSABLE', error.message);
      }
    this.#unread = this.#o.gateway.read({
      kind: 'entry',
      open: (state) => this.#open(state, saved),
      event: (entry) => this.#event(entry),
    });
  }

  get waiting() {
    return this.#waiting.size;
  }

  get next() {
    return this.#next ?? 0;
  }

  get isFull() {
    return this.#o.ack === 'flow' && this.#waiting.size >= this.#o.max;
  }

  /**
   * The flow has dealt with it. On disk when this resolves.
   * @returns false where nobody waits for it: it was confirmed before
   */
  async confirm(index) {
    if (!this.#waiting.delete(index)) return false;
    if (this.#o.from === 'stopped') await this.#save();
    this.#pump();
    return true;
  }

  /** @param isRemoved the node is no more, so its place is of no use */
  async close(isRemoved) {
    this.#closed = true;
    this.#backoff.stop();
    this.#unread?.();
    clearTimeout(this.#saving);
    if (this.#o.from !== 'stopped') return;
    if (isRemoved) this.#o.place.remove();
    else if (this.#next !== undefined) await this.#save();
  }

  #open({ size, log, did }, saved) {
    const { from, first, index } = this.#o;
    this.#size = size;
    if (this.#next === undefined) {
      if (saved && saved.did === did && saved.log === log) {
        this.#again = new Set(saved.waiting);
        this.#againUntil = saved.next;
        this.#seen = saved.next;
        this.#next = saved.waiting[0] ?? saved.next;
      }
      // The log began anew where this gateway's database was lost: all of that is new.
      else if (saved && saved.did === did) this.#next = 0;
      else this.#next = from === 'index' ? index : from === 'stopped' && first === 'start' ? 0 : size;
    } else if (log !== this.#log) this.#beginAnew(0);
    this.#log = log;
    this.#did = did;
    if (this.#seen > size) {
      this.#o.fail(this.#o.gateway.fault('FLOW_LOG_REWOUND', `${this.#seen} > ${size}`));
      this.#beginAnew(size);
    }
    this.#saveSoon();
    this.#pump();
  }

  #beginAnew(next) {
    this.#next = next;
    this.#seen = next;
    this.#againUntil = 0;
    this.#again.clear();
    this.#waiting.clear();
  }

  #event(entry) {
    this.#size = Math.max(this.#size, entry.index + 1);
    if (this.#pumping || this.isFull || entry.index < this.#next) return;
    if (entry.index === this.#next) this.#take(entry);
    else this.#pump();
  }

  #take(entry) {
    const { index } = entry;
    this.#next = index + 1;
    this.#seen = Math.max(this.#seen, this.#next);
    const isKnown = index < this.#againUntil && !this.#again.delete(index);
    const what = isKnown ? undefined : this.#o.wants(entry);
    if (what !== undefined) {
      if (this.#o.ack === 'flow') this.#waiting.add(index);
      this.#o.tell(entry, what);
    }
    this.#o.onProgress();
    this.#saveSoon();
  }

  /** Reads on from the log, as long as there is more and room for it. */
  #pump() {
    if (this.#pumping || this.#closed || this.#next === undefined) return;
    this.#pumping = true;
    this.#pages()
      .then(() => this.#backoff.reset())
      .catch((fault) => {
        if (this.#closed) return;
        // That the gateway is away is seen at the stream, and comes to an end by itself.
        if (fault.code !== 'FLOW_GATEWAY_AWAY') this.#o.fail(fault);
        this.#backoff.next(() => this.#pump());
      })
      .finally(() => {
        this.#pumping = false;
        // One may have come in the moment in between.
        if (!this.#closed && this.#goesOn && !this.#backoff.waits) this.#pump();
      });
  }

  get #goesOn() {
    return this.#next < this.#size && !this.isFull;
  }

  async #pages() {
    while (!this.#closed && this.#goesOn) {
      const log = this.#log;
      const after = this.#next > 0 ? `&after=${this.#next - 1}` : '';
      const { entries, size } = await this.#o.gateway.ask(`/entries?limit=${PAGE}${after}`);
      if (log !== this.#log) continue; // another log began meanwhile
      this.#size = Math.max(size, this.#size);
      if (entries.length === 0) return;
      for (const { envelope: _, ...entry } of entries) {
        if (this.#closed || this.isFull) return;
        if (entry.index >= this.#next) this.#take(entry);
      }
      // The flow's own work has its turn between pages.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #saveSoon() {
    if (this.#o.from !== 'stopped' || this.#saving || this.#closed) return;
    this.#saving = setTimeout(() => {
      this.#saving = undefined;
      this.#save().catch(() => undefined); // said already
    }, SAVE_MS);
  }

  async #save() {
    try {
      await this.#o.place.save(() => ({
        did: this.#did,
        log: this.#log,
        next: Math.max(this.#next, this.#againUntil),
        waiting: [...this.#waiting, ...this.#again].sort((a, b) => a - b),
      }));
    } catch (error) {
      const fault = this.#o.gateway.fault('FLOW_PLACE_UNUSABLE', error.message);
      this.#o.fail(fault);
      throw fault;
    }
  }
}

module.exports = { Readings };
