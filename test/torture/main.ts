/** npm run torture: every attack on a promise, one after the other, and a table of what came of it. */
import { parseArgs } from 'node:util';
import { untilItsEnd } from '../support/ends.ts';
import type { Attack, Outcome } from './attack.ts';
import { attacks as chain } from './chain.ts';
import { attacks as kills } from './kills.ts';
import { attacks as slowDisk } from './slow-disk.ts';
import { attacks as strangers } from './strangers.ts';
import { attacks as suites } from './suites.ts';
import { attacks as two } from './two.ts';

/** A new attack is a line here. */
const ATTACKS: readonly Attack[] = [
  ...kills, //
  ...slowDisk,
  ...two,
  ...chain,
  ...strangers,
  ...suites,
];

const USAGE = `usage: npm run torture [-- --seed N] [--short] [--only NAME]... [--list]

  --seed N      kills, faults and chaos come at the moments of this seed; without it one is drawn and shown
  --short       the form that CI runs, about a minute and a half
  --only NAME   only this attack; may be given more than once
  --list        what there is

Exit 0: every promise held; 1: not; 2: the command line is not right. Ctrl-C ends all that was started.`;

type Done = { attack: Attack; outcome: Outcome; seconds: number };

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string' },
        short: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.seed !== undefined && !/^\d{1,9}$/.test(values.seed)) throw new Error(`--seed ${values.seed}: digits`);
    const unknown = values.only.filter((name) => !ATTACKS.some((a) => a.name === name));
    if (unknown.length > 0) throw new Error(`there is no attack ${unknown.join(', ')}; --list shows them`);
    return values;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

async function runOne(attack: Attack, seed: number, short: boolean, stop: AbortSignal): Promise<Done> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const say = (line: string): void => console.error(`${attack.name} ${seconds().toFixed(0).padStart(4)} s  ${line}`);
  say(attack.says);
  let outcome: Outcome;
  try {
    outcome = await untilItsEnd(stop, () => attack.run({ seed, short, say }));
  } catch (error) {
    const detail = (error as Error).message.split('\n').slice(0, 20).join('\n');
    outcome = { counts: {}, lost: Number.NaN, twice: Number.NaN, ok: false, detail }; // nobody counted
  }
  say(outcome.ok ? 'ok' : `FAILED: ${outcome.detail}`);
  return { attack, outcome, seconds: seconds() };
}

const shown = (n: number): string => (Number.isNaN(n) ? '?' : String(n));

function table(done: readonly Done[]): string[] {
  const cells = done.map(({ attack, outcome: o, seconds }) => [
    attack.name,
    Object.entries(o.counts)
      .map(([what, n]) => `${n} ${what}`)
      .join(', '),
    shown(o.lost),
    shown(o.twice),
    o.ok ? 'ok' : 'FAILED',
    seconds.toFixed(0),
    o.detail.split('\n')[0] as string,
  ]);
  const all = [['attack', 'what was done', 'lost', 'twice', 'verdict', 's', ''], ...cells];
  const widths = (all[0] as string[]).map((_, c) => Math.max(...all.map((row) => (row[c] as string).length)));
  return all.map((row) =>
    row
      .map((cell, c) =>
        c === 2 || c === 3 || c === 5 ? cell.padStart(widths[c] as number) : cell.padEnd(widths[c] as number),
      )
      .join('  ')
      .trimEnd(),
  );
}

const options = readArguments();
if (options.help) {
  console.log(USAGE);
  process.exit(0);
}
if (options.list) {
  for (const { name, says } of ATTACKS) console.log(`${name.padEnd(14)} ${says}`);
  process.exit(0);
}
const seed = options.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(options.seed);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());

const done: Done[] = [];
for (const attack of ATTACKS) {
  if (
    stop.signal.aborted ||
    (options.short && attack.fullOnly) ||
    (options.only.length > 0 && !options.only.includes(attack.name))
  )
    continue;
  done.push(await runOne(attack, seed, options.short, stop.signal));
}
const failed = done.filter(({ outcome }) => !outcome.ok);
console.log(`torture, ${options.short ? 'short' : 'full'} form, seed ${seed}\n`);
for (const line of table(done)) console.log(line);
for (const { attack, outcome } of failed) console.log(`\n${attack.name}: ${outcome.detail}`);
const sum = (key: 'lost' | 'twice'): number => done.reduce((n, { outcome }) => n + outcome[key], 0);
console.log(`\n${shown(sum('lost'))} lost, ${shown(sum('twice'))} twice`);
console.log(`${done.length - failed.length} passed, ${failed.length} failed`);
// A library's open handle must not keep this alive: all that was started has ended.
process.exit(stop.signal.aborted ? 130 : failed.length === 0 ? 0 : 1);
