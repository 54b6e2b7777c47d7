/**
 * Serial lines, put together: the config knows ports and devices, profiles what they are, enrolment their DIDs, drivers
 * what they say, and the custodian signs it.
 */
import type { Driver } from './drivers/driver.ts';
import type { Custodian } from './intake/custody.ts';
import type { Enrolment } from './intake/enrolment.ts';
import { startSerial } from './intake/serial/serial.ts';
import type { SerialDevice, SerialPort } from './serial-ports.ts';
import type { Device, Devices } from './store/devices.ts';
import type { Marks } from './store/marks.ts';

export type SerialLines = ReturnType<typeof startSerial> & {
  /** Readings accepted since start. */
  entries: () => number;
  /** The same by the name of the driver; each that a device is read by is there. */
  entriesByDriver: () => Record<string, number>;
};

type Parts = Parameters<typeof startSerialLines>[0];

/**
 * As {@link startSerialLines}, and with `replace` for others in their place: where those cannot be started, the ones before
 * are started again. What was counted goes on.
 */
export async function startReplaceableLines(
  parts: Omit<Parts, 'counts'>,
): Promise<SerialLines & { replace: (ports: readonly SerialPort[]) => Promise<void> }> {
  const counts = new Map<string, number>();
  let { ports } = parts;
  let lines = await startSerialLines({ ...parts, counts });
  return {
    stop: () => lines.stop(),
    state: () => lines.state(),
    entries: () => lines.entries(),
    entriesByDriver: () => lines.entriesByDriver(),
    replace: async (next) => {
      await lines.stop();
      try {
        lines = await startSerialLines({ ...parts, ports: next, counts });
        ports = next;
      } catch (error) {
        lines = await startSerialLines({ ...parts, ports, counts });
        throw error;
      }
    },
  };
}

/** @throws EdgeError DEVICE_UNKNOWN, CUSTODY_MISMATCH, STORE_UNAVAILABLE, KEY_UNREADABLE, CONFIG_INVALID */
export async function startSerialLines(parts: {
  ports: readonly SerialPort[];
  enrolment: Enrolment;
  custodian: Custodian;
  devices: Devices;
  marks: Marks;
  /** To be filled with the profile of each device, by its DID. */
  readBy: Map<string, string>;
  /** @throws EdgeError KEY_UNREADABLE */
  secret: (name: string) => Uint8Array;
  nextNumber: (name: string, above?: number) => number;
  report: (line: string, level: 'info' | 'warn') => void;
  /** By driver, where there were others before. */
  counts?: Map<string, number>;
}): Promise<SerialLines> {
  const { enrolment, custodian, devices, marks, readBy, secret, nextNumber, report } = parts;
  const read = new Map<string, SerialDevice>();
  const counts = parts.counts ?? new Map<string, number>();

  const driverOf = (port: SerialPort, { driver, device, profile }: SerialDevice, did: string): Driver => {
    const id = (devices.get(did) as Device).id;
    return driver.create({
      settings: profile.settings,
      device,
      values: profile.values,
      medium: 'tcp' in port.place ? 'tcp' : 'tty',
      secret,
      mark: (name) => marks.of(id)[name],
      // Named by the driver for the key that it is for: two devices under one key share its numbers.
      nextNumber,
    });
  };

  const ports = await Promise.all(
    parts.ports.map(async (port) => ({
      ...port,
      devices: await Promise.all(
        port.devices.map(async (device) => {
          const did = await enrolment.serialDevice({ ...device, kind: device.profile.kind });
          read.set(did, device);
          readBy.set(did, device.profile.name);
          counts.set(device.driverName, counts.get(device.driverName) ?? 0);
          const { label, driverName, everySeconds, priority } = device;
          return { did, label, driver: driverOf(port, device, did), driverName, everySeconds, priority };
        }),
      ),
    })),
  );

  const serial = startSerial(
    { ports },
    {
      submit: async (did, reading) => {
        const { driverName } = read.get(did) as SerialDevice;
        const outcome = await custodian.submitReading(devices.get(did) as Device, 'serial', reading);
        if (outcome.kind === 'accepted') counts.set(driverName, (counts.get(driverName) ?? 0) + 1);
        if (outcome.kind === 'quarantined') report(`serial: ${did}: ${outcome.code}: ${outcome.detail}`, 'warn');
      },
      report: (line, level) => report(`serial: ${line}`, level),
    },
  );
  return {
    ...serial,
    entries: () => [...counts.values()].reduce((sum, n) => sum + n, 0),
    entriesByDriver: () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}
