/**
 * Accept: THE path. Whatever comes from a device, by whatever wire, goes through here and nowhere else:
 *
 *   decode -> verify (thread pool) -> count -> append (one fsync'd transaction) -> answer
 *
 * An answer means that the envelope is on disk: in the log, or in quarantine with its reason. Where the disk
 * cannot take it there is no answer but an error, and the caller must not acknowledge.
 *
 * Jobs keep their order of arrival. Those whose signatures are checked go to disk together while the next ones
 * are being checked: the slower the disk, the larger the groups.
 */
import { EdgeError, type ErrorCode } from '../errors.ts';
import type { Device } from '../store/devices.ts';
import type { SqlStatement } from '../store/store.ts';
import { decodeDid } from '../wire/did.ts';
import { decodeEnvelope, type Envelope } from '../wire/envelope.ts';
import { signatureInvalid } from '../wire/keys.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import type { Stamp } from './clock.ts';
import { Gate } from './gate.ts';
import { type AcceptOptions, type Job, type Outcome, type Own, Plan, type Source } from './plan.ts';
import { endings, refusal } from './standing.ts';
import { type VerifyKey, verifyInPool, verifyKey } from './verify.ts';

export type { AcceptOptions, Outcome, Own, Source, Voice } from './plan.ts';

/** Entries in one transaction: bounds the memory of a group, and how long one may take. */
const MAX_BATCH = 2048;

const CAPS = ['maxPendingBytes', 'maxPendingBytesPerDevice', 'maxQuarantinePerDevice', 'maxQuarantine'] as const;

export class Accept {
  readonly #o: AcceptOptions;
  #jobs: Job[] = [];
  #head = 0;
  #writing = 0;
  readonly #gate: Gate;
  #committing = false;
  readonly #keys = new WeakMap<Device, VerifyKey>();
  /** Whether the store refused the last group: true from the first failure until a group is on disk again. */
  failing = false;
  /** Counts since start, for metrics. */
  readonly counts = {
    accepted: 0,
    known: 0,
    quarantined: new Map<ErrorCode, number>(),
    failed: 0,
    refusedForDisk: 0,
    declaredLost: 0,
  };

