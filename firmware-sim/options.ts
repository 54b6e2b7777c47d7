/** The command line: one table for parsing, checking and --help. */
import { parseArgs } from 'node:util';
import { type ClaimCode, parseCode } from '../edge/wire/claim.ts';
import { parseLocalTime } from './clock.ts';
import { CREDIT_PLANTS, type CreditPlantName, LEAST_BUFFER } from './credit-plants.ts';
import { HOSTILE, type HostileKind } from './hostile.ts';
import { SCENARIOS } from './scenarios.ts';
import { isWire, WIRES, type WireName } from './wires.ts';

/** Something about the command line, in one line. Exit code 2. */
export class UsageError extends Error {}

const count = (max: number) => (text: string) => {
  if (!/^\d{1,10}$/.test(text) || Number(text) > max) throw new UsageError(`is not a whole number of 0 to ${max}`);
  return Number(text);
};

const number = (min: number, max: number) => (text: string) => {
  if (!/^\d*\.?\d+$/.test(text) || Number(text) < min || Number(text) > max)
    throw new UsageError(`is not a number of ${min} to ${max}`);
  return Number(text);
};

const url = (...schemes: string[]) => {
  return (text: string) => {
    const parsed = URL.parse(text);
    if (!parsed || !schemes.includes(parsed.protocol) || !parsed.hostname)
      throw new UsageError(`is not a URL of ${schemes.map((s) => `${s}//`).join(' or ')}`);
    return text;
  };
};

const text = (value: string) => {
  if (value === '') throw new UsageError('is empty');
  return value;
};

const hostileList = (list: string): HostileKind[] =>
  list.split(',').map((name) => {
    const kind = HOSTILE.find((k) => k === name);
    if (!kind) throw new UsageError(`names ${JSON.stringify(name)}, which is none of ${HOSTILE.join(', ')}`);
    return kind;
  });

const creditPlants = (list: string): CreditPlantName[] =>
  list.split(',').map((name) => {
    const sort = CREDIT_PLANTS.find((p) => p === name);
    if (!sort) throw new UsageError(`names ${JSON.stringify(name)}, which is none of ${CREDIT_PLANTS.join(', ')}`);
    return sort;
  });

const wireList = (list: string): WireName[] =>
  list.split(',').map((name) => {
    if (!isWire(name))
      throw new UsageError(`names ${JSON.stringify(name)}, which is none of ${Object.keys(WIRES).join(', ')}`);
    return name;
  });

const owners = (list: string): string[] =>
  list.split(',').map((account) => {
    if (!/^(0x[0-9a-fA-F]{40})?$/.test(account))
      throw new UsageError(`has ${JSON.stringify(account)}, which is no account: 0x and 40 hexadecimal digits`);
    return account;
  });

const localTime = (value: string): number => {
  const ms = parseLocalTime(value);
  if (ms === undefined) throw new UsageError('is not a time like 2026-06-21T12:00 (KST) or 2026-06-21T03:00Z');
  return ms;
};

const claimCode = (value: string): ClaimCode => {
  const code = parseCode(value);
  if (!code) throw new UsageError('is not a claim code: 8 and 26 letters and digits with a dash between');
  return code;
};

type Row<T> = { arg: string; says: string; read: (text: string) => T; default: T };
const row = <T>(arg: string, says: string, read: (text: string) => T, value: NoInfer<T>): Row<T> => ({
  arg,
  says,
  read,
  default: value,
});
const optional = <T>(arg: string, says: string, read: (text: string) => T): Row<T | undefined> =>
  row<T | undefined>(arg, says, read, undefined);

const DAY = 86_400;
/** What one timer can wait: 2^31 ms. */
const MAX_SECONDS = 2_147_483;

const WHERE = {
  mqtt: row('URL', 'broker of the gateway, mqtt:// or mqtts://', url('mqtt:', 'mqtts:'), 'mqtt://127.0.0.1:1883'),
  api: optional('URL', 'HTTP API of the gateway; enrols with the token in SEJONG_TOKEN', url('http:', 'https:')),
  claim: optional('CODE', 'the one device enrols itself with this code (sejong-edge claim make), no token', claimCode),
  origin: optional('NAME', "the gateway's origin, for logins; else asked at --api", text),
  state: row('DIR', 'keys, counters, buffers', text, './sim-state'),
};
const WHO = {
  meters: row('N', 'household meters', count(5000), 3),
  plants: row('N', 'solar plants', count(5000), 2),
  vehicles: row('N', 'vehicles', count(5000), 2),
  inverters: row('N', 'SunSpec inverters on serial lines, DIR/inverter-1 and on', count(100), 0),
  wires: row('LIST', `serial lines with devices, DIR/NAME: ${Object.keys(WIRES).join(',')}`, wireList, []),
  'tty-dir': optional('DIR', 'where the serial lines appear', text),
  'p256-every': row('N', 'every Nth of its kind, from the first on, gets a P-256 key; 0: none', count(20_000), 0),
  'credit-plants': row('LIST', `plants with a day to certify: ${CREDIT_PLANTS.join(',')}`, creditPlants, []),
  'credit-owners': row(
    'LIST',
    'accounts on the chain that own them, one for each, in their order; may be empty',
    owners,
    [],
  ),
  hostile: row('LIST', `devices that do wrong: ${HOSTILE.join(',')}`, hostileList, []),
  'hostile-every': row('SECONDS', 'how often they do', number(0.01, DAY), 5),
};
const WHEN = {
  every: row('SECONDS', 'sampling period', number(0.01, DAY), 5),
  for: optional('SECONDS', 'stop sampling after so long, drain, and end', number(0.1, MAX_SECONDS)),
  drain: row('SECONDS', 'wait so long for the buffers to be empty', number(0, DAY), 10),
  away: optional('SECONDS', 'outage, restart: time without link (a fifth of --for, at most 10)', number(0.1, DAY)),
  speed: row('X', 'sun, homes and roads run X times faster; stamps stay real', number(0.001, 100_000), 1),
  at: optional('TIME', 'simulated time at the start, KST unless it has a zone', localTime),
};
const HOW = {
  seed: optional('N', 'repeat a run: keys, routes, clouds, jitter', count(0xffffffff)),
  window: row('N', 'envelopes under way per device', count(10_000), 16),
  buffer: row('N', 'envelopes that a device holds; when full it stops sampling', count(1_000_000), 10_000),
};
const LOAD = {
  devices: row('N', 'connections', count(20_000), 0),
  rate: row('R', 'envelopes a second of all together; 0: as fast as acknowledged', number(0, 1e6), 0),
  pack: row('K', 'records in an envelope', count(1500), 1),
  presign: row('N', 'sign so many envelopes before connecting', count(1_000_000), 0),
};
const OUTPUT = {
  acked: optional('FILE', 'append "did epoch seq sha256" for each PUBACK of an honest device', text),
};

const ROWS = { ...WHERE, ...WHO, ...WHEN, ...HOW, ...LOAD, ...OUTPUT };
type Rows = typeof ROWS;
type Values = { [K in keyof Rows]: Rows[K] extends Row<infer T> ? T : never };
/** With their titles, and the lines that stand in no table. */
const GROUPS: readonly [title: string, rows: Record<string, Row<unknown>>, more: readonly string[]][] = [
  ['Where', WHERE, ['--no-enroll              the devices are enrolled already']],
  ['Who', WHO, ['--scenario NAME          the same as naming it first']],
  ['When', WHEN, []],
  ['How', HOW, []],
  ['Load, instead of meters, plants and vehicles', LOAD, []],
  ['Output', OUTPUT, ['--quiet                  only the summary, one line of JSON', '--help                   this']],
];

export type Options = Values & {
  scenario: string;
  enroll: boolean;
  quiet: boolean;
  help: boolean;
  token: string | undefined;
};

/** @throws UsageError */
export function readOptions(argv: readonly string[], env: NodeJS.ProcessEnv): Options {
  const rows: Record<string, Row<unknown>> = ROWS;
  const strings = Object.fromEntries(Object.keys(rows).map((name) => [name, { type: 'string' as const }]));
  const { values, positionals } = parse(argv, strings);
  const read: Record<string, unknown> = {};
  for (const [name, { read: parser, default: fallback }] of Object.entries(rows)) {
    const given = values[name];
    try {
      read[name] = given === undefined ? fallback : parser(given as string);
    } catch (error) {
      if (error instanceof UsageError) throw new UsageError(`--${name} ${JSON.stringify(given)} ${error.message}`);
      throw error;
    }
  }
  const options = {
    ...(read as Values),
    scenario: (values.scenario as string | undefined) ?? positionals[0] ?? 'steady',
    enroll: values['no-enroll'] !== true,
    quiet: values.quiet === true,
    help: values.help === true,
    token: env.SEJONG_TOKEN || undefined,
  };
  if (!options.help) check(options, positionals);
  return options;
}

function parse(argv: readonly string[], strings: Record<string, { type: 'string' }>) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...strings,
        scenario: { type: 'string' },
        'no-enroll': { type: 'boolean' },
        quiet: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }) as { values: Record<string, string | boolean | undefined>; positionals: string[] };
  } catch (error) {
    throw new UsageError((error as Error).message.split(/\. |\n/)[0]);
  }
}

