import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import { lengthOf, MODELS } from '../../../edge/drivers/modbus/models.ts';
import { decodePoint } from '../../../edge/drivers/modbus/sunspec.ts';
import { encodePack } from '../../../edge/wire/senml.ts';
import { Inverter } from '../../../firmware-sim/serial/twin.ts';
import { type asked, device, driverOf, type Memory, poll } from './slave.ts';

const VECTORS = new URL('../../../../shared/vectors/sunspec/', import.meta.url);
type Definition = { group: { points: { name: string; type: string; size: number; sf?: string }[] } };

const twin = (over: Partial<ConstructorParameters<typeof Inverter>[0]> = {}) =>
  new Inverter({ unitId: 1, seed: 5, now: () => 1_000_000, powerW: () => 4321, startWh: 987_654, ...over });
const memoryOf =
  (inverter: Inverter): Memory =>
  (_f, address, count) =>
    inverter.read(address, count);

const words = (...list: (number | string)[]) => list.flatMap((x) => (typeof x === 'number' ? [x & 0xffff] : hex(x)));
const hex = (text: string) => text.match(/.{4}/g)!.map((w) => Number.parseInt(w, 16));

/** A device at 40000 with a common model and what else is given: registers by point, the rest not implemented. */
function chain(...models: [id: number, points: Record<string, number[]>][]): Memory {
  const map = [0x5375, 0x6e53];
  for (const [id, points] of [[1, { Mn: [0x4d6b], SN: [0x3432] }] as [number, Record<string, number[]>], ...models]) {
    const table = MODELS.get(id)!;
    const body = table.flatMap(({ name, type, words: size }) => {
      const given = points[name];
      const none = /^acc|string/.test(type) ? 0 : /^u?int|sunssf/.test(type) && !type.startsWith('u') ? -1 : 0xffff;
      const filler = none === -1 ? [0x8000, ...Array<number>(size - 1).fill(0)] : Array<number>(size).fill(none);
      return given === undefined ? filler : [...given, ...Array<number>(size - given.length).fill(0)];
    });
    map.push(id, lengthOf(table) - 2, ...body.slice(2));
  }
  map.push(0xffff, 0);
  return (functionCode, address, count) =>
    functionCode === 3 && address >= 40000 && address + count <= 40000 + map.length
      ? map.slice(address - 40000, address - 40000 + count)
      : undefined;
}
const values = (records: { n: string; v?: number }[]) => Object.fromEntries(records.map(({ n, v }) => [n, v]));

