/**
 * Values per second of one bus with four meters, at two rates of the line: beside what the line itself carries, and
 * beside a plain loop with modbus-serial that reads one value after the other.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import modbusSerial from 'modbus-serial';
import type { DriverType } from '../../edge/drivers/driver.ts';
import { DRIVERS } from '../../edge/drivers/drivers.ts';
import { startSerial } from '../../edge/intake/serial/serial.ts';
import { loadProfiles } from '../../edge/profiles/load.ts';
import type { Profile } from '../../edge/profiles/profile.ts';
import { SerialLine } from '../../firmware-sim/serial/line.ts';
import { type Measured, sdm630 } from '../../firmware-sim/serial/maps.ts';
import { ModbusStation } from '../../firmware-sim/serial/modbus.ts';
import { type Bench, ratio } from './report.ts';

const SECONDS = 3;
const UNITS = [1, 2, 3, 4];
/** 8N1. */
const BITS = 10;
/** Between two frames: Serial Line section 2.5.1.1. */
const silenceMs = (baudRate: number): number => (baudRate > 19_200 ? 1.75 : (3.5 * BITS * 1000) / baudRate);

const measured: Measured = { importWh: 98_765n, exportWh: 4_321n, powerW: 1500, volts: [219, 220, 221], hertz: 60 };

/** `lost`: requests that a busy machine's line broke in two, so that no answer came. */
type Rate = { values: number; requests: number; lost: number; bytes: number; seconds: number };
/** Bytes that the line has carried so far, both ways. */
type Carried = () => number;

async function onLine(baudRate: number, run: (path: string, carried: Carried) => Promise<Rate>): Promise<Rate> {
  const folder = mkdtempSync(join(tmpdir(), 'sejong-bench-'));
  const path = join(folder, 'tty');
  const stations = UNITS.map(
    (unitId) =>
      new ModbusStation(
        unitId,
        sdm630(() => measured),
      ),
  );
  // A slave knows by the silence that the request has ended.
  for (const station of stations) station.faults.delayMs = Math.ceil(silenceMs(baudRate));
  const line = new SerialLine(path, stations, 1, { baudRate, bits: BITS });
  line.plug();
  try {
    return await run(path, () => line.passed.down + line.passed.up);
  } finally {
    await line.unplug();
    rmSync(folder, { recursive: true });
  }
}

/** The gateway's bus, scheduler and all, with all four meters due all the time; readings are counted and let go. */
async function ours(path: string, baudRate: number, carried: Carried): Promise<Rate> {
  const { driver: driverName = '', settings, values } = loadProfiles().get('meter-modbus') as Profile;
  const devices = UNITS.map((unitId) => ({
    ...{ did: `${unitId}`, label: `unit ${unitId}`, driverName, everySeconds: 0.01, priority: 'normal' as const },
    driver: (DRIVERS[driverName] as DriverType).create({
      ...{ settings, values, medium: 'tty' as const, device: { unitId } },
      ...{ secret: () => new Uint8Array(), mark: () => undefined, nextNumber: () => 1 },
    }),
  }));
  const line = { baudRate, dataBits: 8, parity: 'none', stopBits: 1 } as const;
  let read = 0;
  const begun = Promise.withResolvers<void>();
  const submit = async (_: string, { records }: { records: unknown[] }) => {
    read += records.length;
    begun.resolve();
  };
  const { state, stop } = startSerial(
    { ports: [{ name: path, place: { path }, line, devices }] },
    { submit, report: () => undefined },
  );
  await begun.promise;
  const from = performance.now();
  const before = { read, requests: state()[0]?.requests ?? 0, bytes: carried() };
  await new Promise((resolve) => setTimeout(resolve, 1000 * SECONDS));
  const [after] = state();
  const lost = (after?.devices ?? []).flatMap(({ errors }) => Object.values(errors)).reduce((sum, n) => sum + n, 0);
  const rate = {
    values: read - before.read,
    requests: (after?.requests ?? 0) - before.requests,
    lost,
    bytes: carried() - before.bytes,
    seconds: (performance.now() - from) / 1000,
  };
  await stop();
  return rate;
}

/** What a script does: one request for each value. */
async function plainLoop(path: string, baudRate: number, carried: Carried): Promise<Rate> {
  const master = new modbusSerial.default();
  await master.connectRTUBuffered(path, { baudRate });
  master.setTimeout(1000);
  const registers = (loadProfiles().get('meter-modbus')?.values ?? []).map(
    (v) => (v.from as { register: number }).register,
  );
  const rate: Rate = { values: 0, requests: 0, lost: 0, bytes: 0, seconds: 0 };
  const from = performance.now();
  for (let turn = 0; performance.now() - from < 1000 * SECONDS; turn++) {
    master.setID(UNITS[turn % UNITS.length] as number);
    for (const register of registers) {
      rate.requests++;
      try {
        await master.readInputRegisters(register, 2);
        rate.values++;
      } catch {
        rate.lost++;
      }
    }
  }
  rate.seconds = (performance.now() - from) / 1000;
  rate.bytes = carried();
  await new Promise<void>((resolve) => master.close(() => resolve()));
  return rate;
}

/**
 * How much of the time the line itself needed: its characters, and the silence that the standard wants after each frame.
 * Above 1 where a master leaves that out.
 */
const limit = ({ requests, bytes, seconds }: Rate, baudRate: number): number =>
  ((bytes * BITS * 1000) / baudRate + 2 * requests * silenceMs(baudRate)) / 1000 / seconds;

export async function benchSerial(bench: Bench): Promise<void> {
  for (const baudRate of [9600, 115_200]) {
    const peer = await onLine(baudRate, (path, carried) => plainLoop(path, baudRate, carried));
    const own = await onLine(baudRate, (path, carried) => ours(path, baudRate, carried));
    const perSecond = (rate: Rate) => rate.values / rate.seconds;
    const says = (rate: Rate) =>
      `${perSecond(rate).toFixed(1)} values/s, ${(rate.requests / rate.seconds).toFixed(1)} requests/s, ${rate.lost} lost`;
    bench.row(`modbus-serial in a loop, ${baudRate} baud`, says(peer), {
      'of what the line carries': ratio(limit(peer, baudRate)),
    });
    bench.row(`gateway, ${baudRate} baud`, says(own), {
      'of what the line carries': ratio(limit(own, baudRate)),
      'times the loop': ratio(perSecond(own) / perSecond(peer)),
    });
  }
}