function check(o: Options, positionals: readonly string[]): void {
  if (positionals.length > 1) throw new UsageError(`one scenario at a time, not ${positionals.join(' and ')}`);
  if (!Object.hasOwn(SCENARIOS, o.scenario))
    throw new UsageError(
      `there is no scenario ${JSON.stringify(o.scenario)}, only ${Object.keys(SCENARIOS).join(', ')}`,
    );
  for (const name of ['window', 'buffer', 'pack'] as const)
    if (o[name] === 0) throw new UsageError(`--${name} is at least 1`);
  if (o.buffer < LEAST_BUFFER && (o['credit-plants'].length > 0 || SCENARIOS[o.scenario]?.creditPlants))
    throw new UsageError(`--buffer is at least ${LEAST_BUFFER} with credit plants: they begin with a full one`);
  if (o.every * o.speed > DAY) throw new UsageError('--every times --speed is at most one day (86400)');
  if ((o.inverters > 0 || o.wires.length > 0) && o['tty-dir'] === undefined)
    throw new UsageError('--inverters and --wires need --tty-dir');
  if (o.origin === undefined && o.api === undefined)
    throw new UsageError('--origin or --api is needed: a login names the gateway that it is for');
  if (o.enroll && o.api === undefined)
    throw new UsageError('--api is needed to enrol; or --no-enroll for devices that are');
  if (o.claim !== undefined && (o.api === undefined || o.devices > 0 || o.meters + o.plants + o.vehicles !== 1))
    throw new UsageError('--claim is for one device with --api, for example --meters 1 --plants 0 --vehicles 0');
  if (o.enroll && o.claim === undefined && o.token === undefined)
    throw new UsageError(
      'SEJONG_TOKEN is not set; make one with sejong-edge token make --role operator, or give --no-enroll',
    );
}

