/**
 * The follower that makes certificates: reads entries from its cursor, keeps the readings near full hours, and lets the
 * rules (settle.ts) say what the hours around them come to. Rows and cursor are written in one transaction. What is
 * minted, or on its way there, is not touched any more: there the chain has the word.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Log } from '../log/log.ts';
import { parseSuccession } from '../log/succession.ts';
import {
  type BoundaryRow,
  type CertificateRow,
  type CreditRows,
  dropBoundary,
  dropCertificate,
  dropResidual,
  type Minted,
  type ResidualRow,
  saveBoundary,
  saveCertificate,
  saveResidual,
} from '../store/credits.ts';
import type { Device, Devices } from '../store/devices.ts';
import type { Entries, EntryRow } from '../store/entries.ts';
import { type SqlStatement, type Store, setMeta } from '../store/store.ts';
import type { Successions } from '../store/successions.ts';
import { DAY, HOUR } from '../wire/boundary.ts';
import { decodeEnvelope } from '../wire/envelope.ts';
import { boundariesOf, CERTIFIED_KINDS, COMPARED_KINDS, isNearerThan, MOST_CANDIDATES, scaleOf } from './gather.ts';
import { certificateId, gsrnOf } from './gsrn.ts';
import { settle } from './settle.ts';
import { dayOf } from './time.ts';
import type {
  Boundary,
  Fixed,
  InverterReading,
  Level,
  Meter,
  Place,
  Plant,
  Settled,
  SettleInput,
  Swap,
} from './types.ts';

/** Entries read at once. */
const PAGE = 500;
/** Hours that one look at a metering point takes in at most: what lies farther back is settled by itself. */
const MOST_HOURS = 24 * 45;
const CURSOR = 'credits';
/** Seconds that a reading may be ahead of the clock that it came by. */
const AHEAD = 60;

/** What the chain holds, or is about to, of a metering point: both ends of each batch, and the slots. */
export type ChainWord = { fixed: Fixed[]; taken: Set<number>; versions: Map<number, number>; chargedWh: number };

export type CertifierOptions = {
  log: Log;
  store: Store;
  rows: CreditRows;
  entries: Entries;
  devices: Devices;
  successions: Successions;
  place: Place;
  /** The commitment that the contract knows a metering point by. */
  pointId: (point: string) => string;
  /** Of slots in [from, until). */
  chainWord: (point: string, from: number, until: number) => ChainWord;
  /** The time, and what it is worth. */
  now: () => { receivedMs: number; monoMs: number; clockSynced: boolean };
  /** Something was written. */
  onChanged: () => void;
  report: (line: string) => void;
};

export class Certifier {
  readonly #o: CertifierOptions;
  #next = 0;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = true;
  /** Points that must be looked at again, and from which second on. */
  readonly #touched = new Map<string, number>();
  /** Readings of this boot whose time was not known when they came are waiting for the clock. */
  #unsynced = false;

  constructor(options: CertifierOptions) {
    this.#o = options;
  }

