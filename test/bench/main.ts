/**
 * npm run bench [-- PART ... [--entries N] [--keep FOLDER]]: figures measured now, on this machine, each beside a peer
 * or a limit. --entries: how large a log the part `flat` compares with an empty one. --keep: where that log stays, for
 * the next time.
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchChecks } from './checks.ts';
import { benchFlat } from './flat.ts';
import { benchIntake } from './intake.ts';
import { benchLoop } from './loop.ts';
import { benchMerkle } from './merkle.ts';
import { Bench } from './report.ts';
import { benchSerial } from './serial.ts';
import { benchGas, benchMemory } from './whole.ts';

const { values, positionals: wanted } = parseArgs({
  options: { entries: { type: 'string', default: '1000000' }, keep: { type: 'string', default: '' } },
  allowPositionals: true,
});
const parts: Record<string, (bench: Bench) => Promise<void>> = {
  intake: benchIntake,
  loop: benchLoop,
  merkle: benchMerkle,
  flat: (bench) => benchFlat(bench, Number(values.entries), values.keep),
  checks: benchChecks,
  serial: benchSerial,
  gas: benchGas,
  memory: benchMemory,
};
const bench = new Bench();
bench.title(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.versions.node}`);
for (const [name, part] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  bench.title(name);
  await part(bench);
}
if (bench.missed > 0) console.log(`\n${bench.missed} wanted figures were missed.`);
