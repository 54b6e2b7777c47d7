/** SIGKILL: at random moments, and exactly where a write is on disk or is not, and nobody knows. */
import { setTimeout as wait } from 'node:timers/promises';
import { sequence } from '../../firmware-sim/random.ts';
import type { Attack, Outcome, Terms } from './attack.ts';
import { Site } from './site.ts';

/** What is named in edge/faults.ts, and how often it is passed at the most before the kill. */
const POINTS: readonly [name: string, most: number][] = [
  ['append.before', 60],
  ['append.after', 60],
  ['checkpoint.before', 5],
  ['checkpoint.after', 5],
  ['transaction.before', 8],
  ['transaction.after', 8],
  ['write.before', 2],
  ['write.after', 2],
  ['commit', 100],
  ['anchor.sent', 3],
];

/** The very first start: each kill leaves a data folder that is a little further. */
const FIRST_START = [
  'write.before=kill@1',
  'write.after=kill@1',
  'write.before=kill@2',
  'write.after=kill@2',
  'device.before=kill@1',
  'device.after=kill@1',
  'append.before=kill@1',
  'append.after=kill@1',
  'checkpoint.before=kill@1',
  'checkpoint.after=kill@1',
];

/** So long may a fault point take until it is passed. */
const HIT_MS = 60_000;

/** Any moment of its work; now and then of its start. Leaves the gateway starting again. */
export async function killAtRandom(site: Site, random: () => number): Promise<void> {
  await wait(random() * 700);
  await site.gateway?.stop('SIGKILL');
  site.look();
  const gateway = site.begin();
  if (random() >= 0.8) return;
  await gateway.line(/"msg":"ready"/);
  await site.grows(20);
}

/** Starts the gateway to die there. Leaves it dead. @returns whether it did */
export async function killAt(site: Site, fault: string): Promise<boolean> {
  const gateway = site.begin(fault);
  // A process that is not asked to stop never writes that it stops cleanly.
  if (/^write\..*@2$/.test(fault) && site.size() > 0) {
    await gateway.line(/"msg":"ready"/);
    gateway.child.kill('SIGTERM');
  }
  await Promise.race([gateway.ended, wait(HIT_MS, undefined, { ref: false })]);
  const died = gateway.child.signalCode === 'SIGKILL' && gateway.lines.includes(`fault ${fault}`);
  await gateway.stop('SIGKILL');
  site.look();
  return died;
}

/** @returns those that were not reached */
export async function killFirstStart(site: Site, faults: readonly string[]): Promise<string[]> {
  const missed: string[] = [];
  for (const fault of faults) if (!(await killAt(site, fault))) missed.push(`${fault} of the first start`);
  return missed;
}

/** Each point so many times, in an order of the seed. */
export function faultList(random: () => number, rounds: number, act = 'kill'): string[] {
  const list: [number, string][] = [];
  for (let round = 0; round < rounds; round++)
    for (const [name, most] of POINTS) list.push([random(), `${name}=${act}@${1 + Math.floor(random() * most)}`]);
  return list.sort(([a], [b]) => a - b).map(([, fault]) => fault);
}

async function outcome(site: Site, counts: Record<string, number>, wrong: readonly string[]): Promise<Outcome> {
  const { entries, checkpoints, anchors } = await site.finish();
  const { acked, enrolled, lost, twice } = site;
  return {
    counts: { ...counts, acked, enrolled: enrolled.length, entries, checkpoints, anchors },
    lost,
    twice,
    ok: site.whole && wrong.length === 0 && acked > 0 && anchors > 0,
    detail: [site.verdict, ...wrong].join('; '),
  };
}

const random: Attack = {
  name: 'kill-random',
  says: 'SIGKILL at random moments under load, now and then during the start',
  run: async ({ seed, short, say }: Terms) => {
    const next = sequence(seed);
    const site = await Site.build({ seed, chain: 'rpc' });
    await site.up();
    await site.load();
    await site.grows(200);
    const kills = short ? 4 : 125;
    for (let kill = 1; kill <= kills; kill++) {
      await killAtRandom(site, next);
      if (kill % 10 === 0) say(`${kill} of ${kills} kills, ${site.acked} acknowledged, ${site.lost} lost`);
    }
    await site.gateway?.line(/"msg":"ready"/);
    return outcome(site, { kills }, []);
  },
};

const points: Attack = {
  name: 'kill-points',
  says: 'SIGKILL before and after the commit of each kind of write, and between a broadcast and its row',
  run: async ({ seed, short, say }: Terms) => {
    const next = sequence(seed ^ 0x5ea1);
    const site = await Site.build({ seed, chain: 'rpc' });
    const first = FIRST_START.filter((_, i) => !short || i % 4 === 2);
    const missed = await killFirstStart(site, first);
    await site.up();
    await site.load();
    await site.grows(100);
    await site.gateway?.stop('SIGKILL');
    const faults = faultList(next, short ? 1 : 7).slice(0, short ? 4 : undefined);
    for (const [i, fault] of faults.entries()) {
      if (!(await killAt(site, fault))) missed.push(`${fault} was not reached`);
      if ((i + 1) % 10 === 0) say(`${i + 1} of ${faults.length} points, ${site.acked} acknowledged, ${site.lost} lost`);
    }
    await site.up();
    await site.grows(20);
    return outcome(site, { kills: first.length + faults.length - missed.length }, missed);
  },
};

const errors: Attack = {
  name: 'errors',
  says: 'each kind of write refused once: before its commit, and after it, when it is on disk all the same',
  run: async ({ seed, short, say }: Terms) => {
    const next = sequence(seed ^ 0xe44);
    const site = await Site.build({ seed, chain: 'rpc' });
    await site.up();
    await site.load();
    await site.grows(100);
    await site.gateway?.stop('SIGTERM');
    const wrong: string[] = [];
    let refused = 0;
    // All of one run at different places, so that none is waited for alone. A start that cannot write may fail.
    for (let round = 0; round < (short ? 1 : 6); round++) {
      const faults = faultList(next, 1, 'error').filter((f) => !/^(write|commit)/.test(f));
      await site.up(faults.join(','));
      for (const fault of faults) {
        const hit = site.gateway?.line(new RegExp(`^fault ${fault}$`)).then(() => true);
        if (await Promise.race([hit, wait(HIT_MS, false, { ref: false })])) refused++;
        else wrong.push(`${fault} was not reached`);
      }
      await site.grows(50);
      const code = await site.gateway?.stop('SIGTERM');
      if (code !== 0) wrong.push(`ended with ${code} after ${faults.join(',')}`);
      site.look();
      say(`${refused} writes refused, ${site.acked} acknowledged, ${site.lost} lost`);
    }
    await site.up();
    await site.grows(20);
    return outcome(site, { refused }, wrong);
  },
};

export const attacks: readonly Attack[] = [random, points, errors];
