/**
 * What a driver is: one device's protocol, as a conversation. Pure: a driver does no input or output and has no clock
 * and no timer of its own. It yields what is to be sent and how the answer is told from noise (an {@link Exchange}), and
 * gets the answer back, or a SerialFault is thrown where it waits. What speaks unasked it hears chunk by chunk.
 *
 * The port (intake/serial) carries exchanges out one at a time, so that a bus is shared, and stamps times.
 */
import type { TSchema } from 'typebox';
import type { SenmlRecord } from '../wire/senml.ts';
import type { SerialFault } from './fault.ts';

/** How bytes stand on a serial line. A TCP socket has none of it. */
export type LineFormat = {
  baudRate: number;
  dataBits: 7 | 8;
  parity: 'none' | 'even' | 'odd';
  stopBits: 1 | 2;
};

/**
 * Finds one answer in what is heard after the request. One parser serves one exchange. Only what is whole and has a
 * right checksum (where the protocol has one) is an answer; the rest is passed over.
 */
export type Parser<A> = {
  /** @returns the answer, once it is whole. @throws SerialFault where no answer can come any more */
  push(chunk: Uint8Array): A | undefined;
  /** Something that begins like the answer was heard: from now on a silence ends the exchange, as corrupt. */
  readonly begun: boolean;
  /** Bytes heard. */
  readonly heard: number;
  /** At the silence or the deadline: the answer after all, for protocols whose end is a silence. */
  end?(): A | undefined;
};

export type Exchange<A = unknown> = {
  /** May be empty: only hear. */
  send: Uint8Array;
  parser: Parser<A>;
  /** The longest that the answer may be, bytes: its time on the wire comes on top of the device's time to think. */
  answerBytes: number;
  /** How long the device may think, ms. Default: the port's timeoutMs. */
  timeoutMs?: number;
  /** The silence that ends an answer which has begun, ms. Default 50. */
  silenceMs?: number;
  /** Once what is sent has left, the line goes on at this rate (IEC 62056-21 mode C). The bus puts it back after the job. */
  thenBaudRate?: number;
  /** Before it is sent, the line goes on at this rate. */
  baudRate?: number;
  /** Not before this many ms after the last answer; until then the line serves others. For a device that says: busy. */
  afterMs?: number;
};

/** Good, or why one should think twice, in few words. What is bad is no reading at all. */
export type Quality = 'Good' | `Uncertain: ${string}`;

export type Reading = {
  /** The billed register first, a whole number of Wh. A record whose time the device itself knows carries it as `t`. */
  records: SenmlRecord[];
  quality: Quality;
  /**
   * When it was true, Unix ms by the gateway's clock. Default: when the last byte of the last answer, or of the
   * telegram, came. Never when it is signed.
   */
  atMs?: number;
  /** Numbers to keep with it, in the same transaction: a cursor, an invocation counter. They come back by {@link Setup.mark}. */
  marks?: Readonly<Record<string, number>>;
};

/** What a poll may know of the time. */
export type Turn = {
  /** When the poll began, Unix ms. */
  startedAtMs: number;
  /** When the last answer's last byte came, Unix ms. */
  heardAtMs(): number;
};

/** One poll. A poll may bring several readings (a load profile), or none (nothing new): then it is well, all the same. */
export type Job = Generator<Exchange, Reading[], unknown>;

/** One exchange of a job, with its answer's type. */
export function* ask<A>(exchange: Exchange<A>): Generator<Exchange, A, unknown> {
  return (yield exchange as Exchange) as A;
}

/** A device that speaks when it is spoken to. */
export type PolledDriver = {
  poll(turn: Turn): Job;
  /** The line is not given to another device in the middle of a poll: the rate changes, or a session would break. */
  readonly whole?: boolean;
  /** Forget what was discovered: there may be another device now. */
  reset(): void;
  /** A poll will be short: nothing has to be discovered first. */
  discovered(): boolean;
  /** The device in a few words, once known: maker, model, serial number. */
  about(): string | undefined;
};

/** A device that speaks by itself. All that is heard on its port and is no answer comes here. */
export type HeardDriver = {
  /** @param atMs when the chunk came, Unix ms. Never throws: what is wrong with what was heard is in the result. */
  hear(chunk: Uint8Array, atMs: number): (Reading | SerialFault)[];
  reset(): void;
  about(): string | undefined;
};

export type Driver = PolledDriver | HeardDriver;

export const isHeard = (driver: Driver): driver is HeardDriver => 'hear' in driver;

/** What a profile says of one value, beside where the driver finds it. */
export type Value<From = unknown> = {
  /** OBIS code, VSS path or another name of printable ASCII. */
  name: string;
  /** Of RFC 8428 section 12.1 where it has one. */
  unit?: string;
  /** The register that is billed: unsigned whole Wh, first in the pack. */
  billed: boolean;
  /** Without it there is no reading. */
  required: boolean;
  /** What is read is multiplied by it, exactly: 10, 0.001. */
  scale: number;
  from: From;
};

export type Medium = 'tty' | 'tcp';

/** What one device's driver is made of. Settings, device and values were checked against its schemas. */
export type Setup<Settings = unknown, Device = unknown, From = unknown> = {
  settings: Settings;
  device: Device;
  values: readonly Value<From>[];
  medium: Medium;
  /** A key or password from the keystore (or 0600 file), by the name that the config gives. @throws EdgeError */
  secret(name: string): Uint8Array;
  /** What was kept with the last readings ({@link Reading.marks}) and is on disk now. */
  mark(name: string): number | undefined;
  /**
   * A number that was never given before, nor will be again, over restarts too: a nonce. Reserved on disk in blocks.
   * @param above what the other side has seen: the number is higher
   * @throws EdgeError while the next block is not on disk yet, or where there are no more
   */
  nextNumber(name: string, above?: number): number;
};

/** What probing found, as config and profile would say it. */
export type Found = { profile: string; device: Record<string, unknown>; about: string };

/** How a protocol is recognised on an unknown line. */
export type Probe = {
  /** Formats to try, the likeliest first. */
  lines: readonly LineFormat[];
  /** Ask around, with short timeouts. Finds nothing rather than throw; `fault` of kind away ends all. */
  ask?: () => Generator<Exchange, Found[], unknown>;
  /** Or listen: this many seconds are enough for a device that speaks by itself. */
  listen?: { seconds: number; hear: () => (chunk: Uint8Array) => Found | undefined };
};

// biome-ignore lint/suspicious/noExplicitAny: a table of drivers, each with types of its own; the schemas check them.
export type DriverType<Settings = any, Device = any, From = any> = {
  /** In few words, for --help and docs. */
  says: string;
  media: readonly Medium[];
  /** What such devices mostly have. The profile, then the port's config, win. */
  line: LineFormat;
  /** Of `settings` in a profile: one for all values. Closed objects (additionalProperties: false), each key described. */
  settings: TSchema;
  /** Of the config of one device: its address on the line, its secrets. */
  device: TSchema;
  /** Of `from` of one value in a profile. */
  from: TSchema;
  /** @throws EdgeError CONFIG_INVALID where parts that are right do not fit together */
  create(setup: Setup<Settings, Device, From>): Driver;
  probe?: Probe;
};
