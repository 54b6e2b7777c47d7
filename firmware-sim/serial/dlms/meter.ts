/**
 * A DLMS/COSEM meter on a serial line, as firmware behaves: HDLC with addresses of any length, low security, suite 0,
 * GET one by one, in lists and in blocks, a load profile with selective access. It is only read.
 */
import type { Say, WireStation } from '../station.ts';
import {
  array,
  chars,
  dateTime,
  decipher,
  encipher,
  i16,
  type MeterKeys,
  obis,
  octets,
  proof,
  scalerUnit,
  secondsOf,
  sized,
  structure,
  u16,
  u32,
  u64,
  word,
} from './cosem.ts';
import { Ear, split } from './frames.ts';
import { MeterLink } from './link.ts';
import { type MeterOptions, Registers } from './registers.ts';

export type DlmsMeterOptions = MeterOptions & {
  /** Logical device, and physical device. By the first alone it answers to whoever asks for it alone. */
  logical: number;
  physical?: number;
  /** Of low security. Without it anyone may read. */
  password?: string;
  /** With them nothing is told in plain. */
  keys?: MeterKeys;
  /** It wants high security with GMAC, and its proof. */
  high?: boolean;
  /** 8 bytes. */
  systemTitle?: readonly number[];
  /** Minutes from local time to UTC; `null` says that it is not specified. Default -540, Korean time. */
  deviation?: number | null;
  informationBytes?: number;
  window?: number;
  /** Longer answers come in blocks of this. */
  blockBytes?: number;
  withList?: boolean;
  selective?: boolean;
};

/** What goes wrong in this meter. All may be changed while it runs. */
export type DlmsFaults = {
  silent: boolean;
  /** Objects that this client may not see. */
  denied: Set<string>;
  /** Says each message with the counter that it said the first with. */
  replays: boolean;
  /** Proves something else than that it has the keys. */
  forgesProof: boolean;
  clockStatus: number;
  /** So many more of its answers are lost. */
  loseAnswers: number;
};

export class DlmsMeter implements WireStation {
  readonly registers: Registers;
  readonly faults: DlmsFaults = {
    silent: false,
    denied: new Set(),
    replays: false,
    forgesProof: false,
    clockStatus: 0,
    loseAnswers: 0,
  };
  /** May be changed, as by who came to the meter. */
  password: string | undefined;
  keys: MeterKeys | undefined;
  /** Where it answers, tags of requests in plain: what was asked. */
  onRequest: ((tag: number) => void) | undefined;
  readonly #options: DlmsMeterOptions;
  readonly #ear = new Ear();
  readonly #link: MeterLink;
  readonly #title: readonly number[];
  #client: { ciphered: boolean; title: number[] } | undefined;
  /** Both challenges, until the client has proved itself. */
  #challenges: { theirs: number[]; mine: number[] } | undefined;
  #served = 0;
  #blocks: number[][] = [];
  #say: Say | undefined;

