/**
 * The follower that forgets: payloads that are old, and, when the disk gets full, location-rate telemetry. Only whole
 * tiles under an anchor that is final, so that what is taken away is vouched for elsewhere; leaf hashes, counters and
 * the gateway's own entries stay, so that each receipt of all the rest can still be made.
 *
 * Pruning by age is announced by the config, and shows in the minimum index. Thinning is no policy but an emergency:
 * an entry of the gateway's own says for each device which counters lost their payloads, in the same transaction.
 */
import { EdgeError, errorLine } from '../errors.ts';
import { faultPoint } from '../faults.ts';
import type { Range } from '../store/counters.ts';
import type { Device, Devices } from '../store/devices.ts';
import type { Disk } from '../store/disk.ts';
import { saveGap } from '../store/gaps.ts';
import { pruneEntries } from '../store/prune.ts';
import { type SqlStatement, type Store, setMeta } from '../store/store.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import { gapRecords } from './gap.ts';
import { type Log, MINIMUM_INDEX } from './log.ts';
import { TILE_WIDTH } from './tile.ts';

/** What intake offers for entries in the gateway's own name: all that a work adds is on disk together, or nothing. */
export type Act = (
  work: (own: {
    say: (records: readonly SenmlRecord[]) => number;
    declareLost: (device: Device, range: Range) => number;
    also: (statements: readonly SqlStatement[]) => void;
  }) => void,
) => Promise<void>;

export type RetentionOptions = {
  log: Log;
  store: Store;
  devices: Devices;
  disk: Disk;
  /** 0 keeps payloads for ever. */
  days: number;
  /** 0 declares nothing lost by itself. */
  gapLostDays: number;
  now: () => { receivedMs: number; clockSynced: boolean };
  /** Entries below it are under an anchor that is final, and no follower needs them any more. */
  safeSize: () => number;
  /** Whether a kind's telemetry may be thinned. */
  mayThin: (kind: string) => boolean;
  /** The kind of the gateway's own entries, which stay. */
  ownKind: string;
  act: Act;
  report: (line: string) => void;
};

export type DiskLevel = 'ok' | 'low' | 'full';

const LOOK_MS = 1_000;
const DAY_MS = 86_400_000;
/** What one transaction rewrites at most: it goes through the write-ahead log, which needs room of its own. */
const RUN_TILES = 32;
const RUN_BYTES = 4 * 1024 * 1024;
/** Entries of the gateway's own in one transaction: signing them takes the loop's time. */
const MAX_GAP_ENTRIES = 512;
/** Bytes that a gap entry costs with its rows and content: a range that holds no more is not worth thinning. */
const GAP_COST = 900;
/** How far one look goes for an entry whose time can be trusted. */
const SYNC_SCAN = 4_096;

const PRUNED_TO = 'pruned-to';
const THINNED_TO = 'thinned-to';

type Row = { idx: number; device: number; epoch: number; seq: number; bytes: number };
type Run = { first: number; end: number; rows: Row[] };

export class Retention {
  readonly #o: RetentionOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #refused = false;
  #problem: string | undefined;
  /** No entry from PRUNED_TO up to here has a time that can be trusted. */
  #syncedFrom = 0;
  /** Nothing below it can be thinned. */
  #thinFrom = 0;
  level: DiskLevel = 'ok';
  /** Counts since start, for metrics. */
  readonly counts = { pruned: 0, thinned: 0 };

