import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { unixOf } from '../../../edge/drivers/iec62056/clock.ts';
import { parseDataset } from '../../../edge/drivers/iec62056/dataset.ts';
import { withEvenParity } from '../../../edge/drivers/iec62056/parity.ts';
import { crc16 } from '../../../edge/drivers/iec62056/telegram.ts';
import { faults, heard, plain, readings } from './setup.ts';

const VECTORS = new URL('../../../../shared/vectors/p1/', import.meta.url);
const there = existsSync(VECTORS);
if (!there) console.warn(`Skipped: recorded P1 telegrams, because the folder ${VECTORS.pathname} is absent.`);
const recording = (name: string) => new Uint8Array(readFileSync(new URL(name, VECTORS)));
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));
const NOW = Date.UTC(2024, 0, 15, 12);

const summed = (body: string) =>
  bytes(
    `${body}!${crc16(bytes(`${body}!`))
      .toString(16)
      .toUpperCase()
      .padStart(4, '0')}\r\n`,
  );
const telegram = (...lines: string[]) => `/ISk5\\2MT382-1000\r\n\r\n${lines.join('\r\n')}\r\n`;
const IMPORT = ['1-0:1.8.1(000001.500*kWh)', '1-0:1.8.2(000002.250*kWh)'];
const gas = (time: string) => ['0-1:24.1.0(003)', `0-1:24.2.1(${time})(00012.345*m3)`];

describe.skipIf(!there)('recorded telegrams decode to what was read off them by hand', () => {
  it('version 5: tariffs summed in whole Wh, three phases, gas with its own winter time', () => {
    const driver = heard('meter-p1', { address: 'K8EG004046395507' });
    const [reading] = readings(driver.hear(recording('v5.txt'), NOW));
    expect(reading?.quality).toBe('Good');
    expect(reading?.records[0]).toEqual({ n: '1-0:1.8.0', u: 'Wh', v: 6825 }); // 4.426 + 2.399 kWh
    expect(plain(reading?.records ?? [])).toEqual({
      '1-0:1.8.0': 6825,
      '1-0:2.8.0': 2444,
      '1-0:1.7.0': 244,
      '1-0:2.7.0': 0,
      '1-0:32.7.0': 230,
      '1-0:52.7.0': 230,
      '1-0:72.7.0': 229,
      '1-0:31.7.0': 0.48,
      '1-0:51.7.0': 0.44,
      '1-0:71.7.0': 0.86,
      '7-0:3.0.0': [0.107, '2017-01-02T15:10:05.000Z'], // 16:10:05 W
    });
    expect(driver.about()).toContain('K8EG004046395507');
  });

  it('version 4.2: the gas meter is sixteen days ahead of the meter that tells of it, so its value has no time and is left out', () => {
    const [reading] = readings(heard('meter-p1').hear(recording('v4_2.txt'), NOW));
    expect(plain(reading?.records ?? [])).toEqual({
      '1-0:1.8.0': 3_016_829, // 1581.123 + 1435.706 kWh
      '1-0:2.8.0': 0,
      '1-0:1.7.0': 2027,
      '1-0:2.7.0': 0,
      '1-0:31.7.0': 0,
      '1-0:51.7.0': 6,
      '1-0:71.7.0': 2,
    });
  });

  it('version 2.2: believed once the next telegram agrees, and Uncertain; gas over two lines, its season in its status', () => {
    const driver = heard('meter-p1');
    expect(driver.hear(recording('v2_2.txt'), NOW)).toEqual([]);
    const [reading] = readings(driver.hear(recording('v2_2.txt'), NOW + 10_000));
    expect(reading?.quality).toBe('Uncertain: the telegram has no checksum, and its line shows no parity');
    expect(plain(reading?.records ?? [])).toEqual({
      '1-0:1.8.0': 2002,
      '1-0:2.8.0': 2002,
      '1-0:1.7.0': 1010,
      '1-0:2.7.0': 0,
      '7-0:3.0.0': [1.001, '2016-11-07T18:00:00.000Z'], // 19:00, status 00: winter
    });
  });

  it('in whatever pieces it comes, and from the middle of one on', () => {
    const driver = heard('meter-p1');
    const all = recording('v5.txt');
    driver.hear(all.subarray(300), NOW);
    const out = [];
    for (let i = 0; i < all.length; i += 7) out.push(...driver.hear(all.subarray(i, i + 7), NOW + i));
    expect(readings(out)).toHaveLength(1);
    expect(readings(out)[0]?.atMs).toBe(NOW + Math.floor((all.length - 1) / 7) * 7);
  });

  it('no change of one byte makes a value, in a telegram with a checksum', () => {
    const all = recording('v5.txt');
    for (let i = 0; i < all.length; i++) {
      const damaged = Uint8Array.from(all);
      damaged[i] = (damaged[i] as number) ^ (1 + (i % 127));
      expect(readings(heard('meter-p1').hear(damaged, NOW)), `byte ${i}`).toEqual([]);
    }
  });
});

