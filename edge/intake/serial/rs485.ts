/** RS-485 mode of a UART: struct serial_rs485 of linux/serial.h, set by the ioctl TIOCSRS485. */
import koffi from 'koffi';
import type { SerialPort } from 'serialport';
import { away, type Rs485 } from './wire.ts';

const TIOCSRS485 = 0x542f;

const ENABLED = 1 << 0;
const RTS_ON_SEND = 1 << 1;
const RTS_AFTER_SEND = 1 << 2;
const RX_DURING_TX = 1 << 4;

/** struct serial_rs485: flags, two delays in ms, and five words that are zero here. */
const BYTES = 32;

export function rs485Bytes({ rtsOnSend = true, delayBeforeMs = 0, delayAfterMs = 0, ...more }: Rs485): Uint8Array {
  const words = new Uint32Array(BYTES / 4);
  words[0] =
    ENABLED | (rtsOnSend ? RTS_ON_SEND : RTS_AFTER_SEND) | (more.receiveWhileSending === true ? RX_DURING_TX : 0);
  words[1] = delayBeforeMs;
  words[2] = delayAfterMs;
  // In the machine's own byte order, as the kernel takes it.
  return new Uint8Array(words.buffer);
}

type Ioctl = (fd: number, request: number, type: 'void *', argument: Uint8Array) => number;
let loaded: Ioctl | undefined;

/** @throws SerialFault away where the port's driver has no such mode */
export function setRs485(path: string, port: SerialPort, settings: Rs485): void {
  loaded ??= koffi.load(null).func('int ioctl(int fd, unsigned long request, ...)') as unknown as Ioctl;
  const fd = (port.port as { fd?: number | null } | undefined)?.fd;
  if (typeof fd !== 'number') throw away(`${path}: closed`);
  if (loaded(fd, TIOCSRS485, 'void *', rs485Bytes(settings)) === 0) return;
  throw away(
    `${path}: the port's driver has no RS-485 mode (errno ${koffi.errno()}); leave rs485 out of the config where the adapter switches by itself, as most USB adapters do`,
  );
}
