/** Profiles from their files: those that come with the gateway, and an operator's own, put together and compared. */
import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Flaw, hint } from '../flaws.ts';
import { type Draft, ENDING, invalid, readDraft } from './draft.ts';
import type { Profile } from './profile.ts';
import { Profiles } from './profiles.ts';

const OURS = fileURLToPath(new URL('.', import.meta.url));
const MOST_FILES = 1000;

let ours: Draft[] | undefined;
const builtIn = (): Draft[] => {
  ours ??= readAll(filesOf(OURS));
  return ours;
};

/**
 * @param folder of an operator's own; empty: none
 * @throws EdgeError PROFILE_INVALID
 */
export function loadProfiles(folder = ''): Profiles {
  return link([...builtIn(), ...(folder === '' ? [] : readAll(filesOf(folder)))]);
}

/**
 * One file, as it would be beside the others.
 * @throws EdgeError PROFILE_INVALID
 */
export function checkProfileFile(file: string, folder = ''): Profile {
  const draft = readDraft(file);
  const isOther = (other: string): boolean => realpathSync(other) !== realpathSync(file);
  const others = [...builtIn(), ...readAll(folder === '' ? [] : filesOf(folder).filter(isOther))];
  return link([...others.filter((other) => isOther(other.file)), draft]).get(draft.name) as Profile;
}

function filesOf(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw invalid([`${folder}: ${(error as Error).message}`]);
  }
  const files = names.filter((name) => ENDING.test(name)).sort();
  if (files.length > MOST_FILES) throw invalid([`${folder}: ${files.length} profiles, more than ${MOST_FILES}`]);
  return files.map((name) => join(folder, name));
}

/** All that is wrong with any of them, at once. */
function readAll(files: readonly string[]): Draft[] {
  const flaws: string[] = [];
  const drafts = files.flatMap((file) => {
    try {
      return readDraft(file);
    } catch (error) {
      flaws.push((error as { detail?: string }).detail ?? String(error));
      return [];
    }
  });
  if (flaws.length > 0) throw invalid(flaws);
  return drafts;
}

function link(drafts: readonly Draft[]): Profiles {
  const byName = new Map<string, Draft>();
  const flaws: string[] = [];
  for (const draft of drafts) {
    const first = byName.get(draft.name);
    if (first)
      flaws.push(`${draft.file}: there is a profile ${draft.name} already (${first.file}): give the file another name`);
    else byName.set(draft.name, draft);
  }
  const kinds = drafts.filter(({ name, said }) => (said.kind ?? name) === name).map(({ name }) => name);
  const profiles = [...byName.values()].map((draft) => {
    const kind = byName.get(draft.said.kind ?? draft.name);
    const found = kind && kinds.includes(kind.name) ? kind : undefined;
    flaws.push(...(found ? linkFlaws(draft, found) : noKind(draft, kinds)).map(draft.say));
    return profileOf(draft, found ?? draft);
  });
  if (flaws.length > 0) throw invalid(flaws);
  return new Profiles(profiles);
}

const noKind = ({ said }: Draft, kinds: readonly string[]): Flaw[] => [
  { at: '/kind', says: `is ${said.kind}, which is no kind${hint(said.kind as string, kinds)}` },
];

/** What contradicts the kind that its devices are enrolled as: that is what decides, for all of them alike. */
function linkFlaws({ name, said }: Draft, kind: Draft): Flaw[] {
  const flaws: Flaw[] = [];
  if (said.driver !== undefined && said.custody === 'device')
    flaws.push({ at: '/custody', says: 'is device, but what the gateway reads it signs with keys that it holds' });
  if (kind.name === name) {
    if (said.privacy === undefined) flaws.push({ at: '/privacy', says: 'is needed of a kind: public or sealed' });
    return flaws;
  }
  for (const key of ['privacy', 'rate', 'open'] as const)
    if (said[key] !== undefined && said[key] !== traitsOf(kind)[key])
      flaws.push({ at: `/${key}`, says: `is ${said[key]}, but that of kind ${kind.name} is ${traitsOf(kind)[key]}` });
  const { custody } = traitsOf(kind);
  if (custody !== 'either' && (said.custody ?? custody) !== custody)
    flaws.push({ at: '/custody', says: `is ${said.custody}, but that of kind ${kind.name} is ${custody}` });
  for (const [i, { name: value, unit, type, billed }] of said.values.entries()) {
    const same = kind.said.values.find((v) => v.name === value);
    if (same && (same.unit !== unit || same.type !== type || same.billed !== billed))
      flaws.push({
        at: `/values/${i}`,
        says: `is a ${type} in ${unit ?? 'no unit'}${billed ? ', billed' : ''}; of kind ${kind.name} ${value} is a ${same.type} in ${same.unit ?? 'no unit'}${same.billed ? ', billed' : ''}`,
      });
    if (!same && billed)
      flaws.push({ at: `/values/${i}/billed`, says: `is set, but kind ${kind.name} bills no ${value}` });
    if (!same && !traitsOf(kind).open)
      flaws.push({ at: `/values/${i}`, says: `is ${value}, which a ${kind.name} does not tell` });
  }
  const missing = kind.said.values.find(
    (v) => (v.billed || v.required) && !said.values.some(({ name: own }) => own === v.name),
  );
  if (missing && said.values.length > 0)
    flaws.push({ at: '/values', says: `has no ${missing.name}, without which there is no reading of a ${kind.name}` });
  return flaws;
}

const traitsOf = ({ said }: Draft) => ({
  privacy: said.privacy ?? 'sealed',
  rate: said.rate ?? 'energy',
  open: said.open ?? false,
  custody: said.custody ?? 'either',
});

function profileOf({ name, file, said }: Draft, kind: Draft): Profile {
  const { title, driver, line = {}, everySeconds, priority, settings, values } = said;
  const { custody: kinds, ...traits } = traitsOf(kind);
  const custody = said.custody ?? (kind.name !== name && driver !== undefined ? 'gateway' : kinds);
  const plain = Object.fromEntries(Object.entries(line)) as Profile['line'];
  return {
    name,
    file,
    title,
    kind: kind.name,
    driver,
    line: plain,
    everySeconds,
    priority,
    settings,
    values,
    ...traits,
    custody,
  };
}