  /** How far the log was read. */
  get next(): number {
    return this.#next;
  }

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.#running === undefined;
  }

  start(): void {
    const { store, rows } = this.#o;
    this.#next = Number(store.meta(CURSOR) ?? 0);
    this.#unsynced = rows.unsynced(store.boot).length > 0;
    this.#stopped = false;
    this.wake();
  }

  /** New entries, or the clock was set. */
  wake(): void {
    if (this.#stopped) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#running = this.#run()
      .catch((error: unknown) => this.#o.report(`credits: ${(error as Error).message}`))
      .finally(() => {
        this.#running = undefined;
        if (this.#again) this.wake();
      });
  }

  /** The chain has another word on this point from `from` (Unix seconds) on: minted, withdrawn, taken back. */
  touch(point: string, from: number): void {
    this.#touched.set(point, Math.min(from, this.#touched.get(point) ?? Number.POSITIVE_INFINITY));
    this.wake();
  }

  /** A meter of this point was suspended, resumed or revoked: what it signed is worth something else now. */
  reconsider(point: string): void {
    this.touch(point, Math.floor(this.#o.now().receivedMs / 1000) - MOST_HOURS * HOUR);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#learnTime();
      const page = this.#stopped ? [] : this.#o.entries.page(this.#next, PAGE);
      const last = page.at(-1);
      if (!last && this.#touched.size === 0) return;
      if (this.#stopped) return;
      const before = new Map(this.#touched);
      await this.#take(page, last ? last.idx + 1 : this.#next, new Map(before));
      for (const [point, from] of before) if (this.#touched.get(point) === from) this.#touched.delete(point);
      await turn();
    }
  }

  /** Readings that came before the clock was set have a time as soon as it is: the monotonic clock ran on. */
  async #learnTime(): Promise<void> {
    const { now, rows, entries, store } = this.#o;
    const { receivedMs, monoMs, clockSynced } = now();
    if (!this.#unsynced || !clockSynced) return;
    this.#unsynced = false;
    const learnt: SqlStatement[] = [];
    for (const row of rows.unsynced(store.boot)) {
      const entry = entries.get(row.idx);
      if (!entry) continue;
      const right = receivedMs - (monoMs - entry.monoMs);
      learnt.push(saveBoundary({ ...row, offsetMs: Math.round(right - row.receivedMs) }));
      this.#touched.set(row.point, Math.min(row.at, this.#touched.get(row.point) ?? Number.POSITIVE_INFINITY));
    }
    if (learnt.length > 0) await rows.write(learnt);
  }

  async #take(page: readonly EntryRow[], next: number, touched: Map<string, number>): Promise<void> {
    const { rows, onChanged } = this.#o;
    const fresh = Map.groupBy(
      page.flatMap((row) => this.#read(row)),
      ({ point }) => point,
    );
    for (const [point, at] of this.#swapped(page)) touched.set(point, Math.min(at, touched.get(point) ?? at));
    const statements: SqlStatement[] = [];
    for (const point of new Set([...fresh.keys(), ...touched.keys()]))
      statements.push(...this.#settle(point, fresh.get(point) ?? [], touched.get(point)));
    if (statements.length === 0 && next - this.#next < PAGE) {
      this.#next = next; // read again after a crash: nothing of it mattered
      return;
    }
    await rows.write([...statements, setMeta(CURSOR, String(next))]);
    this.#next = next;
    if (statements.length > 0) onChanged();
  }

  #read(row: EntryRow): BoundaryRow[] {
    const device = this.#o.devices.byId(row.device);
    if (!device || !(CERTIFIED_KINDS.has(device.kind) || COMPARED_KINDS.has(device.kind))) return [];
    if (row.leaf || row.forgotten || row.envelope.length === 0) return [];
    const found = boundariesOf(row, device, decodeEnvelope(row.envelope));
    if (found.length > 0 && !row.clockSynced) this.#unsynced = true;
    // A reading of a time that is still to come is of a clock that is wrong.
    return found.filter(({ iat, clockSynced, receivedMs }) => !clockSynced || iat <= receivedMs / 1000 + AHEAD);
  }

  /** Points whose meter was swapped by an entry of this page. */
  *#swapped(page: readonly EntryRow[]): Generator<[string, number]> {
    for (const { device, envelope, receivedMs } of page) {
      const self = this.#o.devices.byId(device);
      if (self?.kind !== 'gateway' || envelope.length === 0) continue;
      const said = parseSuccession(decodeEnvelope(envelope).records);
      const old = said && this.#o.devices.get(said.did);
      if (!old || !CERTIFIED_KINDS.has(old.kind)) continue;
      // Said days after it was done, it changes what all readings of the new meter are worth.
      const heir = this.#o.devices.get(said.by);
      const first = heir && this.#o.rows.firstOf(old.sub, heir.id);
      const lately = Math.floor(receivedMs / 1000) - 2 * DAY;
      yield [old.sub, Math.min(first ?? lately, lately)];
    }
  }

  /** Of one metering point: its new readings, and what all around them come to. */
  #settle(point: string, fresh: readonly BoundaryRow[], touched: number | undefined): SqlStatement[] {
    const { rows } = this.#o;
    const times = [...fresh.map(({ at }) => at), ...(touched === undefined ? [] : [touched])];
    const first = Math.min(...times);
    const last = Math.max(...times, ...(touched === undefined ? [] : [Math.floor(Date.now() / 1000)]));
    const near = [
      Math.max(rows.neighbours(point, first).before ?? first, first - MOST_HOURS * HOUR),
      Math.min(rows.neighbours(point, last).after ?? last, last + MOST_HOURS * HOUR),
    ] as const;
    // A residual is looked at whole or not at all.
    const over = rows.residualsOf(point, ...near);
    const from = Math.min(near[0], ...over.map((r) => r.fromAt));
    const until = Math.max(near[1], ...over.map((r) => r.untilAt));
    const held = rows.boundaries(point, from, until);
    const certificates = rows.certificatesOf(point, from, until);
    const residuals = rows.residualsOf(point, from, until);
    // With what ends where the range begins, and begins where it ends: it stands on readings of those hours too.
    const around = [from - HOUR, until + HOUR] as const;
    const made = {
      certificates: rows.certificatesOf(point, ...around),
      residuals: rows.residualsOf(point, ...around),
    };
    const used = new Set([...made.certificates, ...made.residuals].flatMap((c) => [c.startIdx, c.endIdx]));
    const { kept, statements } = keepNearest(held, fresh, used);
    const input = this.#input(point, from, until, kept, made);
    const plant = this.#plant(point);
    if (!plant) return statements;
    const settled = settle(plant, input);
    const { versions, taken } = input;
    const context = { point, pointId: this.#o.pointId(point), devices: this.#o.devices, versions, taken };
    return [...statements, ...changesOf(settled, certificates, residuals, context)];
  }

  #plant(point: string): Plant | undefined {
    const meters = this.#metersOf(point);
    const [newest] = meters.toReversed();
    if (!newest) return undefined;
    return {
      point,
      kind: newest.kind as Plant['kind'],
      source: newest.energySource,
      place: this.#o.place,
      meters: meters.map(
        ({ did, custody, status, capacityW, registerModulusWh }): Meter => ({
          did,
          custody,
          status,
          capacityW,
          modulusWh: registerModulusWh,
        }),
      ),
    };
  }

  #metersOf(point: string): Device[] {
    return this.#o.devices.list().filter(({ kind, sub }) => sub === point && CERTIFIED_KINDS.has(kind));
  }

  #input(
    point: string,
    from: number,
    until: number,
    kept: readonly BoundaryRow[],
    made: { certificates: readonly (CertificateRow & Minted)[]; residuals: readonly (ResidualRow & Minted)[] },
  ): SettleInput {
    const { devices, entries, chainWord, rows } = this.#o;
    const word = chainWord(point, from - HOUR, until + HOUR);
    const boundaries: Boundary[] = [];
    const inverters: InverterReading[] = [];
    for (const row of kept) {
      const device = devices.byId(row.device);
      if (!device) continue;
      const boundary = boundaryFrom(row, device.did);
      if (!COMPARED_KINDS.has(device.kind)) boundaries.push(boundary);
      else {
        const entry = entries.get(row.idx);
        const isThere = entry !== undefined && entry.envelope.length > 0;
        inverters.push({ ...boundary, scale: isThere ? scaleOf(decodeEnvelope(entry.envelope)) : undefined });
      }
    }
    // What a certificate stands on here stays: one that comes later and nearer changes nothing.
    const fixed = [...word.fixed];
    const hold = (at: number, registerWh: number, device: number): void => {
      if (!fixed.some((f) => f.at === at)) fixed.push({ at, registerWh, device: devices.byId(device)?.did ?? '' });
    };
    for (const c of made.certificates) {
      if (c.state === 'refused' || c.withdrawn) continue;
      hold(c.slot, c.startWh, c.device);
      hold(c.slot + HOUR, c.endWh, c.device);
    }
    // Of residuals that the contract takes: it fixes their ends too.
    for (const r of made.residuals) {
      if (r.state !== 'ready' || r.month === null) continue;
      hold(r.fromAt, r.startWh, r.device);
      hold(r.untilAt, r.endWh, r.device);
    }
    const before = new Map<string, Level>();
    for (const { did, id } of this.#metersOf(point)) {
      const end = rows.lastEnd(point, id, from);
      if (end) before.set(did, end);
    }
    const swaps = this.#swapsOf(point);
    const within = fixed.filter(({ at }) => at >= from && at <= until);
    return { boundaries, inverters, swaps, fixed: within, taken: word.taken, ...rest(word), before };
  }

  #swapsOf(point: string): Swap[] {
    const { entries, successions } = this.#o;
    const swaps: Swap[] = [];
    for (const { id } of this.#metersOf(point)) {
      const row = successions.of(id);
      const entry = row && entries.get(row.idx);
      if (!row || !entry || entry.envelope.length === 0) continue;
      const said = parseSuccession(decodeEnvelope(entry.envelope).records);
      if (!said) continue;
      const { did: old, by: next, how, registers } = said;
      const [finalWh, initialWh] = [registers?.finalWh ?? null, registers?.initialWh ?? null];
      swaps.push({ idx: row.idx, atMs: entry.receivedMs, how, old, next, finalWh, initialWh });
    }
    return swaps.sort((a, b) => a.idx - b.idx);
  }
}

const rest = ({ versions, chargedWh }: ChainWord): Pick<SettleInput, 'versions' | 'chargedWh'> => ({
  versions,
  chargedWh,
});

const boundaryFrom = (row: BoundaryRow, device: string): Boundary => {
  const { at, idx, iat, registerWh, shape, receivedMs, clockSynced, offsetMs } = row;
  const clock = clockSynced
    ? ({ synced: true } as const)
    : ({ synced: false, offsetMs: offsetMs ?? undefined } as const);
  return { at, device, idx, iat, registerWh, shape, receivedMs, clock };
};

/** Of one device at one full hour the few nearest stay, and those that something stands on. */
function keepNearest(
  held: readonly BoundaryRow[],
  fresh: readonly BoundaryRow[],
  used: ReadonlySet<number>,
): { kept: BoundaryRow[]; statements: SqlStatement[] } {
  const isHeld = new Set(held.map(({ at, idx }) => `${at} ${idx}`));
  const news = fresh.filter(({ at, idx }) => !isHeld.has(`${at} ${idx}`));
  const newIdx = new Set(news);
  const kept: BoundaryRow[] = [];
  const statements: SqlStatement[] = [];
  for (const group of Map.groupBy([...held, ...news], ({ at, device }) => `${at} ${device}`).values()) {
    const sorted = group.toSorted((a, b) => (isNearerThan(a, b) ? -1 : 1));
    for (const [rank, row] of sorted.entries()) {
      const stays = rank < MOST_CANDIDATES || used.has(row.idx);
      if (stays) kept.push(row);
      if (stays && newIdx.has(row)) statements.push(saveBoundary(row));
      else if (!stays && !newIdx.has(row)) statements.push(dropBoundary(row));
    }
  }
  return { kept, statements };
}

type Context = {
  point: string;
  pointId: string;
  devices: Devices;
  versions: ReadonlyMap<number, number> | undefined;
  /** Minted, or on its way there. Of that the rows may not know yet: they were read before, and another thread writes. */
  taken: ReadonlySet<number>;
};

/** Rows that differ from what is there; what is minted stays as it is. */
function changesOf(
  settled: Settled,
  certificates: readonly (CertificateRow & Minted)[],
  residuals: readonly (ResidualRow & Minted)[],
  { point, pointId, devices, versions = new Map(), taken }: Context,
): SqlStatement[] {
  const statements: SqlStatement[] = [];
  const gsrn = gsrnOf(point);
  const madeMs = Date.now();
  const idOf = (did: string): number => devices.get(did)?.id ?? -1;
  const certificate = (
    slot: number,
    { start, end, wh, flags }: Pick<Settled['certificates'][number], 'start' | 'end' | 'wh' | 'flags'>,
    refused?: { code: string; detail: string },
  ): CertificateRow => {
    const version = versions.get(dayOf(slot)) ?? 0;
    return {
      ...{ point, slot, version, id: certificateId(gsrn, slot, version), pointId, device: idOf(end.device), wh },
      ...{ startIdx: start.idx, startIat: start.iat, startWh: start.registerWh },
      ...{ endIdx: end.idx, endIat: end.iat, endWh: end.registerWh, shape: end.shape },
      ...{ flags: JSON.stringify(flags), state: refused ? 'refused' : 'ready' },
      ...{ code: refused?.code ?? null, detail: refused?.detail ?? null, madeMs },
    };
  };
  const isHour = (r: Settled['refused'][number]): boolean =>
    r.until - r.from === HOUR && r.start.device === r.end.device;
  const wanted = [
    ...settled.certificates.map((c) => certificate(c.slot, c)),
    ...settled.refused.filter(isHour).map((r) => certificate(r.from, r, r)),
  ];
  const key = (c: CertificateRow): string => `${c.slot} ${c.version}`;
  const held = new Map(certificates.map((c) => [key(c), c]));
  for (const c of wanted) {
    const old = held.get(key(c));
    held.delete(key(c));
    if (!old || (old.mintBlock === null && !isSame(old, c))) statements.push(saveCertificate(c));
  }
  // What was never minted before its day was withdrawn can't be any more: the day has another version now.
  const isOver = ({ slot, version }: CertificateRow): boolean => {
    const now = versions.get(dayOf(slot)) ?? 0;
    return version < now || (version === now && !taken.has(slot));
  };
  for (const old of held.values()) if (old.mintBlock === null && isOver(old)) statements.push(dropCertificate(old));

  const residual = (
    r: Pick<Settled['residuals'][number], 'from' | 'until' | 'start' | 'end' | 'wh' | 'startWh' | 'endWh'>,
    more: Pick<ResidualRow, 'month' | 'reason' | 'state' | 'code' | 'detail'>,
  ): ResidualRow => ({
    ...{ point, fromAt: r.from, untilAt: r.until, pointId, device: idOf(r.end.device), wh: r.wh },
    ...{ startIdx: r.start.idx, startWh: r.startWh, endIdx: r.end.idx, endWh: r.endWh, madeMs },
    ...more,
  });
  const wantedResiduals = [
    ...settled.residuals.map((r) =>
      residual(r, {
        month: r.mintable ? (r.month ?? null) : null,
        ...{ reason: r.reason, state: 'ready', code: null, detail: null },
      }),
    ),
    ...settled.refused
      .filter((r) => !isHour(r))
      .map((r) =>
        residual(
          { ...r, startWh: r.start.registerWh, endWh: r.end.registerWh },
          { month: null, reason: 'refused', state: 'refused', code: r.code, detail: r.detail },
        ),
      ),
  ];
  const span = (r: ResidualRow): string => `${r.fromAt} ${r.untilAt}`;
  const heldResiduals = new Map(residuals.map((r) => [span(r), r]));
  for (const r of wantedResiduals) {
    const old = heldResiduals.get(span(r));
    heldResiduals.delete(span(r));
    if (!old || (old.mintBlock === null && !isSame(old, r))) statements.push(saveResidual(r));
  }
  for (const old of heldResiduals.values())
    if (old.mintBlock === null && !taken.has(old.fromAt)) statements.push(dropResidual(old));
  return statements;
}

/** All but when it was made. What the contract refused stays so while nothing else has changed. */
function isSame<Row extends CertificateRow | ResidualRow>(old: Row, now: Row): boolean {
  const chainRefused = old.state === 'refused' && old.code === 'CREDIT_REFUSED' && now.state === 'ready';
  return (Object.keys(now) as (keyof Row)[]).every(
    (k) => k === 'madeMs' || old[k] === now[k] || (chainRefused && (k === 'state' || k === 'code' || k === 'detail')),
  );
}
