/** sejong-sim check: vehicles at the gate of a real gateway. Each line says what came of one, and what had to. */
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { PATIENCE_MS } from '../city/command.ts';
import { CityOffice } from '../city/office.ts';
import { lockFolder } from '../lock.ts';
import { UsageError } from '../options.ts';
import { deliverByApi, deliverByFile } from './deliver.ts';
import { CHECK_SCENARIOS, type CheckWorld } from './scenarios.ts';

const OPTIONS = {
  city: 'DIR       keys and books of the city, see sejong-sim issuer (./sim-city)',
  mqtt: 'URL       broker of the gateway (mqtt://127.0.0.1:1883)',
  origin: "NAME      the gateway's origin",
  gate: 'NAME      of checks.gates in its config',
  zone: 'NAME      of that gate',
  purpose: 'NAME      what the vehicles come for (passage)',
  at: 'LAT,LON   where the gate stands (36.4803,127.2538)',
  vouch: 'DID       the city vouches for this gateway first, in this zone',
  api: 'URL       brings bundles to the gateway through its API, with the token in SEJONG_TOKEN',
  bundle: 'FILE      or brings them as this file: checks.bundleFile of the gateway',
  every: 'SECONDS   go on: a good vehicle so often, and a bad one after every second',
  for: 'SECONDS   with --every: so long (until it is stopped)',
} as const;
type Values = { [K in keyof typeof OPTIONS]?: string } & { p256?: boolean; quiet?: boolean; help?: boolean };

export function checkHelp(): string {
  return [
    'sejong-sim check [SCENARIO ...] [options]: vehicles at a gate; without a scenario, all of them in turn',
    '',
    'Scenarios, and the decision and reason that each must end in',
    ...Object.entries(CHECK_SCENARIOS).map(
      ([name, { says, expects }]) =>
        `  ${name.padEnd(20)} ${`${expects.decision} ${expects.reason}`.padEnd(29)} ${says}`,
    ),
    '',
    'Options',
    ...Object.entries(OPTIONS).map(([name, says]) => `  ${`--${name}`.padEnd(10)} ${says}`),
    '  --p256     the vehicles hold P-256 keys',
    '  --quiet    only the summary, one line of JSON',
    '  --help     this',
    '',
    'The city must vouch for the gateway (sejong-sim issuer gateway) and know its zone (sejong-sim issuer zone).',
    'Exit 0: each ended as it had to; 1: one did not, or it failed; 2: the command line is not right.',
  ].join('\n');
}

export type CheckLine = {
  scenario: string;
  says: string;
  decision: string;
  reason: string;
  /** Decision and reason. */
  expected: string;
  ok: boolean;
};
type Output = { say: (line: string) => void; send: (message: object) => void };

/** @returns the exit code */
export async function check(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  out: Output,
  stop: AbortSignal,
): Promise<number> {
  const { values: v, positionals } = parse(argv);
  if (v.help) {
    out.say(checkHelp());
    return 0;
  }
  for (const name of positionals)
    if (!Object.hasOwn(CHECK_SCENARIOS, name))
      throw new UsageError(`there is no scenario ${JSON.stringify(name)} of checks; see check --help`);
  const every = v.every === undefined ? undefined : seconds(v.every, 'every');
  const end = v.for === undefined ? Number.POSITIVE_INFINITY : Date.now() + 1000 * seconds(v.for, 'for');
  const folder = resolve(v.city ?? './sim-city');
  CityOffice.open(folder);
  const unlock = await lockFolder(folder, PATIENCE_MS);
  try {
    // Its books are read when nobody else writes them.
    return await playAll(makeWorld(v, folder, env), { v, names: positionals, every, end }, out, stop);
  } finally {
    unlock();
  }
}

type Plan = { v: Values; names: readonly string[]; every: number | undefined; end: number };

