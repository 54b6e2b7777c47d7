/** What probe and read share: where a port is, one job carried out on it, and an end by Ctrl-C. */
import { stat } from 'node:fs/promises';
import type { Exchange, LineFormat, Medium } from '../drivers/driver.ts';
import { SerialFault } from '../drivers/fault.ts';
import { EdgeError } from '../errors.ts';
import type { Port } from '../intake/serial/port.ts';
import { listUsb } from '../intake/serial/usb.ts';
import type { Place } from '../intake/serial/wire.ts';
import { sleep } from './until.ts';

export type Named = { name: string; place: Place; medium: Medium };

/**
 * A tty's path, or host:port.
 * @throws EdgeError USAGE where there is none, naming the USB adapters that are there
 */
export async function placeOf(text: string | undefined, command: string): Promise<Named> {
  if (text !== undefined && /^(?!\/)[^\s/]+:\d{1,5}$/.test(text))
    return { name: text, place: { tcp: text }, medium: 'tcp' };
  if (text !== undefined && (text.startsWith('/') || (await stat(text).catch(() => undefined)) !== undefined))
    return { name: text, place: { path: text }, medium: 'tty' };
  const adapters = (await listUsb()).map(({ path }) => path);
  const there = adapters.length === 0 ? 'no USB adapter is there' : `USB adapters: ${adapters.join(', ')}`;
  throw new EdgeError(
    'USAGE',
    text === undefined
      ? `${command} needs a PORT: /dev/ttyUSB0, or host:port (${there})`
      : `${text} is neither a tty nor host:port (${there})`,
  );
}

/** As people write it: 9600 8N1. */
export const formatName = ({ baudRate, dataBits, parity, stopBits }: LineFormat): string =>
  `${baudRate} ${dataBits}${parity[0]?.toUpperCase()}${stopBits}`;

/**
 * Carries out one job by itself, as the bus does among others. Once the port is closed, the job ends with kind away.
 * @throws what the job throws
 */
export async function carry<T>(port: Port, job: Generator<Exchange, T, unknown>, stop: AbortSignal): Promise<T> {
  let step = job.next();
  try {
    while (!step.done) {
      const exchange = step.value;
      let answer: unknown;
      try {
        if (exchange.afterMs !== undefined) await sleep(exchange.afterMs, stop);
        answer = await port.exchange(exchange);
      } catch (error) {
        if (!(error instanceof SerialFault)) throw error;
        step = job.throw(error);
        continue;
      }
      step = job.next(answer);
    }
    return step.value;
  } finally {
    if (port.lost === undefined) await port.restore();
  }
}
