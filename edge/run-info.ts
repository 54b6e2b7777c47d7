/** run.json in the data folder: what other programs on this machine need to reach a running gateway. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivate } from './keystore.ts';

export type RunInfo = {
  pid: number;
  origin: string;
  did: string;
  mqtt: string;
  http: string;
  mqtts?: string;
  https?: string;
  /** Left out where the URL has more than host and port: it may be a key. */
  rpc?: string;
  anchors?: string;
};

const pathOf = (dataFolder: string): string => join(dataFolder, 'run.json');

/** @returns what takes it away again */
export function writeRunInfo(dataFolder: string, info: RunInfo): () => void {
  writePrivate(pathOf(dataFolder), `${JSON.stringify(info, null, 2)}\n`);
  return () => rmSync(pathOf(dataFolder), { force: true });
}

/** undefined where no gateway runs. */
export function runInfo(dataFolder: string): RunInfo | undefined {
  const path = pathOf(dataFolder);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as RunInfo) : undefined;
}
