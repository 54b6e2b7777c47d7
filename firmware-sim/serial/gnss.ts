/**
 * GNSS receivers on a wire, NMEA 0183: one that drives, and one that plays what a real one once said, as gpsfake does.
 * Written apart from the gateway's side.
 */
import { noiseAt } from '../random.ts';
import { Timers } from '../timers.ts';
import type { Say, WireStation } from './station.ts';

export type Motion = {
  latitude: number;
  longitude: number;
  /** Above the geoid. */
  altitudeM: number;
  speedKmh: number;
  /** From true north. */
  course: number;
};

export type ReceiverOptions = {
  seed: number;
  /** Simulated Unix ms: what the satellites say. */
  now: () => number;
  /** Where it is at a simulated time. Absent: on a roundabout of one kilometre in Sejong. */
  drive?: (ms: number) => Motion;
  /** Real ms between two epochs. */
  everyMs?: number;
};

export type ReceiverFaults = {
  silent: boolean;
  noFix: boolean;
  /** Three satellites only. */
  flat: boolean;
  /** In a tunnel, by gyroscope and wheels. */
  deadReckoning: boolean;
  /** Its week counter ran over: its date is 1,024 weeks back. */
  rolledOver: boolean;
};

/** What an epoch said, with the digits that it had. */
export type EpochTruth = { ms: number; latitude: number; longitude: number; speedKmh: number };

const GEOID_M = 24.1;
const WEEKS_1024_MS = 1024 * 7 * 86_400_000;
const METRES_PER_DEGREE = 111_195;

/** A roundabout of one kilometre, at 20 to 50 km/h. */
export function roundabout(seed: number): (ms: number) => Motion {
  const speedKmh = Math.round(20 + 30 * noiseAt(seed, 0));
  const radius = 1000 / (2 * Math.PI);
  const begin = 2 * Math.PI * noiseAt(seed, 1);
  return (ms) => {
    // Whole rounds left out, so that the angle stays exact for years.
    const angle = begin + 2 * Math.PI * (((ms / 3_600_000) * speedKmh) % 1);
    const latitude = 36.4803 + (radius * Math.cos(angle)) / METRES_PER_DEGREE;
    const longitude = 127.289 + (radius * Math.sin(angle)) / (METRES_PER_DEGREE * Math.cos((36.4803 * Math.PI) / 180));
    const course = ((angle * 180) / Math.PI + 90) % 360;
    return { latitude, longitude, altitudeM: 48, speedKmh, course };
  };
}

function sentence(body: string): string {
  let sum = 0;
  for (const byte of Buffer.from(body, 'latin1')) sum ^= byte;
  return `$${body}*${sum.toString(16).toUpperCase().padStart(2, '0')}\r\n`;
}

/** In ten-thousandths of a minute, so that 59.99999 never becomes 60.0000. */
function angleText(degrees: number, digits: number, letters: string): { text: string; value: number } {
  const units = Math.round(Math.abs(degrees) * 600_000);
  const whole = Math.floor(units / 600_000);
  const rest = units % 600_000;
  const minutes = `${String(Math.floor(rest / 10_000)).padStart(2, '0')}.${String(rest % 10_000).padStart(4, '0')}`;
  const text = `${String(whole).padStart(digits, '0')}${minutes},${letters[degrees < 0 ? 1 : 0]}`;
  return { text, value: (Math.sign(degrees) * units) / 600_000 };
}

