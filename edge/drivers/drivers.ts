/** Every driver, by the name that a profile calls it. */
import { dlms } from './dlms/dlms.ts';
import { dlmsPush } from './dlms/push.ts';
import type { DriverType } from './driver.ts';
import { modeC } from './iec62056/mode-c.ts';
import { p1 } from './iec62056/p1.ts';
import { modeD } from './iec62056/push.ts';
import { modbus } from './modbus/registers.ts';
import { sunspec } from './modbus/sunspec.ts';
import { nmea } from './nmea/nmea.ts';
import { obd } from './obd/obd.ts';

export const DRIVERS: Readonly<Record<string, DriverType>> = {
  dlms,
  'dlms-push': dlmsPush,
  'iec62056-21': modeC,
  'iec62056-21-push': modeD,
  modbus,
  nmea,
  obd,
  p1,
  sunspec,
};
