/** The registers of devices that measure power and energy, as their makers lay them out. */
import type { Registers } from './modbus.ts';

/** What such a device has measured, now. */
export type Measured = {
  /** Whole Wh. */
  importWh: bigint;
  exportWh: bigint;
  powerW: number;
  volts: readonly [number, number, number];
  hertz: number;
};

const float32 = (value: number): number[] => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
};
const float64 = (value: number): number[] => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return [0, 2, 4, 6].map((at) => bytes.readUInt16BE(at));
};
const integer = (value: bigint, words: number): number[] =>
  Array.from({ length: words }, (_, i) => Number((value >> BigInt(16 * (words - 1 - i))) & 0xffffn));
const text = (value: string, words: number): number[] => {
  const bytes = Buffer.alloc(2 * words);
  bytes.write(value, 'latin1');
  return Array.from({ length: words }, (_, i) => bytes.readUInt16BE(2 * i));
};

/** Registers at addresses. One that nobody set reads as 0 within `from` to `to`; beyond, there is none. */
const memory = (from: number, to: number, cells: Record<number, number[]>): Registers => {
  const at = new Map<number, number>();
  for (const [address, words] of Object.entries(cells))
    for (const [i, word] of words.entries()) at.set(Number(address) + i, word);
  return (_functionCode, address, count) =>
    address < from || address + count - 1 > to
      ? undefined
      : Array.from({ length: count }, (_, i) => at.get(address + i) ?? 0);
};

/** Eastron SDM630: input registers, float32, kWh; refuses more than 40 values (80 registers) at once. */
export const sdm630 =
  (now: () => Measured): Registers =>
  (functionCode, address, count) => {
    if (functionCode !== 4 || count > 80) return undefined;
    const { importWh, exportWh, powerW, volts, hertz } = now();
    const cells: Record<number, number[]> = {
      52: float32(powerW),
      70: float32(hertz),
      72: float32(Number(importWh) / 1000),
      74: float32(Number(exportWh) / 1000),
    };
    volts.forEach((v, i) => {
      cells[2 * i] = float32(v);
      cells[6 + 2 * i] = float32(Math.abs(powerW) / 3 / v);
    });
    return memory(0, 381, cells)(functionCode, address, count);
  };

/** Alfen NG9xx, socket 1: holding registers 300 to 425 and 1200 to 1215. */
export const alfen =
  (now: () => Measured): Registers =>
  (functionCode, address, count) => {
    if (functionCode !== 3) return undefined;
    const { importWh, powerW, volts } = now();
    const cells: Record<number, number[]> = {
      344: float32(powerW),
      374: float64(Number(importWh)),
      1200: [1],
      1201: text(powerW > 0 ? 'C2' : 'A', 5),
    };
    volts.forEach((v, i) => {
      cells[306 + 2 * i] = float32(v);
    });
    return (
      memory(300, 425, cells)(functionCode, address, count) ?? memory(1200, 1215, cells)(functionCode, address, count)
    );
  };

/** A SunSpec map: common model, one more, the end. `body` is without ID and L. */
const sunspec =
  (model: string, id: number, base: number, body: () => number[]): Registers =>
  (functionCode, address, count) => {
    const common = [
      ...text('Sejong Twin', 16),
      ...text(model, 16),
      ...text('', 8),
      ...text('1.0', 8),
      ...text(`T${id}`, 16),
      1,
      0x8000,
    ];
    const points = body();
    const map = [0x5375, 0x6e53, 1, common.length, ...common, id, points.length, ...points, 0xffff, 0];
    const from = address - base;
    return functionCode !== 3 || from < 0 || from + count > map.length ? undefined : map.slice(from, from + count);
  };

const none = (count: number, word: number): number[] => Array<number>(count).fill(word);

/** Model 113: a three-phase inverter in floats. */
export const floatInverter = (now: () => Measured, base = 40000): Registers =>
  sunspec('PV-FLOAT', 113, base, () => {
    const { exportWh, powerW, volts, hertz } = now();
    const nan = float32(Number.NaN);
    return [
      ...float32(volts.reduce((sum, v) => sum + Math.abs(powerW) / 3 / v, 0)),
      ...volts.flatMap((v) => float32(Math.abs(powerW) / 3 / v)),
      ...nan,
      ...nan,
      ...nan,
      ...volts.flatMap(float32),
      ...float32(powerW),
      ...float32(hertz),
      ...nan,
      ...nan,
      ...nan,
      ...float32(Number(exportWh)),
      ...nan,
      ...nan,
      ...nan,
      ...float32(31.5),
      ...nan,
      ...nan,
      ...nan,
      powerW > 0 ? 4 : 2,
      0xffff,
      ...none(4, 0),
      ...none(8, 0xffff),
    ];
  });

/** Model 203: a three-phase meter. */
export const sunspecMeter = (now: () => Measured, base = 40000): Registers =>
  sunspec('METER-3P', 203, base, () => {
    const { importWh, exportWh, powerW, volts, hertz } = now();
    const amps = volts.map((v) => Math.round((10 * powerW) / 3 / v) & 0xffff);
    return [
      ...[Math.round((10 * powerW) / 220) & 0xffff, ...amps, 0xffff],
      ...[2200, ...volts.map((v) => Math.round(v * 10)), ...none(4, 0x8000), 0xffff],
      ...[Math.round(hertz * 100), 0xfffe],
      ...[Math.round(powerW) & 0xffff, ...none(3, 0x8000), 0],
      ...none(15, 0x8000),
      ...integer(exportWh, 2),
      ...none(6, 0),
      ...integer(importWh, 2),
      ...none(6, 0),
      0,
      ...none(16, 0),
      0x8000,
      ...none(32, 0),
      0x8000,
      ...[0, 0],
    ];
  });

/** Model 701: a DER, energy in tenths of Wh in 64 bits. */
export const der = (now: () => Measured, base = 40000): Registers =>
  sunspec('DER', 701, base, () => {
    const { importWh, exportWh, powerW, hertz } = now();
    return [
      ...[2, 1, 3, 1, 0, 0, 0, 0],
      ...[Math.round(powerW) & 0xffff, 0x8000, 0x8000, 0x8000, 0x8000, 3800, 2200],
      ...integer(BigInt(Math.round(hertz * 1000)), 2),
      ...integer(10n * exportWh, 4),
      ...integer(10n * importWh, 4),
      ...none(8, 0xffff),
      ...none(6, 0x8000),
      ...[1, 2, 3].flatMap(() => [...none(5, 0x8000), 0xffff, 0xffff, ...none(16, 0xffff)]),
      ...[0xffff, 0xffff, 0xffff],
      ...[0x8000, 0xffff, 0xfffd, 0, 0x8000, 0x8000, 0x8000, 0xffff, 0x8000, 0x8000],
      ...none(32, 0),
    ];
  });
