/** The driver against the twin, in memory: no port, no time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dlms } from '../../../edge/drivers/dlms/dlms.ts';
import type { From } from '../../../edge/drivers/dlms/objects.ts';
import type { PolledDriver, Reading, Value } from '../../../edge/drivers/driver.ts';
import { sequence } from '../../../firmware-sim/random.ts';
import { Ear, say } from '../../../firmware-sim/serial/dlms/frames.ts';
import { DlmsMeter, type DlmsMeterOptions } from '../../../firmware-sim/serial/dlms/meter.ts';
import { mutate, numbers } from '../../fuzz/mutate.ts';
import { drive, TURN } from '../drive.ts';

const START = Date.UTC(2026, 2, 1, 0, 0, 0);
const KEYS = {
  encryption: Uint8Array.from({ length: 16 }, (_, i) => i),
  authentication: Uint8Array.from({ length: 16 }, (_, i) => 0xd0 + i),
};
const SECURE = { device: { systemTitle: '534a47000000002a', secrets: { encryption: 'e', authentication: 'a' } } };

const HIGH = { device: { ...SECURE.device, mechanism: 'gmac' } };

const value = (name: string, unit: string | undefined, more: Partial<Value<From>> = {}): Value<From> => ({
  name,
  ...(unit && { unit }),
  billed: false,
  required: false,
  scale: 1,
  from: {},
  ...more,
});
const VALUES = [
  value('1-0:16.7.0', 'W'),
  value('1-0:1.8.0', 'Wh', { billed: true, required: true }),
  value('1-0:32.7.0', 'V'),
  value('1-0:31.7.0', 'A'),
  value('1-0:2.8.0', 'Wh'), // which the twin does not have
  value('1-0:1.6.0', 'W', { from: { class: 4 } }),
];

type Rig = {
  meter: DlmsMeter;
  driver: PolledDriver;
  marks: Map<string, number>;
  clock: { ms: number };
  /** Probability that a byte is another one, both ways. */
  noise: number;
  exchanges: number;
  /** What becomes of what the meter says. */
  spoil: (said: Uint8Array[]) => Uint8Array[];
  /** As accept does: the marks are kept with the readings. */
  poll(): Reading[];
  again(): void;
};

function rig(
  options: Partial<DlmsMeterOptions> = {},
  setup: { device?: object; settings?: object; values?: Value<From>[]; secrets?: Record<string, Uint8Array> } = {},
): Rig {
  const clock = { ms: START };
  const meter = new DlmsMeter({
    logical: 1,
    physical: 17,
    seed: 7,
    now: () => clock.ms,
    powerW: () => 3600,
    startWh: 5_000_000,
    ...options,
  });
  const marks = new Map<string, number>();
  let number = 0;
  const random = sequence(3);
  const secrets: Record<string, Uint8Array> = {
    e: KEYS.encryption,
    a: KEYS.authentication,
    p: Buffer.from('secret\n'),
    ...setup.secrets,
  };
  const create = () =>
    dlms.create({
      settings: setup.settings ?? {},
      device: { address: '1/17', ...setup.device },
      values: setup.values ?? VALUES,
      medium: 'tty',
      secret: (name) => secrets[name] as Uint8Array,
      mark: (name) => marks.get(name),
      nextNumber: (_name, above = -1) => {
        number = Math.max(number, above) + 1;
        return number;
      },
    }) as PolledDriver;
  const damaged = (bytes: Uint8Array) =>
    bytes.map((byte) => (random() < made.noise ? byte ^ (1 + Math.floor(random() * 255)) : byte));
  const made: Rig = {
    meter,
    driver: create(),
    marks,
    clock,
    noise: 0,
    exchanges: 0,
    spoil: (said) => said,
    poll: () => {
      const readings = drive(made.driver.poll(TURN), (sent) => {
        made.exchanges++;
        const said: Uint8Array[] = [];
        meter.plug((bytes) => said.push(damaged(bytes)));
        meter.hear(damaged(sent));
        meter.silence();
        return made.spoil(said);
      });
      for (const reading of readings)
        for (const [name, mark] of Object.entries(reading.marks ?? {})) marks.set(name, mark);
      return readings;
    },
    again: () => {
      made.driver = create();
    },
  };
  return made;
}

