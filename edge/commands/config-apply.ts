/**
 * Brings a config to a gateway that runs, and takes it back where the gateway does not come up with it. The gateway itself
 * goes back to its last good config at once; what is put back here is the file.
 */
import { existsSync, rmSync } from 'node:fs';
import type { ConfigView, ReloadedView } from '../api/config.ts';
import { digest } from '../config/last-good.ts';
import type { Config } from '../config.ts';
import { EdgeError, errorLine } from '../errors.ts';
import { type RunInfo, runInfo } from '../run-info.ts';
import { EXIT } from './exit.ts';
import { localToken } from './local.ts';
import { sleep } from './until.ts';

/** Between two looks at whether it is back. */
const LOOK_MS = 200;
const TOKEN_SECONDS = 3600;

export async function applyConfig(o: {
  file: string;
  /** Where the new one is from, as it is said. */
  from: string;
  text: string;
  next: Config;
  /** What was in the file; undefined where there was none. */
  before: string | undefined;
  /** Of the gateway that runs. */
  dataFolder: string;
  write: (text: string) => void;
  waitMs: number;
  say: (line: string) => void;
}): Promise<number> {
  const { file, from, text, next, before, dataFolder, say } = o;
  const info = running(dataFolder);
  o.write(text);
  say(`wrote    ${file}, as ${from}`);
  if (!info) {
    say(`note     no gateway runs on ${dataFolder}: it is tried at the next start, and taken back if that fails`);
    return EXIT.done;
  }
  const putBack = (): void => {
    if (before === undefined) rmSync(file);
    else o.write(before);
    say(`put back ${file}, as it was`);
  };
  const token = await localToken({ ...next, dataFolder }, 'config apply', 'operator', TOKEN_SECONDS);
  const ask = async <T>(where: RunInfo, path: string, body?: object): Promise<T> => {
    const answer = await fetch(new URL(path, where.http), {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const json = (await answer.json()) as T & { code?: string; detail?: string };
    if (answer.ok) return json;
    throw new EdgeError('CONFIG_INVALID', `${json.code}: ${json.detail}`);
  };
  let state: ConfigView;
  try {
    // A gateway that runs with its last good one takes the new one as a whole, or not at all.
    const done = await ask<ReloadedView>(info, 'config/reload', {});
    for (const key of done.taken) say(`taken    ${key}`);
    for (const { key, problem } of done.refused) say(`refused  ${key}: ${problem}`);
    if (done.refused.length > 0) {
      putBack();
      await ask(info, 'config/reload', {});
      return EXIT.failed;
    }
    if (done.waiting.length === 0) {
      say('in force without a restart');
      return EXIT.done;
    }
    state = await ask<ConfigView>(info, 'config');
    say(`restart  for ${done.waiting.join(', ')}`);
    if (!state.restarts) {
      say('note     nobody would start this gateway again: stop it and start it yourself');
      return EXIT.done;
    }
    await ask(info, 'config/restart', {});
  } catch (error) {
    say(`failed   ${errorLine(error)}`);
    putBack();
    return EXIT.failed;
  }
  const deadline = performance.now() + o.waitMs;
  const again = await ready(
    [dataFolder, next.dataFolder],
    info.pid,
    (where) => ask<ConfigView>(where, 'config'),
    deadline,
  );
  if (again?.inForce === 'file' && again.sha256 === digest(text)) {
    say('in force after a restart');
    return EXIT.done;
  }
  say(
    again
      ? `failed   ${again.problem ?? 'another config is in force'}`
      : `failed   the gateway was not ready within ${Math.round(o.waitMs / 1000)} s`,
  );
  putBack();
  if (again) say('running  with the config that it had');
  return EXIT.failed;
}

/** The run info of a process that is there. */
function running(dataFolder: string): RunInfo | undefined {
  const info = runInfo(dataFolder);
  return info && existsSync(`/proc/${info.pid}`) ? info : undefined;
}

/** What the next process says of its config, once it is ready: run.json is written then. */
async function ready(
  folders: readonly string[],
  before: number,
  ask: (where: RunInfo) => Promise<ConfigView>,
  deadline: number,
): Promise<ConfigView | undefined> {
  while (performance.now() < deadline) {
    for (const folder of folders) {
      const info = running(folder);
      if (info && info.pid !== before)
        try {
          return await ask(info);
        } catch {
          // It has begun to listen, or ends again.
        }
    }
    await sleep(LOOK_MS, new AbortController().signal);
  }
  return undefined;
}
