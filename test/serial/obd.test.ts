import { afterEach, beforeEach, expect, it } from 'vitest';
import { startSerial } from '../../edge/intake/serial/serial.ts';
import { type ElmOptions, ElmStation } from '../../firmware-sim/serial/elm327.ts';
import { SerialLine } from '../../firmware-sim/serial/line.ts';
import { Collector, driverOf, openTerminals, workFolder } from './rig.ts';

const VIN = '1M8GDM9AXKP042788';

let folder: ReturnType<typeof workFolder>;
let terminals: string[];
let cleanup: (() => Promise<void>)[];

beforeEach(() => {
  folder = workFolder();
  terminals = openTerminals();
  cleanup = [];
});
afterEach(async () => {
  for (const stop of cleanup.reverse()) await stop();
  expect(openTerminals()).toEqual(terminals);
  folder.remove();
});

function drive(options: Partial<ElmOptions> = {}, everySeconds = 0.05) {
  let speedKmh = 0;
  /** Speeds that were ever asked for. */
  const driven = new Set<number>();
  const elm = new ElmStation({
    vehicle: () => {
      driven.add(speedKmh);
      return { speedKmh, odometerKm: 1000 + speedKmh / 10, fuelPercent: 60 };
    },
    vin: VIN,
    gearbox: true,
    searchMs: 30,
    answerMs: 1,
    ...options,
  });
  const line = new SerialLine(folder.path('elm'), [elm], 11);
  line.plug();
  const seen = new Collector();
  // The next one is another one: whatever is read twice is old.
  seen.onSubmit = () => {
    speedKmh = (speedKmh + 37) % 256;
  };
  const serial = startSerial(
    {
      ports: [
        {
          name: 'elm',
          place: { path: folder.path('elm') },
          line: { baudRate: 38400, dataBits: 8, parity: 'none', stopBits: 1 },
          timeoutMs: 300,
          devices: [
            {
              did: 'v',
              label: 'the vehicle',
              driver: driverOf('vehicle-obd', { vin: VIN }),
              driverName: 'obd',
              everySeconds,
            },
          ],
        },
      ],
    },
    seen.hooks,
  );
  cleanup.push(
    () => line.unplug(),
    () => serial.stop(),
  );
  return { elm, line, seen, serial, driven, at: () => speedKmh };
}

it('reads on a tty, over a pulled plug, a lost supply and an ignition that is off', async () => {
  const { elm, line, seen } = drive();
  await seen.values(3);
  await seen.line('the vehicle on elm: ELM327 v1.5, ISO 15765-4');
  elm.faults.ignition = false;
  await seen.line('is the ignition on?');
  elm.faults.ignition = true;
  await seen.values(2);
  elm.powerCycle();
  await seen.values(2);
  await line.unplug();
  await seen.line('no such port');
  line.plug();
  await seen.values(2);
  const speeds = seen.submitted.map(({ records }) => records[0]!.v);
  expect(speeds).toEqual(speeds.map((_, i) => (37 * i) % 256));
});

it('with one byte in a hundred damaged and some lost, each value is the one that the vehicle had then', async () => {
  const { line, seen, at, serial } = drive();
  await seen.values(1);
  line.faults.corrupt = 0.01;
  line.faults.lose = 0.001;
  let wrong = 0;
  const before = seen.onSubmit!;
  seen.onSubmit = async (submitted) => {
    if (submitted.records[0]?.n !== 'Vehicle.Speed' || submitted.records[0].v !== at()) wrong++;
    const distance = submitted.records.find(({ n }) => n === 'Vehicle.TraveledDistance');
    if (distance !== undefined && distance.v !== Math.floor(10_000 + at()) / 10) wrong++;
    await before(submitted);
  };
  await seen.values(8);
  expect(wrong).toBe(0);
  expect(serial.state()[0]!.devices[0]!.errors.corrupt).toBeGreaterThan(2);
});
