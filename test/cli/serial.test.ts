import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { DlmsMeter } from '../../firmware-sim/serial/dlms/meter.ts';
import { ElmStation } from '../../firmware-sim/serial/elm327.ts';
import { Receiver } from '../../firmware-sim/serial/gnss.ts';
import { SerialLine } from '../../firmware-sim/serial/line.ts';
import { sdm630 } from '../../firmware-sim/serial/maps.ts';
import { ModbusStation } from '../../firmware-sim/serial/modbus.ts';
import { P1Meter } from '../../firmware-sim/serial/p1.ts';
import type { WireStation } from '../../firmware-sim/serial/station.ts';
import { edge, start } from '../support/cli.ts';
import { tempFolder, until } from '../support/temp.ts';

const VIN = '1M8GDM9AXKP042788';

const vehicle = (options: Partial<ConstructorParameters<typeof ElmStation>[0]> = {}): ElmStation =>
  new ElmStation({
    vehicle: () => ({ speedKmh: 50, odometerKm: 12_345.6, stateOfChargePercent: 80 }),
    vin: VIN,
    searchMs: 50,
    answerMs: 2,
    ...options,
  });

function onTty(...stations: WireStation[]): { tty: string; line: SerialLine } {
  const tty = join(tempFolder(), 'ttyUSB0');
  const line = new SerialLine(tty, stations, 1);
  line.plug();
  onTestFinished(() => line.unplug());
  return { tty, line };
}

