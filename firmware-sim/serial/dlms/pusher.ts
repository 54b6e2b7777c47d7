/** A DLMS/COSEM meter that pushes: a data-notification over UI frames, segmented, plain or ciphered, again and again. */
import type { Say, WireStation } from '../station.ts';
import {
  array,
  dateTime,
  encipher,
  i16,
  type MeterKeys,
  obis,
  octets,
  scalerUnit,
  sized,
  structure,
  u16,
  u32,
} from './cosem.ts';
import { say } from './frames.ts';
import { type MeterOptions, Registers } from './registers.ts';

export type DlmsPusherOptions = MeterOptions & {
  /** Real ms between two telegrams. */
  everyMs: number;
  keys?: MeterKeys;
  systemTitle?: readonly number[];
  /** Minutes from local time to UTC; `null` says that it is not specified. Default -540, Korean time. */
  deviation?: number | null;
  informationBytes?: number;
};

export type PusherFaults = {
  /** Says all with the counter of the last telegram. */
  replays: boolean;
  silent: boolean;
  clockStatus: number;
};

export class DlmsPusher implements WireStation {
  readonly registers: Registers;
  readonly faults: PusherFaults = { replays: false, silent: false, clockStatus: 0 };
  /** Told of each telegram: the register in it. */
  onPush: ((wh: number) => void) | undefined;
  readonly #options: DlmsPusherOptions;
  readonly #title: readonly number[];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DlmsPusherOptions) {
    this.#options = options;
    this.registers = new Registers(options);
    this.#title = options.systemTitle ?? [0x53, 0x4a, 0x50, 0, 0, 0, 0, 1];
  }

  plug(tell: Say): void {
    this.#timer = setInterval(() => {
      if (!this.faults.silent) tell(this.telegram());
    }, this.#options.everyMs);
  }
  unplug(): void {
    clearInterval(this.#timer);
  }
  /** A one-way interface: it does not listen. */
  hear(): void {}

  /** One telegram, as it goes over the wire. */
  telegram(): Uint8Array {
    const { registers } = this;
    const { wh, watts, decivolts } = registers;
    registers.keep();
    const { deviation = -540, keys, informationBytes = 128 } = this.#options;
    const time = dateTime(registers.t, deviation ?? undefined, this.faults.clockStatus);
    const named = (code: string, value: number[], scaler: number, unit: number) =>
      structure(octets(obis(code)), value, scalerUnit(scaler, unit));
    const body = array([
      structure(octets(obis('0-0:1.0.0')), octets(time)),
      named('1-0:1.8.0', u32(wh), 0, 30),
      named('1-0:1.7.0', u32(watts), 0, 27),
      named('1-0:32.7.0', u16(decivolts), -1, 35),
      named('1-0:31.7.0', i16(Math.round((watts / decivolts) * 1000)), -2, 33),
    ]);
    let apdu = [0x0f, 0, 0, 0, 1, ...sized(time), ...body];
    if (keys) {
      const counter = this.faults.replays ? registers.counter : registers.nextCounter();
      apdu = [0xdb, 8, ...this.#title, ...sized(encipher(keys, this.#title, counter, apdu))];
    }
    this.onPush?.(wh);
    const message = [0xe6, 0xe7, 0, ...apdu];
    const frames: number[] = [];
    for (let at = 0; at < message.length; at += informationBytes) {
      const goesOn = at + informationBytes < message.length;
      frames.push(...say([0x41], [0x02, 0x23], 0x13, message.slice(at, at + informationBytes), goesOn));
    }
    return Uint8Array.from(frames);
  }
}