describe('a telegram that lost its checksum is never taken for an old one', () => {
  it('by what it says of itself', () => {
    const driver = heard('meter-p1');
    const bare = bytes(`${telegram('1-3:0.2.8(50)', ...IMPORT)}!\r\n`);
    const out = [...driver.hear(bare, NOW), ...driver.hear(bare, NOW + 1000)];
    expect(out.map((f) => (f as { kind?: string }).kind)).toEqual(['corrupt', 'corrupt']);
  });

  it('by what this meter said before', () => {
    const driver = heard('meter-p1');
    expect(readings(driver.hear(summed(telegram(...IMPORT)), NOW))).toHaveLength(1);
    const bare = bytes(`${telegram(...IMPORT)}!\r\n`);
    expect(readings([...driver.hear(bare, NOW), ...driver.hear(bare, NOW + 1000)])).toEqual([]);
    driver.reset();
    expect(readings([...driver.hear(bare, NOW), ...driver.hear(bare, NOW + 1000)])).toHaveLength(1);
  });
});

describe('a telegram without a checksum', () => {
  const old = (lines: string[]) => withEvenParity(`${telegram(...lines)}!\r\n`);
  const pair = (a: Uint8Array, b: Uint8Array, ms = 10_000) => {
    const driver = heard('meter-p1');
    return [...driver.hear(a, NOW), ...driver.hear(b, NOW + ms)];
  };

  it('counts with parity on every byte', () => {
    expect(readings(pair(old(IMPORT), old(IMPORT)))[0]?.quality).toBe(
      'Uncertain: the telegram has no checksum, only parity',
    );
    const damaged = old(IMPORT);
    damaged[40] = (damaged[40] as number) ^ 1;
    expect(faults(pair(old(IMPORT), damaged)).map((f) => f.message)).toEqual([
      expect.stringContaining('a byte has a wrong parity'),
    ]);
  });

  it.each([
    ['a register that falls', '1-0:1.8.1(000001.400*kWh)', '1-0:1.8.1 falls'],
    ['a register that jumps', '1-0:1.8.1(000901.500*kWh)', '1-0:1.8.1 jumps'],
    ['a line that is no data', '1-0:1.8.1(000001.500*kWh', 'that are no data'],
    ['a line that is gone', '1-0:1.7.0(00.100*kW)', '1-0:1.7.0 is not in both'],
  ])('is refused for %s', (_, line, why) => {
    const out = pair(old(IMPORT), old([line, IMPORT[1] as string]));
    expect(readings(out)).toEqual([]);
    expect(faults(out)[0]?.message).toContain(why);
  });

  it('is refused where there was a pause in it', () => {
    const driver = heard('meter-p1');
    const all = old(IMPORT);
    driver.hear(all, NOW);
    const out = [...driver.hear(all.subarray(0, 30), NOW + 9000), ...driver.hear(all.subarray(30), NOW + 12_000)];
    expect(faults(out)[0]?.message).toContain('a pause in the middle');
  });
});