  /** Other caps from now on; what waits already goes on waiting for its turn. */
  limit(caps: Pick<AcceptOptions, (typeof CAPS)[number]>): void {
    for (const key of CAPS) (this.#o as { -readonly [K in (typeof CAPS)[number]]: number })[key] = caps[key];
    this.#gate.setRoom(caps.maxPendingBytes, caps.maxPendingBytesPerDevice);
  }

  constructor(options: AcceptOptions) {
    this.#o = { ...options };
    this.#gate = new Gate({
      max: options.maxPendingBytes,
      maxPerKey: options.maxPendingBytesPerDevice,
      onWait: (why) => options.caps.hit(`intake.maxPendingBytes${why === 'all' ? '' : 'PerDevice'}`),
    });
  }

  /** Envelopes that are being checked or written now. */
  get pending(): number {
    return this.#jobs.length - this.#head + this.#writing;
  }

  /**
   * @param bytes kept until the answer: the caller must not change them
   * @param along what is to be on disk together with it, be it an entry or in quarantine
   * @throws EdgeError STORE_UNAVAILABLE: nothing is durable, acknowledge nothing
   */
  offer(bytes: Uint8Array, source: Source, along: readonly SqlStatement[] = []): Promise<Outcome> {
    return this.#enter(bytes, source, (job) => {
      job.along = along;
      this.#check(job);
    });
  }

  /** An entry of an earlier log, which was lost: verified again, it becomes one of this log, once. */
  carry(bytes: Uint8Array, source: Source, stamp: Stamp): Promise<Outcome> {
    return this.#enter(bytes, source, (job) => {
      job.carried = true;
      job.stamp = stamp;
      this.#check(job);
    });
  }

  /** Put something into quarantine that was found bad before it could be an envelope. */
  refuse(bytes: Uint8Array, source: Source, refusal: EdgeError, along: readonly SqlStatement[] = []): Promise<Outcome> {
    return this.#enter(bytes, source, (job) => {
      job.along = along;
      job.refusal = refusal;
      this.#settle(job);
    });
  }

  /**
   * A work of the gateway's own, in its turn among the envelopes: what it adds is on disk together, or nothing of it.
   * It may run only once, reads what it needs then and there, and throws before it adds anything or not at all.
   * @throws what it throws; EdgeError STORE_UNAVAILABLE
   */
  async act(work: (own: Own) => void): Promise<void> {
    const nothing = new Uint8Array(0);
    await this.#enter(nothing, { did: this.#o.voice.did, topic: 'own' }, (job) => {
      job.own = work;
      this.#settle(job);
    });
  }

  /** An entry in the gateway's own name. @throws EdgeError STORE_UNAVAILABLE */
  async say(records: readonly SenmlRecord[]): Promise<Outcome> {
    let index = 0;
    await this.act((own) => {
      index = own.say(records);
    });
    return { kind: 'accepted', index };
  }

  #enter(bytes: Uint8Array, source: Source, begin: (job: Job) => void): Promise<Outcome> {
    const wait = this.#gate.enter(source.did, bytes.length);
    return wait ? wait.then(() => this.#line(bytes, source, begin)) : this.#line(bytes, source, begin);
  }

  #line(bytes: Uint8Array, source: Source, begin: (job: Job) => void): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const job: Job = { bytes, source, stamp: this.#o.now(), settled: false, resolve, reject };
      this.#jobs.push(job);
      begin(job);
    });
  }

  /** Decode and verify; ends with the job settled, now or later. */
  #check(job: Job): void {
    try {
      const device = this.#o.devices.get(job.source.did);
      if (!device) throw new EdgeError('DEVICE_UNKNOWN', job.source.did);
      const envelope = decodeEnvelope(job.bytes);
      job.device = device;
      job.epoch = envelope.epoch;
      job.seq = envelope.seq;
      job.iat = envelope.iat;
      if (envelope.iss !== device.did) throw new EdgeError('ISSUER_MISMATCH', `iss is ${envelope.iss}`);
      const ended = job.carried ? [] : endings(device, this.#o.registered(device), job.stamp);
      const why = ended.length > 0 && refusal(device.did, ended, envelope.iat, job.stamp, this.#o.backlog);
      if (why) throw why;
      job.flaw = this.#flawOf(device, envelope, job.carried === true);
      const about = job.flaw ? undefined : this.#o.sealing.about(device, envelope.records);
      verifyInPool(this.#keyOf(device), envelope, (valid, flaw) => {
        if (!valid) job.refusal = signatureInvalid(device.did, flaw);
        if (!valid || about === undefined) this.#settle(job);
        else
          this.#o.sealing.inPool(job.bytes, about, (sealed) => {
            job.sealed = sealed;
            this.#settle(job);
          });
      });
    } catch (error) {
      job.refusal = error instanceof EdgeError ? error : new EdgeError('ENVELOPE_INVALID', (error as Error).message);
      this.#settle(job);
    }
  }

  #keyOf(device: Device): VerifyKey {
    let key = this.#keys.get(device);
    if (!key) {
      key = verifyKey(decodeDid(device.did));
      this.#keys.set(device, key);
    }
    return key;
  }

  #settle(job: Job): void {
    job.settled = true;
    this.#pump();
  }

  /** Commit the settled jobs at the head, one group at a time. */
  #pump(): void {
    if (this.#committing || !this.#jobs[this.#head]?.settled) return;
    this.#committing = true;
    // Once more through the loop, so that the signatures that finish together go to disk together.
    setImmediate(() => void this.#commitGroup());
  }

  async #commitGroup(): Promise<void> {
    const group: Job[] = [];
    while (group.length < MAX_BATCH && this.#jobs[this.#head]?.settled) group.push(this.#jobs[this.#head++] as Job);
    this.#writing = group.length;
    if (this.#head > 4096 || this.#head === this.#jobs.length) {
      this.#jobs = this.#jobs.slice(this.#head);
      this.#head = 0;
    }
    try {
      const plan = new Plan(this.#o, group);
      const first = await this.#o.log.append(plan.entries, plan.statements);
      if (plan.statements.length > 0) this.#fail(undefined);
      plan.keep();
      this.counts.accepted += plan.said;
      this.counts.declaredLost += plan.declaredLost;
      for (const [job, outcome] of plan.outcomes(first)) {
        if (!job.own) this.#tally(outcome);
        job.resolve(outcome);
      }
      for (const [job, error] of plan.rejected) job.reject(error);
      this.counts.refusedForDisk += plan.refusedForDisk;
      if (plan.refusedForDisk > 0) this.#o.onDiskFull();
    } catch (error) {
      this.counts.failed += group.length;
      const failure =
        error instanceof EdgeError
          ? error
          : new EdgeError('STORE_UNAVAILABLE', (error as Error).message, { cause: error });
      this.#fail(failure);
      for (const job of group) job.reject(failure);
    }
    this.#writing = 0;
    for (const job of group) this.#gate.leave(job.source.did, job.bytes.length);
    this.#committing = false;
    this.#pump();
  }

  #fail(failure: EdgeError | undefined): void {
    if (this.failing === (failure !== undefined)) return;
    this.failing = failure !== undefined;
    this.#o.alarm(failure ? `store: ${failure.line}` : 'store: it takes readings again');
  }

  #tally(outcome: Outcome): void {
    if (outcome.kind === 'quarantined')
      this.counts.quarantined.set(outcome.code, (this.counts.quarantined.get(outcome.code) ?? 0) + 1);
    else this.counts[outcome.kind]++;
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    while (this.pending > 0 || this.#committing) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Whether it speaks of what this device measures, in the way that its kind does. */
  #flawOf(device: Device, { sub, records }: Envelope, carried: boolean): EdgeError | undefined {
    if (sub !== device.sub) return new EdgeError('SUBJECT_MISMATCH', `sub is ${sub}, enrolled is ${device.sub}`);
    // It was acknowledged: what profiles say since then takes nothing out of the log again.
    if (carried) return undefined;
    try {
      this.#o.check(device, records);
      return undefined;
    } catch (error) {
      return error as EdgeError;
    }
  }
}
