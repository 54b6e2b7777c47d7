/**
 * What a service manager is told (sd_notify(3)): that we are ready, how we are, that we stop; and, where it keeps a
 * watchdog, that we are alive. Where none listens (NOTIFY_SOCKET is not set) all of this does nothing.
 */
import type { Datagrams } from './datagram.ts';

export type ServiceManager = {
  /** Whether one listens. */
  readonly there: boolean;
  /** `status` is one line for `systemctl status`. */
  ready(status: string): void;
  /** Says that we reload, and that we are ready again when `work` is over, however it ended. */
  reloading(work: () => Promise<void> | void): Promise<void>;
  /**
   * From now on, at half of its watchdog's time, `alive` is asked, and only when it resolves in this event loop the
   * watchdog is told. Rejects or never resolves: nothing is told, and the manager ends and starts us.
   */
  watch(alive: () => Promise<unknown>, status: () => string): void;
  /** Why we don't come up, or end. */
  failed(status: string): void;
  stopping(): void;
  close(): void;
};

/** Without a watchdog the status is said so often. */
const STATUS_MS = 30_000;
/** A status has one line, and journals have a width. */
const STATUS_CHARACTERS = 512;

const oneLine = (status: string): string => status.replace(/\s+/g, ' ').slice(0, STATUS_CHARACTERS);
/** CLOCK_MONOTONIC in microseconds: what Node's hrtime is on Linux. */
const monotonicUsec = (): bigint => process.hrtime.bigint() / 1_000n;

/**
 * Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of `env`: programs that we start are not the service.
 * @param warn is told once where the socket cannot be used; the gateway runs all the same
 */
export async function openServiceManager(
  env: NodeJS.ProcessEnv,
  warn: (line: string) => void,
): Promise<ServiceManager> {
  const { NOTIFY_SOCKET: name, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
  for (const key of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[key];

  let socket: Datagrams | undefined;
  let warned = false;
  const lost = (error: unknown): void => {
    if (!warned) warn(`service manager: ${(error as Error).message}: it is told nothing`);
    warned = true;
  };
  if (name)
    try {
      // Only here, so that what runs without a service manager need not load a foreign library.
      socket = (await import('./datagram.ts')).openDatagrams(name);
    } catch (error) {
      lost(error);
    }
  const say = (...lines: string[]): void => {
    try {
      socket?.send(lines.join('\n'));
    } catch (error) {
      lost(error);
    }
  };

  const watchdogMs = usec && (pid === undefined || Number(pid) === process.pid) ? Number(usec) / 1000 : undefined;
  let timer: NodeJS.Timeout | undefined;
  const closed = (): void => {
    clearInterval(timer);
    socket?.close();
    socket = undefined;
  };
  return {
    there: socket !== undefined,
    ready: (status) => say('READY=1', `STATUS=${oneLine(status)}`),
    reloading: async (work) => {
      say('RELOADING=1', `MONOTONIC_USEC=${monotonicUsec()}`, 'STATUS=Reloading');
      try {
        await work();
      } finally {
        say('READY=1');
      }
    },
    watch: (alive, status) => {
      if (!socket) return;
      let asked = false;
      const look = async (): Promise<void> => {
        if (asked) return; // it has not answered yet
        asked = true;
        try {
          await alive();
          say(...(watchdogMs === undefined ? [] : ['WATCHDOG=1']), `STATUS=${oneLine(status())}`);
        } catch {
          // Not alive: silence is what says so.
        } finally {
          asked = false;
        }
      };
      clearInterval(timer);
      timer = setInterval(() => void look(), watchdogMs === undefined ? STATUS_MS : watchdogMs / 2);
      timer.unref();
      void look();
    },
    failed: (status) => say(`STATUS=${oneLine(status)}`),
    stopping: () => {
      clearInterval(timer);
      say('STOPPING=1', 'STATUS=Stopping');
    },
    close: closed,
  };
}
