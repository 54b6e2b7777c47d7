/** Who is connected, and which topics are whose (DESIGN section 5). */
import type { Person } from '../tokens.ts';

/** A device under its DID; a vehicle that is not enrolled and may be checked only; a person with a role. */
export type Login =
  | { kind: 'device'; did: string }
  | { kind: 'vehicle'; did: string }
  | { kind: 'person'; name: string; person: Person };

/** What a message is, by its topic. */
export type Inward = 'cose' | 'senml' | 'hello' | 'presentation';
const UP: readonly Inward[] = ['cose', 'senml'];
const CHECK: readonly Inward[] = ['hello', 'presentation'];
/** Topics that a client may read below its own `down/{did}/` and `check/{did}/`. */
const DOWN_READ = ['#', '+', 'receipt', 'error'];
const CHECK_READ = ['#', '+', 'challenge', 'decision', 'error'];

const PRINTABLE = /^[\x20-\x7e]{0,256}$/;

/** Nobody may read these, so after intake has taken a message there is nothing left to do for it. */
export const isInward = (topic: string): boolean =>
  topic.startsWith('up/') || (topic.startsWith('check/') && CHECK.some((what) => topic.endsWith(`/${what}`)));

/** What a client publishes here, or undefined where it may not. @param checks whether vehicles are checked here */
export function inwardOf(login: Login | undefined, topic: string, checks: boolean): Inward | undefined {
  if (!login || login.kind === 'person') return undefined;
  if (login.kind === 'device') {
    const found = UP.find((what) => topic === `up/${login.did}/${what}`);
    if (found) return found;
  }
  return checks ? CHECK.find((what) => topic === `check/${login.did}/${what}`) : undefined;
}

export function maySubscribe(login: Login | undefined, topic: string, checks: boolean): boolean {
  if (!login) return false;
  if (login.kind === 'person') return topic.startsWith('live/') && PRINTABLE.test(topic);
  if (checks && CHECK_READ.some((end) => topic === `check/${login.did}/${end}`)) return true;
  return login.kind === 'device' && DOWN_READ.some((end) => topic === `down/${login.did}/${end}`);
}

/** One name for one user, with no space in it. */
export const nameOf = (login: Login): string =>
  login.kind === 'person' ? `person:${encodeURIComponent(login.name)}` : login.did;