export class Receiver implements WireStation {
  readonly faults: ReceiverFaults = {
    silent: false,
    noFix: false,
    flat: false,
    deadReckoning: false,
    rolledOver: false,
  };
  /** Called as an epoch with a fix is said. */
  onEpoch: ((truth: EpochTruth) => void) | undefined;
  readonly #options: ReceiverOptions;
  readonly #drive: (ms: number) => Motion;
  #timers = new Timers();

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#drive = options.drive ?? roundabout(options.seed);
  }

  plug(say: Say): void {
    this.#timers.stop();
    this.#timers = new Timers();
    this.#timers.every(this.#options.everyMs ?? 1000, () => {
      if (!this.faults.silent) say(this.epoch());
    });
  }

  hear(): void {}

  unplug(): void {
    this.#timers.stop();
  }

  /** The sentences of one moment: RMC, VTG, GGA, and GSA for GPS and GLONASS. */
  epoch(): Uint8Array {
    const { noFix, flat, deadReckoning, rolledOver } = this.faults;
    const ms = this.#options.now();
    const iso = new Date(rolledOver ? ms - WEEKS_1024_MS : ms).toISOString();
    const time = `${iso.slice(11, 19).replaceAll(':', '')}.${iso.slice(20, 22)}`;
    const date = `${iso.slice(8, 10)}${iso.slice(5, 7)}${iso.slice(2, 4)}`;
    if (noFix)
      return Buffer.from(
        [
          `GNRMC,${time},V,,,,,,,${date},,,N`,
          'GNVTG,,,,,,,,,N',
          `GNGGA,${time},,,,,0,00,99.99,,,,,,`,
          'GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99',
        ]
          .map(sentence)
          .join(''),
      );
    const { latitude, longitude, altitudeM, speedKmh, course } = this.#drive(ms);
    const [lat, lon] = [angleText(latitude, 2, 'NS'), angleText(longitude, 3, 'EW')];
    const knots = (speedKmh / 1.852).toFixed(3);
    const degrees = (Number(course.toFixed(2)) % 360).toFixed(2);
    const mode = deadReckoning ? 'E' : 'A';
    const fix = flat ? 2 : 3;
    const dops = flat ? '3.10,2.90,1.10' : '1.56,0.91,1.27';
    this.onEpoch?.({ ms, latitude: lat.value, longitude: lon.value, speedKmh: Number(knots) * 1.852 });
    const all = [
      `GNRMC,${time},A,${lat.text},${lon.text},${knots},${degrees},${date},,,${mode}`,
      `GNVTG,${degrees},T,,M,${knots},N,${speedKmh.toFixed(3)},K,${mode}`,
      `GNGGA,${time},${lat.text},${lon.text},${deadReckoning ? 6 : 1},${flat ? '03' : '09'},${flat ? '2.90' : '0.91'},${altitudeM.toFixed(1)},M,${GEOID_M},M,,`,
      `GNGSA,A,${fix},01,11,31,${flat ? '' : '14'},,,,,,,,,${dops}`,
      `GNGSA,A,${fix},${flat ? '' : '67,83,76,82,68'}${flat ? ',,,,' : ''},,,,,,,,${dops}`,
    ];
    return Buffer.from(all.map(sentence).join(''));
  }
}

export type ReplayOptions = {
  /** What a receiver said, with comment lines that begin with #. */
  recording: Uint8Array;
  /** Real ms between two sentences. */
  lineMs?: number;
  /** From the beginning again at its end. */
  cycle?: boolean;
};

export class ReplayReceiver implements WireStation {
  /** Called when all was said. */
  onEnd: (() => void) | undefined;
  readonly #options: ReplayOptions;
  readonly #lines: readonly string[];
  #timers = new Timers();

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#lines = Buffer.from(options.recording)
      .toString('latin1')
      .split(/\r?\n/)
      .filter((line) => line.startsWith('$'));
  }

  plug(say: Say): void {
    this.#timers.stop();
    this.#timers = new Timers();
    let next = 0;
    this.#timers.every(this.#options.lineMs ?? 10, () => {
      if (next === this.#lines.length && this.#options.cycle) next = 0;
      const line = this.#lines[next];
      if (line === undefined) return;
      next++;
      say(Buffer.from(`${line}\r\n`, 'latin1'));
      if (next === this.#lines.length) this.onEnd?.();
    });
  }

  hear(): void {}

  unplug(): void {
    this.#timers.stop();
  }
}
