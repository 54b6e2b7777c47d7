import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { faults, heard, plain, readings } from '../iec62056/setup.ts';

const VECTORS = new URL('../../../../shared/vectors/nmea/', import.meta.url);
const there = existsSync(VECTORS);
if (!there) console.warn(`Skipped: recordings of GNSS receivers, because the folder ${VECTORS.pathname} is absent.`);
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));
const play = (name: string, now: number) =>
  heard('gnss').hear(new Uint8Array(readFileSync(new URL(name, VECTORS))), now);
/** With its checksum, by the standard's own words. */
const say = (...sentences: string[]) =>
  bytes(
    sentences
      .map(
        (s) =>
          `$${s}*${[...s]
            .reduce((x, c) => x ^ c.charCodeAt(0), 0)
            .toString(16)
            .toUpperCase()
            .padStart(2, '0')}\r\n`,
      )
      .join(''),
  );
const short = (all: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(all).map(([n, v]) => [n.replace('Vehicle.', '').replace('CurrentLocation.', ''), v]),
  );
const NOW = Date.UTC(2024, 5, 1, 12, 0, 0);

describe.skipIf(!there)('recordings decode to what was read off them by hand', () => {
  it('u-blox NEO-M8N: GPS and GLONASS; GLL of the last second stands before the next RMC', () => {
    const out = readings(play('neo-m8n.log', Date.UTC(2015, 2, 18, 17, 20)));
    expect(out).toHaveLength(22);
    // 44 deg 04.14063' N, 121 deg 18.85478' W; 1147.2 m above a geoid at -21.3 m; 0.117 knots.
    expect(short(plain(out[0]?.records ?? []))).toEqual({
      Latitude: 44.0690105,
      Longitude: -121.31424633,
      Altitude: 1125.9,
      Timestamp: '2015-03-18T17:19:26Z',
      Speed: 0.216684,
    });
    expect(new Set(out.map((r) => r.quality))).toEqual(new Set(['Good']));
    expect(new Set(out.map((r) => plain(r.records)['Vehicle.CurrentLocation.Timestamp'])).size).toBe(22);
  });

  it('SiRF III: a position with quality 0 is none, and the first fix is one', () => {
    const out = play('blumax-gps009.log', Date.UTC(2008, 6, 18, 14, 30));
    expect(faults(out).filter((f) => f.kind === 'no-value')).toHaveLength(4);
    expect(readings(out)).toHaveLength(4);
    expect(short(plain(readings(out)[0]?.records ?? []))).toEqual({
      Latitude: 52.018015, // 52 deg 01.0809'
      Longitude: 8.5347533, // 8 deg 32.0852'
      Altitude: 79.3, // 32.1 + 47.2
      Heading: 249.59,
      Timestamp: '2008-07-18T14:28:19.299Z',
      Speed: 1.61124, // 0.87 knots
    });
  });

  it('Quectel EG25-G: 37 seconds without a fix and without a time, then fixes; lost again, nothing of the last one stays', () => {
    const out = play('quectel-eg25-g.log', Date.UTC(2022, 8, 11, 19, 15));
    expect(faults(out).filter((f) => f.kind === 'no-value')).toHaveLength(37);
    expect(readings(out)).toHaveLength(22);
    expect(short(plain(readings(out)[0]?.records ?? []))).toEqual({
      Latitude: 36.7646054, // 36 deg 45.876324'
      Longitude: 31.411171333, // 31 deg 24.670280'
      Altitude: 25.3, // -6.7 + 32.0
      Heading: 300.5,
      Timestamp: '2022-09-11T19:15:03.010Z',
      Speed: 2.4076, // 1.3 knots
    });
  });

  it('Trimble with RTK: ten epochs in a second, eight decimals of a minute', () => {
    const out = readings(play('nmea-fuzzy-cases.log', Date.UTC(2020, 2, 18, 13, 30)));
    expect(out).toHaveLength(14);
    expect(short(plain(out[0]?.records ?? []))).toMatchObject({
      Latitude: 41.574970205, // 41 deg 34.49821229'
      Longitude: -93.750558641, // 93 deg 45.03351845'
      Altitude: 246.578, // 278.020 - 31.442
      Timestamp: '2020-03-18T13:28:20.600Z',
    });
  });

  it('no change of one byte makes another value: what comes is what came, or less', () => {
    const now = Date.UTC(2015, 2, 18, 17, 20);
    const all = new Uint8Array(readFileSync(new URL('neo-m8n.log', VECTORS))).subarray(0, 2600);
    const right = new Map(
      readings(heard('gnss').hear(all, now)).map((r) => [
        plain(r.records)['Vehicle.CurrentLocation.Timestamp'],
        plain(r.records),
      ]),
    );
    for (let i = 0; i < all.length; i++) {
      const damaged = Uint8Array.from(all);
      damaged[i] = (damaged[i] as number) ^ (1 + (i % 255));
      for (const reading of readings(heard('gnss').hear(damaged, now))) {
        const got = plain(reading.records);
        const time = got['Vehicle.CurrentLocation.Timestamp'];
        const same = time === undefined ? [...right.values()] : [right.get(time) ?? {}];
        expect(
          same.some((r) => Object.entries(got).every(([n, v]) => r[n] === v)),
          `byte ${i}: ${JSON.stringify(got)}`,
        ).toBe(true);
      }
    }
  });
});

