/**
 * Twelve devices of seven drivers on six ttys, three of them shared, in front of a real gateway. Slaves die, one byte in a
 * hundred is damaged, plugs are pulled. What arrives is what was said, with the time at which it was; nothing is invented.
 */
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { decodeEnvelope, type Envelope } from '../../edge/wire/envelope.ts';
import type { Receiver } from '../../firmware-sim/serial/gnss.ts';
import type { ModeCMeter } from '../../firmware-sim/serial/iec.ts';
import type { ModbusStation } from '../../firmware-sim/serial/modbus.ts';
import type { P1Meter } from '../../firmware-sim/serial/p1.ts';
import { startWires, WIRES, type WireName } from '../../firmware-sim/wires.ts';
import { onTestFinished } from '../support/ends.ts';
import { startTestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

const SEED = 20201125;
/** No device here has more than 25 kW, and the test ends within ten minutes. */
const MOST_WH = 25_000 / 6;

const roof = (unitId: number, profile: string) => ({ profile, unitId, everySeconds: 0.5 });
const PORTS: Record<WireName, { profile: string; everySeconds: number; unitId?: number; address?: string }[]> = {
  roof: [roof(1, 'pv-sunspec'), roof(2, 'pv-sunspec'), roof(3, 'meter-modbus'), roof(4, 'charger')],
  feeder: ['1/17', '1/18', '1/19'].map((address) => ({ profile: 'meter-dlms', address, everySeconds: 2 })),
  house: [{ profile: 'meter-p1', everySeconds: 1 }],
  car: [{ profile: 'vehicle-obd', everySeconds: 2 }],
  mast: [{ profile: 'gnss', everySeconds: 1 }],
  cellar: ['1001', '1002'].map((address) => ({ profile: 'meter-iec', address, everySeconds: 4 })),
};

const numberOf = ({ records }: Envelope, name: string): number | undefined => records.find(({ n }) => n === name)?.v;

it('every good value of twelve devices on six ttys arrives with its own time, and none is invented', async () => {
  const folder = tempFolder();
  const names = Object.keys(WIRES) as WireName[];
  const startedAt = Date.now();
  const wires = await startWires({
    ...{ names, seed: SEED, clock: { now: Date.now } },
    dir: join(folder, 'tty'),
    state: folder,
  });
  onTestFinished(() => wires.stop());
  const line = (name: WireName) => wires.lines.get(name) as NonNullable<ReturnType<typeof wires.lines.get>>;
  const station = <T>(name: WireName, i = 0): T => wires.stations.get(name)?.[i] as T;

  // What those said who can tell.
  const said = { house: new Set<number>(), mast: new Set<string>(), cellar: [new Set<number>(), new Set<number>()] };
  station<P1Meter>('house').onTelegram = ({ takenWh }) => said.house.add(takenWh);
  station<Receiver>('mast').onEpoch = ({ latitude, longitude }) => said.mast.add(`${latitude} ${longitude}`);
  for (const i of [0, 1]) station<ModeCMeter>('cellar', i).onBlock = ({ takenWh }) => said.cellar[i]?.add(takenWh);

  const gateway = await startTestGateway({
    // In the open, so that the test reads what stands in the log.
    privacy: { sealedKinds: [] },
    serial: {
      ports: names.map((name) => ({
        path: join(folder, 'tty', name),
        timeoutMs: name === 'roof' ? 200 : 1000,
        devices: PORTS[name].map((device, i) => ({ ...device, sub: `urn:sejong:mp:${name}-${i}` })),
      })),
    },
  });
  const { serial } = gateway.parts;
  const devices = () =>
    serial.state().flatMap((port) => port.devices.map((device) => ({ ...device, port: port.name })));
  const of = (name: WireName, i: number) => {
    const port = serial.state().find((p) => p.name.endsWith(`/${name}`));
    return port?.devices[i] as NonNullable<typeof port>['devices'][number];
  };
  const all = names.flatMap((name) => PORTS[name].map((_, i) => [name, i] as const));
  const more = async (what: string, which: readonly (readonly [WireName, number])[], count: number) => {
    const before = which.map(([name, i]) => of(name, i).values);
    const reached = () => which.every(([name, i], k) => of(name, i).values >= (before[k] as number) + count);
    await until(reached, what, 60_000).catch((error: Error) => {
      const states = devices().map(({ port, label, values, error }) => [basename(port), label, values, error]);
      throw new Error(`${error.message}: ${JSON.stringify(states)}`);
    });
  };
  expect(all).toHaveLength(12);
  expect(new Set(devices().map(({ driver }) => driver)).size).toBe(7);
  await more('all are read', all, 2);

  // One slave of the roof dies: the others are read on their schedule.
  const dead = station<ModbusStation>('roof', 2);
  const living = [0, 1, 3].map((i) => ['roof', i] as const);
  dead.faults.silent = true;
  await until(() => of('roof', 2).state === 'failing', 'the dead one is known to be', 20_000);
  const before = living.map(([name, i]) => ({ ...of(name, i), at: performance.now() }));
  await more('the others go on', living, 12);
  for (const [k, [name, i]] of living.entries()) {
    const then = before[k] as (typeof before)[number];
    const now = of(name, i);
    // At least nine of ten polls took place; a busy machine may leave one out.
    expect(now.skipped - then.skipped, `${now.label} was left out`).toBeLessThanOrEqual(
      0.1 * (now.polls - then.polls) + 1,
    );
  }
  dead.faults.silent = false;
  await more('the dead one is back', [['roof', 2]], 1);

  // One byte in a hundred arrives as another one, both ways, everywhere.
  for (const name of names) line(name).faults.corrupt = 0.01;
  await more('values through a bad line', living, 4);
  await more('values of a vehicle through a bad line', [['car', 0]], 1);
  for (const name of names) line(name).faults.corrupt = 0;
  await more('all are well again', all, 1);
  const damaged = devices().reduce((sum, { errors }) => sum + (errors.corrupt ?? 0), 0);
  expect(damaged).toBeGreaterThan(0);

  // All plugs are pulled, for more than two whole seconds.
  for (const name of names) await line(name).unplug();
  await until(() => serial.state().every(({ state }) => state === 'away'), 'all ports are known to be away', 20_000);
  await gateway.parts.accept.idle();
  const awayAt = Date.now();
  const held = gateway.parts.log.size;
  await until(() => Date.now() > awayAt + 2500, 'two seconds have passed');
  expect(gateway.parts.log.size).toBe(held);
  const backAt = Date.now();
  for (const name of names) line(name).plug();
  await more('all are back by themselves', all, 1);

  const dids = all.map(([name, i]) => [name, i, of(name, i).did] as const);
  const end = Date.now();
  const truth = await gateway.finish();
  expect([...truth.quarantined.keys()]).toEqual([]);

  const db = new Database(join(gateway.config.dataFolder, 'edge.db'), { readonly: true });
  onTestFinished(() => void db.close());
  const rows = db.prepare(
    'SELECT envelope FROM entries JOIN devices ON devices.id = entries.device WHERE did = ? ORDER BY idx',
  );
  for (const [name, i, did] of dids) {
    const readings = (rows.all(did) as { envelope: Uint8Array }[]).map(({ envelope }) =>
      decodeEnvelope(new Uint8Array(envelope)),
    );
    const where = `${name} ${i}`;
    expect(readings.length, where).toBeGreaterThan(3);
    let lastAt = 0;
    let lastWh = 0;
    const firstWh = numberOf(readings[0] as Envelope, readings[0]?.records[0]?.n as string) as number;
    for (const reading of readings) {
      const { iat, records, sub } = reading;
      expect(sub).toBe(`urn:sejong:mp:${name}-${i}`);
      // Its own time: when it was read, in order, and never while nothing could be.
      expect(iat, where).toBeGreaterThanOrEqual(Math.max(lastAt, Math.floor(startedAt / 1000)));
      expect(iat * 1000, where).toBeLessThanOrEqual(end);
      const wasAway = iat * 1000 > awayAt && (iat + 1) * 1000 <= backAt;
      expect(wasAway, `${where} at ${iat}`).toBe(false);
      lastAt = iat;
      expect(records.at(-1)).toMatchObject({ n: 'quality', vs: expect.stringMatching(/^(Good|Uncertain: .+)$/) });
      const wh = numberOf(reading, '1-0:1.8.0') ?? numberOf(reading, '1-0:2.8.0');
      if (wh === undefined) continue;
      expect(wh, where).toBe(records[0]?.v);
      expect(wh, where).toBeGreaterThanOrEqual(Math.max(lastWh, firstWh));
      expect(wh, where).toBeLessThanOrEqual(firstWh + MOST_WH);
      lastWh = wh;
      if (name === 'house') expect(said.house, where).toContain(wh);
      if (name === 'cellar') expect(said.cellar[i], where).toContain(wh);
    }
    if (name === 'mast')
      for (const reading of readings) {
        const at = ['Latitude', 'Longitude'].map((n) => numberOf(reading, `Vehicle.CurrentLocation.${n}`));
        expect(
          [...said.mast].some((place) => near(place, at)),
          `${where}: ${at} was never said`,
        ).toBe(true);
      }
    if (name === 'car')
      for (const { records } of readings)
        for (const { n, v, vs } of records) {
          if (n === 'Vehicle.VehicleIdentification.VIN') expect(vs).toBe('1HGCM82633A004352');
          if (n === 'Vehicle.Speed') expect(v).toBeLessThanOrEqual(120);
        }
  }
}, 240_000);

/** A receiver tells ten-thousandths of a minute: 1e-6 of a degree is less than that. */
const near = (place: string, at: (number | undefined)[]): boolean =>
  place.split(' ').every((degrees, i) => Math.abs(Number(degrees) - (at[i] ?? Number.NaN)) < 2e-6);
