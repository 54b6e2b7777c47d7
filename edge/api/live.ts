/**
 * The follower behind `live/{kind}/{did}`: each accepted reading as JSON, for flows. It starts with what comes next
 * and keeps no place: who must miss nothing reads /events or /entries from an index. While nobody listens, it
 * skips; when it is too far behind, it jumps ahead and counts what it left out.
 */
import type { Log } from '../log/log.ts';
import type { Devices } from '../store/devices.ts';
import type { Entries } from '../store/entries.ts';
import { describeEntry } from './describe.ts';

export type LiveOptions = {
  log: Log;
  entries: Entries;
  devices: Devices;
  listening: () => boolean;
  publish: (topic: string, json: string) => void;
};

const PAGE = 200;
const MAX_BEHIND = 20_000;

export class Live {
  readonly #o: LiveOptions;
  #next = 0;
  #working = false;
  skipped = 0;

  constructor(options: LiveOptions) {
    this.#o = options;
  }

  start(): void {
    this.#next = this.#o.log.size;
  }

  wake(): void {
    const { log, listening } = this.#o;
    if (!listening()) {
      this.#next = log.size;
      return;
    }
    if (this.#working) return;
    this.#working = true;
    setImmediate(() => this.#page());
  }

  #page(): void {
    const { log, entries, devices, publish, listening } = this.#o;
    if (log.size - this.#next > MAX_BEHIND) {
      this.skipped += log.size - this.#next;
      this.#next = log.size;
    }
    const rows = listening() ? entries.page(this.#next, PAGE) : [];
    for (const row of rows) {
      const view = describeEntry(row, devices, false);
      // What was pruned or forgotten before it could be told is no reading any more.
      if (!view.pruned && !view.forgotten) publish(`live/${view.kind}/${view.did}`, JSON.stringify(view));
      this.#next = row.idx + 1;
    }
    if (rows.length > 0 && this.#next < log.size) setImmediate(() => this.#page());
    else this.#working = false;
  }
}
