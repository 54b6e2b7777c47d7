import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeStatusList,
  encodeStatusList,
  MAX_ENCODED,
  MAX_LIST_BYTES,
  MIN_LIST_BYTES,
  setStatus,
  statusAt,
} from '../../../edge/wire/vc/status-list.ts';

const fate = (encoded: string): string => {
  try {
    decodeStatusList(encoded);
  } catch (error) {
    return String((error as Error).message);
  }
  return 'taken';
};
const multibase = (bytes: Uint8Array) => `u${Buffer.from(bytes).toString('base64url')}`;

describe('Bitstring Status List v1.0', () => {
  it('holds what was set, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(8 * MIN_LIST_BYTES - 1), { maxLength: 200 }),
        fc.uniqueArray(fc.nat(8 * MIN_LIST_BYTES - 1), { maxLength: 200 }),
        (on, off) => {
          const list = new Uint8Array(MIN_LIST_BYTES);
          for (const index of on) setStatus(list, index, true);
          for (const index of off) setStatus(list, index, false);
          const again = decodeStatusList(encodeStatusList(list));
          const still = new Set(on.filter((index) => !off.includes(index)));
          for (const index of [...on, ...off]) expect(statusAt(again, index)).toBe(still.has(index));
          let ones = 0;
          for (const byte of again) for (let b = byte; b; b &= b - 1) ones++;
          expect(ones).toBe(still.size);
        },
      ),
      { numRuns: 100, seed: 1 },
    );
  });

  it('the first bit is the leftmost (section 2.2)', () => {
    const list = new Uint8Array(MIN_LIST_BYTES);
    setStatus(list, 0, true);
    setStatus(list, 15, true);
    expect([list[0], list[1]]).toEqual([0x80, 0x01]);
  });

  it('an empty list in the spelling of other implementations', () => {
    // 16 KiB of zeros, as the examples of the standard have it: gzip heads differ, content does not.
    const example = 'uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA';
    expect(decodeStatusList(example)).toEqual(Buffer.alloc(MIN_LIST_BYTES));
  });

  it('is refused where it is shorter than 16 KiB, or an index is beyond it', () => {
    expect(fate(multibase(gzipSync(new Uint8Array(MIN_LIST_BYTES - 1))))).toContain('16384 to 1048576 bytes');
    expect(() => encodeStatusList(new Uint8Array(10))).toThrow('STATUS_LIST_INVALID');
    expect(() => encodeStatusList(new Uint8Array(MAX_LIST_BYTES + 1))).toThrow('STATUS_LIST_INVALID');
    expect(() => statusAt(new Uint8Array(MIN_LIST_BYTES), 8 * MIN_LIST_BYTES)).toThrow('beyond its 131072 bits');
  });

  it('a gzip bomb is refused while it expands', () => {
    // 1 GiB in 1 MiB, and the same of many members.
    const bomb = gzipSync(new Uint8Array(256 * 1024 * 1024), { level: 9 });
    expect(bomb.length).toBeLessThan(300_000);
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    expect(fate(multibase(Buffer.concat([bomb, bomb, bomb])))).toContain('expands to more than 1048576 bytes');
    expect(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before).toBeLessThan(32 * 1024 * 1024);
    const members = gzipSync(new Uint8Array(MIN_LIST_BYTES));
    expect(fate(multibase(Buffer.concat(Array.from({ length: 100 }, () => members))))).toContain('expands to more');
    expect(decodeStatusList(multibase(gzipSync(new Uint8Array(MAX_LIST_BYTES)))).length).toBe(MAX_LIST_BYTES);
  });

  it('has one spelling of base64url, and nothing behind it', () => {
    const good = encodeStatusList(new Uint8Array(MIN_LIST_BYTES));
    expect(fate(good)).toBe('taken');
    const gzipped = Buffer.from(good.slice(1), 'base64url');
    for (const bad of [
      `z${good.slice(1)}`,
      good.slice(1),
      `${good}=`,
      `${good.slice(0, 9)} ${good.slice(9)}`,
      good.slice(0, -5),
      multibase(Buffer.concat([gzipped, Buffer.from('more')])),
      multibase(Buffer.concat([gzipped, Buffer.alloc(30)])),
      'u',
      '',
      `u${'A'.repeat(MAX_ENCODED)}`,
    ])
      expect(fate(bad), bad.slice(0, 40)).toContain('STATUS_LIST_INVALID');
    // Some bits of gzip say nothing (time, system, codes that are not used): the content is the same, or it is refused.
    for (let bit = 0; bit < 8 * gzipped.length; bit++) {
      const flipped = Buffer.from(gzipped);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const said = fate(multibase(flipped));
      if (said === 'taken') expect(decodeStatusList(multibase(flipped))).toEqual(Buffer.alloc(MIN_LIST_BYTES));
      else expect(said, `bit ${bit}`).toContain('STATUS_LIST_INVALID');
    }
  });
});
