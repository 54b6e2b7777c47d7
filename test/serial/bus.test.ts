import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Driver } from '../../edge/drivers/driver.ts';
import { rs485Bytes } from '../../edge/intake/serial/rs485.ts';
import {
  type SerialDeviceConfig,
  type SerialDeviceState,
  type SerialPortConfig,
  startSerial,
} from '../../edge/intake/serial/serial.ts';
import { listUsb, lookForUsbIn } from '../../edge/intake/serial/usb.ts';
import type { Place } from '../../edge/intake/serial/wire.ts';
import { type Pace, SerialLine } from '../../firmware-sim/serial/line.ts';
import { type Measured, sdm630 } from '../../firmware-sim/serial/maps.ts';
import { startModbusTcp } from '../../firmware-sim/serial/modbus.ts';
import { Collector, driverOf, openTerminals, workFolder } from './rig.ts';
import { asker, listener, WordStation } from './words.ts';

let folder: ReturnType<typeof workFolder>;
let seen: Collector;
let terminals: string[];
let cleanup: (() => Promise<void> | void)[];

beforeEach(() => {
  folder = workFolder();
  seen = new Collector();
  terminals = openTerminals();
  cleanup = [];
});

afterEach(async () => {
  for (const stop of cleanup.reverse()) await stop();
  expect(openTerminals()).toEqual(terminals);
  folder.remove();
});

/** A line with a station for each letter of `names`. */
function plug(names: string, pace?: Pace) {
  const stations = Object.fromEntries([...names].map((name) => [name, new WordStation(name)]));
  const line = new SerialLine(folder.path('tty'), Object.values(stations), 5, pace);
  line.plug();
  cleanup.push(() => line.unplug());
  return { line, station: (name: string) => stations[name] as WordStation };
}

type Device = Partial<SerialDeviceConfig> & { driver: Driver };

/** One device for each name; its DID is its name. */
function start(
  devices: Record<string, Device>,
  { place = { path: folder.path('tty') }, ...over }: Partial<SerialPortConfig> & { place?: Place } = {},
) {
  const serial = startSerial(
    {
      ports: [
        {
          name: 'the line',
          place,
          line: { baudRate: 115200, parity: 'none', dataBits: 8, stopBits: 1 },
          timeoutMs: 100,
          ...over,
          devices: Object.entries(devices).map(([name, device]) => ({
            did: name,
            label: `device ${name}`,
            driverName: 'words',
            everySeconds: 0.05,
            ...device,
          })),
        },
      ],
    },
    seen.hooks,
  );
  cleanup.push(() => serial.stop());
  return {
    ...serial,
    port: () => serial.state()[0]!,
    device: (name: string) => serial.state()[0]!.devices.find(({ did }) => did === name)!,
  };
}

const gapsOf = (times: readonly number[]) => times.slice(1).map((at, i) => at - (times[i] as number));
const count = (name: string) => seen.of(name).length;

