/**
 * DLMS/COSEM, pushed: a meter that sends its values by itself (customer interface, HAN port). Plain, or ciphered with
 * suite 0: then nothing plain is taken, and each invocation counter only once, over restarts too.
 */
import { Type } from 'typebox';
import { EdgeError } from '../../errors.ts';
import type { DriverType, Found, HeardDriver, Reading, Setup, Value } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { Reader } from './axdr.ts';
import { keysOf, PushDevice } from './device.ts';
import { LINE } from './dlms.ts';
import { decodeNotification, type Notification } from './notification.ts';
import { checkScaler, recordFrom } from './objects.ts';
import { Counters, type Keys, open } from './security.ts';
import { Telegrams } from './telegram.ts';
import { obisText, parseObis } from './words.ts';

const GENERAL_GLO = 0xdb;

const PushFrom = Type.Object(
  {
    obis: Type.Optional(Type.String({ description: 'The object, as 1-0:1.8.0. Without it the name of the value.' })),
  },
  { additionalProperties: false },
);
type PushFrom = { obis?: string };
type Point = { value: Value<PushFrom>; obis: string };

class PushingMeter implements HeardDriver {
  readonly #points: Point[];
  readonly #keys: Keys | undefined;
  readonly #counters: Counters | undefined;
  readonly #telegrams = new Telegrams();
  #about: string | undefined;

  constructor(setup: Setup<unknown, PushDevice, PushFrom>) {
    this.#points = [...setup.values]
      .sort((a, b) => Number(b.billed) - Number(a.billed))
      .map((value) => {
        const obis = parseObis(value.from.obis ?? value.name);
        if (obis === undefined)
          throw new EdgeError(
            'CONFIG_INVALID',
            `values: ${value.from.obis ?? value.name} is no OBIS code such as 1-0:1.8.0`,
          );
        return { value, obis: obisText(obis) };
      });
    this.#keys = keysOf(setup);
    this.#counters = this.#keys && new Counters(this.#keys, (name) => setup.mark(name));
  }

  hear(chunk: Uint8Array, atMs: number): (Reading | SerialFault)[] {
    return this.#telegrams.hear(chunk, atMs).map((apdu) => {
      if (apdu instanceof SerialFault) return apdu;
      try {
        return this.#reading(decodeNotification(this.#opened(apdu)));
      } catch (error) {
        if (error instanceof SerialFault) return error;
        throw error;
      }
    });
  }

  reset(): void {
    this.#telegrams.reset();
  }
  about(): string | undefined {
    return this.#about;
  }

  #opened(apdu: Uint8Array): Uint8Array {
    const ciphered = apdu[0] === GENERAL_GLO;
    if (this.#keys === undefined || this.#counters === undefined) {
      if (!ciphered) return apdu;
      throw new SerialFault(
        'mismatch',
        'the meter enciphers what it pushes: set secrets.encryption and secrets.authentication',
      );
    }
    if (!ciphered) throw new SerialFault('mismatch', 'the meter pushes in plain what should be enciphered');
    const reader = new Reader(apdu);
    reader.byte();
    const title = reader.take(reader.length());
    if (title.length !== 8) throw new SerialFault('mismatch', `the meter’s system title has ${title.length} bytes`);
    const { plain, counter } = open(this.#keys, title, reader.take(reader.length()));
    if (reader.left > 0) throw new SerialFault('mismatch', 'a telegram has bytes after its end');
    this.#counters.check(title, counter);
    this.#about = `a DLMS meter that pushes, system title ${Buffer.from(title).toString('hex')}`;
    return plain;
  }

  #reading({ t, values }: Notification): Reading {
    this.#about ??= `a DLMS meter that pushes, ${values.size} values`;
    const records = this.#points.flatMap(({ value, obis }) => {
      const told = values.get(obis);
      // Where the telegram tells no scaler and unit, they are the profile's to know.
      const scaler = told?.scaler && checkScaler(value, told.scaler);
      return recordFrom(value, told?.data ?? { type: 'null' }, scaler, t) ?? [];
    });
    // Many meters push some values often and others seldom: a telegram without ours is none of ours.
    if (records.length === 0) throw new SerialFault('no-value', 'the telegram has none of the values of its profile');
    const marks = this.#counters?.marks();
    return { records, quality: 'Good', ...(marks && { marks }) };
  }
}

/** A telegram with right checksums is enough, ciphered or not. */
function listen(): (chunk: Uint8Array) => Found | undefined {
  const telegrams = new Telegrams();
  return (chunk) => {
    const apdu = telegrams.hear(chunk, 0).find((heard) => !(heard instanceof SerialFault)) as Uint8Array | undefined;
    if (apdu?.[0] !== GENERAL_GLO && apdu?.[0] !== 0x0f) return undefined;
    const ciphered =
      apdu[0] === GENERAL_GLO ? ', enciphered: it needs secrets.encryption and secrets.authentication' : '';
    return { profile: 'meter-dlms-push', device: {}, about: `a DLMS meter that pushes${ciphered}` };
  };
}

export const dlmsPush: DriverType<unknown, PushDevice, PushFrom> = {
  says: 'DLMS/COSEM over HDLC, pushed by the meter, plain or with suite 0',
  media: ['tty', 'tcp'],
  line: { ...LINE, baudRate: 2400 },
  settings: Type.Object({}, { additionalProperties: false }),
  device: PushDevice,
  from: PushFrom,
  create: (setup) => new PushingMeter(setup),
  probe: {
    lines: [
      { ...LINE, baudRate: 2400, parity: 'even' },
      { ...LINE, baudRate: 2400 },
      { ...LINE, baudRate: 115_200 },
    ],
    listen: { seconds: 11, hear: listen },
  },
};
