import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Value from 'typebox/value';
import { type Driver, isHeard, type LineFormat, type Reading, type Setup } from '../drivers/driver.ts';
import { DRIVERS } from '../drivers/drivers.ts';
import { SerialFault } from '../drivers/fault.ts';
import { EdgeError, errorLine } from '../errors.ts';
import { flawsOf, hint } from '../flaws.ts';
import { Port } from '../intake/serial/port.ts';
import { loadProfiles } from '../profiles/load.ts';
import { type Profile, QUALITY } from '../profiles/profile.ts';
import type { Profiles } from '../profiles/profiles.ts';
import { encodePack, type SenmlRecord } from '../wire/senml.ts';
import type { Command } from './index.ts';
import { carry, type Named, placeOf } from './serial-tool.ts';
import { sleep } from './until.ts';

/** A device that speaks by itself does so at least this often, or nothing is there. */
const HEAR_MS = 60_000;
/** After a port was away. */
const REOPEN_MS = 1000;
/** A damaged answer is no reason to give up at once. */
const TRIES = 3;

type Said = { profile: Profile; profiles: Profiles; driver: Driver; line: LineFormat; everyMs: number };

export const command: Command = {
  usage: `read PORT --profile NAME [--unit N] [--address A] [--option KEY=VALUE ...] [--secret ROLE=FILE ...]
                     [--baud N] [--timeout MS] [--profiles FOLDER] [--watch] [--every S] [--json]

  PORT                a tty (/dev/ttyUSB0), or host:port
  --profile NAME      how the device is read (sejong-edge profiles list), as the config of the gateway would have it
  --unit N            its unit id (Modbus)
  --address A         its address (DLMS, IEC 62056-21)
  --option KEY=VALUE  a further key of the device's config (vin=..., for vehicle-obd); once for each
  --secret ROLE=FILE  a key or password, as the file holds it; once for each
  --baud N            another rate than the profile has
  --timeout MS        how long the device may think (1000)
  --profiles FOLDER   of own profiles
  --watch             go on, at the profile's pace, until Ctrl-C
  --every S           at this pace
  --json              one line of JSON for each reading

Prints what the gateway would sign: the records with their units, when they were read, their quality, and the size of
the pack in CBOR. Signs nothing, and needs no gateway; one that runs must not have the port open.`,
  run: async (args, stop) => {
    const text = { type: 'string' } as const;
    const many = { ...text, multiple: true } as const;
    const flag = { type: 'boolean', default: false } as const;
    const { values, positionals } = parseArgs({
      args,
      options: {
        ...{ profile: text, unit: text, address: text, option: many, secret: many, baud: text, timeout: text },
        ...{ profiles: text, watch: flag, every: text, json: flag },
      },
      allowPositionals: true,
    });
    if (positionals.length > 1) throw new EdgeError('USAGE', 'read needs one PORT');
    const where = await placeOf(positionals[0], 'read');
    const said = prepare(where, values);
    const timeoutMs = values.timeout === undefined ? undefined : number('timeout', values.timeout);
    return await (values.watch ? watch : once)(where, said, timeoutMs, values.json ? printJson : print, stop);
  },
};

type Options = {
  profile?: string | undefined;
  unit?: string | undefined;
  address?: string | undefined;
  option?: string[] | undefined;
  secret?: string[] | undefined;
  baud?: string | undefined;
  profiles?: string | undefined;
  every?: string | undefined;
};

function number(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1e9)) throw new EdgeError('USAGE', `--${name} ${text} is not a number above 0`);
  return value;
}

