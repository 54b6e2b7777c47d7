/** What meters and receivers say on a line: IEC 62056-21 and NMEA 0183. What a driver makes of it is checked by the twins' own arithmetic. */
import type { Reading } from '../../edge/drivers/driver.ts';
import { SerialFault } from '../../edge/drivers/fault.ts';
import { EdgeError } from '../../edge/errors.ts';
import { encodePack, type SenmlRecord } from '../../edge/wire/senml.ts';
import { sevenBit } from '../../firmware-sim/serial/iec.ts';
import { crc } from '../../firmware-sim/serial/p1.ts';
import { drive, TURN } from '../drivers/drive.ts';
import { heard, polled } from '../drivers/iec62056/setup.ts';
import type { Target } from './fuzz.ts';
import { type Below, mutate } from './mutate.ts';

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const NOTHING = new EdgeError('REQUEST_INVALID', 'no reading in it');

/** All readings of a heard device, in pieces of any size, 10 s for each telegram. */
function readingsOf(profile: string, bytes: Uint8Array, below: Below): Reading[] {
  const driver = heard(profile);
  const out: Reading[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = at + 1 + below(400);
    for (const said of driver.hear(bytes.subarray(at, next), 1_700_000_000_000 + at))
      if (!(said instanceof SerialFault)) out.push(said);
    at = next;
  }
  if (out.length === 0) throw NOTHING;
  return out;
}

/** Whatever was signed must be a pack, its register a whole number. */
function flawOf(records: SenmlRecord[]): string | undefined {
  encodePack(records);
  const billed = records.find((r) => r.n === '1-0:1.8.0');
  if (billed !== undefined && (!Number.isSafeInteger(billed.v) || (billed.v as number) < 0 || records[0] !== billed))
    return `a register of ${billed.v}`;
  return undefined;
}

/** Telegrams with a right CRC16, and those that have none and are 7-bit characters throughout. */
function telegramsIn(bytes: Uint8Array): { text: string; summed: boolean }[] {
  const whole = latin1(bytes.map((b) => b & 0x7f));
  const found: { text: string; summed: boolean }[] = [];
  for (const match of whole.matchAll(/\/[^/!]*!([0-9A-F]{4})?\r\n/g)) {
    const text = match[0];
    const raw = bytes.subarray(match.index, match.index + text.length);
    const even = latin1(raw) === latin1(sevenBit(text));
    if (!even && latin1(raw) !== text) continue;
    const body = text.slice(0, text.indexOf('!') + 1);
    if (match[1] === undefined || crc(body) === match[1]) found.push({ text, summed: match[1] !== undefined });
  }
  return found;
}

/** 1-0:1.8.1(000123.456*kWh), its code as short as the standard lets it be. */
const CODE = /(?<=^|[\r\n)])(?:0*1-0+:)?0*1\.0*8\.0*([012])(?:\*255)?\(\+?(\d+)(?:\.(\d+))?\*(k?)Wh\)/g;

const p1: Target = {
  name: 'p1',
  judge: (bytes, below) => {
    const readings = readingsOf('meter-p1', bytes, below);
    const told = telegramsIn(bytes);
    for (const { records, quality } of readings) {
      const flaw = flawOf(records);
      if (flaw !== undefined) return flaw;
      const good = quality === 'Good';
      const of = told.filter(({ summed }) => summed === good);
      if (of.length < (good ? 1 : 2)) return `a ${quality} reading of ${of.length} telegrams`;
      // What is billed stands in one of them, by its digits alone.
      const wh = BigInt(records[0]?.v as number);
      const thousandths = (text: string, name: string) =>
        [...text.matchAll(CODE)]
          .filter(([, tariff]) => name.includes(tariff as string))
          .reduce(
            (sum, [, , whole, rest = '', k]) => sum + BigInt(`${whole}${rest.padEnd(9, '0')}`) * (k ? 1000n : 1n),
            0n,
          );
      if (!of.some(({ text }) => ['0', '12'].some((name) => thousandths(text, name) / 1_000_000_000n === wh)))
        return `${wh} Wh, which no telegram tells`;
    }
    return undefined;
  },
  // Nonsense with a right checksum.
  change: (original, other, below) => {
    const changed = latin1(mutate(original, other, below).map((b) => b & 0x7f));
    const end = changed.indexOf('!');
    if (end < 0) return Buffer.from(changed, 'latin1');
    const body = changed.slice(Math.max(0, changed.lastIndexOf('/', end)), end + 1);
    return Buffer.from(`${body}${crc(body)}\r\n`, 'latin1');
  },
};

