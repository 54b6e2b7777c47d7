/**
 * Vehicles that pass by: nobody enrolled them, and their pseudonyms change. Whoever shows the key of a DID may log in to
 * be checked, and for nothing else; what that is worth, their credential says. They are few at a time, because each of
 * them costs a signature to look at before anything is known of it.
 */
import type { Caps } from '../caps.ts';
import { EdgeError } from '../errors.ts';
import type { Devices } from '../store/devices.ts';
import type { Tokens } from '../tokens.ts';
import { publicKeyFromDid } from '../wire/did.ts';
import { Buckets } from './buckets.ts';
import type { Caller } from './login-guard.ts';
import type { Login } from './topics.ts';
import { verifyKey } from './verify.ts';

export type StrangerOptions = {
  devices: Devices;
  tokens: Tokens;
  clockSynced: () => boolean;
  maxStrangerLogins: number;
  caps: Caps;
};

/** The login of those who are enrolled, and beside it that of vehicles that are not. */
export function admitStrangers(
  login: (user: string, password: string, caller: Caller) => Promise<Login>,
  { devices, tokens, clockSynced, maxStrangerLogins, caps }: StrangerOptions,
): (user: string, password: string, caller: Caller) => Promise<Login> {
  const logins = new Buckets(maxStrangerLogins / 60, maxStrangerLogins);
  return async (user, password, caller) => {
    const isStranger = user.startsWith('did:') && !devices.get(user) && caller.did === undefined;
    if (!isStranger) return login(user, password, caller);
    if (password === '') throw new EdgeError('LOGIN_FAILED', `${user.slice(0, 80)} gave no password`);
    if (!logins.tryTake('')) {
      caps.hit('checks.maxStrangerLogins');
      throw new EdgeError(
        'LOGIN_THROTTLED',
        `vehicles that are not enrolled, ${maxStrangerLogins} a minute (checks.maxStrangerLogins)`,
      );
    }
    const key = verifyKey(publicKeyFromDid(user));
    await tokens.device(password, user, key.object, key.verifier.jwsAlgs, clockSynced());
    return { kind: 'vehicle', did: user };
  };
}
