/** Declaring counters of a device lost: from then on it is certain, and in the log, that they will never be taken. */
import type { Range } from '../store/counters.ts';
import type { Device } from '../store/devices.ts';
import type { Accept } from './accept.ts';

/**
 * @returns the index of the entry that says so
 * @throws EdgeError GAP_NOT_OPEN, STORE_UNAVAILABLE
 */
export async function declareLost(accept: Accept, device: Device, range: Range): Promise<number> {
  let index = 0;
  await accept.act((own) => {
    index = own.declareLost(device, range);
  });
  return index;
}
