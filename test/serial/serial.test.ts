import { writeFileSync } from 'node:fs';
import { ServerSerial } from 'modbus-serial';
import { SerialPort } from 'serialport';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LineFormat } from '../../edge/drivers/driver.ts';
import { type SerialDeviceConfig, type SerialPortConfig, startSerial } from '../../edge/intake/serial/serial.ts';
import { openPty } from '../../firmware-sim/serial/pty.ts';
import { Inverter, type InverterOptions, inverterLine } from '../../firmware-sim/serial/twin.ts';
import { Collector, driverOf, openTerminals, workFolder } from './rig.ts';

/** Registers of model 103 with its header, up to the last that the profile asks for: what a poll reads. */
const BLOCK = 39;

/** Simulated time stands still but for what a test adds: a value can be told to the Wh. */
let now: number;
let folder: ReturnType<typeof workFolder>;
let seen: Collector;
let terminals: string[];
let cleanup: (() => Promise<void>)[];

beforeEach(() => {
  now = 1_700_000_000_000;
  folder = workFolder();
  seen = new Collector();
  terminals = openTerminals();
  cleanup = [];
});

/** Each test ends here: all stopped, no terminal left open. */
afterEach(async () => {
  for (const stop of cleanup.reverse()) await stop();
  expect(openTerminals()).toEqual(terminals);
  folder.remove();
});

function plug(name: string, first: Partial<InverterOptions> = {}, ...others: Partial<InverterOptions>[]) {
  const inverters = [first, ...others].map(
    (over, i) => new Inverter({ unitId: i + 1, seed: i, now: () => now, powerW: () => 0, startWh: 1000, ...over }),
  );
  const line = inverterLine(folder.path(name), inverters, 7);
  line.plug();
  cleanup.push(() => line.unplug());
  return { line, inverter: inverters[0]!, inverters };
}

type Device = Omit<SerialDeviceConfig, 'did' | 'label'> & { unitId: number };

function start(
  name: string,
  devices: Partial<Device>[] = [{}],
  { baudRate = 115200, parity = 'none', ...over }: Partial<LineFormat> & Partial<SerialPortConfig> = {},
) {
  const serial = startSerial(
    {
      ports: [
        {
          name: folder.path(name),
          place: { path: folder.path(name) },
          line: { baudRate, parity, dataBits: 8, stopBits: 1 },
          timeoutMs: 200,
          devices: devices.map(({ unitId, ...device }, i) => ({
            did: `did:key:z6Mk${i + 1}`,
            label: `unit ${unitId ?? i + 1}`,
            driver: driverOf('pv-sunspec', { unitId: unitId ?? i + 1 }),
            driverName: 'sunspec',
            everySeconds: 0.05,
            ...device,
          })),
          ...over,
        },
      ],
    },
    seen.hooks,
  );
  cleanup.push(() => serial.stop());
  return { ...serial, port: () => serial.state()[0]!, device: (i = 0) => serial.state()[0]!.devices[i]! };
}

const ONE = 'did:key:z6Mk1';
const TWO = 'did:key:z6Mk2';
const warnings = () => seen.lines.filter((line) => line.startsWith('warn'));

