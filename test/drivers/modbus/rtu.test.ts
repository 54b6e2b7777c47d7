import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc16, RtuParser, rtuRequest } from '../../../edge/drivers/modbus/rtu.ts';
import { respond } from '../../../firmware-sim/serial/modbus.ts';
import {
  crc16 as bitwiseCrc,
  exceptionTo,
  frame,
  type Request,
  RequestFramer,
} from '../../../firmware-sim/serial/rtu.ts';

/** As a slave of holding registers answers. */
const answer = (request: Request, read: (address: number, count: number) => readonly number[] | undefined) =>
  frame(request.unitId, ...respond(request, (f, address, count) => (f === 3 ? read(address, count) : null))!);

const read = (address: number, count: number) => ({ functionCode: 3, address, count }) as const;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('Modbus RTU framing', () => {
  it('has the checksum of Serial Line appendix B, in both implementations', () => {
    // The standard's own example: 02 07, CRC 41 12.
    expect(crc16(Uint8Array.of(2, 7))).toBe(0x1241);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 260 }), (bytes) => {
        expect(crc16(bytes)).toBe(bitwiseCrc(bytes));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('writes the read request of Application Protocol section 6.3 (registers 107 to 109)', () => {
    expect(hex(rtuRequest(1, read(107, 3)))).toBe('0103006b00037417');
    expect(() => rtuRequest(0, read(0, 1))).toThrow(RangeError);
    expect(() => rtuRequest(248, read(0, 1))).toThrow(RangeError);
    expect(() => rtuRequest(1, read(0, 126))).toThrow(RangeError);
    expect(() => rtuRequest(1, read(65530, 7))).toThrow(RangeError);
  });

  it('brings any registers through both sides, whatever the chunks, with noise and other slaves before them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 247 }),
        fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 125 }),
        fc.uint8Array({ maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }),
        (unitId, words, noise, sizes) => {
          const framer = new RequestFramer();
          const [request] = framer.push(rtuRequest(unitId, read(0, words.length)));
          const bytes = answer(request!, (address, count) => words.slice(address, address + count));
          const other = frame((unitId % 247) + 1, 3, 2, 0, 0);
          const quiet = noise.filter((b) => b !== unitId);
          const heard = Uint8Array.from([...quiet, ...other.filter((b) => b !== unitId), ...bytes]);
          const parser = new RtuParser(unitId, read(0, words.length));
          let found: ReturnType<RtuParser['push']>;
          for (let at = 0, i = 0; at < heard.length && found === undefined; i++) {
            const size = sizes[i % sizes.length] as number;
            found = parser.push(heard.subarray(at, at + size));
            at += size;
          }
          expect(found).toEqual({ words: Uint16Array.from(words) });
        },
      ),
      { seed: 2, numRuns: 500 },
    );
  });

  it('the slave refuses other functions, lengths and addresses', () => {
    const slave = (request: Uint8Array) =>
      answer(new RequestFramer().push(request)[0]!, (address, count) =>
        address >= 10 && address + count <= 20 ? Array<number>(count).fill(7) : undefined,
      );
    expect(hex(slave(frame(1, 4, 0, 10, 0, 1)))).toBe(hex(frame(1, 0x84, 1)));
    expect(hex(slave(frame(1, 3, 0, 10, 0, 0)))).toBe(hex(frame(1, 0x83, 3)));
    expect(hex(slave(frame(1, 3, 0, 10, 0, 126)))).toBe(hex(frame(1, 0x83, 3)));
    expect(hex(slave(frame(1, 3, 0, 9, 0, 2)))).toBe(hex(frame(1, 0x83, 2)));
    expect(hex(slave(frame(1, 3, 0, 19, 0, 2)))).toBe(hex(frame(1, 0x83, 2)));
    expect(hex(slave(frame(1, 3, 0, 19, 0, 1)))).toBe(hex(frame(1, 3, 2, 0, 7)));
  });

  it('the slave drops a damaged frame up to the next silence, and knows unknown functions by the silence', () => {
    const framer = new RequestFramer();
    const good = rtuRequest(1, read(0, 1));
    const bad = Uint8Array.from(good);
    bad[3]! ^= 1;
    expect(framer.push(Uint8Array.from([...bad, ...good]))).toEqual([]);
    expect(framer.push(good)).toEqual([]);
    expect(framer.silence()).toBeUndefined();
    expect(framer.push(good)).toHaveLength(1);
    expect(framer.push(frame(1, 0x2b, 14, 1, 0))).toEqual([]);
    expect(framer.silence()).toMatchObject({ unitId: 1, functionCode: 0x2b });
    expect(hex(exceptionTo({ unitId: 1, functionCode: 0x2b, data: new Uint8Array() }, 1))).toBe(hex(frame(1, 0xab, 1)));
  });

  it('no byte stream crashes a parser, and nothing becomes an answer without a right checksum', () => {
    const stream = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        // What looks like an answer but for its last two bytes, and what is one.
        fc.uint8Array({ minLength: 8, maxLength: 8 }).map((data) => Uint8Array.of(5, 3, 6, ...data)),
        fc.uint8Array({ minLength: 3, maxLength: 3 }).map((data) => Uint8Array.of(5, 0x83, ...data)),
        fc.uint8Array({ minLength: 6, maxLength: 6 }).map((data) => frame(5, 3, 6, ...data)),
        fc.constant(Uint8Array.of(5, 3)),
      ),
      { maxLength: 60 },
    );
    let answers = 0;
    fc.assert(
      fc.property(stream, (chunks) => {
        const parser = new RtuParser(5, read(0, 3));
        const framer = new RequestFramer();
        const heard: number[] = [];
        for (const chunk of chunks) {
          heard.push(...chunk);
          for (const { unitId, functionCode, data } of framer.push(chunk))
            expect(Buffer.from(heard).includes(Buffer.from(frame(unitId, functionCode, ...data)))).toBe(true);
          const found = parser.push(chunk);
          if (found === undefined) continue;
          answers++;
          const body =
            'words' in found
              ? [5, 3, 6, ...[...found.words].flatMap((w) => [w >> 8, w & 255])]
              : [5, 0x83, found.exception];
          const whole = Uint8Array.from(body);
          const crc = bitwiseCrc(whole);
          expect(Buffer.from(heard).includes(Buffer.from([...body, crc & 255, crc >> 8]))).toBe(true);
          return;
        }
      }),
      { seed: 3, numRuns: 5_000 },
    );
    expect(answers).toBeGreaterThan(1_000);
  });

  it('a right answer with one to three bits changed, or two bytes side by side, is no answer', () => {
    // What CRC-16 promises at this length. Of heavier damage it lets one in 65,536 pass.
    const words = Uint16Array.from({ length: 52 }, (_, i) => (i * 40503) & 0xffff);
    const right = frame(9, 3, 104, ...[...words].flatMap((w) => [w >> 8, w & 255]));
    const parse = (bytes: Uint8Array) => new RtuParser(9, read(0, 52)).push(bytes);
    expect(parse(right)).toEqual({ words });
    const bit = fc.integer({ min: 0, max: 8 * right.length - 1 });
    fc.assert(
      fc.property(fc.uniqueArray(bit, { minLength: 1, maxLength: 3 }), (bits) => {
        const wrong = Uint8Array.from(right);
        for (const b of bits) wrong[b >> 3]! ^= 1 << (b & 7);
        expect(parse(wrong)).toBeUndefined();
      }),
      { seed: 4, numRuns: 3_000 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: right.length - 2 }), fc.integer({ min: 1, max: 0xffff }), (at, flip) => {
        const wrong = Uint8Array.from(right);
        wrong[at]! ^= flip >> 8;
        wrong[at + 1]! ^= flip & 255;
        expect(parse(wrong)).toBeUndefined();
      }),
      { seed: 5, numRuns: 3_000 },
    );
  });
});