describe('an epoch', () => {
  const rmc = (time: string, rest = 'A,3629.0000,N,12716.0000,E,10.0,90.0,010624,,,A') => `GNRMC,${time},${rest}`;
  const gga = (time: string, rest = '3629.0000,N,12716.0000,E,1,09,0.9,50.0,M,24.0,M,,') => `GNGGA,${time},${rest}`;
  const gsa = (fix: number) => `GNGSA,A,${fix},01,02,03,,,,,,,,,,1.5,0.9,1.2`;
  const NEXT = 'GNRMC,120059.00,V,,,,,,,010624,,,N';
  const one = (...sentences: string[]) => {
    const out = heard('gnss').hear(say(...sentences, NEXT), NOW);
    return { reading: readings(out)[0], fault: faults(out)[0] };
  };

  it('is whole with the next one, or as soon as all is there that was there before', () => {
    const driver = heard('gnss');
    const second = (s: string) => say(rmc(s), gga(s), gsa(3));
    expect(driver.hear(second('120000.00'), NOW)).toEqual([]);
    expect(readings(driver.hear(second('120001.00'), NOW + 1000)).map((r) => r.atMs)).toEqual([NOW, NOW + 1000]);
    expect(readings(driver.hear(second('120002.00'), NOW + 2000)).map((r) => r.atMs)).toEqual([NOW + 2000]);
  });

  it('takes nothing of another one: a lost RMC takes speed, course and date with it', () => {
    const driver = heard('gnss');
    driver.hear(say(rmc('120000.00'), gga('120000.00')), NOW);
    const out = readings(driver.hear(say(gga('120001.00'), NEXT), NOW + 1000));
    expect(out.map((r) => Object.keys(short(plain(r.records))))).toEqual([
      ['Latitude', 'Longitude', 'Altitude', 'Heading', 'Timestamp', 'Speed'],
      ['Latitude', 'Longitude', 'Altitude'],
    ]);
  });

  it('takes a VTG of nobody in particular from neither side', () => {
    const vtg = 'GNVTG,180.0,T,,M,50.0,N,92.6,K,A';
    // After a damaged sentence: it may have been the first one of the next second.
    const damaged = bytes('$GNRMC,120001.00,A*00\r\n');
    const driver = heard('gnss');
    const all = Buffer.concat([say(gga('120000.00')), damaged, say(vtg, gga('120001.00'), NEXT)]);
    for (const r of readings(driver.hear(all, NOW))) expect(short(plain(r.records))).not.toHaveProperty('Speed');
    // After a pause it belongs to what follows.
    const other = heard('gnss');
    const out = [...other.hear(say(gga('120000.00')), NOW), ...other.hear(say(vtg, gga('120001.00'), NEXT), NOW + 900)];
    expect(readings(out).map((r) => short(plain(r.records)).Speed)).toEqual([undefined, 92.6]);
  });

  it.each([
    ['V', [rmc('120000.00', 'V,3629.0000,N,12716.0000,E,10.0,90.0,010624,,,A')]],
    ['mode N', [rmc('120000.00', 'A,3629.0000,N,12716.0000,E,10.0,90.0,010624,,,N')]],
    ['quality 0 beside A', [rmc('120000.00'), gga('120000.00', '3629.0000,N,12716.0000,E,0,00,,50.0,M,24.0,M,,')]],
    ['GSA without a fix', [rmc('120000.00'), gga('120000.00'), gsa(1)]],
    ['a simulator', [gga('120000.00', '3629.0000,N,12716.0000,E,8,09,0.9,50.0,M,24.0,M,,')]],
    ['no position', [rmc('120000.00', 'A,,,,,10.0,90.0,010624,,,A')]],
  ])('has no position with %s', (_, sentences) => {
    expect(one(...sentences)).toEqual({ reading: undefined, fault: expect.objectContaining({ kind: 'no-value' }) });
  });

  it('is Uncertain in dead reckoning and in two dimensions, and has then no altitude', () => {
    expect(one(rmc('120000.00', 'A,3629.0000,N,12716.0000,E,10.0,90.0,010624,,,E')).reading?.quality).toBe(
      'Uncertain: dead reckoning',
    );
    const { reading } = one(rmc('120000.00'), gga('120000.00'), gsa(2));
    expect(reading?.quality).toBe('Uncertain: a fix in two dimensions');
    expect(short(plain(reading?.records ?? []))).not.toHaveProperty('Altitude');
  });

  it('is corrupt where RMC and GGA are not of one place', () => {
    const { reading, fault } = one(
      rmc('120000.00'),
      gga('120000.00', '3629.1000,N,12716.0000,E,1,09,0.9,50.0,M,24.0,M,,'),
    );
    expect([reading, fault?.kind]).toEqual([undefined, 'corrupt']);
  });

  it('does not believe a date of 1,024 weeks ago, nor one that is far off', () => {
    const week = one(rmc('120000.00', 'A,3629.0000,N,12716.0000,E,10.0,90.0,161004,,,A')).reading; // 2004-10-16
    expect(week?.quality).toContain('1024 weeks behind (GPS week rollover)');
    const far = one(rmc('120000.00', 'A,3629.0000,N,12716.0000,E,10.0,90.0,010100,,,A')).reading;
    expect(far?.quality).toContain("far from the gateway's");
    for (const r of [week, far]) {
      expect(short(plain(r?.records ?? []))).not.toHaveProperty('Timestamp');
      expect(r?.records.some((record) => record.t !== undefined)).toBe(false);
    }
    const two = one(rmc('120000.00'), 'GNZDA,120000.00,02,06,2024,00,00').reading;
    expect(two?.quality).toContain('RMC and ZDA');
  });

  it('takes its date over midnight from its own RMC', () => {
    const driver = heard('gnss');
    const now = Date.UTC(2024, 5, 2);
    const at = (time: string, day: string) => [gga(time), rmc(time, `A,3629.0000,N,12716.0000,E,10.0,90.0,${day},,,A`)];
    const out = driver.hear(say(...at('235959.00', '010624'), ...at('000000.00', '020624'), NEXT), now);
    expect(readings(out).map((r) => short(plain(r.records)).Timestamp)).toEqual([
      '2024-06-01T23:59:59Z',
      '2024-06-02T00:00:00Z',
    ]);
  });

  it('hears every constellation, and nobody else', () => {
    for (const talker of ['GP', 'GL', 'GA', 'GB', 'BD', 'GN', 'QZ'])
      expect(one(rmc('120000.00').replace('GN', talker)).reading, talker).toBeDefined();
    expect(one(rmc('120000.00').replace('GN', 'II')).reading).toBeUndefined();
  });

  it.each([
    ['a letter in a number', 'A,3629.0x00,N,12716.0000,E,10.0,90.0,010624,,,A'],
    ['a latitude of 99 degrees', 'A,9929.0000,N,12716.0000,E,10.0,90.0,010624,,,A'],
    ['60 minutes', 'A,3660.0000,N,12716.0000,E,10.0,90.0,010624,,,A'],
    ['the 32nd of a month', 'A,3629.0000,N,12716.0000,E,10.0,90.0,320624,,,A'],
    ['half a position', 'A,3629.0000,N,,E,10.0,90.0,010624,,,A'],
  ])('is not made of %s, though the checksum is right', (_, rest) => {
    expect(one(rmc('120000.00', rest))).toEqual({
      reading: undefined,
      fault: expect.objectContaining({ kind: 'corrupt' }),
    });
  });

  it('is not made of sentences without a checksum, nor with a wrong one', () => {
    const bare = bytes(`$${rmc('120000.00')}\r\n$${gga('120000.00')}*00\r\n`);
    expect(readings(heard('gnss').hear(Buffer.concat([bare, say(NEXT)]), NOW))).toEqual([]);
  });

  it('has the horizontal accuracy of GST', () => {
    const { reading } = one(rmc('120000.00'), 'GNGST,120000.00,1.0,2.0,1.0,0.0,3.0,4.0,6.0');
    expect(short(plain(reading?.records ?? [])).HorizontalAccuracy).toBe(5);
  });
});
