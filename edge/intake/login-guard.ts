/**
 * Logins under fire. Tokens are signatures, and their checks share the thread pool with those of the envelopes: so many
 * at once, one of each user in turn, and not again and again for who fails.
 */
import type { Caps } from '../caps.ts';
import { EdgeError } from '../errors.ts';
import { Buckets } from './buckets.ts';
import { Gate } from './gate.ts';
import type { Login } from './topics.ts';

export type LoginLimits = { maxLoginsAtOnce: number; maxFailedLogins: number; caps: Caps };

/** Where somebody comes from, the DID in their TLS certificate, and whether they have left meanwhile. */
export type Caller = { address: string; did?: string | undefined; gone: () => boolean };

export function guardLogins(
  login: (user: string, password: string, caller: Caller) => Promise<Login>,
  { maxLoginsAtOnce, maxFailedLogins, caps }: LoginLimits,
) {
  const room = maxLoginsAtOnce - 1; // a gate lets one more in when so many are inside
  const gate = new Gate({ max: room, maxPerKey: room, onWait: () => caps.hit('mqtt.maxLoginsAtOnce') });
  const failures = new Buckets(maxFailedLogins / 60, maxFailedLogins);

  /** @throws EdgeError LOGIN_FAILED, TOKEN_INVALID, LOGIN_THROTTLED */
  const guarded = async (user: string, password: string, caller: Caller): Promise<Login> => {
    // By address too, so that nobody locks another out by using its name from elsewhere.
    const { address, gone } = caller;
    const key = `${address} ${user}`;
    await gate.enter(key, 1);
    try {
      if (gone()) throw new Error('connection closed');
      if (failures.isEmpty(key)) {
        caps.hit('mqtt.maxFailedLogins');
        const who = `${JSON.stringify(user.slice(0, 80))} from ${address}`;
        throw new EdgeError('LOGIN_THROTTLED', `${who}, ${maxFailedLogins} a minute (mqtt.maxFailedLogins)`);
      }
      return await login(user, password, caller);
    } catch (error) {
      if (error instanceof EdgeError && error.act === 'refuse') failures.tryTake(key);
      throw error;
    } finally {
      gate.leave(key, 1);
    }
  };
  return {
    login: guarded,
    limit: (next: { maxLoginsAtOnce: number; maxFailedLogins: number }): void => {
      maxFailedLogins = next.maxFailedLogins;
      failures.setRate(maxFailedLogins / 60, maxFailedLogins);
      gate.setRoom(next.maxLoginsAtOnce - 1, next.maxLoginsAtOnce - 1);
    },
  };
}
