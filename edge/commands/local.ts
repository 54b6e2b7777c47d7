/** What the commands that speak to a gateway on this machine share: where it is, and a token for it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, loadConfig, makeConfig } from '../config.ts';
import { EdgeError } from '../errors.ts';
import type { RunInfo } from '../gateway.ts';
import { openIdentity } from '../identity.ts';
import { type Role, Tokens } from '../tokens.ts';

export const LOCAL_OPTIONS = { config: { type: 'string' }, data: { type: 'string' } } as const;
export const LOCAL_USAGE = `  --config FILE   the gateway's config
  --data DIR      or its data folder, as npm start uses one (default: ./data)`;

export function localConfig(values: { config?: string | undefined; data?: string | undefined }): Config {
  if (values.config !== undefined) return loadConfig(values.config);
  const config = makeConfig({ dataFolder: values.data ?? './data' });
  const info = runInfo(config.dataFolder);
  if (info) config.log.origin = info.origin;
  return config;
}

export function runInfo(dataFolder: string): RunInfo | undefined {
  const path = join(dataFolder, 'run.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as RunInfo) : undefined;
}

/** @throws EdgeError KEY_UNREADABLE; no keys are made here */
export function localToken(config: Config, name: string, role: Role, lifeSeconds: number): Promise<string> {
  if (!existsSync(join(config.dataFolder, 'keys', 'gateway.key')))
    throw new EdgeError('KEY_UNREADABLE', `there are no keys of a gateway in ${join(config.dataFolder, 'keys')}`);
  const identity = openIdentity(config);
  return new Tokens(config.log.origin, identity.did, identity.keys).issue({ name, role }, lifeSeconds);
}
