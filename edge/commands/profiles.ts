import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { checkProfileFile, loadProfiles } from '../profiles/load.ts';
import type { Profile } from '../profiles/profile.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `profiles list [--config FILE | --folder DIR] [--json]
       profiles show NAME [--config FILE | --folder DIR] [--json]
       profiles check FILE... [--config FILE | --folder DIR]

  list            all profiles: what devices can be enrolled as, and how devices of those kinds are read
  show            the file of one; with --json what is made of it, with all defaults
  check           whether a file would be a profile beside the others: what is wrong is said with line and key
  --config FILE   profiles.folder of this config has profiles of your own
  --folder DIR    or this folder has them

Needs no gateway. A file of your own, in that folder, makes a device kind; nothing else has to be changed.`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { config: text, folder: text, json: { type: 'boolean' } },
    });
    const [action, ...names] = positionals;
    if (values.config !== undefined && values.folder !== undefined)
      throw new EdgeError('USAGE', 'profiles takes --config or --folder, not both');
    const folder = values.config === undefined ? (values.folder ?? '') : loadConfig(values.config).profiles.folder;
    if (action === 'check' && names.length > 0) return check(names, folder);
    const profiles = loadProfiles(folder);
    if (action === 'list' && names.length === 0) {
      if (values.json) console.log(JSON.stringify(profiles.list()));
      else list(profiles.list());
      return 0;
    }
    const [name, more] = names;
    if (action !== 'show' || name === undefined || more !== undefined)
      throw new EdgeError('USAGE', 'profiles needs list, show NAME or check FILE');
    const profile = profiles.named(name);
    console.log(values.json ? JSON.stringify(profile) : readFileSync(profile.file, 'utf8').trimEnd());
    return 0;
  },
};

function list(profiles: readonly Profile[]): void {
  const width = Math.max(...profiles.map(({ name }) => name.length)) + 2;
  const isKind = ({ name, kind }: Profile): boolean => name === kind;
  const line = ({ name, kind, driver, privacy, custody, title }: Profile): string => {
    const how = name === kind ? `${privacy}, custody ${custody}` : `kind ${kind}, ${privacy}`;
    return `${name.padEnd(width)}${title} (${how}${driver === undefined ? '' : `, by ${driver}`})`;
  };
  for (const profile of profiles.filter(isKind)) console.log(line(profile));
  console.log();
  for (const profile of profiles.filter((p) => !isKind(p))) console.log(line(profile));
}

/** Each file for itself; all that is wrong with any of them. */
function check(files: readonly string[], folder: string): number {
  for (const file of files) {
    const { name, kind, driver, values } = checkProfileFile(resolve(file), folder);
    const how = driver === undefined ? 'over MQTT' : `by ${driver}`;
    console.log(
      `${file} is valid: ${name === kind ? 'the kind' : `for ${kind},`} ${name}, ${values.length} values, ${how}`,
    );
  }
  return 0;
}