describe('gas has a time of its own', () => {
  const gasOf = (...lines: string[]) => {
    const [reading] = readings(heard('meter-p1').hear(summed(telegram(...IMPORT, ...lines)), NOW));
    return plain(reading?.records ?? [])['7-0:3.0.0'];
  };

  it('by its own letter: a summer hour told by a winter telegram', () => {
    expect(gasOf('0-0:1.0.0(231029020500W)', ...gas('231029020000S'))).toEqual([12.345, '2023-10-29T00:00:00.000Z']);
    expect(gasOf('0-0:1.0.0(231029020500W)', ...gas('231029020000W'))).toEqual([12.345, '2023-10-29T01:00:00.000Z']);
  });

  it('on whatever channel it is, and from the younger of two meters', () => {
    expect(
      gasOf(
        ...gas('230101120000W'),
        '0-2:24.1.0(007)',
        '0-2:24.2.1(230901120000S)(00001.000*m3)',
        '0-4:24.1.0(003)',
        '0-4:24.2.1(230701120000S)(00000.777*m3)',
      ),
    ).toEqual([0.777, '2023-07-01T10:00:00.000Z']);
  });

  it('and is left out with a clock that was never set, is no date, or has an error', () => {
    for (const time of ['000101000000W', '231332120000W', '230230120000W', '632525252525W', '231029020000', ''])
      expect(gasOf(...gas(time)), time).toBeUndefined();
    const old = (status: string) =>
      gasOf('0-1:24.1.0(3)', `0-1:24.3.0(120517020000)(${status})(60)(1)(0-1:24.2.1)(m3)\r\n(00124.477)`);
    expect(old('08')).toEqual([124.477, '2012-05-17T00:00:00.000Z']); // summer
    for (const status of ['0C', '0A', '09', 'x']) expect(old(status), status).toBeUndefined();
  });

  it('the letterless hour of October is two, that of March none; all others are one', () => {
    const zone = { winterOffsetMinutes: 60 };
    expect(unixOf('231029023000', zone)).toBeUndefined();
    expect(unixOf('240331023000', zone)).toBeUndefined();
    expect(unixOf('231029015959', zone)).toBe(Date.UTC(2023, 9, 28, 23, 59, 59) / 1000);
    expect(unixOf('231029030000', zone)).toBe(Date.UTC(2023, 9, 29, 2) / 1000);
    expect(unixOf('240331030000', zone)).toBe(Date.UTC(2024, 2, 31, 1) / 1000);
  });
});

describe('values', () => {
  const records = (...lines: string[]) =>
    plain(readings(heard('meter-p1').hear(summed(telegram(...lines)), NOW))[0]?.records ?? []);
  const fault = (...lines: string[]) => faults(heard('meter-p1').hear(summed(telegram(...lines)), NOW))[0];

  it('the total wins over the sum, and half a sum is none', () => {
    expect(records('1-0:1.8.0(000009.999*kWh)', ...IMPORT)['1-0:1.8.0']).toBe(9999);
    expect(fault(IMPORT[0] as string)).toMatchObject({ kind: 'no-value' });
  });

  it('one line twice is none, another unit is a fault', () => {
    expect(fault(...IMPORT, IMPORT[0] as string)).toMatchObject({ kind: 'no-value' });
    expect(fault('1-0:1.8.0(5*m3)')?.message).toContain('in m3, the profile in Wh');
  });

  it('a message is told in hexadecimal, over as many lines as it likes; what is no text stays so', () => {
    expect(records(...IMPORT, '0-0:96.13.0(48656C\r\n6C6F)')['0-0:96.13.0']).toBe('Hello');
    expect(records(...IMPORT, '0-0:96.13.0(0001)')['0-0:96.13.0']).toBe('0001');
    expect(records(...IMPORT, '0-0:96.13.0()')['0-0:96.13.0']).toBeUndefined();
  });

  it('another meter is a mismatch', () => {
    const driver = heard('meter-p1', { address: 'K8EG004046395507' });
    const other = summed(telegram('0-0:96.1.1(4B384547303034303436333935353038)', ...IMPORT));
    expect(faults(driver.hear(other, NOW))[0]).toMatchObject({ kind: 'mismatch' });
  });

  it('short and full codes are one', () => {
    const { sets } = parseDataset('1.8.0(1)\r\n1-0:2.8.0*255(2)C.1(x)\r\n1.8.0*01(3)\r\nF.F(00)');
    expect([...sets.keys()]).toEqual(['1-0:1.8.0', '1-0:2.8.0', '1-0:C.1', '1-0:1.8.0*1', '1-0:F.F']);
  });
});
