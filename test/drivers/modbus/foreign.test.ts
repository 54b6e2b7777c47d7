/** The drivers against slaves that nobody here wrote: those of modbus-serial, on a real tty and on a socket. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { ServerSerial, ServerTCP } from 'modbus-serial';
import { expect, it } from 'vitest';
import type { PolledDriver } from '../../../edge/drivers/driver.ts';
import { Port } from '../../../edge/intake/serial/port.ts';
import { sdm630 } from '../../../firmware-sim/serial/maps.ts';
import { openPty } from '../../../firmware-sim/serial/pty.ts';
import { make } from './slave.ts';

const registers = sdm630(() => ({ importWh: 98_765n, exportWh: 3n, powerW: -7, volts: [220, 220, 220], hertz: 60 }));
const vector = {
  getMultipleInputRegisters: (address: number, count: number) => [...(registers(4, address, count) ?? [])],
};
const value = { name: '1-0:1.8.0', unit: 'Wh', billed: true, scale: 1000, from: { register: 72, type: 'float32' } };
const power = { name: '1-0:16.7.0', unit: 'W', from: { register: 52, type: 'float32' } };
const line = { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1 } as const;

async function poll(driver: PolledDriver, port: Port) {
  const job = driver.poll({ startedAtMs: Date.now(), heardAtMs: () => port.heardAtMs });
  let step = job.next();
  while (!step.done) step = job.next(await port.exchange(step.value));
  return step.value[0]?.records;
}
const RECORDS = [
  { n: '1-0:1.8.0', u: 'Wh', v: 98_765 },
  { n: '1-0:16.7.0', u: 'W', v: -7 },
];

it('reads ServerSerial over a tty', async () => {
  // Two ttys, back to back: a null-modem cable.
  const [here, there] = [openPty(), openPty()];
  here.master.pipe(there.master as never);
  there.master.pipe(here.master as never);
  const server = new ServerSerial(vector, { path: there.path, baudRate: 9600, unitID: 5 } as never);
  await once(server, 'initialized');
  const port = new Port({ name: here.path, place: { path: here.path }, line });
  try {
    await port.open();
    const driver = make('modbus', { function: 4 }, [value, power], { device: { unitId: 5 } });
    for (let i = 0; i < 3; i++) expect(await poll(driver, port)).toEqual(RECORDS);
  } finally {
    await port.close();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all([here.close(), there.close()]);
  }
});

it('reads ServerTCP over a socket', async () => {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port: number } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const server = new ServerTCP(vector, { host: '127.0.0.1', port: number, unitID: 5 });
  await once(server, 'initialized');
  const tcp = `127.0.0.1:${number}`;
  const port = new Port({ name: tcp, place: { tcp }, line });
  try {
    await port.open();
    const driver = make('modbus', { function: 4 }, [value, power], { medium: 'tcp', device: { unitId: 5 } });
    for (let i = 0; i < 3; i++) expect(await poll(driver, port)).toEqual(RECORDS);
  } finally {
    await port.close();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});