describe('the bus', () => {
  it('a dead device costs at most 5 % of the time, and all others keep their schedule', async () => {
    const { station } = plug('ABCD');
    const every = 0.15;
    const serial = start({
      A: { driver: asker('A'), everySeconds: every },
      B: { driver: asker('B'), everySeconds: every },
      C: { driver: asker('C'), everySeconds: every },
      D: { driver: asker('D'), everySeconds: every },
    });
    await seen.until('all of them', () => [...'ABCD'].every((name) => count(name) > 2));
    station('D').silent = true;
    const from = performance.now();
    const costBefore = serial.device('D').busMs;
    await seen.line('device D on the line: no answer');
    await seen.values(25, 'A');
    const elapsed = performance.now() - from;
    const cost = serial.device('D').busMs - costBefore;
    // The first two timeouts come on top: one lost answer is no death. 20 ms are for what this machine takes.
    expect(cost).toBeLessThan(elapsed / 20 + 2 * 100 + 20);
    for (const name of 'ABC') {
      const { asked } = station(name);
      const since = asked.filter((at) => at >= from);
      expect(since.length).toBeGreaterThan((0.7 * elapsed) / 150);
      // Late by one timeout of the dead one at the most. Where this machine itself stands still, no bus can help it.
      const gaps = gapsOf(since).sort((a, b) => a - b);
      expect(gaps[Math.floor(0.9 * gaps.length)]).toBeLessThan(150 + 100 + 60);
    }
    expect(serial.device('D').wastedMs).toBeGreaterThan(0);
    station('D').silent = false;
    await seen.line('device D on the line: gives values again');
  });

  it('where none is well, none has to wait for the sake of the others', async () => {
    const { station } = plug('AB');
    const serial = start({ A: { driver: asker('A') }, B: { driver: asker('B') } });
    await seen.values(1, 'A');
    station('B').silent = true;
    await seen.until('B has to wait', () => (serial.device('B').errors['no-answer'] ?? 0) >= 4);
    station('A').silent = true;
    await seen.until('A is failing, too', () => serial.device('A').state === 'failing');
    // At 5 % of the time this would take twenty seconds and more.
    const [from, before] = [performance.now(), serial.device('A').polls + serial.device('B').polls];
    await seen.until('tries', () => serial.device('A').polls + serial.device('B').polls >= before + 10);
    expect(performance.now() - from).toBeLessThan(8000);
    station('A').silent = false;
    station('B').silent = false;
    await seen.values(1, 'A');
    await seen.values(1, 'B', 3000);
  });

  it('a device that is slow, and not dead, comes back although the bus is busy', async () => {
    const { station } = plug('AB');
    const serial = start({ A: { driver: asker('A') }, B: { driver: asker('B') } });
    await seen.values(1, 'B');
    station('B').silent = true;
    await seen.until('silences', () => (serial.device('B').errors['no-answer'] ?? 0) >= 2);
    station('B').silent = false;
    // More than there is between two polls of A.
    station('B').delayMs = 80;
    await seen.values(1, 'B');
  });

  it('on a bus with more to do than it can, the higher priority keeps its schedule, and none waits for ever', async () => {
    const { station } = plug('HMNOL');
    for (const name of 'HMNOL') station(name).delayMs = 12;
    const normal = (name: string) => ({ driver: asker(name), everySeconds: 0.02 });
    const serial = start(
      {
        L: { driver: asker('L'), everySeconds: 0.02, priority: 'low' },
        ...{ M: normal('M'), N: normal('N'), O: normal('O') },
        H: { driver: asker('H'), everySeconds: 0.06, priority: 'high' },
      },
      { timeoutMs: 150 },
    );
    await seen.values(1, 'H');
    await seen.values(15, 'H');
    const [high, middle, low] = ['H', 'N', 'L'].map(serial.device) as [
      SerialDeviceState,
      SerialDeviceState,
      SerialDeviceState,
    ];
    expect(high.skipped).toBeLessThan(high.polls / 2);
    expect(middle.skipped).toBeGreaterThan(middle.polls);
    expect(middle.polls).toBeGreaterThan(2 * low.polls);
    await seen.until('the low one, too', () => count('L') >= 2);
    expect(serial.device('H').latestMs).toBeLessThan(serial.device('L').latestMs);
  });

  it('a long discovery does not hold up who is known, and a driver that needs the line whole has it', async () => {
    const { station } = plug('ABW');
    const order: string[] = [];
    for (const name of 'ABW') {
      station(name).delayMs = 5;
      station(name).onAsked = () => order.push(name);
    }
    start({
      A: { driver: asker('A'), everySeconds: 0.02 },
      B: { driver: asker('B', { times: 20, discovered: false }), everySeconds: 10 },
      W: { driver: asker('W', { times: 6, whole: true }), everySeconds: 0.2 },
    });
    await seen.values(1, 'B');
    await seen.values(2, 'W');
    const all = order.join('');
    expect(all.split('W').filter((part) => part !== '').length).toBeGreaterThan(1);
    for (const together of all.match(/W+/g) ?? [])
      expect(together.length % 6 === 0 || all.endsWith(together)).toBe(true);
    expect(Math.max(...(all.match(/B+/g) ?? []).map((run) => run.length))).toBeLessThan(15);
    expect(all).toMatch(/BA/);
  });

  it('a poll that takes too long is ended as late, and not waited for by the others', async () => {
    plug('AB').station('B').delayMs = 15;
    const endless = asker('B', { times: 1_000_000, whole: true });
    const serial = start({
      A: { driver: asker('A') },
      B: { driver: endless, deadlineSeconds: 0.3, everySeconds: 0.1 },
    });
    await seen.line('device B on the line: the poll was not done within 0.3 s');
    expect(serial.device('B')).toMatchObject({ state: 'failing', values: 0, errors: { late: 1 } });
    await seen.values(count('A') + 1, 'A');
    // It had 0.3 s; once more it is tried soon, and then it waits for twenty times as much.
    expect(serial.device('B').polls).toBeLessThanOrEqual(2);
  });

  it('a device that asks for a pause is asked again after it, and others have the line meanwhile', async () => {
    const { station } = plug('AB');
    start(
      {
        A: { driver: asker('A'), everySeconds: 0.02 },
        B: { driver: asker('B', { times: 2, afterMs: 120 }), everySeconds: 60 },
      },
      { timeoutMs: 2000 },
    );
    await seen.values(1, 'B');
    const [first, second] = station('B').asked as [number, number];
    expect(second - first).toBeGreaterThanOrEqual(118);
    expect(station('A').asked.filter((at) => at > first && at < second).length).toBeGreaterThan(2);
  });

  it('leaves at least the gap that the config asks for', async () => {
    const { station } = plug('A');
    start({ A: { driver: asker('A', { times: 5 }) } }, { gapMs: 20 });
    await seen.values(1);
    expect(Math.min(...gapsOf(station('A').asked.slice(0, 5)))).toBeGreaterThanOrEqual(19);
  });

  it('a reading has the time at which its last byte came, not that of its acceptance', async () => {
    plug('A').station('A').delayMs = 40;
    const from = Date.now();
    seen.onSubmit = () => new Promise((resolve) => setTimeout(resolve, 100));
    start({ A: { driver: asker('A') } });
    await seen.values(2);
    for (const { reading } of seen.submitted) {
      expect(reading.quality).toBe('Good');
      expect(reading.atMs).toBeGreaterThanOrEqual(from + 38);
    }
    const [one, two] = seen.submitted;
    expect(two!.reading.atMs - one!.reading.atMs).toBeGreaterThan(90);
  });

  it('changes the rate within an exchange, and puts it back after the job', async () => {
    const { station } = plug('AB');
    const rate = () => Number(execFileSync('stty', ['-F', folder.path('tty'), 'speed'], { encoding: 'utf8' }));
    const rates: Record<string, number[]> = { A: [], B: [] };
    for (const name of 'AB') station(name).onAsked = () => rates[name]!.push(rate());
    start({
      A: { driver: asker('A', { baudRate: 300, thenBaudRate: 9600, times: 2, whole: true }), everySeconds: 0.3 },
      B: { driver: asker('B'), everySeconds: 0.1 },
    });
    await seen.values(2, 'A');
    await seen.values(2, 'B');
    expect(new Set(rates.A)).toEqual(new Set([300]));
    expect(new Set(rates.B)).toEqual(new Set([115200]));
  });
});

