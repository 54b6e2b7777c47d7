/**
 * One simulator per state folder: two would boot the same devices, and each would sign with counters that the other
 * has passed. An abstract socket (unix(7)) is free again the moment its process is gone, however it went.
 */
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { createServer } from 'node:net';

/** @returns a function that gives the folder free */
export async function lockFolder(path: string): Promise<() => void> {
  if (process.platform !== 'linux') return () => {};
  const server = createServer();
  server.unref();
  server.listen(`\0sejong-sim ${hash('sha256', realpathSync(path))}`);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(`${path} is in use by another simulator; stop it, or choose another folder with --state`);
  }
  return () => server.close();
}
