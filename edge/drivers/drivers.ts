/** Every driver, by the name that a profile calls it. */
import type { DriverType } from './driver.ts';

export const DRIVERS: Readonly<Record<string, DriverType>> = {};
