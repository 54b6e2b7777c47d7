/** DLMS meters on real ttys: asked and pushing, plain and ciphered, on a bad line and over a replug. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Driver, DriverType } from '../../edge/drivers/driver.ts';
import { DRIVERS } from '../../edge/drivers/drivers.ts';
import { startSerial } from '../../edge/intake/serial/serial.ts';
import { loadProfiles } from '../../edge/profiles/load.ts';
import type { Profile } from '../../edge/profiles/profile.ts';
import { DlmsMeter } from '../../firmware-sim/serial/dlms/meter.ts';
import { DlmsPusher } from '../../firmware-sim/serial/dlms/pusher.ts';
import { SerialLine } from '../../firmware-sim/serial/line.ts';
import type { WireStation } from '../../firmware-sim/serial/station.ts';
import { Collector, openTerminals, workFolder } from './rig.ts';

const KEYS = { encryption: new Uint8Array(16).fill(1), authentication: new Uint8Array(16).fill(2) };
const SECRETS = { encryption: 'e', authentication: 'a' };
const profiles = loadProfiles();

let now: number;
let folder: ReturnType<typeof workFolder>;
let seen: Collector;
let terminals: string[];
let cleanup: (() => Promise<void>)[];
let marks: Map<string, number>;

beforeEach(() => {
  now = 1_790_000_000_000;
  folder = workFolder();
  seen = new Collector();
  terminals = openTerminals();
  cleanup = [];
  marks = new Map();
  // As accept does.
  seen.onSubmit = ({ reading }) => {
    for (const [name, mark] of Object.entries(reading.marks ?? {})) marks.set(name, mark);
  };
});
afterEach(async () => {
  for (const stop of cleanup.reverse()) await stop();
  expect(openTerminals()).toEqual(terminals);
  folder.remove();
});

let number = 0;
function driver(name: string, device: object, settings?: object): Driver {
  const profile = profiles.get(name) as Profile;
  return (DRIVERS[profile.driver as string] as DriverType).create({
    settings: settings ?? profile.settings,
    device,
    values: profile.values,
    medium: 'tty',
    secret: (secret) => (secret === 'e' ? KEYS.encryption : KEYS.authentication),
    mark: (mark) => marks.get(mark),
    nextNumber: (_name, above = -1) => {
      number = Math.max(number, above) + 1;
      return number;
    },
  });
}

function wire(name: string, stations: WireStation[], drivers: Record<string, Driver>, baudRate = 115_200) {
  const line = new SerialLine(folder.path(name), stations, 11);
  line.plug();
  cleanup.push(() => line.unplug());
  const serial = startSerial(
    {
      ports: [
        {
          name: folder.path(name),
          place: { path: folder.path(name) },
          line: { baudRate, parity: 'none', dataBits: 8, stopBits: 1 },
          timeoutMs: 100,
          devices: Object.entries(drivers).map(([did, one]) => ({
            did,
            label: did,
            driver: one,
            driverName: 'hear' in one ? 'dlms-push' : 'dlms',
            everySeconds: 0.05,
          })),
        },
      ],
    },
    seen.hooks,
  );
  cleanup.push(() => serial.stop());
  return { line, state: () => serial.state()[0]! };
}

const meter = (physical: number, more = {}) =>
  new DlmsMeter({
    logical: 1,
    physical,
    seed: physical,
    now: () => now,
    powerW: () => 900,
    startWh: 1000 * physical,
    ...more,
  });

it('two meters on one bus, one of them ciphered; each gives its own', async () => {
  wire('bus', [meter(17), meter(18, { keys: KEYS })], {
    plain: driver('meter-dlms', { address: '1/17' }),
    ciphered: driver('meter-dlms', { address: '1/18', systemTitle: '534a470000000001', secrets: SECRETS }),
  });
  await Promise.all([seen.values(3, 'plain'), seen.values(3, 'ciphered')]);
  for (const [did, wh] of [
    ['plain', 17_000],
    ['ciphered', 18_000],
  ] as const)
    for (const { records } of seen.of(did))
      expect(records.slice(0, 2)).toEqual([
        { n: '1-0:1.8.0', u: 'Wh', v: wh },
        { n: '1-0:16.7.0', u: 'W', v: 900 },
      ]);
  expect(seen.lines.filter((line) => line.startsWith('warn'))).toEqual([]);
});

it('one byte in a hundred damaged: what comes is right, asked for and pushed', async () => {
  const rising = () => {
    now += 1000;
    return now;
  };
  const asked = wire('asked', [meter(17, { powerW: () => 3600 })], {
    asked: driver('meter-dlms', { address: '1/17' }),
  });
  const pusher = new DlmsPusher({ seed: 3, now: () => now, powerW: () => 900, startWh: 7000, everyMs: 10, keys: KEYS });
  const pushed = wire('pushed', [pusher], { pushed: driver('meter-dlms-push', { secrets: SECRETS }) });
  await Promise.all([seen.values(1, 'asked'), seen.values(1, 'pushed')]);
  for (const { line } of [asked, pushed]) line.faults.corrupt = 0.01;
  rising();
  await Promise.all([seen.values(4, 'asked'), seen.values(4, 'pushed')]);
  for (const { energy } of seen.of('asked')) expect([17_000, 17_001]).toContain(energy);
  for (const { energy } of seen.of('pushed')) expect(energy).toBe(7000);
});

it('a pulled plug, and back again: the load profile goes on where it was, without a gap and without a repetition', async () => {
  const settings = { loadProfile: { obis: '1-0:99.1.0', historyHours: 2, entriesPerPoll: 5 } };
  const one = meter(17, { historySeconds: 86_400, powerW: () => 3600, startWh: 0 });
  const { line } = wire('profile', [one], { did: driver('meter-dlms', { address: '1/17' }, settings) });
  const entries = () =>
    seen.submitted.flatMap(({ records }) => records.flatMap(({ t }) => (t === undefined ? [] : [t])));
  const t = now / 1000;
  const last = t - (t % 900);
  await seen.until('all of two hours', () => entries().includes(last));
  await line.unplug();
  now += 3_600_000;
  line.plug();
  await seen.until('another hour', () => entries().includes(last + 3600));
  expect(entries()).toEqual(Array.from({ length: entries().length }, (_, i) => (entries()[0] as number) + 900 * i));
  expect(entries()[0]).toBe(last - 7200 + (t % 900 === 0 ? 0 : 900));
});
