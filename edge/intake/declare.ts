/** Declaring counters of a device lost: from then on it is certain, and in the log, that they will never be taken. */
import type { Range } from '../store/counters.ts';
import type { Device } from '../store/devices.ts';
import type { Accept, Own } from './accept.ts';

/**
 * @param also what is to stand or fall with it
 * @returns the index of the entry that says so
 * @throws EdgeError GAP_NOT_OPEN, STORE_UNAVAILABLE
 */
export async function declareLost(
  accept: Accept,
  device: Device,
  range: Range,
  also?: (own: Own) => void,
): Promise<number> {
  let index = 0;
  await accept.act((own) => {
    index = own.declareLost(device, range);
    also?.(own);
  });
  return index;
}
