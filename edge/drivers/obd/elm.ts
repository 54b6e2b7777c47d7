/**
 * How an ELM327 is spoken to: a line of text, ended by CR; it answers in lines, and ends with its prompt (ELM327 data
 * sheet, "Communicating with the ELM327", "Error Messages and Alerts"). Pure.
 *
 * There is no checksum on this line. What makes an answer believable is for frames.ts and obd.ts to say; here only the
 * form counts: printable characters, a prompt at the start of a line, nothing left over.
 */
import type { Exchange, Parser } from '../driver.ts';
import { type FaultKind, SerialFault } from '../fault.ts';

/** One answer: its lines without blanks, echo and what only tells that it takes a while. */
export type Told = { lines: string[]; echoed: boolean };

/** The longest answer that is heard to its end. A VIN from eight control units, spaced out, is 700 characters. */
const MOST_CHARACTERS = 4096;
/** What an answer to one request takes at most, for the time on the wire. */
const ANSWER_BYTES = 400;
/**
 * The adapter waits for further control units for up to 200 ms (AT ST 32) after each line, and only then prompts. A
 * shorter silence would take the lines for an answer that broke off.
 */
const SILENCE_MS = 500;

const CR = 0x0d;
const LF = 0x0a;
const PROMPT = 0x3e;
/** Stands for a byte that no adapter sends: it fits no form. */
const DAMAGED = '\ufffd';

/** Told while the adapter looks for the protocol or wakes a K-line: the answer is still to come, in seconds. */
const WAITING_BEGINS = ['SEARCHING...', 'BUS INIT: ...OK'];

const bare = (text: string): string => text.replaceAll(' ', '');

export class ElmParser implements Parser<Told> {
  readonly #command: string;
  #lines: string[] = [];
  #line = '';
  #echoed = false;
  heard = 0;

  /** @param command without its CR */
  constructor(command: string) {
    this.#command = bare(command);
  }

