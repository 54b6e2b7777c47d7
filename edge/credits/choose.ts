/**
 * Which reading stands for a full hour. All that is certified rests on it: whoever could take one reading for the hour
 * before and another for the hour after would count the energy between them twice. So a register, once taken for an
 * hour, is held for both sides; and what the chain has fixed is held before anything is chosen.
 */
import { HOUR } from '../wire/boundary.ts';
import type { Boundary, Fixed } from './types.ts';

type Held = Pick<Fixed, 'registerWh' | 'device'>;
export type Pair = { start: Boundary; end: Boundary };

/** Both of one meter, and of shapes that one transaction can show. */
const agree = (s: Boundary, e: Boundary): boolean =>
  s.device === e.device && s.shape === e.shape && (s.shape === 'reading' || s.idx === e.idx);

/** Seconds between a reading and the hour it stands for: a day profile has the register of the hour itself. */
const apart = ({ shape, iat, at }: Boundary): number => (shape === 'profile' ? 0 : Math.abs(iat - at));

export class Choice {
  readonly #at = new Map<number, Boundary[]>();
  readonly #held = new Map<number, Held>();
  readonly #fixed: ReadonlySet<number>;

  /**
   * @param rank of a meter: one that was there earlier goes before one that took over
   * Not by index: what is chosen must not depend on what arrived first.
   */
  constructor(boundaries: readonly Boundary[], fixed: readonly Fixed[], rank: (did: string) => number) {
    for (const b of boundaries) this.#at.set(b.at, [...(this.#at.get(b.at) ?? []), b]);
    for (const [at, list] of this.#at)
      this.#at.set(
        at,
        list.sort(
          (a, b) =>
            rank(a.device) - rank(b.device) ||
            (a.device < b.device ? -1 : a.device > b.device ? 1 : 0) ||
            apart(a) - apart(b) ||
            a.iat - b.iat ||
            a.registerWh - b.registerWh ||
            a.idx - b.idx,
        ),
      );
    for (const { at, registerWh, device } of fixed) this.#held.set(at, { registerWh, device });
    this.#fixed = new Set(fixed.map((f) => f.at));
  }

  get hours(): number[] {
    return [...new Set([...this.#at.keys(), ...this.#fixed])].sort((a, b) => a - b);
  }

  /** All readings near it, whether or not they may stand for it. */
  all(at: number): readonly Boundary[] {
    return this.#at.get(at) ?? [];
  }

  held(at: number): Held | undefined {
    return this.#held.get(at);
  }

  /** Whether the chain has something else there than any reading that is known here. */
  isForeign(at: number): boolean {
    return this.#fixed.has(at) && this.#may(at).length === 0;
  }

  #may(at: number): readonly Boundary[] {
    const held = this.#held.get(at);
    const all = this.all(at);
    return held ? all.filter((b) => b.device === held.device && b.registerWh === held.registerWh) : all;
  }

  /** The two readings of an hour that can be certified. */
  slot(from: number): Pair | undefined {
    for (const start of this.#may(from)) {
      const end = this.#may(from + HOUR).find((e) => agree(start, e));
      if (end) return { start, end };
    }
    return undefined;
  }

  /** The two that tell most of a time that is no such hour: of one meter where there are such. */
  span(from: number, until: number): Pair | undefined {
    const starts = this.isForeign(from) ? this.all(from) : this.#may(from);
    const ends = this.isForeign(until) ? this.all(until) : this.#may(until);
    const both = (fits: (s: Boundary, e: Boundary) => boolean): Pair | undefined => {
      for (const start of starts) {
        const end = ends.find((e) => fits(start, e));
        if (end) return { start, end };
      }
      return undefined;
    };
    return both(agree) ?? both((s, e) => s.device === e.device) ?? both(() => true);
  }

  /** From now on these registers stand for their hours. */
  hold({ start, end }: Pair): void {
    for (const { at, device, registerWh } of [start, end])
      if (!this.#held.has(at)) this.#held.set(at, { device, registerWh });
  }
}
