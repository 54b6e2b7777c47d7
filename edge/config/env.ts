/**
 * Overrides from the environment: SEJONG_EDGE__SECTION__KEY, as SEJONG_EDGE__MQTT__PORT=2883. Case and single underscores
 * within a name don't count: MAX_PACKET_BYTES is maxPacketBytes. Lists, and whatever else is no plain value, are JSON or
 * YAML in one line. What the schema does not know, or does not take, is refused: a misspelt override would be one that
 * does nothing.
 */
import type { TSchema } from 'typebox';
import Value from 'typebox/value';
import { parse } from 'yaml';
import { EdgeError } from '../errors.ts';
import { flawsOf, hint } from '../flaws.ts';
import { KEYS, type Key } from './keys.ts';

const PREFIX = 'SEJONG_EDGE__';

export type Override = { variable: string; key: string };

const plain = (name: string): string => name.replaceAll('_', '').toLowerCase();
const variableOf = ({ path }: Key): string =>
  PREFIX + path.map((part) => part.replace(/[A-Z]/g, '_$&').toUpperCase()).join('__');

/**
 * Puts what the environment says into the values of a file.
 * @returns what was overridden, by which variable
 * @throws EdgeError CONFIG_INVALID, which names the variable
 */
export function override(values: Record<string, unknown>, env: NodeJS.ProcessEnv): Override[] {
  const found: Override[] = [];
  const problems: string[] = [];
  const names = Object.keys(env)
    .filter((name) => name.startsWith(PREFIX))
    .sort();
  for (const variable of names) {
    const parts = variable.slice(PREFIX.length).split('__');
    const key = KEYS.find(
      ({ path }) => path.length === parts.length && path.every((part, i) => plain(part) === plain(parts[i] as string)),
    );
    if (!key) {
      problems.push(
        `${variable} (environment) is not a key of the config${hint(variable, KEYS.map(variableOf), false)}`,
      );
      continue;
    }
    const twice = found.find((other) => other.key === key.name);
    if (twice) {
      problems.push(`${variable} (environment) says what ${twice.variable} says, too`);
      continue;
    }
    const value = Value.Default(key.schema, read(env[variable] as string, key.schema));
    // Not the value itself: an address may have a key in it.
    const flaws = flawsOf(key.schema, value, key.name);
    if (flaws.length > 0)
      problems.push(
        ...flaws.map(({ at, says }) => `${variable} (environment): ${key.name}${at.replaceAll('/', '.')} ${says}`),
      );
    else {
      put(values, key.path, value);
      found.push({ variable, key: key.name });
    }
  }
  if (problems.length > 0) throw new EdgeError('CONFIG_INVALID', problems.join('; '));
  return found;
}

/** A text is what it is; anything else is read as YAML, of which JSON is a part. */
function read(text: string, schema: TSchema): unknown {
  if ((schema as { type?: string }).type === 'string') return text;
  try {
    return parse(text);
  } catch {
    return text; // which the schema refuses
  }
}

function put(values: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) {
    values[first] = value;
    return;
  }
  // What is no section in the file is refused where the whole is checked.
  values[first] ??= {};
  if (typeof values[first] === 'object') put(values[first] as Record<string, unknown>, rest, value);
}
