/** Every driver, by the name that a profile calls it. */
import { dlms } from './dlms/dlms.ts';
import { dlmsPush } from './dlms/push.ts';
import type { DriverType } from './driver.ts';
import { modbus } from './modbus/registers.ts';
import { sunspec } from './modbus/sunspec.ts';
import { obd } from './obd/obd.ts';

export const DRIVERS: Readonly<Record<string, DriverType>> = {
  dlms,
  'dlms-push': dlmsPush,
  modbus,
  obd,
  sunspec,
};