  /** From the next look on. */
  setDays(next: Pick<RetentionOptions, 'days' | 'gapLostDays'>): void {
    Object.assign(this.#o, next);
    this.wake();
  }

  constructor(options: RetentionOptions) {
    this.#o = { ...options };
  }

  start(): void {
    this.#timer = setInterval(() => this.wake(), LOOK_MS);
    this.wake();
  }

  /** Something was anchored, or it is time to look. */
  wake(): void {
    if (!this.#timer) return;
    this.#again = true;
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  /** An envelope found no room. */
  refused(): void {
    this.#refused = true;
    this.wake();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  async #work(): Promise<void> {
    while (this.#again && this.#timer) {
      this.#again = false;
      try {
        this.#watch();
        await this.#declareOld();
        await this.#prune();
        await this.#thin();
        this.#watch();
        this.#problem = undefined;
      } catch (error) {
        const line = errorLine(error);
        if (line !== this.#problem) this.#o.report(`retention: ${line}`);
        this.#problem = line;
      }
    }
  }

  /** Says each level once; a level is left only with some room to spare, so that it does not flutter. */
  #watch(): void {
    const { disk, report } = this.#o;
    const free = disk.look();
    const spare = (level: DiskLevel): number => (this.level === level ? disk.reserve / 8 : 0);
    const full = this.#refused || free <= disk.reserve + spare('full');
    this.#refused = false;
    const level = full ? 'full' : free < 2 * disk.reserve + spare('low') ? 'low' : 'ok';
    if (level === this.level) return;
    this.level = level;
    const { detail } = this;
    if (level === 'full') report(`disk: ${new EdgeError('DISK_RESERVE', detail).line}`);
    else if (level === 'low')
      report(`disk: ${detail}: location-rate telemetry that is anchored is thinned, oldest first`);
    else report(`disk: there is room again, ${detail}`);
  }

  get detail(): string {
    const { disk } = this.#o;
    return `${mib(disk.free)} free, ${mib(disk.reserve)} of it are the reserve`;
  }

  /** Whole tiles from `first` on, not more than one transaction should rewrite. */
  #run(first: number): Run {
    const safe = Math.min(this.#o.safeSize(), first + RUN_TILES * TILE_WIDTH);
    let end = first + Math.floor(Math.max(0, safe - first) / TILE_WIDTH) * TILE_WIDTH;
    const rows = this.#o.store.all<Row>(
      `SELECT entries.idx, device, epoch, seq,
         iif(length(envelope) > 0, length(envelope) + ifnull(length(box), 0), 0) AS bytes
       FROM entries LEFT JOIN contents ON contents.idx = entries.idx
       WHERE entries.idx >= ? AND entries.idx < ? ORDER BY entries.idx`,
      first,
      end,
    );
    let bytes = 0;
    for (const row of rows) {
      bytes += row.bytes;
      const tile = row.idx - (row.idx % TILE_WIDTH);
      if (bytes > RUN_BYTES && tile > first) {
        end = tile;
        break;
      }
    }
    return { first, end, rows: rows.filter(({ idx }) => idx < end) };
  }

  #place(key: string): number {
    return Number(this.#o.store.meta(key) ?? 0);
  }

  async #prune(): Promise<void> {
    const { store, devices, days, ownKind } = this.#o;
    while (days > 0 && this.#timer) {
      const run = this.#run(this.#place(PRUNED_TO));
      let end = run.first;
      while (end < run.end && this.#isOlder(end + TILE_WIDTH, days)) end += TILE_WIDTH;
      if (end === run.first) return;
      const old = run.rows.filter((r) => r.idx < end && r.bytes > 0 && devices.byId(r.device)?.kind !== ownKind);
      await store.write({
        name: 'prune',
        statements: [...this.#forget({ ...run, end }, old), setMeta(PRUNED_TO, String(end))],
      });
      this.counts.pruned += old.length;
    }
  }

  #forget({ first, end }: Run, rows: readonly Row[]): SqlStatement[] {
    const last = rows.at(-1);
    if (!last) return [];
    const minimum = Math.max(this.#o.log.minimumIndex, last.idx - (last.idx % TILE_WIDTH) + TILE_WIDTH);
    const indexes = rows.map(({ idx }) => idx);
    return [...pruneEntries(first, end, indexes), setMeta(MINIMUM_INDEX, String(minimum))];
  }

  /**
   * Whether all entries below `end` were received more than `days` ago. Their own times may be those of a clock that
   * began at 1970; the first one after them that is known to be right came later than all of them.
   */
  #isOlder(end: number, days: number): boolean {
    const { receivedMs, clockSynced } = this.#o.now();
    if (!clockSynced) return false;
    const from = Math.max(end, this.#syncedFrom);
    const found = this.#o.store.get<{ idx: number; receivedMs: number }>(
      `SELECT idx, received_ms AS receivedMs FROM entries WHERE idx >= ? AND idx < ? AND clock_synced = 1
       ORDER BY idx LIMIT 1`,
      from,
      from + SYNC_SCAN,
    );
    if (found) this.#syncedFrom = found.idx;
    else if (from + SYNC_SCAN <= this.#o.log.size) this.#syncedFrom = from + SYNC_SCAN; // and on at the next look
    return found !== undefined && found.receivedMs < receivedMs - days * DAY_MS;
  }

  /** While there is less than twice the reserve: what may be thinned, from the oldest on. */
  async #thin(): Promise<void> {
    const { disk, devices, mayThin, act } = this.#o;
    this.#thinFrom = Math.max(this.#thinFrom, this.#place(THINNED_TO), this.#place(PRUNED_TO));
    for (let until = 2; this.#timer && disk.look() < until * disk.reserve; until = 2.25) {
      const run = this.#run(this.#thinFrom);
      if (run.end === run.first) return;
      const all = rangesOf(run.rows.filter((r) => r.bytes > 0 && mayThin(devices.byId(r.device)?.kind ?? '')));
      const ranges = all.slice(0, MAX_GAP_ENTRIES);
      const rows = ranges.flat().sort((a, b) => a.idx - b.idx);
      if (rows.length > 0) {
        await act((own) => {
          // First, so that there is room for the rest where the file may not grow.
          own.also([...this.#forget(run, rows), setMeta(THINNED_TO, String(run.first))]);
          for (const range of ranges) {
            const gap = { ...spanOf(range), reason: 'thinned' as const };
            const { id, did } = devices.byId((range[0] as Row).device) as Device;
            own.also([saveGap(id, { ...gap, idx: own.say(gapRecords({ did, ...gap })) })]);
          }
          faultPoint('thin.planned');
        });
        this.counts.thinned += rows.length;
      }
      if (ranges.length === all.length) this.#thinFrom = run.end;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Gaps that nothing filled in time. */
  async #declareOld(): Promise<void> {
    const { devices, gapLostDays, store, now, act } = this.#o;
    const { receivedMs, clockSynced } = now();
    if (gapLostDays === 0 || !clockSynced) return;
    for (const device of devices.list())
      for (const gap of device.counter.gaps) {
        // The entry above a gap is the one that showed it.
        const shown = store.get<{ receivedMs: number; clockSynced: 0 | 1 }>(
          `SELECT received_ms AS receivedMs, clock_synced AS clockSynced FROM entries
           WHERE device = ? AND (epoch, seq) > (?, ?) ORDER BY epoch, seq LIMIT 1`,
          device.id,
          gap.epoch,
          gap.last,
        );
        if (!shown?.clockSynced || shown.receivedMs >= receivedMs - gapLostDays * DAY_MS) continue;
        await act((own) => {
          own.declareLost(device, gap);
        }).catch((error: unknown) => {
          // Filled, or declared by somebody else, in this very moment: all is well.
          if (!(error instanceof EdgeError) || error.code !== 'GAP_NOT_OPEN') throw error;
        });
      }
  }
}

const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

const spanOf = (rows: readonly Row[]): Range => {
  const [first, last] = [rows[0] as Row, rows.at(-1) as Row];
  return { epoch: first.epoch, first: first.seq, last: last.seq };
};

/** By device, without a counter missing between, and worth a gap entry. */
function rangesOf(rows: Row[]): Row[][] {
  const ranges: Row[][] = [];
  for (const row of rows.sort((a, b) => a.device - b.device || a.epoch - b.epoch || a.seq - b.seq)) {
    const range = ranges.at(-1);
    const last = range?.at(-1);
    if (range && last && last.device === row.device && last.epoch === row.epoch && last.seq + 1 === row.seq)
      range.push(row);
    else ranges.push([row]);
  }
  return ranges.filter((range) => range.reduce((sum, { bytes }) => sum + bytes, 0) > GAP_COST);
}
