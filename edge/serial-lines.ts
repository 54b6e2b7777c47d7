/** Serial lines, put together: the config knows ports and devices, enrolment their DIDs, the custodian signs what they say. */
import type { Config } from './config.ts';
import type { Driver, DriverType } from './drivers/driver.ts';
import { DRIVERS } from './drivers/drivers.ts';
import { EdgeError } from './errors.ts';
import type { Custodian } from './intake/custody.ts';
import type { Enrolment } from './intake/enrolment.ts';
import { startSerial } from './intake/serial/serial.ts';
import { loadProfiles } from './profiles/load.ts';
import type { Profile } from './profiles/profile.ts';
import type { Device, Devices } from './store/devices.ts';

export type SerialLines = ReturnType<typeof startSerial> & {
  /** Readings accepted since start. */
  entries: () => number;
};

/** @throws EdgeError DEVICE_UNKNOWN, CUSTODY_MISMATCH, STORE_UNAVAILABLE */
export async function startSerialLines(parts: {
  config: Config['serial'];
  enrolment: Enrolment;
  custodian: Custodian;
  devices: Devices;
  report: (line: string, level: 'info' | 'warn') => void;
}): Promise<SerialLines> {
  const { config, enrolment, custodian, devices, report } = parts;
  const ports = await Promise.all(
    config.ports.map(async ({ path, baudRate, parity, devices: listed }) => ({
      name: path,
      place: { path },
      line: { baudRate, parity, dataBits: 8 as const, stopBits: 1 as const },
      devices: await Promise.all(
        listed.map(async (d) => ({
          did: await enrolment.serialDevice(d),
          label: `unit ${d.unitId}`,
          driver: inverter(d.unitId),
          driverName: d.driver,
          everySeconds: d.everySeconds,
        })),
      ),
    })),
  );
  let entries = 0;
  const serial = startSerial(
    { ports },
    {
      submit: async (did, { records, atMs }) => {
        const outcome = await custodian.submit(devices.get(did) as Device, 'serial', records, atMs);
        if (outcome.kind === 'accepted') entries++;
        if (outcome.kind === 'quarantined') report(`serial: ${did}: ${outcome.code}: ${outcome.detail}`, 'warn');
      },
      report: (line, level) => report(`serial: ${line}`, level),
    },
  );
  return { ...serial, entries: () => entries };
}

function inverter(unitId: number): Driver {
  const { settings, values } = loadProfiles().get('pv-sunspec') as Profile;
  const none = () => {
    throw new EdgeError('CONFIG_INVALID', 'SunSpec has no secrets');
  };
  const setup = { settings, device: { unitId }, values, medium: 'tty' as const };
  return (DRIVERS.sunspec as DriverType).create({ ...setup, secret: none, mark: () => undefined, nextNumber: none });
}
