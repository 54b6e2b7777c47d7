/**
 * What a document must look like, to the last member. A shape takes a parsed value and where it stands, and gives it
 * back typed, or throws EdgeError MESSAGE_INVALID; the types follow from the shapes. Pure.
 */
import { EdgeError } from '../../errors.ts';
import { publicKeyFromDid } from '../did.ts';
import type { PublicKey } from '../keys.ts';

export type Shape<T> = (value: unknown, at: string) => T;
/** The type that a shape lets through. */
export type Of<S> = S extends Shape<infer T> ? T : never;
type Shapes = Record<string, Shape<unknown>>;
type Members<R extends Shapes, O extends Shapes> = { [K in keyof R]: Of<R[K]> } & { [K in keyof O]?: Of<O[K]> };

export const refuse = (at: string, why: string): never => {
  throw new EdgeError('MESSAGE_INVALID', `${at} ${why}`);
};

/** Exactly these members, and those of `optional` that are there. */
export const object =
  <R extends Shapes, O extends Shapes = Record<never, never>>(required: R, optional?: O): Shape<Members<R, O>> =>
  (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(at, 'is not an object');
    const members = value as Record<string, unknown>;
    for (const name of Object.keys(members)) {
      const shape = Object.hasOwn(required, name)
        ? required[name]
        : optional && Object.hasOwn(optional, name)
          ? optional[name]
          : undefined;
      if (!shape) return refuse(at, `has an unknown member ${JSON.stringify(name.slice(0, 40))}`);
      shape(members[name], `${at}.${name}`);
    }
    for (const name of Object.keys(required)) if (!Object.hasOwn(members, name)) refuse(at, `lacks ${name}`);
    return value as Members<R, O>;
  };

/** Names to values, at most `max` of them. */
export const record =
  <T>(name: Shape<string>, item: Shape<T>, max: number): Shape<Record<string, T>> =>
  (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(at, 'is not an object');
    const members = Object.entries(value);
    if (members.length > max) refuse(at, `has ${members.length} members, ${max} is the most`);
    for (const [key, member] of members) {
      name(key, `a name of ${at}`);
      item(member, `${at}.${key}`);
    }
    return value as Record<string, T>;
  };

export const array =
  <T>(item: Shape<T>, min: number, max: number): Shape<T[]> =>
  (value, at) => {
    if (!Array.isArray(value)) return refuse(at, 'is not an array');
    if (value.length < min || value.length > max) refuse(at, `has ${value.length} items, not ${min} to ${max}`);
    value.forEach((each, i) => {
      item(each, `${at}[${i}]`);
    });
    return value as T[];
  };

/** Each of them once. */
export const set = (item: Shape<string>, min: number, max: number): Shape<string[]> => {
  const items = array(item, min, max);
  return (value, at) => {
    const list = items(value, at);
    return new Set(list).size === list.length ? list : refuse(at, 'names something twice');
  };
};

export const text =
  (pattern: RegExp, says: string, max = 256): Shape<string> =>
  (value, at) =>
    typeof value === 'string' && value.length <= max && pattern.test(value)
      ? value
      : refuse(
          at,
          `is not ${says}${typeof value === 'string' && value.length > max ? `: ${value.length} characters` : ''}`,
        );

export const oneOf =
  <const T extends string>(...values: T[]): Shape<T> =>
  (value, at) =>
    values.includes(value as T) ? (value as T) : refuse(at, `is not ${values.join(' or ')}`);

/** This very array of texts, in this order. */
export const exactly =
  <const T extends readonly string[]>(expected: T): Shape<T> =>
  (value, at) =>
    Array.isArray(value) && value.length === expected.length && expected.every((item, i) => value[i] === item)
      ? (value as unknown as T)
      : refuse(at, `is not ${JSON.stringify(expected)}`);

export const integer =
  (min: number, max: number): Shape<number> =>
  (value, at) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : refuse(at, `is not a whole number of ${min} to ${max}`);

export const nullable =
  <T>(shape: Shape<T>): Shape<T | null> =>
  (value, at) =>
    value === null ? null : shape(value, at);

/** RFC 3339 in UTC, with `Z`, in whole seconds or milliseconds, and a day that there is. */
export const dateTime: Shape<string> = (value, at) => {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/.test(value))
    return refuse(at, 'is not a time like 2026-06-21T03:00:00Z');
  const ms = Date.parse(value);
  // 31 February is taken by Date.parse, as some day in March.
  if (!Number.isFinite(ms) || new Date(ms).toISOString().slice(0, 19) !== value.slice(0, 19))
    return refuse(at, 'is no time of the calendar');
  return value;
};
/** Unix milliseconds of what {@link dateTime} let through. */
export const timeOf = (value: string): number => Date.parse(value);
/** Whole seconds, as W3C documents mostly have them. */
export const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** DIDs whose keys were found good: checking one is a millisecond of curve arithmetic, and most come again. */
const checked = new Map<string, PublicKey>();
const MAX_CHECKED = 4096;

/** The public key of a DID, checked; the same object for the same DID while it is remembered. @throws EdgeError DID_INVALID */
export function checkedKey(of: string): PublicKey {
  const known = checked.get(of);
  if (known) return known;
  const key = publicKeyFromDid(of);
  if (checked.size >= MAX_CHECKED) checked.delete(checked.keys().next().value as string);
  checked.set(of, key);
  return key;
}

/** The form of a did:key; its key is checked where a signature by it is. */
export const did: Shape<string> = text(
  /^did:key:z(6Mk|Dn)[1-9A-HJ-NP-Za-km-z]{44,46}$/,
  'a did:key of Ed25519 or P-256',
  57,
);

/** 32 bytes in base64url without padding; the last character carries four bits only. */
export const bytes32: Shape<string> = text(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, '32 bytes in base64url', 43);
export const uuidUrn: Shape<string> = text(
  /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  'a urn:uuid:',
  45,
);
/** Of zones, gates and purposes. */
export const name: Shape<string> = text(/^[a-z0-9][a-z0-9-]{0,63}$/, 'a name of a-z, 0-9 and -', 64);
/** Printable ASCII without spaces: names by equality, fetched by nobody. */
export const uri: Shape<string> = text(/^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/, 'a URI');
