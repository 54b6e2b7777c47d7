import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import type { Measured } from '../../../firmware-sim/serial/maps.ts';
import { alfen, der, floatInverter, sdm630, sunspecMeter } from '../../../firmware-sim/serial/maps.ts';
import { type asked, device, driverOf, type Memory, make, poll } from './slave.ts';

const measured: Measured = { importWh: 700n, exportWh: 1_234_567n, powerW: 1500, volts: [219, 220, 221], hertz: 60 };
const now = () => measured;
const values = (records: { n: string; v?: number; vs?: string; vb?: boolean }[]) =>
  Object.fromEntries(records.map(({ n, v, vs, vb }) => [n, v ?? vs ?? vb]));

describe('profiles against their twins', () => {
  it('meter-modbus: two requests, since a gap of 40 registers costs more than a request, and one of 16 less', () => {
    const seen: ReturnType<typeof asked>[] = [];
    const { records } = poll(driverOf('meter-modbus'), device(sdm630(now), seen));
    expect(values(records)).toMatchObject({
      '1-0:1.8.0': 700,
      '1-0:2.8.0': 1_234_567,
      '1-0:16.7.0': 1500,
      '1-0:32.7.0': 219,
      '1-0:14.7.0': 60,
    });
    expect(records[0]!.n).toBe('1-0:1.8.0');
    expect(seen).toEqual([
      { functionCode: 4, address: 0, count: 12 },
      { functionCode: 4, address: 52, count: 24 },
    ]);
  });

  it('charger, float inverter, SunSpec meter and DER', () => {
    const read = (profile: string, memory: Memory) => values(poll(driverOf(profile), device(memory)).records);
    expect(read('charger', alfen(now))).toMatchObject({ '1-0:1.8.0': 700, '1-0:16.7.0': 1500, 'charger:mode3': 'C2' });
    expect(read('pv-sunspec', floatInverter(now))).toMatchObject({ '1-0:2.8.0': 1_234_567, 'sunspec:113.PhVphC': 221 });
    expect(read('meter-sunspec', sunspecMeter(now))).toEqual({
      '1-0:1.8.0': 700,
      '1-0:2.8.0': 1_234_567,
      '1-0:16.7.0': 1500,
      '1-0:14.7.0': 60,
    });
    expect(read('pv-sunspec', der(now))).toMatchObject({
      '1-0:2.8.0': 1_234_567,
      '1-0:16.7.0': 1500,
      'sunspec:701.Hz': 60,
      'sunspec:701.WH_SF': -1,
    });
  });
});

