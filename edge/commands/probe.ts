import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import type { Found, LineFormat, Probe } from '../drivers/driver.ts';
import { DRIVERS } from '../drivers/drivers.ts';
import { SerialFault } from '../drivers/fault.ts';
import { EdgeError } from '../errors.ts';
import { hint } from '../flaws.ts';
import { Port } from '../intake/serial/port.ts';
import { listUsb } from '../intake/serial/usb.ts';
import type { Place } from '../intake/serial/wire.ts';
import type { Command } from './index.ts';
import { carry, formatName, type Named, placeOf } from './serial-tool.ts';
import { sleep } from './until.ts';

/** A device that is there thinks for less, but for those whose probe asks for more time itself. */
const TIMEOUT_MS = 300;
const PROGRESS_MS = 5000;
/** A little more than the second in which most devices that speak by themselves do. */
const HARK_MS = 1200;

type Seeker = { driver: string; probe: Probe };
type Finding = Found & { driver: string; line: LineFormat };

export const command: Command = {
  usage: `probe PORT [--driver NAME ...] [--baud N ...] [--all] [--json]

  PORT           a tty (/dev/ttyUSB0, best /dev/serial/by-id/...), or host:port of a serial server or a Modbus TCP device
  --driver NAME  look for this protocol only; once for each (${Object.keys(DRIVERS).join(', ')})
  --baud N       try this rate only; once for each
  --all          go on after something was found: on one line all devices have one rate, so mostly there is no more
  --json         what was found, as JSON, and no config

Asks and listens at each rate that devices mostly have, says what it tries on standard error, and prints what it found
with the part of a config that reads it. Nothing is written to any device: it asks for names and values only. The
gateway must not have the port open. Ctrl-C ends it with what was found so far. Exit code 0 when something was found.`,
  run: async (args, stop) => {
    const many = { type: 'string', multiple: true } as const;
    const flag = { type: 'boolean', default: false } as const;
    const { values, positionals } = parseArgs({
      args,
      options: { driver: many, baud: many, all: flag, json: flag },
      allowPositionals: true,
    });
    if (positionals.length > 1) throw new EdgeError('USAGE', 'probe needs one PORT');
    const where = await placeOf(positionals[0], 'probe');
    const rates = values.baud?.map((text) => {
      if (!/^\d{2,7}$/.test(text)) throw new EdgeError('USAGE', `--baud ${text} is no rate`);
      return Number(text);
    });
    const seekers = seekersOf(where, values.driver);
    const found = await seek(where, seekers, rates, values.all, stop);
    if (values.json) console.log(JSON.stringify(found.map(({ line, ...rest }) => ({ ...rest, line }))));
    else await tell(where, found);
    if (found.length === 0) console.error(stop.aborted ? 'stopped; nothing was found so far' : nothing(where, seekers));
    return found.length > 0 ? 0 : 1;
  },
};

/** @throws EdgeError USAGE */
function seekersOf({ medium }: Named, names: string[] | undefined): Seeker[] {
  for (const name of names ?? [])
    if (!Object.hasOwn(DRIVERS, name))
      throw new EdgeError('USAGE', `there is no driver ${name}${hint(name, Object.keys(DRIVERS))}`);
  const seekers = Object.entries(DRIVERS).flatMap(([driver, { probe, media }]) =>
    probe !== undefined && media.includes(medium) && (names?.includes(driver) ?? true) ? [{ driver, probe }] : [],
  );
  if (seekers.length === 0) throw new EdgeError('USAGE', 'none of these drivers can be probed for here');
  return seekers;
}

const nothing = ({ name, medium }: Named, seekers: Seeker[]): string =>
  `nothing was found on ${name}: looked for ${seekers.map(({ driver }) => driver).join(', ')}. ` +
  (medium === 'tcp'
    ? 'Is it the right port of the device?'
    : 'Are A and B the right way round, is the device powered, is it one of these protocols?');

/**
 * Each format once: first all that can be asked, since that is quick; then those that speak by themselves are heard.
 * The other way round where something is heard before anything was asked, at whatever rate.
 */
async function seek(
  where: Named,
  seekers: Seeker[],
  rates: number[] | undefined,
  all: boolean,
  stop: AbortSignal,
): Promise<Finding[]> {
  const found: Finding[] = [];
  const formats = formatsOf(where, seekers, rates);
  // What a device says by itself may look like the answer to a question that was none: then it is heard first.
  const speaks = await speaksUnasked(where, (formats[0] as { line: LineFormat }).line, stop);
  for (const turn of speaks ? (['listen', 'ask'] as const) : (['ask', 'listen'] as const))
    for (const { line, here } of formats) {
      if (stop.aborted || (found.length > 0 && !all)) return found;
      const those = here.filter(({ probe }) => (turn === 'ask' ? probe.ask : probe.listen) !== undefined);
      if (those.length === 0) continue;
      const at = where.medium === 'tty' ? `${formatName(line)}: ` : '';
      console.error(`${where.name}: ${at}${turn}ing ${those.map(({ driver }) => driver).join(', ')}`);
      found.push(
        ...(await (turn === 'ask' ? askAll(where, line, those, all, stop) : listenAll(where, line, those, stop))),
      );
    }
  return found;
}

async function speaksUnasked(where: Named, line: LineFormat, stop: AbortSignal): Promise<boolean> {
  let heard = false;
  await withPort(where, line, stop, async (port) => {
    const enough = new AbortController();
    port.onUnasked = () => {
      heard = true;
      enough.abort();
    };
    await sleep(HARK_MS, AbortSignal.any([stop, enough.signal]));
  });
  return heard;
}

