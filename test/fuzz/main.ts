/**
 * The long form: node test/fuzz/main.ts --cases 1000000 --seed 7 [--target envelope]
 * Ends with 1 where something was found; it is written to the corpus, to be fixed and to stay.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fuzz, type Result, replay } from './fuzz.ts';
import { fuzzBroker } from './mqtt.ts';
import { TARGETS } from './targets.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
  },
});
const cases = Number(values.cases);
const seed = Number(values.seed);
const names = [...TARGETS.map(({ name }) => name), 'mqtt'];
if (!Number.isInteger(cases) || cases < 1 || !Number.isInteger(seed) || !names.includes(values.target ?? 'mqtt')) {
  console.error(`--cases N (of each target) --seed N [--target ${names.join('|')}]`);
  process.exit(2);
}

async function broker(options: Parameters<typeof fuzzBroker>[0]): Promise<Result> {
  const { close, ...result } = await fuzzBroker(options);
  await close();
  return result;
}

const results: Result[] = [];
let failed = false;
for (const name of names.filter((n) => values.target === undefined || values.target === n)) {
  const progress = (done: number): void => {
    const memory = Math.round(process.memoryUsage.rss() / 1_048_576);
    process.stderr.write(`\r${name.padEnd(12)} ${String(done).padStart(9)} of ${cases}  ${memory} MiB `);
  };
  const target = TARGETS.find((t) => t.name === name);
  for (const wrong of target ? await replay(target) : []) {
    failed = true;
    console.log(wrong);
  }
  const options = { seed, cases, progress };
  const result = target ? await fuzz(target, options) : await broker(options);
  process.stderr.write('\r');
  results.push(result);
  for (const { input, why } of result.findings) {
    failed = true;
    const file = createHash('sha256').update(input).digest('hex').slice(0, 16);
    const folder = fileURLToPath(new URL(`./corpus/${name}/refused`, import.meta.url));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, file), input);
    console.log(`${name}: corpus/${name}/refused/${file}: ${why.split('\n').slice(0, 3).join(' ')}`);
  }
}
console.log('target           cases    refused   accepted  crashed  wrongly accepted  seconds');
for (const r of results)
  console.log(
    [
      r.target.padEnd(12),
      String(r.cases).padStart(9),
      String(r.refused).padStart(10),
      String(r.accepted).padStart(10),
      String(r.crashed).padStart(8),
      String(r.wronglyAccepted).padStart(17),
      r.seconds.toFixed(0).padStart(8),
    ].join(' '),
  );
process.exit(failed ? 1 : 0);
