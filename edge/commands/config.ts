/** The config file: looked at, compared, and brought to a gateway that runs, with a way back. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { configJsonSchema } from '../config/json-schema.ts';
import { type Change, changes, KEYS, settingOf, shown } from '../config/keys.ts';
import { LastGood, replaceFile } from '../config/last-good.ts';
import { type Config, makeConfig } from '../config.ts';
import { loadConfig, overridesOf } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { checkWhole, describeConfig } from './check-config.ts';
import { applyConfig } from './config-apply.ts';
import { EXIT } from './exit.ts';
import type { Command } from './index.ts';
import { remote } from './remote.ts';

const DEFAULT_FILE = process.env.SEJONG_EDGE_CONFIG || 'sejong-edge.yaml';

export const command: Command = {
  usage: `config check FILE
       sejong-edge config show     [--config FILE] [--all] [--json]
       sejong-edge config diff     [--config FILE] NEW
       sejong-edge config apply    [--config FILE] NEW [--dry-run] [--wait SECONDS]
       sejong-edge config rollback [--config FILE] [--dry-run] [--wait SECONDS]
       sejong-edge config reload   [--config FILE]
       sejong-edge config schema

  check     checks FILE with all that it names (profiles, certificates, keys), and says what it means
  show      what is in force by FILE and the environment, where it differs from the defaults; --all: all of it
  diff      what would change with NEW, key by key: at once (reload), or after a restart
  apply     checks NEW, puts it in the place of FILE (whole or not at all), and has the gateway take it: by a reload, or by
            a restart where a key needs one. Where the gateway does not come up with it, the file that was there is put back
  rollback  the same with the last config that the gateway came up with, or, where that is FILE, the one before it
  reload    has the gateway read FILE again, and says what it took over and what waits for a restart
  schema    JSON Schema of the config, for editors

  --config FILE   the config of the gateway (default: SEJONG_EDGE_CONFIG, or sejong-edge.yaml)
  --dry-run       only say what would happen
  --wait SECONDS  how long the gateway may take to be ready again (default: 120)

SEJONG_EDGE__SECTION__KEY in the environment goes before the file, here and in the gateway: SEJONG_EDGE__MQTT__PORT=2883.
Exit codes: 0 done, 1 not in force (the gateway runs with what it had), 2 the config or the command line is wrong.`,
  run: async (args) => {
    const [what = '', ...rest] = args;
    const { values, positionals } = parseArgs({
      args: rest,
      allowPositionals: true,
      options: {
        config: { type: 'string', default: DEFAULT_FILE },
        all: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean', default: false },
        wait: { type: 'string', default: '120' },
      },
    });
    const wait = Number(values.wait);
    if (!(wait > 0 && wait <= 3600)) throw new EdgeError('USAGE', `--wait ${values.wait}: seconds from 1 to 3600`);
    const file = resolve(values.config);
    const one = (name: string): string => {
      const [only] = positionals;
      if (only === undefined || positionals.length > 1)
        throw new EdgeError('USAGE', `config ${what} needs one ${name}`);
      return only;
    };
    const none = (): void => {
      if (positionals.length > 0) throw new EdgeError('USAGE', `config ${what} does not take ${positionals[0]}`);
    };
    switch (what) {
      case 'check': {
        const path = one('FILE');
        describeConfig(path, loadConfig(path));
        return EXIT.done;
      }
      case 'show':
        none();
        show(loadConfig(file), values.all, values.json);
        return EXIT.done;
      case 'diff': {
        const next = textOf(one('NEW'));
        sayPlan(changes(loadConfig(file), loadConfig(file, { text: next })));
        return EXIT.done;
      }
      case 'apply': {
        const path = one('NEW');
        return await bring(file, path, textOf(path), values['dry-run'], wait);
      }
      case 'rollback': {
        none();
        const kept = new LastGood(file);
        const now = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
        const [from, good] =
          kept.newest && kept.newest.text !== now ? [kept.path, kept.newest] : [`${kept.path}.1`, kept.before];
        if (!good)
          throw new EdgeError(
            'CONFIG_INVALID',
            `there is none to go back to: the gateway came up with no other (${from})`,
          );
        return await bring(file, from, good.text, values['dry-run'], wait);
      }
      case 'reload':
        none();
        return await reload(file);
      case 'schema':
        none();
        console.log(JSON.stringify(configJsonSchema(), null, 2));
        return EXIT.done;
      default:
        throw new EdgeError(
          'USAGE',
          `config ${what || '...'}: one of check, show, diff, apply, rollback, reload, schema`,
        );
    }
  },
};

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new EdgeError('CONFIG_INVALID', `${path}: ${(error as Error).message}`);
  }
}

function show(config: Config, all: boolean, json: boolean): void {
  const defaults = makeConfig();
  const by = new Map(overridesOf(config).map(({ key, variable }) => [key, variable]));
  const rows = KEYS.flatMap((key) => {
    const value = settingOf(config, key);
    const same = JSON.stringify(value) === JSON.stringify(settingOf(defaults, key));
    if (value === undefined || (same && !all)) return [];
    const from = by.get(key.name) ?? (same ? 'default' : 'file');
    return { key: key.name, value: shown(key.name, value), from, reload: key.reload };
  });
  if (json) console.log(JSON.stringify(rows, null, 2));
  else
    for (const { key, value, from } of rows)
      console.log(`${key}: ${inline(value)}${from === 'file' ? '' : `  # ${from}`}`);
}

const inline = (value: unknown): string =>
  value === undefined ? '(not set)' : typeof value === 'object' ? JSON.stringify(value) : stringify(value).trimEnd();

/** @returns whether a key needs a restart */
function sayPlan(plan: readonly Change[]): boolean {
  if (plan.length === 0) console.log('nothing changes');
  for (const { key, from, to, reload } of plan)
    console.log(`${reload ? 'reload ' : 'restart'}  ${key}: ${inline(shown(key, from))} -> ${inline(shown(key, to))}`);
  return plan.some(({ reload }) => !reload);
}

async function bring(file: string, from: string, text: string, dry: boolean, waitSeconds: number): Promise<number> {
  const next = loadConfig(file, { text });
  checkWhole(next);
  // What there is may be broken, which is a reason to bring another.
  let before: Config | undefined;
  try {
    before = loadConfig(file);
  } catch (error) {
    if (existsSync(file)) console.log(`note     ${(error as Error).message}`);
  }
  if (before) sayPlan(changes(before, next));
  if (dry) {
    console.log(`dry run  ${file} stays as it is`);
    return EXIT.done;
  }
  const mode = existsSync(file) ? statSync(file).mode & 0o777 : 0o640;
  return await applyConfig({
    file,
    from,
    text,
    next,
    before: existsSync(file) ? readFileSync(file, 'utf8') : undefined,
    dataFolder: (before ?? next).dataFolder,
    write: (content) => replaceFile(file, content, mode),
    waitMs: waitSeconds * 1000,
    say: (line) => console.log(line),
  });
}

async function reload(file: string): Promise<number> {
  const { ask } = await remote({ config: file }, 'config reload');
  const done = await ask<{ taken: string[]; waiting: string[]; refused: { key: string; problem: string }[] }>(
    'config/reload',
    {},
  );
  for (const key of done.taken) console.log(`taken    ${key}`);
  for (const key of done.waiting) console.log(`restart  ${key}`);
  for (const { key, problem } of done.refused) console.log(`refused  ${key}: ${problem}`);
  if (done.taken.length + done.waiting.length + done.refused.length === 0) console.log('nothing has changed');
  return done.refused.length === 0 ? EXIT.done : EXIT.failed;
}