const LIVE = [
  { n: '1-0:1.8.0', u: 'Wh', v: 5_000_000 },
  { n: '1-0:16.7.0', u: 'W', v: 3600 },
  { n: '1-0:32.7.0', u: 'V', v: expect.closeTo(220, -1) },
  { n: '1-0:31.7.0', u: 'A', v: expect.closeTo(16.3, 0) },
  { n: '1-0:1.6.0', u: 'W', v: 3600, t: START / 1000 - 60 },
];

describe('registers', () => {
  it.each([
    ['addresses of 2 bytes', {}, {}],
    ['4 bytes', {}, { device: { addressBytes: 4 } }],
    ['1 byte', { physical: 0 }, { device: { address: 1 } }],
    ['without lists', { withList: false }, {}],
    ['frames of 32 bytes, windows of 3', { informationBytes: 32, window: 3 }, {}],
    ['frames of 40 bytes that we ask for', {}, { settings: { informationBytes: 40 } }],
    ['blocks of 10 bytes', { blockBytes: 10 }, {}],
    ['a password', { password: 'secret' }, { device: { secrets: { password: 'p' } } }],
    ['ciphered', { keys: KEYS }, SECURE],
    ['high security', { keys: KEYS, high: true }, HIGH],
    ['ciphered, blocks, small frames', { keys: KEYS, blockBytes: 12, informationBytes: 32, window: 2 }, SECURE],
  ] as [string, Partial<DlmsMeterOptions>, object][])('%s', (_name, options, setup) => {
    const one = rig(options, setup);
    const [reading] = one.poll();
    expect(reading?.records).toEqual(LIVE);
    expect(reading?.quality).toBe('Good');
    expect(one.driver.about()).toContain('SJT00000000071');
    one.clock.ms += 3_600_000;
    expect(one.poll()[0]?.records[0]).toEqual({ n: '1-0:1.8.0', u: 'Wh', v: 5_003_600 });
  });

  it('a known meter takes five exchanges: SNRM, AARQ, two GETs, DISC', () => {
    const one = rig();
    one.poll();
    one.exchanges = 0;
    one.poll();
    expect(one.exchanges).toBe(5);
  });

  it('one byte in a hundred damaged: what comes is right, and it does come', () => {
    for (const options of [{}, { keys: KEYS }]) {
      const one = rig(options, options.keys ? SECURE : {});
      one.noise = 0.01;
      let good = 0;
      for (let i = 0; i < 60; i++) {
        one.clock.ms += 1000;
        try {
          const [reading] = one.poll();
          expect(reading?.records[0]).toEqual({ n: '1-0:1.8.0', u: 'Wh', v: 5_000_000 + i + 1 });
          good++;
        } catch (error) {
          expect(error).toMatchObject({ name: 'SerialFault' });
        }
      }
      expect(good).toBeGreaterThan(40);
    }
  });

  it('the clock as a value, where it says when it is', () => {
    const values = [value('clock', 's', { from: { obis: '0-0:1.0.0', class: 8 } }), value('1-0:16.7.0', 'W')];
    expect(rig({}, { values }).poll()[0]?.records[0]).toEqual({ n: 'clock', u: 's', v: START / 1000 });
    expect(
      rig({ deviation: null }, { values })
        .poll()[0]
        ?.records.map(({ n }) => n),
    ).toEqual(['1-0:16.7.0']);
  });

  it('answers that are lost are asked for again; a dead meter is soon asked but once', () => {
    const one = rig();
    one.poll();
    one.meter.faults.loseAnswers = 2;
    expect(one.poll()[0]?.records).toEqual(LIVE);
    one.meter.faults.silent = true;
    for (const exchanges of [4, 1, 1]) {
      one.exchanges = 0;
      expect(() => one.poll()).toThrow('nothing that is an answer');
      expect(one.exchanges).toBe(exchanges);
    }
  });

  it('lost in the middle of a session', () => {
    const one = rig();
    one.meter.onRequest = () => {
      one.meter.faults.loseAnswers = 1;
    };
    expect(one.poll()[0]?.records).toEqual(LIVE);
  });
});