describe('SunSpec', () => {
  if (!existsSync(VECTORS))
    it.skip('the models are those of SunSpec: SKIPPED, ../shared/vectors/sunspec is not here', () => {});
  else
    it.for([1, 101, 103, 201, 203, 701])('the layout is that of SunSpec: model %i', (id) => {
      const { group } = JSON.parse(readFileSync(new URL(`model_${id}.json`, VECTORS), 'utf8')) as Definition;
      expect(MODELS.get(id)!.map(({ name, type, words: size, sf }) => ({ name, type, size, sf }))).toEqual(
        group.points.map(({ name, type, size, sf }) => ({ name, type, size, sf })),
      );
    });

  it('has models 1, 101 to 103, 111 to 113, 201 to 204 and 701', () => {
    expect([...MODELS].map(([id, table]) => [id, lengthOf(table) - 2])).toEqual([
      [1, 66],
      ...[101, 102, 103].map((id) => [id, 50]),
      ...[111, 112, 113].map((id) => [id, 60]),
      ...[201, 202, 203, 204].map((id) => [id, 105]),
      [701, 153],
    ]);
  });

  it.for([40000, 50000, 0])(
    'finds the twin at base %i, its models and its nameplate; then a poll is one request',
    (base) => {
      const driver = driverOf('pv-sunspec');
      expect(driver.discovered()).toBe(false);
      const first = poll(driver, device(memoryOf(twin({ base }))));
      expect(first.records.map((r) => r.n)).toEqual([
        ...[
          '1-0:2.8.0',
          '1-0:16.7.0',
          'sunspec:103.A',
          'sunspec:103.PhVphA',
          'sunspec:103.PhVphB',
          'sunspec:103.PhVphC',
        ],
        ...['sunspec:103.Hz', 'sunspec:103.TmpCab', 'sunspec:103.St', 'sunspec:103.WH_SF'],
      ]);
      expect(first.records[0]).toEqual({ n: '1-0:2.8.0', u: 'Wh', v: 987_654 });
      expect(driver.about()).toBe(`Sejong Twin PV-3P 1.0 serial number SE00000005001, models 1, 103 at ${base}`);
      const seen: ReturnType<typeof asked>[] = [];
      poll(driver, device(memoryOf(twin({ base })), seen));
      expect(seen).toHaveLength(1);
      // From the ID of the model to the last point of the profile: energy and scale factor are of one moment.
      expect(seen[0]).toMatchObject({ address: base + 70, functionCode: 3 });
      expect(seen[0]!.count).toBeGreaterThan(26);
    },
  );

  it('is exact in whole Wh at every scale factor', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffffffff }), fc.integer({ min: -10, max: 10 }), (raw, sf) => {
        const read = () =>
          poll(driverOf('pv-sunspec'), device(chain([103, { WH: words(raw >>> 16, raw), WH_SF: words(sf) }])));
        const digits = sf < 0 ? raw.toString().padStart(11, '0').slice(0, sf) : `${raw}${'0'.repeat(sf)}`;
        if (BigInt(digits) > 2n ** 53n - 1n) expect(read).toThrow('beyond 2^53 - 1 Wh');
        else expect(String(read().records[0]!.v)).toBe(BigInt(digits).toString());
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('no energy, no reading: zero of an acc32, a scale factor that is none', () => {
    const read = (points: Record<string, number[]>) => () => poll(driverOf('pv-sunspec'), device(chain([101, points])));
    expect(read({ WH: words(0, 0), WH_SF: words(0) })).toThrow('WH is not implemented');
    expect(read({ WH: words(0, 7) })).toThrow('WH_SF not implemented');
    expect(read({ WH: words(0, 7), WH_SF: words(11) })).toThrow('WH_SF 11');
    expect(read({ WH: words(0, 7), WH_SF: words(-11) })).toThrow('WH_SF -11');
  });

  it('reads floats (113), with the fewest digits that they stand for', () => {
    const { records } = poll(
      driverOf('pv-sunspec'),
      // 8123456 Wh, 59.98 Hz, -0.5 W; NaN is not implemented
      device(chain([113, { WH: hex('4af7e880'), Hz: hex('426feb85'), W: hex('bf000000'), A: hex('7fc00000') }])),
    );
    expect(values(records)).toEqual({ '1-0:2.8.0': 8_123_456, '1-0:16.7.0': -0.5, 'sunspec:113.Hz': 59.98 });
  });

  it('reads a meter (203): import, export, negative power', () => {
    const points = {
      TotWhImp: words(0x0001, 0x86a0),
      TotWhExp: words(0, 12),
      TotWh_SF: words(1),
      W: words(-120),
      W_SF: words(1),
    };
    const { records } = poll(driverOf('meter-sunspec'), device(chain([203, points])));
    expect(values(records)).toEqual({ '1-0:1.8.0': 1_000_000, '1-0:2.8.0': 120, '1-0:16.7.0': -1200 });
  });

  it('reads a DER (701): 64-bit energy, scale factors at the end, in one request of less than 125 registers', () => {
    const seen: ReturnType<typeof asked>[] = [];
    const points = {
      TotWhInj: hex('0000012a05f20001'),
      TotWh_SF: words(-1),
      Hz: words(0, 59_980),
      Hz_SF: words(-3),
      W: words(-5),
      W_SF: words(2),
      St: words(1),
    };
    const { records } = poll(driverOf('pv-sunspec'), device(chain([701, points]), seen));
    expect(values(records)).toEqual({
      '1-0:2.8.0': 128_000_000_000,
      '1-0:16.7.0': -500,
      'sunspec:701.Hz': 59.98,
      'sunspec:701.St': 1,
      'sunspec:701.WH_SF': -1,
    });
    expect(seen.at(-1)!.count).toBeLessThanOrEqual(125);
  });

  it('takes each type at its limits, and its own "not implemented" as no value', () => {
    const at = (type: Parameters<typeof decodePoint>[0], text: string) =>
      decodePoint(type, Uint16Array.from(hex(text)));
    expect([at('uint16', 'fffe'), at('uint16', 'ffff'), at('int16', '8001'), at('int16', '8000')]).toEqual([
      65534,
      undefined,
      -32767,
      undefined,
    ]);
    expect([at('enum16', 'ffff'), at('acc16', '0000'), at('bitfield16', '7fff'), at('bitfield16', '8000')]).toEqual([
      undefined,
      undefined,
      32767,
      undefined,
    ]);
    expect([
      at('uint32', 'fffffffe'),
      at('uint32', 'ffffffff'),
      at('int32', '80000001'),
      at('int32', '80000000'),
    ]).toEqual([4294967294, undefined, -2147483647, undefined]);
    expect([
      at('acc32', '00000000'),
      at('acc32', 'ffffffff'),
      at('bitfield32', '80000000'),
      at('enum32', 'ffffffff'),
    ]).toEqual([undefined, 4294967295, undefined, undefined]);
    expect([at('uint64', 'fffffffffffffffe'), at('uint64', 'ffffffffffffffff')]).toEqual([2n ** 64n - 2n, undefined]);
    expect([at('int64', '8000000000000001'), at('int64', '8000000000000000')]).toEqual([1n - 2n ** 63n, undefined]);
    expect([at('acc64', '0000000000000000'), at('acc64', '0000000000000001')]).toEqual([undefined, 1n]);
    expect([at('float32', '7fc00000'), at('float64', '3ff8000000000000')]).toEqual([undefined, 1.5]);
    expect([at('string', '410a42ff00004343'), at('string', '0000'), at('pad', '1234')]).toEqual([
      'A?B?',
      undefined,
      undefined,
    ]);
  });

  it('tells what is not such a device', () => {
    const map =
      (list: number[]): Memory =>
      (_f, address, count) =>
        address >= 40000 && address + count <= 40000 + list.length
          ? list.slice(address - 40000, address - 40000 + count)
          : undefined;
    const read = (list: number[]) => () => poll(driverOf('pv-sunspec'), device(map(list)));
    expect(read([])).toThrow('no SunS marker at 40000, 50000, 0');
    expect(read([0x5375, 0x6e54])).toThrow('no SunS marker');
    expect(read([0x5375, 0x6e53, 0xffff, 0])).toThrow(
      'no model at 40000, but none of 101, 102, 103, 111, 112, 113, 701',
    );
    expect(read([0x5375, 0x6e53, 160, 1, 9, 0xffff, 0])).toThrow('models 160 at 40000, but none of');
    expect(read([0x5375, 0x6e53, 103, 10, ...Array<number>(10).fill(0), 0xffff, 0])).toThrow('that has WH or TotWhInj');
    expect(read([0x5375, 0x6e53, 0, 0])).toThrow('chain breaks at 40002');
    const endless =
      (body: number[]): Memory =>
      (_f, address, count) =>
        address === 40000 ? [0x5375, 0x6e53] : Array.from({ length: count }, (_, i) => body[i % 2]!);
    expect(() => poll(driverOf('pv-sunspec'), device(endless([7, 7])))).toThrow('chain breaks');
    expect(() => poll(driverOf('pv-sunspec'), device(endless([7, 0xfffe])))).toThrow('chain breaks');
  });

  it('takes a chain whose end marker is missing, and says no where the model moved', () => {
    const inverter = twin();
    const driver = driverOf('pv-sunspec');
    const cut: Memory = (_f, address, count) => (address >= 40122 ? undefined : inverter.read(address, count));
    expect(poll(driver, device(cut)).records[0]!.v).toBe(987_654);
    expect(() =>
      poll(
        driver,
        device((_f, _a, count) => Array<number>(count).fill(1)),
      ),
    ).toThrow('no longer model 103');
    expect(driver.discovered()).toBe(false);
  });

  it('no device, however it lies, makes a driver run on or crash; what comes is a pack with whole Wh first', () => {
    const word = fc.oneof(
      fc.integer({ min: 0, max: 0xffff }),
      fc.constantFrom(0, 1, 50, 66, 103, 701, 0xffff, 0x5375, 0x6e53),
    );
    const script = fc.array(fc.option(fc.array(word, { minLength: 2, maxLength: 2 })), { minLength: 1, maxLength: 30 });
    let packs = 0;
    fc.assert(
      fc.property(
        script,
        fc.array(word, { minLength: 125, maxLength: 125 }),
        fc.integer({ min: -10, max: 10 }),
        (replies, body, sf) => {
          const known = chain([
            103,
            {
              ...Object.fromEntries(['A', 'W', 'Hz', 'TmpCab', 'St'].map((n, i) => [n, [body[i]!]])),
              WH: body.slice(9, 11),
              WH_SF: words(sf),
            },
          ]);
          let at = 0;
          const lies: Memory = (_f, _address, count) => {
            const reply = replies[at++ % replies.length];
            if (at === 1) return [0x5375, 0x6e53].slice(0, count);
            return reply == null ? undefined : Array.from({ length: count }, (_, i) => reply[i % 2]!);
          };
          for (const memory of [known, lies])
            try {
              const { records } = poll(driverOf('pv-sunspec'), device(memory));
              packs++;
              expect(records[0]).toMatchObject({ n: '1-0:2.8.0', u: 'Wh' });
              expect(Number.isSafeInteger(records[0]!.v) && records[0]!.v! >= 0).toBe(true);
              encodePack(records);
            } catch (error) {
              expect(error).toBeInstanceOf(SerialFault);
            }
        },
      ),
      { seed: 3, numRuns: 300 },
    );
    expect(packs).toBeGreaterThan(50);
  });
});
