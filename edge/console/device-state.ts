/** What state a device is in, in one word. */
import type { State } from './ui/small.tsx';

export type DeviceState = 'heard' | 'silent' | 'unheard' | 'suspended' | 'revoked' | 'replaced';
export const DEVICE_STATES: Record<DeviceState, State> = {
  heard: 'good',
  silent: 'bad',
  unheard: 'idle',
  suspended: 'warn',
  revoked: 'idle',
  replaced: 'idle',
};

export function deviceState(device: {
  status: 'active' | 'suspended' | 'revoked' | 'replaced';
  silent?: boolean | undefined;
  lastMs: number | null;
}): DeviceState {
  if (device.status !== 'active') return device.status;
  if (device.silent) return 'silent';
  return device.lastMs === null ? 'unheard' : 'heard';
}
