/** The ports that the gateway listens on: free, or held, and by whom. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Config } from '../config.ts';
import { bad, type Finding, ok } from './finding.ts';

export async function examinePorts(config: Config, ours: number | undefined): Promise<Finding[]> {
  const wanted: [string, string, number][] = [];
  for (const name of ['mqtt', 'http'] as const) {
    const { host, port, tls } = config[name];
    wanted.push([`port ${name}`, host, port]);
    if (tls.certFile !== '') wanted.push([`port ${name}.tls`, tls.host, tls.port]);
  }
  return Promise.all(
    wanted.map(async ([name, host, port]): Promise<Finding> => {
      const at = `${host}:${port}`;
      const code = await tryToListen(host, port);
      if (code === undefined) return ok(name, port === 0 ? `${host}: any that is free` : `${at} is free`);
      const key = name.slice('port '.length);
      if (code === 'EADDRINUSE') {
        const holder = holderOf(port);
        if (holder && holder.pid === ours) return ok(name, `${at} is held by the gateway that runs (pid ${ours})`);
        return bad(
          name,
          `${at} is held by ${holder ? `${holder.name} (pid ${holder.pid})` : 'a process that this user may not see'}`,
          holder ? `Stop it, or choose another ${key}.port.` : 'Run doctor as root to see whose it is (or: ss -tlnp).',
        );
      }
      if (code === 'EACCES')
        return bad(
          name,
          `${at}: ports below 1024 are not for this user`,
          `Choose a ${key}.port above 1023, or give the service CAP_NET_BIND_SERVICE.`,
        );
      return bad(name, `${at}: ${code}`, `Give ${key}.host an address that this machine has: ip addr shows them.`);
    }),
  );
}

function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** By the inode of the socket in /proc/net/tcp, and who has it open: only what this user may see. */
export function holderOf(port: number): { pid: number; name: string } | undefined {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6'])
    for (const line of existsSync(table) ? readFileSync(table, 'utf8').split('\n').slice(1) : []) {
      const columns = line.trim().split(/\s+/);
      if (columns[3] === '0A' && columns[1]?.endsWith(`:${hex}`)) inodes.add(`socket:[${columns[9]}]`);
    }
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`))
        if (inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`)))
          return { pid: Number(pid), name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() };
    } catch {
      // Not ours to look into, or gone.
    }
  return undefined;
}
