/** Building a tree of a million leaves, beside merkletreejs; and how long a receipt takes from a log of a million. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Log } from '../../edge/log/log.ts';
import { encodeJsonReceipt } from '../../edge/log/receipt.ts';
import { Store } from '../../edge/store/store.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
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

export async function benchReceipt(bench: Bench): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sejong-bench-'));
  const secret = new Uint8Array(32).fill(9);
  const key = { origin: 'bench', publicKey: publicKeyOf(secret), sign: (m: Uint8Array) => signEd25519(m, secret) };
  const path = join(folder, 'edge.db');
  try {
    let store = await Store.open(path);
    let log = new Log(store, key);
    log.start();
    const started = performance.now();
    for (let i = 0; i < MILLION; i += 5000) {
      const envelopes = Array.from({ length: 5000 }, (_, j) => ({
        envelope: randomBytes(220),
        device: 1,
        epoch: 1,
        seq: i + j,
        receivedMs: i,
        monoMs: i,
        clockSynced: true,
      }));
      await log.append(envelopes, []);
    }
    bench.row('loading 1M entries of 220 bytes', `${Math.round(MILLION / ((performance.now() - started) / 1000))}/s`);
    await log.makeCheckpoint(Date.now());
    await store.close();
    const opening = performance.now();
    store = await Store.open(path);
    log = new Log(store, key);
    log.start();
    bench.row('opening a log of 1M', `${Math.round(performance.now() - opening)} ms`);
    const times: number[] = [];
    for (let i = 0; i < 2000; i++) {
      const index = Math.floor(Math.random() * MILLION);
      const t = performance.now();
      const { envelope } = store.get<{ envelope: Uint8Array }>('SELECT envelope FROM entries WHERE idx = ?', index) as {
        envelope: Uint8Array;
      };
      JSON.stringify(
        encodeJsonReceipt({
          index,
          entry: envelope,
          path: log.inclusion(index, MILLION),
          checkpoint: log.latest?.note as string,
        }),
      );
      times.push(performance.now() - t);
    }
    times.sort((a, b) => a - b);
    bench.row(
      'a receipt from a log of 1M, random entries',
      `p50 ${times[1000]?.toFixed(2)} ms, p99 ${times[1980]?.toFixed(2)} ms`,
    );
    await store.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