describe('devices that speak by themselves', () => {
  it('hands on the newest in each interval, and not more often', async () => {
    const { station } = plug('P');
    const serial = start({ P: { driver: listener('P'), everySeconds: 0.2 } });
    await seen.until('open', () => serial.port().state === 'open');
    const from = Date.now();
    const telling = setInterval(() => station('P').say(`P=${++station('P').value}`), 10);
    cleanup.push(() => clearInterval(telling));
    await seen.values(6);
    clearInterval(telling);
    const gaps = gapsOf(seen.submitted.map(({ at }) => at));
    // One may be a tenth early, so that a device that speaks each 9.99 s is not heard each 20 s.
    expect(Math.min(...gaps)).toBeGreaterThan(140);
    expect(gaps.reduce((a, b) => a + b)).toBeGreaterThan(5 * 180 - 20);
    const energies = seen.submitted.map(({ energy }) => energy);
    expect(energies).toEqual([...energies].sort((a, b) => a - b));
    // Ten or more were said in each interval; the newest has its own time.
    expect(energies[5]! - energies[0]!).toBeGreaterThan(40);
    for (const { reading } of seen.submitted) expect(reading.atMs).toBeGreaterThanOrEqual(from);
    expect(serial.device('P').skipped).toBeGreaterThan(30);
    // What was said last is handed on although nothing comes after it.
    const last = station('P').value;
    await seen.until('the last', () => seen.submitted.at(-1)?.energy === last);
  });

  it('is failing when nothing good was heard for long, and says when it is well again', async () => {
    const { station } = plug('P');
    const serial = start({ P: { driver: listener('P') } }, { timeoutMs: 10 });
    await seen.line('device P on the line: nothing heard for 0 s');
    expect(serial.device('P')).toMatchObject({ state: 'failing', errors: { 'no-answer': 1 } });
    station('P').say('P=7');
    await seen.line('device P on the line: gives values again');
    expect(serial.device('P')).toMatchObject({ state: 'ok', error: undefined });
    // A damaged telegram alone is counted, and no more.
    station('P').say('P=8!');
    await seen.until('counted', () => serial.device('P').errors.corrupt === 1);
    expect(serial.device('P').state).toBe('ok');
    await seen.line('nothing good heard for 0 s; the last: a wrong checksum');
    expect(seen.submitted.map(({ energy }) => energy)).toEqual([7]);
  });

  it('share a line with those that are asked, and neither takes what is the other’s', async () => {
    const { station } = plug('AP', { baudRate: 38400 });
    station('A').value = 1000;
    const serial = start(
      {
        A: { driver: asker('A', { silenceMs: 900 }), everySeconds: 0.05 },
        P: { driver: listener('P'), everySeconds: 0.01 },
      },
      { timeoutMs: 1000 },
    );
    await seen.until('open', () => serial.port().state === 'open');
    const telling = setInterval(() => station('P').say(`P=${++station('P').value}`), 35);
    cleanup.push(() => clearInterval(telling));
    await seen.values(30, 'A');
    clearInterval(telling);
    expect(seen.of('A').every(({ energy }) => energy > 1000)).toBe(true);
    const heard = seen.of('P').map(({ energy }) => energy);
    expect(heard.length).toBeGreaterThan(20);
    expect(new Set(heard).size).toBe(heard.length);
    expect(heard.every((energy) => energy <= station('P').value)).toBe(true);
    // Only what came in one piece with the end of an answer may be missed.
    expect(heard.length).toBeGreaterThan(0.7 * station('P').value);
    expect(serial.device('A').errors).toEqual({});
  });
});

