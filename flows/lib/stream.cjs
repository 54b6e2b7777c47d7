/**
 * The one stream of events that all nodes of one gateway share. It comes back by itself, with a growing pause, and
 * goes on where it was.
 *
 * A reader is {kind, place, event(data), open(state), closed(fault, againMs), refused(fault)}. Of `entry` the stream only brings what
 * is new; who wants what was before pages through /entries (readings-in does). Of `certificate` and `alarm` a reader
 * has a place, a NewsPlace; one that has not begun begins now.
 */
'use strict';

const { Backoff } = require('./backoff.cjs');
const { EventParser } = require('./event-stream.cjs');
const { problemOf } = require('./fault.cjs');
const { beginFor, FIRST, placeIn } = require('./news-place.cjs');

/** The gateway pings each 15 s. */
const SILENT_MS = 45_000;
const ANSWER_MS = 20_000;
/** So that nodes that are deployed together open one stream together. */
const SETTLE_MS = 25;

/** Kinds whose readers have a place. */
const PLACED = ['certificate', 'alarm'];

class Stream {
  #ask;
  #open;
  #onState;
  #mayRenew;
  #readers = new Set();
  #backoff = new Backoff();
  #settling;
  #answer;
  #turn = 0;
  #log;
  #closed = false;

  /**
   * @param options {ask: gateway.ask, open: opens an answer that does not end, (path) => Promise<answer>,
   *   onState: (state) => void, mayRenew: () => whether a refused token may soon be another one}
   */
  constructor({ ask, open, onState, mayRenew }) {
    this.#mayRenew = mayRenew;
    this.#ask = ask;
    this.#open = open;
    this.#onState = onState;
  }

  /** @returns a function that takes the reader away */
  add(reader) {
    this.#readers.add(reader);
    this.#settle();
    return () => {
      this.#readers.delete(reader);
      this.#settle();
    };
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#settling);
    this.#end();
  }

  #settle() {
    if (this.#closed) return;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#end();
      if (this.#readers.size > 0) this.#connect();
    }, SETTLE_MS);
  }

  #end() {
    this.#turn++;
    this.#backoff.stop();
    this.#answer?.destroy();
    this.#answer = undefined;
  }

  /** A turn is one connection; what comes of an older one is nobody's any more. */
  #connect() {
    const turn = ++this.#turn;
    const isOver = () => turn !== this.#turn;
    this.#run(isOver).catch((fault) => {
      if (isOver()) return;
      this.#end();
      const againMs = this.#backoff.next(() => this.#connect(), fault.problem?.status === 401 && !this.#mayRenew());
      this.#onState({ state: 'away', problem: problemOf(fault), againMs });
      for (const reader of this.#readers) reader.closed?.(fault, againMs);
    });
  }

  async #run(isOver) {
    const health = await this.#ask('/health', { open: true });
    const { size } = await this.#ask('/entries?limit=1&after=0');
    if (isOver()) return;
    const log = health.log;
    if (this.#log !== undefined && this.#log !== log)
      // Another database: its alarms are counted anew.
      for (const reader of this.#readers) if (reader.kind === 'alarm') reader.place.beginAnew();
    this.#log = log;
    const placed = [...this.#readers].filter(({ kind }) => PLACED.includes(kind));
    if (placed.some(({ place }) => place.text === undefined)) {
      const now = await this.#now(isOver);
      if (isOver()) return;
      for (const { kind, place } of placed)
        if (place.text === undefined) place.beginAt(placeIn(now, kind) ?? FIRST[kind]);
    }
    const kinds = [...new Set([...this.#readers].map(({ kind }) => kind))];
    const open = (wanted) => {
      const from = [`entry:${size},checkpoint:0,anchor:0,quarantine:0`];
      for (const one of PLACED.filter((kind) => wanted.includes(kind))) {
        const texts = placed.filter(({ kind }) => kind === one).map(({ place }) => place.text);
        from.push(`${one}:${beginFor(one, texts)}`);
      }
      return this.#open(`/events?kinds=${wanted.join(',')}&from=${encodeURIComponent(from.join(','))}`);
    };
    let refusal;
    const answer = await open(kinds).catch((fault) => {
      // A gateway of an earlier version tells of no alarms. That is no reason to tell nothing else.
      const others = kinds.filter((kind) => kind !== 'alarm');
      if (fault.code !== 'REQUEST_INVALID' || others.length === 0 || others.length === kinds.length) throw fault;
      refusal = fault;
      return open(others);
    });
    if (isOver()) {
      answer.destroy();
      return;
    }
    this.#answer = answer;
    this.#backoff.reset();
    this.#onState({ state: 'connected' });
    for (const reader of [...this.#readers])
      if (refusal && reader.kind === 'alarm') reader.refused?.(refusal);
      else reader.open?.({ size, log, did: health.did });
    await this.#read(answer, (event) => this.#tell(event), isOver);
  }

  /** The id of an event that has just been: there is a checkpoint whatever else has happened. */
  async #now(isOver) {
    const answer = await this.#open('/events?kinds=checkpoint&from=entry:0,checkpoint:0,anchor:0,quarantine:0');
    let id;
    await this.#read(
      answer,
      (event) => {
        id ??= event.id;
        answer.destroy();
      },
      () => id !== undefined || isOver(),
    );
    return id ?? '';
  }

  /** Ends when it is over; throws when the connection ends before. */
  #read(answer, tell, isOver) {
    return new Promise((resolve, reject) => {
      const parser = new EventParser((event) => {
        if (!isOver()) tell(event);
      });
      const silent = setTimeout(() => answer.destroy(new Error('silent')), SILENT_MS);
      answer.on('data', (chunk) => {
        silent.refresh();
        try {
          parser.push(chunk);
        } catch (error) {
          answer.destroy(error);
        }
      });
      const end = (error) => {
        clearTimeout(silent);
        if (isOver()) resolve();
        else reject(this.#ask.fault('FLOW_GATEWAY_AWAY', `/events: ${error?.message ?? 'it ended'}`));
      };
      answer.on('error', end);
      answer.on('close', () => end());
    });
  }

  #tell({ id, kind, data }) {
    let parsed;
    for (const reader of [...this.#readers]) {
      if (reader.kind !== kind) continue;
      const at = placeIn(id, kind);
      if (at !== undefined && !reader.place.passes(at, data)) continue;
      parsed ??= JSON.parse(data);
      reader.event(parsed);
    }
  }
}

module.exports = { ANSWER_MS, Stream };
