import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { certificateId, checkDigit, gsrnOf, parseCertificateId } from '../../edge/credits/gsrn.ts';

describe('numbers of metering points and certificates', () => {
  it("has GS1's check digit: its own worked example, and each single digit that is wrong shows", () => {
    // GS1 General Specifications, figure 7.9-1: 376104250021234569 is an SSCC with check digit 9.
    expect(checkDigit('37610425002123456')).toBe(9);
    fc.assert(
      fc.property(fc.stringMatching(/^\d{17}$/), fc.nat(16), fc.integer({ min: 1, max: 9 }), (digits, at, by) => {
        const wrong = [...digits];
        wrong[at] = String((Number(digits[at]) + by) % 10);
        expect(checkDigit(wrong.join(''))).not.toBe(checkDigit(digits));
      }),
      { seed: 1 },
    );
  });

  it('is 880, 14 digits of SHA-256 of the URN, the check digit', () => {
    const sub = 'urn:sejong:mp:000123';
    const number = BigInt(`0x${createHash('sha256').update(sub).digest('hex')}`) % 100_000_000_000_000n;
    const gsrn = gsrnOf(sub);
    expect(gsrn).toMatch(/^880\d{15}$/);
    expect(gsrn.slice(3, 17)).toBe(number.toString().padStart(14, '0'));
    expect(gsrnOf('urn:sejong:mp:000124')).not.toBe(gsrn);
  });

  it('names a certificate by metering point, hour and version, in one spelling', () => {
    const gsrn = gsrnOf('urn:sejong:mp:000123');
    const id = certificateId(gsrn, Date.UTC(2026, 10, 24, 7) / 1000, 0);
    expect(id).toBe(`${gsrn}-20261124T07Z-v0`);
    expect(parseCertificateId(id)).toEqual({ gsrn, slot: Date.UTC(2026, 10, 24, 7) / 1000, version: 0 });
    for (const bad of [`${gsrn}-20261131T07Z-v0`, `${gsrn}-20261124T24Z-v0`, `${gsrn}-20261124T07Z-v00`, 'x'])
      expect(parseCertificateId(bad)).toBeUndefined();
  });
});
