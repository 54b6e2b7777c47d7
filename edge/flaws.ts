/** What is wrong with a value that a person wrote, by its schema, in words that say where. For config and profiles. */
import type { TSchema } from 'typebox';
import Value from 'typebox/value';

/** `at` is a JSON pointer; `says` goes on after the name of the key: "must be integer". */
export type Flaw = { at: string; says: string };

type SchemaError = ReturnType<typeof Value.Errors>[number];

/** @param whole what the schema is of, as in "is not a key of the config" */
export function flawsOf(schema: TSchema, value: unknown, whole: string): Flaw[] {
  return withoutUnions(Value.Errors(schema, value)).flatMap((error) => {
    const { keyword, instancePath: at, message, params } = error;
    if (keyword === 'boolean') {
      const says = `is not a key of ${whole}${hint(at.split('/').at(-1) as string, keysOf(schema, at))}`;
      return { at, says };
    }
    if (keyword === 'additionalProperties' || keyword === 'const') return [];
    if (keyword === 'required')
      return { at, says: `needs ${(params as { requiredProperties: string[] }).requiredProperties.join(', ')}` };
    if (keyword === 'enum') {
      const allowed = (params as { allowedValues: string[] }).allowedValues;
      return { at, says: `must be one of ${allowed.join(', ')}` };
    }
    return { at, says: message };
  });
}

/** "serial.ports.0: must be ...", as it is said of `where` (a file and perhaps a line). */
export const sayFlaw = (where: string, { at, says }: Flaw): string =>
  `${where}: ${at.slice(1).replaceAll('/', '.') || 'the whole'} ${says}`;

/** Of a union, what is wrong with the member that is the nearest; where none is, all that it may be. */
function withoutUnions(errors: readonly SchemaError[]): SchemaError[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf');
  let rest = [...errors];
  for (const union of unions) {
    const prefix = `${union.schemaPath}/anyOf/`;
    const inside = rest.filter(({ schemaPath }) => schemaPath.startsWith(prefix));
    const members = [
      ...Map.groupBy(inside, ({ schemaPath }) => schemaPath.slice(prefix.length).split('/')[0]).values(),
    ];
    const flat = members.every((m) => m.every(({ instancePath }) => instancePath === union.instancePath));
    const nearest = members.toSorted((a, b) => a.length - b.length)[0] ?? [];
    const message = [...new Set(inside.map((error) => error.message))].join(', or ');
    const said = flat ? [{ ...union, keyword: 'union', message } as unknown as SchemaError] : nearest;
    rest = [...rest.filter((error) => error !== union && !inside.includes(error)), ...said];
  }
  return rest;
}

/** Keys that the schema has at the parent of `pointer`. */
function keysOf(schema: TSchema, pointer: string): string[] {
  type Part = { properties?: Record<string, Part>; items?: Part; anyOf?: Part[] };
  let parts: Part[] = [schema as Part];
  const open = (all: Part[]): Part[] => all.flatMap((part) => (part.anyOf ? open(part.anyOf) : part));
  for (const key of pointer.split('/').slice(1, -1))
    parts = open(parts).flatMap(({ properties, items }) => properties?.[key] ?? items ?? []);
  return [...new Set(open(parts).flatMap(({ properties }) => Object.keys(properties ?? {})))];
}

/** The word that was perhaps meant, or (unless they were said) all that there are. */
export function hint(word: string, words: readonly string[], orAll = true): string {
  const [best] = words.map((w) => ({ w, d: distance(w.toLowerCase(), word.toLowerCase()) })).sort((a, b) => a.d - b.d);
  if (best && best.d <= 3 && best.d < word.length) return ` (did you mean ${best.w}?)`;
  return words.length === 0 || !orAll ? '' : ` (it has: ${words.join(', ')})`;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(
        (next[j - 1] as number) + 1,
        (row[j] as number) + 1,
        (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    row = next;
  }
  return row[b.length] as number;
}
