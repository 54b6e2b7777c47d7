/**
 * A SunSpec three-phase inverter on a serial line, as firmware behaves: Modbus RTU slave, models 1 and 103, an energy
 * register that only counts up. Faults on demand.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { sequence } from '../random.ts';
import { SerialLine } from './line.ts';
import { ModbusStation, noFaults } from './modbus.ts';
import { READ_HOLDING_REGISTERS } from './rtu.ts';

export type InverterOptions = {
  /** 1 to 247. */
  unitId: number;
  seed: number;
  /** Simulated milliseconds, never backwards. */
  now: () => number;
  /** Power in W at a simulated time; held for the second that begins there. */
  powerW: (ms: number) => number;
  /** Where the SunS marker stands: 40000, 50000 or 0. */
  base?: number;
  /** Reading of the energy register at the start; from the seed where absent. */
  startWh?: number;
  /** A file that keeps the energy register over restarts, as the EEPROM of an inverter does. */
  eeprom?: string;
};

const MILLIJOULES_PER_WH = 3_600_000n;
const NOT_IMPLEMENTED = 0x8000;
const NOT_IMPLEMENTED_U = 0xffff;

/** SunSpec model 103, St. */
const SLEEPING = 2;
const MPPT = 4;

const pow10 = (n: number): bigint => 10n ** BigInt(n);
const int16 = (value: number): number => value & 0xffff;

function text(value: string, words: number): number[] {
  const bytes = Buffer.alloc(2 * words);
  bytes.write(value, 'latin1');
  return Array.from({ length: words }, (_, i) => bytes.readUInt16BE(2 * i));
}

/** The registers of one inverter. Knows nothing of the wire. */
export class Inverter {
  readonly unitId: number;
  readonly base: number;
  readonly faults = noFaults();
  /** Scale factor of WH. */
  whScale = 0;
  /** Called with the registers as they are about to be answered. */
  onRead: ((address: number, words: readonly number[]) => void) | undefined;

  readonly #options: InverterOptions;
  /** Exact: power in whole mW, held for whole seconds. */
  #millijoules: bigint;
  #integratedTo: number;

  constructor(options: InverterOptions) {
    this.#options = options;
    this.unitId = options.unitId;
    this.base = options.base ?? 40000;
    const start = options.startWh ?? 1_000_000 + Math.floor(sequence(options.seed)() * 8_000_000);
    this.#millijoules = this.#recall() ?? BigInt(start) * MILLIJOULES_PER_WH;
    this.#integratedTo = options.now();
  }

  /** The whole energy ever, in Wh; the register shows it modulo 2^32 after scaling. */
  get wh(): bigint {
    this.#integrate();
    return this.#millijoules / MILLIJOULES_PER_WH;
  }

  set wh(value: bigint) {
    this.#integrate();
    this.#millijoules = value * MILLIJOULES_PER_WH;
    this.#remember();
  }

