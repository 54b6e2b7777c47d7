/**
 * Which entries are sealed (log/sealed.ts), and the gateway's signature on them: in libuv's thread pool for what devices
 * send, so that the loop only makes the hash; at once for what the gateway says itself, which is little.
 */
import { type KeyObject, randomFillSync, sign } from 'node:crypto';
import type { NewEntry } from '../log/log.ts';
import { contentDigest, SALT_BYTES } from '../log/sealed.ts';
import { GATEWAY_KIND } from '../profiles/profile.ts';
import type { Device, Devices } from '../store/devices.ts';
import { prepareHashEnvelope } from '../wire/hash-envelope.ts';
import type { SenmlRecord } from '../wire/senml.ts';

export type SealingOptions = {
  /** Of the gateway. */
  did: string;
  privateKey: KeyObject;
  /** Whether readings of devices of a kind are sealed. */
  isSealed: (kind: string) => boolean;
  devices: Devices;
};

/** The two fields of a new entry that say what is in the open and what is not. */
export type SealedBytes = Required<Pick<NewEntry, 'envelope' | 'content'>>;

/** DIDs, and URNs by the characters of RFC 8141 that no list or JSON puts around them. */
const NAMES = /did:key:z[1-9A-HJ-NP-Za-km-z]+|urn:[\w:.~!$&'()*+;=@/%?#-]+/g;

export class Sealing {
  readonly #o: SealingOptions;
  readonly #salts = Buffer.alloc(SALT_BYTES * 128);
  #nextSalt = this.#salts.length;

  constructor(options: SealingOptions) {
    this.#o = options;
  }

  /**
   * The number of the device that an entry must be sealed for; undefined where it is public. Of what the gateway says
   * itself it is the first one named in it, by DID or URN, that is sealed. Who is named and not known is taken for one.
   */
  about(device: Device, records: readonly SenmlRecord[]): number | undefined {
    if (device.kind !== GATEWAY_KIND) return this.#o.isSealed(device.kind) ? device.id : undefined;
    for (const { n, vs = '' } of records)
      for (const name of `${n} ${vs}`.match(NAMES) ?? []) {
        const { devices } = this.#o;
        const named = devices.get(name) ?? devices.list().find(({ sub }) => sub === name);
        if (!named || this.#o.isSealed(named.kind)) return named?.id ?? device.id;
      }
    return undefined;
  }

  /** Calls back later, on the event loop. */
  inPool(envelope: Uint8Array, about: number, done: (sealed: SealedBytes) => void): void {
    const { signed, finish } = this.#prepare(envelope, about);
    sign(null, signed, this.#o.privateKey, (error, signature) => {
      if (error) throw error; // our own key: nothing can be accepted any more, and nothing may be in the open instead
      done(finish(signature));
    });
  }

  now(envelope: Uint8Array, about: number): SealedBytes {
    const { signed, finish } = this.#prepare(envelope, about);
    return finish(sign(null, signed, this.#o.privateKey));
  }

  #prepare(envelope: Uint8Array, about: number) {
    const salt = this.#salt();
    const { signed, finish } = prepareHashEnvelope(this.#o.did, contentDigest({ salt, envelope }));
    return {
      signed,
      finish: (signature: Uint8Array): SealedBytes => ({
        envelope: finish(new Uint8Array(signature)),
        content: { about, salt, envelope },
      }),
    };
  }

  /** Random bytes are drawn for many at once: each draw is a call into OpenSSL. */
  #salt(): Uint8Array {
    if (this.#nextSalt === this.#salts.length) {
      randomFillSync(this.#salts);
      this.#nextSalt = 0;
    }
    const salt = Uint8Array.from(this.#salts.subarray(this.#nextSalt, this.#nextSalt + SALT_BYTES));
    this.#nextSalt += SALT_BYTES;
    return salt;
  }
}
