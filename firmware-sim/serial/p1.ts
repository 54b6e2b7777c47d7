/**
 * A DSMR meter with its P1 port, versions 2.2, 4.2 and 5, with a gas meter behind M-Bus (DSMR P1 companion standard 5.0.2).
 * Written apart from the gateway's side, the checksum and the local time too.
 */
import { Timers } from '../timers.ts';
import { Energy, type EnergyOptions, tariff } from './energy.ts';
import { sevenBit } from './iec.ts';
import type { Say, WireStation } from './station.ts';

export type P1Options = EnergyOptions & {
  version?: '2.2' | '4.2' | '5.0';
  /** Real ms between two telegrams: 1,000 in version 5, 10,000 before. */
  everyMs?: number;
  /** Serial number, 17 characters or fewer. */
  serial?: string;
  /** The M-Bus channel of the gas meter; undefined: there is none. */
  gasChannel?: 1 | 2 | 3 | 4;
  /** dm3 at a simulated time. */
  gasDm3?: (ms: number) => number;
  /** For the customer, told in hexadecimal. */
  message?: string;
  /** Only registers, power and clock: a telegram of about 250 bytes, which a bad line lets through now and then. */
  brief?: boolean;
};

export type P1Faults = {
  silent: boolean;
  /** A checksum that is wrong. */
  badSum: boolean;
  /** The gas meter's clock was never set. */
  gasClockLost: boolean;
};

/** What a telegram said, as a gateway should read it. */
export type P1Truth = { takenWh: number; givenWh: number; watts: number; gasM3: number | undefined };

const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex').toUpperCase();
const fixed = (thousandths: number, whole: number): string =>
  `${String(Math.floor(thousandths / 1000)).padStart(whole, '0')}.${String(thousandths % 1000).padStart(3, '0')}`;

const LOCAL = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Europe/Amsterdam',
  year: '2-digit',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'shortOffset',
});

/** YYMMDDhhmmss, and whether it is summer, as the clock on a Dutch wall has it. */
function wallTime(ms: number): { digits: string; summer: boolean } {
  const parts = Object.fromEntries(LOCAL.formatToParts(ms).map(({ type, value }) => [type, value]));
  const { year, month, day, hour, minute, second, timeZoneName } = parts;
  return { digits: `${year}${month}${day}${hour}${minute}${second}`, summer: timeZoneName === 'GMT+2' };
}
const stamp = (ms: number): string => {
  const { digits, summer } = wallTime(ms);
  return `${digits}${summer ? 'S' : 'W'}`;
};

/** CRC16 in hexadecimal, by long division, 8005 with the bits of each byte and of the rest turned round. */
export function crc(text: string): string {
  let rest = 0;
  for (const byte of Buffer.from(text, 'latin1'))
    for (let bit = 0; bit < 8; bit++) {
      const carry = ((rest >>> 15) & 1) ^ ((byte >>> bit) & 1);
      rest = ((rest << 1) & 0xffff) ^ (carry ? 0x8005 : 0);
    }
  const turned = Number.parseInt([...rest.toString(2).padStart(16, '0')].reverse().join(''), 2);
  return turned.toString(16).toUpperCase().padStart(4, '0');
}

export class P1Meter implements WireStation {
  readonly faults: P1Faults = { silent: false, badSum: false, gasClockLost: false };
  /** Called as a telegram is said. */
  onTelegram: ((truth: P1Truth) => void) | undefined;
  readonly #options: P1Options;
  readonly #energy: Energy;
  #timers = new Timers();

  constructor(options: P1Options) {
    this.#options = options;
    this.#energy = new Energy(options);
  }

