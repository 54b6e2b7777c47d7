/** A driver made of its built-in profile, as a gateway makes it. */
import { Value as Box } from 'typebox/value';
import type { Driver, DriverType, HeardDriver, PolledDriver, Reading } from '../../../edge/drivers/driver.ts';
import { DRIVERS } from '../../../edge/drivers/drivers.ts';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import { loadProfiles } from '../../../edge/profiles/load.ts';
import type { SenmlRecord } from '../../../edge/wire/senml.ts';

const profiles = loadProfiles();

export function driverOf(name: string, device: object = {}, settings: object = {}): Driver {
  const profile = profiles.get(name);
  const type = DRIVERS[profile?.driver ?? ''] as DriverType;
  if (!profile || !type) throw new Error(`no profile ${name} with a driver`);
  return type.create({
    settings: Box.Default(type.settings, { ...(profile.settings as object), ...settings }),
    device: Box.Default(type.device, device),
    values: profile.values,
    medium: 'tty',
    secret: () => new Uint8Array(),
    mark: () => undefined,
    nextNumber: () => 0,
  });
}

export const heard = (name: string, device?: object): HeardDriver => driverOf(name, device) as HeardDriver;
export const polled = (name: string, device?: object, settings?: object): PolledDriver =>
  driverOf(name, device, settings) as PolledDriver;

export const readings = (all: (Reading | SerialFault)[]): Reading[] =>
  all.filter((r): r is Reading => !(r instanceof SerialFault));
export const faults = (all: (Reading | SerialFault)[]): SerialFault[] =>
  all.filter((r): r is SerialFault => r instanceof SerialFault);
/** `1-0:1.8.0` to its value, and a time where it has one. */
export const plain = (records: readonly SenmlRecord[]): Record<string, unknown> =>
  Object.fromEntries(
    records.map((r) => {
      const value = r.v ?? r.vs ?? r.vb;
      return [r.n, r.t === undefined ? value : [value, new Date(r.t * 1000).toISOString()]];
    }),
  );