async function playAll(
  world: CheckWorld,
  { v, names, every, end }: Plan,
  out: Output,
  stop: AbortSignal,
): Promise<number> {
  const counts: Record<string, number> = {};
  let wrong = 0;
  const playOne = async (name: string): Promise<void> => {
    const line = await play(name, world);
    // Whoever stops us may have stopped the gateway as well.
    if (!line.ok && stop.aborted) return;
    const key = `${line.decision} ${line.reason}`;
    counts[key] = (counts[key] ?? 0) + 1;
    if (!line.ok) wrong++;
    if (!v.quiet) out.say(lineOf(line));
    out.send({ type: 'check', ...line });
  };
  if (v.vouch !== undefined) world.city.vouchFor(checkedDid(v.vouch), world.origin, [world.zone]);
  let published = 0;
  const publish = async (): Promise<void> => {
    published = Date.now();
    const refused = await world.deliver(world.city.publish());
    if (refused !== undefined) throw new Error(`the gateway refuses the city's bundle: ${refused}`);
  };
  await publish();
  out.send({ type: 'ready' });
  const wanted = names.length > 0 ? names : Object.keys(CHECK_SCENARIOS);
  if (every === undefined)
    for (const name of wanted) {
      if (stop.aborted) break;
      await playOne(name);
    }
  else {
    const bad = wanted.filter((name) => name !== 'pass');
    for (let turn = 1; !stop.aborted && Date.now() < end; turn++) {
      if (Date.now() - published > 1000 * world.city.policy.publishSeconds) await publish();
      await playOne((turn % 3 === 0 && bad.shift()) || 'pass');
      await wait(every * 1000, undefined, { signal: stop }).catch(() => undefined);
    }
  }
  const summary = { checks: counts, wrong };
  out.send({ type: 'summary', ...summary });
  out.say(JSON.stringify(summary));
  return wrong === 0 ? 0 : 1;
}

/** A scenario that cannot be played to its end has not ended as it must. */
export async function play(name: string, world: CheckWorld): Promise<CheckLine> {
  const scenario = CHECK_SCENARIOS[name];
  if (!scenario) throw new Error(`no scenario ${name}`);
  const { says } = scenario;
  const expected = `${scenario.expects.decision} ${scenario.expects.reason}`;
  try {
    const { decision, reason } = await scenario.play(world);
    return { scenario: name, says, decision, reason, expected, ok: `${decision} ${reason}` === expected };
  } catch (error) {
    return { scenario: name, says, decision: 'FAILED', reason: (error as Error).message, expected, ok: false };
  }
}

const lineOf = ({ scenario, decision, reason, expected, ok }: CheckLine): string =>
  `${scenario.padEnd(30)} ${decision} ${reason}${ok ? ', as expected' : `, but ${expected} was expected`}`;

function makeWorld(v: Values, folder: string, env: NodeJS.ProcessEnv): CheckWorld {
  const gate = {
    url: v.mqtt ?? 'mqtt://127.0.0.1:1883',
    origin: needed(v, 'origin'),
    gate: needed(v, 'gate'),
    purpose: v.purpose ?? 'passage',
  };
  const zone = needed(v, 'zone');
  const [latitude, longitude] = (v.at ?? '36.4803,127.2538').split(',').map(Number);
  if (!(Math.abs(latitude ?? 91) <= 90 && Math.abs(longitude ?? 181) <= 180))
    throw new UsageError('--at is not a place like 36.4803,127.2538');
  const token = env.SEJONG_TOKEN;
  if (v.api === undefined && v.bundle === undefined) throw new UsageError('--api or --bundle is needed');
  if (v.api !== undefined && !token)
    throw new UsageError('SEJONG_TOKEN is not set; make one with sejong-edge token --role operator, or give --bundle');
  return {
    ...gate,
    zone,
    place: { latitude: latitude as number, longitude: longitude as number },
    city: CityOffice.open(folder),
    stranger: CityOffice.open(join(folder, 'stranger'), { name: 'Another city' }),
    deliver: v.api === undefined ? deliverByFile(v.bundle as string, gate) : deliverByApi(v.api, token as string),
    keyType: v.p256 ? 'P-256' : 'Ed25519',
  };
}

function parse(argv: readonly string[]): { values: Values; positionals: string[] } {
  const strings = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }]));
  const flag = { type: 'boolean' as const };
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { ...strings, p256: flag, quiet: flag, help: { ...flag, short: 'h' } },
    }) as { values: Values; positionals: string[] };
  } catch (error) {
    throw new UsageError((error as Error).message.split(/\. |\n/)[0]);
  }
}

function needed(v: Values, name: keyof typeof OPTIONS): string {
  const value = v[name];
  if (value === undefined || value === '') throw new UsageError(`--${name} is needed`);
  return value;
}

function checkedDid(value: string): string {
  try {
    publicKeyFromDid(value);
  } catch (error) {
    throw new UsageError(`--vouch: ${(error as { detail?: string }).detail}`);
  }
  return value;
}

function seconds(text: string, name: string): number {
  const n = Number(text);
  if (!(n > 0 && n <= 2_000_000)) throw new UsageError(`--${name} is a number of seconds above 0`);
  return n;
}
