/** What time it is, and what that is worth. A Raspberry Pi has no clock of its own: after a power cut it guesses. */
import { existsSync } from 'node:fs';

export type Stamp = { receivedMs: number; monoMs: number; clockSynced: boolean };

/** Made by systemd-timesyncd, and by chrony's and ntpd's helpers, once the clock has been set from outside. */
const SYNCHRONIZED = ['/run/systemd/timesync/synchronized', '/run/chrony/synchronized', '/run/ntpd/synchronized'];
const LOOK_AGAIN_MS = 10_000;

/** @param source `system` asks the machine; `synced` and `unsynced` state it (a GNSS receiver, a test) */
export function startClock(source: 'system' | 'synced' | 'unsynced'): () => Stamp {
  let synced = source === 'synced';
  let lookAt = 0;
  return () => {
    const monoMs = Math.floor(performance.now());
    if (source === 'system' && monoMs >= lookAt) {
      synced = SYNCHRONIZED.some((path) => existsSync(path));
      lookAt = monoMs + LOOK_AGAIN_MS;
    }
    return { receivedMs: Date.now(), monoMs, clockSynced: synced };
  };
}
