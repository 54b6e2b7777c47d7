/** One run of Node-RED, looked at once a second: it may not stand still, grow too large, or fill the disk. */
import { readFileSync } from 'node:fs';
import { userDirOf, weigh } from './folder.ts';

export const LOOK_MS = 1_000;
/** From its start until it listens, on a slow and busy machine. */
const START_MS = 120_000;
/** Its folder is weighed at each so many-th look. */
const WEIGH_EACH = 5;

export type Limits = {
  /** `<dataFolder>/flows` */
  folder: string;
  /** Resident, all in all. */
  maxMemoryMb: number;
  /** Files in its folder, all together. */
  maxDiskMb: number;
  /** Its loop may stand still for so long. */
  hangSeconds: number;
};

/** What is known of one run, and why it ended where that is known. */
export class Watched {
  readonly #o: Limits;
  #aliveMs = performance.now();
  #lookedMs = performance.now();
  readonly #beganMs = performance.now();
  #looks = 0;
  pid: number | undefined;
  listens = false;
  /** Which they do before it listens; what stands still from then on is a flow. */
  flowsRun = false;
  why: string | undefined;
  byFlow = true;

  constructor(options: Limits) {
    this.#o = options;
  }

  alive(): void {
    this.#aliveMs = performance.now();
  }

  blame(why: string): void {
    this.why ??= why;
  }

  /** Ends it where it stands still, or has grown too large. */
  look(): void {
    const now = performance.now();
    // We ourselves were late (a suspended machine, say): what it has told meanwhile is not read yet.
    if (now - this.#lookedMs > 3 * LOOK_MS) this.alive();
    this.#lookedMs = now;
    const { pid } = this;
    if (pid === undefined) return;
    // In safe mode no flow runs, and there must be an editor.
    if (this.flowsRun && ++this.#looks % WEIGH_EACH === 0) void this.#weigh();
    const megabytes = residentMb(pid);
    if (megabytes > this.#o.maxMemoryMb) this.#kill(`it used ${megabytes} MB, more than ${this.#o.maxMemoryMb} MB`);
    else if ((this.listens || this.flowsRun) && now - this.#aliveMs > this.#o.hangSeconds * 1000)
      this.#kill(`its loop stood still for ${this.#o.hangSeconds} s`);
    else if (!this.listens && now - this.#beganMs > START_MS) this.#kill(`it was not up after ${START_MS / 1000} s`);
  }

  async #weigh(): Promise<void> {
    const { folder, maxDiskMb } = this.#o;
    const bytes = await weigh(folder).catch(() => 0); // a file that went while it was looked at: next time
    if (bytes > maxDiskMb * 1_048_576)
      this.#kill(`it holds more than ${maxDiskMb} MB of files in ${userDirOf(folder)}: remove what is not needed`);
  }

  #kill(why: string): void {
    this.blame(why);
    try {
      process.kill(this.pid as number, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

function residentMb(pid: number): number {
  try {
    const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return kb === undefined ? 0 : Math.round(Number(kb) / 1024);
  } catch {
    return 0; // it has ended
  }
}
