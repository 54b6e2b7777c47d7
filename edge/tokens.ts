/**
 * JWTs (RFC 7519): the bearer tokens of people, signed by the gateway with EdDSA, and the login tokens of
 * devices, signed by themselves with what their key is for.
 */
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { EdgeError } from './errors.ts';

export const ROLES = ['viewer', 'engineer', 'operator'] as const;
export type Role = (typeof ROLES)[number];
export type Person = { name: string; role: Role };

const ALGS = ['EdDSA', 'Ed25519'];
const MAX_TOKEN = 4096;
/** A device's login token may be valid for so long at the most, in seconds. */
const MAX_DEVICE_TOKEN_LIFE = 3600;
const LEEWAY = 60;

/** node:crypto keys from raw ones, by way of JWK (RFC 8037). */
export function keyPair(secretKey: Uint8Array, publicKey: Uint8Array): { privateKey: KeyObject; publicKey: KeyObject } {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') };
  return {
    privateKey: createPrivateKey({ key: { ...jwk, d: Buffer.from(secretKey).toString('base64url') }, format: 'jwk' }),
    publicKey: createPublicKey({ key: jwk, format: 'jwk' }),
  };
}

export class Tokens {
  readonly #origin: string;
  readonly #issuer: string;
  readonly #keys: { privateKey: KeyObject; publicKey: KeyObject };

  /** @param origin the gateway's origin, the audience of all tokens; @param issuer the gateway's DID */
  constructor(origin: string, issuer: string, keys: { privateKey: KeyObject; publicKey: KeyObject }) {
    this.#origin = origin;
    this.#issuer = issuer;
    this.#keys = keys;
  }

  issue(person: Person, lifeSeconds: number): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ role: person.role })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT' })
      .setIssuer(this.#issuer)
      .setSubject(person.name)
      .setAudience(this.#origin)
      .setIssuedAt(now)
      .setExpirationTime(now + lifeSeconds)
      .setJti(randomUUID())
      .sign(this.#keys.privateKey);
  }

  /** @throws EdgeError TOKEN_INVALID */
  async person(token: string): Promise<Person> {
    if (token.length > MAX_TOKEN) throw new EdgeError('TOKEN_INVALID', 'longer than any token');
    try {
      const { payload } = await jwtVerify(token, this.#keys.publicKey, {
        algorithms: ALGS,
        audience: this.#origin,
        issuer: this.#issuer,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: LEEWAY,
      });
      const role = ROLES.find((r) => r === payload.role);
      if (!role) throw new EdgeError('TOKEN_INVALID', 'it names no role');
      return { name: payload.sub as string, role };
    } catch (error) {
      if (error instanceof EdgeError) throw error;
      throw new EdgeError('TOKEN_INVALID', (error as Error).message);
    }
  }

  /**
   * A device's login token: `sub` the DID, `aud` this gateway's origin, at most an hour long. Where our clock is
   * not set, its dates are not judged: a clock must never cost a reading. (Of the two twins of an ECDSA signature
   * both are good here: a login is not kept, so it does not matter which of them it was.)
   * @param algorithms JWS algorithms that fit the type of the key
   * @throws EdgeError LOGIN_FAILED
   */
  async device(
    token: string,
    did: string,
    publicKey: KeyObject,
    algorithms: readonly string[],
    clockSynced: boolean,
  ): Promise<void> {
    if (token.length > MAX_TOKEN) throw new EdgeError('LOGIN_FAILED', 'the token is longer than any token');
    try {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: [...algorithms],
        audience: this.#origin,
        subject: did,
        requiredClaims: ['exp', 'iat'],
        clockTolerance: clockSynced ? LEEWAY : Number.MAX_SAFE_INTEGER,
        // Also refuses one from the future, which would be good for all the time until then.
        ...(clockSynced ? { maxTokenAge: MAX_DEVICE_TOKEN_LIFE } : {}),
      });
      if ((payload.exp as number) - (payload.iat as number) > MAX_DEVICE_TOKEN_LIFE)
        throw new Error(`it is valid for more than ${MAX_DEVICE_TOKEN_LIFE} s`);
    } catch (error) {
      throw new EdgeError('LOGIN_FAILED', `token of ${did}: ${(error as Error).message}`);
    }
  }
}
