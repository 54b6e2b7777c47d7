/** What bytes pass over: a tty or a socket, once opened. What they mean is the port's matter. */
import type { LineFormat } from '../../drivers/driver.ts';
import { SerialFault } from '../../drivers/fault.ts';

/** Where a port is. */
export type Place =
  | { path: string }
  /** A USB adapter, under whatever name it is now. At least one of the three; hexadecimal as lsusb shows them. */
  | { usb: UsbIdentity }
  /** host:port */
  | { tcp: string };

export type UsbIdentity = { serialNumber?: string; vendorId?: string; productId?: string };

/** RS-485 by the UART's driver (TIOCSRS485): RTS switches the transceiver. Most USB adapters do it by themselves. */
export type Rs485 = {
  /** RTS is high while sending. Default: yes. */
  rtsOnSend?: boolean;
  /** ms between the switch and the first bit, and between the last bit and the switch. Default 0. */
  delayBeforeMs?: number;
  delayAfterMs?: number;
  /** Own bytes are heard too. Default: no. */
  receiveWhileSending?: boolean;
};

export type WireSettings = { place: Place; line: LineFormat; rs485?: Rs485 | undefined };

export type Listener = {
  heard(chunk: Uint8Array): void;
  lost(fault: SerialFault): void;
};

/** For one connection: once lost or closed it is thrown away. */
export type Wire = {
  /** @throws SerialFault away */
  open(listener: Listener): Promise<void>;
  /**
   * What fails is told to the listener.
   * @param drained resolve only once the bytes have left (that takes a thread, so only where it matters)
   */
  write(bytes: Uint8Array, drained: boolean): Promise<void>;
  /** Of a tty only. @throws SerialFault away */
  setBaudRate?(baudRate: number): Promise<void>;
  /** After open() has settled: resolves when no handle is left. Idempotent. */
  close(): Promise<void>;
};

export const away = (detail: string): SerialFault => new SerialFault('away', detail);
