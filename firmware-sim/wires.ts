/**
 * Wires with devices on them, as a gateway's serial ports meet them: each a tty at DIR/NAME. They have no MQTT side: the
 * gateway reads them. What they measure are the same worlds that the devices with a link measure.
 */
import { join, resolve } from 'node:path';
import type { SimClock } from './clock.ts';
import { makeFolder } from './durable.ts';
import { seedOf } from './random.ts';
import type { SerialLine } from './serial/line.ts';
import type { WireStation } from './serial/station.ts';
import { homePowerW, Meter } from './worlds/meter.ts';
import { Plant } from './worlds/plant.ts';
import { Vehicle } from './worlds/vehicle.ts';

/** By name, with what is on each. */
export const WIRES = {
  roof: 'a Modbus line: two SunSpec inverters (units 1, 2), a three-phase meter (3), a charger (4)',
  feeder: 'three DLMS/COSEM meters on one HDLC line (addresses 1/17, 1/18, 1/19)',
  house: 'a DSMR meter, which speaks by itself each second, with a gas meter behind it',
  car: 'a vehicle behind an ELM327',
  mast: 'a GNSS receiver, which speaks by itself each second',
  cellar: 'two meters with optical ports, IEC 62056-21 mode C (addresses 1001, 1002)',
} as const;

export type WireName = keyof typeof WIRES;

export const isWire = (name: string): name is WireName => Object.hasOwn(WIRES, name);

export type WiresOptions = {
  names: readonly WireName[];
  dir: string;
  state: string;
  seed: number;
  clock: Pick<SimClock, 'now'>;
};

export type Wires = {
  paths: readonly string[];
  lines: ReadonlyMap<WireName, SerialLine>;
  /** What is on each, in its order. */
  stations: ReadonlyMap<WireName, readonly WireStation[]>;
  stop: () => Promise<void>;
};

/** Whole, and one in a few hundred would do: a vehicle identification number with a right check digit. */
const VIN = '1HGCM82633A004352';

const VOLTS = [229.6, 230.4, 230.1] as const;

export async function startWires({ names, dir, state, seed, clock }: WiresOptions): Promise<Wires> {
  const lines = new Map<WireName, SerialLine>();
  const stations = new Map<WireName, WireStation[]>();
  if (names.length === 0) return { paths: [], lines, stations, stop: async () => {} };
  makeFolder(resolve(dir));
  // Only here, so that a machine without a compiler for koffi or without /dev/ptmx runs everything else.
  const { SerialLine } = await import('./serial/line.ts');
  const context = { state: resolve(state), seed, clock };
  for (const name of names) {
    const made = await MAKE[name](context);
    stations.set(name, made);
    const line = new SerialLine(join(resolve(dir), name), made, seedOf('wire', seed, name));
    line.plug();
    lines.set(name, line);
  }
  return {
    paths: names.map((name) => join(resolve(dir), name)),
    lines,
    stations,
    stop: async () => {
      await Promise.all([...lines.values()].map((line) => line.unplug()));
    },
  };
}

type Context = { state: string; seed: number; clock: Pick<SimClock, 'now'> };

const MAKE: Record<WireName, (context: Context) => Promise<WireStation[]>> = {
  roof: async (context) => {
    const [{ ModbusStation }, { alfen, floatInverter, sdm630 }] = await Promise.all([
      import('./serial/modbus.ts'),
      import('./serial/maps.ts'),
    ]);
    const { Inverter, inverterStation } = await import('./serial/twin.ts');
    const { plantPowerW } = await import('./worlds/plant.ts');
    const { seed, clock, state } = context;
    const own = seedOf('roof', seed);
    const inverter = new Inverter({
      unitId: 1,
      seed: own,
      now: () => clock.now(),
      powerW: plantPowerW(seed, own, 20_000),
      eeprom: join(state, 'roof-1.eeprom'),
    });
    const measured = async (name: string) => {
      const value = await kept(context, name, name === 'roof-2' ? plant : meter);
      return () => ({
        importWh: BigInt(value('1-0:1.8.0')),
        exportWh: BigInt(value('1-0:2.8.0')),
        powerW: value('1-0:16.7.0'),
        volts: VOLTS,
        hertz: 60,
      });
    };
    return [
      inverterStation(inverter),
      new ModbusStation(2, floatInverter(await measured('roof-2'))),
      new ModbusStation(3, sdm630(await measured('roof-3'))),
      new ModbusStation(4, alfen(await measured('roof-4'))),
    ];
  },

  feeder: async (context) => {
    const { DlmsMeter } = await import('./serial/dlms/meter.ts');
    return [17, 18, 19].map(
      (physical) =>
        new DlmsMeter({
          ...homeMeter(context, `feeder-${physical}`),
          logical: 1,
          physical,
          periodSeconds: 60,
          historySeconds: 600,
        }),
    );
  },

  house: async (context) => {
    const { P1Meter } = await import('./serial/p1.ts');
    return [new P1Meter({ ...homeMeter(context, 'house'), gasChannel: 1, gasDm3: (ms) => Math.floor(ms / 1_000_000) })];
  },

  mast: async ({ seed }) => {
    const { Receiver } = await import('./serial/gnss.ts');
    return [new Receiver({ seed: seedOf('mast', seed), now: Date.now })];
  },

  cellar: async (context) => {
    const { ModeCMeter } = await import('./serial/iec.ts');
    return ['1001', '1002'].map(
      (address) => new ModeCMeter({ ...homeMeter(context, `cellar-${address}`), address, reactionMs: 200 }),
    );
  },

  car: async (context) => {
    const { ElmStation } = await import('./serial/elm327.ts');
    const value = await kept(context, 'car', vehicle);
    return [
      new ElmStation({
        vin: VIN,
        searchMs: 400,
        answerMs: 20,
        vehicle: () => ({
          speedKmh: Math.min(255, Math.round(value('Vehicle.Speed'))),
          odometerKm: value('Vehicle.TraveledDistance'),
          stateOfChargePercent: value('Vehicle.Powertrain.TractionBattery.StateOfCharge.Current'),
        }),
      }),
    ];
  },
};

/** By the real clock, which these meters tell: whoever reads them compares it with his own. */
const homeMeter = ({ state, seed }: Context, name: string) => ({
  seed: seedOf(name, seed),
  now: Date.now,
  powerW: homePowerW(seedOf(name, seed)),
  eeprom: join(state, `${name}.eeprom`),
});

type Make = (options: { weather: number; seed: number; saved: string; nowMs: number }) => Meter | Plant | Vehicle;
const meter: Make = (options) => new Meter(options);
const plant: Make = (options) => new Plant(options);
const vehicle: Make = (options) => new Vehicle(options);

async function kept({ state, seed, clock }: Context, name: string, make: Make): Promise<(value: string) => number> {
  const { Kept } = await import('./serial/kept.ts');
  const world = new Kept(
    join(state, `${name}.eeprom`),
    () => clock.now(),
    (saved) => make({ weather: seed, seed: seedOf(name, seed), saved, nowMs: clock.now() }),
  );
  return (value) => world.value(value);
}
