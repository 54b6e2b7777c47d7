/**
 * What one group of accepted and refused envelopes will do to the store, worked out before anything is written: counters
 * taken, entries and quarantine rows, gaps declared. Pure but for what it reads.
 */
import { hash } from 'node:crypto';
import type { Caps } from '../caps.ts';
import { EdgeError, type ErrorCode } from '../errors.ts';
import { auditDigest } from '../log/audit.ts';
import { gapRecords, parseGap } from '../log/gap.ts';
import type { Log, NewEntry } from '../log/log.ts';
import { isSame } from '../log/sealed.ts';
import { GATEWAY_KIND } from '../profiles/profile.ts';
import { moveAudit } from '../store/audit.ts';
import type { CounterState, Range } from '../store/counters.ts';
import { type Device, type Devices, saveCounter } from '../store/devices.ts';
import type { Disk } from '../store/disk.ts';
import type { Entries } from '../store/entries.ts';
import { type Gaps, saveGap } from '../store/gaps.ts';
import { saveLate } from '../store/late.ts';
import { type Quarantine, type Refused, saveRefused } from '../store/quarantine.ts';
import type { Registration } from '../store/registrations.ts';
import type { SqlStatement } from '../store/store.ts';
import { equalBytes } from '../wire/bytes.ts';
import { decodeEnvelope, type Envelope, encodeEnvelope } from '../wire/envelope.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import type { Stamp } from './clock.ts';
import type { SealedBytes, Sealing } from './sealing.ts';
import { type BacklogPolicy, type Ending, endings, firstEnding, refusal, unexpected } from './standing.ts';

/** Where an envelope came from: the DID that the connection or bus has proven, and a topic or port to show. */
export type Source = { did: string; topic: string };

export type Outcome =
  | { kind: 'accepted' | 'known'; index: number }
  | { kind: 'quarantined'; code: ErrorCode; detail: string; epoch: number | null; seq: number | null };

/** How the gateway itself speaks in its log. `boot` is this run's number: the epoch of its counter. */
export type Voice = { did: string; boot: number; sign: (signed: Uint8Array) => Uint8Array };

/**
 * What {@link Accept.act} hands to a work of the gateway's own: the state in which its group will be written, and ways
 * to add to that group.
 */
export type Own = {
  /** An entry in the gateway's own name; answers the index that it will have. */
  say: (records: readonly SenmlRecord[]) => number;
  counterOf: (device: Device) => CounterState;
  /** An open gap becomes a lost one, and an entry says so. @throws EdgeError GAP_NOT_OPEN */
  declareLost: (device: Device, range: Range) => number;
  also: (statements: readonly SqlStatement[]) => void;
};

export type AcceptOptions = {
  log: Log;
  entries: Entries;
  devices: Devices;
  quarantine: Quarantine;
  gaps: Gaps;
  voice: Voice;
  sealing: Sealing;
  /** Whether a reading is what the profile of its device expects. @throws EdgeError PROFILE_MISMATCH */
  check: (device: Device, records: readonly SenmlRecord[]) => void;
  disk: Pick<Disk, 'room' | 'give'>;
  now: () => Stamp;
  /** What the city's registry holds of a device, as far as it was followed; undefined where it holds nothing. */
  registered: (device: Device) => Registration | undefined;
  backlog: BacklogPolicy;
  /** Bytes, of all and of one device, that may wait for their signature check or for the disk; beyond it callers wait. */
  maxPendingBytes: number;
  maxPendingBytesPerDevice: number;
  /** Envelopes of one device, and of all, that may lie in quarantine; beyond it they are not acknowledged. */
  maxQuarantinePerDevice: number;
  maxQuarantine: number;
  /** Something that a person should know, said once when it begins and once when it is over. */
  alarm: (line: string) => void;
  /** The disk had no room for something. */
  onDiskFull: () => void;
  caps: Caps;
};