describe('intake over serial', () => {
  it('gives the registers of an inverter, the energy first, and says once what it found', async () => {
    plug('tty', { startWh: 3_210_987, powerW: () => 4321, seed: 42 });
    const serial = start('tty', [{}], { baudRate: 9600, parity: 'even' });
    await seen.values(3);
    const { records } = seen.submitted[0]!;
    expect(records.slice(0, 2)).toEqual([
      { n: '1-0:2.8.0', u: 'Wh', v: 3_210_987 },
      { n: '1-0:16.7.0', u: 'W', v: 4321 },
    ]);
    expect(records.slice(2).map(({ n, u }) => [n, u])).toEqual([
      ['sunspec:103.A', 'A'],
      ['sunspec:103.PhVphA', 'V'],
      ['sunspec:103.PhVphB', 'V'],
      ['sunspec:103.PhVphC', 'V'],
      ['sunspec:103.Hz', 'Hz'],
      ['sunspec:103.TmpCab', 'Cel'],
      ['sunspec:103.St', undefined],
      ['sunspec:103.WH_SF', undefined],
    ]);
    expect(records.find((r) => r.n === 'sunspec:103.Hz')?.v).toBeCloseTo(60, 0);
    expect(seen.lines).toEqual([
      `info: unit 1 on ${folder.path('tty')}: Sejong Twin PV-3P 1.0 serial number SE0000002a001, models 1, 103 at 40000`,
    ]);
    await serial.stop();
    expect(serial.port()).toMatchObject({ state: 'closed', opens: 1 });
    expect(serial.device()).toMatchObject({ state: 'ok', values: seen.submitted.length, errors: {} });
  });

  it('follows the energy as it grows', async () => {
    const { inverter } = plug('tty', { powerW: () => 3_600_000 });
    const held: number[] = [];
    inverter.onRead = (_address, { length }) => {
      if (length === BLOCK) {
        held.push(inverter.whRegister);
        now += 1000;
      }
    };
    start('tty');
    await seen.values(10);
    expect(seen.submitted.map((s) => s.energy)).toEqual(held.slice(0, seen.submitted.length));
    expect(held[9]).toBe(held[0]! + 9000);
  });

  it('a scale factor that changes at every request never tears a value', async () => {
    const { inverter } = plug('tty', { startWh: 7_654_321 });
    let requests = 0;
    inverter.onRead = () => {
      inverter.whScale = [0, 3, -2][requests++ % 3]!;
    };
    start('tty');
    await seen.values(24);
    expect(new Set(seen.submitted.map((s) => s.energy))).toEqual(new Set([7_654_321, 7_654_000]));
  });

  it('past the end of acc32 it gives the register as it is', async () => {
    const { inverter } = plug('tty', { powerW: () => 7_200_000 });
    inverter.wh = 2n ** 32n - 5n;
    seen.onSubmit = () => {
      now += 1000;
    };
    start('tty', [{ everySeconds: 0.02 }]);
    await seen.values(6);
    expect(seen.submitted.slice(0, 4).map((s) => s.energy)).toEqual([2 ** 32 - 5, 1995, 3995, 5995]);
  });

  it('no energy, no submit: WH of zero, then a real one', async () => {
    const { inverter } = plug('tty', { startWh: 0 });
    const serial = start('tty');
    await seen.line('WH is not implemented');
    await seen.until('three polls', () => serial.device().polls >= 3);
    inverter.wh = 12n;
    await seen.values(1);
    expect(seen.submitted[0]?.energy).toBe(12);
    expect(serial.device().errors['no-value']).toBeGreaterThan(0);
    await seen.line('gives values again');
    expect(warnings()).toHaveLength(1);
  });

  it('one byte in fifty damaged, both ways: good values arrive, wrong ones never', { timeout: 120_000 }, async () => {
    const { inverter, line } = plug('tty', { powerW: () => 3_600_000, startWh: 5_000_000 });
    const held = new Map<number, { W: number }>();
    let last = 0;
    inverter.onRead = (_address, words) => {
      if (words.length !== BLOCK) return;
      last = inverter.whRegister;
      held.set(last, { W: words[14]! });
      now += 1000;
    };
    line.faults.corrupt = 1 / 50;
    const wrong: number[] = [];
    seen.onSubmit = ({ energy }) => {
      if (energy !== last || !held.has(energy)) wrong.push(energy);
    };
    const serial = start('tty', [{ everySeconds: 0.01 }], { timeoutMs: 30 });
    // Of ten polls one comes through whole, and on a busy machine some of those come too late.
    await seen.values(8, undefined, 100_000);
    expect(wrong).toEqual([]);
    expect(new Set(seen.submitted.map((s) => s.energy)).size).toBe(seen.submitted.length);
    expect(serial.device().errors.corrupt).toBeGreaterThan(10);
    // A line for each kind of trouble, not for each poll.
    expect(seen.lines.length).toBeLessThan(10);
  });

  it('bytes lost on the wire cost only their own poll', async () => {
    const { line } = plug('tty');
    const serial = start('tty', [{ everySeconds: 0.02 }], { timeoutMs: 60 });
    await seen.values(1);
    line.faults.lose = 1 / 100;
    await seen.until('damage', () => (serial.device().errors.corrupt ?? 0) >= 5);
    line.faults.lose = 0;
    const { polls, values } = serial.device();
    await seen.values(10);
    // Of the first poll after the damage, the first request may have been damaged.
    expect(serial.device().polls - polls).toBeLessThanOrEqual(serial.device().values - values + 2);
    expect(new Set(seen.submitted.map((s) => s.energy))).toEqual(new Set([1000]));
  });

  it('an answer that comes too late is never taken for the next one', async () => {
    const { inverter } = plug('tty', { powerW: () => 3_600_000 });
    let last = 0;
    inverter.onRead = (_address, { length }) => {
      if (length === BLOCK) last = inverter.whRegister;
      now += 1000;
    };
    seen.onSubmit = ({ energy }) => expect(energy).toBe(last);
    const serial = start('tty', [{ everySeconds: 0.05 }], { timeoutMs: 100 });
    await seen.values(2);
    const stale = seen.submitted.length;
    for (const delayMs of [130, 160, 190]) {
      inverter.faults.delayMs = delayMs;
      const silences = serial.device().errors['no-answer'] ?? 0;
      await seen.until('two silences', () => (serial.device().errors['no-answer'] ?? 0) >= silences + 2);
    }
    // One poll may have been under way when the delay began.
    expect(seen.submitted.length - stale).toBeLessThanOrEqual(1);
    inverter.faults.delayMs = 0;
    await seen.values(2);
    expect(serial.device().errors.submit).toBeUndefined();
  });

  it('a silent slave takes little of the bus, and the good one stays on schedule', async () => {
    const { inverters } = plug('tty', {}, {});
    const bad = inverters[1]!;
    const timeoutMs = 400;
    const serial = start('tty', [{ everySeconds: 0.2 }, { everySeconds: 0.2 }], { timeoutMs });
    await seen.values(2, TWO);
    bad.faults.silent = true;
    await seen.line('unit 2 on');
    await seen.line('no answer');
    const [from, goodBefore, asked] = [performance.now(), seen.of(ONE).length, serial.device(1).polls];
    await seen.values(15, ONE);
    const elapsed = performance.now() - from;
    const good = seen.of(ONE).slice(goodBefore);
    expect(good.length).toBeGreaterThanOrEqual(Math.floor(elapsed / 200) - 2);
    const gaps = good.slice(1).map((s, i) => s.at - good[i]!.at);
    expect(Math.max(...gaps)).toBeLessThan(2 * 200 + timeoutMs / 4);
    // After 2, 4, 8, 16 and then each 20 times what a try costs, in place of 15 tries.
    expect(serial.device(1).polls - asked).toBeLessThanOrEqual(4);
    expect(serial.device(1).state).toBe('failing');
    expect(warnings()).toHaveLength(1);

    bad.faults.silent = false;
    await seen.values(2, TWO);
    await seen.line(/unit 2 .*gives values again/);
  });

  it('unplugged and plugged in again under the same name: works again by itself', async () => {
    const { line, inverter } = plug('tty');
    const serial = start('tty');
    await seen.values(2);
    for (let round = 1; round <= 3; round++) {
      inverter.wh = BigInt(1000 * (round + 1));
      await line.unplug();
      await seen.until('away', () => warnings().length === round);
      expect(warnings().at(-1)).toContain('SERIAL_AWAY');
      expect(warnings().at(-1)).toContain('no such port now');
      expect(serial.port().state).toBe('away');
      const before = seen.submitted.length;
      line.plug();
      await seen.values(2);
      expect(seen.submitted.slice(before).every((s) => s.energy === 1000 * (round + 1))).toBe(true);
      expect(serial.port()).toMatchObject({ state: 'open', opens: round + 1 });
    }
    expect(seen.lines.filter((l) => l.includes('the port is back'))).toHaveLength(3);
  });

  it('unplugged as the last answer arrives, with no poll due for long: noticed within two seconds', async () => {
    const { line } = plug('tty');
    // serialport alone misses a hang-up between its read and its next poll, and spins until the next write.
    seen.onSubmit = () => line.unplug();
    const serial = start('tty', [{ everySeconds: 60 }]);
    for (let round = 1; round <= 2; round++) {
      await seen.until('open', () => serial.port().opens === round);
      await seen.until('unplugged', () => line.path === undefined);
      await seen.until('away', () => serial.port().state === 'away', 2000);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(warnings()).toHaveLength(round);
      line.plug();
    }
  });

  it('another unit: no answer, told once', async () => {
    plug('tty', { unitId: 9 });
    const serial = start('tty', [{ unitId: 8 }], { timeoutMs: 50 });
    await seen.line(
      `warn: SERIAL_VALUE: A serial device gave no usable value: unit 8 on ${folder.path('tty')}: no answer`,
    );
    await seen.until('more polls', () => serial.device().polls > 3);
    expect(seen.lines).toHaveLength(1);
    expect(seen.submitted).toEqual([]);
  });

  it('no SunS marker: one clear line', async () => {
    plug('tty', { base: 1234 });
    const serial = start('tty');
    await seen.line(`unit 1 on ${folder.path('tty')}: no SunS marker at 40000, 50000, 0`);
    await seen.until('more polls', () => serial.device().polls > 3);
    expect(serial.device().errors.mismatch).toBeGreaterThan(2);
    expect(seen.lines).toHaveLength(1);
  });

  it('an exception is named, counted, and over when it is over', async () => {
    const { inverter } = plug('tty');
    const serial = start('tty');
    await seen.values(1);
    inverter.faults.exception = 6;
    await seen.line('exception 6 (slave device busy) for registers 40070 to 40108');
    const before = seen.submitted.length;
    inverter.faults.exception = undefined;
    await seen.values(1);
    expect(seen.submitted.length).toBe(before + 1);
    expect(serial.device()).toMatchObject({ state: 'ok', error: undefined });
    expect(serial.device().errors.exception).toBeGreaterThan(0);
  });

  it('a slow or failing submit holds up its own device only, and never overlaps', async () => {
    plug('tty', {}, {});
    const under = new Map<string, number>();
    const worst = new Map<string, number>();
    seen.onSubmit = async ({ did }) => {
      under.set(did, (under.get(did) ?? 0) + 1);
      worst.set(did, Math.max(worst.get(did) ?? 0, under.get(did)!));
      await new Promise((resolve) => setTimeout(resolve, did === ONE ? 220 : 0));
      under.set(did, under.get(did)! - 1);
      if (did === ONE) throw new Error('the disk is full');
    };
    const serial = start('tty', [{}, {}]);
    await seen.values(4, ONE);
    expect(worst).toEqual(
      new Map([
        [ONE, 1],
        [TWO, 1],
      ]),
    );
    expect(seen.of(TWO).length).toBeGreaterThan(2 * seen.of(ONE).length);
    expect(serial.device(0).skipped).toBeGreaterThanOrEqual(9);
    expect(serial.device(0)).toMatchObject({ values: 0, errors: { submit: 3 } });
    expect(warnings()).toEqual([`warn: ${ONE}: the reading was not accepted: the disk is full`]);
  });

  it('a port that is not there, not a tty, held or not permitted: one line each, and it works when it can', async () => {
    const path = folder.path('tty');
    const serial = start('tty');
    await seen.line(`SERIAL_AWAY: A serial port cannot be used: ${path}: no such port now`);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(seen.lines).toHaveLength(1);
    plug('tty');
    await seen.values(1);
    await serial.stop();

    writeFileSync(folder.path('file'), '');
    const file = start('file');
    await seen.line('file: not a serial port');
    await file.stop();

    const other = new SerialPort({ path, baudRate: 9600, autoOpen: false });
    await new Promise<void>((resolve, reject) => other.open((e) => (e ? reject(e) : resolve())));
    start('tty');
    await seen.line('tty: held by another program');
    await new Promise((resolve) => other.close(resolve));
    await seen.values(1);
  });

  it.skipIf(process.getuid?.() !== 0)('permission denied is told, and goes away by itself', async () => {
    plug('tty');
    process.seteuid!(65534);
    try {
      start('tty');
      await seen.line('permission denied');
    } finally {
      process.seteuid!(0);
    }
    await seen.values(1);
  });

  it('stops at once in every state, and nothing is left open', async () => {
    const { line, inverter } = plug('tty');
    const timed = async (serial: { stop(): Promise<void> }) => {
      const from = performance.now();
      await serial.stop();
      expect(performance.now() - from).toBeLessThan(500);
      expect(openTerminals().length).toBe(terminals.length + (line.path === undefined ? 0 : 2));
      const count = seen.submitted.length + seen.lines.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(seen.submitted.length + seen.lines.length).toBe(count);
    };
    // While it opens.
    await timed(start('tty'));
    // Between polls.
    const idle = start('tty', [{ everySeconds: 60 }]);
    await seen.values(1);
    await timed(idle);
    // With a request in flight.
    inverter.faults.silent = true;
    const asking = start('tty', [{}], { timeoutMs: 10_000 });
    await seen.until('asked', () => asking.port().requests > 0);
    await timed(asking);
    inverter.faults.silent = false;
    // While a submit hangs.
    seen.onSubmit = () => new Promise(() => {});
    const hanging = start('tty');
    await seen.values(1);
    await timed(hanging);
    seen.onSubmit = undefined;
    // Unplugged just now, and while it waits to open again.
    const serial = start('tty');
    await seen.values(1);
    const unplugged = line.unplug();
    await timed(serial);
    await unplugged;
    const away = start('tty');
    await seen.line('no such port now');
    await timed(away);
    await away.stop();
  });

  it('reads a foreign slave (modbus-serial) over a null-modem pair', async () => {
    const near = openPty(folder.path('tty'));
    const far = openPty(folder.path('far'));
    near.master.on('data', (bytes) => far.master.write(bytes));
    far.master.on('data', (bytes) => near.master.write(bytes));
    const image = new Inverter({ unitId: 1, seed: 1, now: () => now, powerW: () => 800, startWh: 4_242_424 });
    const slave = new ServerSerial(
      {
        getHoldingRegister: (address, _unitId, callback) => {
          const words = image.read(address, 1);
          if (words === undefined) callback({ modbusErrorCode: 2, msg: '' } as unknown as Error, 0);
          else callback(null, words[0]!);
        },
      },
      { path: folder.path('far'), baudRate: 19200, unitID: 1 },
    );
    slave.on('error', () => {});
    await new Promise<void>((resolve) => slave.on('initialized', () => resolve()));
    cleanup.push(async () => {
      await new Promise<void>((resolve) => slave.close(() => resolve()));
      await near.close();
      await far.close();
    });
    start('tty', [{}], { baudRate: 19200, timeoutMs: 500 });
    await seen.values(3);
    expect(seen.submitted[0]?.records.slice(0, 2)).toEqual([
      { n: '1-0:2.8.0', u: 'Wh', v: 4_242_424 },
      { n: '1-0:16.7.0', u: 'W', v: 800 },
    ]);
  });
});
