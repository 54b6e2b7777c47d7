/** node test/load/main.ts [idle|storm|flood|logins] [N]: the large forms, each with its numbers. */
import { badLoginsBesideGood, floodBesideOthers, idleConnections, reconnectStorm } from './load.ts';
import type { LoadResult } from './rig.ts';

const PROGRAMS: Record<string, (n?: number) => Promise<LoadResult>> = {
  idle: (n = 10_000) => idleConnections(n),
  storm: (n = 2_000) => reconnectStorm(n),
  flood: (n) => floodBesideOthers(n),
  logins: (n) => badLoginsBesideGood(n),
};
const [which, n] = process.argv.slice(2);
for (const [name, program] of Object.entries(PROGRAMS)) {
  if (which !== undefined && which !== name) continue;
  const result = await program(n === undefined ? undefined : Number(n));
  console.log(`${result.name}: ${result.detail}; lost ${result.lost}`);
  console.log(`  ${JSON.stringify(result.counts)}`);
  for (const [what, s] of Object.entries(result.latencies)) console.log(`  ${what.padEnd(14)} ${JSON.stringify(s)} ms`);
}
