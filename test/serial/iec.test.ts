/** Meters of IEC 62056-21 and a GNSS receiver over real ttys, through the bus. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { startSerial } from '../../edge/intake/serial/serial.ts';
import { type EpochTruth, Receiver, ReplayReceiver } from '../../firmware-sim/serial/gnss.ts';
import { type IecTruth, ModeCMeter, ModeDMeter } from '../../firmware-sim/serial/iec.ts';
import { SerialLine } from '../../firmware-sim/serial/line.ts';
import { P1Meter, type P1Truth } from '../../firmware-sim/serial/p1.ts';
import type { WireStation } from '../../firmware-sim/serial/station.ts';
import { driverOf } from '../drivers/iec62056/setup.ts';
import { Collector, workFolder } from './rig.ts';

const FORMAT = { dataBits: 8, parity: 'none', stopBits: 1 } as const;

function site(
  wires: Record<
    string,
    { baudRate: number; stations: WireStation[]; devices: Record<string, object>; profile: string; settings?: object }
  >,
) {
  const folder = workFolder();
  const collector = new Collector();
  const lines = new Map<string, SerialLine>();
  const ports = Object.entries(wires).map(([name, { baudRate, stations, devices, profile, settings }]) => {
    const path = folder.path(name);
    const line = new SerialLine(path, stations, 7);
    lines.set(name, line);
    line.plug();
    return {
      name: path,
      place: { path },
      line: { ...FORMAT, baudRate },
      timeoutMs: 300,
      devices: Object.entries(devices).map(([did, device]) => ({
        did,
        label: did,
        driver: driverOf(profile, device, settings),
        driverName: profile,
        everySeconds: 0.1,
        priority: 'normal' as const,
      })),
    };
  });
  const serial = startSerial({ ports }, collector.hooks);
  onTestFinished(async () => {
    await serial.stop();
    for (const line of lines.values()) await line.unplug();
    folder.remove();
  });
  return { collector, lines, serial };
}

const energy = (seed: number) => ({
  seed,
  now: Date.now,
  powerW: (ms: number) => 400 + (Math.floor(ms / 1000) % 60) * 1000,
});

it('P1, mode D and a receiver are heard, two mode C meters on one line are asked; what comes is what they said', async () => {
  const p1 = new P1Meter({ ...energy(1), everyMs: 60, gasChannel: 1 });
  const push = new ModeDMeter({ ...energy(2), everyMs: 60 });
  const receiver = new Receiver({ seed: 3, now: Date.now, everyMs: 160 });
  const a = new ModeCMeter({ ...energy(4), address: '11111111', signOnBaudRate: 2400, reactionMs: 200 });
  const b = new ModeCMeter({ ...energy(5), address: '22222222', signOnBaudRate: 2400, reactionMs: 200, echo: true });
  const said = {
    p1: [] as P1Truth[],
    push: [] as IecTruth[],
    gnss: [] as EpochTruth[],
    a: [] as IecTruth[],
    b: [] as IecTruth[],
  };
  p1.onTelegram = (t) => said.p1.push(t);
  push.onTelegram = (t) => said.push.push(t);
  receiver.onEpoch = (t) => said.gnss.push(t);
  // Asked of the kernel while the block is on its way, and while somebody signs on.
  const speeds = new Set<string>();
  const speed = () =>
    execFileSync('stty', ['-F', lines.get('port')?.path ?? '', 'speed'])
      .toString()
      .trim();
  a.onBlock = (t) => {
    said.a.push(t);
    speeds.add(`block ${speed()}`);
  };
  const signedOn = b.hear.bind(b);
  b.hear = (chunk) => {
    if (chunk[0] === 0xaf) speeds.add(`sign-on ${speed()}`);
    signedOn(chunk);
  };
  b.onBlock = (t) => said.b.push(t);
  const { collector, lines } = site({
    p1: { baudRate: 115_200, stations: [p1], devices: { p1: {} }, profile: 'meter-p1' },
    push: { baudRate: 2400, stations: [push], devices: { push: {} }, profile: 'meter-iec-push' },
    gnss: { baudRate: 9600, stations: [receiver], devices: { gnss: {} }, profile: 'gnss' },
    port: {
      baudRate: 300,
      stations: [a, b],
      devices: { a: { address: 11111111 }, b: { address: '22222222' } },
      profile: 'meter-iec',
      // 200 ms for six characters at 300 baud would be most of the test.
      settings: { signOnBaudRate: 2400 },
    },
  });
  const all = ['p1', 'push', 'gnss', 'a', 'b'] as const;
  await collector.until('three readings of each', () => all.every((did) => collector.of(did).length >= 3));

  for (const did of ['p1', 'push', 'a', 'b'] as const)
    for (const { energy: wh } of collector.of(did)) expect(said[did].map((t) => t.takenWh)).toContain(wh);
  const [gas] = collector.of('p1').map(({ records }) => records.find((r) => r.n === '7-0:3.0.0'));
  expect(gas?.t).toBeLessThanOrEqual(Date.now() / 1000);
  for (const { records } of collector.of('gnss')) {
    const value = (name: string) => records.find((r) => r.n === name)?.v as number;
    expect(
      said.gnss.some(
        (t) =>
          Math.abs(t.latitude - value('Vehicle.CurrentLocation.Latitude')) < 1e-6 &&
          Math.abs(t.longitude - value('Vehicle.CurrentLocation.Longitude')) < 1e-6 &&
          Math.abs(t.speedKmh - value('Vehicle.Speed')) < 1e-6,
      ),
    ).toBe(true);
  }
  const qualities = (did: string) => [...new Set(collector.of(did).map((s) => s.reading.quality))];
  expect(all.map(qualities)).toEqual([
    ['Good'],
    ['Uncertain: the telegram has no checksum, only parity'],
    ['Good'],
    ['Good'],
    ['Good'],
  ]);
  expect([...speeds].sort()).toEqual(['block 9600', 'sign-on 2400']);
  expect(a.rates.concat(b.rates).every((rate) => rate === '5')).toBe(true);
});

it('with one byte in a hundred damaged, what comes is still only what was said', async () => {
  const p1 = new P1Meter({ ...energy(1), everyMs: 5, brief: true });
  const receiver = new Receiver({ seed: 3, now: Date.now, everyMs: 10 });
  const said = { p1: new Set<number>(), gnss: new Set<string>() };
  p1.onTelegram = (t) => said.p1.add(t.takenWh);
  receiver.onEpoch = (t) => said.gnss.add(t.latitude.toFixed(6));
  const { collector, lines } = site({
    p1: { baudRate: 115_200, stations: [p1], devices: { p1: {} }, profile: 'meter-p1' },
    gnss: { baudRate: 9600, stations: [receiver], devices: { gnss: {} }, profile: 'gnss' },
  });
  for (const line of lines.values()) line.faults.corrupt = 0.01;
  await collector.until(
    'readings through the noise',
    () => collector.of('p1').length >= 5 && collector.of('gnss').length >= 20,
  );
  for (const { energy: wh } of collector.of('p1')) expect([...said.p1]).toContain(wh);
  for (const { records } of collector.of('gnss')) {
    const latitude = records.find((r) => r.n === 'Vehicle.CurrentLocation.Latitude')?.v as number;
    expect(said.gnss.has(latitude.toFixed(6))).toBe(true);
  }
});

const RECORDING = new URL('../../../shared/vectors/nmea/neo-m8n.log', import.meta.url);
const there = existsSync(RECORDING);
if (!there) console.warn(`Skipped: a recording played to a tty, because ${RECORDING.pathname} is absent.`);
it.skipIf(!there)('a recording is played to a tty as gpsfake does it', async () => {
  const receiver = new ReplayReceiver({ recording: new Uint8Array(readFileSync(RECORDING)), lineMs: 1, cycle: true });
  const { collector } = site({
    gnss: { baudRate: 9600, stations: [receiver], devices: { gnss: {} }, profile: 'gnss' },
  });
  await collector.values(5, 'gnss');
  for (const { reading } of collector.of('gnss')) {
    expect(reading.records[0]).toMatchObject({ n: 'Vehicle.CurrentLocation.Latitude', u: 'lat' });
    expect(reading.records[0]?.v).toBeCloseTo(44.06899, 4);
    // Of 2015: it dates nothing.
    expect(reading.quality).toMatch(/^Uncertain: the receiver's date 2015-03-18/);
    expect(Math.abs(reading.atMs - Date.now())).toBeLessThan(20_000);
  }
});
