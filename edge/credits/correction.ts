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

export class Correction {
  /** What the slots that are certified now were certified with. */
  readonly #lanes = new Map<number, number>();
  /** What is off a slot: claimed, or taken for a debt. It outlives a withdrawal. */
  readonly #off = new Map<number, number>();
  readonly #versions = new Map<number, number>();
  #debtWh = 0;
  #claimedWh = 0;

  get debtWh(): number {
    return this.#debtWh;
  }

  version(day: number): number {
    return this.#versions.get(day) ?? 0;
  }

  certified(slot: number): number | undefined {
    return this.#lanes.get(slot);
  }

  off(slot: number): number {
    return this.#off.get(slot) ?? 0;
  }

  /** Tokens of the slot that may still be claimed or moved. */
  left(slot: number): number {
    const wh = this.#lanes.get(slot);
    return wh === undefined ? 0 : wh - this.off(slot);
  }

  /**
   * Slots of one batch, in the order of time. First what was claimed of each before comes off it, and what is too much is
   * owed; then what is owed comes off, from the first slot on.
   * @returns tokens that the owner gets, and what was taken off
   * @throws RangeError where a slot is certified
   */
  certify(batch: readonly { slot: number; wh: number }[]): { tokensWh: number; debitedWh: number } {
    for (const { slot } of batch)
      if (slot % HOUR !== 0 || this.#lanes.has(slot)) throw new RangeError(`slot ${slot} is certified, or none`);
    for (const { slot, wh } of batch) {
      this.#lanes.set(slot, wh);
      this.#debtWh += Math.max(0, this.off(slot) - wh);
      this.#off.set(slot, Math.min(wh, this.off(slot)));
    }
    for (const { slot } of batch) {
      const paid = Math.min(this.left(slot), this.#debtWh);
      this.#off.set(slot, this.off(slot) + paid);
      this.#debtWh -= paid;
    }
    const [certifiedWh, tokensWh] = [sum(batch.map((b) => b.wh)), sum(batch.map((b) => this.left(b.slot)))];
    return { tokensWh, debitedWh: certifiedWh - tokensWh };
  }

  /** @throws RangeError where less is left */
  claim(slot: number, wh: number): void {
    if (wh <= 0 || wh > this.left(slot)) throw new RangeError(`${this.left(slot)} Wh of slot ${slot} are left`);
    this.#off.set(slot, this.off(slot) + wh);
    this.#claimedWh += wh;
  }

  /**
   * @returns Wh whose tokens are worth nothing any more
   * @throws RangeError where nothing of the day is certified
   */
  withdraw(day: number): number {
    const slots = [...this.#lanes.keys()].filter((slot) => dayOf(slot) === day);
    if (slots.length === 0) throw new RangeError(`nothing of day ${day} is certified`);
    const wh = sum(slots.map((slot) => this.left(slot)));
    for (const slot of slots) this.#lanes.delete(slot);
    this.#versions.set(day, this.version(day) + 1);
    return wh;
  }

  /**
   * Sums over all slots. What is claimed and what circulates is what is certified, and what is owed, and what is off hours
   * that were withdrawn and are not certified again (`openWh`): claimed + circulating = certified + debt + open.
   */
  get totals(): { certifiedWh: number; claimedWh: number; circulatingWh: number; debtWh: number; openWh: number } {
    const slots = [...this.#lanes.keys()];
    return {
      certifiedWh: sum([...this.#lanes.values()]),
      claimedWh: this.#claimedWh,
      circulatingWh: sum(slots.map((slot) => this.left(slot))),
      debtWh: this.#debtWh,
      openWh: sum([...this.#off].map(([slot, wh]) => (this.#lanes.has(slot) ? 0 : wh))),
    };
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