export function help(): string {
  const lines = [
    'sejong-sim [SCENARIO] [options]: devices that behave like firmware, for a Sejong Edge gateway',
    '',
    'sejong-sim issuer --help     a simulated city: keys, credentials, status lists, bundles',
    'sejong-sim check --help      vehicles at a gate, good ones and bad ones',
    '',
    'Scenarios',
    ...Object.entries(SCENARIOS).map(([name, { says }]) => `  ${name.padEnd(24)} ${says}`),
  ];
  for (const [title, rows, more] of GROUPS) {
    lines.push('', title);
    for (const [name, { arg, says, default: value }] of Object.entries(rows)) {
      const shown = value === undefined || (Array.isArray(value) && value.length === 0) ? '' : ` (${value})`;
      lines.push(`  ${`--${name} ${arg}`.padEnd(24)} ${says}${shown}`);
    }
    lines.push(...more.map((text) => `  ${text}`));
  }
  lines.push(
    '',
    'A device keeps its key, and so the type of it, once it has one. Keys made with --seed can be made again by anyone who knows the seed:',
    'they are for simulation only. A seed with a new state folder is an old device with its counter reset: a gateway',
    'that knows it refuses it (REPLAY), as it must.',
    'The last line is one JSON object. Exit 0: everything of honest devices was taken; 1: not, or it failed;',
    '2: the command line is not right. Ctrl-C ends with a summary; what is left stays in the state folder.',
  );
  return lines.join('\n');
}
