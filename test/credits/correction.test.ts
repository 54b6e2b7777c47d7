import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Correction } from '../../edge/credits/correction.ts';
import { dayOf } from '../../edge/credits/time.ts';
import { brief, HOUR, hourly, NOON, settled } from './rig.ts';

const DAY = dayOf(NOON);

describe('9. Correction: withdraw before the claim and reissue as version + 1; after the claim, debit coming slots', () => {
  it('a withdrawn day is certified anew as version + 1, with the boundaries that the chain has fixed', () => {
    const boundaries = hourly(NOON, [0, 100, 200]);
    const fixed = [0, 2].map((h) => ({ at: NOON + h * HOUR, registerWh: 100 * h, device: 'A' }));
    const withdrawn = settled(boundaries, { fixed, versions: new Map([[DAY, 1]]) });
    expect(withdrawn.certificates.map(({ slot, version, wh }) => ({ slot, version, wh }))).toEqual([
      { slot: NOON, version: 1, wh: 100 },
      { slot: NOON + HOUR, version: 1, wh: 100 },
    ]);
    const other = [{ at: NOON, registerWh: 7, device: 'A' }];
    expect(brief(settled(boundaries, { fixed: other, versions: new Map([[DAY, 1]]) }))).toEqual({
      '0-1': '93 boundary-fixed unusable',
      1: '100',
    });
  });

  it('before the claim: the tokens are worth nothing, the new ones are all there is', () => {
    const c = new Correction();
    c.certify(NOON, 412);
    expect(c.withdraw(DAY)).toBe(412);
    expect([c.version(DAY), c.left(NOON), c.certified(NOON)]).toEqual([1, 0, undefined]);
    expect(c.certify(NOON, 400)).toEqual({ tokensWh: 400, debitedWh: 0 });
    expect(c.totals).toEqual({ certifiedWh: 400, claimedWh: 0, circulatingWh: 400, debtWh: 0 });
  });

  it('after the claim: what is claimed comes off the hour itself, and then off coming ones', () => {
    const c = new Correction();
    c.certify(NOON, 412);
    c.claim(NOON, 300);
    expect(c.withdraw(DAY)).toBe(112);
    expect(c.certify(NOON, 250)).toEqual({ tokensWh: 0, debitedWh: 250 });
    expect(c.debtWh).toBe(50);
    expect(c.certify(NOON + HOUR, 30)).toEqual({ tokensWh: 0, debitedWh: 30 });
    expect(c.certify(NOON + 2 * HOUR, 100)).toEqual({ tokensWh: 80, debitedWh: 20 });
    expect(c.totals).toEqual({ certifiedWh: 380, claimedWh: 300, circulatingWh: 80, debtWh: 0 });
    expect(() => c.claim(NOON, 1)).toThrow(RangeError);
    expect(() => c.certify(NOON, 1)).toThrow(RangeError);
    expect(() => new Correction().withdraw(DAY)).toThrow(RangeError);
  });

  it('over random histories: claimed + circulating = certified + debt, plus what of withdrawn days is claimed and not certified again', () => {
    const step = fc.record({
      what: fc.constantFrom('certify', 'certify', 'claim', 'withdraw'),
      hour: fc.nat(71),
      wh: fc.integer({ min: 1, max: 1000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const c = new Correction();
        const certified = new Map<number, number>();
        const claimed = new Map<number, number>();
        let [made, burned, withdrawn] = [0, 0, 0];
        for (const { what, hour, wh } of steps) {
          const slot = NOON + hour * HOUR;
          if (what === 'certify' && !certified.has(slot)) {
            const { tokensWh, debitedWh } = c.certify(slot, wh);
            expect(tokensWh + debitedWh).toBe(wh);
            certified.set(slot, wh);
            made += tokensWh;
          }
          if (what === 'claim' && c.left(slot) > 0) {
            const part = Math.min(wh, c.left(slot));
            c.claim(slot, part);
            claimed.set(slot, (claimed.get(slot) ?? 0) + part);
            burned += part;
          }
          if (what === 'withdraw' && [...certified.keys()].some((s) => dayOf(s) === dayOf(slot))) {
            withdrawn += c.withdraw(dayOf(slot));
            for (const s of certified.keys()) if (dayOf(s) === dayOf(slot)) certified.delete(s);
          }
          const { certifiedWh, claimedWh, circulatingWh, debtWh } = c.totals;
          // Every token that was ever made is claimed, withdrawn or circulates.
          expect(made).toBe(burned + withdrawn + circulatingWh);
          const open = [...claimed].filter(([s]) => !certified.has(s)).reduce((sum, [, part]) => sum + part, 0);
          expect(claimedWh + circulatingWh).toBe(certifiedWh + debtWh + open);
          expect(
            Math.min(circulatingWh, debtWh, ...[...certified.keys()].map((s) => c.left(s))),
          ).toBeGreaterThanOrEqual(0);
        }
      }),
      { seed: 5, numRuns: 500 },
    );
  });
});