  /** An echo and SEARCHING... are no answer yet: seconds may pass before one comes. */
  get begun(): boolean {
    if (this.#lines.length > 0) return true;
    const line = this.#line;
    if (line === '' || this.#command.startsWith(bare(line))) return false;
    return !WAITING_BEGINS.some((text) => text.startsWith(line));
  }

  push(chunk: Uint8Array): Told | undefined {
    this.heard += chunk.length;
    for (const byte of chunk) {
      // The data sheet: "There is a very small chance that NULL characters may occasionally be inserted".
      if (byte === 0) continue;
      if (byte === CR || byte === LF) this.#endLine();
      // Elsewhere it is another character that was damaged. With nothing before it, it ends what was said before.
      else if (byte === PROMPT && this.#line === '') {
        if (this.#lines.length > 0) return { lines: this.#lines, echoed: this.#echoed };
      } else this.#line += byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : DAMAGED;
    }
    if (this.heard > MOST_CHARACTERS)
      throw new SerialFault(
        'corrupt',
        `${MOST_CHARACTERS} characters and no prompt: this is no ELM327, or a wrong rate`,
      );
    return undefined;
  }

  #endLine(): void {
    const line = this.#line.replace(/^ *(?:SEARCHING\.+|BUS ?INIT: ?\.*OK)/, '').trim();
    const said = this.#line.trim();
    this.#line = '';
    if (said === '') return;
    // With the echo on, the command stands first, and once.
    if (!this.#echoed && this.#lines.length === 0 && bare(said) === this.#command) {
      this.#echoed = true;
      return;
    }
    if (line === '') return;
    this.#lines.push(line);
  }
}

/** One command and its answer. @param timeoutMs default: the port's */
export function command(text: string, timeoutMs?: number): Exchange<Told> {
  return {
    send: Buffer.from(`${text}\r`, 'latin1'),
    parser: new ElmParser(text),
    answerBytes: ANSWER_BYTES,
    silenceMs: SILENCE_MS,
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

/** Long enough for what is left of an answer to come, and for the adapter to be ready for a command again. */
const SETTLE_MS = 120;

/**
 * Only hear, until nothing more comes: after an answer that was damaged there may be a second one under way, and taken
 * for the answer to the next request it would carry a wrong time. Silence is well.
 */
export function settling(): Exchange<true> {
  let heard = 0;
  return {
    send: new Uint8Array(0),
    parser: {
      push(chunk) {
        heard += chunk.length;
        return undefined;
      },
      get begun() {
        return heard > 0;
      },
      get heard() {
        return heard;
      },
      end: () => true,
    },
    answerBytes: 0,
    timeoutMs: SETTLE_MS,
    silenceMs: SETTLE_MS,
  };
}

/** What an adapter says in place of data, and what it means. */
export type Word = {
  /** again: asking again may help; over: the vehicle cannot be spoken to now; unknown: a command it does not have */
  means: 'no-data' | 'again' | 'over' | 'unknown';
  kind: FaultKind;
  detail: string;
};

const word = (means: Word['means'], kind: FaultKind, detail: string): Word => ({ means, kind, detail });

/** Data sheet, "Error Messages and Alerts", in the spellings of real adapters and clones. */
const WORDS: readonly (readonly [RegExp, Word])[] = [
  [/^NO ?DATA$/, word('no-data', 'exception', 'NO DATA: the vehicle did not answer this in time')],
  [/^\?$/, word('unknown', 'mismatch', '?: the adapter does not know the command')],
  [/^STOPPED$/, word('again', 'corrupt', 'STOPPED: a character came while the adapter was busy')],
  [
    /^BUFFER ?FULL$/,
    word('again', 'corrupt', 'BUFFER FULL: the adapter gets more than this line carries; raise its baud rate'),
  ],
  [/^CAN ERROR$/, word('again', 'exception', 'CAN ERROR: the CAN bus is not there, or has another rate')],
  [/^(?:DATA ERROR|.*<DATA ERROR)$/, word('again', 'corrupt', 'DATA ERROR: damaged between vehicle and adapter')],
  [/^(?:RX ERROR|.*<RX ERROR)$/, word('again', 'corrupt', 'RX ERROR: damaged between vehicle and adapter')],
  [/^FC RX TIMEOUT$/i, word('again', 'corrupt', 'FC RX TIMEOUT: a long answer broke off in the vehicle')],
  [/^BUS ERROR$/, word('again', 'exception', "BUS ERROR: the vehicle's bus is disturbed")],
  [/^BUS BUSY$/, word('again', 'exception', "BUS BUSY: the vehicle's bus is never free")],
  [/^UNABLE TO CONNECT$/, word('over', 'exception', 'UNABLE TO CONNECT: no protocol is answered; is the ignition on?')],
  [
    /^(?:BUS ?INIT: ?\.* ?)ERROR$/,
    word('over', 'exception', 'BUS INIT ERROR: the K-line does not wake up; is the ignition on?'),
  ],
  [/^FB ERROR$/, word('over', 'exception', 'FB ERROR: the adapter cannot drive its own bus line; check its wiring')],
  [/^LV RESET$/, word('over', 'no-value', 'LV RESET: the adapter lost its supply and started again')],
  [/^!?(?:ACT|LP) ALERT$/, word('over', 'exception', 'ALERT: the adapter is going to sleep')],
  [/^ERR ?\d\d$/, word('over', 'exception', 'ERR: the adapter found a fault in itself')],
];

/** The word in an answer, wherever it stands: lines before it are not whole. */
export function wordIn({ lines }: Told): Word | undefined {
  for (const line of lines) for (const [form, found] of WORDS) if (form.test(line)) return found;
  return undefined;
}

/** What ATZ and ATI tell, in a form that may stand in a log line. Whether it is true is another matter: clones lie. */
export function identity({ lines }: Told): string | undefined {
  const line = lines.at(-1);
  return line !== undefined &&
    /^[\x20-\x7e]{3,40}$/.test(line) &&
    /[A-Za-z]{3}/.test(line) &&
    wordIn({ lines, echoed: false }) === undefined
    ? line
    : undefined;
}

/** AT DP N: the protocol's number, after an A where it was found by search. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  1: 'SAE J1850 PWM',
  2: 'SAE J1850 VPW',
  3: 'ISO 9141-2',
  4: 'ISO 14230-4 (5 baud)',
  5: 'ISO 14230-4 (fast)',
  6: 'ISO 15765-4 (CAN 11 bit, 500 kbit/s)',
  7: 'ISO 15765-4 (CAN 29 bit, 500 kbit/s)',
  8: 'ISO 15765-4 (CAN 11 bit, 250 kbit/s)',
  9: 'ISO 15765-4 (CAN 29 bit, 250 kbit/s)',
};

export function protocolOf({ lines }: Told): string | undefined {
  const number = /^A?([0-9A-C])$/.exec(lines[0] ?? '')?.[1];
  return number === undefined || lines.length > 1 ? undefined : PROTOCOLS[number];
}
