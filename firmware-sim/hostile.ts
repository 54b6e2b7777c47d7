/**
 * Devices that do wrong. Each is enrolled, holds its key and logs in as itself, so what it sends gets as far as an
 * attacker inside can get; each does one wrong thing, for which the gateway has one code:
 *
 *   replay      REPLAY             firmware put back from a backup: signs with the boot epoch before its last one
 *   forged      SIGNATURE_INVALID  signed by another key than iss names; or a byte of the payload changed afterwards
 *   equivocate  EQUIVOCATION       two different readings, validly signed, under one counter
 *   flood       none               valid envelopes, as many as the socket takes
 *
 * (Sending the very bytes of an entry again is no attack: it is a resend, and gets the same index back.)
 */
import { decodeEnvelope, encodeEnvelope } from '../edge/wire/envelope.ts';
import { MemoryBuffer } from './buffer.ts';
import { makeFolder } from './durable.ts';
import { type Identity, type NewIdentity, openIdentity, raiseEpoch } from './identity.ts';
import { LoadDevice } from './load.ts';
import { makeSigner, newSecretKey } from './signer.ts';
import { makeStation, type Shared, type Station } from './station.ts';

export const HOSTILE = ['forged', 'replay', 'equivocate', 'flood'] as const;
export type HostileKind = (typeof HOSTILE)[number];

/** Acts of one device in one run: a gateway keeps what it refuses, and this is a test of it, not of its disk. */
const MAX_ACTS = 500;
/** Envelopes that may wait for their PUBACK; while as many wait, the device does nothing new. */
const MAX_WAITING = 16;
const FLOOD_WINDOW = 256;
/** The restored firmware of `replay` counts on from here, far from any counter that was ever used. */
const RESTORED_SEQ = 1_000_000;

export class HostileDevice {
  readonly kind: HostileKind;
  readonly identity: Identity;
  /** Envelopes made so far that the gateway must refuse. */
  bad = 0;
  readonly #epoch: number;
  readonly #buffer = new MemoryBuffer(MAX_WAITING);
  readonly #station: Station;
  readonly #flood: LoadDevice | undefined;
  #acts = 0;
  #seq = 0;

  /** @param shared with a tally that is not the honest devices' */
  constructor(kind: HostileKind, folder: string, fresh: NewIdentity, shared: Shared) {
    this.kind = kind;
    makeFolder(folder);
    this.identity = openIdentity(folder, fresh);
    // The one before is the backup of `replay`: an epoch that was passed and never used.
    raiseEpoch(folder, 0);
    this.#epoch = raiseEpoch(folder, 0);
    const { did, keyType, secretKey, sub } = this.identity;
    this.#station = makeStation(shared, { did, sign: makeSigner(this.identity), buffer: this.#buffer });
    if (kind === 'flood')
      this.#flood = new LoadDevice(
        { keyType, secretKey, sub, epoch: this.#epoch, pack: 1, window: FLOOD_WINDOW, greedy: true },
        shared,
      );
  }

  get isUp(): boolean {
    return this.#flood?.isUp ?? this.#station.connection.isUp;
  }

  start(): void {
    if (this.#flood) this.#flood.start();
    else this.#station.connection.start();
  }

  /** Do it once more. A flood needs no telling. */
  act(): void {
    if (this.#flood || this.#buffer.full || this.#acts >= MAX_ACTS) return;
    this.#acts++;
    if (this.kind === 'forged') this.#forge();
    else if (this.kind === 'replay') this.#replay();
    else this.#equivocate();
    this.#station.outbox.pump();
  }

  finish(): void {
    this.#flood?.finish();
  }

  async stop(): Promise<void> {
    await (this.#flood ?? this.#station.connection).stop();
  }

  #forge(): void {
    const seq = this.#seq++;
    const other = newSecretKey(this.identity.keyType, `not ${this.identity.did}`);
    if (seq % 2 === 0) this.#put(this.#epoch, seq, this.#sign(this.#epoch, seq, other), true);
    else this.#put(this.#epoch, seq, changePayload(this.#sign(this.#epoch, seq)), true);
  }

  #replay(): void {
    // What was sent before the backup was put back: the log must know of the later epoch first.
    if (this.#seq === 0) {
      this.#seq++;
      this.#put(this.#epoch, 0, this.#sign(this.#epoch, 0), false);
    } else if (this.#buffer.items.size === 0) {
      const seq = RESTORED_SEQ + this.#seq++;
      this.#put(this.#epoch - 1, seq, this.#sign(this.#epoch - 1, seq), true);
    }
  }

  #equivocate(): void {
    const seq = this.#seq++;
    this.#put(this.#epoch, seq, this.#sign(this.#epoch, seq), false);
    this.#put(this.#epoch, seq, this.#sign(this.#epoch, seq, this.identity.secretKey, 1000), true);
  }

  #sign(epoch: number, seq: number, secretKey = this.identity.secretKey, more = 0): Uint8Array {
    const { did, keyType, sub } = this.identity;
    const wh = 5_000_000 + this.#acts * 10 + more;
    return encodeEnvelope(
      { iss: did, sub, iat: Math.floor(Date.now() / 1000), epoch, seq },
      [
        { n: '1-0:1.8.0', u: 'Wh', v: wh },
        { n: '1-0:2.8.0', u: 'Wh', v: 0 },
        { n: '1-0:16.7.0', u: 'W', v: 400 },
      ],
      makeSigner({ keyType, secretKey }),
    );
  }

  #put(epoch: number, seq: number, bytes: Uint8Array, bad: boolean): void {
    this.#buffer.append(epoch, seq, bytes);
    if (bad) this.bad++;
  }
}

/** One bit of the payload changed so that it still decodes: only the signature can tell. */
export function changePayload(envelope: Uint8Array): Uint8Array {
  const before = decodeEnvelope(envelope);
  const payloadEnd = envelope.length - 66; // 2 + 64 bytes of signature
  for (let i = payloadEnd - 1; i >= payloadEnd - before.payload.length; i--) {
    const changed = envelope.slice();
    changed[i] = (changed[i] as number) ^ 1;
    try {
      decodeEnvelope(changed);
      return changed;
    } catch {
      // not here: this bit holds the form together
    }
  }
  throw new Error('every bit of the payload holds its form together');
}
