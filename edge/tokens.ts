/**
 * JWTs (RFC 7519): the bearer tokens of people, signed by the gateway with EdDSA, and the login tokens of
 * devices, signed by themselves with what their key is for.
 */
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { EdgeError } from './errors.ts';

export const ROLES = ['viewer', 'engineer', 'operator'] as const;
export type Role = (typeof ROLES)[number];
/** `id` is that of the token (jti), by which it is revoked. */
export type Person = { name: string; role: Role; id: string; expiresMs: number };
export type Issued = Person & { token: string };

/** What is known of the tokens that this gateway made: whether one was revoked, or undefined where it is not known. */
export type Known = (id: string) => { revokedMs: number | null } | undefined;

const ALGS = ['EdDSA', 'Ed25519'];
const MAX_TOKEN = 4096;
/** A device's login token may be valid for so long at the most, in seconds. */
const MAX_DEVICE_TOKEN_LIFE = 3600;
/** In seconds, by which clocks may differ. */
export const LEEWAY = 60;
/**
 * Whoever can read the keys of the data folder can make a token without the gateway, for so many seconds: commands on
 * this machine do. All others must be known to the gateway, so that what is not in its list is good for nothing.
 */
export const LOCAL_LIFE = 2 * 3600;
/** Local tokens that were used lately, so that they can be revoked. */
const MAX_LOCAL = 1000;

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
  readonly #known: Known;
  readonly #local = new Map<string, Person>();

  /** @param origin the gateway's origin, the audience of all tokens; @param issuer the gateway's DID */
  constructor(
    origin: string,
    issuer: string,
    keys: { privateKey: KeyObject; publicKey: KeyObject },
    known: Known = () => undefined,
  ) {
    this.#origin = origin;
    this.#issuer = issuer;
    this.#keys = keys;
    this.#known = known;
  }

  async make({ name, role }: { name: string; role: Role }, lifeSeconds: number): Promise<Issued> {
    const now = Math.floor(Date.now() / 1000);
    const id = randomUUID();
    const token = await new SignJWT({ role })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT' })
      .setIssuer(this.#issuer)
      .setSubject(name)
      .setAudience(this.#origin)
      .setIssuedAt(now)
      .setExpirationTime(now + lifeSeconds)
      .setJti(id)
      .sign(this.#keys.privateKey);
    return { token, id, name, role, expiresMs: (now + lifeSeconds) * 1000 };
  }

  /** A local token, which no list knows of: at most {@link LOCAL_LIFE} seconds. */
  async issue(person: { name: string; role: Role }, lifeSeconds: number): Promise<string> {
    return (await this.make(person, lifeSeconds)).token;
  }

  /** A local token that was used here. */
  local(id: string) {
    const used = this.#local.get(id);
    return used && { ...used, madeMs: Date.now(), madeBy: 'local', revokedMs: null };
  }

  /** @throws EdgeError TOKEN_INVALID */
  async person(token: string): Promise<Person> {
    if (token.length > MAX_TOKEN) throw new EdgeError('TOKEN_INVALID', 'longer than any token');
    try {
      const { payload } = await jwtVerify(token, this.#keys.publicKey, {
        algorithms: ALGS,
        audience: this.#origin,
        issuer: this.#issuer,
        requiredClaims: ['exp', 'iat', 'sub', 'jti'],
        clockTolerance: LEEWAY,
      });
      const role = ROLES.find((r) => r === payload.role);
      if (!role) throw new EdgeError('TOKEN_INVALID', 'it names no role');
      const { exp, iat, sub, jti } = payload as { exp: number; iat: number; sub: string; jti: string };
      const person = { name: sub, role, id: jti, expiresMs: exp * 1000 };
      const known = this.#known(jti);
      if (known?.revokedMs) throw new EdgeError('TOKEN_INVALID', `token ${jti} was revoked`);
      if (!known) {
        if (exp - iat > LOCAL_LIFE)
          throw new EdgeError('TOKEN_INVALID', `token ${jti} is not among those that this gateway made`);
        if (this.#local.size >= MAX_LOCAL) this.#local.delete(this.#local.keys().next().value as string);
        this.#local.set(jti, person);
      }
      return person;
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
   * @returns all that it says
   * @throws EdgeError LOGIN_FAILED
   */
  async device(
    token: string,
    did: string,
    publicKey: KeyObject,
    algorithms: readonly string[],
    clockSynced: boolean,
  ): Promise<Record<string, unknown>> {
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
      return payload;
    } catch (error) {
      throw new EdgeError('LOGIN_FAILED', `token of ${did}: ${(error as Error).message}`);
    }
  }
}
