/**
 * Register epochs: which meters a metering point has, one after the other. A new one begins with the gateway's signed word
 * that a meter took over, and with nothing less: a register that starts low and belongs to nobody is no swap.
 */
import { difference } from './register.ts';
import type { Boundary, Meter, Plant, Swap } from './types.ts';

/** The energy between two readings of two meters; or which code says why it is not known. */
export type Bridged =
  | { wh: number; how: Swap['how'] }
  | { code: 'CREDIT_SWAP_UNREAD' | 'CREDIT_SWAP_CONTRADICTED' | 'CREDIT_EPOCH_UNKNOWN'; detail: string };

export class Epochs {
  readonly #meters: readonly Meter[];
  readonly #byDid: ReadonlyMap<string, Meter>;
  /** A meter is over once, and takes over once. */
  readonly #over: ReadonlyMap<string, Swap>;
  readonly #taken: ReadonlyMap<string, Swap>;

  constructor({ meters }: Pick<Plant, 'meters'>, swaps: readonly Swap[]) {
    const inOrder = swaps.toSorted((a, b) => b.idx - a.idx);
    this.#meters = meters;
    this.#byDid = new Map(meters.map((m) => [m.did, m]));
    this.#over = new Map(inOrder.map((s) => [s.old, s]));
    this.#taken = new Map(inOrder.map((s) => [s.next, s]));
  }

  meter(did: string): Meter | undefined {
    return this.#byDid.get(did);
  }

  /** How a meter took over; undefined of a first one. */
  begin(did: string): Swap | undefined {
    return this.#taken.get(did);
  }

  /** The meters that were before it, the nearest first. */
  #before(did: string): string[] {
    const before: string[] = [];
    for (let s = this.#taken.get(did); s && !before.includes(s.old) && s.old !== did; s = this.#taken.get(s.old))
      before.push(s.old);
    return before;
  }

  /** 1 for the first meter of a metering point, one more after each swap or new key. */
  number(did: string): number {
    return this.#before(did).length + 1;
  }

  /** It took over by a signed word, or nobody was there, or who was there is revoked and left no heir. */
  isKnown(did: string): boolean {
    if (this.#taken.has(did)) return true;
    const at = this.#meters.findIndex((m) => m.did === did);
    if (at < 0) return false;
    return this.#meters.slice(0, at).every((earlier) => {
      if (this.#before(earlier.did).includes(did)) return true;
      let end = earlier;
      for (const seen = new Set<string>(); !seen.has(end.did); ) {
        seen.add(end.did);
        end = this.#byDid.get(this.#over.get(end.did)?.next ?? '') ?? end;
      }
      return end.status === 'revoked';
    });
  }

  /** It was read before its meter was put in: on a bench, or by whoever had it before. */
  isBeforeEpoch({ device, iat, registerWh }: Boundary): boolean {
    const swap = this.#taken.get(device);
    return swap !== undefined && swap.initialWh !== null && iat * 1000 < swap.atMs && registerWh < swap.initialWh;
  }

  /** What went through between a reading of one meter and a later one of another that took over from it. */
  bridge(start: Boundary, end: Boundary): Bridged {
    const path: Swap[] = [];
    for (let did = end.device; did !== start.device; ) {
      const swap = this.#taken.get(did);
      if (!swap || path.includes(swap))
        return {
          code: 'CREDIT_EPOCH_UNKNOWN',
          detail: `nothing says that ${end.device} took over from ${start.device}`,
        };
      path.unshift(swap);
      did = swap.old;
    }
    let [total, register] = [0, start.registerWh];
    const add = (then: number, did: string): boolean => {
      const step = difference(register, then, this.#byDid.get(did) as Meter, Math.max(0, end.iat - start.iat));
      total += step?.wh ?? 0;
      return step !== undefined;
    };
    const contradicted = (what: string): Bridged => ({
      code: 'CREDIT_SWAP_CONTRADICTED',
      detail: `${what} (entries ${start.idx} and ${end.idx}: ${start.registerWh} Wh, ${end.registerWh} Wh)`,
    });
    for (const { how, old, next, finalWh, initialWh } of path) {
      if (how === 'rekey') continue;
      if (finalWh === null || initialWh === null)
        return {
          code: 'CREDIT_SWAP_UNREAD',
          detail: `${finalWh === null ? `the last register of ${old}` : `the first register of ${next}`} was not read`,
        };
      if (!add(finalWh, old)) return contradicted(`the final register ${finalWh} Wh of ${old} is below what it signed`);
      register = initialWh;
    }
    if (!add(end.registerWh, end.device))
      return contradicted(`the initial register ${register} Wh of ${end.device} is above what it signed`);
    return { wh: total, how: path.some((s) => s.how === 'swap') ? 'swap' : 'rekey' };
  }
}
