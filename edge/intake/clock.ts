/** What time it is, and what that is worth. A Raspberry Pi has no clock of its own: after a power cut it guesses. */
import { existsSync } from 'node:fs';

export type Stamp = { receivedMs: number; monoMs: number; clockSynced: boolean };

/** Made by systemd-timesyncd, and by chrony's and ntpd's helpers, once the clock has been set from outside. */
export const SYNCHRONIZED = [
  '/run/systemd/timesync/synchronized',
  '/run/chrony/synchronized',
  '/run/ntpd/synchronized',
];
const LOOK_AGAIN_MS = 10_000;
/** A synced clock is slewed, never set: one that was set by more than this ... */
const STEP_MS = 60_000;
/** ... is not believed for so long, whoever vouches for it. */
const DOUBT_MS = 600_000;

export type ClockOptions = {
  /** `system` asks the machine; `synced` and `unsynced` state it (a GNSS receiver, a test). */
  source: 'system' | 'synced' | 'unsynced';
  /** Milliseconds since 1970. The one place where the process learns it, so that a test can set it. */
  wall?: () => number;
  /** Monotonic milliseconds. */
  mono?: () => number;
  /** Told when the wall clock was set while we run. */
  report?: (line: string) => void;
};

export function startClock({
  source,
  wall = () => Date.now(),
  mono = () => performance.now(),
  report,
}: ClockOptions): () => Stamp {
  let synced = source === 'synced';
  let lookAt = 0;
  let doubtUntil = 0;
  let offset = wall() - mono();
  return () => {
    const receivedMs = wall();
    const monoMs = Math.floor(mono());
    const step = receivedMs - monoMs - offset;
    offset += step;
    if (Math.abs(step) > STEP_MS) {
      const by = `${step > 0 ? 'forward' : 'back'} by ${Math.round(Math.abs(step) / 1000)} s`;
      report?.(`clock: the wall clock was set ${by}; readings are taken all the same`);
      // Of one that was not synced before, the step is what it waited for.
      if (synced) doubtUntil = monoMs + DOUBT_MS;
    }
    if (source === 'system' && monoMs >= lookAt) {
      synced = SYNCHRONIZED.some((path) => existsSync(path));
      lookAt = monoMs + LOOK_AGAIN_MS;
    }
    return { receivedMs, monoMs, clockSynced: synced && monoMs >= doubtUntil };
  };
}
