/**
 * One simulator per state folder: two would boot the same devices, and each would sign with counters that the other
 * has passed. An abstract socket (unix(7)) is free again the moment its process is gone, however it went.
 */
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

const LOOK_AGAIN_MS = 100;

/**
 * @param patienceMs how long one that is just ending is waited for
 * @returns a function that gives the folder free
 */
export async function lockFolder(path: string, patienceMs = 0): Promise<() => void> {
  if (process.platform !== 'linux') return () => {};
  for (const late = performance.now() + patienceMs; ; await wait(LOOK_AGAIN_MS)) {
    const server = createServer();
    server.unref();
    server.listen(`\0sejong-sim ${hash('sha256', realpathSync(path))}`);
    try {
      await once(server, 'listening');
      return () => server.close();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      if (performance.now() >= late)
        throw new Error(`${path} is in use by another simulator; stop it, or choose another folder with --state`);
    }
  }
}
