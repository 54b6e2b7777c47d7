/**
 * Looks once a second whether there is something to raise or over: at numbers that are in memory anyway. What it must
 * read it reads in small pieces; whatever goes wrong here, readings are taken.
 */
import { type ErrorCode, errorLine } from '../errors.ts';
import type { AlarmRow } from '../store/alarms.ts';
import type { Device, Devices } from '../store/devices.ts';
import type { Quarantine } from '../store/quarantine.ts';
import type { Alarms } from './alarms.ts';
import { type Heard, isCode } from './heard.ts';
import { Silence, type SilenceOptions } from './silence.ts';

const LOOK_MS = 1_000;
/** A warning that was not said again for so long is over. */
const QUIET_MS = 3_600_000;
/** Envelopes of one look. */
const PAGE = 500;
/** What speaks of a cloned key or a counter that was reset. */
const CLONES = ['REPLAY', 'EQUIVOCATION'] as const satisfies ErrorCode[];

/** What is wrong with a part that says no code of its own. */
const OF_PART: Record<string, ErrorCode> = {
  store: 'STORE_UNAVAILABLE',
  disk: 'DISK_LOW',
  chain: 'CHAIN_AWAY',
  registry: 'CHAIN_AWAY',
  credits: 'CREDITS_WAIT',
  witnesses: 'WITNESS_AWAY',
  witness: 'WITNESS_SPLIT_VIEW',
  serial: 'SERIAL_AWAY',
  tls: 'CERTIFICATE_ENDS',
  checks: 'NO_BUNDLE',
  clock: 'CLOCK_UNSYNCED',
  epoch: 'DATABASE_ASIDE',
};
/** Their part is unwell for as long as they last: a line about them is old news, or the same again. */
const SEEN_BY_HEALTH: readonly ErrorCode[] = ['STORE_UNAVAILABLE', 'DISK_RESERVE', 'CHAIN_AWAY', 'SERIAL_AWAY'];
/** Parts that /health does not call the gateway degraded for. */
const MILD = ['clock', 'flows'];

export type Health = Record<string, { ok: boolean; detail: string }>;

export type WatchOptions = {
  alarms: Alarms;
  heard: Heard;
  devices: Devices;
  quarantine: Quarantine;
  /** How many envelopes were refused since start, by reason. */
  refused: ReadonlyMap<ErrorCode, number>;
  /** The newest that was looked at, in an earlier run too; and one that is to be kept. */
  seenId: { get: () => number; set: (id: number) => Promise<void> };
  health: () => Health;
  healthSeconds: number;
  silentSeconds: number;
  ownKind: string;
  receipts: SilenceOptions['receipts'];
  report: (line: string) => void;
};

export class Watch {
  readonly #o: WatchOptions;
  readonly #silence: Silence;
  #timer: NodeJS.Timeout | undefined;
  #healthAt = 0;
  /** When health was looked at the last two times. */
  #healthLooks: number[] = [];
  /** Parts that were not well at the last look. */
  #unwell = new Set<string>();
  #refused = -1;
  #seenId = 0;
  /** How many envelopes of it lay in quarantine when an alarm was looked at last. */
  readonly #held = new Map<number, number>();
  #problem: string | undefined;

  constructor(options: WatchOptions) {
    this.#o = options;
    const { alarms, devices, silentSeconds, ownKind, receipts } = options;
    const silent = new Map<number, number>();
    for (const { place, raisedMs } of alarms.of('device')) {
      const device = devices.get(place);
      if (device) silent.set(device.id, raisedMs);
    }
    this.#silence = new Silence({ minMs: silentSeconds * 1000, ownKind, receipts, silent });
  }

