/**
 * A pair of pseudo-terminals: a real kernel tty without hardware. The gateway opens the slave side by its path
 * as it would open /dev/ttyUSB0; the simulated device sits on the master side.
 */
import { closeSync, lstatSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import koffi from 'koffi';

type Libc = {
  openpty(master: [number], slave: [number], name: Buffer, termios: null, winsize: null): number;
  tcgetattr(fd: number, termios: Buffer): number;
  cfmakeraw(termios: Buffer): void;
  tcsetattr(fd: number, when: number, termios: Buffer): number;
  fcntl(fd: number, command: number, type: 'int', flags: number): number;
};

/** Larger than struct termios anywhere (60 bytes on Linux, 72 on macOS). */
const TERMIOS_BYTES = 128;
const TCSANOW = 0;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded !== undefined) return loaded;
  // null: what this process is linked with. openpty moved from libutil into libc with glibc 2.34; musl always had
  // it in libc.
  const self = koffi.load(null);
  const prototype = 'int openpty(_Out_ int *master, _Out_ int *slave, char *name, void *termios, void *winsize)';
  let openpty: Libc['openpty'];
  try {
    openpty = self.func(prototype) as unknown as Libc['openpty'];
  } catch {
    openpty = koffi.load('libutil.so.1').func(prototype) as unknown as Libc['openpty'];
  }
  loaded = {
    openpty,
    tcgetattr: self.func('int tcgetattr(int fd, void *termios)') as unknown as Libc['tcgetattr'],
    cfmakeraw: self.func('void cfmakeraw(void *termios)') as unknown as Libc['cfmakeraw'],
    tcsetattr: self.func('int tcsetattr(int fd, int when, void *termios)') as unknown as Libc['tcsetattr'],
    fcntl: self.func('int fcntl(int fd, int command, ...)') as unknown as Libc['fcntl'],
  };
  return loaded;
}

export type Pty = {
  /** The device's end of the wire: what it reads was written to the tty, what it writes the tty reads. */
  master: ReadStream;
  /** The tty, /dev/pts/N. */
  path: string;
  /** Pull the plug: whoever has the tty open sees it hang up. Idempotent. */
  close(): Promise<void>;
};

/**
 * @param link where a symlink to the tty shall be, so that it keeps its name over a replug. An old symlink there is
 * replaced; anything else there is an error.
 */
export function openPty(link?: string): Pty {
  const { openpty, tcgetattr, cfmakeraw, tcsetattr, fcntl } = libc();
  const master: [number] = [-1];
  const slave: [number] = [-1];
  const name = Buffer.alloc(128);
  if (openpty(master, slave, name, null, null) !== 0) throw new Error('openpty failed: is /dev/pts mounted?');
  const path = name.toString('latin1', 0, name.indexOf(0));
  // A child process that inherits either end would keep the wire alive after close().
  for (const [fd] of [master, slave]) fcntl(fd, F_SETFD, 'int', FD_CLOEXEC);
  // Raw before anyone listens: a tty in its default mode echoes the device's bytes back at it.
  const termios = Buffer.alloc(TERMIOS_BYTES);
  if (tcgetattr(slave[0], termios) === 0) {
    cfmakeraw(termios);
    tcsetattr(slave[0], TCSANOW, termios);
  }
  try {
    if (link !== undefined) placeLink(path, link);
  } catch (error) {
    closeSync(master[0]);
    closeSync(slave[0]);
    throw error;
  }
  const stream = new ReadStream(master[0]);
  // EIO at hang-up. Whoever needs to know listens to 'close'.
  stream.on('error', () => {});

  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= new Promise((resolve) => {
      if (link !== undefined && linkTarget(link) === path) unlinkSync(link);
      stream.once('close', () => {
        // Held open until here, so that the master does not hang up each time the gateway closes its side.
        closeSync(slave[0]);
        resolve();
      });
      stream.destroy();
    });
    return closing;
  };
  return { master: stream, path, close };
}

function linkTarget(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

function placeLink(path: string, link: string): void {
  const there = lstatSync(link, { throwIfNoEntry: false });
  if (there !== undefined && !there.isSymbolicLink())
    throw new Error(`${link} is not a symlink, so it is not replaced by one to ${path}`);
  const next = `${link}.${process.pid}.new`;
  symlinkSync(path, next);
  renameSync(next, link);
}