export type Job = {
  bytes: Uint8Array;
  source: Source;
  stamp: Stamp;
  device?: Device;
  /**
   * What is counted of the envelope. The rest is let go of before the signature check: whatever waits together is
   * what the garbage collector has to carry around.
   */
  epoch?: number;
  seq?: number;
  iat?: number;
  /** What is wrong with the content; said only of an envelope whose signature and counter are good. */
  flaw?: EdgeError | undefined;
  /** What is in the log of it, where that is not its own bytes. */
  sealed?: SealedBytes;
  refusal?: EdgeError;
  /** It was acknowledged in an earlier log: its counter is taken, and who may speak now is no matter. */
  carried?: true;
  /** What is to be on disk together with it, be it an entry or in quarantine. */
  along?: readonly SqlStatement[];
  own?: (own: Own) => void;
  settled: boolean;
  resolve: (outcome: Outcome) => void;
  reject: (error: unknown) => void;
};

export type CountedJob = Job & { device: Device; epoch: number; seq: number; iat: number };

/** What a row, its indexes and its leaf hash take besides the bytes, and a share for pages that are not full. */
const costOf = ({ bytes, sealed }: Job): number =>
  Math.ceil((bytes.length + (sealed?.envelope.length ?? 0)) * 1.25) + (sealed ? 350 : 250);

/** What one group will do to the store, worked out on copies; nothing here is kept unless the disk took it. */
export class Plan {
  readonly #o: AcceptOptions;
  readonly entries: NewEntry[] = [];
  readonly statements: SqlStatement[] = [];
  /** Jobs of which nothing will be on disk. */
  readonly rejected: [Job, unknown][] = [];
  refusedForDisk = 0;
  /** Entries in the gateway's own name, and those of them that declare a gap lost. */
  said = 0;
  declaredLost = 0;
  #room: number;
  readonly #counters = new Map<Device, CounterState>();
  /** Counters that this very group uses: key device/epoch/seq, value the position in `entries`. */
  readonly #taken = new Map<string, number>();
  readonly #results: [Job, (first: number) => Outcome][] = [];
  readonly #newlyHeld = new Set<string>();
  readonly #newlyHeldBy = new Map<string, number>();

  constructor(options: AcceptOptions, group: readonly Job[]) {
    this.#o = options;
    this.#room = options.disk.room;
    for (const job of group) {
      if (job.own) this.#own(job, job.own);
      else if (!job.refusal) this.#count(job);
      if (job.refusal) this.#refuse(job, job.refusal);
    }
    for (const [device, counter] of this.#counters) this.statements.push(saveCounter(device.id, counter));
  }

  #count(job: Job): void {
    const { device, epoch, seq, bytes, stamp } = job as CountedJob;
    const place = this.entries.length;
    const counter = this.#counterOf(device);
    const idx = this.#o.log.size + place;
    const next =
      counter.take(epoch, seq, idx, stamp.receivedMs) ??
      (job.carried && !this.#isHere(device, epoch, seq) ? counter.again(idx, stamp.receivedMs) : undefined);
    if (!next) {
      this.#countUsed(job, counter);
      return;
    }
    // Asked here, too: it may have ended while the signature was being checked.
    const ended = job.carried ? [] : endings(device, this.#o.registered(device), stamp);
    const flaw = (ended.length > 0 && this.#lateFlaw(job as CountedJob, ended, counter, next)) || job.flaw;
    if (flaw) {
      job.refusal = flaw;
      return;
    }
    // What was acknowledged in an earlier log has its place in the reserve.
    if (!job.carried && !this.#fits(job)) return;
    this.#taken.set(`${device.id}/${epoch}/${seq}`, place);
    this.entries.push({ ...(job.sealed ?? { envelope: bytes }), device: device.id, epoch, seq, ...stamp });
    this.#results.push([job, (first) => ({ kind: 'accepted', index: first + place })]);
    if (ended.length > 0) this.statements.push(saveLate(idx, firstEnding(ended)));
    this.#move(device, next, stamp);
    if (job.carried && device.kind === GATEWAY_KIND) this.#remember(decodeEnvelope(bytes), idx);
    if (job.along) this.statements.push(...job.along);
  }

  /** Why what comes of a device that is over is not taken. What fills a gap leaves the highest counter as it is. */
  #lateFlaw(
    { device, epoch, seq, iat, stamp }: CountedJob,
    ended: readonly Ending[],
    counter: CounterState,
    next: CounterState,
  ): EdgeError | undefined {
    const isExpected = next.epoch === counter.epoch && next.seq === counter.seq;
    return (
      refusal(device.did, ended, iat, stamp, this.#o.backlog) ??
      (isExpected ? undefined : unexpected(device.did, ended, epoch, seq))
    );
  }

  /** A gap or audit entry of an earlier log speaks in this one, too. */
  #remember(envelope: Envelope, idx: number): void {
    const audited = auditDigest(envelope);
    if (audited) this.statements.push(moveAudit(audited, idx));
    const gap = parseGap(envelope);
    const device = gap && this.#o.devices.get(gap.did);
    if (gap && device) this.statements.push(saveGap(device.id, { ...gap, idx }));
  }

  #counterOf(device: Device): CounterState {
    return this.#counters.get(device) ?? device.counter;
  }

  /** A device's new state; what it gave up is declared in the same transaction. */
  #move(device: Device, next: CounterState, stamp: Stamp): void {
    this.#counters.set(device, next);
    if (next.givenUp) this.#declare(device, next.givenUp, stamp);
  }

  #declare(device: Device, range: Range, stamp: Stamp): number {
    const idx = this.#say(gapRecords({ did: device.did, ...range, reason: 'lost' }), stamp);
    this.statements.push(saveGap(device.id, { ...range, reason: 'lost', idx }));
    this.declaredLost++;
    return idx;
  }

