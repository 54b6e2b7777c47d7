/** Intake over serial lines: one bus for each port, readings handed to the one path that accepts them. */
import type { SerialDeviceConfig, SerialHooks } from './account.ts';
import { Bus, type SerialPortState } from './bus.ts';
import type { PortSettings } from './port.ts';

export type SerialPortConfig = PortSettings & { devices: SerialDeviceConfig[] };
export type SerialConfig = { ports: SerialPortConfig[] };

export type { SerialDeviceConfig, SerialDeviceState, SerialHooks, Timed } from './account.ts';
export type { SerialPortState } from './bus.ts';

export function startSerial(
  config: SerialConfig,
  hooks: SerialHooks,
): { stop(): Promise<void>; state(): SerialPortState[] } {
  const buses = config.ports.map(({ devices, ...settings }) => new Bus(settings, devices, hooks));
  for (const bus of buses) bus.start();
  return {
    async stop() {
      await Promise.all(buses.map((bus) => bus.stop()));
    },
    state: () => buses.map((bus) => bus.state()),
  };
}
