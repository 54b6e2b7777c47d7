/**
 * How the gateway does, a look a second for the last ten minutes, in memory: what a page needs to draw at once, without
 * having watched. Of a restart it knows nothing; whoever wants more has /metrics.
 */
import type { VitalView } from './api/vitals.ts';
import type { MetricParts } from './metrics.ts';
import type { Entries } from './store/entries.ts';

const EVERY_MS = 1_000;
const KEPT = 600;
/** Sums over tables are looked at less often. */
const SUMS_MS = 5_000;

export type VitalParts = Pick<
  MetricParts,
  'log' | 'store' | 'quarantine' | 'mqtt' | 'anchorer' | 'disk' | 'retention' | 'now'
> & {
  entries: Pick<Entries, 'get'>;
  /** Certificates on the chain that are not withdrawn; undefined where none are made. */
  certificatesMinted: (() => number) | undefined;
  alarms: { readonly open: number };
};

export class Vitals {
  readonly #p: VitalParts;
  readonly #kept: VitalView[] = [];
  #timer: NodeJS.Timeout | undefined;
  #before: { entries: number; at: number };
  /** The first entry that no anchor covers, and when it came. */
  #unanchored: { index: number; receivedMs: number } | undefined;
  #minted: { n: number; at: number } | undefined;

  constructor(parts: VitalParts) {
    this.#p = parts;
    this.#before = { entries: 0, at: 0 };
  }

  start(): void {
    this.#before = { entries: this.#p.log.size, at: performance.now() };
    this.#timer = setInterval(() => this.#look(), EVERY_MS).unref();
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  readonly everyMs = EVERY_MS;

  /** Those later than `afterMs`, the oldest first. */
  list(afterMs: number): VitalView[] {
    // A wall clock that is set back must not hide what comes then.
    const at = this.#kept.findLastIndex(({ ms }) => ms === afterMs);
    return at >= 0 ? this.#kept.slice(at + 1) : this.#kept.filter(({ ms }) => ms > afterMs);
  }

  #look(): void {
    const { log, store, quarantine, mqtt, anchorer, disk, retention, now } = this.#p;
    const at = performance.now();
    const entries = log.size;
    const seconds = (at - this.#before.at) / 1000;
    // Of the very first look there is no time before it.
    const entriesPerSecond = seconds > 0 ? Math.max(0, (entries - this.#before.entries) / seconds) : 0;
    this.#before = { entries, at };
    const stamp = now();
    const anchoredSize = anchorer?.state.headSize ?? null;
    if (this.#kept.length === KEPT) this.#kept.shift();
    this.#kept.push({
      ms: stamp.receivedMs,
      entriesPerSecond: tenth(entriesPerSecond),
      entries,
      checkpointSize: log.latest?.size ?? 0,
      anchoredSize,
      oldestUnanchoredSeconds: anchoredSize === null ? null : this.#oldest(anchoredSize, entries, stamp.receivedMs),
      connected: mqtt.connected,
      quarantined: quarantine.held,
      lastCommitMs: tenth(store.commits.lastMs),
      diskFreeBytes: Number.isFinite(disk.free) ? disk.free : null,
      diskLevel: retention.level,
      clockSynced: stamp.clockSynced,
      openAlarms: this.#p.alarms.open,
      certificatesMinted: this.#certificates(at),
    });
  }

  /** In s; null where all is anchored. */
  #oldest(index: number, size: number, nowMs: number): number | null {
    if (index >= size) return null;
    if (this.#unanchored?.index !== index) {
      const row = this.#p.entries.get(index);
      this.#unanchored = row && { index, receivedMs: row.receivedMs };
    }
    return this.#unanchored ? Math.max(0, tenth((nowMs - this.#unanchored.receivedMs) / 1000)) : null;
  }

  #certificates(at: number): number | null {
    const { certificatesMinted } = this.#p;
    if (!certificatesMinted) return null;
    if (!this.#minted || at - this.#minted.at >= SUMS_MS) this.#minted = { n: certificatesMinted(), at };
    return this.#minted.n;
  }
}

const tenth = (n: number): number => Math.round(n * 10) / 10;
