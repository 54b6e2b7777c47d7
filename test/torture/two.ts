/** Two gateways on one data folder: one of them works, the other says DATA_IN_USE and touches nothing. */
import { sequence } from '../../firmware-sim/random.ts';
import type { Running } from '../support/cli.ts';
import type { Attack } from './attack.ts';
import { Site } from './site.ts';

/** @returns whether it ended by itself, for that reason */
async function isTurnedAway(gateway: Running): Promise<boolean> {
  await gateway.ended;
  return gateway.child.exitCode === 1 && gateway.lines.some((line) => line.startsWith('DATA_IN_USE'));
}

/** Ready, or gone. */
const settled = (gateway: Running): Promise<boolean> =>
  gateway.line(/"msg":"ready"/).then(
    () => true,
    () => false,
  );

export const attacks: readonly Attack[] = [
  {
    name: 'two-gateways',
    says: 'a second gateway on the same data folder, while one runs and at the same moment',
    run: async ({ seed, short, say }) => {
      const random = sequence(seed ^ 0x2);
      const site = await Site.build({ seed, chain: 'none' });
      await site.up();
      await site.load();
      await site.grows(50);
      const wrong: string[] = [];
      let turnedAway = 0;
      for (let i = 0; i < (short ? 1 : 15); i++) {
        if (await isTurnedAway(site.launch())) turnedAway++;
        else wrong.push('a second gateway was not turned away');
        await site.grows(20);
      }
      say(`${turnedAway} turned away`);
      let races = 0;
      for (let i = 0; i < (short ? 1 : 10); i++) {
        await site.gateway?.stop(random() < 0.5 ? 'SIGKILL' : 'SIGTERM');
        const both = [site.launch(), site.launch()];
        const ready = await Promise.all(both.map(settled));
        const [winner] = both.filter((_, at) => ready[at]);
        const [loser] = both.filter((_, at) => !ready[at]);
        if (winner && loser && (await isTurnedAway(loser))) races++;
        else wrong.push(`of two at once ${ready.filter(Boolean).length} were ready: ${loser?.lines.join(' | ')}`);
        if (!winner) await site.up();
        else site.gateway = winner;
        site.look();
        await site.grows(20);
      }
      const { entries, checkpoints } = await site.finish();
      return {
        counts: { 'turned away': turnedAway, races, acked: site.acked, entries, checkpoints },
        lost: site.lost,
        twice: site.twice,
        ok: site.whole && wrong.length === 0 && site.acked > 0,
        detail: [site.verdict, ...wrong].join('; '),
      };
    },
  },
];
