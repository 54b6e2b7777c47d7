/** The config of serial lines: what it comes to, and that each contradiction is named by file, line and key. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exampleConfig } from '../../edge/config/example.ts';
import { loadConfig } from '../../edge/config-file.ts';
import { EdgeError } from '../../edge/errors.ts';
import { loadProfiles } from '../../edge/profiles/load.ts';
import { serialPorts } from '../../edge/serial-ports.ts';
import { edge } from '../support/cli.ts';
import { tempFolder } from '../support/temp.ts';

const profiles = loadProfiles();
const fileOf = (text: string): string => {
  const file = join(tempFolder(), 'edge.yaml');
  writeFileSync(file, text);
  return file;
};
const portsOf = (text: string) => serialPorts(loadConfig(fileOf(text)), profiles);
const port = (where: string, ...devices: string[]): string =>
  ['serial:', '  ports:', `    - ${where}`, '      devices:', ...devices.map((d) => `        - { ${d} }`), ''].join(
    '\n',
  );

it('a port has the format of its devices, unless it says another itself; a device the schedule of its profile', () => {
  const modbus = profiles.get('meter-modbus');
  const one = 'sub: urn:sejong:mp:1, profile: meter-modbus, unitId: 3';
  const [plain] = portsOf(port('path: /dev/ttyS0', one));
  expect(plain).toMatchObject({
    name: '/dev/ttyS0',
    place: { path: '/dev/ttyS0' },
    line: modbus?.line,
    timeoutMs: 1000,
  });
  expect(plain?.devices).toMatchObject([
    {
      label: 'unit 3',
      driverName: 'modbus',
      everySeconds: modbus?.everySeconds,
      priority: 'normal',
      device: { unitId: 3 },
    },
  ]);
  const [own] = portsOf(
    port('path: /dev/ttyS0\n      baudRate: 19200\n      parity: even', `${one}, everySeconds: 2, priority: high`),
  );
  expect(own?.line).toMatchObject({ baudRate: 19_200, parity: 'even' });
  expect(own?.devices[0]).toMatchObject({ everySeconds: 2, priority: 'high' });
});

it('the port’s own word settles what its devices want otherwise, and a socket has no format', () => {
  const two = ['sub: urn:a, profile: meter-modbus, unitId: 3', 'sub: urn:b, profile: meter-iec'];
  const [one] = portsOf(port('path: /dev/ttyS0\n      baudRate: 9600', ...two));
  expect(one?.line.baudRate).toBe(9600);
  const [socket] = portsOf(port('tcp: "10.0.0.5:502"', 'sub: urn:a, profile: meter-modbus, unitId: 3'));
  expect(socket).toMatchObject({ name: '10.0.0.5:502', place: { tcp: '10.0.0.5:502' } });
});

describe('is refused by line and key where', () => {
  const meter = (unitId: number, sub = unitId) => `sub: urn:sejong:mp:${sub}, profile: meter-modbus, unitId: ${unitId}`;
  const tty = 'path: /dev/ttyS0';
  const push = profiles.get('meter-dlms-push')?.line.baudRate;
  const cases: [string, string, RegExp][] = [
    [
      'a profile is none',
      port(tty, 'sub: urn:a, profile: meter-modbsu'),
      /edge\.yaml:5: serial\.ports\.0\.devices\.0\.profile is meter-modbsu, which is no profile \(did you mean meter-modbus\?\)/,
    ],
    [
      'a profile has no driver',
      port(tty, 'sub: urn:a, profile: vehicle'),
      /edge\.yaml:5: serial\.ports\.0\.devices\.0\.profile is vehicle, which has no driver/,
    ],
    [
      'formats contradict each other',
      port(tty, meter(1), 'sub: urn:b, profile: meter-dlms-push'),
      new RegExp(
        `edge\\.yaml:3: serial\\.ports\\.0 has devices that want another baudRate: 9600 for unit 1, ${push} for meter-dlms-push`,
      ),
    ],
    [
      'two devices have one unit',
      port(tty, meter(7), meter(7, 8)),
      /edge\.yaml:6: serial\.ports\.0\.devices\.1 is unit 7, as urn:sejong:mp:7 is/,
    ],
    [
      'two devices speak unasked',
      port(tty, 'sub: urn:a, profile: meter-p1', 'sub: urn:b, profile: meter-p1'),
      /edge\.yaml:6: serial\.ports\.0\.devices\.1 is meter-p1, as urn:a is/,
    ],
    [
      'one point is read twice',
      port(tty, meter(1), meter(2, 1)),
      /edge\.yaml:6: serial\.ports\.0\.devices\.1 is meter urn:sejong:mp:1, as serial\.ports\.0\.devices\.0 is/,
    ],
    [
      'a port is there twice',
      `${port(tty, meter(1))}${port(tty, meter(2)).split('\n').slice(2).join('\n')}`,
      /edge\.yaml:6: serial\.ports\.1 is \/dev\/ttyS0 again/,
    ],
    [
      'a port is nowhere',
      port('timeoutMs: 500', meter(1)),
      /edge\.yaml:3: serial\.ports\.0 needs one of path, usb and tcp/,
    ],
    [
      'a port is in two places',
      port('path: /dev/ttyS0\n      tcp: "h:1"', meter(1)),
      /serial\.ports\.0 needs one of path, usb and tcp/,
    ],
    [
      'a device is nobody',
      port(tty, 'profile: meter-modbus'),
      /edge\.yaml:5: serial\.ports\.0\.devices\.0 needs did or sub/,
    ],
    [
      'a key is none',
      port(tty, `${meter(1)}, untiId: 2`),
      /edge\.yaml:5: serial\.ports\.0\.devices\.0\.untiId is not a key of the config \(did you mean unitId\?\)/,
    ],
    [
      'the driver knows no such option',
      port(tty, `${meter(1)}, options: { framming: rtu }`),
      /edge\.yaml:5: serial\.ports\.0\.devices\.0\.options\.framming is not a key of a device that modbus reads \(did you mean framing\?\)/,
    ],
    [
      'the old config is kept',
      port(tty, 'sub: urn:a, kind: inverter, driver: sunspec, unitId: 1'),
      /serial\.ports\.0\.devices\.0 needs profile/,
    ],
  ];
  for (const [what, text, says] of cases)
    it(what, () => {
      try {
        portsOf(text);
      } catch (error) {
        expect(error).toBeInstanceOf(EdgeError);
        expect((error as EdgeError).code).toBe('CONFIG_INVALID');
        expect((error as EdgeError).detail).toMatch(says);
        return;
      }
      throw new Error('it was taken');
    });

  it('several things are wrong, all at once', () => {
    const text = port(tty, 'sub: urn:a, profile: nothing-like-it', 'sub: urn:b, profile: sensor');
    expect(() => portsOf(text)).toThrow(/devices\.0\.profile.*devices\.1\.profile/);
  });
});

it('check-config says what the lines come to, and the example that init writes loads again', async () => {
  const good = fileOf(
    `${port('path: /dev/ttyS0', 'sub: urn:a, profile: meter-modbus, unitId: 1')}privacy:\n  sealedKinds: [plant]\n`,
  );
  const { stdout, code } = await edge(['check-config', good]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^serial {4}\/dev\/ttyS0.*9600.*, 1 devices$/m);
  expect(stdout).toMatch(/^profiles {2}\d+; sealed are plant$/m);
  expect(stdout).toMatch(/^warning {3}meter is in the open by privacy\.sealedKinds, though its profile seals it$/m);
  const bad = await edge(['check-config', fileOf('privacy:\n  sealedKinds:\n    - metr\n')]);
  expect(bad.code).toBe(2);
  expect(bad.stderr).toMatch(
    /edge\.yaml:3: privacy\.sealedKinds\.0 is metr, which is no kind \(did you mean meter\?\)/,
  );
  const example = loadConfig(fileOf(exampleConfig()));
  expect(serialPorts(example, profiles)).toEqual([]);
  expect(example.privacy.sealedKinds).toBeUndefined();
});
