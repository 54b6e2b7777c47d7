/**
 * The client's side of an HDLC link (Green Book clause 8.4, normal response mode): set up with SNRM and UA, APDUs cut to
 * the frames that were agreed on, put together again from the meter's, released with DISC. What is lost or damaged on
 * the way is asked for again: by RR, which tells both sides what the other has, or by the same frame. Pure.
 */
import { ask, type Exchange, type Parser } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import {
  type Control,
  controlOf,
  DEFAULT_LIMITS,
  DISC,
  decodeLimits,
  encodeFrame,
  encodeLimits,
  type Frame,
  FrameScanner,
  iControl,
  type LinkLimits,
  rrControl,
  SNRM,
  sameBytes,
} from './hdlc.ts';

/** LLC of clause 8.3: destination, source, quality; from the client, from the meter. */
const LLC_COMMAND = Uint8Array.of(0xe6, 0xe6, 0x00);
const LLC_RESPONSE = Uint8Array.of(0xe6, 0xe7, 0x00);
/** An APDU of a meter is far below: what does not fit its frames comes in blocks. */
const MAX_APDU = 65_535;
const MAX_FRAMES = 2100;
/** Times that one frame's answer is asked for again, where the line is bad; and where nothing at all comes. */
const TRIES_DAMAGED = 6;
const TRIES_SILENT = 5;
/** Meters leave some time between the frames of one window. */
const SILENCE_MS = 100;
const FRAME_OVERHEAD = 20;

type Heard = { frame: Frame; control: Control };

/** All frames of this meter for us, up to the one that gives us the word back. */
class TurnParser implements Parser<Heard[]> {
  readonly #scanner = new FrameScanner();
  readonly #from: Uint8Array;
  readonly #to: Uint8Array;
  readonly #frames: Heard[] = [];
  heard = 0;
  constructor(from: Uint8Array, to: Uint8Array) {
    this.#from = from;
    this.#to = to;
  }

  get begun(): boolean {
    return this.#scanner.begun || this.#scanner.damaged > 0 || this.#frames.length > 0;
  }

