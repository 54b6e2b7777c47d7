/** sejong-sim issuer: a simulated city, one action at a time. The last line is one JSON object. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { writeDurably } from '../durable.ts';
import { lockFolder } from '../lock.ts';
import { UsageError } from '../options.ts';
import { CityOffice, DEFAULT_POLICY } from './office.ts';

const OPTIONS = {
  city: 'DIR       keys and books of the city (./sim-city)',
  did: 'DID       vehicle: a pseudonym; gateway: see GET /health or run.json',
  origin: 'NAME      gateway: the origin that devices log in to',
  zones: 'LIST      gateway: that it stands in; vehicle: that it may enter',
  purposes: 'LIST      vehicle: what for (passage)',
  registration: 'URN       vehicle: of an earlier credential of the same vehicle; else a new one',
  hours: 'N         how long the credential is good (vehicle 24, gateway 720)',
  credential: 'URN       revoke, suspend, resume: the id of the credential',
  zone: 'NAME:LIST zone, init: a zone, and what one may want in it',
  out: 'FILE      publish, vehicle: written whole or not at all (publish: DIR/bundle.json)',
  'as-of': 'TIME      publish: when the status lists were made, like 2026-06-21T03:00:00Z (now)',
  fresh: `SECONDS   policy: age of status data that gives ALLOW (${DEFAULT_POLICY.freshSeconds})`,
  staleness: `SECONDS   policy: age beyond which it gives DENY (${DEFAULT_POLICY.maxStalenessSeconds})`,
  every: `SECONDS   policy: how often the city publishes (${DEFAULT_POLICY.publishSeconds})`,
  challenge: `SECONDS   policy: life of a challenge, at most 10 (${DEFAULT_POLICY.challengeSeconds})`,
  speed: `KMH       policy: no vehicle is faster (${DEFAULT_POLICY.maxSpeedKmh})`,
} as const;
type Values = { [K in keyof typeof OPTIONS]?: string } & { p256?: boolean; help?: boolean };

const ACTIONS: Record<string, { says: string; act: (office: CityOffice, v: Values) => object }> = {
  init: {
    says: 'make the keys (once; files 0600) and the books: [--p256 --zone]',
    act: (office, v) => {
      if (v.zone !== undefined) addZone(office, v.zone);
      return show(office);
    },
  },
  show: { says: 'who the city is, and what is in its books', act: show },
  policy: {
    says: 'change what every gateway goes by: --fresh --staleness --every --challenge --speed',
    act: (office, v) => {
      const policy = {
        ...whole('freshSeconds', 'fresh', v, 1, 31_536_000),
        ...whole('maxStalenessSeconds', 'staleness', v, 1, 31_536_000),
        ...whole('publishSeconds', 'every', v, 1, 31_536_000),
        ...whole('challengeSeconds', 'challenge', v, 1, 10),
        ...whole('maxSpeedKmh', 'speed', v, 1, 1000),
      };
      const { freshSeconds, maxStalenessSeconds } = { ...office.policy, ...policy };
      if (freshSeconds > maxStalenessSeconds) throw new UsageError('--fresh is above --staleness');
      office.setPolicy(policy);
      return office.policy;
    },
  },
  zone: {
    says: 'add a zone, or change what one may want in it: --zone north:passage,charging',
    act: (office, v) => addZone(office, needed(v, 'zone')),
  },
  gateway: {
    says: 'vouch for a gateway: --did --origin --zones [--hours]',
    act: (office, v) => office.vouchFor(did(v), needed(v, 'origin'), zonesOf(office, v), hours(v)),
  },
  vehicle: {
    says: 'issue a credential with a fresh status index: --did --zones [--purposes --registration --hours --out]',
    act: (office, v) => {
      const credential = office.issue({
        did: did(v),
        zones: zonesOf(office, v),
        purposes: names(v.purposes ?? 'passage', 'purposes'),
        ...(v.registration !== undefined && { registration: registration(v.registration) }),
        ...(v.hours !== undefined && { hours: hours(v) as number }),
      });
      if (v.out !== undefined) writeDurably(v.out, `${JSON.stringify(credential)}\n`, 0o600);
      return credential;
    },
  },
  revoke: { says: 'for good, from the next bundle on: --credential', act: status('revocation', true) },
  suspend: { says: 'for now, from the next bundle on: --credential', act: status('suspension', true) },
  resume: { says: 'end a suspension: --credential', act: status('suspension', false) },
  publish: {
    says: 'sign the next bundle, with a version above all before: [--out --as-of]',
    act: (office, v) => {
      const asOf = v['as-of'] === undefined ? undefined : Date.parse(v['as-of']);
      if (Number.isNaN(asOf)) throw new UsageError('--as-of is not a time like 2026-06-21T03:00:00Z');
      const file = v.out ?? join(v.city ?? FOLDER, 'bundle.json');
      const bytes = office.publish(asOf);
      writeDurably(file, bytes, 0o644);
      return { file, version: office.version, bytes: bytes.length };
    },
  },
};

const FOLDER = './sim-city';
/** One action takes milliseconds, and a simulator that was told to stop at most two seconds. */
export const PATIENCE_MS = 5000;