  constructor(options: DlmsMeterOptions) {
    this.#options = options;
    this.registers = new Registers(options);
    this.password = options.password;
    this.keys = options.keys;
    this.#title = options.systemTitle ?? [0x53, 0x4a, 0x54, 0, 0, 0, 0, options.logical & 255];
    this.#link = new MeterLink({
      informationBytes: options.informationBytes ?? 128,
      window: options.window ?? 1,
      answer: (message) => [0xe6, 0xe7, 0, ...this.#answer(message.slice(3))],
      onReset: () => {
        this.#client = undefined;
      },
    });
  }

  plug(say: Say): void {
    this.#say = say;
  }
  unplug(): void {
    this.#say = undefined;
  }
  silence(): void {
    this.#ear.silence();
  }
  /** As a meter does whose client was idle for too long. */
  dropLink(): void {
    this.#link.drop();
  }

  hear(chunk: Uint8Array): void {
    for (const frame of this.#ear.push(chunk)) {
      const { upper, lower } = split(frame.to);
      const { logical, physical = 0 } = this.#options;
      const mine = upper === logical && (lower === undefined || lower === physical);
      if (!mine || this.faults.silent) continue;
      const answer = this.#link.frame(frame);
      if (this.faults.loseAnswers > 0) {
        this.faults.loseAnswers--;
        continue;
      }
      this.#say?.(Uint8Array.from(answer));
    }
  }

  // --- association -----------------------------------------------------------------------------------------------------

  #answer(apdu: number[]): number[] {
    if (apdu[0] === 0x60) return this.#associate(apdu);
    if (this.#client === undefined) return [0xd8, 1, 1];
    if (!this.#client.ciphered) return this.#get(apdu);
    const keys = this.keys as MeterKeys;
    if (apdu[0] !== (this.#challenges ? 0xcb : 0xc8)) return [0xd8, 1, 1];
    const opened = this.#opened(keys, this.#client.title, unsized(apdu.slice(1)));
    if (opened === 'forged') return [0xd8, 2, 5];
    if (typeof opened === 'number') return [0xd8, 2, 6, ...word(opened)];
    const counter = this.faults.replays ? this.registers.counter : this.registers.nextCounter();
    const plain = this.#challenges ? this.#proved(keys, opened) : this.#get(opened);
    return [apdu[0] + 4, ...sized(encipher(keys, this.#title, counter, plain))];
  }

  /** Plain, or what is wrong: the counter that it should be above. */
  #opened(keys: MeterKeys, title: number[], bytes: number[]): number[] | number | 'forged' {
    const opened = decipher(keys, title, bytes);
    if (opened === undefined) return 'forged';
    const name = title.join();
    const last = this.registers.clients.get(name) ?? -1;
    if (opened.counter <= last) return last;
    this.registers.clients.set(name, opened.counter);
    this.registers.keep();
    return opened.plain;
  }

  /** Pass 3 and 4: the client's proof over our challenge, ours over its own. */
  #proved(keys: MeterKeys, apdu: number[]): number[] {
    const { theirs, mine } = this.#challenges as { theirs: number[]; mine: number[] };
    const said = apdu.slice(-17);
    const counter = Buffer.from(said.slice(1, 5)).readUInt32BE();
    const right = proof(keys, this.#client?.title ?? [], counter, mine).join() === said.join();
    if (apdu[0] !== 0xc3 || !right) return [0xc7, 1, apdu[2] as number, 3, 0];
    this.#challenges = undefined;
    const own = proof(keys, this.#title, this.registers.nextCounter(), this.faults.forgesProof ? mine : theirs);
    return [0xc7, 1, apdu[2] as number, 0, 1, 0, ...octets(own)];
  }

  #associate(apdu: number[]): number[] {
    const items = new Map<number, number[]>();
    for (let at = 2; at < apdu.length; ) {
      const length = apdu[at + 1] as number;
      items.set(apdu[at] as number, apdu.slice(at + 2, at + 2 + length));
      at += 2 + length;
    }
    const wantsCiphering = items.get(0xa1)?.at(-1) === 3;
    const refuse = (why: number) => aare(1, why, wantsCiphering, [0x0e, 1, 6, 0]);
    if (wantsCiphering !== (this.keys !== undefined)) return refuse(2);
    if (this.password !== undefined) {
      const said = items.get(0xac);
      if (said === undefined) return refuse(12);
      if (Buffer.from(said.slice(2)).toString('latin1') !== this.password) return refuse(13);
    }
    let initiate = items.get(0xbe)?.slice(2) ?? [];
    const title = items.get(0xa6)?.slice(2) ?? [];
    if (this.keys) {
      if (initiate[0] !== 0x21) return refuse(1);
      const opened = this.#opened(this.keys, title, unsized(initiate.slice(1)));
      if (opened === 'forged') return [0xd8, 2, 5];
      if (typeof opened === 'number') return [0xd8, 2, 6, ...word(opened)];
      initiate = opened;
    }
    if (initiate[0] !== 1) return refuse(1);
    this.#client = { ciphered: this.keys !== undefined, title };
    this.#challenges = undefined;
    if (this.#options.high) {
      if (items.get(0x8b)?.at(-1) !== 5) return refuse(12);
      const mine = [...Buffer.from(`challenge ${this.#options.seed} ${this.#served++}`)];
      this.#challenges = { theirs: items.get(0xac)?.slice(2) ?? [], mine };
    }
    // get, and what it can beside: bits 11, 14, 19, 21 of the conformance block.
    const more = 0x10 | (this.#options.withList === false ? 0 : 0x02);
    const conformance = [0, more, 0x10 | (this.#options.selective === false ? 0 : 0x04)];
    const plain = [8, 0, 6, 0x5f, 0x1f, 4, 0, ...conformance, 4, 0, 0, 7];
    if (!this.keys) return aare(0, 0, false, plain);
    const counter = this.registers.nextCounter();
    return aare(
      0,
      this.#challenges ? 14 : 0,
      true,
      [0x28, ...sized(encipher(this.keys, this.#title, counter, plain))],
      this.#title,
      this.#challenges?.mine,
    );
  }

  // --- GET -------------------------------------------------------------------------------------------------------------

  #get(apdu: number[]): number[] {
    this.onRequest?.(apdu[0] as number);
    const [tag, kind, invoke = 0] = apdu;
    if (tag !== 0xc0) return [0xd8, 2, 2];
    const head = (type: number) => [0xc4, type, invoke];
    this.registers.keep();
    if (kind === 2) {
      const number = Buffer.from(apdu.slice(3, 7)).readUInt32BE();
      return this.#block(head(2), number + 1);
    }
    if (kind === 3) {
      const list: number[][] = [];
      for (let at = 4; at < apdu.length; at += 10) list.push(apdu.slice(at, at + 10));
      const results = list.map((asked) => this.#read(asked));
      return this.#long(head(3), [list.length, ...results.flat()], head(2));
    }
    const result = this.#read(apdu.slice(3));
    if (result[0] !== 0) return [...head(1), ...result];
    return this.#long([...head(1), 0], result.slice(1), head(2));
  }

  #long(head: number[], bytes: number[], blockHead: number[]): number[] {
    const size = this.#options.blockBytes ?? 800;
    if (bytes.length <= size) return [...head, ...bytes];
    this.#blocks = [];
    for (let at = 0; at < bytes.length; at += size) this.#blocks.push(bytes.slice(at, at + size));
    return this.#block(blockHead, 1);
  }

  #block(head: number[], number: number): number[] {
    const block = this.#blocks[number - 1];
    if (block === undefined) return [...head, 1, ...word(number), 1, 19];
    return [...head, Number(number === this.#blocks.length), ...word(number), 0, ...sized(block)];
  }

  /** @param asked class 2, OBIS 6, attribute 1, and a selection @returns 0 and data, or 1 and why not */
  #read(asked: number[]): number[] {
    const classId = (asked[0] as number) * 256 + (asked[1] as number);
    const name = asked.slice(2, 8).join('.');
    const attribute = asked[8] as number;
    const code = `${asked[2]}-${asked[3]}:${asked[4]}.${asked[5]}.${asked[6]}`;
    if (this.faults.denied.has(code)) return [1, 3];
    const { registers } = this;
    const of = (...attributes: (number[] | undefined)[]): number[] => {
      const data = attributes[attribute - 2];
      return data === undefined ? [1, 4] : [0, ...data];
    };
    const { deviation = -540 } = this.#options;
    const time = (t: number) => octets(dateTime(t, deviation ?? undefined, this.faults.clockStatus));
    switch (`${classId} ${name}`) {
      case '1 0.0.42.0.0.255':
        return of(chars(`SJT${this.#options.seed.toString().padStart(10, '0')}${this.#options.logical}`));
      case '8 0.0.1.0.0.255':
        return of(time(registers.t));
      case '3 1.0.1.8.0.255':
        return of(u64(BigInt(registers.wh)), scalerUnit(0, 30));
      case '3 1.0.16.7.0.255':
        return of(u32(registers.watts), scalerUnit(0, 27));
      case '3 1.0.32.7.0.255':
        return of(u16(registers.decivolts), scalerUnit(-1, 35));
      case '3 1.0.31.7.0.255':
        return of(i16(Math.round((registers.watts / registers.decivolts) * 1000)), scalerUnit(-2, 33));
      case '4 1.0.1.6.0.255':
        return of(u32(registers.watts), scalerUnit(0, 27), [0], time(registers.t - 60));
      case '7 1.0.99.1.0.255': {
        if (attribute === 3)
          return [
            0,
            ...array([
              structure(u16(8), octets(obis('0-0:1.0.0')), [15, 2], u16(0)),
              structure(u16(3), octets(obis('1-0:1.8.0')), [15, 2], u16(0)),
            ]),
          ];
        if (attribute === 4) return [0, ...u32(registers.periodSeconds)];
        if (attribute !== 2) return [1, 4];
        let [from, to] = [0, registers.t];
        if (asked[9] === 1) {
          if (this.#options.selective === false) return [1, 250];
          // range_descriptor: selector 1, structure of 4, the clock (20 bytes), then from and to.
          const ends = asked.slice(asked.length - 30);
          from = secondsOf(ends.slice(2, 14));
          to = secondsOf(ends.slice(16, 28));
        }
        return [0, ...array(registers.between(from, to).map(({ t, wh }) => structure(time(t), u32(wh))))];
      }
      default:
        return [1, 4];
    }
  }
}

/** What stands behind a length. */
function unsized(bytes: number[]): number[] {
  const first = bytes[0] as number;
  return bytes.slice(first < 128 ? 1 : 1 + (first & 127));
}

function aare(
  result: number,
  diagnostic: number,
  ciphered: boolean,
  initiate: number[],
  title?: readonly number[],
  challenge?: number[],
): number[] {
  const body = [
    ...[0xa1, 9, 6, 7, 0x60, 0x85, 0x74, 5, 8, 1, ciphered ? 3 : 1],
    ...[0xa2, 3, 2, 1, result],
    ...[0xa3, 5, 0xa1, 3, 2, 1, diagnostic],
    ...(title ? [0xa4, 10, 4, 8, ...title] : []),
    ...(challenge ? [0xaa, challenge.length + 2, 0x80, challenge.length, ...challenge] : []),
    ...[0xbe, initiate.length + 2, 4, initiate.length, ...initiate],
  ];
  return [0x61, body.length, ...body];
}
