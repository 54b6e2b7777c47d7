/**
 * A device as its firmware sees it: boot (key, journal, a higher epoch), measure, sign, put into the journal, send.
 * Nothing is sent that is not in the journal; nothing leaves the journal without its PUBACK.
 */
import { join } from 'node:path';
import { encodeEnvelope } from '../edge/wire/envelope.ts';
import type { SenmlRecord } from '../edge/wire/senml.ts';
import { makeFolder } from './durable.ts';
import { type Identity, type Kind, type NewIdentity, openIdentity, raiseEpoch } from './identity.ts';
import { Journal } from './journal.ts';
import { makeSigner, type Sign } from './signer.ts';
import { makeStation, type Shared, type Station } from './station.ts';
import { Meter } from './worlds/meter.ts';
import { Plant, plantCapacityW } from './worlds/plant.ts';
import { Vehicle } from './worlds/vehicle.ts';
import type { World } from './worlds/world.ts';

export class Device {
  readonly name: string;
  readonly identity: Identity;
  readonly epoch: number;
  readonly #journal: Journal;
  readonly #world: World;
  readonly #shared: Shared;
  readonly #station: Station;
  readonly #sign: Sign;
  readonly #waiting: (() => void)[] = [];
  #seq = 0;

  /**
   * Boot. What its world has measured before is in the buffer then.
   * @param folder the device's own; @param nowMs simulated; @param world of it, from what the last boot has saved
   * @throws where the disk does not take what was measured before
   */
  constructor(
    folder: string,
    fresh: NewIdentity,
    shared: Shared,
    nowMs: number,
    world = (identity: Identity, saved: string): World => makeWorld(identity, fresh.runSeed, saved, nowMs),
  ) {
    makeFolder(folder);
    this.name = fresh.name;
    this.#shared = shared;
    this.identity = openIdentity(folder, fresh);
    this.#sign = makeSigner(this.identity);
    this.#journal = new Journal(join(folder, 'journal'), shared.bufferCap, shared.report);
    // The journal's epochs count as well, so that an epoch file put back from a backup does no harm here.
    this.epoch = raiseEpoch(folder, this.#journal.highestEpoch);
    this.#world = world(this.identity, this.#journal.state);
    this.#station = makeStation(shared, {
      did: this.did,
      sign: this.#sign,
      buffer: this.#journal,
      onAcked: () => {
        if (this.buffered === 0) for (const tell of this.#waiting.splice(0)) tell();
      },
    });
    for (const { iat, records } of this.#world.due?.() ?? []) this.#put(iat, records);
  }

  get did(): string {
    return this.identity.did;
  }

  /**
   * Envelopes that are held and were on a socket. Firmware forgets this in a power cut; the simulator remembers it
   * over one, so that its counts tell a first sending from another.
   */
  get sent(): ReadonlySet<string> {
    return new Set(Array.from(this.#journal.items, (item) => (item.sends > 0 ? `${item.epoch}/${item.seq}` : '')));
  }

  remember(sent: ReadonlySet<string>): void {
    for (const item of this.#journal.items) if (sent.has(`${item.epoch}/${item.seq}`)) item.sends = 1;
  }

  get buffered(): number {
    return this.#journal.items.size;
  }

  /** Resolves when all that it holds is acknowledged. */
  async drained(): Promise<void> {
    if (this.buffered > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get isUp(): boolean {
    return this.#station.connection.isUp;
  }

  /**
   * Measure once, at a simulated time.
   * @param iat Unix seconds that it is stamped with; the real ones where the sun is not
   * @returns false where the reading could not be kept, and so was not made
   */
  sample(ms: number, iat = Math.floor(Date.now() / 1000)): boolean {
    // The world goes on in any case: a register shows later what was not sampled now.
    const records = this.#world.sample(ms);
    const { tally } = this.#shared;
    if (this.#journal.full) {
      // At the cap the newest is not taken, rather than the oldest lost: what is owed to somebody is old.
      tally.missed++;
      return false;
    }
    try {
      for (const due of this.#world.due?.() ?? []) this.#put(due.iat, due.records);
      this.#put(iat, records);
    } catch (error) {
      tally.missed++;
      this.#shared.report(`${this.name}: not kept: ${(error as Error).message}`);
      return false;
    }
    this.#station.outbox.pump();
    return true;
  }

  /** Sign it, and into the journal. @throws where the disk does not take it */
  #put(iat: number, records: readonly SenmlRecord[]): void {
    const { did, sub } = this.identity;
    // A counter is used up even where the write fails: the record may be on the disk all the same.
    const claims = { iss: did, sub, iat, epoch: this.epoch, seq: this.#seq++ };
    this.#journal.append(claims.epoch, claims.seq, encodeEnvelope(claims, records, this.#sign), this.#world.state());
  }

  goOnline(): void {
    this.#station.connection.start();
  }

  goOffline(): void {
    this.#station.connection.cut();
  }

  /** What a power cut leaves: the folder. */
  kill(): void {
    this.#station.connection.cut();
    this.#journal.close();
  }

  async stop(): Promise<void> {
    await this.#station.connection.stop();
    this.#journal.close();
  }
}

function makeWorld({ kind, seed }: Identity, weather: number, saved: string, nowMs: number): World {
  switch (kind) {
    case 'meter':
      return new Meter({ weather, seed, saved, nowMs });
    case 'plant':
      return new Plant({ weather, seed, saved, nowMs });
    case 'vehicle':
      return new Vehicle({ seed, saved, nowMs });
    case 'storage':
      throw new Error('a storage plant has no world of its own: worlds/credit-plant.ts');
  }
}

/** What enrolment wants to know of a device. */
export type Enrolment = {
  did: string;
  kind: Kind;
  custody: 'device';
  sub: string;
  /** An account on the chain, `0x` and 40 hexadecimal digits, or a text for people. */
  owner?: string;
  capacityW?: number;
  energySource?: string;
  /** Where its billed register begins anew, in Wh. */
  registerModulusWh?: number;
  label: string;
};

export const enrolmentOf = ({ did, kind, sub, seed }: Identity, label: string): Enrolment => ({
  did,
  kind,
  custody: 'device',
  sub,
  ...(kind === 'plant' ? { capacityW: plantCapacityW(seed), energySource: 'solar' } : {}),
  label,
});
