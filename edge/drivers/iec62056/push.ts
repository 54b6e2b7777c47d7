/**
 * IEC 62056-21 mode D (section 6.4.5): a meter that says its registers by itself, at 2,400 baud 7E1 (some at 9,600). There
 * is no block check, so confirm.ts says what makes it believable; its quality is always Uncertain.
 */
import type { DriverType } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { DeviceSchema, type HeardDevice, type HeardSettings, heardMeter, SettingsSchema, serialNumber } from './p1.ts';
import { TelegramReader } from './telegram.ts';
import { type From, FromSchema } from './values.ts';

export const modeD: DriverType<HeardSettings, HeardDevice, From> = {
  says: 'IEC 62056-21 mode D: telegrams that a meter says by itself (heard)',
  media: ['tty', 'tcp'],
  line: { baudRate: 2400, dataBits: 8, parity: 'none', stopBits: 1 },
  settings: SettingsSchema,
  device: DeviceSchema,
  from: FromSchema,
  create: heardMeter,
  probe: {
    lines: [{ baudRate: 2400, dataBits: 8, parity: 'none', stopBits: 1 }],
    listen: {
      seconds: 12,
      hear: () => {
        const reader = new TelegramReader();
        return (chunk) => {
          for (const telegram of reader.push(chunk, 0)) {
            if (telegram instanceof SerialFault || telegram.summed || telegram.strange > 0) continue;
            if (telegram.sets.size === 0 || telegram.sets.has('0-0:96.1.1')) continue;
            const number = serialNumber(telegram);
            return {
              profile: 'meter-iec-push',
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
