/** What is forgotten, put together: the follower knows tiles and rows, the config knows days, intake knows kinds. */
import type { Anchorer } from './chain/anchorer.ts';
import type { Config } from './config.ts';
import type { Accept } from './intake/accept.ts';
import type { Stamp } from './intake/clock.ts';
import type { Log } from './log/log.ts';
import { Retention } from './log/retention.ts';
import { GATEWAY_KIND } from './profiles/profile.ts';
import type { Devices } from './store/devices.ts';
import type { Disk } from './store/disk.ts';
import type { Store } from './store/store.ts';

export function startRetention(parts: {
  config: Config;
  log: Log;
  store: Store;
  devices: Devices;
  disk: Disk;
  accept: Accept;
  anchorer: Anchorer | undefined;
  mayThin: (kind: string) => boolean;
  now: () => Stamp;
  report: (line: string) => void;
}): Retention {
  const { config, anchorer, accept, log } = parts;
  const retention = new Retention({
    ...parts,
    days: config.retention.days,
    gapLostDays: config.retention.gapLostDays,
    // Without a chain a checkpoint is the most that vouches for an entry.
    safeSize: () => anchorer?.transactions.confirmedSize() ?? log.latest?.size ?? 0,
    ownKind: GATEWAY_KIND,
    act: (work) => accept.act(work),
  });
  retention.start();
  return retention;
}
