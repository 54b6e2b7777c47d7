/** Telegrams of real meters, decoded to values that were checked by hand; and what a damaged or repeated one comes to. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeDateTime, encodeDateTime, isDated } from '../../../edge/drivers/dlms/clock.ts';
import { encodeFrame, FrameScanner } from '../../../edge/drivers/dlms/hdlc.ts';
import { dlmsPush } from '../../../edge/drivers/dlms/push.ts';
import { gmac, open, protect, proves } from '../../../edge/drivers/dlms/security.ts';
import type { HeardDriver, Reading } from '../../../edge/drivers/driver.ts';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import { DlmsPusher, type DlmsPusherOptions } from '../../../firmware-sim/serial/dlms/pusher.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/[^0-9a-f]/gi, ''), 'hex'));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const file = (name: string): string => readFileSync(new URL(`../vectors/dlms/${name}.hex`, import.meta.url), 'utf8');
const KAMSTRUP = { e: '00112233445566778899AABBCCDDEEFF', a: 'FFEEDDCCBBAA99887766554433221100' };
const LANDIS = { e: '5FDE26FE7A1A36B6E1C0BA048FA9A023', a: '7DA42A44E00BD0AF5E1A911E3CCA64FD' };
/** Made for the general case by Green Book clause 9.2. */
const BOOK = {
  encryption: hex('000102030405060708090A0B0C0D0E0F'),
  authentication: hex('D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF'),
};

type Names = Record<string, string | undefined>;
function meter(names: Names, keys?: { e: string; a: string }, marks: Record<string, number> = {}): HeardDriver {
  return dlmsPush.create({
    settings: {},
    device: keys ? { secrets: { encryption: 'e', authentication: 'a' } } : {},
    values: Object.entries(names).map(([name, unit], i) => ({
      name,
      ...(unit && { unit }),
      billed: i === 0,
      required: i === 0,
      scale: 1,
      from: {},
    })),
    medium: 'tty',
    // As a person keeps them: in hex.
    secret: (name) => Buffer.from(name === 'e' ? (keys?.e as string) : (keys?.a as string)),
    mark: (name) => marks[name],
    nextNumber: () => 0,
  }) as HeardDriver;
}

describe('telegrams of real meters', () => {
  it('Iskra AM550: three segmented frames, dated by its clock', () => {
    const [reading, ...rest] = meter({
      '1-0:1.8.0': 'Wh',
      '1-0:32.7.0': 'V',
      '1-0:31.7.0': 'A',
      '1-0:2.8.2': 'Wh',
    }).hear(hex(file('iskra-am550')), 0);
    expect(rest).toEqual([]);
    // 2023-04-01 21:32:35 summer time, deviation -120.
    const t = Date.UTC(2023, 3, 1, 19, 32, 35) / 1000;
    expect(reading).toEqual({
      quality: 'Good',
      records: [
        { n: '1-0:1.8.0', u: 'Wh', v: 0x3ff27, t },
        { n: '1-0:32.7.0', u: 'V', v: 236.4, t },
        { n: '1-0:31.7.0', u: 'A', v: 0.63, t },
        { n: '1-0:2.8.2', u: 'Wh', v: 0x3381, t },
      ],
    });
  });

  it('Aidon: a clock without a deviation dates nothing', () => {
    const heard = meter({ '1-0:1.8.0': 'Wh', '1-0:1.7.0': 'W', '1-0:52.7.0': 'V', '1-0:51.7.0': 'A' }).hear(
      hex(file('aidon-3phase')),
      0,
    );
    expect(heard).toEqual([
      {
        quality: 'Good',
        records: [
          { n: '1-0:1.8.0', u: 'Wh', v: 10_049_926 },
          { n: '1-0:1.7.0', u: 'W', v: 1122 },
          { n: '1-0:52.7.0', u: 'V', v: 249.9 },
          { n: '1-0:51.7.0', u: 'A', v: 7.5 },
        ],
      },
    ]);
  });

  it('Kamstrup Omnipower: suite 0, names and values in turn; the same telegram twice is a replay, after a restart too', () => {
    const names = { '1-1:1.8.0': 'Wh', '1-1:1.7.0': 'W', '1-1:32.7.0': 'V' };
    const one = meter(names, KAMSTRUP);
    const [reading] = one.hear(hex(file('kamstrup-omnipower')), 0) as [Reading];
    expect(reading.records.map(({ n, v }) => [n, v])).toEqual([
      ['1-1:1.8.0', 6_307_498],
      ['1-1:1.7.0', 1083],
      ['1-1:32.7.0', 222],
    ]);
    expect(Object.values(reading.marks ?? {})).toEqual([17_784_996]);
    for (const again of [one, meter(names, KAMSTRUP, reading.marks)]) {
      const [fault] = again.hear(hex(file('kamstrup-omnipower')), 0);
      expect(fault).toMatchObject({ kind: 'mismatch', detail: expect.stringContaining('a replay') });
    }
  });

  it('Kamstrup with a wrong key, either of the two, gives nothing', () => {
    for (const keys of [
      { ...KAMSTRUP, e: LANDIS.e },
      { ...KAMSTRUP, a: LANDIS.a },
    ])
      expect(meter({ '1-1:1.8.0': 'Wh' }, keys).hear(hex(file('kamstrup-omnipower')), 0)).toMatchObject([
        { kind: 'mismatch', detail: expect.stringContaining('does not open') },
      ]);
    const [fault] = meter({ '1-1:1.8.0': 'Wh' }).hear(hex(file('kamstrup-omnipower')), 0);
    expect(fault).toMatchObject({ detail: expect.stringContaining('set secrets.encryption') });
    const [plain] = meter({ '1-0:1.8.0': 'Wh' }, KAMSTRUP).hear(hex(file('iskra-am550')), 0);
    expect(plain).toMatchObject({ detail: expect.stringContaining('in plain what should be enciphered') });
  });

  it('Landis+Gyr E450: suite 0 in three blocks; without the second one there is nothing', () => {
    const frames = file('landis-gyr-e450').trim().split('\n').map(hex);
    const [reading] = meter({ '1-0:1.8.0': 'Wh', '1-0:1.7.0': 'W', '1-0:4.8.0': undefined }, LANDIS).hear(
      Buffer.concat(frames),
      0,
    ) as [Reading];
    expect(reading.records.map(({ v }) => v)).toEqual([12_048_950, 545, 9_801_363]);
    const partly = meter({ '1-0:1.8.0': 'Wh' }, LANDIS);
    const heard = [frames[0], frames[2]].flatMap((frame) => partly.hear(frame as Uint8Array, 0));
    expect(heard).toMatchObject([{ kind: 'corrupt' }]);
  });

  it('Landis+Gyr E450 with the object list of its push setup, in five blocks', () => {
    const [reading] = meter({ '1-0:1.7.0': undefined, '1-0:21.7.0': 'W', '1-0:32.7.0': 'V', '1-0:14.7.0': 'Hz' }).hear(
      hex(file('landis-gyr-e450-objects')),
      0,
    ) as [Reading];
    // Without a scaler, as the telegram has none.
    expect(reading.records).toEqual([
      { n: '1-0:1.7.0', v: 187 },
      { n: '1-0:21.7.0', u: 'W', v: 73 },
      { n: '1-0:32.7.0', u: 'V', v: 238 },
      { n: '1-0:14.7.0', u: 'Hz', v: 50 },
    ]);
  });

  it('a unit that is not the profile’s is refused', () => {
    expect(meter({ '1-0:1.8.0': 'varh' }).hear(hex(file('iskra-am550')), 0)).toMatchObject([
      { kind: 'mismatch', detail: 'the meter gives 1-0:1.8.0 in Wh, the profile in varh' },
    ]);
  });
});

