/** What a running gateway costs: gas of its anchors, and memory with 1,000 devices connected. */
import { readFileSync } from 'node:fs';
import type { AnchorView } from '../../edge/api/views.ts';
import { type Bench, ratio } from './report.ts';
import { runLoad, startBenchGateway } from './start.ts';

const GAS_WANTED = 60_000;

export async function benchGas(bench: Bench): Promise<void> {
  const gateway = await startBenchGateway('embedded');
  try {
    // About a minute of a district, an anchor a second, so that the tree has all shapes.
    await runLoad({ gateway, connections: 10, messages: 12_000, window: 4, rate: 600, plain: false });
    const answer = await fetch(`${gateway.http}/anchors?limit=1000`, {
      headers: { authorization: `Bearer ${gateway.token}` },
    });
    const { anchors } = (await answer.json()) as { anchors: AnchorView[] };
    const gas = anchors
      .flatMap((a) => (a.gasUsed !== null && a.status === 'confirmed' ? [a.gasUsed] : []))
      .slice(0, -1);
    const mean = gas.reduce((a, b) => a + b, 0) / gas.length;
    bench.row(
      `gas of an anchor, ${gas.length} of a growing log of ${anchors[0]?.size}`,
      `mean ${Math.round(mean)}, least ${Math.min(...gas)}, most ${Math.max(...gas)}`,
      {
        'of 60,000': ratio(mean / GAS_WANTED, 1, 'most'),
      },
    );
  } finally {
    await gateway.stop();
  }
}

const rss = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;

export async function benchMemory(bench: Bench): Promise<void> {
  const gateway = await startBenchGateway();
  try {
    const idle = rss(gateway.pid);
    // 1,000 devices that each send twice; the memory is looked at while all are connected.
    await gateway.devices(1000);
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, rss(gateway.pid));
    }, 100);
    await runLoad({ gateway, connections: 1000, messages: 10_000, window: 2, rate: 1000, plain: false });
    clearInterval(watch);
    bench.row('resident memory, idle', `${Math.round(idle)} MiB`);
    bench.row('resident memory, 1,000 devices at 1,000/s', `${Math.round(most)} MiB`, {
      'of idle': ratio(most / idle),
    });
  } finally {
    await gateway.stop();
  }
}