  /** The counter is given here, where it is written: one that failed leaves no gap of our own. */
  #say(records: readonly SenmlRecord[], stamp: Stamp): number {
    const { did, boot, sign } = this.#o.voice;
    const self = this.#o.devices.get(did);
    if (!self) throw new EdgeError('DEVICE_UNKNOWN', did);
    const index = this.#o.log.size + this.entries.length;
    const counter = this.#counterOf(self);
    const seq = counter.epoch === boot ? counter.seq + 1 : 0;
    const next = counter.take(boot, seq, index, stamp.receivedMs);
    if (!next) throw new EdgeError('REPLAY', `boot ${boot} of the gateway is below ${counter.epoch}`);
    const claims = { iss: did, sub: self.sub, iat: Math.floor(stamp.receivedMs / 1000), epoch: boot, seq };
    const envelope = encodeEnvelope(claims, records, sign);
    const about = this.#o.sealing.about(self, records);
    const bytes = about === undefined ? { envelope } : this.#o.sealing.now(envelope, about);
    this.entries.push({ ...bytes, device: self.id, epoch: boot, seq, ...stamp });
    this.#counters.set(self, next);
    this.said++;
    return index;
  }

  #own(job: Job, work: (own: Own) => void): void {
    try {
      work({
        say: (records) => this.#say(records, job.stamp),
        counterOf: (device) => this.#counterOf(device),
        declareLost: (device, range) => {
          const next = this.#counterOf(device).close(range);
          const { epoch, first, last } = range;
          if (!next) throw new EdgeError('GAP_NOT_OPEN', `${epoch}/${first} to ${epoch}/${last} of ${device.did}`);
          this.#move(device, next, job.stamp);
          return this.#declare(device, range, job.stamp);
        },
        also: (statements) => this.statements.push(...statements),
      });
      this.#results.push([job, (first) => ({ kind: 'accepted', index: first })]);
    } catch (error) {
      this.rejected.push([job, error]);
    }
  }

  /** Whether the disk has room for it above the reserve; if not, it and all that comes after it must wait. */
  #fits(job: Job): boolean {
    const cost = costOf(job);
    if (cost <= this.#room) {
      this.#room -= cost;
      this.#o.disk.give(cost);
      return true;
    }
    this.#room = 0;
    this.refusedForDisk++;
    this.rejected.push([
      job,
      new EdgeError('DISK_RESERVE', `${job.bytes.length} bytes of ${job.source.did} had no room above the reserve`),
    ]);
    return false;
  }

  #isHere(device: Device, epoch: number, seq: number): boolean {
    return (
      this.#taken.has(`${device.id}/${epoch}/${seq}`) || this.#o.entries.byCounter(device.id, epoch, seq) !== undefined
    );
  }

  /** A counter that is not new: the same bytes are the same entry, other bytes are equivocation. */
  #countUsed(job: Job, counter: CounterState): void {
    const { device, epoch, seq, bytes } = job as CountedJob;
    const place = this.#taken.get(`${device.id}/${epoch}/${seq}`);
    const taken = place === undefined ? undefined : this.entries[place];
    const held = taken ? undefined : this.#o.entries.byCounter(device.id, epoch, seq);
    if (!taken && !held) {
      const lost = this.#o.gaps.lostAt(device.id, epoch, seq);
      job.refusal = new EdgeError(
        'REPLAY',
        lost
          ? `cti ${epoch}/${seq} was declared lost at entry ${lost.idx}`
          : `cti ${epoch}/${seq} is below ${counter.epoch}/${counter.seq}`,
      );
    } else if (held ? !isSame(held, bytes) : !equalBytes((taken?.content ?? (taken as NewEntry)).envelope, bytes))
      job.refusal = new EdgeError('EQUIVOCATION', `cti ${epoch}/${seq} is in the log with other bytes`);
    else if (held) this.#results.push([job, () => ({ kind: 'known', index: held.idx })]);
    else this.#results.push([job, (first) => ({ kind: 'known', index: first + (place as number) })]);
  }

  #refuse(job: Job, refusal: EdgeError): void {
    const { quarantine, maxQuarantine, maxQuarantinePerDevice, caps } = this.#o;
    const { did, topic } = job.source;
    const sha256 = hash('sha256', job.bytes, 'buffer');
    const key = `${did} ${sha256.toString('hex')}`;
    if (!this.#newlyHeld.has(key) && !quarantine.has(did, sha256)) {
      const mine = this.#newlyHeldBy.get(did) ?? 0;
      const own = quarantine.heldBy(did) + mine >= maxQuarantinePerDevice;
      if (own || quarantine.held + this.#newlyHeld.size >= maxQuarantine) {
        caps.hit(`intake.maxQuarantine${own ? 'PerDevice' : ''}`);
        this.rejected.push([
          job,
          new EdgeError('QUARANTINE_FULL', `${quarantine.heldBy(did)} envelopes of ${did}, ${quarantine.held} in all`),
        ]);
        return;
      }
      // What was acknowledged in an earlier log has its place in the reserve.
      if (!job.carried && !this.#fits(job)) return;
      this.#newlyHeld.add(key);
      this.#newlyHeldBy.set(did, mine + 1);
    }
    const refused: Refused = {
      did,
      topic,
      code: refusal.code,
      detail: refusal.detail,
      sha256,
      bytes: job.bytes,
      epoch: job.epoch ?? null,
      seq: job.seq ?? null,
      receivedMs: job.stamp.receivedMs,
    };
    this.statements.push(saveRefused(refused), ...(job.along ?? []));
    const { code, detail, epoch, seq } = refused;
    this.#results.push([job, () => ({ kind: 'quarantined', code, detail, epoch, seq })]);
  }

  /** It is on disk: now the memory may follow. */
  keep(): void {
    for (const [device, counter] of this.#counters) device.counter = counter;
    for (const [did, n] of this.#newlyHeldBy) this.#o.quarantine.added(did, n);
  }

  *outcomes(first: number): Iterable<[Job, Outcome]> {
    for (const [job, outcome] of this.#results) yield [job, outcome(first)];
  }
}
