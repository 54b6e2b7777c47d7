/** npm run bench [-- PART ...]: figures measured now, on this machine, each beside a peer or a limit. */
import { availableParallelism, cpus } from 'node:os';
import { benchIntake } from './intake.ts';
import { benchLoop } from './loop.ts';
import { benchMerkle, benchReceipt } from './merkle.ts';
import { Bench } from './report.ts';
import { benchGas, benchMemory } from './whole.ts';

const parts: Record<string, (bench: Bench) => Promise<void>> = {
  intake: benchIntake,
  loop: benchLoop,
  merkle: benchMerkle,
  receipt: benchReceipt,
  gas: benchGas,
  memory: benchMemory,
};
const wanted = process.argv.slice(2);
const bench = new Bench();
bench.title(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.versions.node}`);
for (const [name, part] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  bench.title(name);
  await part(bench);
}
if (bench.missed > 0) console.log(`\n${bench.missed} wanted figures were missed.`);
