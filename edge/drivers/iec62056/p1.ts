/**
 * P1, the port of Dutch, Belgian and other meters for their customers: DSMR P1 companion standard, versions 2.2 to 5.0.2.
 * The telegram is that of IEC 62056-21 mode D, said every second (5), or every 10 (before). 115,200 baud 8N1 from
 * version 4 on, 9,600 baud 7E1 before. Telegrams that are encrypted (Luxembourg, Austria) are not read.
 */
import Type from 'typebox';
import type { DriverType, HeardDriver, Reading, Setup } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { Confirmation } from './confirm.ts';
import { type Telegram, TelegramReader } from './telegram.ts';
import { type From, FromSchema, recordsFrom } from './values.ts';

export const SettingsSchema = Type.Object(
  {
    winterOffsetMinutes: Type.Integer({
      description: 'The meter’s clock is so many minutes ahead of UTC in winter, and an hour more in summer.',
      default: 60,
      minimum: -720,
      maximum: 840,
    }),
  },
  { additionalProperties: false },
);

export const DeviceSchema = Type.Object(
  {
    address: Type.Optional(
      Type.Union([Type.String({ maxLength: 64 }), Type.Integer()], {
        description: 'Serial number of the meter (0-0:96.1.1): another meter on this port is a mismatch.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type HeardSettings = { winterOffsetMinutes: number };
export type HeardDevice = { address?: string | number };

/** Version 4 and later say their version, and the time: such a telegram without a CRC16 has lost it. */
const SUMMED_ONLY = ['1-3:0.2.8', '0-0:96.1.4', '0-0:1.0.0'] as const;
const SERIAL_NUMBERS = ['0-0:96.1.1', '0-0:96.1.0', '1-0:0.0.0', '1-0:96.1.0'] as const;

/** The serial number as printed, where it is told in hexadecimal. */
export function serialNumber({ sets }: Telegram): string | undefined {
  for (const name of SERIAL_NUMBERS) {
    const raw = sets.get(name)?.[0];
    if (raw === undefined || raw === '') continue;
    const text = /^(?:[0-9A-Fa-f]{2})+$/.test(raw) ? Buffer.from(raw, 'hex').toString('latin1') : raw;
    return /^[\x21-\x7e]+$/.test(text) ? text : raw;
  }
  return undefined;
}

/** A meter that says telegrams by itself: P1, or mode D. */
export function heardMeter({ settings, device, values }: Setup<HeardSettings, HeardDevice, From>): HeardDriver {
  const reader = new TelegramReader();
  const confirmation = new Confirmation();
  /** This meter has shown a CRC16: without one it is never believed again. */
  let sums = false;
  let about: string | undefined;

  function readingOf(telegram: Telegram, atMs: number): Reading | SerialFault | undefined {
    if (telegram.summed) sums = true;
    else if (sums || SUMMED_ONLY.some((name) => telegram.sets.has(name)))
      return new SerialFault('corrupt', 'a telegram of a meter that makes checksums has none');
    const number = serialNumber(telegram);
    const quality = telegram.summed ? 'Good' : confirmation.of(telegram, atMs);
    if (quality === undefined || quality instanceof SerialFault) return quality;
    const raw = SERIAL_NUMBERS.map((name) => telegram.sets.get(name)?.[0]);
    if (device.address !== undefined && String(device.address) !== number && !raw.includes(String(device.address)))
      return new SerialFault('mismatch', `this is meter ${number ?? 'without a serial number'}, not ${device.address}`);
    const version = telegram.sets.get('1-3:0.2.8')?.[0];
    about = `${telegram.ident}${number === undefined ? '' : ` serial number ${number}`}${version ? `, P1 version ${version}` : ''}`;
    return { records: recordsFrom(values, telegram.sets, settings), quality, atMs };
  }

  return {
    hear(chunk, atMs) {
      return reader.push(chunk, atMs).flatMap((telegram) => {
        if (telegram instanceof SerialFault) return telegram;
        try {
          return readingOf(telegram, atMs) ?? [];
        } catch (error) {
          if (error instanceof SerialFault) return error;
          throw error;
        }
      });
    },
    reset() {
      reader.reset();
      confirmation.reset();
      sums = false;
      about = undefined;
    },
    about: () => about,
  };
}

export const p1: DriverType<HeardSettings, HeardDevice, From> = {
  says: 'P1 telegrams of DSMR meters, versions 2.2 to 5 (heard)',
  media: ['tty', 'tcp'],
  line: { baudRate: 115_200, dataBits: 8, parity: 'none', stopBits: 1 },
  settings: SettingsSchema,
  device: DeviceSchema,
  from: FromSchema,
  create: heardMeter,
  probe: {
    lines: [
      { baudRate: 115_200, dataBits: 8, parity: 'none', stopBits: 1 },
      { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1 },
    ],
    listen: {
      seconds: 12,
      hear: () => {
        const reader = new TelegramReader();
        return (chunk) => {
          for (const telegram of reader.push(chunk, 0)) {
            if (telegram instanceof SerialFault || (!telegram.summed && telegram.strange > 0)) continue;
            if (!telegram.summed && !telegram.sets.has('0-0:96.1.1')) continue;
            const number = serialNumber(telegram);
            return {
              profile: 'meter-p1',
              device: number === undefined ? {} : { address: number },
              about: telegram.ident,
            };
          }
          return undefined;
        };
      },
    },
  },
};