describe('damage', () => {
  it('no damaged byte, lost byte or chunk border makes another value, and the next telegram is whole', () => {
    const good = hex(file('iskra-am550'));
    const fresh = () => meter({ '1-0:1.8.0': 'Wh', '1-0:32.7.0': 'V', '1-0:2.8.2': 'Wh' });
    const right = fresh().hear(good, 0);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: good.length - 1 }),
        fc.integer({ min: 0, max: 255 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 200 }),
        (at, by, lose, size) => {
          const bad = lose
            ? [...good.subarray(0, at), ...good.subarray(at + 1)]
            : good.with(at, (good[at] as number) ^ by);
          const stream = Buffer.concat([Uint8Array.from(bad), good]);
          const driver = fresh();
          const heard: unknown[] = [];
          for (let i = 0; i < stream.length; i += size) heard.push(...driver.hear(stream.subarray(i, i + size), 0));
          const readings = heard.filter((one) => !(one instanceof SerialFault));
          for (const reading of readings) expect(reading).toEqual(right[0]);
          expect(readings.at(-1)).toEqual(right[0]);
        },
      ),
      { seed: 5, numRuns: 400 },
    );
  });

  it('any bytes are heard without an error, and without a value', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (chunks) => {
        const driver = meter({ '1-0:1.8.0': 'Wh' });
        const lead = hex('7ea243410883');
        for (const chunk of chunks)
          for (const one of driver.hear(Buffer.concat([lead, chunk]), 0)) expect(one).toBeInstanceOf(SerialFault);
      }),
      { seed: 6, numRuns: 300 },
    );
  });

  it('any telegram with right checksums around any bytes is a reading or a fault', () => {
    const address = Uint8Array.of(3);
    const start = hex('e6e7000f4000000000');
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
        const information = Buffer.concat([start, bytes]);
        const frame = encodeFrame({
          destination: address,
          source: address,
          control: 0x13,
          segmented: false,
          information,
        });
        const heard = meter({ '1-0:1.8.0': 'Wh' }).hear(frame, 0);
        expect(heard).toHaveLength(1);
      }),
      { seed: 7, numRuns: 500 },
    );
  });
});

