/** The commented config that `init` writes: every key with its doc, its default as a comment, and what was chosen. */
import type { TSchema } from 'typebox';
import { stringify } from 'yaml';
import { ConfigSchema, makeConfig } from '../config.ts';
import { isSection } from './keys.ts';

const WIDTH = 118;
type Shape = {
  description?: string;
  default?: unknown;
  items?: Shape;
  properties?: Record<string, Shape>;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  reload?: true;
};

/**
 * @param chosen what is written as a value and not as a comment, in the shape of the config
 * @param schema where the JSON Schema for editors is, as a path or a URL
 */
export function exampleConfig(chosen: object = {}, schema?: string): string {
  makeConfig(chosen); // throws where it could not be loaded again
  const out = [
    ...(schema === undefined ? [] : [`# yaml-language-server: $schema=${schema}`]),
    '# Config of a Sejong Edge gateway. A key that is a comment has the value shown, its default: take the # away to change',
    '# it. "(reload)" marks what a running gateway takes over at sejong-edge config apply or reload, without a restart.',
    '# SEJONG_EDGE__SECTION__KEY in the environment goes before this file: SEJONG_EDGE__MQTT__PORT=2883.',
    '',
  ];
  section(ConfigSchema as Shape, chosen as Record<string, unknown>, '', out);
  return `${out.join('\n').trimEnd()}\n`;
}

function section(shape: Shape, chosen: Record<string, unknown>, indent: string, out: string[]): void {
  for (const [key, child] of Object.entries(shape.properties ?? {})) {
    if (child.description !== undefined) out.push(...docOf(child, `${indent}# `));
    if (isSection(child as TSchema)) {
      out.push(`${indent}${key}:`);
      section(child, (chosen[key] ?? {}) as Record<string, unknown>, `${indent}  `, out);
      if (out.at(-1) !== '') out.push('');
    } else if (Object.hasOwn(chosen, key)) out.push(...valued(key, chosen[key], indent));
    else out.push(...valued(key, child.default, `${indent}# `));
    if (!isSection(child as TSchema) && child.items?.properties) {
      out.push(`${indent}# Each of them:`);
      item(child.items, `${indent}#   `, out);
    }
  }
}

/** The keys of a list's item, or of an object that may be there, as comments. */
function item(shape: Shape, indent: string, out: string[]): void {
  for (const [key, child] of Object.entries(shape.properties ?? {})) {
    out.push(...docOf(child, `${indent}# `));
    if (child.properties) {
      out.push(`${indent}${key}:`);
      item(child, `${indent}  `, out);
    } else out.push(...valued(key, child.default, indent));
    if (child.items?.properties) item(child.items, `${indent}    `, out);
  }
}

function valued(key: string, value: unknown, indent: string): string[] {
  if (value === undefined) return [`${indent}${key}:`];
  return stringify({ [key]: value }, { lineWidth: 0 })
    .trimEnd()
    .split('\n')
    .map((line) => indent + line);
}

/** What it is, what it may be, and whether a running gateway takes it over. */
function docOf(shape: Shape, indent: string): string[] {
  const { minimum, maximum } = shape;
  const range =
    minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
      ? ` ${minimum} to ${maximum}.`
      : minimum !== undefined && minimum > 0
        ? ` At least ${minimum}.`
        : '';
  const choice = shape.enum ? ` One of ${shape.enum.join(', ')}.` : '';
  const text = `${shape.description ?? ''}${choice}${range}${shape.reload ? ' (reload)' : ''}`.trim();
  return text === '' ? [] : wrap(text, WIDTH - indent.length).map((line) => indent + line);
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
