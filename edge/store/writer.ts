/** The main thread's side of the one writer: collects jobs while a transaction is under way (group commit). */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EdgeError } from '../errors.ts';
import type { ContentBatch } from './contents.ts';

export type SqlValue = string | number | null | Uint8Array;
export type SqlStatement = { sql: string; params: readonly SqlValue[] };

/**
 * Entries `first`, `first + 1`, ... packed so that a batch crosses the thread as three buffers and not as
 * thousands of objects. Six columns each: device, epoch, seq, received_ms, mono_ms, clock_synced.
 */
export type EntryBatch = {
  first: number;
  boot: number;
  envelopes: Uint8Array<ArrayBuffer>;
  lengths: Uint32Array<ArrayBuffer>;
  columns: Float64Array<ArrayBuffer>;
  /** Of those that are sealed. */
  contents: ContentBatch | undefined;
};

/**
 * `name` says what is written, for the fault points of faults.ts; without one it is `write`. With `emptyLog` the
 * write-ahead log is empty afterwards, so that what was overwritten is nowhere in the files; it fails, with all else
 * written, while another process reads.
 */
export type WriteJob = { name?: string; entries?: EntryBatch; statements: readonly SqlStatement[]; emptyLog?: true };
export type WriterRequest = { jobs: readonly WriteJob[] } | 'close';
export type WriterReply = { problems: (string | null)[] };

type Waiting = { job: WriteJob; resolve: () => void; reject: (error: Error) => void };

export class Writer {
  readonly #worker: Worker;
  #queue: Waiting[] = [];
  #underWay: Waiting[] | undefined;
  #gone: Error | undefined;
  #closing = false;
  /** For metrics: transactions committed, and how long the last one took in ms. */
  commits = 0;
  lastCommitMs = 0;
  /** Called when the thread dies: nothing can be written any more. */
  onLost: (error: Error) => void = () => undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** @param maxBytes of the database file; 0 for no limit. @throws EdgeError STORE_UNAVAILABLE */
  static async open(path: string, maxBytes = 0): Promise<Writer> {
    const worker = new Worker(new URL('./writer-thread.ts', import.meta.url), { workerData: { path, maxBytes } });
    try {
      await once(worker, 'message');
    } catch (error) {
      throw new EdgeError('STORE_UNAVAILABLE', `${path}: ${(error as Error).message}`, { cause: error });
    }
    const writer = new Writer(worker);
    worker.on('message', (reply: WriterReply) => writer.#onReply(reply));
    worker.on('error', (error) => writer.#onGone(error));
    worker.on('exit', () => writer.#onGone(new Error('the writer thread has ended')));
    return writer;
  }

  /**
   * Resolves once the job is on disk (fsync done). Jobs keep their order.
   * @throws EdgeError STORE_UNAVAILABLE; the job may still have been written if the thread itself died
   */
  write(job: WriteJob): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#next();
    });
  }

  #started = 0;

  #next(): void {
    if (this.#underWay || this.#queue.length === 0) return;
    if (this.#gone) {
      const { message } = this.#gone;
      for (const { reject } of this.#queue.splice(0)) reject(new EdgeError('STORE_UNAVAILABLE', message));
      return;
    }
    this.#underWay = this.#queue;
    this.#queue = [];
    this.#started = performance.now();
    const jobs = this.#underWay.map(({ job }) => job);
    const buffers = jobs.flatMap(({ entries: e }) =>
      e
        ? [e.envelopes.buffer, e.lengths.buffer, e.columns.buffer, ...(e.contents ? [e.contents.bytes.buffer] : [])]
        : [],
    );
    this.#worker.postMessage({ jobs } satisfies WriterRequest, buffers);
  }

  #onReply({ problems }: WriterReply): void {
    const done = this.#underWay ?? [];
    this.#underWay = undefined;
    // What had nothing to write says nothing about the disk.
    if (done.some(({ job }) => job.entries || job.emptyLog || job.statements.length > 0)) {
      if (problems.includes(null)) this.commits++;
      this.lastCommitMs = performance.now() - this.#started;
    }
    done.forEach(({ resolve, reject }, i) => {
      const problem = problems[i];
      if (problem) reject(new EdgeError('STORE_UNAVAILABLE', problem));
      else resolve();
    });
    this.#next();
  }

  #onGone(error: Error): void {
    if (!this.#gone && !this.#closing) this.onLost(error);
    this.#gone ??= error;
    const lost = this.#underWay ?? [];
    this.#underWay = undefined;
    for (const { reject } of lost) reject(new EdgeError('STORE_UNAVAILABLE', error.message));
    this.#next();
  }

  /**
   * Resolves when the thread has done all that was asked before, with whatever success: a full disk does not make it
   * dead. @throws EdgeError STORE_UNAVAILABLE when it is gone
   */
  async answers(): Promise<void> {
    try {
      await this.write({ statements: [] });
    } catch (error) {
      if (this.#gone) throw error;
    }
  }

  /** Waits for what was asked before, then closes the database (which checkpoints the WAL). */
  async close(): Promise<void> {
    while (this.#underWay || this.#queue.length > 0) await this.write({ statements: [] }).catch(() => undefined);
    if (this.#gone) return;
    this.#closing = true;
    const exit = once(this.#worker, 'exit');
    this.#worker.postMessage('close' satisfies WriterRequest);
    await exit;
  }
}
