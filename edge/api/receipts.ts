/**
 * The follower behind `down/{did}/receipt`: once a checkpoint covers an entry, its device gets the COSE receipt, where it
 * is connected and has asked for receipts. It starts with what comes next and keeps no place: a receipt that was missed
 * can be had at /entries/{index}/receipt for ever. While nobody listens, it skips; when it is too far behind, it jumps
 * ahead and counts what it left out.
 */
import type { Log } from '../log/log.ts';
import type { Devices } from '../store/devices.ts';
import type { Entries } from '../store/entries.ts';
import { counterBytes } from '../wire/envelope.ts';

export type ReceiptsOptions = {
  log: Log;
  entries: Entries;
  devices: Devices;
  /** DIDs of those who listen now. */
  listening: () => ReadonlySet<string>;
  publish: (topic: string, receipt: Uint8Array) => void;
};

/** A receipt takes some hundred hashes: so many at once hold up a reading by a few milliseconds. */
const PAGE = 16;
const MAX_BEHIND = 20_000;

export class Receipts {
  readonly #o: ReceiptsOptions;
  /** The first entry that no receipt was offered for. */
  #next = 0;
  #working = false;
  skipped = 0;

  constructor(options: ReceiptsOptions) {
    this.#o = options;
  }

  start(): void {
    this.#next = this.#o.log.latest?.size ?? 0;
  }

  /** There is a new checkpoint. */
  wake(): void {
    if (this.#working) return;
    this.#working = true;
    setImmediate(() => this.#page());
  }

  #page(): void {
    const { log, entries, devices, listening, publish } = this.#o;
    const { latest } = log;
    const dids = listening();
    const behind = (latest?.size ?? 0) - this.#next;
    if (!latest?.receipt || dids.size === 0 || behind > MAX_BEHIND) {
      if (dids.size > 0) this.skipped += behind;
      this.#next = latest?.size ?? 0;
      this.#working = false;
      return;
    }
    const checkpoint = { ...latest, receipt: latest.receipt };
    const rows = entries.page(this.#next, Math.min(PAGE, behind));
    for (const row of rows) {
      const did = devices.byId(row.device)?.did;
      // What was forgotten meanwhile proves nothing to a device: its own bytes are not what the log holds.
      if (did !== undefined && dids.has(did) && !row.forgotten)
        publish(
          `down/${did}/receipt`,
          log.coseReceipt(row.idx, checkpoint, {
            counter: counterBytes(row.epoch, row.seq),
            seal: row.salt ? { salt: row.salt, entry: row.entry } : undefined,
          }),
        );
      this.#next = row.idx + 1;
    }
    if (rows.length > 0 && this.#next < latest.size) setImmediate(() => this.#page());
    else this.#working = false;
  }
}
