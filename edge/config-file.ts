/** The config as a file, with what the environment says over it: read with the line of whatever is wrong. */
import { isAbsolute, resolve } from 'node:path';
import { type Override, override } from './config/env.ts';
import { type Config, makeConfig } from './config.ts';
import { EdgeError } from './errors.ts';
import { parseYaml, readYaml } from './yaml-file.ts';

export type LoadOptions = {
  /** Instead of what the file says; its paths go out from the file's folder all the same. */
  text?: string;
  /** Where overrides are looked for. */
  env?: NodeJS.ProcessEnv;
};

const OVERRIDES = new WeakMap<Config, Override[]>();

/** What the environment said over the file. */
export const overridesOf = (config: Config): readonly Override[] => OVERRIDES.get(config) ?? [];

/** @throws EdgeError CONFIG_INVALID, naming file, line and key, or the variable */
export function loadConfig(path: string, { text, env = process.env }: LoadOptions = {}): Config {
  const fail = (detail: string) => new EdgeError('CONFIG_INVALID', detail);
  const { value, line } = text === undefined ? readYaml(path, fail) : parseYaml(path, text, fail);
  let values = value;
  let overrides: Override[] = [];
  // What is no map is refused as a whole.
  if (value === null || (typeof value === 'object' && !Array.isArray(value))) {
    values = value ?? {};
    overrides = override(values as Record<string, unknown>, env);
  }
  const config = makeConfig(values, path, (pointer) => {
    const by = overrides.find(({ key }) => pointer === `/${key.replaceAll('.', '/')}`);
    return by ? ` (${by.variable} in the environment)` : line(pointer);
  });
  OVERRIDES.set(config, overrides);
  if (!isAbsolute(config.dataFolder)) config.dataFolder = resolve(path, '..', config.dataFolder);
  if (config.profiles.folder !== '') config.profiles.folder = resolve(path, '..', config.profiles.folder);
  for (const { tls } of [config.mqtt, config.http])
    for (const file of ['certFile', 'keyFile', 'caFile'] as const)
      if (tls[file] !== '') tls[file] = resolve(path, '..', tls[file]);
  return config;
}
