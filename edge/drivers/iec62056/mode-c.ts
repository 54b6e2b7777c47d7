/**
 * IEC 62056-21 mode C, data readout (section 6.4.3): sign-on at 300 baud, the meter says who it is and how fast it can,
 * an acknowledgement, then the block at that speed with a block check. 7E1 on the wire (parity.ts).
 */
import Type from 'typebox';
import {
  ask,
  type DriverType,
  type Exchange,
  type Job,
  type Parser,
  type PolledDriver,
  type Setup,
} from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { type Dataset, parseDataset } from './dataset.ts';
import { Characters, withEvenParity } from './parity.ts';
import { type From, FromSchema, recordsFrom } from './values.ts';

const STX = 0x02;
const ETX = 0x03;
const LF = 0x0a;
const SLASH = 0x2f;
/** Section 6.3.14: the baud rates of mode C by their character. */
const RATES: Readonly<Record<string, number>> = { 0: 300, 1: 600, 2: 1200, 3: 2400, 4: 4800, 5: 9600, 6: 19_200 };
/** Section 6.4.3.1: the meter takes up to 1,500 ms to react, and as long between two characters. */
const REACTION_MS = 1500;
const SLACK_MS = 300;
const MAX_IDENT = 64;
const TRIES = 3;

/** Characters of a message, the echo of an optical head or of two wires before it passed over. */
export class IdentParser implements Parser<{ letters: string; baud: string; ident: string }> {
  begun = false;
  heard = 0;
  #characters: Characters | undefined;
  #text = '';

