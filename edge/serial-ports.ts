/**
 * Serial ports as the config has them, put together with the profiles of their devices and what drivers want to know:
 * how bytes stand on each line, who is on it, and what contradicts what.
 */
import Value from 'typebox/value';
import { type Config, placeOf } from './config.ts';
import type { DriverType, LineFormat } from './drivers/driver.ts';
import { DRIVERS } from './drivers/drivers.ts';
import { EdgeError } from './errors.ts';
import { flawsOf, hint, sayFlaw } from './flaws.ts';
import type { Place, Rs485 } from './intake/serial/wire.ts';
import type { Priority, Profile } from './profiles/profile.ts';
import type { Profiles } from './profiles/profiles.ts';

export type SerialDevice = {
  did: string;
  sub: string;
  /** How it is called in lines: "unit 3", "address 17", or its profile where it is alone. */
  label: string;
  profile: Profile;
  driver: DriverType;
  driverName: string;
  /** What the driver's device schema is of, checked. */
  device: unknown;
  everySeconds: number;
  priority: Priority;
};

export type SerialPort = {
  name: string;
  place: Place;
  line: LineFormat;
  rs485?: Rs485;
  timeoutMs: number;
  gapMs?: number;
  devices: SerialDevice[];
};

const FORMAT = ['baudRate', 'dataBits', 'parity', 'stopBits'] as const;

type PortConfig = Config['serial']['ports'][number];

/** @throws EdgeError CONFIG_INVALID, with all that is wrong, by file, line and key */
export function serialPorts(config: Config, profiles: Profiles): SerialPort[] {
  const { ports } = config.serial;
  const { where, line } = placeOf(config);
  const problems: string[] = [];
  const say = (at: string, says: string): void => {
    problems.push(sayFlaw(`${where}${line(at)}`, { at, says }));
  };
  const found = ports.map((port, p) => {
    const at = `/serial/ports/${p}`;
    const devices = port.devices.flatMap((device, d) => deviceOf(device, profiles, `${at}/devices/${d}`, say) ?? []);
    // Compared only where each is right for itself.
    const whole = devices.length === port.devices.length;
    for (const [d, { driver, driverName }] of whole ? devices.entries() : [])
      if (!driver.media.includes(port.tcp === '' ? 'tty' : 'tcp'))
        say(
          `${at}/devices/${d}/profile`,
          `is read by ${driverName}, which works over ${driver.media.join(' and ')} only`,
        );
    for (const [d, device] of whole ? devices.entries() : []) {
      const same = devices.slice(0, d).find((other) => sharesAddress(other, device));
      if (same)
        say(`${at}/devices/${d}`, `is ${device.label}, as ${same.sub || same.did} is: two devices answer to it`);
    }
    const { rs485, gapMs, timeoutMs } = port;
    return {
      name: port.path || port.tcp || `usb ${Object.values(port.usb ?? {}).join(' ')}`,
      place: wireOf(port),
      line: lineOf(port, devices, at, say),
      timeoutMs,
      ...(rs485 ? { rs485: rs485 as Rs485 } : {}),
      ...(gapMs === undefined ? {} : { gapMs }),
      devices,
    };
  });
  for (const [p, { name }] of found.entries())
    if (found.findIndex((other) => other.name === name) < p)
      say(`/serial/ports/${p}`, `is ${name} again: one program has a port, so put its devices together`);
  // Two lines that speak of one metering point as one device would mix two registers under one key.
  const whose = new Map<string, string>();
  for (const [p, { devices }] of problems.length === 0 ? found.entries() : [])
    for (const [d, { did, sub, profile }] of devices.entries()) {
      const one = did || `${profile.kind} ${sub}`;
      const first = whose.get(one);
      if (first !== undefined)
        say(`/serial/ports/${p}/devices/${d}`, `is ${one}, as ${first} is: give each a did, or a sub, of its own`);
      else whose.set(one, `serial.ports.${p}.devices.${d}`);
    }
  if (problems.length > 0) throw new EdgeError('CONFIG_INVALID', problems.join('; '));
  return found;
}

const wireOf = ({ path, usb, tcp }: PortConfig): Place =>
  path !== '' ? { path } : usb ? { usb: usb as Extract<Place, { usb: unknown }>['usb'] } : { tcp };

function deviceOf(
  config: PortConfig['devices'][number],
  profiles: Profiles,
  at: string,
  say: (at: string, says: string) => void,
): SerialDevice | undefined {
  const { did, sub, unitId, address, secrets, options, everySeconds, priority } = config;
  const profile = profiles.get(config.profile);
  const names = profiles.list().flatMap(({ name, driver }) => (driver === undefined ? [] : [name]));
  if (!profile) {
    say(`${at}/profile`, `is ${config.profile}, which is no profile${hint(config.profile, names)}`);
    return undefined;
  }
  const driverName = profile.driver;
  const driver = driverName === undefined ? undefined : DRIVERS[driverName];
  if (driverName === undefined || driver === undefined) {
    say(`${at}/profile`, `is ${profile.name}, which has no driver: such devices publish over MQTT${hint('', names)}`);
    return undefined;
  }
  const given = { unitId, address, secrets, ...options };
  const device = Value.Default(
    driver.device,
    structuredClone(Object.fromEntries(Object.entries(given).filter(([, v]) => v !== undefined))),
  );
  const flaws = flawsOf(driver.device, device, `a device that ${driverName} reads`);
  for (const flaw of flaws) {
    const key = flaw.at.split('/')[1] as string;
    const isOption = key !== undefined && !['unitId', 'address', 'secrets'].includes(key);
    say(`${at}${isOption ? '/options' : ''}${flaw.at}`, flaw.says);
  }
  if (flaws.length > 0) return undefined;
  const own = device as { unitId?: number; address?: number | string };
  return {
    did,
    sub,
    label:
      own.unitId !== undefined
        ? `unit ${own.unitId}`
        : own.address !== undefined
          ? `address ${own.address}`
          : profile.name,
    ...{ profile, driver, driverName, device },
    everySeconds: everySeconds ?? profile.everySeconds,
    priority: priority ?? profile.priority,
  };
}

/** What is asked under one address answers as one. */
function sharesAddress(a: SerialDevice, b: SerialDevice): boolean {
  const [x, y] = [a.device, b.device] as { unitId?: number; address?: number | string }[];
  if (x?.unitId !== undefined && y?.unitId !== undefined) return x.unitId === y.unitId;
  return a.driverName === b.driverName && x?.unitId === y?.unitId && x?.address === y?.address;
}

/** The port's own word, else that of the profiles, else that of the drivers; they may not contradict each other. */
function lineOf(
  port: PortConfig,
  devices: readonly SerialDevice[],
  at: string,
  say: (at: string, says: string) => void,
): LineFormat {
  const line: LineFormat = { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1 };
  for (const key of FORMAT) {
    const wanted = devices.map(({ profile, driver }) => profile.line[key] ?? driver.line[key]);
    const first = wanted[0];
    const other = wanted.findIndex((value) => value !== first);
    // A socket has no format of its own: what stands on the line behind it, the converter knows.
    if (port[key] === undefined && other > 0 && port.tcp === '')
      say(
        at,
        `has devices that want another ${key}: ${first} for ${devices[0]?.label}, ${wanted[other]} for ${devices[other]?.label}. Set ${key} to what they are all set to`,
      );
    Object.assign(line, { [key]: port[key] ?? first ?? line[key] });
  }
  return line;
}
