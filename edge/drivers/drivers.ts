/** Every driver, by the name that a profile calls it. */
import { dlms } from './dlms/dlms.ts';
import { dlmsPush } from './dlms/push.ts';
import type { DriverType } from './driver.ts';
import { MODE_C } from './iec62056/mode-c.ts';
import { P1 } from './iec62056/p1.ts';
import { PUSH } from './iec62056/push.ts';
import { modbus } from './modbus/registers.ts';
import { sunspec } from './modbus/sunspec.ts';
import { NMEA } from './nmea/nmea.ts';
import { obd } from './obd/obd.ts';

export const DRIVERS: Readonly<Record<string, DriverType>> = {
  'iec62056-21': MODE_C,
  'iec62056-21-push': PUSH,
  p1: P1,
  nmea: NMEA,

  dlms,
  'dlms-push': dlmsPush,
  modbus,
  obd,
  sunspec,
};
