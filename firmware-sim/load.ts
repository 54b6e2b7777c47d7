/**
 * Load: many devices, little of each. They share one boot epoch and derive their keys from one secret, sign with
 * node:crypto, and keep in memory only what is not acknowledged yet. A kill of the simulator loses those (at most
 * `cap` per device); they were promised to nobody.
 */
import { join } from 'node:path';
import type { KeyType } from '../edge/wire/keys.ts';
import { MemoryBuffer } from './buffer.ts';
import type { Enrolment } from './device.ts';
import { makeFolder, readIfThere, writeDurably } from './durable.ts';
import { keySeed, raiseEpoch, subject } from './identity.ts';
import { noiseAt, seedOf } from './random.ts';
import { didOf, fastSigner, newSecretKey, type SecretKey, type Sign } from './signer.ts';
import { makeStation, type Shared, type Station } from './station.ts';
import { Template } from './template.ts';

/** How far a register goes on per envelope, in Wh. */
const STEP_WH = 7;

export type LoadDeviceOptions = SecretKey & {
  sub: string;
  epoch: number;
  pack: number;
  window: number;
  /** Keep the window full instead of waiting to be told. */
  greedy: boolean;
};

export class LoadDevice {
  readonly did: string;
  readonly sub: string;
  readonly #shared: Shared;
  readonly #epoch: number;
  readonly #sign: Sign;
  readonly #template: Template;
  readonly #buffer: MemoryBuffer;
  readonly #station: Station;
  readonly #window: number;
  readonly #greedy: boolean;
  readonly #register: number;
  #seq = 0;
  #running = false;

  constructor(options: LoadDeviceOptions, shared: Shared) {
    const { sub, epoch, pack, window, greedy } = options;
    this.did = didOf(options);
    this.sub = sub;
    this.#shared = shared;
    this.#epoch = epoch;
    this.#sign = fastSigner(options);
    this.#template = new Template(this.did, sub, pack);
    this.#window = window;
    this.#greedy = greedy;
    // Load is not physics: these registers are not kept, and begin elsewhere at each boot.
    this.#register = 1_000_000 + epoch * 1_000_000 + Math.floor(900_000 * noiseAt(seedOf(sub), 0));
    this.#buffer = new MemoryBuffer(Math.max(64, 4 * window));
    this.#station = makeStation(shared, {
      did: this.did,
      sign: this.#sign,
      buffer: this.#buffer,
      window,
      onAcked: () => this.#refill(),
    });
  }

  get buffered(): number {
    return this.#buffer.items.size;
  }

  get isUp(): boolean {
    return this.#station.connection.isUp;
  }

  /** Sign into the buffer before there is a connection; the cap does not hold for these. */
  presign(): void {
    const { epoch, seq, bytes } = this.#make();
    this.#buffer.append(epoch, seq, bytes);
  }

  /** @returns false where the buffer is full; then no counter was used */
  produce(): boolean {
    if (this.#buffer.full) {
      this.#shared.tally.missed++;
      return false;
    }
    this.presign();
    this.#station.outbox.pump();
    return true;
  }

  start(): void {
    this.#running = true;
    this.#station.connection.start();
    this.#refill();
  }

  /** No more envelopes; those that are held still go. */
  finish(): void {
    this.#running = false;
  }

  async stop(): Promise<void> {
    this.finish();
    await this.#station.connection.stop();
  }

  #refill(): void {
    if (!this.#greedy || !this.#running) return;
    let made = false;
    for (; this.#buffer.items.size < this.#window; made = true) this.presign();
    if (made) this.#station.outbox.pump();
  }

  #make(): { epoch: number; seq: number; bytes: Uint8Array } {
    const seq = this.#seq++;
    const iat = Math.floor(Date.now() / 1000);
    const register = (this.#register + seq * STEP_WH) % 0x100000000;
    return {
      epoch: this.#epoch,
      seq,
      bytes: this.#template.fill(iat, this.#epoch, seq, register, STEP_WH, this.#sign),
    };
  }
}

export type FleetOptions = {
  devices: number;
  rate: number;
  pack: number;
  presign: number;
  seed: number;
  seeded: boolean;
  /** The type of the key of the ith device, from 0. */
  keyType: (i: number) => KeyType;
};

const TICK_MS = 10;

export class Fleet {
  readonly devices: LoadDevice[];
  readonly #rate: number;
  #timer: NodeJS.Timeout | undefined;

  /** @param folder holds the fleet's secret and its epoch */
  constructor(folder: string, options: FleetOptions, shared: Shared) {
    const { devices, rate, pack, presign, seed, seeded, keyType } = options;
    makeFolder(folder);
    const secret = openSecret(folder, newSecretKey('Ed25519', seeded ? keySeed(seed, 'fleet') : undefined));
    const epoch = raiseEpoch(folder, 0);
    this.#rate = rate;
    this.devices = Array.from(
      { length: devices },
      (_, i) =>
        new LoadDevice(
          {
            keyType: keyType(i),
            secretKey: newSecretKey(keyType(i), `${secret}\n${i}`),
            sub: subject('meter', seedOf('fleet', secret), i),
            epoch,
            pack,
            window: shared.window,
            greedy: rate === 0,
          },
          shared,
        ),
    );
    for (let i = 0; i < presign; i++) this.devices[i % devices]?.presign();
  }

  start(): void {
    for (const device of this.devices) device.start();
    if (this.#rate === 0) return;
    const begun = performance.now();
    let made = 0;
    let turn = 0;
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - begun) / 1000) * this.#rate);
      // After a pause of this process the backlog is not made up for: a rate is a rate.
      made = Math.max(made, due - Math.ceil(this.#rate / 5));
      for (; made < due; made++) this.devices[turn++ % this.devices.length]?.produce();
    }, TICK_MS);
  }

  finish(): void {
    clearInterval(this.#timer);
    for (const device of this.devices) device.finish();
  }

  enrolments(): Enrolment[] {
    return this.devices.map(({ did, sub }, i) => ({
      did,
      kind: 'meter',
      custody: 'device',
      sub,
      label: `Load ${i + 1}`,
    }));
  }
}

function openSecret(folder: string, fresh: Uint8Array): string {
  const path = join(folder, 'secret');
  const text = readIfThere(path);
  if (text === undefined) {
    const made = Buffer.from(fresh).toString('hex');
    writeDurably(path, `${made}\n`, 0o600);
    return made;
  }
  if (!/^[0-9a-f]{64}\n$/.test(text)) throw new Error(`${path} does not hold the secret of a fleet`);
  return text.trim();
}
