/** A Modbus slave in memory for driver tests, with its side of the protocol from firmware-sim: written apart. */
import type { Driver, Exchange, PolledDriver, Reading, Value } from '../../../edge/drivers/driver.ts';
import { DRIVERS } from '../../../edge/drivers/drivers.ts';
import { loadProfiles } from '../../../edge/profiles/load.ts';
import { exceptionTo, frame, type Request, RequestFramer } from '../../../firmware-sim/serial/rtu.ts';
import { drive, TURN } from '../drive.ts';

/** Registers by function and address; undefined: exception 2. */
export type Memory = (
  functionCode: number,
  address: number,
  count: number,
) => readonly number[] | number | undefined | null;

/** What a request asked for. */
export const asked = ({ functionCode, data }: Request) => ({
  functionCode,
  address: ((data[0] as number) << 8) | (data[1] as number),
  count: ((data[2] as number) << 8) | (data[3] as number),
});

/** A number instead of registers is an exception. */
export const answerTo = (request: Request, memory: Memory): Uint8Array => {
  const { functionCode, address, count } = asked(request);
  const words = memory(functionCode, address, count) ?? 2;
  if (typeof words === 'number') return exceptionTo(request, words);
  return frame(request.unitId, functionCode, 2 * count, ...words.flatMap((w) => [w >>> 8, w & 0xff]));
};

/** What is asked of a device on a line, and what it says. */
export const device =
  (memory: Memory, seen: ReturnType<typeof asked>[] = []) =>
  (sent: Uint8Array): Uint8Array[] => {
    const [request] = new RequestFramer().push(sent);
    if (request === undefined) throw new Error('not a request');
    seen.push(asked(request));
    return [answerTo(request, memory)];
  };

const setup = { medium: 'tty' as const, secret: () => new Uint8Array(), mark: () => undefined, nextNumber: () => 1 };

export const driverOf = (profile: string, unitId = 1): PolledDriver => {
  const { driver, settings, values } = loadProfiles().get(profile)!;
  return DRIVERS[driver as string]!.create({ ...setup, settings, values, device: { unitId } }) as PolledDriver;
};

export const make = (
  name: string,
  settings: unknown,
  values: readonly Partial<Value>[],
  more: object = {},
): PolledDriver =>
  DRIVERS[name]!.create({
    ...setup,
    settings,
    device: { unitId: 1 },
    values: values.map((v) => ({ name: 'x', billed: false, required: false, scale: 1, from: undefined, ...v })),
    ...more,
  }) as Driver as PolledDriver;

export const poll = (driver: PolledDriver, respond: (sent: Uint8Array, exchange: Exchange) => Uint8Array[]): Reading =>
  drive(driver.poll(TURN), respond)[0]!;