  push(chunk: Uint8Array) {
    this.heard += chunk.length;
    for (const byte of chunk) {
      if ((byte & 0x7f) === SLASH) {
        this.#characters = new Characters(byte);
        this.#text = '/';
        continue;
      }
      if (this.#characters === undefined) continue;
      const char = this.#characters.of(byte);
      // A wrong parity is found at the end: what is left of the line comes all the same.
      this.#text = `${this.#text}${char === undefined ? '\0' : String.fromCharCode(char)}`.slice(0, MAX_IDENT);
      const own = this.#text[1] === '?';
      // `/?` is the request itself.
      if (this.#text.length === 2) this.begun ||= !own;
      if ((byte & 0x7f) !== LF) continue;
      this.#characters = undefined;
      const match = /^\/([A-Za-z]{3})([\x21-\x7e])([\x20-\x7e]{0,40})\r\n$/.exec(this.#text);
      if (match) return { letters: match[1] as string, baud: match[2] as string, ident: match[3] as string };
      if (!own) throw new SerialFault('corrupt', 'the identification was damaged on the wire');
    }
    return undefined;
  }
}

/** From STX to ETX and the block check character: the exclusive or of all after STX, ETX among it (section 6.3.4). */
export class BlockParser implements Parser<string> {
  begun = false;
  heard = 0;
  readonly #max: number;
  #characters: Characters | undefined;
  readonly #chars: number[] = [];
  #check = 0;
  #ended = false;
  /** A wrong parity, or too long: at its end it is known to be none. */
  #damaged = false;

  constructor(max: number) {
    this.#max = max;
  }

  push(chunk: Uint8Array): string | undefined {
    this.heard += chunk.length;
    for (const byte of chunk) {
      if (this.#characters === undefined) {
        if (byte !== STX && byte !== (STX | 0x80)) continue;
        this.begun = true;
        this.#characters = new Characters(byte);
        continue;
      }
      const char = this.#characters.of(byte);
      if (this.#ended) {
        if (char === this.#check && !this.#damaged) return String.fromCharCode(...this.#chars);
        throw new SerialFault('corrupt', 'the block was damaged on the wire: a wrong block check or parity');
      }
      if (char === undefined || this.#chars.length >= this.#max) this.#damaged = true;
      else {
        this.#check ^= char;
        if (char === ETX) this.#ended = true;
        else this.#chars.push(char);
      }
    }
    return undefined;
  }
}

/** For the wake-up: whatever comes, or does not. */
class Silence implements Parser<true> {
  begun = false;
  heard = 0;
  push(chunk: Uint8Array): undefined {
    this.heard += chunk.length;
    return undefined;
  }
  end(): true {
    return true;
  }
}

export const ModeCSettingsSchema = Type.Object(
  {
    signOnBaudRate: Type.Enum([300, 600, 1200, 2400, 4800, 9600, 19_200], {
      description: 'Where the conversation begins. 300 by the standard; some meters on two wires always have 9600.',
      default: 300,
    }),
    maxBaudRate: Type.Enum([300, 600, 1200, 2400, 4800, 9600, 19_200], {
      description: 'An optical head that is slow: a meter that offers more is read at the rate of the sign-on.',
      default: 19_200,
    }),
    parity: Type.Enum(['even', 'none'], {
      description: 'even: 7E1 by the standard, made and checked by the driver. none: for meters with 8 bits.',
      default: 'even',
    }),
    wakeUp: Type.Boolean({
      description: 'Battery-powered meters: zeros for 2.2 s before the sign-on (IEC 62056-21 annex B).',
      default: false,
    }),
    readoutBytes: Type.Integer({
      description: 'The longest block that is taken.',
      default: 8192,
      minimum: 64,
      maximum: 65_536,
    }),
  },
  { additionalProperties: false },
);

export const ModeCDeviceSchema = Type.Object(
  {
    address: Type.Optional(
      Type.Union([Type.String({ pattern: '^[0-9A-Za-z ]{1,32}$' }), Type.Integer({ minimum: 0 })], {
        description: 'Device address, for several meters on one line. Without it whoever is there answers.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type ModeCSettings = {
  signOnBaudRate: number;
  maxBaudRate: number;
  parity: 'even' | 'none';
  wakeUp: boolean;
  readoutBytes: number;
};
export type ModeCDevice = { address?: string | number };

/** Where a meter tells its own address in the readout. */
const OWN_ADDRESS = '1-0:0.0.0';

function meterAtPort({ settings, device, values }: Setup<ModeCSettings, ModeCDevice, From>): PolledDriver {
  const { signOnBaudRate, maxBaudRate, wakeUp, readoutBytes } = settings;
  const address = device.address === undefined ? '' : String(device.address);
  let about: string | undefined;
  const bytes = (text: string) =>
    settings.parity === 'even' ? withEvenParity(text) : Uint8Array.from(Buffer.from(text));

  function* signOn(): Generator<Exchange, { letters: string; baud: string; ident: string }, unknown> {
    if (wakeUp)
      yield* ask<true>({
        send: new Uint8Array(Math.ceil((signOnBaudRate * 2.2) / 10)),
        parser: new Silence(),
        answerBytes: 0,
        timeoutMs: REACTION_MS,
        baudRate: signOnBaudRate,
      });
    return yield* ask({
      send: bytes(`/?${address}!\r\n`),
      parser: new IdentParser(),
      // With the echo of what was sent.
      answerBytes: MAX_IDENT + address.length,
      timeoutMs: REACTION_MS + SLACK_MS,
      silenceMs: REACTION_MS,
      baudRate: signOnBaudRate,
    });
  }

  function* readOut(): Generator<Exchange, Dataset, unknown> {
    const { letters, baud, ident } = yield* signOn();
    about = `${letters}${baud}${ident}`;
    const rate = RATES[baud];
    if (rate === undefined)
      throw new SerialFault(
        'mismatch',
        `${about} speaks mode A, B or another one (baud character ${baud}), not mode C`,
      );
    const fast = rate <= maxBaudRate && rate !== signOnBaudRate;
    const parser = new BlockParser(readoutBytes);
    const block = yield* ask({
      // Normal protocol procedure, the rate, data readout (section 6.3.2).
      send: bytes(`\x06${0}${rate <= maxBaudRate ? baud : 0}${0}\r\n`),
      parser,
      answerBytes: readoutBytes,
      timeoutMs: REACTION_MS + SLACK_MS,
      silenceMs: REACTION_MS,
      ...(fast ? { thenBaudRate: rate } : {}),
    });
    const end = block.lastIndexOf('!');
    const { sets } = parseDataset(end < 0 ? block : block.slice(0, end));
    return sets;
  }

  return {
    whole: true,
    reset() {
      about = undefined;
    },
    // Each poll begins anew.
    discovered: () => true,
    about: () => about,
    *poll(): Job {
      for (let tries = 1; ; tries++) {
        try {
          const sets = yield* readOut();
          const own = sets.get(OWN_ADDRESS)?.[0];
          if (address !== '' && own !== undefined && !sameAddress(own, address))
            throw new SerialFault('mismatch', `meter ${own} answers in the place of ${address}`);
          return [{ records: recordsFrom(values, sets, undefined), quality: 'Good' }];
        } catch (error) {
          if (!(error instanceof SerialFault) || error.kind !== 'corrupt' || tries === TRIES) throw error;
        }
      }
    },
  };
}

/** Leading zeros do not count (section 6.3.1), and the readout may tell more digits than the address has. */
function sameAddress(a: string, b: string): boolean {
  const [x, y] = [a, b].map((s) => s.trim().replace(/^0+/, '')) as [string, string];
  return x.endsWith(y) || y.endsWith(x);
}

export const modeC: DriverType<ModeCSettings, ModeCDevice, From> = {
  says: 'IEC 62056-21 mode C: sign-on, baud change and data readout (polled)',
  media: ['tty', 'tcp'],
  // 7E1 with its parity as the eighth bit: see parity.ts.
  line: { baudRate: 300, dataBits: 8, parity: 'none', stopBits: 1 },
  settings: ModeCSettingsSchema,
  device: ModeCDeviceSchema,
  from: FromSchema,
  create: meterAtPort,
  probe: {
    lines: [{ baudRate: 300, dataBits: 8, parity: 'none', stopBits: 1 }],
    *ask() {
      try {
        const { letters, baud, ident } = yield* ask({
          send: withEvenParity('/?!\r\n'),
          parser: new IdentParser(),
          answerBytes: MAX_IDENT,
          timeoutMs: REACTION_MS + SLACK_MS,
          silenceMs: REACTION_MS,
          baudRate: 300,
        });
        return RATES[baud] === undefined
          ? []
          : [{ profile: 'meter-iec', device: {}, about: `${letters}${baud}${ident}` }];
      } catch (error) {
        if (error instanceof SerialFault && error.kind !== 'away') return [];
        throw error;
      }
    },
  },
};
