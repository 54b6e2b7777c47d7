/** Building a tree of a million leaves, beside merkletreejs. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Bench, ratio } from './report.ts';

const MILLION = 1_000_000;
const run = promisify(execFile);

async function build(which: 'ours' | 'merkletreejs'): Promise<{ seconds: number; bytes: number }> {
  const child = fileURLToPath(new URL('./merkle-child.ts', import.meta.url));
  const { stdout } = await run(process.execPath, [
    '--expose-gc',
    '--max-old-space-size=8192',
    child,
    which,
    String(MILLION),
  ]);
  return JSON.parse(stdout) as { seconds: number; bytes: number };
}

const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

export async function benchMerkle(bench: Bench): Promise<void> {
  const peer = await build('merkletreejs');
  const ours = await build('ours');
  bench.row('merkletreejs, 1M leaves', `${Math.round(MILLION / peer.seconds)}/s, ${mib(peer.bytes)}`);
  bench.row('tiles, 1M leaves', `${Math.round(MILLION / ours.seconds)}/s, ${mib(ours.bytes)}`, {
    'times merkletreejs': ratio(peer.seconds / ours.seconds, 4, 'least'),
    'of its memory': ratio(ours.bytes / peer.bytes),
  });
}
