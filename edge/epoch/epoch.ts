/** An open log in its epoch: how it begins, what it takes over from the one before, and how it ends. */
import { basename, dirname, join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { faultPoint } from '../faults.ts';
import type { Log } from '../log/log.ts';
import { asidesOf } from '../store/aside.ts';
import type { Devices } from '../store/devices.ts';
import type { Quarantine } from '../store/quarantine.ts';
import type { Registry } from '../store/registry.ts';
import { type Store, setMeta } from '../store/store.ts';
import { decodeEnvelope } from '../wire/envelope.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import { didsOf, isBehind, type Owner, openAside, salvagedLog } from './salvage.ts';
import type { EpochFile, Head, Previous, Reason } from './state.ts';

type Parts = {
  store: Store;
  log: Log;
  devices: Devices;
  quarantine: Quarantine;
  registry: Registry;
  file: EpochFile;
  number: number;
  owner: Owner;
  warn: (line: string) => void;
};

type Stamp = { receivedMs: number; monoMs: number; clockSynced: boolean };
export type Beginner = {
  /** Writes entry 0, signed by the gateway. */
  genesis: (records: readonly SenmlRecord[]) => Promise<unknown>;
  /** accept.carry */
  carry: (bytes: Uint8Array, source: { did: string; topic: string }, stamp: Stamp) => Promise<{ kind: string }>;
};

/** Entries that wait for the disk at once while they are carried over. */
const AT_ONCE = 1024;
/** Between two notes of the newest checkpoint in epoch.json, where no anchor is a reason for one. */
const NOTE_MS = 600_000;

export class Epoch {
  readonly store: Store;
  readonly log: Log;
  readonly devices: Devices;
  readonly quarantine: Quarantine;
  readonly number: number;
  readonly #p: Parts;
  #notedMs = performance.now();
  #behind: EdgeError | undefined;
  #isOver!: (error: EdgeError) => void;
  /** Resolves when this epoch must not go on: the next start begins another one. */
  readonly over: Promise<EdgeError>;

  constructor(parts: Parts) {
    this.#p = parts;
    this.store = parts.store;
    this.log = parts.log;
    this.devices = parts.devices;
    this.quarantine = parts.quarantine;
    this.number = parts.number;
    this.over = new Promise((resolve) => {
      this.#isOver = resolve;
    });
  }

  /** Where this log follows another one: which, and why it ended. */
  get previous(): (Previous & { reason: Reason; detail: string }) | undefined {
    const text = this.store.meta('previous');
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Databases that were set aside and lie in the data folder still. */
  get asides(): string[] {
    return asidesOf(this.store.path);
  }

  /** Entry 0, and what the epochs before had acknowledged and not proven. What is done already is not done again. */
  async begin(beginner: Beginner): Promise<void> {
    const { file, warn } = this.#p;
    if (this.log.size === 0) {
      await beginner.genesis(this.#genesis());
      if (this.previous) warn(this.#alarm());
    }
    faultPoint('epoch.begun');
    file.set({ next: undefined });
    const { carry } = file.state;
    for (const name of carry) {
      await this.#carry(join(dirname(this.store.path), name), beginner.carry);
      file.set({ carry: file.state.carry.filter((n) => n !== name) });
    }
  }

  #genesis(): SenmlRecord[] {
    const { origin, verifierKey } = this.log;
    const before = this.previous;
    return [
      { n: 'origin', vs: origin },
      { n: 'log-key', vs: verifierKey },
      ...(before
        ? [
            { n: 'previous-origin', vs: before.origin },
            ...(before.size === undefined ? [] : [{ n: 'previous-size', v: before.size }]),
            { n: 'previous-root', vs: before.root ?? 'unknown' },
            { n: 'reason', vs: before.reason },
          ]
        : []),
    ];
  }

  #alarm(): string {
    const { reason, detail } = this.previous as { reason: Reason; detail: string };
    const asides = this.#p.file.state.carry.map((name) => join(dirname(this.store.path), name)).join(', ');
    const error = new EdgeError(
      reason === 'damaged' ? 'STORE_DAMAGED' : 'LOG_BEHIND_CHAIN',
      `${detail}; set aside as ${asides}`,
    );
    return `${error.line} Epoch ${this.number} of the log begins: ${this.log.origin}`;
  }

  async #carry(path: string, carry: Beginner['carry']): Promise<void> {
    const aside = openAside(path, this.#p.owner);
    if (!aside) {
      this.#p.warn(
        `log: nothing can be read in ${path}: entries beyond its last anchor are in no receipt but those that were fetched`,
      );
      return;
    }
    try {
      const old = salvagedLog(aside, this.#p.owner);
      const dids = didsOf(aside);
      const proven = old.provable?.size ?? 0;
      // What an older copy signed beyond the chain's word is no proof: the chain holds another history there.
      const from = Math.max(1, isBehind(path) ? (old.anchored?.size ?? 0) : proven);
      const outcomes: Record<string, number> = {};
      let expected = from;
      let lost = 0;
      let waiting: Promise<void>[] = [];
      const flush = async (): Promise<void> => {
        await Promise.all(waiting);
        waiting = [];
      };
      for (const row of old.entries(from)) {
        const { idx, device, entry, receivedMs, clockSynced } = row;
        lost += idx - expected;
        expected = idx + 1;
        if (entry.length === 0) continue; // pruned: a checkpoint that was anchored covers it
        const bytes = old.open(row)?.envelope;
        if (!bytes) {
          // Forgotten, which it stays, or damaged; its counter was taken over with the others.
          outcomes['no longer readable'] = (outcomes['no longer readable'] ?? 0) + 1;
          continue;
        }
        const source = { did: issuerOf(bytes) ?? dids.get(device) ?? '', topic: `carried over from ${basename(path)}` };
        const stamp = { receivedMs, monoMs: Math.floor(performance.now()), clockSynced: clockSynced === 1 };
        waiting.push(
          carry(bytes, source, stamp).then(
            ({ kind }) => {
              outcomes[kind] = (outcomes[kind] ?? 0) + 1;
            },
            (error: unknown) => {
              // It stays where it is, in the file; anything else than a full quarantine ends this start.
              if (!(error instanceof EdgeError) || error.code !== 'QUARANTINE_FULL') throw error;
              outcomes['left in the file'] = (outcomes['left in the file'] ?? 0) + 1;
            },
          ),
        );
        if (waiting.length >= AT_ONCE) await flush();
      }
      await flush();
      const carried = Object.entries(outcomes).map(([what, n]) => `${n} ${what}`);
      this.#p.warn(
        `log: ${path}: ${proven} entries of ${old.origin} are proven from there; beyond ${from} carried over: ${carried.join(', ') || 'none'}` +
          (lost > 0 ? `; ${lost} cannot be read` : ''),
      );
    } finally {
      aside.close();
    }
  }

  /**
   * The chain holds more of this log, or other entries: it is an older copy. Nothing is signed or anchored under its
   * origin again, whatever happens next.
   */
  leaveBehind(error: EdgeError, { size, root }: Head): void {
    if (this.#behind) return;
    this.#behind = error;
    const verdict = JSON.stringify({ size, root: Buffer.from(root).toString('hex'), detail: error.detail });
    void this.store
      .write({ name: 'verdict', statements: [setMeta('behind', verdict)] })
      .catch((e: unknown) => this.#p.warn(`log: ${(e as Error).message}`)) // the chain will say so again
      .then(() => this.#isOver(error));
  }

  /** Why this log must not be signed any more, if so. */
  get behind(): EdgeError | undefined {
    return this.#behind;
  }

  /** There is a new checkpoint, or (`now`) one that is worth to be remembered even without the database. */
  remember(now = false): Promise<void> {
    const { latest } = this.log;
    if (!latest || (!now && performance.now() - this.#notedMs < NOTE_MS)) return Promise.resolve();
    this.#notedMs = performance.now();
    return this.#p.file.note(latest, (e) => this.#p.warn(`log: epoch.json: ${(e as Error).message}`));
  }

  async close(): Promise<void> {
    await this.remember(true);
    await this.#p.registry.idle();
    await this.store.close();
  }

  /** For /health: undefined in a first epoch that lost nothing. Not ok while something lies aside. */
  health(): { ok: boolean; detail: string } | undefined {
    const { previous, asides } = this;
    if (!previous && asides.length === 0) return undefined;
    const why = previous
      ? `epoch ${this.number} follows ${previous.origin} (${previous.reason}: ${previous.detail})`
      : `epoch ${this.number}`;
    return {
      ok: asides.length === 0,
      detail:
        asides.length === 0
          ? why
          : `${why}; keep ${asides.map((path) => basename(path)).join(', ')} in a safe place outside the data folder: it proves the entries of the log before`,
    };
  }
}

function issuerOf(bytes: Uint8Array): string | undefined {
  try {
    return decodeEnvelope(bytes).iss;
  } catch {
    return undefined;
  }
}