function formatsOf(
  { medium }: Named,
  seekers: Seeker[],
  rates: number[] | undefined,
): { line: LineFormat; here: Seeker[] }[] {
  if (medium === 'tcp') return [{ line: (seekers[0] as Seeker).probe.lines[0] as LineFormat, here: seekers }];
  const formats = new Map<string, { line: LineFormat; here: Seeker[] }>();
  // The likeliest of each protocol first.
  const most = Math.max(...seekers.map(({ probe }) => probe.lines.length));
  for (let i = 0; i < most; i++)
    for (const seeker of seekers) {
      const line = seeker.probe.lines[i];
      if (line === undefined) continue;
      // A rate that was said goes for each protocol, in all the ways that it is written on the line.
      for (const baudRate of rates ?? [line.baudRate]) {
        const wanted = { ...line, baudRate };
        const format = formats.get(formatName(wanted)) ?? { line: wanted, here: [] };
        formats.set(formatName(wanted), format);
        if (!format.here.includes(seeker)) format.here.push(seeker);
      }
    }
  return [...formats.values()];
}

async function withPort<T>(
  { name, place }: Named,
  line: LineFormat,
  stop: AbortSignal,
  use: (port: Port) => Promise<T>,
): Promise<T | undefined> {
  const port = new Port({ name, place, line, timeoutMs: TIMEOUT_MS });
  const end = () => void port.close();
  stop.addEventListener('abort', end, { once: true });
  try {
    await port.open();
    return await use(port);
  } catch (error) {
    // It was closed because of Ctrl-C.
    if (stop.aborted && error instanceof SerialFault) return undefined;
    throw error;
  } finally {
    stop.removeEventListener('abort', end);
    await port.close();
  }
}

async function askAll(
  where: Named,
  line: LineFormat,
  seekers: Seeker[],
  all: boolean,
  stop: AbortSignal,
): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const { driver, probe } of seekers) {
    // Behind a socket there is one device, or one gateway; on a line at one rate there may be several protocols.
    if (stop.aborted || (where.medium === 'tcp' && found.length > 0 && !all)) break;
    // A connection for each: what one protocol's question left on a socket is not the next one's answer.
    const devices = await withPort(where, line, stop, async (port) => {
      // A bus has 247 addresses: whoever waits shall see that it goes on.
      const progress = setInterval(
        () => console.error(`${where.name}: ${driver}, ${port.counts.requests} questions so far`),
        PROGRESS_MS,
      );
      try {
        return await carry(port, probe.ask?.() ?? none(), stop);
      } finally {
        clearInterval(progress);
      }
    });
    found.push(...(devices ?? []).map((device) => ({ driver, line, ...device })));
    for (const { about } of devices ?? []) console.error(`${where.name}: found ${about}`);
  }
  return found;
}

// biome-ignore lint/correctness/useYield: the probe of a protocol that cannot be asked for.
function* none(): Generator<never, Found[], unknown> {
  return [];
}

async function listenAll(where: Named, line: LineFormat, seekers: Seeker[], stop: AbortSignal): Promise<Finding[]> {
  const found: Finding[] = [];
  const enough = new AbortController();
  await withPort(where, line, stop, async (port) => {
    const ears = seekers.map(({ driver, probe }) => ({ driver, hear: probe.listen?.hear() }));
    port.onUnasked = (chunk) => {
      for (const { driver, hear } of ears) {
        const device = hear?.(chunk);
        if (device === undefined || found.some((other) => other.driver === driver)) continue;
        found.push({ driver, line, ...device });
        console.error(`${where.name}: found ${device.about}`);
      }
      if (found.length > 0) enough.abort();
    };
    port.onLost = () => enough.abort();
    const seconds = Math.max(...seekers.map(({ probe }) => probe.listen?.seconds ?? 0));
    await sleep(seconds * 1000, AbortSignal.any([stop, enough.signal]));
    if (port.lost !== undefined && !stop.aborted) throw port.lost;
  });
  return found;
}

/** The part of a config that reads what was found. */
async function tell(where: Named, found: Finding[]): Promise<void> {
  if (found.length === 0) return;
  const [{ line }] = found as [Finding];
  const place = await placeInConfig(where);
  const devices = found
    .filter((finding) => formatName(finding.line) === formatName(line))
    .map(({ profile, device }, i) => {
      const { unitId, address, secrets, ...options } = device;
      return {
        sub: `urn:sejong:CHANGE-ME:${i + 1}`,
        profile: profile === '' ? 'CHANGE-ME' : profile,
        ...(unitId !== undefined && { unitId }),
        ...(address !== undefined && { address }),
        ...(secrets !== undefined && { secrets }),
        ...(Object.keys(options).length > 0 && { options }),
      };
    });
  const port = { ...place, ...(where.medium === 'tty' && line), devices };
  for (const { about, profile } of found) console.log(`# ${profile === '' ? 'no profile yet' : profile}: ${about}`);
  console.log('# For the config; say in sub what each one measures.');
  console.log(stringify({ serial: { ports: [port] } }).trimEnd());
}

/** A USB adapter by what it is, since its name changes. */
async function placeInConfig({ place }: Named): Promise<Place> {
  const adapter = 'path' in place ? (await listUsb()).find(({ path }) => path === place.path) : undefined;
  if (adapter === undefined || adapter.serialNumber === '') return place;
  const { serialNumber, vendorId, productId } = adapter;
  return { usb: { serialNumber, vendorId, productId } };
}
