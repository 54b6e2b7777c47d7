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
    expect(settled(boundaries).certificates.map((c) => c.version)).toEqual([0, 0]);
    const other = [{ at: NOON, registerWh: 7, device: 'A' }];
    expect(brief(settled(boundaries, { fixed: other, versions: new Map([[DAY, 1]]) }))).toEqual({
      '0-1': '93 boundary-fixed unusable',
      1: '100',
    });
  });

  const one = (slot: number, wh: number) => [{ slot, wh }];

  it('before the claim: the tokens are worth nothing, the new ones are all there is', () => {
    const c = new Correction();
    c.certify(one(NOON, 412));
    expect(c.withdraw(DAY)).toBe(412);
    expect([c.version(DAY), c.left(NOON), c.certified(NOON)]).toEqual([1, 0, undefined]);
    expect(c.certify(one(NOON, 400))).toEqual({ tokensWh: 400, debitedWh: 0 });
    expect(c.totals).toEqual({ certifiedWh: 400, claimedWh: 0, circulatingWh: 400, debtWh: 0, openWh: 0 });
  });

  it('after the claim: what is claimed comes off the hour itself, and then off coming ones', () => {
    const c = new Correction();
    c.certify(one(NOON, 412));
    c.claim(NOON, 300);
    expect(c.withdraw(DAY)).toBe(112);
    expect(c.totals.openWh).toBe(300);
    expect(c.certify(one(NOON, 250))).toEqual({ tokensWh: 0, debitedWh: 250 });
    expect(c.debtWh).toBe(50);
    const coming = [30, 100].map((wh, i) => ({ slot: NOON + (i + 1) * HOUR, wh }));
    expect(c.certify(coming)).toEqual({ tokensWh: 80, debitedWh: 50 });
    expect([c.left(NOON + HOUR), c.left(NOON + 2 * HOUR)]).toEqual([0, 80]);
    expect(c.totals).toEqual({ certifiedWh: 380, claimedWh: 300, circulatingWh: 80, debtWh: 0, openWh: 0 });
    expect(() => c.claim(NOON, 1)).toThrow(RangeError);
    expect(() => c.certify(one(NOON, 1))).toThrow(RangeError);
    expect(() => new Correction().withdraw(DAY)).toThrow(RangeError);
  });

  it('over random histories every token is claimed, withdrawn or circulates, and claimed + circulating is what is certified, owed and open', () => {
    const step = fc.record({
      what: fc.constantFrom('certify', 'certify', 'claim', 'withdraw'),
      hour: fc.nat(71),
      whs: fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 5 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const c = new Correction();
        let [made, withdrawn] = [0, 0];
        for (const { what, hour, whs } of steps) {
          const slot = NOON + hour * HOUR;
          if (what === 'certify') {
            const batch = whs.map((wh, i) => ({ slot: slot + i * HOUR, wh }));
            const fresh = batch.filter((b) => c.certified(b.slot) === undefined);
            const { tokensWh, debitedWh } = c.certify(fresh);
            expect(tokensWh + debitedWh).toBe(fresh.reduce((sum, b) => sum + b.wh, 0));
            made += tokensWh;
          }
          if (what === 'claim' && c.left(slot) > 0) c.claim(slot, Math.min(whs[0] as number, c.left(slot)));
          if (what === 'withdraw' && c.certified(slot) !== undefined) withdrawn += c.withdraw(dayOf(slot));
          const { certifiedWh, claimedWh, circulatingWh, debtWh, openWh } = c.totals;
          expect(made).toBe(claimedWh + withdrawn + circulatingWh);
          expect(claimedWh + circulatingWh).toBe(certifiedWh + debtWh + openWh);
          for (let h = 0; h < 80; h++) expect(c.left(NOON + h * HOUR)).toBeGreaterThanOrEqual(0);
          // A debt is paid before anybody gets a token.
          if (what === 'certify' && debtWh > 0) expect(c.left(slot)).toBe(0);
        }
      }),
      { seed: 5, numRuns: 300 },
    );
  });
});
