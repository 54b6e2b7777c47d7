/**
 * Forgetting a subject: what its sealed entries were over is destroyed, and the log says that something was, without
 * saying whose. Two steps:
 *
 *   1. one transaction: the tombstone entry, zeros over the keys of all that speaks about the subject, its rows in
 *      quarantine gone. From here on nothing of it can be read, here or after a restart.
 *   2. tidying up, which the next start goes on with: boxes without a key are emptied, then the write-ahead log.
 *
 * Entries, counters and leaf hashes stay, so each receipt still verifies, and a device that sends the same again hears
 * that it is known. So does the enrolment (DID, sub): it says who may speak. Out of reach are readings that were public,
 * files that were set aside or exported, and backups: the answer names the first two.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { EdgeError, errorLine } from './errors.ts';
import { faultPoint } from './faults.ts';
import type { Accept, Own } from './intake/accept.ts';
import type { Log } from './log/log.ts';
import { subjectDigest, tombstoneRecords } from './log/tombstone.ts';
import { GATEWAY_KIND } from './profiles/profile.ts';
import type { Devices } from './store/devices.ts';
import { destroy, emptyBoxes, forgetting, knownOf, leaveNoTrace } from './store/forget.ts';
import type { Quarantine } from './store/quarantine.ts';
import type { SqlStatement, Store } from './store/store.ts';

export type ForgetOptions = {
  log: Log;
  store: Store;
  accept: Accept;
  devices: Devices;
  quarantine: Quarantine;
  /** Databases that were set aside. */
  asides: () => readonly string[];
  /** Other tables that may hold something of a subject: how many rows do, and how they lose it. */
  others: readonly { known: (subject: string) => number; destroy: (subject: string) => SqlStatement[] }[];
  report: (line: string) => void;
};

export type Forgotten = {
  /** Index of the entry that says so; null where there was nothing to destroy (any more). */
  tombstone: number | null;
  /** Of the tombstone's digest, 32 bytes: kept nowhere here. */
  salt: Uint8Array | null;
  /** Devices of the subject that are enrolled here. */
  devices: number;
  /** Entries whose contents were destroyed meanwhile. */
  entries: number;
  /** Refused envelopes of it that lay in quarantine. */
  quarantined: number;
  /** Rows of other tables. */
  others: number;
  /** There are entries of it in the open log, where nothing can be destroyed. */
  open: boolean;
  /** False while another process reads the database: the last traces go when it has ended. */
  complete: boolean;
  /** Files beside the database that may still hold it. */
  asides: string[];
};

const RETRY_MS = 200;
/** How long an answer waits for the last traces to go. */
const PATIENCE_MS = 5_000;

export class Forgetting {
  readonly #o: ForgetOptions;
  #stopped = false;
  #tidying: Promise<void> = Promise.resolve();
  /** Entries whose contents were destroyed, since start. */
  count = 0;

  constructor(options: ForgetOptions) {
    this.#o = options;
  }

  /** Goes on with what was begun before. */
  start(): void {
    if (this.pending) void this.#tidy();
  }

  get pending(): boolean {
    return forgetting(this.#o.store) !== undefined;
  }

  /**
   * Again and again it does no harm: what is gone already is not counted again.
   * @param subject a DID, or the URN of a metering point or vehicle: then all devices that speak of it
   * @param also what is to stand or fall with it
   * @throws EdgeError SUBJECT_UNKNOWN, STORE_UNAVAILABLE
   */
  async forget(subject: string, also?: (own: Own, tombstone: number) => void): Promise<Forgotten> {
    const { accept, log, store, quarantine, asides } = this.#o;
    const devices = this.#o.devices
      .list()
      .filter(({ did, sub, kind }) => kind !== GATEWAY_KIND && (did === subject || sub === subject));
    const [ids, dids] = [devices.map(({ id }) => id), devices.map(({ did }) => did)];
    const others = this.#o.others.reduce((sum, other) => sum + other.known(subject), 0);
    if (devices.length === 0 && others === 0) throw new EdgeError('SUBJECT_UNKNOWN', subject);
    const { keys, quarantined, open } = knownOf(store, ids, dids);
    const salt = randomBytes(32);
    const before = this.count;
    let tombstone: number | null = null;
    if (keys + quarantined + others > 0)
      await accept.act((own) => {
        const records = tombstoneRecords(subjectDigest(salt, subject), log.size);
        own.also([...destroy(ids, dids, randomUUID()), ...this.#o.others.flatMap((other) => other.destroy(subject))]);
        tombstone = own.say(records);
        also?.(own, tombstone);
      });
    quarantine.recount(dids);
    faultPoint('forget.begun');
    await Promise.race([this.#tidy(), wait(PATIENCE_MS, undefined, { ref: false })]);
    return {
      tombstone,
      salt: tombstone === null ? null : salt,
      devices: devices.length,
      entries: this.count - before,
      quarantined,
      others,
      open,
      complete: !this.pending,
      asides: asides().map((path) => basename(path)),
    };
  }

  /** One at a time; who comes while it runs waits for a turn of his own, because it may have passed his entries. */
  #tidy(): Promise<void> {
    this.#tidying = this.#tidying.then(() => this.#empty());
    return this.#tidying;
  }

  async #empty(): Promise<void> {
    const { store, log, report } = this.#o;
    let problem: string | undefined;
    for (let token = forgetting(store); token !== undefined && !this.#stopped; token = forgetting(store))
      try {
        for (let from = 0; from < log.size && !this.#stopped; ) {
          const step = await emptyBoxes(store, from);
          from = step.next;
          this.count += step.emptied;
          faultPoint('forget.step');
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (!this.#stopped) await leaveNoTrace(store, token);
      } catch (error) {
        const line = errorLine(error);
        if (line !== problem) report(`forget: ${line}`);
        problem = line;
        await wait(RETRY_MS, undefined, { ref: false });
      }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#tidying;
  }
}
