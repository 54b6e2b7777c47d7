/** The keys of the config by their dotted names, as people say them: of the schema, and of one config. */
import type { TSchema } from 'typebox';
import { type Config, ConfigSchema } from '../config.ts';

export type Key = {
  /** "mqtt.maxPacketBytes" */
  name: string;
  path: readonly string[];
  schema: TSchema & { description?: string; default?: unknown; type?: string };
  /** A running gateway takes it over. */
  reload: boolean;
};

const propertiesOf = (schema: TSchema): Record<string, TSchema> | undefined =>
  (schema as { properties?: Record<string, TSchema> }).properties;

/** All keys below sections; a list, or an optional object, is one key with all that is in it. */
function* walk(schema: TSchema, path: readonly string[]): Generator<Key> {
  for (const [key, child] of Object.entries(propertiesOf(schema) ?? {})) {
    const here = [...path, key];
    if (isSection(child)) yield* walk(child, here);
    else
      yield { name: here.join('.'), path: here, schema: child, reload: (child as { reload?: true }).reload === true };
  }
}

/** A section is always there, and has a default for each of its keys. */
export const isSection = (schema: TSchema): boolean =>
  propertiesOf(schema) !== undefined && (schema as { default?: unknown }).default !== undefined;

export const KEYS: readonly Key[] = [...walk(ConfigSchema, [])];

export const settingOf = (config: Config, { path }: Pick<Key, 'path'>): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], config);

export type Change = { key: string; from: unknown; to: unknown; reload: boolean };

/** What differs, in the order of the schema. */
export function changes(from: Config, to: Config): Change[] {
  return KEYS.flatMap((key) => {
    const pair = [settingOf(from, key), settingOf(to, key)] as const;
    return JSON.stringify(pair[0]) === JSON.stringify(pair[1])
      ? []
      : { key: key.name, from: pair[0], to: pair[1], reload: key.reload };
  });
}

/** For people to read: an RPC URL may have a key of its operator in it. */
export function shown(key: string, value: unknown): unknown {
  if (typeof value !== 'string' || !/^https?:\/\//.test(value) || !URL.canParse(value)) return value;
  const { origin, pathname, search, username } = new URL(value);
  const bare = pathname === '/' && search === '' && username === '';
  return bare || !SECRET_URLS.includes(key) ? value : `${origin}/...`;
}
const SECRET_URLS = ['chain.rpc', 'checks.bundleUrl'];