describe('where the port is', () => {
  /** A tree as sysfs has it, for adapters by the name of their tty. */
  function adapters(now: Record<string, { serial: string; vendor?: string; product?: string }>) {
    rmSync(folder.path('sys'), { recursive: true, force: true });
    mkdirSync(folder.path('sys/class/tty'), { recursive: true });
    for (const [name, { serial, vendor = '0403', product = '6001' }] of Object.entries(now)) {
      const device = folder.path(`sys/devices/usb1/1-${serial}`);
      const tty = `${device}/1-${serial}:1.0/${name}`;
      mkdirSync(`${tty}/tty/${name}`, { recursive: true });
      writeFileSync(`${device}/idVendor`, `${vendor}\n`);
      writeFileSync(`${device}/idProduct`, `${product}\n`);
      writeFileSync(`${device}/serial`, `${serial}\n`);
      symlinkSync(tty, `${tty}/tty/${name}/device`);
      symlinkSync(`${tty}/tty/${name}`, folder.path(`sys/class/tty/${name}`));
    }
    lookForUsbIn({ sys: folder.path('sys'), dev: dirname(folder.path('x')) });
    cleanup.push(() => lookForUsbIn({ sys: '/sys', dev: '/dev' }));
  }

  it('a USB adapter that comes back under another name is found by what it is', async () => {
    const station = new WordStation('A');
    const line = new SerialLine(folder.path('ttyUSB0'), [station], 5);
    const other = new SerialLine(folder.path('ttyUSB0'), [new WordStation('A')], 6);
    cleanup.push(
      () => line.unplug(),
      () => other.unplug(),
    );
    adapters({ ttyUSB3: { serial: 'FTOTHER' } });
    const serial = start({ A: { driver: asker('A') } }, { place: { usb: { serialNumber: 'FT1', vendorId: '0403' } } });
    await seen.line(`usb 0403:* FT1: no such adapter now (there are ${folder.path('ttyUSB3')} 0403:6001 FTOTHER)`);
    line.plug();
    adapters({ ttyUSB0: { serial: 'FT1' } });
    await seen.values(2);
    const asked = station.asked.length;
    // Unplugged; another takes its name; and it comes back as ttyUSB1.
    await line.unplug();
    adapters({ ttyUSB0: { serial: 'FTOTHER' } });
    other.plug();
    await seen.line('ttyUSB0: no such port now');
    line.plug(folder.path('ttyUSB1'));
    adapters({ ttyUSB0: { serial: 'FTOTHER' }, ttyUSB1: { serial: 'FT1' } });
    await seen.values(2);
    expect(station.asked.length).toBeGreaterThan(asked);
    expect((other.stations[0] as WordStation).asked).toEqual([]);
    expect(serial.port()).toMatchObject({ state: 'open', opens: 2 });
    expect(await listUsb()).toEqual([
      { path: folder.path('ttyUSB0'), vendorId: '0403', productId: '6001', serialNumber: 'FTOTHER' },
      { path: folder.path('ttyUSB1'), vendorId: '0403', productId: '6001', serialNumber: 'FT1' },
    ]);
  });

  it('two adapters that fit are not guessed between', async () => {
    adapters({ ttyUSB0: { serial: 'FT1' }, ttyUSB1: { serial: 'FT2' } });
    start({ A: { driver: asker('A') } }, { place: { usb: { vendorId: '0403', productId: '6001' } } });
    await seen.line(/usb 0403:6001: .*ttyUSB0 0403:6001 FT1 and .*ttyUSB1 0403:6001 FT2 are both meant/);
  });

  it('a by-id link that leads elsewhere after a replug is followed', async () => {
    const station = new WordStation('A');
    const line = new SerialLine(folder.path('ttyUSB0'), [station], 5);
    line.plug();
    cleanup.push(() => line.unplug());
    symlinkSync('ttyUSB0', folder.path('by-id'));
    const serial = start({ A: { driver: asker('A') } }, { place: { path: folder.path('by-id') } });
    await seen.values(2);
    await line.unplug();
    rmSync(folder.path('by-id'));
    await seen.until('away', () => serial.port().state === 'away');
    line.plug(folder.path('ttyUSB7'));
    symlinkSync('ttyUSB7', folder.path('by-id'));
    await seen.values(2);
  });

  it('RS-485 is asked of the driver, and where it has none that is said', async () => {
    plug('A');
    start({ A: { driver: asker('A') } }, { rs485: { delayBeforeMs: 1 } });
    await seen.line("tty: the port's driver has no RS-485 mode (errno 25)");
    // struct serial_rs485 of linux/serial.h: enabled, RTS on send; enabled, RTS after send, hears itself.
    const words = (bytes: Uint8Array) => [...new Uint32Array(bytes.buffer)];
    expect(words(rs485Bytes({}))).toEqual([3, 0, 0, 0, 0, 0, 0, 0]);
    expect(
      words(rs485Bytes({ rtsOnSend: false, receiveWhileSending: true, delayBeforeMs: 2, delayAfterMs: 3 })),
    ).toEqual([21, 2, 3, 0, 0, 0, 0, 0]);
  });

  it('a socket: refused, connected, closed by the device, and connected again by itself', async () => {
    const sockets = new Set<Socket>();
    let served = 0;
    const serve = async (port: number) => {
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => sockets.delete(socket));
        const station = new WordStation('A');
        station.onAsked = () => served++;
        station.plug((bytes) => socket.write(bytes));
        socket.on('data', (chunk) => station.hear(chunk));
      });
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
      const stop = () => {
        for (const socket of sockets) socket.destroy();
        return new Promise<void>((resolve) => server.close(() => resolve()));
      };
      return { port: (server.address() as { port: number }).port, stop };
    };
    const first = await serve(0);
    const { port } = first;
    await first.stop();
    const serial = start({ A: { driver: asker('A') } }, { place: { tcp: `127.0.0.1:${port}` } });
    await seen.line(`127.0.0.1:${port}: connection refused`);
    const second = await serve(port);
    await seen.values(2);
    expect(served).toBeGreaterThanOrEqual(2);
    await second.stop();
    await seen.line('the device closed the connection');
    const third = await serve(port);
    cleanup.push(third.stop);
    await seen.values(2);
    expect(serial.port().opens).toBe(2);
    expect(seen.lines.filter((line) => line.includes('the port is back'))).toHaveLength(2);
  });

  it('a socket whose device says nothing any more is connected anew, without a word', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on('error', () => {});
      // The first connection is half dead, as after a power cut of the device.
      socket.resume();
      if (connections === 1) return;
      const station = new WordStation('A');
      station.plug((bytes) => socket.write(bytes));
      socket.on('data', (chunk) => station.hear(chunk));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    cleanup.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
    start({ A: { driver: asker('A') } }, { place: { tcp: `127.0.0.1:${port}` }, timeoutMs: 40 });
    await seen.values(2);
    expect(connections).toBe(2);
    expect(seen.lines.filter((line) => line.includes('SERIAL_AWAY'))).toEqual([]);
  });

  it('Modbus TCP: the same driver over a socket, and a dead unit behind it beside a good one', async () => {
    const measured = (): Measured => ({
      importWh: 1_234_000n,
      exportWh: 0n,
      powerW: 500,
      volts: [230, 230, 230],
      hertz: 60,
    });
    const twin = await startModbusTcp({ units: [1], registers: sdm630(measured) });
    cleanup.push(() => twin.stop());
    const device = (unitId: number) => ({ driver: driverOf('meter-modbus', { unitId }, 'tcp'), everySeconds: 0.1 });
    const serial = start({ A: device(1), B: device(2) }, { place: { tcp: `127.0.0.1:${twin.port}` } });
    await seen.values(5, 'A');
    expect(seen.of('A').every(({ records }) => records[0]?.v === 1_234_000)).toBe(true);
    await seen.until('the other is failing', () => serial.device('B').state === 'failing');
    expect(count('B')).toBe(0);
    expect(serial.port()).toMatchObject({ state: 'open', opens: 1 });
  });
});
