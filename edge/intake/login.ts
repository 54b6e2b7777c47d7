/** Who may connect to the broker, and as whom. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { EdgeError } from '../errors.ts';
import { GATEWAY_KIND } from '../profiles/profile.ts';
import type { Device, Devices } from '../store/devices.ts';
import { ROLES, type Tokens } from '../tokens.ts';
import { decodeDid } from '../wire/did.ts';
import type { Caller } from './login-guard.ts';
import type { Login } from './topics.ts';
import { verifyKey } from './verify.ts';

/** Enrolment secrets are 256 random bits, so one fast hash hides them as well as a slow one would. */
export const hashSecret = (secret: string): Uint8Array => new Uint8Array(createHash('sha256').update(secret).digest());

/** @param mayConnect whether a device may: one that is over may still have backlog to bring */
export function makeLogin(
  devices: Devices,
  tokens: Tokens,
  clockSynced: () => boolean,
  mayConnect: (device: Device) => boolean = ({ status }) => status === 'active',
) {
  return async (name: string, password: string, { did }: Pick<Caller, 'did'> = {}): Promise<Login> => {
    // Whoever comes with a device's certificate comes as that device, whatever else it knows.
    const user = did !== undefined && name === '' ? did : name;
    if (did !== undefined && user !== did)
      throw new EdgeError('LOGIN_FAILED', `${JSON.stringify(name.slice(0, 80))} came with the certificate of ${did}`);
    const certified = did !== undefined && password === '';
    if (!certified && password === '')
      throw new EdgeError('LOGIN_FAILED', `${JSON.stringify(user.slice(0, 80))} gave no password`);
    if (!user.startsWith('did:')) {
      // People and flows: the user name is their role, the password their token.
      const person = await tokens.person(password);
      if (!ROLES.some((role) => role === user) || person.role !== user)
        throw new EdgeError(
          'LOGIN_FAILED',
          `the token is for the role ${person.role}, the user name is ${JSON.stringify(user.slice(0, 80))}`,
        );
      return { kind: 'person', name: person.name, person };
    }
    const device = devices.get(user);
    if (!device) throw new EdgeError('LOGIN_FAILED', `${user.slice(0, 80)} is not enrolled here`);
    if (!mayConnect(device))
      throw new EdgeError(
        'LOGIN_FAILED',
        `${user} is ${device.status === 'active' ? 'over in the registry' : device.status}`,
      );
    if (certified) {
      // The gateway itself speaks on no connection.
      if (device.kind === GATEWAY_KIND) throw new EdgeError('LOGIN_FAILED', `${user} is the gateway itself`);
    } else if (device.custody === 'gateway') {
      // The gateway itself has no secret: it signs people's tokens with its key, so a token must not log it in.
      if (!device.secretHash || !timingSafeEqual(hashSecret(password), device.secretHash))
        throw new EdgeError('LOGIN_FAILED', `${user} gave a wrong secret`);
    } else {
      // Made for this login, and not kept: with what jose makes of it, it takes more than all else of a connection.
      const key = verifyKey(decodeDid(device.did));
      await tokens.device(password, user, key.object, key.verifier.jwsAlgs, clockSynced());
    }
    return { kind: 'device', did: user };
  };
}