describe('a register map', () => {
  const memory: Memory = (_f, address, count) =>
    Array.from({ length: count }, (_, i) => [0x8001, 0x0002, 0xffff, 0xfffe, 0x4142, 0x4300][address + i] ?? 0);
  const read = (from: object, settings: object = {}, scale = 1) =>
    values(poll(make('modbus', settings, [{ name: 'x', required: true, scale, from }]), device(memory)).records).x;

  it('reads signed and unsigned, either word order, bits, strings, and scales exactly', () => {
    expect(read({ register: 0, type: 'uint16' })).toBe(0x8001);
    expect(read({ register: 0, type: 'int16' })).toBe(0x8001 - 65536);
    expect(read({ register: 0, type: 'uint32' })).toBe(0x80010002);
    expect(read({ register: 0, type: 'uint32', wordOrder: 'low-first' })).toBe(0x00028001);
    expect(read({ register: 0, type: 'uint32' }, { wordOrder: 'low-first' })).toBe(0x00028001);
    expect(read({ register: 2, type: 'int32' })).toBe(-2);
    expect(read({ register: 0, type: 'int64', wordOrder: 'low-first' })).toBe(
      Number(BigInt.asIntN(64, 0xfffeffff00028001n)),
    );
    expect(read({ register: 0, type: 'uint16', bit: 15 })).toBe(true);
    expect(read({ register: 0, type: 'uint16', bit: 1 })).toBe(false);
    expect(read({ register: 4, type: 'string', length: 2 })).toBe('ABC');
    expect(read({ register: 1, type: 'uint16' }, {}, 0.1)).toBe(0.2);
  });

  it('has no value where the device says so', () => {
    expect(() => read({ register: 2, type: 'uint16', none: 65535 })).toThrow('there is no x now');
    expect(() => read({ register: 2, type: 'float32' })).toThrow('there is no x now');
  });

  it('asks a device that refuses in parts, remembers, and leaves out what it does not have', () => {
    // It has 0 to 1 and 4 to 5, and refuses whatever touches another.
    const gaps: Memory = (_f, address, count) =>
      address + count <= 2 || (address >= 4 && address + count <= 6) ? Array<number>(count).fill(7) : undefined;
    const at = (register: number, more = {}) => ({ name: `r${register}`, from: { register, type: 'uint16' }, ...more });
    const driver = make('modbus', {}, [at(0, { required: true }), at(1), at(4), at(9)]);
    const seen: ReturnType<typeof asked>[] = [];
    expect(values(poll(driver, device(gaps, seen)).records)).toEqual({ r0: 7, r1: 7, r4: 7 });
    expect(seen.length).toBeGreaterThan(3);
    seen.length = 0;
    poll(driver, device(gaps, seen));
    expect(seen.map(({ address, count }) => [address, count])).toEqual([
      [0, 2],
      [4, 1],
    ]);
    driver.reset();
    expect(() => poll(make('modbus', {}, [at(9, { required: true })]), device(gaps))).toThrow(
      'exception 2 (illegal data address) for registers 9 to 9',
    );
  });

  it('asks a busy device and a damaged answer again, and tells the exceptions of a gateway', () => {
    const driver = () => make('modbus', {}, [{ name: 'x', required: true, from: { register: 0, type: 'uint16' } }]);
    const answers =
      (...list: (number | readonly number[])[]): Memory =>
      () =>
        list.shift() as number | readonly number[];
    const after: (number | undefined)[] = [];
    const busy = device(answers(6, 5, [9]));
    const { records } = poll(driver(), (sent, exchange) => {
      after.push(exchange.afterMs);
      return busy(sent);
    });
    expect(values(records)).toEqual({ x: 9 });
    expect(after).toEqual([undefined, 50, 100]);
    expect(() => poll(driver(), device(answers(6, 6, 6, 6)))).toThrow('exception 6 (slave device busy)');
    const kind = (code: number) => {
      try {
        poll(driver(), device(answers(code)));
      } catch (error) {
        return (error as SerialFault).kind;
      }
      return undefined;
    };
    expect([kind(11), kind(10), kind(4)]).toEqual(['no-answer', 'exception', 'exception']);
    let times = 0;
    const spoil = (most: number) => (sent: Uint8Array) =>
      device(memory)(sent).map((b) => (times++ < most ? b.map((x, i) => (i === 4 ? x ^ 1 : x)) : b));
    expect(values(poll(driver(), spoil(2)).records)).toEqual({ x: 0x8001 });
    times = 0;
    expect(() => poll(driver(), spoil(3))).toThrow(SerialFault);
  });

  it('a config that does not fit is told', () => {
    const one =
      (from: object, settings = {}, more = {}) =>
      () =>
        make('modbus', settings, [{ from }], more);
    expect(one({ register: 0, type: 'uint16', bit: 16 })).toThrow('has no bit 16');
    expect(one({ register: 65535, type: 'uint32' })).toThrow('past 65535');
    expect(one({ register: 5, type: 'uint32' }, { forbidden: [[6, 6]] })).toThrow('registers 5 to 6 are forbidden');
    expect(one({ register: 5, type: 'uint32' }, { mostRegisters: 1 })).toThrow('more than the 1 of one request');
    expect(one({ register: 5, type: 'uint32' }, {}, { device: { unitId: 248 } })).toThrow('it is 1 to 247');
    expect(one({ register: 5, type: 'uint32' }, {}, { device: { unitId: 1, framing: 'tcp' } })).toThrow(
      'leave framing out',
    );
  });

  it('no registers crash it: a pack, or a fault', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 65535 }), { minLength: 400, maxLength: 400 }), (words) => {
        try {
          poll(
            driverOf('meter-modbus'),
            device((_f, a, n) => words.slice(a, a + n)),
          );
        } catch (error) {
          expect(error).toBeInstanceOf(SerialFault);
        }
      }),
      { seed: 1, numRuns: 100 },
    );
  });
});