describe('what a meter refuses, in words', () => {
  it('a wrong password, none, and ciphering where there is none', () => {
    expect(() => rig({ password: 'other' }, { device: { secrets: { password: 'p' } } }).poll()).toThrow(
      'wrong password',
    );
    expect(() => rig({ password: 'other' }).poll()).toThrow('set secrets.password');
    expect(() => rig({}, SECURE).poll()).toThrow('application context');
    expect(() => rig({ keys: KEYS }).poll()).toThrow('application context');
  });

  it('a wrong key', () => {
    expect(() => rig({ keys: KEYS }, { ...SECURE, secrets: { e: new Uint8Array(16) } }).poll()).toThrow(
      'wrong encryption',
    );
    expect(() => rig({ keys: KEYS }, { ...SECURE, secrets: { a: new Uint8Array(16) } }).poll()).toThrow(
      'authentication key',
    );
  });

  it('keys without a system title, one key alone, no key', () => {
    expect(() => rig({}, { device: { secrets: SECURE.device.secrets } })).toThrow('systemTitle is missing');
    expect(() => rig({}, { device: { secrets: { encryption: 'e' } } })).toThrow('go together');
    expect(() => rig({}, { ...SECURE, secrets: { e: Buffer.from('short') } })).toThrow('16 bytes, or 32 hex digits');
  });

  it('high security that is not offered, and a meter that does not prove itself', () => {
    expect(() => rig({ keys: KEYS, high: true }, SECURE).poll()).toThrow('authentication mechanism');
    expect(() => rig({}, { device: { mechanism: 'gmac' } })).toThrow('needs both keys');
    const one = rig({ keys: KEYS, high: true }, HIGH);
    one.meter.faults.forgesProof = true;
    expect(() => one.poll()).toThrow('does not prove that it has the keys');
  });

  it('access denied: to a value that must be there, and to one that need not', () => {
    const one = rig();
    one.meter.faults.denied.add('1-0:32.7.0');
    expect(one.poll()[0]?.records.map(({ n }) => n)).not.toContain('1-0:32.7.0');
    one.meter.faults.denied.add('1-0:1.8.0');
    expect(() => one.poll()).toThrow('1-0:1.8.0 attribute 2: access denied');
  });

  it('a unit that is not the profile’s', () => {
    expect(() => rig({}, { values: [value('1-0:1.8.0', 'varh', { required: true })] }).poll()).toThrow(
      'the meter gives 1-0:1.8.0 in Wh, the profile in varh',
    );
  });
});

describe('invocation counters', () => {
  it('a replayed answer is refused, after a restart too', () => {
    const one = rig({ keys: KEYS }, SECURE);
    one.poll();
    one.meter.faults.replays = true;
    expect(() => one.poll()).toThrow('a replay');
    one.again();
    one.meter.registers.counter = 1;
    one.meter.faults.replays = false;
    expect(() => one.poll()).toThrow('a replay');
    one.meter.registers.counter = 1000;
    expect(one.poll()[0]?.records[0]?.v).toBe(5_000_000);
  });

  it('a meter that has seen a higher counter says which, and the next poll is above', () => {
    const one = rig({ keys: KEYS }, SECURE);
    one.meter.registers.clients.set([0x53, 0x4a, 0x47, 0, 0, 0, 0, 0x2a].join(), 70_000);
    expect(() => one.poll()).toThrow('a higher invocation counter of this client (70000)');
    expect(one.poll()[0]?.records).toEqual(LIVE);
  });
});

