/**
 * What makes a telegram without a checksum believable (P1 before version 4, mode D):
 *   - it is whole, from `/` to `!`, without a pause, and every line of it is a data set;
 *   - every byte has an even parity, where the line shows it;
 *   - it agrees with the telegram before it: same identification, no energy register lower, none higher than a
 *     connection could have made it in the time between. So a lone telegram is never enough.
 * What is still possible: a byte changed in an even number of bits, from a digit to another one, low in a register or in
 * a power. Therefore its quality is Uncertain, always.
 */
import type { Quality } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { type Quantity, quantityOf } from './dataset.ts';
import type { Telegram } from './telegram.ts';

/** No connection that has such a meter takes more (3 by 80 A are 55 kW; a transformer meter a few hundred). */
const MOST_KW = 1000;
/** Registers step, and telegrams are late. */
const SLACK_KWH = 1;
const REGISTER = /^1-\d+:(?:1|2|15|16)\.8\.\d+$/;

export class Confirmation {
  #before: { telegram: Telegram; atMs: number } | undefined;

  reset(): void {
    this.#before = undefined;
  }

  /** @returns its quality; a fault where it is not to be believed; undefined where the next one must tell */
  of(telegram: Telegram, atMs: number): Quality | SerialFault | undefined {
    const before = this.#before;
    if (telegram.strange > 0) {
      this.#before = undefined;
      return new SerialFault('corrupt', `a telegram without a checksum has ${telegram.strange} lines that are no data`);
    }
    this.#before = { telegram, atMs };
    if (before === undefined) return undefined;
    const against = contradiction(before.telegram, telegram, Math.abs(atMs - before.atMs));
    if (against !== undefined)
      return new SerialFault('corrupt', `a telegram without a checksum contradicts the one before it: ${against}`);
    return `Uncertain: the telegram has no checksum, ${telegram.parity ? 'only parity' : 'and its line shows no parity'}`;
  }
}

function contradiction(a: Telegram, b: Telegram, ms: number): string | undefined {
  if (a.ident !== b.ident) return 'another identification';
  if (a.sets.size !== b.sets.size) return 'other lines';
  for (const [name, [value]] of b.sets) {
    const [earlier] = a.sets.get(name) ?? [];
    if (earlier === undefined || value === undefined) return `${name} is not in both`;
    if (!REGISTER.test(name)) continue;
    const [from, to] = [quantityOf(earlier), quantityOf(value)];
    if (from === undefined || to === undefined || from.unit !== to.unit) return `${name} is no number in both`;
    const rise = kwh(to) - kwh(from);
    if (rise < 0) return `${name} falls from ${earlier} to ${value}`;
    if (rise > SLACK_KWH + (MOST_KW * ms) / 3_600_000) return `${name} jumps from ${earlier} to ${value}`;
  }
  return undefined;
}

/** For comparison only. */
const kwh = ({ digits, exponent, unit }: Quantity): number =>
  Number(`${digits}e${exponent}`) / (unit === 'Wh' ? 1000 : 1);
