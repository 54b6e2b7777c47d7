/** The socket that a service manager hands out: a real unix datagram socket that receives, by libc. */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { unixAddress } from '../../edge/service/datagram.ts';
import { onTestFinished } from './ends.ts';
import { until } from './temp.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

type Call = (...args: unknown[]) => number;

export type NotifySocket = {
  /** Each datagram so far, as its lines. */
  heard: () => string[][];
  /** Resolves when a datagram that holds the line has come. */
  line: (pattern: RegExp, withinMs?: number) => Promise<string>;
  /** How many datagrams with that line came. */
  count: (line: string) => number;
};

/** @param name a path, or "@name" in the abstract namespace */
export function notifySocket(name: string): NotifySocket {
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int domain, int type, int protocol)') as unknown as Call;
  const bind = libc.func('int bind(int fd, const void *to, uint32_t length)') as unknown as Call;
  const recv = libc.func('long recv(int fd, void *bytes, size_t length, int flags)') as unknown as Call;
  const fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  const address = unixAddress(name);
  if (fd < 0 || bind(fd, address, address.length) !== 0) throw new Error(`bind ${name}: errno ${koffi.errno()}`);
  onTestFinished(() => closeSync(fd));
  const datagrams: string[][] = [];
  const heard = (): string[][] => {
    const bytes = Buffer.alloc(65_536);
    for (;;) {
      const length = recv(fd, bytes, bytes.length, MSG_DONTWAIT);
      if (length < 0) return datagrams;
      datagrams.push(bytes.toString('utf8', 0, length).split('\n'));
    }
  };
  const find = (pattern: RegExp): string | undefined =>
    heard()
      .flat()
      .find((line) => pattern.test(line));
  return {
    heard,
    line: async (pattern, withinMs) => {
      await until(() => find(pattern) !== undefined, `the service manager hears ${pattern}`, withinMs);
      return find(pattern) as string;
    },
    count: (line) => heard().filter((lines) => lines.includes(line)).length,
  };
}
