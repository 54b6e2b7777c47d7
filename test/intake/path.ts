/** The accept path over a real store, without a broker or a chain around it, and devices to feed it. */
import { createHash, type KeyObject, sign } from 'node:crypto';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Caps } from '../../edge/caps.ts';
import { Accept, type AcceptOptions, type Outcome } from '../../edge/intake/accept.ts';
import { startClock } from '../../edge/intake/clock.ts';
import { Custodian } from '../../edge/intake/custody.ts';
import { Sealing } from '../../edge/intake/sealing.ts';
import { endings } from '../../edge/intake/standing.ts';
import { Log } from '../../edge/log/log.ts';
import { loadProfiles } from '../../edge/profiles/load.ts';
import { GATEWAY_KIND } from '../../edge/profiles/profile.ts';
import { registerOf } from '../../edge/profiles/watch.ts';
import { type Custody, type Device, Devices } from '../../edge/store/devices.ts';
import { Entries } from '../../edge/store/entries.ts';
import { Gaps } from '../../edge/store/gaps.ts';
import { Quarantine, type QuarantineRow } from '../../edge/store/quarantine.ts';
import { Store, setMeta } from '../../edge/store/store.ts';
import { keyPair } from '../../edge/tokens.ts';
import { didFromPublicKey } from '../../edge/wire/did.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { type WholeTruth, wholeTruth } from '../support/whole-truth.ts';

const profiles = loadProfiles();
const check: AcceptOptions['check'] = ({ kind }, records) => profiles.check(kind, records);

const seedOf = (name: string): Uint8Array => new Uint8Array(createHash('sha256').update(`test ${name}`).digest());

/** A device, seen from its own side: key, counter, and what it says. */
export class Meter {
  readonly did: string;
  readonly sub: string;
  readonly kind: string;
  readonly privateKey: KeyObject;
  epoch = 1;
  seq = 0;

  constructor(name: string, kind = 'meter') {
    const seed = seedOf(`meter ${name}`);
    const publicKey = publicKeyOf(seed);
    this.did = didFromPublicKey(publicKey);
    this.sub = `urn:sejong:mp:${name}`;
    this.kind = kind;
    this.privateKey = keyPair(seed, publicKey).privateKey;
  }

  sign = (bytes: Uint8Array): Uint8Array => new Uint8Array(sign(null, bytes, this.privateKey));

  /** The next envelope; `over` changes what it claims. */
  envelope(
    over: {
      epoch?: number;
      seq?: number;
      iss?: string;
      sub?: string;
      wh?: number;
      records?: SenmlRecord[];
      sign?: (bytes: Uint8Array) => Uint8Array;
    } = {},
  ): Uint8Array {
    const { epoch = this.epoch, seq = this.seq++, iss = this.did, sub = this.sub, wh = 1_000 + seq } = over;
    const records = over.records ?? [{ n: '1-0:1.8.0', u: 'Wh', v: wh }];
    return encodeEnvelope({ iss, sub, iat: 1_790_000_000, epoch, seq }, records, over.sign ?? this.sign);
  }

  get topic(): string {
    return `up/${this.did}/cose`;
  }
}

export class Path {
  readonly folder: string;
  readonly store: Store;
  readonly log: Log;
  readonly devices: Devices;
  readonly entries: Entries;
  readonly quarantine: Quarantine;
  readonly accept: Accept;
  readonly custodian: Custodian;
  readonly #heldKeys: Map<string, KeyObject>;
  #closed: Promise<void> | undefined;

