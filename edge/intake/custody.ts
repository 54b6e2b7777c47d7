/**
 * The two doors to accept. Devices that hold their own key bring envelopes; legacy devices that cannot sign bring
 * SenML, and the gateway, which holds their key (custody gateway), signs for them and hands the envelope on.
 */
import { type KeyObject, sign } from 'node:crypto';
import { EdgeError } from '../errors.ts';
import { GATEWAY_KIND } from '../profiles/profile.ts';
import type { Device, Devices } from '../store/devices.ts';
import type { Entries } from '../store/entries.ts';
import type { SqlStatement } from '../store/store.ts';
import { equalBytes } from '../wire/bytes.ts';
import { decodeEnvelope, encodeEnvelope } from '../wire/envelope.ts';
import { encodePack, resolveLegacy, type SenmlRecord } from '../wire/senml.ts';
import type { Accept, AcceptOptions, Outcome } from './accept.ts';
import { type Ending, inactive } from './standing.ts';

export type CustodianOptions = {
  accept: Accept;
  devices: Devices;
  entries: Entries;
  /** This run's number: the boot epoch of the counters that the gateway keeps for its devices. */
  boot: number;
  /** @throws EdgeError KEY_UNREADABLE */
  privateKeyOf: (did: string) => KeyObject;
  /** Why a device may not speak now. What we sign is signed now, so there is no backlog. */
  endings: (device: Device) => readonly Ending[];
  check: AcceptOptions['check'];
};

export class Custodian {
  readonly #o: CustodianOptions;
  readonly #keys = new Map<string, KeyObject>();
  readonly #nextSeq = new Map<string, number>();

  constructor(options: CustodianOptions) {
    this.#o = options;
  }

  /** An envelope that a device signed itself. */
  offerEnvelope(did: string, topic: string, bytes: Uint8Array): Promise<Outcome> {
    const source = { did, topic };
    if (this.#o.devices.get(did)?.custody === 'gateway')
      return this.#o.accept.refuse(
        bytes,
        source,
        new EdgeError('CUSTODY_MISMATCH', `the gateway holds the key of ${did}`),
      );
    return this.#o.accept.offer(bytes, source);
  }

  /**
   * What a legacy device sent. `resent` is MQTT's DUP flag: such a message may be in the log already, because its
   * PUBACK was lost, and has no counter of its own to tell; it is when its content is that of the last entry.
   */
  async offerSenml(did: string, topic: string, bytes: Uint8Array, resent: boolean): Promise<Outcome> {
    const source = { did, topic };
    const device = this.#o.devices.get(did);
    try {
      if (!device) throw new EdgeError('DEVICE_UNKNOWN', did);
      if (device.custody !== 'gateway')
        throw new EdgeError('CUSTODY_MISMATCH', `${did} holds its own key, so it must sign`);
      const records = resolveLegacy(bytes);
      // Asked here already, so that what is refused is kept as it was sent, and uses up none of our counters.
      const ended = this.#o.endings(device);
      if (ended.length > 0) throw inactive(did, ended);
      this.#o.check(device, records);
      const known = resent ? this.#lastIfSame(device, records) : undefined;
      if (known !== undefined) return { kind: 'known', index: known };
      return await this.submit(device, topic, records);
    } catch (error) {
      if (error instanceof EdgeError && error.act === 'refuse') return this.#o.accept.refuse(bytes, source, error);
      throw error;
    }
  }

  #lastIfSame(device: Device, records: readonly SenmlRecord[]): number | undefined {
    const last = this.#o.entries.get(device.counter.lastIdx);
    // What was pruned is older than any resend; what was forgotten cannot be compared, and then nothing may be lost.
    if (!last || last.device !== device.id || last.envelope.length === 0) return undefined;
    return equalBytes(decodeEnvelope(last.envelope).payload, encodePack(records)) ? last.idx : undefined;
  }

  /**
   * Sign records in the name of a device whose key the gateway holds, or in its own name, and accept them.
   * @param atMs when they were true, Unix ms
   * @param along what is to be on disk together with them
   */
  submit(
    device: Device,
    topic: string,
    records: readonly SenmlRecord[],
    atMs = Date.now(),
    along: readonly SqlStatement[] = [],
  ): Promise<Outcome> {
    const { did, sub, kind } = device;
    if (kind === GATEWAY_KIND) return this.#o.accept.say(records);
    const privateKey = this.#keys.get(did) ?? this.#o.privateKeyOf(did);
    this.#keys.set(did, privateKey);
    const seq = this.#nextSeq.get(did) ?? 0;
    const claims = { iss: did, sub, iat: Math.floor(atMs / 1000), epoch: this.#o.boot, seq };
    const envelope = encodeEnvelope(claims, records, (signed) => new Uint8Array(sign(null, signed, privateKey)));
    this.#nextSeq.set(did, seq + 1);
    return this.#o.accept.offer(envelope, { did, topic }, along);
  }
}
