/**
 * Device kinds and the ways to read them: which register a kind bills, what a reading of it may hold, who may read it in
 * the open log, what a full disk may do to it. All of it from files (load.ts); no kind is known to the code, but for
 * credits, which are made of what plants and stores give (credits/gather.ts).
 */
import { EdgeError } from '../errors.ts';
import { hint } from '../flaws.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import { GATEWAY_KIND, type Profile, type ProfileValue, QUALITY } from './profile.ts';

/** What a reading is compared with: the values of a profile and those of its kind. */
type Rules = {
  kind: string;
  billed: string | undefined;
  required: string[];
  values: Map<string, ProfileValue>;
  open: boolean;
};

const MODEL = /:\d+\./;

export class Profiles {
  readonly #byName: ReadonlyMap<string, Profile>;
  readonly #rules = new Map<string, Rules>();

  /** @param profiles checked by load.ts */
  constructor(profiles: readonly Profile[]) {
    this.#byName = new Map(profiles.map((profile) => [profile.name, profile]));
    for (const profile of profiles) this.#rules.set(profile.name, this.#rulesOf(profile));
  }

  get(name: string): Profile | undefined {
    return this.#byName.get(name);
  }

  /** @throws EdgeError PROFILE_UNKNOWN, with what was perhaps meant */
  named(name: string): Profile {
    const profile = this.#byName.get(name);
    if (!profile) throw new EdgeError('PROFILE_UNKNOWN', `${name}${hint(name, [...this.#byName.keys()].sort())}`);
    return profile;
  }

  /** By name. */
  list(): Profile[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** What devices can be enrolled as. */
  kinds(): string[] {
    return this.list()
      .filter(({ name, kind }) => name === kind)
      .map(({ name }) => name);
  }

  /** The record that a kind bills, which comes first in each pack. */
  billedOf(kind: string): string | undefined {
    return this.#rules.get(kind)?.billed;
  }

  mayThin(kind: string): boolean {
    return this.#byName.get(kind)?.rate === 'location';
  }

  /** A kind that no profile describes any more is sealed: nobody says that it may be in the open. */
  isSealed(kind: string): boolean {
    return kind !== GATEWAY_KIND && this.#byName.get(kind)?.privacy !== 'public';
  }

  /** What is expected of a record of this profile or kind; `sunspec:{model}.A` speaks of `sunspec:103.A`. */
  valueOf(name: string, record: string): ProfileValue | undefined {
    const values = this.#rules.get(name)?.values;
    return (
      values?.get(record) ??
      (record.startsWith('sunspec:') ? values?.get(record.replace(MODEL, ':{model}.')) : undefined)
    );
  }

  /** @param name of a profile, or of a kind @throws EdgeError PROFILE_MISMATCH, naming the record and what is expected */
  check(name: string, records: readonly SenmlRecord[]): void {
    if (name === GATEWAY_KIND) return;
    const rules = this.#rules.get(name);
    if (!rules) throw mismatch(`no profile describes the kind ${name} any more: put its file back (profiles.folder)`);
    const { kind, billed, required, values, open } = rules;
    const [first] = records;
    if (
      billed !== undefined &&
      (first?.n !== billed || first.u !== 'Wh' || first.v === undefined || !Number.isInteger(first.v) || first.v < 0)
    )
      throw mismatch(
        `a ${kind} bills ${billed}, so the first record is {n: "${billed}", u: "Wh", v: unsigned integer}`,
      );
    for (const need of required)
      if (!records.some(({ n }) => n === need))
        throw mismatch(`there is no ${need}, without which a ${kind} tells nothing`);
    if (values.size === 0 && open) return;
    for (const record of records) {
      const value = this.valueOf(name, record.n);
      if (value) checkRecord(value, record, kind);
      else if (!open && record.n !== QUALITY)
        throw mismatch(`a ${kind} does not tell ${record.n}; it tells ${[...values.keys()].join(', ') || 'nothing'}`);
    }
  }

  #rulesOf(profile: Profile): Rules {
    const { kind, open } = profile;
    const ofKind = profile.name === kind ? [] : (this.#byName.get(kind)?.values ?? []);
    const values = new Map<string, ProfileValue>(ofKind.map((value) => [value.name, value]));
    for (const value of profile.values) {
      const wide = values.get(value.name);
      values.set(value.name, wide ? narrower(value, wide) : value);
    }
    const all = [...values.values()];
    return {
      ...{ kind, open, values },
      billed: all.find(({ billed }) => billed)?.name,
      required: all.filter(({ required }) => required).map(({ name }) => name),
    };
  }
}

const mismatch = (detail: string): EdgeError => new EdgeError('PROFILE_MISMATCH', detail);

/** What both say; of what only the kind says, that. */
function narrower(value: ProfileValue, wide: ProfileValue): ProfileValue {
  const ranges = [value.range, wide.range].filter((range) => range !== undefined);
  return {
    ...wide,
    ...value,
    required: value.required || wide.required,
    ...(ranges.length > 0
      ? { range: [Math.max(...ranges.map(([least]) => least)), Math.min(...ranges.map(([, most]) => most))] as const }
      : {}),
  };
}

function checkRecord({ name, type, unit, range }: ProfileValue, { u, v, vs, vb }: SenmlRecord, kind: string): void {
  const isOfType = (type === 'number' ? v : type === 'string' ? vs : vb) !== undefined;
  if (!isOfType) throw mismatch(`${name} of a ${kind} is a ${type}`);
  // Some devices leave out the unit that everybody knows; none may mean another.
  if (u !== undefined && unit !== undefined && u !== unit)
    throw mismatch(`${name} is in ${u}, a ${kind} tells it in ${unit}`);
  if (range && v !== undefined && (v < range[0] || v > range[1]))
    throw mismatch(`${name} is ${v}${unit ? ` ${unit}` : ''}, and its range is ${range[0]} to ${range[1]}`);
}
