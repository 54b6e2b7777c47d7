/** Intake over serial lines: one bus for each port, readings handed to the one path that accepts them. */
import { Bus, type SerialHooks, type SerialPortState } from './bus.ts';
import { sunspecDriver } from './sunspec.ts';

export type SerialConfig = {
  ports: {
    path: string;
    baudRate: number;
    parity: 'none' | 'even' | 'odd';
    /** How long a slave may think before it counts as silent. */
    timeoutMs?: number;
    devices: { did: string; driver: 'sunspec'; unitId: number; everySeconds: number }[];
  }[];
};

export type { SerialDeviceState, SerialHooks, SerialPortState } from './bus.ts';

const TIMEOUT_MS = 1000;

export function startSerial(
  config: SerialConfig,
  hooks: SerialHooks,
): { stop(): Promise<void>; state(): SerialPortState[] } {
  const buses = config.ports.map(
    ({ devices, timeoutMs, ...line }) =>
      new Bus(
        line,
        timeoutMs ?? TIMEOUT_MS,
        devices.map((device) => ({ config: device, driver: sunspecDriver() })),
        hooks,
      ),
  );
  for (const bus of buses) bus.start();
  return {
    async stop() {
      await Promise.all(buses.map((bus) => bus.stop()));
    },
    state: () => buses.map((bus) => bus.state()),
  };
}
