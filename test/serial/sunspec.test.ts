import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inverterDeviation } from '../../edge/credits/inverter.ts';
import { SerialFault } from '../../edge/drivers/fault.ts';
import type { Read } from '../../edge/intake/serial/bus.ts';
import {
  COMMON,
  decodeModel,
  discover,
  energyWh,
  INVERTER,
  scaled,
  sunspecDriver,
  toRecords,
} from '../../edge/intake/serial/sunspec.ts';
import { encodePack, type SenmlRecord } from '../../edge/wire/senml.ts';
import { Inverter } from '../../firmware-sim/serial/twin.ts';

const VECTORS = new URL('../../../shared/vectors/sunspec/', import.meta.url);

type Definition = { group: { points: { name: string; type: string; size: number; sf?: string | number }[] } };

/** Drive a job with the registers that `read` gives; undefined is answered with exception 2. */
function run<T>(job: Generator<Read, T, Uint16Array>, read: (r: Read) => readonly number[] | undefined): T {
  let step = job.next();
  for (let requests = 0; !step.done; requests++) {
    expect(requests).toBeLessThan(200);
    const words = read(step.value);
    step =
      words === undefined
        ? job.throw(new SerialFault('exception', 'exception 2', 2))
        : job.next(Uint16Array.from(words));
  }
  return step.value;
}

const twin = (over: Partial<ConstructorParameters<typeof Inverter>[0]> = {}) =>
  new Inverter({ unitId: 1, seed: 5, now: () => 1_000_000, powerW: () => 4321, startWh: 987_654, ...over });

const registers = (changes: Record<number, number> = {}) => {
  const words = Uint16Array.from(twin().read(40070, 52)!);
  for (const [at, word] of Object.entries(changes)) words[Number(at)] = word;
  return words;
};
const decode = (changes: Record<number, number>) => decodeModel(INVERTER, registers(changes));
const WH = 24;
const WH_SF = 26;

