import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, MAX_DEPTH, parseStrictJson } from '../../../edge/wire/vc/jcs.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (text: string) => parseStrictJson(bytes(text), 10_000);
const canonical = (value: unknown) => new TextDecoder().decode(canonicalJson(value));
const code = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return 'taken';
};

describe('strict JSON', () => {
  it('takes what JSON.stringify writes, as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(parseStrictJson(bytes(text), 1_000_000)).toStrictEqual(JSON.parse(text));
      }),
      { numRuns: 2_000, seed: 1 },
    );
  });

  it('refuses a name that stands twice, however it is spelt and however deep', () => {
    for (const text of [
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      '[{"x":{"b":1,"c":[{"b":1}], "b" :2}}]',
      '{"__proto__":1,"__proto__":2}',
      '{"":1,"":2}',
    ])
      expect(
        code(() => parse(text)),
        text,
      ).toBe('MESSAGE_INVALID');
    expect(parse('{"a":{"a":"a"},"b":["a","a",{"a":1},{"a":1}],"c":"\\"a\\":"}')).toBeTruthy();
  });

  it('refuses what others read otherwise', () => {
    for (const input of [
      bytes('\ufeff{}'),
      Uint8Array.of(0x22, 0xff, 0x22),
      Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
      bytes('"\\ud800"'),
      bytes('{"\\udc00":1}'),
      bytes('1e400'),
      bytes('[1,]'),
      bytes('{"a":1}x'),
      bytes("{'a':1}"),
      bytes('NaN'),
      bytes('01'),
      bytes('"\n"'),
      bytes(''),
    ])
      expect(
        code(() => parseStrictJson(input, 100)),
        Buffer.from(input).toString(),
      ).toBe('MESSAGE_INVALID');
  });

  it('caps size and depth before it reads', () => {
    expect(code(() => parseStrictJson(bytes('[1,2]'), 4))).toBe('MESSAGE_INVALID');
    const nested = (n: number) => `${'['.repeat(n)}${']'.repeat(n)}`;
    expect(parse(nested(MAX_DEPTH))).toBeTruthy();
    expect(code(() => parse(nested(MAX_DEPTH + 1)))).toBe('MESSAGE_INVALID');
    expect(code(() => parseStrictJson(bytes('{"a":'.repeat(1_000_000)), 1e7))).toBe('MESSAGE_INVALID');
    // Brackets in strings are none.
    expect(parse(JSON.stringify('['.repeat(100)))).toBeTruthy();
  });
});

describe('the canonical form (RFC 8785)', () => {
  it('of the example of section 3.2.2', () => {
    const value = JSON.parse(
      '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
    );
    expect(canonical(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('sorts names by UTF-16 code units, as section 3.2.3 shows', () => {
    const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
    expect(Object.values(JSON.parse(canonical(value)))).toHaveLength(7);
    expect([...canonical(value).matchAll(/:(\d)/g)].map((m) => m[1]).join('')).toBe('2467153');
  });

  it('is the same whatever the order of names, and parses to the same value', () => {
    const shuffled = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(shuffled)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([k, v]) => [k, shuffled(v)]),
            )
          : value;
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, noUnicodeString: false }), (value) => {
        fc.pre(JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/.test(JSON.stringify(value)));
        const text = canonical(value);
        expect(canonical(shuffled(value))).toBe(text);
        expect(canonical(parseStrictJson(bytes(text), 1_000_000))).toBe(text);
      }),
      { numRuns: 1_000, seed: 2 },
    );
  });

  it('refuses what has none', () => {
    for (const value of ['\ud800', { a: Number.NaN }, [Number.POSITIVE_INFINITY], undefined, { '\udc00': 1 }])
      expect(code(() => canonicalJson(value))).toBe('MESSAGE_INVALID');
  });
});
