/** What happens to honest devices while they measure, by name; hostile ones come beside them. */
import { CREDIT_PLANTS, type CreditPlantName } from './credit-plants.ts';
import type { HostileKind } from './hostile.ts';
import { seedOf, sequence } from './random.ts';
import type { Timers } from './timers.ts';

/** A place in the district with a device in it, which a restart replaces. */
export type Post = {
  readonly name: string;
  goOffline(): void;
  goOnline(): void;
  /** Power cut: torn down without a word, and booted again from its folder. */
  restart(): void;
};

export type Scenario = {
  says: string;
  hostile?: HostileKind;
  creditPlants?: readonly CreditPlantName[];
  play?: (post: Post, timers: Timers, awayMs: number, random: () => number) => void;
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  steady: { says: 'everyone measures and sends' },
  outage: {
    says: 'links are lost for a while (--away), devices measure on, then drain in order; again and again',
    play: (post, timers, awayMs, random) => {
      // Not all at the same moment: half of the time that each is away.
      const online = awayMs * (1 + 0.5 * random());
      const cycle = (): void =>
        timers.after(online, () => {
          post.goOffline();
          timers.after(awayMs, () => {
            post.goOnline();
            cycle();
          });
        });
      cycle();
    },
  },
  restart: {
    says: 'power cuts: offline first, so that the buffer is not empty, then booted from the state folder',
    play: (post, timers, awayMs, random) => {
      const online = awayMs * (1 + 0.5 * random());
      const cycle = (): void =>
        timers.after(online, () => {
          post.goOffline();
          timers.after(awayMs, () => {
            post.restart();
            cycle();
          });
        });
      cycle();
    },
  },
  replay: {
    says: 'steady, and a device whose firmware was put back: its counter is lower than before',
    hostile: 'replay',
  },
  forged: { says: 'steady, and a device that signs with a wrong key or changes what was signed', hostile: 'forged' },
  equivocate: { says: 'steady, and a device that signs two readings under one counter', hostile: 'equivocate' },
  credits: {
    says: 'steady, and plants that come online after a day without a link: one of each sort (--credit-plants)',
    creditPlants: CREDIT_PLANTS,
  },
  flood: { says: 'steady, and a device that sends as fast as its socket takes it', hostile: 'flood' },
};

export function play(name: string, posts: readonly Post[], timers: Timers, awayMs: number, seed: number): void {
  const scenario = SCENARIOS[name];
  for (const post of posts) scenario?.play?.(post, timers, awayMs, sequence(seedOf('scenario', seed, post.name)));
}
