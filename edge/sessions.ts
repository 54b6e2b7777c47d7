/**
 * Signing in to the console: a one-time code, shown in a link, becomes a token of its own in the list of tokens. The
 * code is in no file and in no log, and a link that was used or is old is good for nothing.
 */
import { hash, randomBytes } from 'node:crypto';
import { EdgeError } from './errors.ts';
import type { People } from './people.ts';
import type { Issued, Person, Role } from './tokens.ts';

/** 128 bits: nobody guesses one in the time that it has. */
const CODE_BYTES = 16;
const CODE_LIFE_MS = 600_000;
/** Codes that nobody has used yet; with one more, the oldest is good for nothing. */
const MAX_CODES = 100;

/** Whom a code signs in, for how long, and who made it. */
export type Wanted = { name: string; role: Role; seconds: number; by: Person };
export type SignInCode = { code: string; expiresMs: number };

export class Sessions {
  readonly #people: Pick<People, 'makeToken'>;
  /** By the code's SHA-256, the oldest first. Ends by the monotonic clock: a wall clock that is set must not keep one alive. */
  readonly #codes = new Map<string, Wanted & { endsAt: number }>();

  constructor(people: Pick<People, 'makeToken'>) {
    this.#people = people;
  }

  /** The code is in the answer, this once. */
  makeCode(wanted: Wanted): SignInCode {
    const now = performance.now();
    for (const [key, { endsAt }] of this.#codes) if (endsAt <= now) this.#codes.delete(key);
    if (this.#codes.size >= MAX_CODES) this.#codes.delete(this.#codes.keys().next().value as string);
    const code = randomBytes(CODE_BYTES).toString('base64url');
    this.#codes.set(hash('sha256', code), { ...wanted, endsAt: now + CODE_LIFE_MS });
    return { code, expiresMs: Date.now() + CODE_LIFE_MS };
  }

  /** @throws EdgeError SIGN_IN_INVALID, TOKENS_FULL, STORE_UNAVAILABLE */
  async open(code: string): Promise<Issued> {
    const key = hash('sha256', code);
    const wanted = this.#codes.get(key);
    this.#codes.delete(key); // before anything is waited for: good once
    if (!wanted || wanted.endsAt <= performance.now())
      throw new EdgeError('SIGN_IN_INVALID', wanted ? 'the code has expired' : 'there is no such code');
    const { name, role, seconds, by } = wanted;
    return this.#people.makeToken({ name, role }, seconds, by);
  }
}
