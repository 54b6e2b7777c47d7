/**
 * What becomes of a certificate that was wrong, as the contract does it (contracts/src/ICredits.sol), for one metering
 * point: a model that says what to expect, and that tests hold against random histories.
 *
 *   before the claim   the day is withdrawn: its tokens are worth nothing, its hours may be certified anew as version + 1
 *   after the claim    what is claimed stays claimed; it is taken off when the hour is certified anew, and what is left
 *                      then is a debt that coming hours pay before anybody gets tokens for them
 */
import { HOUR } from '../wire/boundary.ts';
import { dayOf } from './time.ts';

/** `lane` is what the tokens of the slot and its claims amount to: circulating + claimed. */
type Slot = { certifiedWh: number; laneWh: number };

export class Correction {
  /** Certified slots of the newest versions. */
  readonly #slots = new Map<number, Slot>();
  readonly #claimed = new Map<number, number>();
  readonly #versions = new Map<number, number>();
  #debtWh = 0;

  get debtWh(): number {
    return this.#debtWh;
  }

  version(day: number): number {
    return this.#versions.get(day) ?? 0;
  }

  certified(slot: number): number | undefined {
    return this.#slots.get(slot)?.certifiedWh;
  }

  claimed(slot: number): number {
    return this.#claimed.get(slot) ?? 0;
  }

  /** Tokens of the slot that may still be claimed or moved. */
  left(slot: number): number {
    const made = this.#slots.get(slot);
    return made ? made.laneWh - this.claimed(slot) : 0;
  }

  /**
   * @returns tokens that the owner gets, and what was taken off for claims and debts
   * @throws RangeError where the slot is certified
   */
  certify(slot: number, wh: number): { tokensWh: number; debitedWh: number } {
    if (slot % HOUR !== 0 || this.#slots.has(slot)) throw new RangeError(`slot ${slot} is certified, or none`);
    const claimed = this.claimed(slot);
    this.#debtWh += Math.max(0, claimed - wh);
    const fresh = Math.max(0, wh - claimed);
    const paid = Math.min(fresh, this.#debtWh);
    this.#debtWh -= paid;
    const tokensWh = fresh - paid;
    this.#slots.set(slot, { certifiedWh: wh, laneWh: claimed + tokensWh });
    return { tokensWh, debitedWh: wh - tokensWh };
  }

  /** @throws RangeError where less is left */
  claim(slot: number, wh: number): void {
    if (wh <= 0 || wh > this.left(slot)) throw new RangeError(`${this.left(slot)} Wh of slot ${slot} are left`);
    this.#claimed.set(slot, this.claimed(slot) + wh);
  }

  /**
   * @returns Wh whose tokens are worth nothing any more
   * @throws RangeError where nothing of the day is certified
   */
  withdraw(day: number): number {
    const slots = [...this.#slots.keys()].filter((slot) => dayOf(slot) === day);
    if (slots.length === 0) throw new RangeError(`nothing of day ${day} is certified`);
    const wh = slots.reduce((sum, slot) => sum + this.left(slot), 0);
    for (const slot of slots) this.#slots.delete(slot);
    this.#versions.set(day, this.version(day) + 1);
    return wh;
  }

  /** Sums over all slots: certified in their newest version, claimed in whatever version, and what circulates. */
  get totals(): { certifiedWh: number; claimedWh: number; circulatingWh: number; debtWh: number } {
    const sum = (of: Iterable<number>): number => [...of].reduce((a, b) => a + b, 0);
    return {
      certifiedWh: sum([...this.#slots.values()].map((s) => s.certifiedWh)),
      claimedWh: sum(this.#claimed.values()),
      circulatingWh: sum([...this.#slots.keys()].map((slot) => this.left(slot))),
      debtWh: this.#debtWh,
    };
  }
}
