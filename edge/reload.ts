/**
 * What a running gateway takes over from a changed config without dropping a connection: the keys that have a mark in the
 * schema. Each part says which keys it follows; all that is changed beside them waits for a restart, and is said.
 */
import { type Change, changes, KEYS, settingOf } from './config/keys.ts';
import type { Config } from './config.ts';
import { errorLine } from './errors.ts';

export type Reloaded = {
  taken: string[];
  /** Changed, and in force after a restart only. */
  waiting: string[];
  /** Changed, and not taken, with the reason. */
  refused: { key: string; problem: string }[];
};

type Follower = {
  keys: readonly string[];
  take: (next: Config) => Promise<void> | void;
  /** Whether it can be done without a restart, where that depends. */
  can: (before: Config, next: Config) => boolean;
};

export class Reloading {
  readonly #followers: Follower[] = [];
  /** What is in force: the config of the start, with what was taken over since. */
  readonly #config: Config;

  constructor(config: Config) {
    this.#config = config;
  }

  get config(): Config {
    return this.#config;
  }

  /** @param take puts them in force, all or none: where it throws, what was before stays */
  follow(keys: readonly string[], take: Follower['take'], can: Follower['can'] = () => true): void {
    this.#followers.push({ keys, take, can });
  }

  get followed(): string[] {
    return [...new Set(this.#followers.flatMap(({ keys }) => keys))].sort();
  }

  /** What would happen. */
  plan(next: Config): Change[] {
    const able = this.#followers.filter(({ can }) => can(this.#config, next));
    const followed = new Set(able.flatMap(({ keys }) => keys));
    return changes(this.#config, next).map((change) => ({ ...change, reload: followed.has(change.key) }));
  }

  /** Never throws: what cannot be taken is named. */
  async take(next: Config): Promise<Reloaded> {
    const plan = this.plan(next);
    const wanted = plan.filter(({ reload }) => reload).map(({ key }) => key);
    const refused: Reloaded['refused'] = [];
    for (const { keys, take } of this.#followers) {
      const mine = wanted.filter((key) => keys.includes(key));
      if (mine.length === 0) continue;
      try {
        await take(next);
      } catch (error) {
        refused.push(...mine.map((key) => ({ key, problem: errorLine(error) })));
      }
    }
    const taken = wanted.filter((key) => !refused.some((r) => r.key === key));
    for (const name of taken) put(this.#config, next, name);
    return { taken, waiting: plan.filter(({ reload }) => !reload).map(({ key }) => key), refused };
  }
}

function put(config: Config, next: Config, name: string): void {
  const key = KEYS.find((k) => k.name === name);
  if (!key) return;
  const section = key.path
    .slice(0, -1)
    .reduce<Record<string, unknown>>((at, part) => at[part] as never, config as never);
  section[key.path.at(-1) as string] = settingOf(next, key);
}