describe('load profile', () => {
  const settings = { loadProfile: { obis: '1-0:99.1.0', historyHours: 24, entriesPerPoll: 40 } };
  const history = { historySeconds: 3 * 86_400, startWh: 0 };

  /** All polls until nothing is left to catch up on. */
  function entries(one: Rig): number[][] {
    const found: number[][] = [];
    for (;;) {
      const readings = one.poll();
      for (const { records, marks } of readings) {
        const [record] = records;
        if (record?.t === undefined || marks?.cursor === undefined) return found;
        expect(marks.cursor).toBe(record.t);
        found.push([record.t, record.v as number]);
      }
    }
  }
  const expected = (from: number, to: number) =>
    Array.from({ length: (to - from) / 900 + 1 }, (_, i) => [
      from + i * 900,
      from + i * 900 - START / 1000 + 3 * 86_400,
    ]);

  it.each([
    ['by ranges', {}],
    ['ciphered, in blocks, small frames', { keys: KEYS, blockBytes: 100, informationBytes: 64, window: 3 }],
    ['without selective access', { selective: false }],
  ] as [string, Partial<DlmsMeterOptions>][])('%s: every entry once, restarts or not', (_name, options) => {
    const one = rig({ ...history, ...options }, { settings, ...(options.keys && SECURE) });
    const now = START / 1000;
    expect(entries(one)).toEqual(expected(now - 86_400, now));
    // Nothing new: the live values alone.
    expect(one.poll()).toHaveLength(1);
    one.clock.ms += 7200_000 + 5000;
    one.again();
    expect(entries(one)).toEqual(expected(now + 900, now + 7200));
  });

  it('what was not kept is asked for again', () => {
    const one = rig(history, { settings });
    entries(one);
    one.clock.ms += 1_800_000;
    const before = new Map(one.marks);
    const lost = one.poll().filter(({ marks }) => marks?.cursor);
    expect(lost).toHaveLength(2);
    // As where the disk was full.
    for (const [name, mark] of before) one.marks.set(name, mark);
    expect(one.poll().filter(({ marks }) => marks?.cursor)).toEqual(lost);
  });

  it('a clock without a deviation, or an invalid one, dates nothing: live values alone, and a doubt', () => {
    const one = rig({ ...history, deviation: null }, { settings });
    const readings = one.poll();
    expect(readings).toHaveLength(1);
    expect(readings[0]?.quality).toContain('not specified (8000)');
    expect(readings[0]?.records[0]).not.toHaveProperty('t');
    const two = rig(history, { settings });
    two.meter.faults.clockStatus = 1;
    expect(two.poll()[0]?.quality).toContain('invalid');
  });
});

it('a meter that says nonsense with right checksums: a fault or a reading, and an end', () => {
  const below = numbers(9);
  const wires: [Partial<DlmsMeterOptions>, object][] = [
    [{ historySeconds: 20_000, startWh: 0, blockBytes: 60 }, { settings: { loadProfile: { obis: '1-0:99.1.0' } } }],
    [{ keys: KEYS, window: 3, informationBytes: 40 }, SECURE],
  ];
  let faults = 0;
  let whole = 0;
  for (let i = 0; i < 400; i++) {
    const [options, setup] = wires[i % 2] as (typeof wires)[number];
    const one = rig(options, setup);
    // One answer of many, so that the session gets far sometimes.
    const bad = below(12);
    one.spoil = (said) =>
      said.map((bytes) => {
        if (one.exchanges % 12 !== bad) return bytes;
        const [frame] = new Ear().push(bytes);
        if (frame === undefined) return bytes;
        const control = below(4) === 0 ? below(256) : frame.control;
        const body = mutate(Uint8Array.from(frame.body), Uint8Array.from(frame.body), below).subarray(0, 1500);
        return Uint8Array.from(say(frame.to, frame.from, control, [...body], below(6) === 0));
      });
    try {
      one.poll();
      whole++;
    } catch (error) {
      expect(error).toMatchObject({ name: 'SerialFault' });
      faults++;
    }
    expect(one.exchanges).toBeLessThan(1000);
  }
  expect(faults).toBeGreaterThan(100);
  expect(whole).toBeGreaterThan(20);
});

it('the twin keeps its register and its counters over a restart', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dlms-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const eeprom = join(folder, 'eeprom');
  const one = rig({ keys: KEYS, eeprom }, SECURE);
  one.poll();
  const two = rig({ keys: KEYS, eeprom, startWh: 0 });
  expect(two.meter.registers.wh).toBe(5_000_000);
  expect(two.meter.registers.counter).toBe(one.meter.registers.counter);
  expect(two.meter.registers.clients).toEqual(one.meter.registers.clients);
});
