/**
 * Which tty a USB adapter is now, told by its serial number, vendor and product: names such as ttyUSB0 go to whoever
 * comes first. Read from sysfs. serialport's own list asks the program udevadm, which containers and small systems do
 * not have, and by-id links are made by the same udev.
 */
import { readdir, readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { away, type UsbIdentity } from './wire.ts';

export type UsbTty = { path: string } & Required<UsbIdentity>;

/** Where Linux tells of devices and where they are opened. Others in tests. */
let roots = { sys: '/sys', dev: '/dev' };
export function lookForUsbIn(other: typeof roots): void {
  roots = other;
}

/** Of a tty without a USB device above it there is nothing to tell. */
export async function listUsb(): Promise<UsbTty[]> {
  const classes = join(roots.sys, 'class/tty');
  const names = (await readdir(classes).catch(() => [])).filter((name) => /^tty(USB|ACM|[A-Z]{3,})\d+$/.test(name));
  const found = await Promise.all(names.sort().map((name) => describe(classes, name)));
  return found.filter((tty) => tty !== undefined);
}

async function describe(classes: string, name: string): Promise<UsbTty | undefined> {
  const attribute = async (folder: string, file: string) =>
    (await readFile(join(folder, file), 'utf8').catch(() => '')).trim();
  let folder = await realpath(join(classes, name, 'device')).catch(() => undefined);
  // The tty's device is an interface, or a port of one; the USB device is one to three folders above.
  for (let up = 0; folder !== undefined && up < 5; up++, folder = dirname(folder)) {
    const vendorId = await attribute(folder, 'idVendor');
    if (vendorId === '') continue;
    const [productId, serialNumber] = [await attribute(folder, 'idProduct'), await attribute(folder, 'serial')];
    return { path: join(roots.dev, name), vendorId, productId, serialNumber };
  }
  return undefined;
}

/** @throws SerialFault away where there is none such now, or more than one */
export async function findUsb(wanted: UsbIdentity): Promise<string> {
  const same = (a: string | undefined, b: string) => a === undefined || a.toLowerCase() === b.toLowerCase();
  const all = await listUsb();
  const found = all.filter(
    (tty) =>
      (wanted.serialNumber === undefined || wanted.serialNumber === tty.serialNumber) &&
      same(wanted.vendorId, tty.vendorId) &&
      same(wanted.productId, tty.productId),
  );
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first.path;
  if (first === undefined)
    throw away(
      `${usbName(wanted)}: no such adapter now (${all.length === 0 ? 'there is none' : `there are ${all.map(tell).join(', ')}`})`,
    );
  throw away(`${usbName(wanted)}: ${found.map(tell).join(' and ')} are both meant; say more of the one`);
}

const tell = (tty: UsbTty): string =>
  `${tty.path} ${tty.vendorId}:${tty.productId}${tty.serialNumber === '' ? '' : ` ${tty.serialNumber}`}`;

/** As config says it, in few words. */
export const usbName = ({ serialNumber, vendorId, productId }: UsbIdentity): string =>
  `usb ${[(vendorId ?? productId) ? `${vendorId ?? '*'}:${productId ?? '*'}` : '', serialNumber ?? ''].filter((part) => part !== '').join(' ')}`;
