import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeAarq, INITIATE_REQUEST } from '../../../edge/drivers/dlms/association.ts';
import { decodeData } from '../../../edge/drivers/dlms/axdr.ts';
import { scalerOf } from '../../../edge/drivers/dlms/objects.ts';
import { obisText, parseObis } from '../../../edge/drivers/dlms/words.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
const of = (text: string) => decodeData(hex(text));

describe('COSEM data', () => {
  it('numbers with their sign and width, exactly', () => {
    expect(of('05 FFFFFFFF')).toEqual({ type: 'integer', value: -1 });
    expect(of('06 FFFFFFFF')).toEqual({ type: 'integer', value: 4_294_967_295 });
    expect(of('0F FE')).toEqual({ type: 'integer', value: -2 });
    expect(of('10 8000')).toEqual({ type: 'integer', value: -32_768 });
    expect(of('14 FFFFFFFFFFFFFFFF')).toEqual({ type: 'integer', value: -1n });
    expect(of('15 FFFFFFFFFFFFFFFF')).toEqual({ type: 'integer', value: 2n ** 64n - 1n });
    // 231.4 as a float32: the number that was meant.
    expect(of('17 43676666')).toEqual({ type: 'float', value: 231.4 });
  });

  it('a compact array of structures', () => {
    // A structure of long-unsigned and unsigned; two of them, without tags.
    expect(of('13 02 02 12 11 06 0001 02 0003 04')).toEqual({
      type: 'array',
      items: [
        {
          type: 'structure',
          items: [
            { type: 'integer', value: 1 },
            { type: 'integer', value: 2 },
          ],
        },
        {
          type: 'structure',
          items: [
            { type: 'integer', value: 3 },
            { type: 'integer', value: 4 },
          ],
        },
      ],
    });
  });

  it.each([
    ['deeper than it may be', '0101'.repeat(5000)],
    ['more elements than bytes', '01 84 7FFFFFFF 00'],
    ['a text beyond its end', '09 20 00'],
    ['a compact array of nothing', '13 02 00 04 00000000'],
    ['compact arrays in compact arrays', '13 01 FFFF 01 FFFF 01 FFFF 11 04 00000000'],
    ['bytes after its end', '00 00'],
    ['a type that is none', '63 00'],
    ['nothing', ''],
  ])('%s is refused', (_name, text) => {
    expect(() => of(text)).toThrow('no COSEM data');
  });

  it('any bytes: data or a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          decodeData(bytes);
        } catch (error) {
          expect(error).toMatchObject({ kind: 'mismatch' });
        }
      }),
      { seed: 8, numRuns: 2000 },
    );
  });

  it('scalers and units', () => {
    const value = { name: 'x', unit: 'W', billed: false, required: false, scale: 1, from: {} };
    expect(scalerOf(value, of('0202 0FFD 161B'))).toEqual({ exponent: -3, unit: 27 });
    expect(() => scalerOf(value, of('0202 0FFD 16FF'))).toThrow('without a unit');
    expect(() => scalerOf(value, of('0202 0F40 161B'))).toThrow('scaler is 64');
    expect(() => scalerOf(value, of('00'))).toThrow('no scaler and unit');
  });
});

it('OBIS codes', () => {
  expect(obisText(parseObis('1-0:1.8.0') as Uint8Array)).toBe('1-0:1.8.0');
  expect(obisText(parseObis('1-0:1.8.0*1') as Uint8Array)).toBe('1-0:1.8.0*1');
  for (const wrong of ['1-0:1.8', '1.0.1.8.0.255', '1-0:256.8.0', 'sunspec:W', ''])
    expect(parseObis(wrong)).toBeUndefined();
});

it('AARQ as Green Book clause 11.4.2 has it: low security, and ciphered', () => {
  const book = '01000000065F1F0400007E1F04B0';
  const low = encodeAarq({ initiate: hex(book), systemTitle: undefined, password: Buffer.from('12345678') });
  expect(Buffer.from(low).toString('hex').toUpperCase()).toBe(
    `6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E${book}`,
  );
  const initiate = hex(
    '21303001234567801302FF8A7874133D414CED25B42534D28DB0047720606B175BD52211BE6841DB204D39EE6FDB8E356855',
  );
  const ciphered = encodeAarq({
    initiate,
    systemTitle: hex('4D4D4D0000BC614E'),
    password: Buffer.from('12345678'),
  });
  expect(Buffer.from(ciphered).toString('hex').toUpperCase()).toBe(
    `6066A109060760857405080103A60A04084D4D4D0000BC614E8A0207808B0760857405080201AC0A80083132333435363738BE340432${Buffer.from(initiate).toString('hex').toUpperCase()}`,
  );
  // What we propose: reading, and the proof of high security.
  expect(Buffer.from(INITIATE_REQUEST).toString('hex')).toBe('01000000065f1f0400001215ffff');
});
