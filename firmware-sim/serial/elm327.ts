/**
 * An ELM327 in a vehicle's OBD-II socket, as such adapters behave: echo, spaces, headers, search for the protocol, its
 * words in place of data, and what clones do otherwise. Written apart from the gateway's side (edge/drivers/obd), even
 * the checksums, from the ELM327 data sheet, SAE J1979, ISO 15765-4, ISO 14230-4 and SAE J1850.
 */
import type { Say, WireStation } from './station.ts';

/** What the vehicle's control units measure now. What is not there they do not support. */
export type VehicleNow = {
  /** 0 to 255, whole. */
  speedKmh: number;
  odometerKm?: number;
  fuelPercent?: number;
  stateOfChargePercent?: number;
};

/** 2: J1850 VPW. 3: ISO 9141-2. 5: ISO 14230-4 fast. 6 and 8: CAN, 11 bits. 7 and 9: CAN, 29 bits. */
export type ObdProtocol = '2' | '3' | '5' | '6' | '7' | '8' | '9';

/** How a clone differs from the adapter that it says it is. */
export type CloneHabits = {
  /** Commands that it answers with ?, as they are sent: ATAT1. */
  lacks?: readonly string[];
  /** It says OK to ATE0, ATS0, ATH1, and does not do it. */
  echoStays?: boolean;
  spacesStay?: boolean;
  noHeaders?: boolean;
  /** A NUL before each so many characters. */
  nulEvery?: number;
  /** CAN frames are shown with their padding. */
  padding?: boolean;
};

export type ElmOptions = {
  vehicle: () => VehicleNow;
  /** undefined: the control units were never given one, and answer with zeros. */
  vin: string | undefined;
  protocol?: ObdProtocol;
  /** A gearbox answers too, with a speed that is one less. */
  gearbox?: boolean;
  /** The gearbox's own VIN, where it was taken out of another vehicle. */
  gearboxVin?: string;
  version?: string;
  clone?: CloneHabits;
  /** How long the search for the protocol takes, and the answer of the vehicle. 0: at once, without a timer. */
  searchMs?: number;
  answerMs?: number;
};

export type ElmFaults = {
  silent: boolean;
  ignition: boolean;
  /** Said in place of the next answers of the vehicle, one each: BUFFER FULL, CAN ERROR. */
  words: string[];
};

const ENGINE = { can11: '7E8', can29: '18DAF110', source: 0x10 };
const GEARBOX = { can11: '7E9', can29: '18DAF118', source: 0x18 };
type Unit = typeof ENGINE;

const hex = (bytes: readonly number[]): string[] => bytes.map((b) => b.toString(16).toUpperCase().padStart(2, '0'));

/** SAE J1850: the remainder by x^8 + x^4 + x^3 + x^2 + 1, as a table. */
const J1850 = Array.from({ length: 256 }, (_, value) => {
  let rest = value;
  for (let i = 0; i < 8; i++) rest = rest > 127 ? ((rest * 2) ^ 0x11d) & 255 : rest * 2;
  return rest;
});

export class ElmStation implements WireStation {
  readonly faults: ElmFaults = { silent: false, ignition: true, words: [] };
  /** Requests to the vehicle that were carried out. */
  readonly asked: string[] = [];
  readonly #options: ElmOptions;
  #say: Say = () => {};
  #input = '';
  #last = '';
  #echo = true;
  #linefeeds = false;
  #spaces = true;
  #headers = false;
  /** 0: not found yet. */
  #found: string = '0';
  #busy: NodeJS.Timeout | undefined;
  #said = 0;

  constructor(options: ElmOptions) {
    this.#options = options;
  }

  plug(say: Say): void {
    this.#say = say;
  }

