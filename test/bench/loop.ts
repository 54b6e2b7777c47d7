/** How late the gateway's event loop is while each commit takes 200 ms: what pings and serial timing feel of it. */
import { setTimeout as wait } from 'node:timers/promises';
import { type Bench, ratio } from './report.ts';
import { makeBenchFolder, runLoad, startBenchGateway } from './start.ts';

const FSYNC_MS = 200;
const WANTED_MS = 20;
const RATE = 500;

async function metrics(http: string): Promise<(name: string) => number> {
  const text = await (await fetch(`${http}/metrics`)).text();
  return (name) => Number(new RegExp(`^sejong_edge_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

export async function benchLoop(bench: Bench): Promise<void> {
  const gateway = await startBenchGateway(makeBenchFolder(), { SEJONG_EDGE_FAULTS: `commit=delay@${FSYNC_MS}` });
  try {
    const load = { gateway, connections: 20, window: 64, rate: RATE, plain: false };
    await runLoad({ ...load, messages: RATE }); // warm
    const before = await metrics(gateway.http); // and each look begins the measure anew
    const running = runLoad({ ...load, messages: 20 * RATE });
    await wait(5000); // its envelopes are signed before it sends
    await metrics(gateway.http);
    const { messages, seconds } = await running;
    const after = await metrics(gateway.http);
    const p99 = 1000 * after('event_loop_delay_seconds');
    const commits = after('store_commits_total') - before('store_commits_total');
    bench.row(
      `event loop, ${Math.round(messages / seconds)}/s, ${commits} commits of ${FSYNC_MS} ms`,
      `p99 ${p99.toFixed(1)} ms late`,
      { 'of 20 ms': ratio(p99 / WANTED_MS, 1, 'most') },
    );
  } finally {
    await gateway.stop();
  }
}
