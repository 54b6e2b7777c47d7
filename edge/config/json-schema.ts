/** The schema of the config for editors: JSON Schema 2020-12, in which all that has a default may be left out. */
import { ConfigSchema } from '../config.ts';

type Node = {
  properties?: Record<string, Node>;
  items?: Node;
  anyOf?: Node[];
  additionalProperties?: boolean | Node;
  required?: string[];
  type?: string | string[];
  description?: string;
  default?: unknown;
  reload?: boolean;
};

export const CONFIG_SCHEMA_ID = 'https://sejong-edge.example/schemas/config.json';

export function configJsonSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: CONFIG_SCHEMA_ID,
    title: 'Config of a Sejong Edge gateway',
    ...forEditors(JSON.parse(JSON.stringify(ConfigSchema)) as Node),
  };
}

function forEditors({ reload, ...node }: Node): Node {
  const { properties, items, anyOf, required } = node;
  const out: Node = { ...node };
  if (reload)
    out.description = `${node.description ?? ''} A running gateway takes it over (config reload).`.trimStart();
  if (properties) {
    out.properties = Object.fromEntries(Object.entries(properties).map(([key, child]) => [key, forEditors(child)]));
    // A section in which every key is a comment is null in YAML.
    if (node.default !== undefined) out.type = ['object', 'null'];
    const needed = (required ?? []).filter((key) => properties[key]?.default === undefined);
    delete out.required;
    if (needed.length > 0) out.required = needed;
  }
  if (items) out.items = forEditors(items);
  if (anyOf) out.anyOf = anyOf.map(forEditors);
  return out;
}