describe('facts of the standards', () => {
  it('frames with addresses of 2 and 4 bytes', () => {
    for (const line of file('frames').trim().split('\n')) {
      const [frame, ...rest] = new FrameScanner().push(hex(line));
      expect(rest).toEqual([]);
      expect(frame && text(encodeFrame(frame))).toBe(line.toLowerCase());
    }
  });

  it('Green Book clause 9.2: authenticated encryption, authentication alone, GMAC', () => {
    const title = hex('4D4D4D0000BC614E');
    const get = hex('C0010000080000010000FF0200');
    const ciphered = hex('3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B');
    expect(text(protect(BOOK, title, 0x01234567, get))).toBe(text(ciphered));
    expect(open(BOOK, title, ciphered)).toEqual({ plain: get, counter: 0x01234567 });
    const authenticated = hex('1001234567C0010000080000010000FF020006725D910F9221D263877516');
    expect(open(BOOK, title, authenticated).plain).toEqual(get);
    // Encrypted alone: anyone could change it.
    expect(() => open(BOOK, title, hex('2001234567411312FF935A47566827C467BC'))).toThrow('does not authenticate');
    expect(text(gmac(BOOK, hex('4D4D4D0000000001'), 1, hex('503677524A323146')))).toBe(
      '10000000011a52fe7dd3e72748973c1e28',
    );
    const challenge = hex('4B35366956616759');
    const own = hex('1001234567FE1466AFB3DBCD4F9389E2B7');
    expect(proves(BOOK, title, challenge, own)).toBe(true);
    expect(proves(BOOK, title, challenge.with(0, 0), own)).toBe(false);
    expect(proves(BOOK, title, challenge, own.subarray(0, 16))).toBe(false);
  });

  it('a Korean clock: -540 is FDE4; 8000, parts and bad states date nothing', () => {
    const kst = hex('07E80A0F020C1E0000FDE400');
    expect(decodeDateTime(kst)).toEqual({ t: Date.UTC(2024, 9, 15, 3, 30) / 1000, deviation: -540 });
    expect(text(encodeDateTime({ t: Date.UTC(2024, 9, 15, 3, 30) / 1000, deviation: -540 }))).toBe(
      '07e80a0fff0c1e0000fde400',
    );
    for (const bad of [
      '07E80A0F020C1E0000800000', // no deviation
      'FFFF0A0F020C1E0000FDE400', // no year
      '07E8021E020C1E0000FDE400', // 30 February
      '07E80A0F02181E0000FDE400', // 24 o'clock
      '07E80A0F020C1E0000FDE401', // invalid
      '07E80A0F020C1E0000FDE402', // doubtful
      '07E80A0F020C1E0000FDE408', // invalid status
      '07E80A0F02',
    ])
      expect(isDated(decodeDateTime(hex(bad)))).toBe(false);
    // Summer time says nothing against it.
    expect(isDated(decodeDateTime(hex('07E80A0F020C1E0000FF8880')))).toBe(true);
  });
});

describe('the twin that pushes', () => {
  const keys = { encryption: hex(KAMSTRUP.e), authentication: hex(KAMSTRUP.a) };
  const clock = Date.UTC(2026, 2, 1, 3, 0, 7);
  const twin = (more: Partial<DlmsPusherOptions> = {}) =>
    new DlmsPusher({ seed: 1, now: () => clock, powerW: () => 1100, startWh: 42_000, everyMs: 10, ...more });

  it.each([
    ['plain', {}],
    ['ciphered', { keys }],
    ['ciphered, frames of 60 bytes', { keys, informationBytes: 60 }],
  ])('%s', (_name, options) => {
    const driver = meter({ '1-0:1.8.0': 'Wh', '1-0:1.7.0': 'W' }, 'keys' in options ? KAMSTRUP : undefined);
    const pusher = twin(options);
    for (let i = 0; i < 3; i++)
      expect((driver.hear(pusher.telegram(), 0) as Reading[])[0]?.records).toEqual([
        { n: '1-0:1.8.0', u: 'Wh', v: 42_000, t: clock / 1000 },
        { n: '1-0:1.7.0', u: 'W', v: 1100, t: clock / 1000 },
      ]);
  });

  it('its faults: a counter said again, a clock that is invalid or has no deviation', () => {
    const driver = meter({ '1-0:1.8.0': 'Wh' }, KAMSTRUP);
    const pusher = twin({ keys });
    driver.hear(pusher.telegram(), 0);
    pusher.faults.replays = true;
    expect(driver.hear(pusher.telegram(), 0)).toMatchObject([{ detail: expect.stringContaining('a replay') }]);
    const undated = [{ n: '1-0:1.8.0', u: 'Wh', v: 42_000 }];
    const [one] = meter({ '1-0:1.8.0': 'Wh' }).hear(twin({ deviation: null }).telegram(), 0) as Reading[];
    expect(one?.records).toEqual(undated);
    const doubtful = twin();
    doubtful.faults.clockStatus = 2;
    const [two] = meter({ '1-0:1.8.0': 'Wh' }).hear(doubtful.telegram(), 0) as Reading[];
    expect(two?.records).toEqual(undated);
  });
});