async function onTcp(station: WireStation): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    station.plug((bytes) => socket.write(bytes));
    socket.on('data', (bytes) => station.hear(bytes)).on('error', () => {});
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('sejong-edge read', () => {
  it('shows what would be signed: names, units, time, quality, size', async () => {
    const { tty } = onTty(vehicle());
    const { code, stdout, stderr } = await edge(['read', tty, '--profile', 'vehicle-obd', '--option', `vin=${VIN}`]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}Good {2}\(ELM327 v1\.5, ISO 15765-4 \(CAN 11 bit, 500 kbit\/s\)\)\n/,
    );
    expect(stdout).toMatch(/^ {2}Vehicle\.Speed +50 km\/h$/m);
    expect(stdout).toMatch(/^ {2}Vehicle\.TraveledDistance +12345\.6 km$/m);
    expect(stdout).toMatch(/^ {2}\d+ bytes of CBOR, sealed$/m);
  });

  it('as JSON over TCP; another vehicle than was said is a mismatch in one line', async () => {
    const place = await onTcp(vehicle());
    const { code, stdout } = await edge(['read', place, '--profile', 'vehicle-obd', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      quality: 'Good',
      records: [{ n: 'Vehicle.Speed', u: 'km/h', v: 50 }, {}, {}, { vs: VIN }, { n: 'quality', vs: 'Good' }],
    });
    const other = await edge(['read', place, '--profile', 'vehicle-obd', '--option', 'vin=KMHEXAMPLE0123456']);
    expect(other.code).toBe(1);
    expect(other.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(other.stderr).toContain('another vehicle: its VIN ends in ...2788');
    expect(other.stderr).not.toContain(VIN);
  });

  const now = () => 1_606_230_000_000;
  const powerW = () => 2500;
  const devices: [string, () => WireStation, string[], RegExp][] = [
    [
      'meter-modbus',
      () =>
        new ModbusStation(
          3,
          sdm630(() => ({ importWh: 7_000_000n, exportWh: 0n, powerW: 2500, volts: [220, 221, 222], hertz: 60 })),
        ),
      ['--unit', '3'],
      /1-0:1\.8\.0 +7000000 Wh$/m,
    ],
    [
      'meter-dlms',
      () => new DlmsMeter({ logical: 1, physical: 17, seed: 1, now, powerW, startWh: 4_000_000 }),
      ['--address', '1/17'],
      /1-0:1\.8\.0 +4000000 Wh/m,
    ],
    [
      'meter-p1',
      () => new P1Meter({ seed: 1, now, powerW, startWh: [1000, 2000, 0, 0], everyMs: 100 }),
      [],
      /1-0:1\.8\.0 +3000 Wh/m,
    ],
    [
      'gnss',
      () => new Receiver({ seed: 1, now: Date.now, everyMs: 100 }),
      [],
      /Vehicle\.CurrentLocation\.Latitude +36\./m,
    ],
  ];
  it.each(devices)('%s, asked or heard', async (profile, station, options, shown) => {
    const { tty } = onTty(station());
    const { code, stdout, stderr } = await edge(['read', tty, '--profile', profile, ...options]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(shown);
    expect(stdout).not.toContain('quarantine');
  });

  it('goes on live, tells of a pulled plug, and is back by itself; Ctrl-C ends it', async () => {
    const { tty, line } = onTty(vehicle());
    const live = start(process.execPath, [
      ...['edge/main.ts', 'read', tty, '--profile', 'vehicle-obd', '--watch', '--every', '0.2', '--json'],
    ]);
    await live.line(/"v":50/);
    await line.unplug();
    await live.line(/SERIAL_AWAY/);
    const seen = live.lines.length;
    line.plug();
    await until(() => live.lines.slice(seen).some((text) => text.includes('"v":50')), 'values again');
    expect(await live.stop('SIGINT')).toBe(0);
  });

  it('says what is wrong with what it was told', async () => {
    const { tty } = onTty();
    const wrong = async (...args: string[]) => (await edge(['read', ...args])).stderr;
    expect(await wrong()).toContain('read needs a PORT');
    expect(await wrong(tty)).toContain('--profile, one of');
    expect(await wrong(tty, '--profile', 'vehicle-odb')).toContain('did you mean vehicle-obd?');
    expect(await wrong(tty, '--profile', 'vehicle-obd', '--unit', '3')).toContain('--unit is not a key of the device');
    expect(await wrong(tty, '--profile', 'vehicle-obd', '--option', 'vin=1')).toContain('--option vin must');
    expect(await wrong('/dev/tty-is-not-there', '--profile', 'vehicle-obd')).toMatch(/^SERIAL_AWAY: .*no such port/);
  });
});

describe('sejong-edge probe', () => {
  it('finds a vehicle and prints the config that reads it', async () => {
    const { tty } = onTty(vehicle());
    const { code, stdout, stderr } = await edge(['probe', tty, '--driver', 'obd']);
    expect(code).toBe(0);
    expect(stderr).toContain('38400 8N1: asking obd');
    expect(stdout).toContain('# vehicle-obd: ELM327 v1.5, ISO 15765-4 (CAN 11 bit, 500 kbit/s)');
    expect(parse(stdout)).toEqual({
      serial: {
        ports: [
          {
            path: tty,
            ...{ baudRate: 38400, dataBits: 8, parity: 'none', stopBits: 1 },
            devices: [{ sub: 'urn:sejong:CHANGE-ME:1', profile: 'vehicle-obd', options: { vin: VIN } }],
          },
        ],
      },
    });
  });

  it('hears what speaks by itself, and says which rates it tried', async () => {
    const { tty } = onTty(new Receiver({ seed: 1, now: () => 1_606_230_000_000, everyMs: 100 }));
    const { code, stdout } = await edge(['probe', tty, '--driver', 'nmea', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ driver: 'nmea', profile: 'gnss' }]);
  });

  it('takes a meter that speaks by itself for no answer, where there is no rate to tell them apart', async () => {
    const meter = new P1Meter({ seed: 1, now: Date.now, powerW: () => 500, everyMs: 300 });
    const place = await onTcp(meter);
    const { code, stdout } = await edge(['probe', place, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ driver: 'p1', profile: 'meter-p1' }]);
  });

  it('looks on a socket, too, and stops at Ctrl-C', async () => {
    const place = await onTcp(vehicle());
    const { code, stdout } = await edge(['probe', place, '--driver', 'obd', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ driver: 'obd', profile: 'vehicle-obd', device: { vin: VIN } }]);

    const { tty } = onTty();
    const running = start(process.execPath, ['edge/main.ts', 'probe', tty]);
    await running.line(/asking/);
    expect(await running.stop('SIGINT')).toBe(1);
    expect(running.lines.at(-1)).toBe('stopped; nothing was found so far');
  });
});