  plug(say: Say): void {
    const { version = '5.0', everyMs = version === '5.0' ? 1000 : 10_000 } = this.#options;
    this.#timers.stop();
    this.#timers = new Timers();
    this.#timers.every(everyMs, () => {
      if (!this.faults.silent) say(this.telegram());
    });
  }

  /** P1 goes one way. */
  hear(): void {}

  unplug(): void {
    this.#timers.stop();
  }

  /** All registers at one moment. */
  telegram(): Uint8Array {
    const { version = '5.0', now, brief = false, serial = 'E0044007000000001', message = '' } = this.#options;
    const ms = now();
    const [taken1, taken2, given1, given2] = this.#energy.wh;
    const { watts } = this.#energy;
    const old = version === '2.2';
    const kwh = (wh: number) => `(${fixed(wh, old ? 5 : 6)}*kWh)`;
    // Version 2.2 tells power to ten watts.
    const kw = (w: number) => (old ? `(${fixed(Math.floor(w / 10) * 10, 4).slice(0, -1)}*kW)` : `(${fixed(w, 2)}*kW)`);
    const [take, give] = [Math.max(0, watts), Math.max(0, -watts)];
    const amps = Math.round(Math.abs(watts) / 230);
    const lines = [
      ...(old ? [] : [`1-3:0.2.8(${version.replace('.', '')})`, `0-0:1.0.0(${stamp(ms)})`]),
      ...(brief ? [] : [`0-0:96.1.1(${hex(serial)})`]),
      `1-0:1.8.1${kwh(taken1)}`,
      `1-0:1.8.2${kwh(taken2)}`,
      `1-0:2.8.1${kwh(given1)}`,
      `1-0:2.8.2${kwh(given2)}`,
      ...(brief ? [] : [`0-0:96.14.0(${String(tariff(ms)).padStart(4, '0')})`]),
      `1-0:1.7.0${kw(take)}`,
      `1-0:2.7.0${kw(give)}`,
      ...(brief || old
        ? []
        : [
            '0-0:96.7.21(00004)',
            '0-0:96.7.9(00002)',
            '1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(0000000240*s)(101208151004W)(0000000301*s)',
            '1-0:32.32.0(00002)',
            '1-0:32.36.0(00000)',
          ]),
      ...(brief ? [] : [`0-0:96.13.0(${hex(message)})`]),
      ...(brief || version !== '5.0' ? [] : ['1-0:32.7.0(230.1*V)', `1-0:31.7.0(${String(amps).padStart(3, '0')}*A)`]),
      ...this.#gas(ms, old),
    ];
    const body = `/ISK5\\2M550T-1012\r\n\r\n${lines.join('\r\n')}\r\n!`;
    const sum = this.faults.badSum ? crc(`${body} `) : crc(body);
    this.onTelegram?.({
      takenWh: taken1 + taken2,
      givenWh: given1 + given2,
      watts: old ? Math.floor(take / 10) * 10 : take,
      gasM3: this.#gasHour(ms)?.dm3,
    });
    return old ? sevenBit(`${body}\r\n`) : Uint8Array.from(Buffer.from(`${body}${sum}\r\n`, 'latin1'));
  }

  #gasHour(ms: number): { at: number; dm3: number } | undefined {
    const { gasChannel, gasDm3 = (at) => 1_234_567 + Math.floor((at / 3_600_000) % 1e6) } = this.#options;
    if (gasChannel === undefined) return undefined;
    // Version 5 hears its gas meter every five minutes, those before every hour.
    const every = this.#options.version === '5.0' || this.#options.version === undefined ? 300_000 : 3_600_000;
    const at = Math.floor(ms / every) * every;
    return { at, dm3: gasDm3(at) };
  }

  #gas(ms: number, old: boolean): string[] {
    const gas = this.#gasHour(ms);
    if (gas === undefined) return [];
    const n = this.#options.gasChannel;
    const at = this.faults.gasClockLost ? Date.UTC(1999, 11, 31, 23) : gas.at;
    const { digits, summer } = wallTime(at);
    const value = fixed(gas.dm3, 5);
    const id = `0-${n}:96.1.0(${hex('G0001234567890123')})`;
    return old
      ? [
          `0-${n}:24.1.0(3)`,
          id,
          `0-${n}:24.3.0(${digits})(${summer ? '08' : '00'})(60)(1)(0-${n}:24.2.1)(m3)`,
          `(${value})`,
          `0-${n}:24.4.0(1)`,
        ]
      : [`0-${n}:24.1.0(003)`, id, `0-${n}:24.2.1(${stamp(at)})(${value}*m3)`];
  }
}
