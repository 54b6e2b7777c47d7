/**
 * The two doors to accept. Devices that hold their own key bring envelopes; legacy devices that cannot sign bring
 * SenML, and the gateway, which holds their key (custody gateway), signs for them and hands the envelope on.
 */
import { type KeyObject, sign } from 'node:crypto';
import type { Quality, Reading } from '../drivers/driver.ts';
import { EdgeError } from '../errors.ts';
import { GATEWAY_KIND, QUALITY } from '../profiles/profile.ts';
import { type Expected, RegisterWatch } from '../profiles/watch.ts';
import type { Device, Devices } from '../store/devices.ts';
import type { Entries } from '../store/entries.ts';
import { saveMark } from '../store/marks.ts';
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
  /** What is expected of a register of a device, by the record's name; undefined where it is none. */
  registerOf: (device: Device, name: string) => Expected | undefined;
};

/** Entries that are looked at for how a device's registers stood, when it is first heard in this run. */
const LOOKED_BACK = 20;

export class Custodian {
  readonly #o: CustodianOptions;
  readonly #keys = new Map<string, KeyObject>();
  readonly #nextSeq = new Map<string, number>();
  readonly #watches = new Map<string, RegisterWatch>();

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
      const doubt = this.#watch(device).judge(records, Math.floor(Date.now() / 1000));
      return await this.submit(
        device,
        topic,
        doubt === undefined ? records : withQuality(records, `Uncertain: ${doubt}`),
      );
    } catch (error) {
      if (error instanceof EdgeError && error.act === 'refuse') return this.#o.accept.refuse(bytes, source, error);
      throw error;
    }
  }

  #lastIfSame(device: Device, records: readonly SenmlRecord[]): number | undefined {
    const last = this.#o.entries.get(device.counter.lastIdx);
    // What was pruned is older than any resend; what was forgotten cannot be compared, and then nothing may be lost.
    if (!last || last.device !== device.id || last.envelope.length === 0) return undefined;
    const { payload, records: kept } = decodeEnvelope(last.envelope);
    if (equalBytes(payload, encodePack(records))) return last.idx;
    // What the gateway wrote on it itself was not sent.
    const sent = kept.filter(({ n }) => n !== QUALITY);
    const isSame = sent.length > 0 && sent.length < kept.length && equalBytes(encodePack(sent), encodePack(records));
    return isSame ? last.idx : undefined;
  }

  /**
   * What a driver read of a device whose key the gateway holds: what it is worth is signed with it, and its marks are on
   * disk with it. What its profile does not expect lies in quarantine as SenML, with the time at which it was read.
   */
  async submitReading(device: Device, topic: string, reading: Reading & { atMs: number }): Promise<Outcome> {
    const { records, marks = {}, atMs, quality } = reading;
    const along = Object.entries(marks).map(([name, value]) => saveMark(device.id, name, value));
    const at = Math.floor(atMs / 1000);
    try {
      this.#o.check(device, records);
    } catch (error) {
      if (!(error instanceof EdgeError && error.act === 'refuse')) throw error;
      const said = Buffer.from(JSON.stringify(records.map((record) => ({ ...record, t: record.t ?? at }))));
      return this.#o.accept.refuse(said, { did: device.did, topic: `${topic}/senml` }, error, along);
    }
    const doubt = this.#watch(device).judge(records, at);
    return this.submit(device, topic, withQuality(records, worth(quality, doubt)), atMs, along);
  }

  /** What is held of registers here goes with the entries that it came from. */
  readonly forgettable = {
    known: (): number => 0,
    destroy: (): SqlStatement[] => {
      this.#watches.clear();
      return [];
    },
  };

  /** How the registers of a device stood last, from its entries: what was forgotten of it is not known here either. */
  #watch(device: Device): RegisterWatch {
    const known = this.#watches.get(device.did);
    if (known) return known;
    const watch = new RegisterWatch((name) => this.#o.registerOf(device, name));
    for (const { envelope } of this.#o.entries.latestOfDevice(device.id, LOOKED_BACK).reverse()) {
      if (envelope.length === 0) continue;
      const { records, iat } = decodeEnvelope(envelope);
      watch.judge(
        records,
        iat,
        records.some(({ n, vs }) => n === QUALITY && vs?.startsWith('Uncertain')),
      );
    }
    this.#watches.set(device.did, watch);
    return watch;
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

/** Of two reasons to doubt, both. */
const worth = (quality: Quality, doubt: string | undefined): Quality =>
  doubt === undefined ? quality : quality === 'Good' ? `Uncertain: ${doubt}` : `${quality}; ${doubt}`;

/** Cut where it would not end: a reason is a few words. */
const MOST_QUALITY = 500;

const withQuality = (records: readonly SenmlRecord[], quality: Quality): SenmlRecord[] => [
  ...records.filter(({ n }) => n !== QUALITY),
  { n: QUALITY, vs: quality.slice(0, MOST_QUALITY) },
];
