/** A unix datagram socket that sends: Node has none, so libc is asked (unix(7), sendto(2)). Linux only. */
import { closeSync } from 'node:fs';
import { endianness } from 'node:os';
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** sun_path of sockaddr_un, in bytes. */
const PATH_BYTES = 108;

type Libc = {
  socket(domain: number, type: number, protocol: number): number;
  sendto(fd: number, bytes: Uint8Array, length: number, flags: number, to: Uint8Array, toLength: number): number;
};

/**
 * struct sockaddr_un as long as its name needs it.
 * @param name a path, or "@name" for one in the abstract namespace (there the first byte is zero, and none ends it)
 * @throws RangeError where it is neither, or too long
 */
export function unixAddress(name: string): Uint8Array {
  const isAbstract = name.startsWith('@');
  if (!isAbstract && !name.startsWith('/')) throw new RangeError(`${name} is neither a path nor an abstract name`);
  const bytes = Buffer.from(isAbstract ? `\0${name.slice(1)}` : `${name}\0`);
  if (bytes.length > PATH_BYTES || (!isAbstract && bytes.indexOf(0) < bytes.length - 1))
    throw new RangeError(`${name} cannot be the name of a socket`);
  const family = Buffer.alloc(2);
  if (endianness() === 'LE') family.writeUInt16LE(AF_UNIX);
  else family.writeUInt16BE(AF_UNIX);
  return Buffer.concat([family, bytes]);
}

export type Datagrams = {
  /** Never waits. @throws Error with the errno where it was not taken */
  send: (text: string) => void;
  close: () => void;
};

/** @param name as {@link unixAddress} takes it. @throws RangeError, Error */
export function openDatagrams(name: string): Datagrams {
  const to = unixAddress(name);
  const self = koffi.load(null);
  const libc: Libc = {
    socket: self.func('int socket(int domain, int type, int protocol)') as unknown as Libc['socket'],
    sendto: self.func(
      'long sendto(int fd, const void *bytes, size_t length, int flags, const void *to, uint32_t toLength)',
    ) as unknown as Libc['sendto'],
  };
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new Error(`socket: errno ${koffi.errno()}`);
  return {
    send: (text) => {
      const bytes = Buffer.from(text);
      if (libc.sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, to, to.length) !== bytes.length)
        throw new Error(`sendto ${name}: errno ${koffi.errno()}`);
    },
    close: () => closeSync(fd),
  };
}
