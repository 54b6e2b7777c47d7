/** Makes checkpoints: every so often, or after so many entries, whichever comes first. */
import type { Log } from './log.ts';

export type CheckpointerOptions = { seconds: number; entries: number; onError: (error: unknown) => void };

export class Checkpointer {
  readonly #log: Log;
  #options: CheckpointerOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  readonly #holds = new Map<string, string>();

  constructor(log: Log, options: CheckpointerOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Why no checkpoint is signed now, if so. */
  get held(): string | undefined {
    return this.#holds.size === 0 ? undefined : [...this.#holds.values()].join('; ');
  }

  /** Sign nothing until the same one has no reason any more: the tree may be older than what others hold of it. */
  hold(by: 'chain' | 'witnesses', why: string | undefined): void {
    if (why !== undefined) this.#holds.set(by, why);
    else if (this.#holds.delete(by)) this.wake();
  }

  start(): void {
    this.#timer = setInterval(() => this.#make(), this.#options.seconds * 1000);
    this.wake();
  }

  setPace(pace: Pick<CheckpointerOptions, 'seconds' | 'entries'>): void {
    this.#options = { ...this.#options, ...pace };
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.start();
  }

  /** To be called when the log has grown. */
  wake(): void {
    const since = this.#log.size - (this.#log.latest?.size ?? 0);
    if (since >= this.#options.entries || this.#log.latest === undefined) this.#make();
  }

  #make(): void {
    if (this.#holds.size > 0 || this.#running || !this.#timer || this.#log.size === 0) return;
    this.#running = this.#log
      .makeCheckpoint(Date.now())
      .then(() => undefined, this.#options.onError)
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Makes a last checkpoint, so that a clean stop leaves nothing uncovered. */
  async stop(): Promise<void> {
    const started = this.#timer !== undefined;
    clearInterval(this.#timer);
    this.#timer = undefined; // from here on nobody else makes one
    await this.#running;
    if (started && this.#holds.size === 0 && this.#log.size > 0)
      await this.#log.makeCheckpoint(Date.now()).catch(this.#options.onError);
  }
}