  push(chunk: Uint8Array): Heard[] | undefined {
    this.heard += chunk.length;
    for (const frame of this.#scanner.push(chunk)) {
      if (frame === undefined || !sameBytes(frame.source, this.#from) || !sameBytes(frame.destination, this.#to))
        continue;
      const control = controlOf(frame.control);
      // A telegram that it pushes by itself is no answer.
      if (control.kind === 'UI') continue;
      // Seven frames are the largest window.
      if (this.#frames.length < 8) this.#frames.push({ frame, control });
      if (control.final) return this.#frames;
    }
    return undefined;
  }

  /** Frames without the final one: what there is, the rest is asked for. */
  end(): Heard[] | undefined {
    return this.#frames.length > 0 ? this.#frames : undefined;
  }
}

export class HdlcLink {
  readonly #server: Uint8Array;
  readonly #client: Uint8Array;
  readonly #wanted: number;
  #limits: LinkLimits = DEFAULT_LIMITS;
  /** Numbers of the next frame to send and to receive. */
  #sent = 0;
  #received = 0;

  /**
   * @param server the meter's address, @param client ours, as bytes
   * @param informationBytes that we would take in one frame
   */
  constructor(server: Uint8Array, client: Uint8Array, informationBytes: number) {
    this.#server = server;
    this.#client = client;
    this.#wanted = informationBytes;
  }

  /**
   * @param silentTries a dead meter costs so many timeouts
   * @throws SerialFault exception where the meter does not want to
   */
  *connect(silentTries = 1): Generator<Exchange, void, unknown> {
    const limits = { sendBytes: this.#wanted, receiveBytes: this.#wanted, sendWindow: 1, receiveWindow: 1 };
    const misses = { damaged: 0, silent: TRIES_SILENT + 1 - silentTries };
    for (;;) {
      try {
        const heard = yield* this.#turn(SNRM, encodeLimits(limits), false);
        // What is left of an earlier session may come first.
        const answer = heard.find(({ control }) => control.kind === 'UA' || control.kind === 'DM');
        if (answer?.control.kind === 'DM') throw new SerialFault('exception', 'the meter refuses a connection (DM)');
        if (answer === undefined) throw new SerialFault('corrupt', 'the meter does not answer SNRM with UA');
        const agreed = decodeLimits(answer.frame.information);
        if (agreed === undefined) throw new SerialFault('mismatch', 'the UA frame has parameters that are none');
        this.#limits = { ...agreed, sendBytes: Math.min(agreed.sendBytes, this.#wanted) };
        this.#sent = 0;
        this.#received = 0;
        return;
      } catch (error) {
        miss(misses, error);
      }
    }
  }

  /** Whatever comes of it, the link is gone then. */
  *disconnect(): Generator<Exchange, void, unknown> {
    try {
      yield* this.#turn(DISC, new Uint8Array(), false);
    } catch (error) {
      if (isFault(error, 'away')) throw error;
    }
  }

  /** One APDU there, one back. @param says what it is, for who reads an error. @throws SerialFault */
  *transact(apdu: Uint8Array, says: string): Generator<Exchange, Uint8Array, unknown> {
    try {
      return yield* this.#transact(apdu);
    } catch (error) {
      if (!isFault(error, 'no-answer', 'corrupt')) throw error;
      throw new SerialFault(error.kind, `${says}: ${error.detail}`);
    }
  }

  *#transact(apdu: Uint8Array): Generator<Exchange, Uint8Array, unknown> {
    const bytes = Buffer.concat([LLC_COMMAND, apdu]);
    const size = this.#limits.sendBytes;
    const answer: Uint8Array[] = [];
    let total = 0;
    for (let at = 0; at < bytes.length; at += size) {
      const last = at + size >= bytes.length;
      const frames = yield* this.#send(bytes.subarray(at, at + size), !last);
      if (!last && frames.length > 0) throw new SerialFault('mismatch', 'the meter answers before it has heard all');
      if (last) answer.push(...frames.map(({ frame }) => frame.information));
      let more = frames.at(-1)?.frame.segmented ?? false;
      if (last && frames.length === 0) more = true;
      while (last && more) {
        const next = yield* this.#receive();
        answer.push(...next.map(({ frame }) => frame.information));
        more = next.at(-1)?.frame.segmented ?? false;
        total = answer.reduce((sum, part) => sum + part.length, 0);
        if (total > MAX_APDU || answer.length > MAX_FRAMES)
          throw new SerialFault(
            'mismatch',
            `the meter’s answer is longer than ${MAX_APDU} bytes or ${MAX_FRAMES} frames`,
          );
      }
    }
    const whole = Buffer.concat(answer);
    if (!sameBytes(whole.subarray(0, 3), LLC_RESPONSE))
      throw new SerialFault('mismatch', 'the meter’s answer has no LLC header');
    return Uint8Array.from(whole.subarray(3));
  }

  /** One I frame, until the meter has it. @returns what it said in the same turn: I frames, or none with an RR */
  *#send(information: Uint8Array, segmented: boolean): Generator<Exchange, Heard[], unknown> {
    const next = (this.#sent + 1) & 7;
    const misses = { damaged: 0, silent: 0 };
    let poll = false;
    for (;;) {
      try {
        const heard = poll
          ? yield* this.#turn(rrControl(this.#received), new Uint8Array(), false)
          : yield* this.#turn(iControl(this.#sent, this.#received, true), information, segmented);
        this.#check(heard);
        const fresh = this.#take(heard, next);
        const has = heard.some(
          ({ control }) => (control.kind === 'I' || control.kind === 'RR') && control.received === next,
        );
        if (fresh.length > 0 || has) {
          this.#sent = next;
          return fresh;
        }
        // It has not heard our frame: say it again.
        poll = false;
        miss(misses, new SerialFault('corrupt', 'the meter does not hear what it is asked'));
      } catch (error) {
        miss(misses, error);
        poll = !poll;
      }
    }
  }

  /** What the meter still has to say. */
  *#receive(): Generator<Exchange, Heard[], unknown> {
    const misses = { damaged: 0, silent: 0 };
    for (;;) {
      try {
        const heard = yield* this.#turn(rrControl(this.#received), new Uint8Array(), false);
        this.#check(heard);
        const fresh = this.#take(heard, this.#sent);
        if (fresh.length > 0) return fresh;
        miss(misses, new SerialFault('no-answer', 'the meter has nothing to say'));
      } catch (error) {
        miss(misses, error);
      }
    }
  }

  /** The I frames that continue what we have, in their order. */
  #take(heard: Heard[], acknowledged: number): Heard[] {
    return heard.filter(({ control }) => {
      if (control.kind !== 'I' || control.sent !== this.#received || control.received !== acknowledged) return false;
      this.#received = (this.#received + 1) & 7;
      return true;
    });
  }

  #check(heard: Heard[]): void {
    for (const { control } of heard) {
      if (control.kind === 'DM') throw new SerialFault('exception', 'the meter has ended the link (DM)');
      if (control.kind === 'FRMR') throw new SerialFault('exception', 'the meter rejects our frame (FRMR)');
    }
  }

  *#turn(control: number, information: Uint8Array, segmented: boolean): Generator<Exchange, Heard[], unknown> {
    return yield* ask<Heard[]>({
      send: encodeFrame({ destination: this.#server, source: this.#client, control, segmented, information }),
      parser: new TurnParser(this.#server, this.#client),
      answerBytes: this.#limits.receiveWindow * (this.#limits.receiveBytes + FRAME_OVERHEAD),
      silenceMs: SILENCE_MS,
    });
  }
}

const isFault = (error: unknown, ...kinds: string[]): error is SerialFault =>
  error instanceof SerialFault && kinds.includes(error.kind);

/** @throws the error where it is none of the line, or comes too often */
function miss(misses: { damaged: number; silent: number }, error: unknown): void {
  if (isFault(error, 'corrupt') && ++misses.damaged <= TRIES_DAMAGED) return;
  if (isFault(error, 'no-answer') && ++misses.silent <= TRIES_SILENT) return;
  throw error;
}
