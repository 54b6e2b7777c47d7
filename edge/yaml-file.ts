/** A file of YAML, read with the line of each key, so that whatever is wrong can be found. */
import { readFileSync, statSync } from 'node:fs';
import { isMap, isSeq, LineCounter, parseDocument } from 'yaml';

export type YamlFile = {
  value: unknown;
  /** ":12" for a JSON pointer; where there is no such key, the line of what it should be in. */
  line: (pointer: string) => string;
};

const MAX_BYTES = 4_194_304;

/** @param fail makes the error of what is said @throws what fail makes, where it cannot be read or is no YAML */
export function readYaml(path: string, fail: (detail: string) => Error): YamlFile {
  let source: string;
  try {
    if (statSync(path).size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
    source = readFileSync(path, 'utf8');
  } catch (error) {
    throw fail(`${path}: ${(error as Error).message}`);
  }
  return parseYaml(path, source, fail);
}

/** @param path as errors name it */
export function parseYaml(path: string, source: string, fail: (detail: string) => Error): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines });
  const broken = document.errors[0];
  if (broken) throw fail(`${path}: ${broken.message.split('\n')[0]}`);
  const offsetOf = (keys: readonly string[]): number | undefined => {
    const key = keys.at(-1) as string;
    const parent = keys.length === 1 ? document.contents : document.getIn(keys.slice(0, -1), true);
    const node = isMap(parent)
      ? parent.items.find((item) => String(item.key) === key)?.key
      : isSeq(parent)
        ? parent.items[Number(key)]
        : undefined;
    return (node as { range?: number[] } | undefined)?.range?.[0];
  };
  const line = (pointer: string): string => {
    for (let keys = pointer.split('/').slice(1); keys.length > 0; keys = keys.slice(0, -1)) {
      const offset = offsetOf(keys);
      if (offset !== undefined) return `:${lines.linePos(offset).line}`;
    }
    return '';
  };
  let value: unknown;
  try {
    value = document.toJS(); // which may name an alias that is too large or is none
  } catch (error) {
    throw fail(`${path}: ${(error as Error).message}`);
  }
  return { value, line };
}
