/** What a running gateway costs: gas of its anchors, and memory with many devices connected. */
import type { AnchorView } from '../../edge/api/views.ts';
import { residentMb } from './proc.ts';
import { type Bench, ratio } from './report.ts';
import { makeBenchFolder, runLoad, startBenchGateway } from './start.ts';

const GAS_WANTED = 60_000;

export async function benchGas(bench: Bench): Promise<void> {
  const gateway = await startBenchGateway(makeBenchFolder('embedded'));
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

/** In MB, with so many devices connected. */
const MEMORY_WANTED: readonly (readonly [number, number])[] = [
  [1_000, 130],
  [10_000, 330],
];

export async function benchMemory(bench: Bench): Promise<void> {
  for (const [devices, wanted] of MEMORY_WANTED) {
    const folder = makeBenchFolder();
    // Enrolled by another run of the gateway: what that took is not of those that are connected.
    const first = await startBenchGateway(folder);
    await first.devices(devices);
    await first.end('SIGTERM');
    const gateway = await startBenchGateway(folder);
    try {
      const idle = residentMb(gateway.pid);
      const most = async (rate: number, messages: number): Promise<number> => {
        let found = 0;
        const watch = setInterval(() => {
          found = Math.max(found, residentMb(gateway.pid));
        }, 100);
        await runLoad({ gateway, connections: devices, messages, window: 1, rate, plain: false });
        clearInterval(watch);
        return found;
      };
      const name = devices.toLocaleString('en');
      const quiet = await most(100, devices);
      if (devices === MEMORY_WANTED[0]?.[0]) bench.row('resident memory, idle', `${Math.round(idle)} MB`);
      bench.row(`resident memory, ${name} connected, 100/s`, `${Math.round(quiet)} MB`, {
        [`of the ${wanted} MB wanted`]: ratio(quiet / wanted, 1, 'most'),
        'of idle': ratio(quiet / idle),
      });
      const busy = await most(1000, 20_000);
      bench.row(`resident memory, ${name} connected, 1,000/s`, `${Math.round(busy)} MB`, {
        [`of the ${wanted} MB wanted`]: ratio(busy / wanted, 1, 'most'),
        'of idle': ratio(busy / idle),
      });
    } finally {
      await gateway.stop();
    }
  }
}
