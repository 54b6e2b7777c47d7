/**
 * The weight of a plant in the Korean renewable portfolio standard, from a dated table in a file (weights.yaml beside this).
 * Exact: weights are whole numbers of 1/10000, and nothing is ever a float.
 */
import { readFileSync } from 'node:fs';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { parse } from 'yaml';
import { EdgeError } from '../../errors.ts';

const Band = Type.Object(
  { upToW: Type.Optional(Type.Integer({ minimum: 1 })), weight: Type.String({ pattern: '^\\d\\.\\d{1,4}$' }) },
  { additionalProperties: false },
);
const Line = Type.Object(
  {
    source: Type.String({ minLength: 1 }),
    class: Type.String({ minLength: 1 }),
    from: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' }),
    bands: Type.Array(Band, { minItems: 1 }),
    basis: Type.String({ minLength: 1 }),
    checked: Type.Boolean(),
  },
  { additionalProperties: false },
);
/** `from`: the first day on which a plant is confirmed with this weight. Bands go up; the last one has no end. */
export type WeightLine = Static<typeof Line>;

/** Of `source` and `class` as the table has them; `confirmed` is the day on which the plant was confirmed, 2026-11-25. */
export type RecPlant = { source: string; class: string; capacityW: number; confirmed: string };
/** `tenThousandths`: the weight times 10^4, truncated. `text`: with four places. */
export type Weight = { tenThousandths: bigint; text: string; line: WeightLine };

export const UNIT = 10_000n;

/** "1.2" is 12000. */
export function tenThousandthsOf(text: string): bigint {
  const [whole, part = ''] = text.split('.') as [string, string?];
  return BigInt(whole) * UNIT + BigInt(part.padEnd(4, '0'));
}

export const weightText = (tenThousandths: bigint): string =>
  `${tenThousandths / UNIT}.${(tenThousandths % UNIT).toString().padStart(4, '0')}`;

/**
 * Each part of the capacity counts with the weight of its band.
 * @returns in 1/10000, truncated: `(99.999 × 1.2 + (kW − 99.999)) / kW` of 150 kW is 11333
 */
export function compoundWeight(bands: WeightLine['bands'], capacityW: number): bigint {
  let [sum, below] = [0n, 0];
  for (const { upToW = Number.POSITIVE_INFINITY, weight } of bands) {
    const part = Math.min(capacityW, upToW) - below;
    if (part <= 0) break;
    sum += BigInt(part) * tenThousandthsOf(weight);
    below += part;
  }
  return sum / BigInt(capacityW);
}

/** @throws EdgeError CONFIG_INVALID where the text is no table of weights */
export function parseWeights(text: string): WeightLine[] {
  const refuse = (why: string): never => {
    throw new EdgeError('CONFIG_INVALID', `weights.yaml: ${why}`);
  };
  const lines: unknown = parse(text, { schema: 'core' });
  if (!Value.Check(Type.Array(Line), lines)) {
    const flaw = [...Value.Errors(Type.Array(Line), lines)][0];
    return refuse(`${flaw?.instancePath ?? ''} ${flaw?.message ?? 'is no list'}`);
  }
  const seen = new Set<string>();
  for (const { source, class: of, from, bands } of lines) {
    const key = `${source}/${of} from ${from}`;
    if (seen.has(key)) refuse(`${key} is there twice`);
    seen.add(key);
    const ends = bands.map((b) => b.upToW ?? Number.POSITIVE_INFINITY);
    if (ends.at(-1) !== Number.POSITIVE_INFINITY || ends.some((end, i) => i > 0 && end <= (ends[i - 1] as number)))
      refuse(`${key}: upToW must rise, and the last band has none`);
  }
  return lines;
}

let table: WeightLine[] | undefined;
/** The table of this version. @throws EdgeError CONFIG_INVALID */
export function weightTable(): readonly WeightLine[] {
  table ??= parseWeights(readFileSync(new URL('./weights.yaml', import.meta.url), 'utf8'));
  return table;
}

/** @throws EdgeError CREDIT_REC_UNKNOWN where the table has no weight for it */
export function weightOf(plant: RecPlant, lines: readonly WeightLine[] = weightTable()): Weight {
  const { source, class: of, capacityW, confirmed } = plant;
  const line = lines
    .filter((l) => l.source === source && l.class === of && l.from <= confirmed)
    .toSorted((a, b) => (a.from < b.from ? 1 : -1))[0];
  if (!line || !Number.isInteger(capacityW) || capacityW <= 0)
    throw new EdgeError('CREDIT_REC_UNKNOWN', `${source}/${of} of ${capacityW} W, confirmed ${confirmed}`);
  const tenThousandths = compoundWeight(line.bands, capacityW);
  return { tenThousandths, text: weightText(tenThousandths), line };
}
