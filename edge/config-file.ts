/** The config as a file: read with the line of whatever is wrong, and written as a commented example. */
import { isAbsolute, resolve } from 'node:path';
import type { TSchema } from 'typebox';
import { stringify } from 'yaml';
import { type Config, ConfigSchema, makeConfig } from './config.ts';
import { EdgeError } from './errors.ts';
import { readYaml } from './yaml-file.ts';

/** @throws EdgeError CONFIG_INVALID, naming file, line and key */
export function loadConfig(path: string): Config {
  const { value, line } = readYaml(path, (detail) => new EdgeError('CONFIG_INVALID', detail));
  const config = makeConfig(value, path, line);
  if (!isAbsolute(config.dataFolder)) config.dataFolder = resolve(path, '..', config.dataFolder);
  if (config.profiles.folder !== '') config.profiles.folder = resolve(path, '..', config.profiles.folder);
  for (const { tls } of [config.mqtt, config.http])
    for (const file of ['certFile', 'keyFile', 'caFile'] as const)
      if (tls[file] !== '') tls[file] = resolve(path, '..', tls[file]);
  return config;
}

/** The commented example: each key with its doc and its default. */
export function exampleConfig(values: Partial<Config> = {}): string {
  const config = makeConfig(values);
  const out = [
    '# Config of a Sejong Edge gateway. Every key is shown with its value; what is left out has its default.',
    '',
  ];
  const write = (schema: TSchema, value: unknown, indent: string): void => {
    for (const [key, child] of Object.entries(
      (schema as unknown as { properties: Record<string, TSchema> }).properties,
    )) {
      const { description, type } = child as { description?: string; type?: string };
      if (description) out.push(...wrap(description, 110 - indent.length).map((l) => `${indent}# ${l}`));
      const v = (value as Record<string, unknown>)[key];
      if (v === undefined) {
        out.push(`${indent}# ${key}:`);
        continue;
      }
      if (type === 'object') {
        // A section in which nothing is said is an empty one, and not none.
        out.push(`${indent}${key}:${Object.keys(v as object).length === 0 ? ' {}' : ''}`);
        write(child, v, `${indent}  `);
        out.push('');
      } else {
        const [first, ...rest] = stringify({ [key]: v })
          .trimEnd()
          .split('\n');
        out.push(`${indent}${first}`, ...rest.map((l) => indent + l));
      }
    }
  };
  write(ConfigSchema, config, '');
  return `${out.join('\n').trimEnd()}\n`;
}

function wrap(sentence: string, width: number): string[] {
  const lines = [''];
  for (const word of sentence.split(' ')) {
    const last = lines.at(-1) as string;
    if (last.length + word.length + 1 > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}
