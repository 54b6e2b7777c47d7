/** What strangers and crowds do to the broker and to each parser: mutated inputs, and more clients than there should be. */
import { fuzz, type Result } from '../fuzz/fuzz.ts';
import { fuzzBroker } from '../fuzz/mqtt.ts';
import { TARGETS } from '../fuzz/targets.ts';
import { badLoginsBesideGood, floodBesideOthers, idleConnections, reconnectStorm } from '../load/load.ts';
import type { LoadResult } from '../load/rig.ts';
import type { Attack } from './attack.ts';

/** Of each parser; all together are a million and more. */
const CASES = 150_000;
const CASES_SHORT = 2_000;

const load = (
  name: string,
  says: string,
  full: () => Promise<LoadResult>,
  short: () => Promise<LoadResult>,
): Attack => ({
  name,
  says,
  run: async (terms) => {
    const { counts, latencies, lost, detail } = await (terms.short ? short() : full());
    for (const [what, { p50, p99 }] of Object.entries(latencies)) terms.say(`${what}: p50 ${p50} ms, p99 ${p99} ms`);
    return { counts, lost, twice: 0, ok: lost === 0, detail };
  },
});

export const attacks: readonly Attack[] = [
  {
    name: 'fuzz',
    says: 'mutated envelopes, receipts, checkpoints, tile paths, SenML, tokens, Modbus frames and MQTT packets',
    run: async ({ seed, short, say }) => {
      const cases = short ? CASES_SHORT : CASES;
      const results: Result[] = [];
      for (const target of TARGETS) {
        results.push(await fuzz(target, { seed, cases }));
        say(`${target.name}: ${results.at(-1)?.refused} refused, ${results.at(-1)?.accepted} rightly accepted`);
      }
      const { close, ...broker } = await fuzzBroker({ seed, cases });
      await close();
      results.push(broker);
      const sum = (key: 'cases' | 'refused' | 'accepted' | 'crashed' | 'wronglyAccepted'): number =>
        results.reduce((n, result) => n + result[key], 0);
      return {
        counts: {
          cases: sum('cases'),
          refused: sum('refused'),
          crashed: sum('crashed'),
          wrong: sum('wronglyAccepted'),
        },
        lost: 0,
        twice: 0,
        ok: sum('crashed') + sum('wronglyAccepted') === 0,
        detail: results.flatMap(({ target, findings }) => findings.map(({ why }) => `${target}: ${why}`)).join('\n'),
      };
    },
  },
  load(
    'idle',
    '10,000 connections that do nothing',
    () => idleConnections(10_000),
    () => idleConnections(300),
  ),
  load(
    'storm',
    '2,000 devices that come back at once',
    () => reconnectStorm(2_000),
    () => reconnectStorm(100),
  ),
  load('flood', 'one device floods, the others keep their latency', floodBesideOthers, () => floodBesideOthers(20)),
  load('bad-logins', 'a storm of bad logins beside good ones', badLoginsBesideGood, () => badLoginsBesideGood(10)),
];
