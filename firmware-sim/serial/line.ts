/**
 * One wire, its tty on the gateway's side and any number of simulated devices on the other. All hear all that the
 * gateway sends; what each says goes to the gateway alone. It may be unplugged and plugged in again, also under
 * another name, and what passes over it may be damaged, or slowed down to what a real line carries.
 */
import { sequence } from '../random.ts';
import { openPty, type Pty } from './pty.ts';
import type { Say, WireStation } from './station.ts';

/** What goes wrong on the wire, in both directions. May be changed while it runs. */
export type LineFaults = {
  /** Probability that a byte arrives as another one. */
  corrupt: number;
  /** Probability that a byte is lost. */
  lose: number;
};

/** How fast a real line would be: nothing arrives before its bits could have. */
export type Pace = {
  baudRate: number;
  /** Of one character on the wire. 8N1 has 10. */
  bits?: number;
};

/**
 * Longer than the silence of 3.5 characters at 9,600 baud, shorter than the gap that a master leaves after damage: a
 * pty has no baud, so this stands for both.
 */
const SILENCE_MS = 4;

/** A paced line hands over what has come each millisecond, as a good USB adapter does. */
const TICK_MS = 1;

export class SerialLine {
  readonly stations: readonly WireStation[];
  readonly faults: LineFaults = { corrupt: 0, lose: 0 };
  /** Bytes that have passed: from the gateway, and from the stations. Damaged and lost ones too. */
  readonly passed = { down: 0, up: 0 };
  readonly #link: string;
  readonly #random: () => number;
  readonly #pace: Pace | undefined;
  #pty: Pty | undefined;
  #down: Direction | undefined;
  #up: Direction | undefined;
  #silence: NodeJS.Timeout | undefined;

  /** @param link where the symlink to the tty shall be while the line is plugged */
  constructor(link: string, stations: readonly WireStation[], seed: number, pace?: Pace) {
    this.#link = link;
    this.stations = stations;
    this.#random = sequence(seed);
    this.#pace = pace;
  }

  /** The tty, /dev/pts/N, while it is plugged. */
  get path(): string | undefined {
    return this.#pty?.path;
  }

  /** @param link another name than before: a USB adapter that comes back as ttyUSB1 */
  plug(link: string = this.#link): void {
    if (this.#pty !== undefined) return;
    const pty = openPty(link);
    this.#pty = pty;
    const up = new Direction(this.#pace, (bytes) => {
      if (!pty.master.destroyed) pty.master.write(bytes);
    });
    const down = new Direction(this.#pace, (bytes) => this.#heard(bytes));
    this.#up = up;
    this.#down = down;
    pty.master.on('data', (sent: Buffer) => {
      if (this.#pty !== pty) return;
      this.passed.down += sent.length;
      down.push(this.#worsen(sent));
    });
    const say: Say = (bytes) => {
      // What is said after the plug was pulled goes nowhere.
      if (this.#pty !== pty) return;
      this.passed.up += bytes.length;
      up.push(this.#worsen(bytes));
    };
    for (const station of this.stations) station.plug(say);
  }

  async unplug(): Promise<void> {
    const pty = this.#pty;
    if (pty === undefined) return;
    this.#pty = undefined;
    clearTimeout(this.#silence);
    this.#down?.stop();
    this.#up?.stop();
    for (const station of this.stations) station.unplug();
    await pty.close();
  }

  #heard(bytes: Uint8Array): void {
    clearTimeout(this.#silence);
    for (const station of this.stations) station.hear(bytes);
    this.#silence = setTimeout(() => {
      for (const station of this.stations) station.silence?.();
    }, SILENCE_MS);
  }

  #worsen(bytes: Uint8Array): Uint8Array {
    const { corrupt, lose } = this.faults;
    if (corrupt === 0 && lose === 0) return bytes;
    const arrived: number[] = [];
    for (const byte of bytes) {
      if (this.#random() < lose) continue;
      arrived.push(this.#random() < corrupt ? byte ^ (1 + Math.floor(this.#random() * 255)) : byte);
    }
    return Uint8Array.from(arrived);
  }
}

/** One direction of the wire: at once, or at the pace of its bits, in order. */
class Direction {
  readonly #characterMs: number | undefined;
  readonly #deliver: (bytes: Uint8Array) => void;
  #waiting: { bytes: Uint8Array; from: number }[] = [];
  /** Until when the wire is taken by what was delivered already, performance.now(). */
  #takenUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(pace: Pace | undefined, deliver: (bytes: Uint8Array) => void) {
    this.#characterMs = pace === undefined ? undefined : ((pace.bits ?? 10) * 1000) / pace.baudRate;
    this.#deliver = deliver;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#stopped) return;
    if (this.#characterMs === undefined) {
      this.#deliver(bytes);
      return;
    }
    if (this.#waiting.length === 0) this.#takenUntil = Math.max(this.#takenUntil, performance.now());
    this.#waiting.push({ bytes: Uint8Array.from(bytes), from: 0 });
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    const first = this.#waiting[0];
    if (first === undefined) return;
    const untilNext = this.#takenUntil + (this.#characterMs as number) - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#arrive();
        this.#arm();
      },
      Math.max(TICK_MS, untilNext),
    );
  }

  #arrive(): void {
    const characterMs = this.#characterMs as number;
    let due = Math.floor((performance.now() - this.#takenUntil) / characterMs);
    const arrived: number[] = [];
    while (due > 0) {
      const first = this.#waiting[0];
      if (first === undefined) break;
      const count = Math.min(due, first.bytes.length - first.from);
      for (let i = 0; i < count; i++) arrived.push(first.bytes[first.from + i] as number);
      first.from += count;
      due -= count;
      this.#takenUntil += count * characterMs;
      if (first.from === first.bytes.length) this.#waiting.shift();
    }
    if (arrived.length > 0) this.#deliver(Uint8Array.from(arrived));
  }
}