/** KEY=VALUE; a value that looks like a number or a boolean is one where the schema wants it so. */
function pairs(name: string, texts: readonly string[] | undefined): [string, string][] {
  return (texts ?? []).map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new EdgeError('USAGE', `--${name} ${text} is not KEY=VALUE`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}

/** @throws EdgeError USAGE, PROFILE_INVALID, CONFIG_INVALID */
function prepare({ medium }: Named, options: Options): Said {
  const profiles = loadProfiles(options.profiles);
  const readable = profiles.list().filter(({ driver }) => driver !== undefined);
  const names = readable.map(({ name }) => name);
  const profile = readable.find(({ name }) => name === options.profile);
  if (profile === undefined)
    throw new EdgeError(
      'USAGE',
      options.profile === undefined
        ? `read needs --profile, one of ${names.join(', ')}`
        : `there is no profile ${options.profile} that the gateway reads by itself${hint(options.profile, names)}`,
    );
  const type = DRIVERS[profile.driver as string];
  if (type === undefined) throw new EdgeError('USAGE', `there is no driver ${profile.driver}`);
  if (!type.media.includes(medium))
    throw new EdgeError('USAGE', `${profile.name} is read over ${type.media.join(' or ')}, and PORT is a ${medium}`);

  const secrets = new Map(pairs('secret', options.secret));
  const wanted: Record<string, unknown> = Object.fromEntries(pairs('option', options.option));
  if (options.unit !== undefined) wanted.unitId = options.unit;
  if (options.address !== undefined) wanted.address = options.address;
  if (secrets.size > 0) wanted.secrets = Object.fromEntries([...secrets.keys()].map((role) => [role, role]));
  const as = (device: unknown) => Value.Default(type.device, structuredClone(device)) as object;
  // As it was written where that is right, so that an address 001 stays one; else as the number that it looks like.
  const written = as(wanted);
  const device =
    flawsOf(type.device, written, '').length === 0 ? written : as(Value.Convert(type.device, structuredClone(wanted)));
  const flaws = flawsOf(type.device, device, 'the device');
  if (flaws.length > 0)
    throw new EdgeError('USAGE', flaws.map(({ at, says }) => `${optionOf(at.slice(1))} ${says}`).join('; '));

  const driver = type.create({
    settings: Value.Default(type.settings, structuredClone(profile.settings ?? {})),
    device,
    values: profile.values,
    medium,
    secret: (role) => secretOf(role, secrets.get(role)),
    mark: () => undefined,
    nextNumber: () => {
      throw new EdgeError(
        'USAGE',
        'what is enciphered needs numbers that are given once, and only the gateway keeps those: read it with the gateway',
      );
    },
  } satisfies Setup);
  const line = { ...type.line, ...profile.line };
  if (options.baud !== undefined) line.baudRate = number('baud', options.baud);
  const every = options.every === undefined ? profile.everySeconds : number('every', options.every);
  return { profile, profiles, driver, line, everyMs: every * 1000 };
}

const optionOf = (key: string): string =>
  key === 'unitId' ? '--unit' : key === 'address' ? '--address' : key === '' ? 'the device' : `--option ${key}`;

function secretOf(role: string, file: string | undefined): Uint8Array {
  try {
    return Buffer.from(readFileSync(file as string, 'latin1').trim(), 'latin1');
  } catch (error) {
    throw new EdgeError('USAGE', `--secret ${role}: cannot read ${file}: ${(error as Error).message}`);
  }
}

// --- reading ---------------------------------------------------------------------------------------------------------

type Taken = { reading: Reading; atMs: number };
type Print = (said: Said, taken: Taken) => void;

async function open(where: Named, { line }: Said, timeoutMs: number | undefined, stop: AbortSignal) {
  const port = new Port({ name: where.name, place: where.place, line, timeoutMs });
  const end = () => void port.close();
  stop.addEventListener('abort', end, { once: true });
  const close = async () => {
    stop.removeEventListener('abort', end);
    await port.close();
  };
  try {
    await port.open();
  } catch (error) {
    await close();
    throw error;
  }
  return { port, close };
}

/** The next readings: by one poll, or by listening until there is one. */
async function take(port: Port, { driver }: Said, listenMs: number, stop: AbortSignal): Promise<Taken[]> {
  if (!isHeard(driver)) {
    const startedAtMs = Date.now();
    const readings = await carry(port, driver.poll({ startedAtMs, heardAtMs: () => port.heardAtMs }), stop);
    return readings.map((reading) => ({ reading, atMs: reading.atMs ?? port.heardAtMs }));
  }
  const enough = new AbortController();
  const taken: Taken[] = [];
  let last: SerialFault | undefined;
  let bytes = 0;
  port.onUnasked = (chunk, atMs) => {
    bytes += chunk.length;
    for (const heard of driver.hear(chunk, atMs))
      if (heard instanceof SerialFault) last = heard;
      else taken.push({ reading: heard, atMs: heard.atMs ?? atMs });
    if (taken.length > 0) enough.abort();
  };
  port.onLost = () => enough.abort();
  try {
    await sleep(listenMs, AbortSignal.any([stop, enough.signal]));
  } finally {
    port.onUnasked = undefined;
  }
  if (taken.length > 0 || stop.aborted) return taken;
  throw (
    port.lost ??
    last ??
    new SerialFault(
      'no-answer',
      `${bytes === 0 ? 'nothing' : `${bytes} bytes, but no telegram`} in ${listenMs / 1000} s`,
    )
  );
}

async function once(
  where: Named,
  said: Said,
  timeoutMs: number | undefined,
  show: Print,
  stop: AbortSignal,
): Promise<number> {
  try {
    const { port, close } = await open(where, said, timeoutMs, stop);
    try {
      for (let tries = 1; ; tries++) {
        try {
          const taken = await take(port, said, HEAR_MS, stop);
          for (const one of taken) show(said, one);
          if (taken.length === 0) console.error(`${where.name}: it has nothing new`);
          return 0;
        } catch (error) {
          if (!(error instanceof SerialFault) || error.kind !== 'corrupt' || tries === TRIES) throw error;
          console.error(`${where.name}: ${error.detail}; once more`);
        }
      }
    } finally {
      await close();
    }
  } catch (error) {
    if (stop.aborted && error instanceof SerialFault) return 0;
    throw error instanceof SerialFault && error.kind !== 'away'
      ? new SerialFault(error.kind, `${where.name}: ${error.detail}`)
      : error;
  }
}

async function watch(
  where: Named,
  said: Said,
  timeoutMs: number | undefined,
  show: Print,
  stop: AbortSignal,
): Promise<number> {
  let told = '';
  const complain = (error: unknown) => {
    if (!(error instanceof SerialFault)) throw error;
    if (stop.aborted) return;
    const line = errorLine(
      new SerialFault(error.kind, error.kind === 'away' ? error.detail : `${where.name}: ${error.detail}`),
    );
    if (line !== told) console.error(line);
    told = line;
  };
  while (!stop.aborted) {
    try {
      const { port, close } = await open(where, said, timeoutMs, stop);
      try {
        said.driver.reset();
        for (let dueAt = performance.now(); !stop.aborted && port.lost === undefined; ) {
          try {
            // What speaks by itself may do so each second: what is not due is passed over, as the gateway does.
            for (const one of await take(port, said, HEAR_MS, stop)) {
              if (isHeard(said.driver) && performance.now() < dueAt) continue;
              show(said, one);
              if (isHeard(said.driver)) dueAt = performance.now() + said.everyMs;
            }
            told = '';
          } catch (error) {
            complain(error);
          }
          if (isHeard(said.driver)) continue;
          dueAt = Math.max(dueAt + said.everyMs, performance.now());
          await sleep(dueAt - performance.now(), stop);
        }
      } finally {
        await close();
      }
    } catch (error) {
      complain(error);
    }
    await sleep(REOPEN_MS, stop);
  }
  return 0;
}

// --- what is shown ---------------------------------------------------------------------------------------------------

/** As it would be signed, and what would become of it. */
function packOf(
  { profile, profiles }: Said,
  { reading }: Taken,
): { records: SenmlRecord[]; bytes: number; refused?: string } {
  const records = [...reading.records, { n: QUALITY, vs: reading.quality }];
  const bytes = encodePack(records).length;
  try {
    profiles.check(profile.name, records);
    return { records, bytes };
  } catch (error) {
    return { records, bytes, refused: errorLine(error) };
  }
}

const printJson: Print = (said, taken) => {
  const { records, bytes, refused } = packOf(said, taken);
  console.log(
    JSON.stringify({
      at: new Date(taken.atMs).toISOString(),
      quality: taken.reading.quality,
      records,
      cborBytes: bytes,
      ...(refused !== undefined && { refused }),
    }),
  );
};

const print: Print = (said, taken) => {
  const { records, bytes, refused } = packOf(said, taken);
  const width = Math.max(...records.map(({ n }) => n.length));
  const about = said.driver.about();
  console.log(`${new Date(taken.atMs).toISOString()}  ${taken.reading.quality}${about ? `  (${about})` : ''}`);
  for (const { n, v, vs, vb, u, t } of records) {
    const value = v ?? vs ?? vb;
    const at = t === undefined ? '' : `  at ${new Date(t * 1000).toISOString()}`;
    console.log(`  ${n.padEnd(width)}  ${value}${u === undefined ? '' : ` ${u}`}${at}`);
  }
  console.log(
    `  ${bytes} bytes of CBOR, ${said.profile.privacy}${refused === undefined ? '' : `; it would go to quarantine: ${refused}`}`,
  );
};
