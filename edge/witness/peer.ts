/** One witness of ours: what it said last, when to ask it again, and one conversation at a time. */
import { EdgeError } from '../errors.ts';
import { parseVerifierKey, type VerifierKey } from '../log/checkpoint.ts';
import type { Log } from '../log/log.ts';
import { addCheckpoint, type WitnessSays } from './client.ts';

/** How often in one conversation a witness may send us to another size. */
const MAX_TURNS = 3;
const FIRST_RETRY_MS = 500;

export type PeerOptions = { key: string; url: string; timeoutMs: number; retryMs: number };

export class Peer {
  readonly #log: Log;
  readonly #o: PeerOptions;
  /** Its verifier key, as text: what its cosignatures are stored under. */
  readonly id: string;
  readonly #key: VerifierKey;
  readonly #cut = new AbortController();
  #running: Promise<void> | undefined;
  /** The size that it holds of our log, as far as we know. */
  #held: number;
  /** Monotonic. */
  #dueMs = 0;
  #failures = 0;
  /** Our newest checkpoint that it cosigned, and when (Unix seconds). */
  size: number;
  time: number;
  /** It has given its word, or failed to, since start. */
  settled = false;
  /** Its last word was one: not an error. */
  reachable = false;
  problem: EdgeError | undefined;
  /** LOG_BEHIND_WITNESS: it said so, and has not said anything better since. */
  behind: EdgeError | undefined;

  /** @throws EdgeError RECEIPT_INVALID for a key that is none */
  constructor(log: Log, options: PeerOptions) {
    this.#log = log;
    this.#o = options;
    this.#key = parseVerifierKey(options.key, 'witness');
    this.id = options.key;
    const { size, time } = log.newestCosigned([options.key], 1);
    this.size = size;
    this.time = time;
    this.#held = size;
  }

  get name(): string {
    return this.#key.name;
  }

  /** Asks, if there is a reason to and it is time; then `done`. */
  wake(done: () => void): void {
    if (this.#running || this.#cut.signal.aborted || performance.now() < this.#dueMs || !this.#wanted) return;
    this.#running = this.#converse().finally(() => {
      this.#running = undefined;
      done();
    });
  }

  get #wanted(): boolean {
    return !this.settled || this.problem !== undefined || (this.#log.latest?.size ?? 0) > this.size;
  }

  /** A last try for the newest checkpoint, where the witness was there a moment ago. */
  async finish(): Promise<void> {
    await this.#running;
    if (this.reachable && !this.#cut.signal.aborted && (this.#log.latest?.size ?? 0) > this.size)
      await this.#converse();
  }

  /** Cuts off what is under way. */
  stop(): void {
    this.#cut.abort();
  }

  async #converse(): Promise<void> {
    try {
      await this.#ask();
      this.#failures = 0;
      this.problem = undefined;
      this.behind = undefined;
      this.reachable = true;
    } catch (error) {
      if (this.#cut.signal.aborted) return;
      const problem = error instanceof EdgeError ? error : new EdgeError('INTERNAL', `${this.name}: ${String(error)}`);
      this.problem = problem;
      this.reachable = problem.code === 'LOG_BEHIND_WITNESS' || problem.code === 'STORE_UNAVAILABLE';
      if (problem.code === 'LOG_BEHIND_WITNESS') this.behind = problem;
      this.#dueMs = performance.now() + Math.min(this.#o.retryMs, FIRST_RETRY_MS * 2 ** this.#failures++);
    }
    this.settled = true;
  }

  /** @throws EdgeError LOG_BEHIND_WITNESS, WITNESS_AWAY, WITNESS_REFUSED, STORE_UNAVAILABLE */
  async #ask(): Promise<void> {
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const { size, note } = this.#log.latest ?? { size: 0, note: this.#log.emptyCheckpoint() };
      const old = Math.min(this.#held, size);
      const says = await this.#submit(old, size, note);
      if ('cosigned' in says) {
        this.#held = size;
        if (size > 0) await this.#log.addCosignature(size, this.id, says.cosigned);
        this.size = size;
        this.time = says.cosigned.time;
        return;
      }
      const newest = this.#log.latest?.size ?? 0;
      if ('differs' in says)
        throw new EdgeError('LOG_BEHIND_WITNESS', `${this.name} holds ${says.differs} at ${old} entries`);
      if (says.holds > newest)
        throw new EdgeError(
          'LOG_BEHIND_WITNESS',
          `${this.name} holds a checkpoint of ${says.holds} entries, our newest has ${newest}`,
        );
      this.#held = says.holds;
    }
    throw new EdgeError('WITNESS_REFUSED', `${this.name}: it holds another size each time it is asked`);
  }

  #submit(old: number, size: number, note: string): Promise<WitnessSays> {
    const signal = AbortSignal.any([this.#cut.signal, AbortSignal.timeout(this.#o.timeoutMs)]);
    return addCheckpoint(this.#o.url, this.#key, { old, proof: this.#log.consistency(old, size), note }, signal);
  }
}
