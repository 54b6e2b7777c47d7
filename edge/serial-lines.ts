/** Serial lines, put together: the config knows ports and devices, enrolment their DIDs, the custodian signs what they say. */
import type { Config } from './config.ts';
import type { Custodian } from './intake/custody.ts';
import type { Enrolment } from './intake/enrolment.ts';
import { startSerial } from './intake/serial/serial.ts';
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
    config.ports.map(async (port) => ({
      ...port,
      devices: await Promise.all(port.devices.map(async (d) => ({ ...d, did: await enrolment.serialDevice(d) }))),
    })),
  );
  let entries = 0;
  const serial = startSerial(
    { ports },
    {
      submit: async (did, records) => {
        const outcome = await custodian.submit(devices.get(did) as Device, 'serial', records);
        if (outcome.kind === 'accepted') entries++;
        if (outcome.kind === 'quarantined') report(`serial: ${did}: ${outcome.code}: ${outcome.detail}`, 'warn');
      },
      report: (line, level) => report(`serial: ${line}`, level),
    },
  );
  return { ...serial, entries: () => entries };
}
