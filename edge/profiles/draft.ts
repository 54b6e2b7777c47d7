/** One file of a profile, checked as far as it can be without the others. */
import { basename } from 'node:path';
import type { TSchema } from 'typebox';
import Value from 'typebox/value';
import type { DriverType, Medium } from '../drivers/driver.ts';
import { DRIVERS } from '../drivers/drivers.ts';
import { EdgeError } from '../errors.ts';
import { type Flaw, flawsOf, hint, sayFlaw } from '../flaws.ts';
import { readYaml } from '../yaml-file.ts';
import { GATEWAY_KIND, type ProfileValue, QUALITY } from './profile.ts';
import { NAME, type ProfileFile, ProfileSchema } from './schema.ts';

export type Draft = {
  name: string;
  file: string;
  said: Omit<ProfileFile, 'values'> & { values: ProfileValue[] };
  /** A sentence about a key of it, with file and line. */
  say: (flaw: Flaw) => string;
};

export const ENDING = /\.ya?ml$/;

export const invalid = (flaws: readonly string[]): EdgeError => new EdgeError('PROFILE_INVALID', flaws.join('; '));

/** @throws EdgeError PROFILE_INVALID */
export function readDraft(file: string): Draft {
  const name = basename(file).replace(ENDING, '');
  if (!new RegExp(NAME).test(name) || name === GATEWAY_KIND)
    throw invalid([`${file}: a profile is called by its file, a-z, 0-9 and -, and not ${GATEWAY_KIND}`]);
  const { value, line } = readYaml(file, (detail) => invalid([detail]));
  const say = (flaw: Flaw): string => sayFlaw(`${file}${line(flaw.at)}`, flaw);
  const filled = Value.Default(ProfileSchema, value ?? {});
  const shape = flawsOf(ProfileSchema, filled, 'a profile');
  if (shape.length > 0) throw invalid(shape.map(say));
  const said = filled as Draft['said'];
  const flaws = [...driverFlaws(said), ...said.values.flatMap((v, i) => valueFlaws(v, `/values/${i}`))];
  flaws.push(...twice(said.values));
  if (flaws.length > 0) throw invalid(flaws.map(say));
  return { name, file, said, say };
}

/** Also fills in what the driver's schemas have as defaults. */
function driverFlaws(said: Draft['said']): Flaw[] {
  const { driver } = said;
  const type = driver === undefined ? undefined : Object.hasOwn(DRIVERS, driver) ? DRIVERS[driver] : null;
  if (type === null)
    return [{ at: '/driver', says: `${driver} is no driver${hint(driver as string, Object.keys(DRIVERS))}` }];
  if (type === undefined) return withoutDriver(said);
  const flaws: Flaw[] = [];
  const check = (schema: TSchema, value: unknown, at: string, whole: string): unknown => {
    const filled = Value.Default(schema, value);
    flaws.push(...flawsOf(schema, filled, whole).map((flaw) => ({ ...flaw, at: at + flaw.at })));
    return filled;
  };
  said.settings = check((type as DriverType).settings, said.settings, '/settings', `the settings of ${driver}`);
  for (const [i, value] of said.values.entries())
    if (value.from === undefined) flaws.push({ at: `/values/${i}`, says: `needs from: where ${driver} finds it` });
    else value.from = check((type as DriverType).from, value.from, `/values/${i}/from`, `from in ${driver}`);
  if (flaws.length === 0) flaws.push(...togetherFlaws(type as DriverType, said));
  return flaws;
}

/** What is right for itself and does not fit together shows only where a driver is made of it; any device will do. */
function togetherFlaws({ create, device, media }: DriverType, { settings, values }: Draft['said']): Flaw[] {
  const some = [{}, { unitId: 1 }, { address: 1 }, { address: '1' }].map((said) => Value.Default(device, said));
  const one = some.find((said) => Value.Check(device, said));
  if (one === undefined) return [];
  const secret = (): Uint8Array => new Uint8Array(16);
  const medium = media[0] as Medium;
  try {
    create({ settings, values, device: one, medium, secret, mark: () => undefined, nextNumber: () => 1 });
    return [];
  } catch (error) {
    if (!(error instanceof EdgeError)) throw error;
    return [{ at: '/values', says: `do not fit together: ${error.detail}` }];
  }
}

function withoutDriver({ settings, line, values }: Draft['said']): Flaw[] {
  const flaws: Flaw[] = [];
  const says = 'is for a driver, and this profile names none';
  if (JSON.stringify(settings) !== '{}') flaws.push({ at: '/settings', says });
  if (line !== undefined) flaws.push({ at: '/line', says });
  for (const [i, value] of values.entries())
    if (value.from !== undefined) flaws.push({ at: `/values/${i}/from`, says });
  return flaws;
}

function valueFlaws(value: ProfileValue, at: string): Flaw[] {
  const flaws: Flaw[] = [];
  const { name, type, billed, unit, scale, range, modulus } = value;
  if (name === QUALITY) flaws.push({ at: `${at}/name`, says: `is ${QUALITY}, which the gateway writes itself` });
  if (type !== 'number')
    for (const key of ['unit', 'range', 'modulus', 'mostPerHour'] as const)
      if (value[key] !== undefined) flaws.push({ at: `${at}/${key}`, says: `is for a number, not for a ${type}` });
  if (billed && (type !== 'number' || unit !== 'Wh'))
    flaws.push({
      at: `${at}/billed`,
      says: `needs a number in Wh; ${name} is ${article(type)} in ${unit ?? 'no unit'}`,
    });
  if (scale === 0 || (billed && scale < 0))
    flaws.push({ at: `${at}/scale`, says: `is ${scale}, which leaves nothing of ${name}` });
  if (range && range[0] > range[1])
    flaws.push({ at: `${at}/range`, says: `begins at ${range[0]} and ends at ${range[1]}` });
  if (range && modulus !== undefined && modulus < range[0])
    flaws.push({ at: `${at}/modulus`, says: `is ${modulus}, below its range` });
  return flaws;
}

const article = (type: string): string => `a ${type}`;

function twice(values: readonly ProfileValue[]): Flaw[] {
  const flaws: Flaw[] = [];
  const seen = new Map<string, number>();
  let billed: string | undefined;
  for (const [i, value] of values.entries()) {
    if (seen.has(value.name)) flaws.push({ at: `/values/${i}/name`, says: `is ${value.name}, which is there already` });
    seen.set(value.name, i);
    if (!value.billed) continue;
    if (billed !== undefined) flaws.push({ at: `/values/${i}/billed`, says: `is a second one: ${billed} is billed` });
    billed = value.name;
  }
  return flaws;
}
