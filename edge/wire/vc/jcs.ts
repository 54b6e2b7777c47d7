/** JSON that has one reading and one spelling: strict parsing (I-JSON, RFC 7493) and the canonical form of RFC 8785. Pure. */
import canonicalize from 'canonicalize';
import { EdgeError } from '../../errors.ts';
import { utf8Bytes } from '../bytes.ts';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Arrays and objects inside one another. A presentation needs six. */
export const MAX_DEPTH = 16;

const refuse = (why: string): never => {
  throw new EdgeError('MESSAGE_INVALID', why);
};

/**
 * The canonical form (JCS). Members whose value is undefined are left out, as JSON.stringify does.
 * @throws EdgeError MESSAGE_INVALID: lone surrogates, numbers that are not finite, what is no JSON
 */
export function canonicalJson(value: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = canonicalize(value);
  } catch (error) {
    return refuse(`no canonical form: ${(error as Error).message}`);
  }
  return text === undefined ? refuse('no canonical form: it is no JSON') : utf8Bytes(text);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * What JSON.parse makes of the bytes, where no other parser could make something else of them.
 * @throws EdgeError MESSAGE_INVALID: more than `maxBytes`, invalid UTF-8, a byte order mark, no JSON, a name twice in an
 * object, nested deeper than {@link MAX_DEPTH}, lone surrogates, numbers beyond IEEE 754
 */
export function parseStrictJson(bytes: Uint8Array, maxBytes: number): Json {
  if (bytes.length > maxBytes) refuse(`${bytes.length} bytes, ${maxBytes} is the most`);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return refuse('it is not UTF-8');
  }
  checkDepth(text);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    // Without what V8 says of it: that quotes the message.
    return refuse('it is not JSON');
  }
  checkNames(text);
  checkValues(value);
  return value;
}

/** The end of the string that begins at `at`, behind its closing quote. */
function stringEnd(text: string, at: number): number {
  let i = at + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i + 1;
}

/** Before anything recurses over it. Right for JSON; what is no JSON may pass or not, and is refused after it. */
function checkDepth(text: string): void {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') i = stringEnd(text, i) - 1;
    else if (c === '{' || c === '[') {
      if (++depth > MAX_DEPTH) refuse(`it is nested deeper than ${MAX_DEPTH}`);
    } else if (c === '}' || c === ']') depth--;
  }
}

/** @param text valid JSON: a string is a name where a colon follows it */
function checkNames(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{') open.push(new Set());
    else if (c === '[') open.push(undefined);
    else if (c === '}' || c === ']') open.pop();
    else if (c === '"') {
      const end = stringEnd(text, i);
      let next = end;
      while (' \t\n\r'.includes(text[next] ?? 'x')) next++;
      if (text[next] === ':') {
        const name = JSON.parse(text.slice(i, end)) as string;
        const names = open.at(-1);
        if (names?.has(name)) refuse(`the name ${JSON.stringify(name.slice(0, 40))} stands twice in one object`);
        names?.add(name);
      }
      i = end - 1;
    }
  }
}

function checkValues(value: Json): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) refuse('a string holds a lone surrogate');
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) refuse('a number is beyond IEEE 754');
  } else if (Array.isArray(value)) for (const item of value) checkValues(item);
  else if (value !== null)
    for (const [name, item] of Object.entries(value)) {
      if (!name.isWellFormed()) refuse('a name holds a lone surrogate');
      checkValues(item);
    }
}
