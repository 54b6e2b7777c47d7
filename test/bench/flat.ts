/** Whether a long log costs anything: start, accept and receipt with N entries, beside the same with none. */
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyReceipt } from '../../edge/verify.ts';
import { loadLog } from './loader.ts';
import { type Bench, ratio } from './report.ts';
import { type BenchFolder, type BenchGateway, makeBenchFolder, runLoad, startBenchGateway } from './start.ts';

const DEVICES = 1000;
const RECEIPTS = 2000;
const VERIFIED = 20;
/** Of an entry with its indexes and hashes, and as much again to be on the safe side. */
const DISK_PER_ENTRY = 900;

type Figures = { startMs: number; unclean: number; rate: number; p50: number; p99: number };

/** Entries that are loaded between two notes of how far it came. */
const LOADED_AT_ONCE = 500_000;

/** @param keep a folder where the long log is, or is to be kept for the next time; '' for none */
export async function benchFlat(bench: Bench, entries: number, keep: string): Promise<void> {
  if (keep !== '') mkdirSync(keep, { recursive: true });
  const { bavail, bsize } = statfsSync(keep || tmpdir());
  if (bavail * bsize < entries * DISK_PER_ENTRY) {
    bench.row(
      `${entries.toLocaleString('en')} entries`,
      `left out: ${keep || tmpdir()} has no ${Math.ceil((entries * DISK_PER_ENTRY) / 1e9)} GB free (--entries N)`,
    );
    return;
  }
  const empty = makeBenchFolder();
  const full = keep === '' ? makeBenchFolder() : makeBenchFolder('none', keep);
  try {
    await (await startBenchGateway(empty)).end('SIGTERM'); // keys, and entry 0
    await loadLog(empty, DEVICES, DEVICES);
    const rate = await loadOnce(full, entries);
    const size = statSync(join(full.data, 'edge.db')).size;
    const name = `${entries.toLocaleString('en')} entries`;
    const loaded = rate === undefined ? 'loaded before' : `${Math.round(rate)}/s`;
    bench.row(`loading ${name}, each signed`, `${loaded}, ${(size / 1e9).toFixed(2)} GB`, {
      'bytes on disk for an entry': ratio(size / entries),
    });
    const small = await measure(empty, DEVICES);
    const large = await measure(full, entries);
    note(full, entries); // measuring has used more boot epochs
    const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
    bench.row('start, an empty log (process to ready)', ms(small.startMs));
    bench.row(`start, ${name}`, ms(large.startMs), {
      'of 1,000 ms': ratio(large.startMs / 1000, 1, 'most'),
      'of the empty log': ratio(large.startMs / small.startMs),
    });
    bench.row('start after SIGKILL, an empty log', ms(small.unclean));
    bench.row(`start after SIGKILL, ${name}`, ms(large.unclean), {
      'of 1,000 ms': ratio(large.unclean / 1000, 1, 'most'),
      'of the empty log': ratio(large.unclean / small.unclean),
    });
    bench.row('a receipt by HTTP, an empty log', `p50 ${ms(small.p50)}, p99 ${ms(small.p99)}`);
    bench.row(`a receipt by HTTP, ${name}`, `p50 ${ms(large.p50)}, p99 ${ms(large.p99)}`, {
      'of 1 ms, p50': ratio(large.p50, 1, 'most'),
      'of the empty log': ratio(large.p50 / small.p50),
    });
    bench.row('accepted, an empty log', `${Math.round(small.rate)}/s`);
    bench.row(`accepted, ${name}`, `${Math.round(large.rate)}/s`, {
      'of the empty log': ratio(large.rate / small.rate),
    });
  } finally {
    for (const { path } of [empty, full]) if (path !== keep) rmSync(path, { recursive: true, force: true });
  }
}

const notePath = ({ path }: BenchFolder): string => join(path, 'loaded.json');
const note = (folder: BenchFolder, loaded: number): void =>
  writeFileSync(notePath(folder), JSON.stringify({ loaded, epoch: folder.epoch }));

/**
 * Loads what is not there yet, and notes how far it came: ten million take a while.
 * @returns entries a second; undefined where all were there
 */
async function loadOnce(folder: BenchFolder, entries: number): Promise<number | undefined> {
  let loaded = 0;
  const path = notePath(folder);
  if (existsSync(path)) ({ loaded, epoch: folder.epoch } = JSON.parse(readFileSync(path, 'utf8')));
  else await (await startBenchGateway(folder)).end('SIGTERM'); // keys, and entry 0
  let seconds = 0;
  const before = loaded;
  while (loaded < entries) {
    const now = Math.min(LOADED_AT_ONCE, entries - loaded);
    folder.epoch++; // noted before it is used: what was cut off in the middle is not counted twice
    note(folder, loaded);
    folder.epoch--;
    seconds += now / (await loadLog(folder, now, DEVICES));
    loaded += now;
    note(folder, loaded);
    console.log(`  ${loaded.toLocaleString('en')} of ${entries.toLocaleString('en')} loaded`);
  }
  // Known to this process even where they were enrolled by an earlier one.
  await loadLog(folder, 0, DEVICES);
  note(folder, loaded);
  return seconds === 0 ? undefined : (loaded - before) / seconds;
}

async function measure(folder: BenchFolder, entries: number): Promise<Figures> {
  const starts: number[] = [];
  for (let i = 0; i < 5; i++) {
    const gateway = await startBenchGateway(folder);
    starts.push(gateway.readyMs);
    await gateway.end('SIGTERM');
  }
  const gateway = await startBenchGateway(folder);
  const times = await receipts(gateway, entries);
  const load = { gateway, kind: 'sensor' as const, connections: 50, window: 64, rate: 0, plain: false };
  await runLoad({ ...load, messages: 10_000 }); // warm
  const { messages, seconds } = await runLoad({ ...load, messages: 60_000 });
  await gateway.end('SIGKILL');
  const again = await startBenchGateway(folder);
  await again.end('SIGTERM');
  return {
    startMs: starts.sort((a, b) => a - b)[2] as number,
    unclean: again.readyMs,
    rate: messages / seconds,
    p50: times[Math.floor(times.length / 2)] as number,
    p99: times[Math.floor(times.length * 0.99)] as number,
  };
}

/** Asks for receipts of entries all over the log, verifies some of them, and answers how long they took, sorted. */
async function receipts(gateway: BenchGateway, entries: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true });
  const fetchText = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${gateway.token}` };
      get(`${gateway.http}${path}`, { agent, headers }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part) => {
          text += part;
        });
        answer.on('end', () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(text))));
      }).on('error', reject);
    });
  const key = await fetchText('/log/key');
  const times: number[] = [];
  for (let i = 0; i < RECEIPTS + VERIFIED; i++) {
    // A fixed walk through the whole log, in no order that a cache could guess.
    const index = 1 + ((i * 7_919_111) % entries);
    const begun = performance.now();
    const text = await fetchText(`/entries/${index}/receipt`);
    if (i >= VERIFIED) times.push(performance.now() - begun);
    else if ((await verifyReceipt(text, key, undefined, () => undefined)) !== undefined)
      throw new Error(`the receipt of entry ${index} does not hold`);
  }
  agent.destroy();
  return times.sort((a, b) => a - b);
}
