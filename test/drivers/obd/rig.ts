/** A driver of the shipped profile, or of values of its own, against an adapter in memory. */
import type { Exchange, PolledDriver, Reading } from '../../../edge/drivers/driver.ts';
import { obd } from '../../../edge/drivers/obd/obd.ts';
import { loadProfiles } from '../../../edge/profiles/load.ts';
import { type ElmOptions, ElmStation } from '../../../firmware-sim/serial/elm327.ts';
import { drive, TURN } from '../drive.ts';

/** The data sheet's own example of a VIN; its check digit is not right. */
export const SHEET_VIN = '1D4GP00R55B123456';
/** The customary example of 49 CFR 565: right. */
export const GOOD_VIN = '1M8GDM9AXKP042788';
export const KOREAN_VIN = 'KMHEXAMPLE0123456';

export const PROFILE = loadProfiles().get('vehicle-obd');

export function driver(device: { vin?: string; ecu?: string } = {}): PolledDriver {
  if (PROFILE === undefined) throw new Error('there is no profile vehicle-obd');
  return obd.create({
    settings: { protocol: '0', searchSeconds: 20 },
    device,
    values: PROFILE.values as never,
    medium: 'tty',
    secret: () => {
      throw new Error('no secrets');
    },
    mark: () => undefined,
    nextNumber: () => 0,
  }) as PolledDriver;
}

/** @param worsen what becomes of what is said, in either direction */
export function wire(station: ElmStation, worsen: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes) {
  let said: Uint8Array[] = [];
  station.plug((bytes) => said.push(worsen(bytes)));
  const sent: string[] = [];
  return {
    sent,
    answer: (bytes: Uint8Array, _exchange: Exchange) => {
      sent.push(Buffer.from(bytes).toString('latin1').trim());
      station.hear(worsen(bytes));
      const chunks = said;
      said = [];
      return chunks;
    },
  };
}

export const station = (options: Partial<ElmOptions> = {}): ElmStation =>
  new ElmStation({
    vehicle: () => ({ speedKmh: 50, odometerKm: 12_345.6, fuelPercent: 60 }),
    vin: GOOD_VIN,
    ...options,
  });

/** One poll. */
export function poll(obdDriver: PolledDriver, device: ReturnType<typeof wire>): Reading {
  const [reading, ...more] = drive(obdDriver.poll(TURN), device.answer);
  if (reading === undefined || more.length > 0) throw new Error(`${more.length + 1} readings`);
  return reading;
}

export const values = ({ records }: Reading): Record<string, unknown> =>
  Object.fromEntries(records.map(({ n, v, vs }) => [n?.replace(/^Vehicle\./, ''), v ?? vs]));