describe('SunSpec', () => {
  if (!existsSync(VECTORS))
    it.skip('the models are those of SunSpec: SKIPPED, ../shared/vectors/sunspec is not here', () => {});
  else
    it.for([
      ['model_1.json', COMMON],
      ['model_101.json', INVERTER],
      ['model_103.json', INVERTER],
    ] as const)('the layout is that of SunSpec: %s', ([file, model]) => {
      const { group } = JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8')) as Definition;
      expect(model.map(([name, type, size, sf]) => ({ name, type, size, sf }))).toEqual(
        group.points.map(({ name, type, size, sf }) => ({ name, type, size, sf })),
      );
    });

  it('finds the twin, its models and its nameplate', () => {
    const inverter = twin({ base: 50000 });
    const read = ({ address, count }: Read) => inverter.read(address, count);
    expect(run(discover(), read)).toEqual({
      base: 50000,
      models: [
        { id: 1, address: 50002, length: 66 },
        { id: 103, address: 50070, length: 50 },
      ],
    });
    const driver = sunspecDriver();
    run(driver.poll(), read);
    expect(driver.about()).toBe('Sejong Twin PV-3P 1.0 serial number SE00000005001, models 1, 103 at 50000');
  });

  it('after discovery a poll is one request, and it holds energy and scale factor', () => {
    const inverter = twin();
    const driver = sunspecDriver();
    run(driver.poll(), ({ address, count }) => inverter.read(address, count));
    const reads: Read[] = [];
    run(driver.poll(), (read) => {
      reads.push(read);
      return inverter.read(read.address, read.count);
    });
    expect(reads).toEqual([{ address: 40070, count: 52 }]);
  });

  it('tells what is not a SunSpec inverter', () => {
    const map = (words: number[]) => (r: Read) =>
      r.address >= 40000 && r.address + r.count <= 40000 + words.length
        ? words.slice(r.address - 40000, r.address - 40000 + r.count)
        : undefined;
    const poll = (words: number[]) => () => run(sunspecDriver().poll(), map(words));
    expect(poll([])).toThrow('no SunS marker at 40000, 50000, 0');
    expect(poll([0x5375, 0x6e54])).toThrow('no SunS marker');
    expect(poll([0x5375, 0x6e53, 0xffff, 0])).toThrow('no model at 40000, but no inverter');
    expect(poll([0x5375, 0x6e53, 160, 1, 9, 0xffff, 0])).toThrow('models 160 at 40000, but no inverter');
    expect(poll([0x5375, 0x6e53, 103, 10, ...Array<number>(10).fill(0), 0xffff, 0])).toThrow('but no inverter');
    expect(poll([0x5375, 0x6e53, 0, 0])).toThrow('chain breaks at 40002');
    // Never ends, and runs past the last register.
    expect(() =>
      run(discover(), ({ address, count }) => (address === 40000 ? [0x5375, 0x6e53] : Array<number>(count).fill(7))),
    ).toThrow('chain breaks');
    expect(() => run(discover(), ({ address }) => (address === 40000 ? [0x5375, 0x6e53] : [7, 0xfffe]))).toThrow(
      'chain breaks',
    );
  });

  it('takes a chain whose end marker is missing, and says no where the model moved', () => {
    const inverter = twin();
    const driver = sunspecDriver();
    const withoutEnd = ({ address, count }: Read) => (address >= 40122 ? undefined : inverter.read(address, count));
    expect(run(driver.poll(), withoutEnd)[0]?.v).toBe(987_654);
    expect(() => run(driver.poll(), ({ count }) => Array<number>(count).fill(1))).toThrow('no longer model 103');
    expect(driver.discovered()).toBe(false);
  });

  it('energy is exact in whole Wh at every scale factor', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffffffff }), fc.integer({ min: -10, max: 10 }), (raw, sf) => {
        const points = decode({ [WH]: raw >>> 16, [WH + 1]: raw & 0xffff, [WH_SF]: sf & 0xffff });
        // By decimal digits, apart from the arithmetic of the decoder.
        const digits = sf < 0 ? raw.toString().padStart(11, '0').slice(0, sf) : `${raw}${'0'.repeat(sf)}`;
        if (BigInt(digits) > 2n ** 53n - 1n) expect(() => energyWh(points)).toThrow('beyond 2^53 - 1 Wh');
        else expect(String(energyWh(points))).toBe(BigInt(digits).toString());
      }),
      { seed: 1, numRuns: 2_000 },
    );
  });

  it('no energy, no records', () => {
    expect(() => toRecords(decode({ [WH]: 0, [WH + 1]: 0 }))).toThrow('WH is not implemented');
    expect(() => toRecords(decode({ [WH_SF]: 0x8000 }))).toThrow('WH_SF not implemented');
    expect(() => toRecords(decode({ [WH_SF]: 11 }))).toThrow('WH_SF 11');
    expect(() => toRecords(decode({ [WH_SF]: -11 & 0xffff }))).toThrow('WH_SF -11');
    expect(() => toRecords(decodeModel(INVERTER, registers().subarray(0, 26)))).toThrow('WH');
  });

  it('scales by the decimal, not by the float, and leaves out what is not implemented', () => {
    const hz = (raw: number, sf: number) => scaled(INVERTER, decode({ 16: raw, 17: sf & 0xffff }), 'Hz');
    expect(hz(5998, -2)).toBe(59.98);
    expect(hz(60, 0)).toBe(60);
    expect(hz(0xffff, -2)).toBeUndefined();
    expect(hz(5998, 0x8000)).toBeUndefined();
    expect(hz(5998, 12)).toBeUndefined();
    const watts = (raw: number, sf: number) => scaled(INVERTER, decode({ 14: raw & 0xffff, 15: sf & 0xffff }), 'W');
    expect(watts(-120, 1)).toBe(-1200);
    expect(watts(0x8000, 0)).toBeUndefined();
    expect(Object.is(watts(0, -1), 0)).toBe(true);
    const records = toRecords(decode({ 14: 0x8000, 16: 0xffff, 33: 0x8000, 38: 0xffff }));
    expect(records.map((r) => r.n)).toEqual([
      '1-0:2.8.0',
      'sunspec:103.A',
      'sunspec:103.PhVphA',
      'sunspec:103.PhVphB',
      'sunspec:103.PhVphC',
      'sunspec:103.WH_SF',
    ]);
  });

  describe('6. SunSpec: energy and scale factor from one request; a change of scale is never a difference; acc32 zero means "not implemented"', () => {
    const polled = (driver: ReturnType<typeof sunspecDriver>, inverter: Inverter) => {
      const reads: Read[] = [];
      const records = run(driver.poll(), (read) => {
        reads.push(read);
        return inverter.read(read.address, read.count);
      });
      const [energy, scale] = ['1-0:2.8.0', 'sunspec:103.WH_SF'].map((n) => records.find((r) => r.n === n)?.v);
      return { reads, energy, scale };
    };

    it('one request has both, and the reading says with which scale it was read', () => {
      const [driver, inverter] = [sunspecDriver(), twin()];
      polled(driver, inverter);
      inverter.whScale = 0;
      const { reads, ...values } = polled(driver, inverter);
      expect(reads).toHaveLength(1);
      const [{ address, count }] = reads as [Read];
      expect([address <= 40070 + WH, address + count > 40070 + WH_SF]).toEqual([true, true]);
      expect(values).toEqual({ energy: 987_654, scale: 0 });
    });

    it('with another scale it is the same energy, floored: each reading is in Wh by the scale that came with it', () => {
      const [driver, inverter] = [sunspecDriver(), twin()];
      const at = (scale: number) => {
        inverter.whScale = scale;
        return polled(driver, inverter);
      };
      expect([0, 1, 3, 0, -2].map((scale) => at(scale).energy)).toEqual([987_654, 987_650, 987_000, 987_654, 987_654]);
      expect([0, 1, 3, -2].map((scale) => at(scale).scale)).toEqual([0, 1, 3, -2]);
    });

    it('an energy of zero is not implemented, and no reading; neither is one without a scale', () => {
      expect(() => energyWh(decode({ [WH]: 0, [WH + 1]: 0 }))).toThrow('WH is not implemented (0)');
      expect(() => energyWh(decode({ [WH_SF]: 0x8000 }))).toThrow('WH_SF not implemented');
      expect(energyWh(decode({ [WH]: 0, [WH + 1]: 1 }))).toBe(1);
    });

    it('two readings of different scales are not compared with the meter', () => {
      const at = (hour: number, registerWh: number, scale: number) => ({
        ...{ at: hour * 3600, device: 'I', idx: hour, iat: hour * 3600, registerWh, shape: 'reading' as const, scale },
        ...{ receivedMs: 0, clock: { synced: true } as const },
      });
      const energy = { start: at(1, 0, 0), end: at(2, 1000, 0), wh: 1000 };
      const deviation = (a: number, b: number) =>
        inverterDeviation(energy, { capacityW: 10_000 }, [at(1, 1_000_000, a), at(2, 1_005_000, b)])?.flag;
      expect([deviation(0, 0), deviation(0, 1)]).toEqual(['inverter-deviation', undefined]);
    });
  });

  it('reads strings of the common model', () => {
    const points = decodeModel(COMMON, Uint16Array.from(twin().read(40002, 68)!));
    expect(Object.fromEntries(points)).toEqual({
      ID: 1,
      L: 66,
      Mn: 'Sejong Twin',
      Md: 'PV-3P',
      Vr: '1.0',
      SN: 'SE00000005001',
      DA: 1,
    });
    const odd = Uint16Array.from({ length: 68 }, (_, i) => (i === 2 ? 0x410a : i === 3 ? 0x42ff : 0));
    expect(decodeModel(COMMON, odd).get('Mn')).toBe('A?B?');
  });

  it('no registers crash the decoder, and what it gives is a pack with whole Wh first', () => {
    let packs = 0;
    const words = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 0x8000, 0xffff, 1, 10, 0xfff6, 0xfffe)),
      { minLength: 50, maxLength: 50 },
    );
    fc.assert(
      fc.property(words, fc.integer({ min: -10, max: 10 }), (body, sf) => {
        body[WH_SF - 2] = sf & 0xffff;
        const points = decodeModel(INVERTER, Uint16Array.of(103, 50, ...body));
        let records: SenmlRecord[];
        try {
          records = toRecords(points);
        } catch (error) {
          expect(error).toBeInstanceOf(SerialFault);
          return;
        }
        packs++;
        expect(records[0]).toMatchObject({ n: '1-0:2.8.0', u: 'Wh' });
        expect(records[0]?.v).toBeGreaterThanOrEqual(0);
        expect(Number.isSafeInteger(records[0]?.v)).toBe(true);
        encodePack(records);
      }),
      { seed: 2, numRuns: 5_000 },
    );
    expect(packs).toBeGreaterThan(1_000);
  });

  it('no slave, however it lies, makes discovery run on or crash', () => {
    const word = fc.oneof(
      fc.integer({ min: 0, max: 0xffff }),
      fc.constantFrom(0, 1, 50, 66, 103, 0xffff, 0x5375, 0x6e53),
    );
    const script = fc.array(fc.option(fc.array(word, { minLength: 2, maxLength: 2 })), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(script, fc.boolean(), (replies, suns) => {
        let at = 0;
        try {
          run(sunspecDriver().poll(), ({ count }) => {
            if (at === 0 && suns) {
              at++;
              return [0x5375, 0x6e53];
            }
            const reply = replies[at++ % replies.length];
            return reply === null ? undefined : Array.from({ length: count }, (_, i) => reply![i % 2] as number);
          });
        } catch (error) {
          expect(error).toBeInstanceOf(SerialFault);
        }
      }),
      { seed: 3, numRuns: 2_000 },
    );
  });
});
