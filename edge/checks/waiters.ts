/** Those who ask who is at a gate, and wait for the vehicle to answer. Each decision answers one question. */
import { EdgeError } from '../errors.ts';
import type { Checked } from './checker.ts';

/** `did`: of one vehicle only; `recentMs`: a decision that was made so long ago still counts, if nobody asked for it. */
export type Asked = {
  gate: string;
  purpose: string;
  did?: string | undefined;
  timeoutMs: number;
  recentMs: number;
};

type Waiter = Asked & { done: (checked: Checked | EdgeError) => void };

/** Decisions at one gate that are kept for whoever asks a moment later. */
const MAX_RECENT = 16;

export class Waiters {
  readonly #max: number;
  readonly #onFull: () => void;
  readonly #waiting = new Set<Waiter>();
  /** By gate, oldest first. */
  readonly #recent = new Map<string, { checked: Checked; monoMs: number }[]>();

  constructor(max: number, onFull: () => void) {
    this.#max = max;
    this.#onFull = onFull;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** @throws EdgeError CHECKS_BUSY, CHECK_TIMEOUT */
  wait(asked: Asked, nowMono: number, left: AbortSignal): Promise<Checked> {
    const recent = this.#recent.get(asked.gate) ?? [];
    const at = recent.findLastIndex((r) => nowMono - r.monoMs <= asked.recentMs && answers(r.checked, asked));
    const found = at < 0 ? undefined : recent.splice(at, 1)[0];
    if (found) return Promise.resolve(found.checked);
    if (this.#waiting.size >= this.#max) {
      this.#onFull();
      throw new EdgeError('CHECKS_BUSY', `${this.#max} wait for a vehicle now (checks.maxWaiting)`);
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        ...asked,
        done: (checked) => {
          clearTimeout(timer);
          left.removeEventListener('abort', gone);
          this.#waiting.delete(waiter);
          if (checked instanceof EdgeError) reject(checked);
          else resolve(checked);
        },
      };
      const who = asked.did ?? 'no vehicle';
      const over = (why: string) => () => waiter.done(new EdgeError('CHECK_TIMEOUT', why));
      const timer = setTimeout(over(`${who} answered at ${asked.gate} within ${asked.timeoutMs} ms`), asked.timeoutMs);
      const gone = over('who asked has left');
      left.addEventListener('abort', gone, { once: true });
      this.#waiting.add(waiter);
    });
  }

  tell(checked: Checked, nowMono: number): void {
    for (const waiter of this.#waiting)
      if (answers(checked, waiter)) {
        waiter.done(checked);
        return;
      }
    const gate = checked.row.gate as string;
    const recent = this.#recent.get(gate) ?? [];
    this.#recent.set(gate, [...recent.slice(1 - MAX_RECENT), { checked, monoMs: nowMono }]);
  }

  forgetRecent(): void {
    this.#recent.clear();
  }

  stop(): void {
    for (const waiter of this.#waiting) waiter.done(new EdgeError('CHECK_TIMEOUT', 'the gateway is stopping'));
  }
}

const answers = ({ row }: Checked, { gate, purpose, did }: Asked): boolean =>
  row.gate === gate && row.purpose === purpose && (did === undefined || row.holder === did);