  private constructor(folder: string, store: Store, log: Log, over: Partial<AcceptOptions>, keys: Path['heldKeys']) {
    this.folder = folder;
    this.store = store;
    this.log = log;
    this.#heldKeys = keys;
    const gateway = new Meter('gateway');
    this.entries = new Entries(store);
    this.devices = new Devices(store);
    this.devices.start();
    this.quarantine = new Quarantine(store);
    this.quarantine.start();
    this.accept = new Accept({
      log,
      entries: this.entries,
      devices: this.devices,
      quarantine: this.quarantine,
      gaps: new Gaps(store),
      voice: {
        did: gateway.did,
        boot: store.boot,
        sign: gateway.sign,
      },
      sealing: new Sealing({
        did: gateway.did,
        privateKey: gateway.privateKey,
        isSealed: (kind) => profiles.isSealed(kind),
        devices: this.devices,
      }),
      check,
      disk: { room: Number.POSITIVE_INFINITY, give: () => undefined },
      alarm: () => undefined,
      onDiskFull: () => undefined,
      now: startClock({ source: 'synced' }),
      caps: new Caps(),
      registered: () => undefined,
      backlog: { acceptBacklogAfterRevocation: false, backlogMaxAgeSeconds: 604_800 },
      maxPendingBytes: 16_777_216,
      maxPendingBytesPerDevice: 16_777_216,
      maxQuarantinePerDevice: 1_000,
      maxQuarantine: 100_000,
      ...over,
    });
    this.custodian = new Custodian({
      accept: this.accept,
      devices: this.devices,
      entries: this.entries,
      boot: store.boot,
      check,
      registerOf: (device, name) => {
        const value = profiles.valueOf(device.kind, name);
        return value && registerOf(value, device);
      },
      endings: (device) => endings(device, undefined, { receivedMs: 0, monoMs: 0, clockSynced: false }),
      privateKeyOf: (did) => {
        const key = keys.get(did);
        if (!key) throw new Error(`no key of ${did}`);
        return key;
      },
    });
  }

  /** Keys that the gateway holds for others; give them to the next {@link open} of the same folder. */
  get heldKeys(): Map<string, KeyObject> {
    return this.#heldKeys;
  }

  static async open(
    folder: string,
    over: Partial<AcceptOptions> = {},
    keys = new Map<string, KeyObject>(),
    maxBytes = 0,
  ): Promise<Path> {
    const store = await Store.open(join(folder, 'edge.db'), { maxBytes });
    const secret = seedOf('log');
    const origin = 'test.example/log';
    const log = new Log(store, { origin, publicKey: publicKeyOf(secret), sign: (m) => signEd25519(m, secret) });
    log.start();
    const gateway = new Meter('gateway');
    keys.set(gateway.did, gateway.privateKey);
    await store.write({ statements: [setMeta('origin', origin), setMeta('did', gateway.did)] });
    const path = new Path(folder, store, log, over, keys);
    onTestFinished(() => path.close());
    if (log.size === 0) {
      const { did, sub } = gateway;
      const self = await path.devices.enrol({ did, kind: GATEWAY_KIND, custody: 'gateway', sub }, 1);
      await path.custodian.submit(self, 'genesis', [
        { n: 'origin', vs: origin },
        { n: 'log-key', vs: log.verifierKey },
      ]);
    }
    return path;
  }

  async enrol(meter: Meter, custody: Custody = 'device'): Promise<Device> {
    const { did, kind, sub } = meter;
    if (custody === 'gateway') this.#heldKeys.set(did, meter.privateKey);
    return this.devices.enrol({ did, kind, sub, custody }, Date.now());
  }

  offer(meter: Meter, envelope = meter.envelope()): Promise<Outcome> {
    return this.accept.offer(envelope, { did: meter.did, topic: meter.topic });
  }

  /** What lies in quarantine, oldest first. */
  held(): QuarantineRow[] {
    return this.quarantine.list(1_000, Number.MAX_SAFE_INTEGER).reverse();
  }

  /** Each such write into this table now fails in SQLite itself, until mended. */
  async breakTable(table: 'entries' | 'quarantine' | 'counters'): Promise<() => Promise<void>> {
    const run = (sql: string): Promise<void> => this.store.write({ statements: [{ sql, params: [] }] });
    await run(`CREATE TRIGGER broken BEFORE INSERT ON ${table} BEGIN SELECT raise(ABORT, 'disk on fire'); END`);
    return () => run('DROP TRIGGER broken');
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.accept.idle();
    await this.log.makeCheckpoint(Date.now());
    await this.store.close();
  }

  /** Closes, and opens what was left behind, as after a restart. */
  async reopen(over: Partial<AcceptOptions> = {}): Promise<Path> {
    await this.close();
    return Path.open(this.folder, over, this.#heldKeys);
  }

  /** Closes, and checks everything that was promised. */
  async finish(options?: { verifyOneIn?: number }): Promise<WholeTruth> {
    await this.close();
    return wholeTruth(this.folder, options);
  }
}
