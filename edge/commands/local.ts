/** What the commands that speak to a gateway on this machine share: where it is, and a token for it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, makeConfig } from '../config.ts';
import { loadConfig } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { openIdentity } from '../identity.ts';
import { runInfo } from '../run-info.ts';
import { type Role, Tokens } from '../tokens.ts';

export const LOCAL_OPTIONS = { config: { type: 'string' }, data: { type: 'string' } } as const;
export const LOCAL_USAGE = `  --config FILE   the gateway's config (default: SEJONG_EDGE_CONFIG, where that is set and --data is not given)
  --data DIR      or its data folder, as npm start uses one (default: ./data)`;

export function localConfig(values: { config?: string | undefined; data?: string | undefined }): Config {
  const file = values.config ?? (values.data === undefined ? process.env.SEJONG_EDGE_CONFIG : undefined);
  if (file) return loadConfig(file);
  const config = makeConfig({ dataFolder: values.data ?? './data' });
  const info = runInfo(config.dataFolder);
  if (info) config.log.origin = info.origin;
  return config;
}

/** @throws EdgeError KEY_UNREADABLE; no keys are made here */
export function localToken(config: Config, name: string, role: Role, lifeSeconds: number): Promise<string> {
  if (!existsSync(join(config.dataFolder, 'keys', 'gateway.key')))
    throw new EdgeError('KEY_UNREADABLE', `there are no keys of a gateway in ${join(config.dataFolder, 'keys')}`);
  const identity = openIdentity(config, false);
  return new Tokens(config.log.origin, identity.did, identity.keys).issue({ name, role }, lifeSeconds);
}