  unplug(): void {
    clearTimeout(this.#busy);
    this.#busy = undefined;
    this.#input = '';
    this.#say = () => {};
  }

  /** Its supply is lost and comes back: all settings are those of the factory, and it says so unasked. */
  powerCycle(): void {
    clearTimeout(this.#busy);
    this.#busy = undefined;
    this.#factory();
    this.#print(['', this.#version]);
  }

  hear(chunk: Uint8Array): void {
    if (this.faults.silent) return;
    for (const byte of chunk) {
      if (this.#busy !== undefined) {
        // Any character ends what it is doing, and is lost.
        clearTimeout(this.#busy);
        this.#busy = undefined;
        this.#print(['STOPPED']);
        continue;
      }
      const character = String.fromCharCode(byte);
      if (this.#echo && byte !== 0) this.#write(character);
      if (character === '\r') {
        const command = this.#input === '' ? this.#last : this.#input;
        this.#input = '';
        this.#last = command;
        this.#obey(command);
      } else if (byte > 0x20) {
        this.#input += character.toUpperCase();
        if (this.#input.length > 64) this.#input = '?';
      }
    }
  }

  get #version(): string {
    return this.#options.version ?? 'ELM327 v1.5';
  }

  #factory(): void {
    this.#input = '';
    this.#echo = true;
    this.#linefeeds = false;
    this.#spaces = true;
    this.#headers = false;
    this.#found = '0';
  }

  // --- commands ------------------------------------------------------------------------------------------------------

  #obey(command: string): void {
    const known = command !== '' && this.#options.clone?.lacks?.includes(command) !== true;
    if (known && /^[0-9A-F]{2,14}$/.test(command)) this.#request(command);
    else this.#print((known && command.startsWith('AT') && this.#set(command.slice(2))) || ['?']);
  }

  /** @returns what is said to it; nothing where there is no such command */
  #set(at: string): string[] | undefined {
    const clone = this.#options.clone ?? {};
    if (at === 'Z' || at === 'WS') {
      this.#factory();
      return ['', this.#version];
    }
    if (at === 'I') return [this.#version];
    if (at === 'RV') return ['12.6V'];
    if (at === 'DPN') return [`A${this.#found}`];
    const [, what = '', value = ''] = /^(E|L|S|H|AT|SP)([0-9A-C])$/.exec(at) ?? [];
    const on = value === '1';
    if (/^ST[0-9A-F]{2}$/.test(at)) return ['OK'];
    if (what === '') return undefined;
    if (what === 'E') this.#echo = on || clone.echoStays === true;
    if (what === 'L') this.#linefeeds = on;
    if (what === 'S') this.#spaces = on || clone.spacesStay === true;
    if (what === 'H') this.#headers = on && clone.noHeaders !== true;
    if (what === 'SP') this.#found = '0';
    return ['OK'];
  }

  #request(request: string): void {
    const { protocol = '6', searchMs = 0, answerMs = 0 } = this.#options;
    const searching = this.#found === '0';
    if (searching) this.#write(`SEARCHING...${this.#newline}`);
    const answer = () => {
      this.#busy = undefined;
      this.#print(this.#answer(request, protocol));
    };
    const ms = searching ? searchMs : answerMs;
    if (ms > 0) this.#busy = setTimeout(answer, ms);
    else answer();
  }

  #answer(request: string, protocol: ObdProtocol): string[] {
    const word = this.faults.words.shift();
    if (word !== undefined) return [word];
    if (!this.faults.ignition) return [this.#found === '0' ? 'UNABLE TO CONNECT' : 'NO DATA'];
    this.#found = protocol;
    this.asked.push(request);
    // One digit more says for how many answers it waits.
    const most = request.length % 2 === 0 ? undefined : Number.parseInt(request.slice(-1), 16);
    const bytes = Buffer.from(most === undefined ? request : request.slice(0, -1), 'hex');
    const units = (this.#options.gearbox ? [ENGINE, GEARBOX] : [ENGINE]).slice(0, most);
    const lines = units.map((unit) => {
      const said = this.#unitSays(unit, [...bytes]);
      return said === undefined ? [] : this.#shown(unit, said, protocol);
    });
    // Long answers of two control units come in turns.
    const turns = Array.from({ length: Math.max(...lines.map((l) => l.length)) }, (_, i) =>
      lines.flatMap((l) => l[i] ?? []),
    ).flat();
    return turns.length === 0 ? ['NO DATA'] : turns;
  }

  // --- the vehicle ---------------------------------------------------------------------------------------------------

  /** One value each: the PID, and its bytes. */
  #values(unit: Unit): Map<number, number[]> {
    const { speedKmh, odometerKm, fuelPercent, stateOfChargePercent } = this.#options.vehicle();
    if (unit === GEARBOX) return new Map([[0x0d, [Math.max(0, speedKmh - 1)]]]);
    const values = new Map([[0x0d, [speedKmh]]]);
    if (fuelPercent !== undefined) values.set(0x2f, [Math.round(fuelPercent * 2.55)]);
    if (stateOfChargePercent !== undefined) values.set(0x5b, [Math.round(stateOfChargePercent * 2.55)]);
    if (odometerKm !== undefined) {
      const tenths = Math.floor(odometerKm * 10);
      values.set(0xa6, [tenths >>> 24, (tenths >>> 16) & 255, (tenths >>> 8) & 255, tenths & 255]);
    }
    return values;
  }

  #unitSays(unit: Unit, request: number[]): number[] | undefined {
    const [service, pid = 0] = request;
    if (request.length !== 2) return undefined;
    if (service === 9 && pid === 2) {
      const { vin, gearbox, gearboxVin } = this.#options;
      const own = unit === ENGINE ? vin : gearbox ? gearboxVin : undefined;
      if (unit === GEARBOX && own === undefined) return undefined;
      return [0x49, 2, 1, ...(own === undefined ? new Array<number>(17).fill(0) : Buffer.from(own, 'latin1'))];
    }
    if (service !== 1) return undefined;
    const values = this.#values(unit);
    if (pid % 32 !== 0) {
      const value = values.get(pid);
      return value && [0x41, pid, ...value];
    }
    const known = [...values.keys()];
    if (pid > Math.max(...known)) return undefined;
    const bits = new Array<number>(4).fill(0);
    const set = (n: number) => {
      const bit = n - pid - 1;
      if (bit >= 0 && bit < 32) (bits[bit >> 3] as number) |= 0x80 >> (bit & 7);
    };
    for (const one of known) set(one);
    // The next bitmap is there where a later one has anything.
    if (Math.max(...known) > pid + 32) set(pid + 32);
    return [0x41, pid, ...bits];
  }

  // --- as it is shown ------------------------------------------------------------------------------------------------

  #shown(unit: Unit, said: number[], protocol: ObdProtocol): string[] {
    if (protocol === '2' || protocol === '3' || protocol === '5') return this.#messages(unit, said, protocol);
    const header = protocol === '6' || protocol === '8' ? [unit.can11] : (unit.can29.match(/../g) as string[]);
    const pad = (frame: number[]) =>
      this.#options.clone?.padding ? [...frame, ...new Array<number>(8 - frame.length).fill(0xaa)] : frame;
    const line = (frame: number[]) => this.#join([...header, ...hex(pad(frame))]);
    if (said.length <= 7) return this.#headers ? [line([said.length, ...said])] : [this.#join(hex(said))];
    const pieces: number[][] = [said.slice(0, 6)];
    for (let at = 6; at < said.length; at += 7) pieces.push(said.slice(at, at + 7));
    if (this.#headers)
      return pieces.map((piece, i) => line([...(i === 0 ? [0x10, said.length] : [0x20 + (i % 16)]), ...piece]));
    const numbered = pieces.map((piece, i) => {
      const gap = this.#spaces ? ' ' : '';
      return `${(i % 16).toString(16).toUpperCase()}:${gap}${this.#join(hex(piece))}`;
    });
    return [said.length.toString(16).toUpperCase().padStart(3, '0'), ...numbered];
  }

  /** Before CAN a VIN is five messages of four characters, numbered, the first one filled up with three zeros. */
  #messages(unit: Unit, said: number[], protocol: ObdProtocol): string[] {
    const [service = 0, pid = 0] = said;
    const padded = [0, 0, 0, ...said.slice(3)];
    const parts =
      said.length <= 7 ? [said] : [0, 1, 2, 3, 4].map((n) => [service, pid, n + 1, ...padded.slice(4 * n, 4 * n + 4)]);
    return parts.map((part) => {
      if (!this.#headers) return this.#join(hex(part));
      const whole = [...(protocol === '5' ? [0x80 + part.length, 0xf1] : [0x48, 0x6b]), unit.source, ...part];
      const check =
        protocol === '2'
          ? 255 - whole.reduce((rest, byte) => J1850[rest ^ byte] as number, 255)
          : whole.reduce((a, b) => a + b) % 256;
      return this.#join(hex([...whole, check]));
    });
  }

  /** With spaces on there is one after the last byte, too. */
  #join(bytes: string[]): string {
    return this.#spaces ? bytes.map((byte) => `${byte} `).join('') : bytes.join('');
  }

  get #newline(): string {
    return this.#linefeeds ? '\r\n' : '\r';
  }

  #print(lines: string[]): void {
    this.#write(`${lines.map((line) => line + this.#newline).join('')}${this.#newline}>`);
  }

  #write(text: string): void {
    const every = this.#options.clone?.nulEvery;
    const bytes = [...Buffer.from(text, 'latin1')].flatMap((byte) =>
      every !== undefined && ++this.#said % every === 0 ? [0, byte] : [byte],
    );
    this.#say(Uint8Array.from(bytes));
  }
}
