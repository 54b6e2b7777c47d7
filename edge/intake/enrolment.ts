/** How a device comes to be known: with its own key, or with one that the gateway makes and keeps for it. */
import { randomBytes } from 'node:crypto';
import { EdgeError } from '../errors.ts';
import { hint } from '../flaws.ts';
import { GATEWAY_SUB } from '../log/gap.ts';
import type { Profiles } from '../profiles/profiles.ts';
import type { Commit, Device, Devices, NewDevice } from '../store/devices.ts';
import { publicKeyFromDid } from '../wire/did.ts';
import { hashSecret } from './login.ts';

/** `did` for custody device, and only there. */
export type Wanted = Omit<NewDevice, 'did' | 'secretHash'> & { did?: string };

export class Enrolment {
  readonly #devices: Devices;
  readonly #makeKey: () => string;
  readonly #profiles: Profiles;

  /** @param makeKey makes and keeps a key, and answers its DID */
  constructor(devices: Devices, makeKey: () => string, profiles: Profiles) {
    this.#devices = devices;
    this.#makeKey = makeKey;
    this.#profiles = profiles;
  }

  /** @throws EdgeError REQUEST_INVALID */
  check(rest: Pick<NewDevice, 'kind' | 'sub' | 'custody'>): void {
    const kinds = this.#profiles.kinds();
    if (!kinds.includes(rest.kind))
      throw new EdgeError(
        'REQUEST_INVALID',
        `kind ${rest.kind} is not one of ${kinds.join(', ')}${hint(rest.kind, kinds, false)}`,
      );
    const custody = this.#profiles.get(rest.kind)?.custody ?? 'either';
    if (custody !== 'either' && custody !== rest.custody)
      throw new EdgeError(
        'REQUEST_INVALID',
        `devices of kind ${rest.kind} have custody ${custody}, not ${rest.custody}`,
      );
    // Who speaks of gaps must be the gateway, and an auditor tells it by its sub.
    if (rest.sub.startsWith(GATEWAY_SUB))
      throw new EdgeError('REQUEST_INVALID', `sub ${rest.sub} is kept for the gateway's own entries`);
  }

  /**
   * The secret, for custody gateway, is there this once: only its hash is kept.
   * @param commit of what is to stand or fall with it, by the DID
   * @throws EdgeError REQUEST_INVALID, DID_INVALID, DEVICE_EXISTS, STORE_UNAVAILABLE
   */
  async enrol(
    { did, ...rest }: Wanted,
    commit?: (did: string) => Commit,
  ): Promise<{ device: Device; secret?: string }> {
    this.check(rest);
    if (rest.custody === 'device') {
      if (did === undefined)
        throw new EdgeError('REQUEST_INVALID', 'custody device needs the did of the key that the device holds');
      publicKeyFromDid(did);
      return { device: await this.#devices.enrol({ ...rest, did }, Date.now(), commit?.(did)) };
    }
    if (did !== undefined)
      throw new EdgeError('REQUEST_INVALID', 'with custody gateway the gateway makes the key, so no did is given');
    const { secret, ...key } = this.newKey();
    return { device: await this.#devices.enrol({ ...rest, ...key }, Date.now(), commit?.(key.did)), secret };
  }

  /** A key that the gateway keeps, and a secret for logins in its name. */
  newKey(): { did: string; secret: string; secretHash: Uint8Array } {
    const secret = randomBytes(32).toString('base64url');
    return { did: this.#makeKey(), secret, secretHash: hashSecret(secret) };
  }

  /**
   * The DID of a device on a serial line: the one that the config names, or the one of its sub, enrolled if need be.
   * @throws EdgeError DEVICE_UNKNOWN, CUSTODY_MISMATCH, CONFIG_INVALID
   */
  async serialDevice({ did, kind, sub }: { did: string; kind: string; sub: string }): Promise<string> {
    if (did !== '') {
      const device = this.#devices.get(did);
      if (!device) throw new EdgeError('DEVICE_UNKNOWN', `serial device ${did}`);
      if (device.custody !== 'gateway')
        throw new EdgeError('CUSTODY_MISMATCH', `serial device ${did} holds its own key`);
      // Its kind decides who may read it in the open log.
      if (device.kind !== kind)
        throw new EdgeError(
          'CONFIG_INVALID',
          `serial device ${did} is enrolled as ${device.kind}, its profile is for ${kind}`,
        );
      return did;
    }
    const active = this.#devices.list().filter((d) => d.custody === 'gateway' && d.status === 'active');
    const found = active.find((d) => d.sub === sub && d.kind === kind);
    return (found ?? (await this.enrol({ kind, custody: 'gateway', sub })).device).did;
  }
}