const modeC: Target = {
  name: 'mode-c',
  judge: (bytes) => {
    const said = [sevenBit('/EMH5x\r\n'), bytes];
    let exchange = 0;
    let reading: Reading | undefined;
    try {
      [reading] = drive(polled('meter-iec').poll(TURN), () => [said[exchange++ % 2] as Uint8Array]);
    } catch (error) {
      throw error instanceof SerialFault ? NOTHING : error;
    }
    if (reading === undefined) throw NOTHING;
    const flaw = flawOf(reading.records);
    if (flaw !== undefined) return flaw;
    // Somewhere stands a block with a right check.
    for (let from = 0; from < bytes.length; from++) {
      if (((bytes[from] as number) & 0x7f) !== 2) continue;
      let check = 0;
      for (let at = from + 1; at + 1 < bytes.length; at++) {
        const char = (bytes[at] as number) & 0x7f;
        check ^= char;
        if (char === 3 && ((bytes[at + 1] as number) & 0x7f) === check) return undefined;
      }
    }
    return 'a reading without a block whose check is right';
  },
  change: (original, other, below) => {
    const changed = latin1(mutate(original, other, below).map((b) => b & 0x7f));
    const inner = changed.replaceAll('\x02', '').replaceAll('\x03', '').slice(0, -1);
    const check = [...`${inner}\x03`].reduce((x, c) => x ^ c.charCodeAt(0), 0);
    return sevenBit(`\x02${inner}\x03${String.fromCharCode(check)}`);
  },
};

const sumOf = (body: string): string =>
  [...body]
    .reduce((x, c) => x ^ c.charCodeAt(0), 0)
    .toString(16)
    .toUpperCase()
    .padStart(2, '0');

const nmea: Target = {
  name: 'nmea',
  judge: (bytes, below) => {
    const readings = readingsOf('gnss', bytes, below);
    const told = [...latin1(bytes).matchAll(/\$([\x20-\x23\x25-\x7e]*?)\*([0-9A-Fa-f]{2})/g)]
      .filter(([, body, sum]) => sumOf(body as string) === sum?.toUpperCase())
      .map(([, body]) => body as string);
    for (const { records } of readings) {
      encodePack(records);
      const of = (name: string) => records.find((r) => r.n === `Vehicle.CurrentLocation.${name}`)?.v as number;
      const [lat, lon] = [of('Latitude'), of('Longitude')];
      const near = (text: string, digits: number, value: number) =>
        Math.abs(Number(text.slice(0, digits)) + Number(text.slice(digits)) / 60 - Math.abs(value)) < 6e-4;
      const tells = told.some((body) => {
        const f = body.split(',');
        const at = f[0]?.endsWith('RMC') ? 3 : 2;
        return near(f[at] ?? '', 2, lat) && near(f[at + 2] ?? '', 3, lon) && (f[at + 1] === 'S') === lat < 0;
      });
      if (!tells || Math.abs(lat) > 90 || Math.abs(lon) > 180) return `a position ${lat} ${lon} that nobody told`;
    }
    return undefined;
  },
  change: (original, other, below) =>
    Buffer.from(
      latin1(mutate(original, other, below))
        .split('\n')
        .map((line) => {
          const body = line.slice(1, line.includes('*') ? line.indexOf('*') : undefined).replace(/[^\x20-\x7e]/g, '');
          return `$${body}*${sumOf(body)}\r\n`;
        })
        .join(''),
      'latin1',
    ),
};

export const METER_TARGETS: readonly Target[] = [p1, modeC, nmea];