  /** WH as the register shows it now. */
  get whRegister(): number {
    this.#integrate();
    const scaled =
      this.whScale < 0
        ? (this.#millijoules * pow10(-this.whScale)) / MILLIJOULES_PER_WH
        : this.#millijoules / (MILLIJOULES_PER_WH * pow10(this.whScale));
    return Number(BigInt.asUintN(32, scaled));
  }

  /** `count` registers from `address` on, or undefined where this inverter has none. */
  read(address: number, count: number): readonly number[] | undefined {
    const map = this.#map();
    const from = address - this.base;
    if (from < 0 || from + count > map.length) return undefined;
    // Before the answer, so that a register once read never shows less after a kill.
    this.#remember();
    const words = map.slice(from, from + count);
    this.onRead?.(address, words);
    return words;
  }

  #integrate(): void {
    const now = this.#options.now();
    while (this.#integratedTo + 1000 <= now) {
      // A minute at a time where the machine slept for days of simulated time.
      const step = now - this.#integratedTo > 2 * 86_400_000 ? 60 : 1;
      const milliwatts = Math.max(0, Math.round(this.#options.powerW(this.#integratedTo) * 1000));
      this.#millijoules += BigInt(milliwatts) * BigInt(step);
      this.#integratedTo += step * 1000;
    }
  }

  #recall(): bigint | undefined {
    if (this.#options.eeprom === undefined) return undefined;
    let stored: string;
    try {
      stored = readFileSync(this.#options.eeprom, 'utf8').trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    if (!/^\d+$/.test(stored)) throw new Error(`${this.#options.eeprom} does not hold an energy register`);
    return BigInt(stored);
  }

  #remember(): void {
    const file = this.#options.eeprom;
    if (file === undefined) return;
    writeFileSync(`${file}.new`, `${this.#millijoules}\n`);
    renameSync(`${file}.new`, file);
  }

  /** Everything at one moment: a block read in one request is never torn. */
  #map(): number[] {
    const { now, powerW, seed, unitId } = this.#options;
    const ms = now();
    const serial = `SE${seed.toString(16).padStart(8, '0')}${unitId.toString().padStart(3, '0')}`;
    const common = [
      ...text('Sejong Twin', 16),
      ...text('PV-3P', 16),
      ...text('', 8),
      ...text('1.0', 8),
      ...text(serial, 16),
      unitId,
      NOT_IMPLEMENTED,
    ];

    const noise = sequence(seed ^ Math.imul(Math.floor(ms / 10_000), 0x9e3779b1));
    const wobble = (range: number) => (2 * noise() - 1) * range;
    const watts = powerW(ms);
    // The smallest scale at which the power fits an int16: what large inverters do.
    let powerScale = 0;
    while (Math.abs(Math.round(watts / 10 ** powerScale)) > 32767) powerScale++;
    const volts = [220 + wobble(2), 220 + wobble(2), 220 + wobble(2)];
    const amps = volts.map((v) => Math.abs(watts) / 3 / v);
    const register = this.whRegister;
    const inverter = [
      ...[amps.reduce((a, b) => a + b), ...amps].map((a) => Math.min(0xfffe, Math.round(a * 100))),
      int16(-2), // A_SF
      NOT_IMPLEMENTED_U, // PPVphAB, PPVphBC, PPVphCA
      NOT_IMPLEMENTED_U,
      NOT_IMPLEMENTED_U,
      ...volts.map((v) => Math.round(v * 10)),
      int16(-1), // V_SF
      int16(Math.round(watts / 10 ** powerScale)),
      powerScale,
      Math.round((60 + wobble(0.02)) * 100),
      int16(-2), // Hz_SF
      ...Array<number>(6).fill(NOT_IMPLEMENTED), // VA, VAr, PF, and their scale factors
      register >>> 16,
      register & 0xffff,
      int16(this.whScale),
      ...[NOT_IMPLEMENTED_U, NOT_IMPLEMENTED], // DCA
      ...[NOT_IMPLEMENTED_U, NOT_IMPLEMENTED], // DCV
      ...[NOT_IMPLEMENTED, NOT_IMPLEMENTED], // DCW
      int16(Math.round((25 + Math.min(30, Math.max(0, watts) / 1000) + wobble(1)) * 10)), // TmpCab
      ...Array<number>(3).fill(NOT_IMPLEMENTED), // TmpSnk, TmpTrns, TmpOt
      int16(-1), // Tmp_SF
      watts > 0 ? MPPT : SLEEPING,
      NOT_IMPLEMENTED_U, // StVnd
      ...[0, 0, 0, 0], // Evt1, Evt2
      ...Array<number>(8).fill(0xffff), // EvtVnd1 to EvtVnd4
    ];

    return [
      0x5375, // SunS
      0x6e53,
      ...[1, common.length],
      ...common,
      ...[103, inverter.length],
      ...inverter,
      ...[0xffff, 0], // end of the models
    ];
  }
}

/** An inverter on a wire: a Modbus RTU slave of holding registers, whose faults are the inverter's. */
export const inverterStation = (inverter: Inverter): ModbusStation =>
  new ModbusStation(
    inverter.unitId,
    (functionCode, address, count) => (functionCode === READ_HOLDING_REGISTERS ? inverter.read(address, count) : null),
    inverter.faults,
  );

/** A line with inverters on it. */
export const inverterLine = (link: string, inverters: readonly Inverter[], seed: number): SerialLine =>
  new SerialLine(link, inverters.map(inverterStation), seed);

export type InverterTwin = { path: string; inverter: Inverter; line: SerialLine; stop(): Promise<void> };

/** One inverter on a line of its own, its tty at `link`. */
export async function startInverterTwin(options: { link: string } & InverterOptions): Promise<InverterTwin> {
  const inverter = new Inverter(options);
  const line = inverterLine(options.link, [inverter], options.seed);
  line.plug();
  return { path: line.path as string, inverter, line, stop: () => line.unplug() };
}