export function issuerHelp(): string {
  return [
    'sejong-sim issuer ACTION [options]: a simulated city that vouches for vehicles and gateways',
    '',
    'Actions',
    ...Object.entries(ACTIONS).map(([name, { says }]) => `  ${name.padEnd(10)} ${says}`),
    '',
    'Options',
    ...Object.entries(OPTIONS).map(([name, says]) => `  ${`--${name}`.padEnd(15)} ${says}`),
    '  --p256          init: P-256 keys (ecdsa-jcs-2019) in place of Ed25519 (eddsa-jcs-2022)',
    '  --help          this',
    '',
    'The bundle file is what a gateway takes at checks.bundleFile; checks.cityDid is "city" in what show prints.',
    'The last line is one JSON object. Exit 0: done; 1: it failed; 2: the command line is not right.',
  ].join('\n');
}

/** @returns the exit code */
export async function issuer(argv: readonly string[], say: (line: string) => void): Promise<number> {
  const { values, positionals } = parse(argv);
  if (values.help || argv.length === 0) {
    say(issuerHelp());
    return 0;
  }
  const [name, ...more] = positionals;
  const action = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (!action || more.length > 0)
    throw new UsageError(
      `issuer does one of ${Object.keys(ACTIONS).join(', ')}, not ${positionals.join(' ') || 'nothing'}`,
    );
  const folder = resolve(values.city ?? FOLDER);
  const fresh = name === 'init' ? { keyType: values.p256 ? ('P-256' as const) : ('Ed25519' as const) } : undefined;
  // Two at once would give one index, or one version, twice.
  CityOffice.open(folder, fresh);
  const unlock = await lockFolder(folder, PATIENCE_MS);
  try {
    say(JSON.stringify(action.act(CityOffice.open(folder), values)));
  } finally {
    unlock();
  }
  return 0;
}

function parse(argv: readonly string[]): { values: Values; positionals: string[] } {
  const strings = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }]));
  const options = { ...strings, p256: { type: 'boolean' as const }, help: { type: 'boolean' as const, short: 'h' } };
  try {
    return parseArgs({ args: [...argv], allowPositionals: true, options }) as {
      values: Values;
      positionals: string[];
    };
  } catch (error) {
    throw new UsageError((error as Error).message.split(/\. |\n/)[0]);
  }
}

function show(office: CityOffice): object {
  const { cityDid: city, issuerDid: issuer, version, policy, counts } = office;
  return { city, issuer, version, ...counts, policy };
}

function addZone(office: CityOffice, wish: string): object {
  const [zone = '', list = 'passage'] = wish.split(':');
  const purposes = names(list, 'zone');
  office.setPolicy({ zones: { ...office.policy.zones, [names(zone, 'zone')[0] as string]: { purposes } } });
  return office.policy.zones;
}

function status(purpose: 'revocation' | 'suspension', value: boolean) {
  return (office: CityOffice, v: Values): object => {
    const credential = needed(v, 'credential');
    office.setStatus(credential, purpose, value);
    return { credential, [purpose]: value, from: `version ${office.version + 1}` };
  };
}

function needed(v: Values, name: keyof typeof OPTIONS): string {
  const value = v[name];
  if (value === undefined || value === '') throw new UsageError(`--${name} is needed`);
  return value;
}

function did(v: Values): string {
  const value = needed(v, 'did');
  try {
    publicKeyFromDid(value);
  } catch (error) {
    throw new UsageError(`--did: ${(error as { detail?: string }).detail}`);
  }
  return value;
}

function registration(value: string): string {
  if (!/^urn:sejong:registration:[A-Za-z0-9_-]{16,64}$/.test(value))
    throw new UsageError('--registration is not an opaque urn:sejong:registration:');
  return value;
}

function names(list: string, option: string): string[] {
  const all = list.split(',');
  for (const name of all)
    if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name))
      throw new UsageError(`--${option} names ${JSON.stringify(name.slice(0, 70))}: names are of a-z, 0-9 and -`);
  return [...new Set(all)];
}

function zonesOf(office: CityOffice, v: Values): string[] {
  const zones = names(needed(v, 'zones'), 'zones');
  for (const zone of zones)
    if (!Object.hasOwn(office.policy.zones, zone))
      throw new UsageError(`there is no zone ${zone}; add it with: issuer zone`);
  return zones;
}

function hours(v: Values): number | undefined {
  if (v.hours === undefined) return undefined;
  const n = Number(v.hours);
  if (!(n > 0 && n <= 87_600)) throw new UsageError('--hours is a number above 0, up to 87600');
  return n;
}

function whole<K extends string>(key: K, name: keyof typeof OPTIONS, v: Values, min: number, max: number) {
  const text = v[name];
  if (text === undefined) return {};
  const n = Number(text);
  if (!Number.isInteger(n) || n < min || n > max)
    throw new UsageError(`--${name} is a whole number of ${min} to ${max}`);
  return { [key]: n };
}