  start(): void {
    this.#seenId = this.#o.seenId.get();
    // Parts get time to come up.
    this.#healthAt = performance.now() + this.#o.healthSeconds * 1000;
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  isSilent(device: Device): boolean {
    return this.#silence.isSilent(device);
  }

  look(): void {
    const now = performance.now();
    try {
      if (now >= this.#healthAt) {
        this.#healthAt = now + this.#o.healthSeconds * 1000;
        this.#lookAtHealth();
        this.#healthLooks = [...this.#healthLooks.slice(-1), now];
      }
      this.#lookAtWarnings();
      this.#lookAtDevices(now);
      this.#lookAtQuarantine();
      this.#problem = undefined;
    } catch (error) {
      const line = errorLine(error);
      if (line !== this.#problem) this.#o.report(`alarms: ${line}`);
      this.#problem = line;
    }
    void this.#o.alarms.flush();
  }

  #lookAtHealth(): void {
    const { alarms } = this.#o;
    const health = this.#o.health();
    const unwell = new Set(Object.keys(health).filter((part) => health[part]?.ok === false));
    const raised = new Set<AlarmRow | undefined>();
    for (const place of unwell) {
      const detail = health[place]?.detail ?? '';
      const code = codeOf(place, detail);
      const severity = MILD.includes(place) ? 'warning' : 'alarm';
      const part = place.split(' ')[0] as string;
      // Twice in a row: what is over at once needs nobody.
      if (this.#unwell.has(place)) alarms.raise({ source: 'health', code, part, place, detail, severity });
      raised.add(alarms.get(code, place));
    }
    this.#unwell = unwell;
    for (const row of alarms.of('health')) if (!raised.has(row)) alarms.clear(row);
  }

  #lookAtWarnings(): void {
    const { alarms, heard } = this.#o;
    const health = alarms.of('health');
    // The part that it is about had two looks to be found unwell: then that is the alarm.
    const [twoAgo, last] = this.#healthLooks;
    for (const said of twoAgo === undefined || last === undefined ? [] : heard.take(twoAgo)) {
      // The part that it is about is the alarm already.
      if (SEEN_BY_HEALTH.includes(said.code) || health.some(({ code }) => code === said.code)) continue;
      const { code, part, place, detail, times } = said;
      alarms.raise({ source: 'said', code, part, place, detail, severity: 'warning' }, times);
    }
    const { nowMs } = alarms;
    for (const row of alarms.of('said')) if (Math.abs(nowMs - row.lastMs) > QUIET_MS) alarms.clear(row);
  }

  #lookAtDevices(now: number): void {
    const { alarms, devices } = this.#o;
    const all = devices.list();
    const { back } = this.#silence.look(all, now);
    for (const { did } of back) {
      const row = alarms.get('DEVICE_SILENT', did);
      if (row) alarms.clear(row);
    }
    if (!alarms.hasRoom) return;
    for (const device of all)
      if (this.#silence.isSilent(device) && !alarms.get('DEVICE_SILENT', device.did)) {
        const { entries, lastIdx, lastMs } = device.counter;
        const usual = this.#silence.usualMs(device);
        const usually = usual === null ? '' : `, usually every ${seconds(usual)}`;
        const detail = `${entries} entries, the last one ${lastIdx} at ${new Date(lastMs).toISOString()}${usually}`;
        const where = { part: 'devices', place: device.did, detail };
        if (!alarms.raise({ source: 'device', code: 'DEVICE_SILENT', severity: 'warning', ...where })) return;
      }
  }

  #lookAtQuarantine(): void {
    const { alarms, quarantine, refused, seenId } = this.#o;
    const count = CLONES.reduce((sum, code) => sum + (refused.get(code) ?? 0), 0);
    if (count !== this.#refused) {
      const rows = quarantine.after(this.#seenId, CLONES, PAGE);
      if (rows.length < PAGE) this.#refused = count;
      for (const { id, did, code, detail } of rows) {
        this.#seenId = id;
        const severity = code === 'EQUIVOCATION' ? 'alarm' : 'warning';
        alarms.raise({ source: 'quarantine', code, part: 'quarantine', place: did, detail, severity });
      }
      if (rows.length > 0) seenId.set(this.#seenId).catch(() => undefined); // then it is looked at again
    }
    for (const row of alarms.of('quarantine')) {
      const held = quarantine.heldBy(row.place);
      if (held === this.#held.get(row.id)) continue;
      this.#held.set(row.id, held);
      if (held > 0 && quarantine.holds(row.place, row.code)) continue;
      alarms.clear(row);
      this.#held.delete(row.id);
    }
  }
}

/** The code that a part's own words have, or else the part's. */
function codeOf(place: string, detail: string): ErrorCode {
  for (const m of detail.matchAll(/(?:^|[;:] )([A-Z][A-Z0-9_]{3,40}): /g))
    if (isCode(m[1] as string)) return m[1] as ErrorCode;
  const words = place.split(' ');
  return OF_PART[words[0] as string] ?? OF_PART[words.at(-1) as string] ?? 'PART_UNWELL';
}

const seconds = (ms: number): string => `${ms < 10_000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000)} s`;
