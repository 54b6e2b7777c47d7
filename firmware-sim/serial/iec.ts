/**
 * Meters of IEC 62056-21: one that is read at its optical port (mode C), one that says its registers by itself (mode D).
 * Written apart from the gateway's side.
 */
import { Timers } from '../timers.ts';
import { Energy, type EnergyOptions } from './energy.ts';
import type { Say, WireStation } from './station.ts';

const even = Array.from({ length: 128 }, (_, code) => {
  const ones = [...code.toString(2)].filter((bit) => bit === '1').length;
  return ones % 2 === 0 ? code : code + 128;
});

/** 7E1, its parity as the eighth bit. */
export const sevenBit = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text, 'latin1'), (code) => even[code % 128] as number);

const kwh = (wh: number): string =>
  `${String(Math.floor(wh / 1000)).padStart(6, '0')}.${String(wh % 1000).padStart(3, '0')}`;

export type IecTruth = { takenWh: number; givenWh: number };

export type ModeCOptions = EnergyOptions & {
  /** Digits and letters; whoever asks without one is answered too. */
  address?: string;
  /** Maker, baud character and the rest. The standard: 0 is 300 baud, 5 is 9,600. */
  ident?: string;
  /** Of the sign-on. A pty has no rate, so the meter waits for as long as what it heard would have taken. */
  signOnBaudRate?: number;
  /** Real ms that it thinks: 200 to 1,500 by the standard. */
  reactionMs?: number;
  /** Only what is billed: a block of about 70 bytes, which a bad line lets through now and then. */
  brief?: boolean;
  /** The optical head sends back what it is sent. */
  echo?: boolean;
};

export type ModeCFaults = {
  silent: boolean;
  /** A block check that is wrong. */
  badCheck: boolean;
  /** It stops in the middle of the block. */
  breaksOff: boolean;
};

/** How long it waits for the acknowledgement: as long as the reader waits for it. */
const PATIENCE_MS = 1500;
const MAX_HEARD = 64;
const ACK = '\x06';

export class ModeCMeter implements WireStation {
  readonly faults: ModeCFaults = { silent: false, badCheck: false, breaksOff: false };
  /** Called as a block is said. */
  onBlock: ((truth: IecTruth) => void) | undefined;
  /** Baud characters that it was asked for. */
  readonly rates: string[] = [];
  readonly #options: ModeCOptions;
  readonly #energy: Energy;
  #say: Say | undefined;
  #timers = new Timers();
  #heard = '';
  /** It has said who it is, and waits for the acknowledgement. */
  #signedOn: NodeJS.Timeout | undefined;

  constructor(options: ModeCOptions) {
    this.#options = options;
    this.#energy = new Energy(options);
  }

  plug(say: Say): void {
    this.#timers.stop();
    this.#timers = new Timers();
    this.#say = say;
    this.#heard = '';
  }

  unplug(): void {
    this.#timers.stop();
    clearTimeout(this.#signedOn);
    this.#signedOn = undefined;
    this.#say = undefined;
  }

  hear(chunk: Uint8Array): void {
    if (this.#options.echo && !this.faults.silent) this.#say?.(chunk);
    for (const byte of chunk) {
      const code = byte % 128;
      // A character with a wrong parity makes what it is in unreadable.
      const char = even[code] === byte ? String.fromCharCode(code) : '\x00';
      if (char === '/' || char === ACK) this.#heard = '';
      this.#heard = `${this.#heard}${char}`.slice(-MAX_HEARD);
      if (char === '\n') this.#obey(this.#heard);
    }
  }

  #obey(message: string): void {
    if (this.faults.silent) return;
    const { address = '', ident = 'EMH5\\2ITZ4-1.0', signOnBaudRate = 300, reactionMs = 200 } = this.#options;
    // Else its block would come while the reader, who counts his own bits, still changes the rate.
    const answersAfterMs = (message.length * 10_000) / signOnBaudRate + reactionMs;
    const asked = /^\/\?([0-9A-Za-z ]*)!\r\n$/.exec(message)?.[1];
    if (asked !== undefined) {
      if (asked !== '' && asked.replace(/^0+/, '') !== address.replace(/^0+/, '')) return;
      this.#timers.after(answersAfterMs, () => {
        this.#say?.(sevenBit(`/${ident}\r\n`));
        clearTimeout(this.#signedOn);
        this.#signedOn = setTimeout(() => {
          this.#signedOn = undefined;
        }, PATIENCE_MS);
      });
      return;
    }
    const rate = message[0] === ACK ? /^0([0-9])0\r\n$/.exec(message.slice(1))?.[1] : undefined;
    if (rate === undefined || this.#signedOn === undefined) return;
    clearTimeout(this.#signedOn);
    this.#signedOn = undefined;
    this.rates.push(rate);
    this.#timers.after(answersAfterMs, () => this.#say?.(this.block()));
  }

  /** STX, data, ETX and the block check. */
  block(): Uint8Array {
    const [taken1, taken2, given1, given2] = this.#energy.wh;
    const { address = '', brief = false } = this.#options;
    const data = [
      ...(brief ? [] : ['F.F(00000000)']),
      ...(address === '' || brief ? [] : [`0.0.0(${address})`]),
      `1.8.1(${kwh(taken1)}*kWh)`,
      `1.8.2(${kwh(taken2)}*kWh)`,
      ...(brief
        ? []
        : [`2.8.1(${kwh(given1)}*kWh)`, `2.8.2(${kwh(given2)}*kWh)`, `1.8.1*01(${kwh(Math.floor(taken1 / 2))}*kWh)`]),
    ];
    const checked = `${data.join('\r\n')}\r\n!\r\n\x03`;
    let check = 0;
    for (const char of checked) check ^= char.charCodeAt(0);
    if (this.faults.badCheck) check ^= 0x15;
    const all = sevenBit(`\x02${checked}${String.fromCharCode(check)}`);
    this.onBlock?.({ takenWh: taken1 + taken2, givenWh: given1 + given2 });
    return this.faults.breaksOff ? all.subarray(0, all.length >> 1) : all;
  }
}

export type ModeDOptions = EnergyOptions & {
  serial?: string;
  /** Real ms between two telegrams. */
  everyMs?: number;
};

export class ModeDMeter implements WireStation {
  readonly faults = { silent: false };
  onTelegram: ((truth: IecTruth) => void) | undefined;
  readonly #options: ModeDOptions;
  readonly #energy: Energy;
  #timers = new Timers();

  constructor(options: ModeDOptions) {
    this.#options = options;
    this.#energy = new Energy(options);
  }

  plug(say: Say): void {
    this.#timers.stop();
    this.#timers = new Timers();
    this.#timers.every(this.#options.everyMs ?? 2000, () => {
      if (!this.faults.silent) say(this.telegram());
    });
  }

  hear(): void {}

  unplug(): void {
    this.#timers.stop();
  }

  telegram(): Uint8Array {
    const [taken1, taken2, given1, given2] = this.#energy.wh;
    const { serial = '1ESY1160000001' } = this.#options;
    this.onTelegram?.({ takenWh: taken1 + taken2, givenWh: given1 + given2 });
    const lines = [
      `1-0:0.0.0*255(${serial})`,
      `1-0:1.8.0*255(${kwh(taken1 + taken2)}*kWh)`,
      `1-0:2.8.0*255(${kwh(given1 + given2)}*kWh)`,
      `1-0:16.7.0*255(${this.#energy.watts}*W)`,
    ];
    return sevenBit(`/ESY3Q3DA1004 V3.03\r\n\r\n${lines.join('\r\n')}\r\n!\r\n`);
  }
}
