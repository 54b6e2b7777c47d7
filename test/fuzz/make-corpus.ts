/** Writes the valid part of the corpus: one small file for each shape that a parser takes. The same at each run. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { encode } from 'cborg';
import { crc16 } from '../../edge/drivers/modbus/rtu.ts';
import { parseVerifierKey, signCheckpoint } from '../../edge/log/checkpoint.ts';
import { attachReceipt, encodeCoseReceipt, receiptToSign } from '../../edge/log/cose-receipt.ts';
import { leafHash } from '../../edge/log/merkle.ts';
import { encodeJsonReceipt, encodeTlogProof, type Receipt } from '../../edge/log/receipt.ts';
import { contentDigest } from '../../edge/log/sealed.ts';
import { sha256 } from '../../edge/log/sha256.ts';
import { decodeSign1, encodeSign1, sigStructure } from '../../edge/wire/cose.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { prepareHashEnvelope } from '../../edge/wire/hash-envelope.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { encodeMessage, encodePresentation } from '../../edge/wire/vc/check.ts';
import { encodeStatusList, MAX_LIST_BYTES, MIN_LIST_BYTES, setStatus } from '../../edge/wire/vc/status-list.ts';
import { DlmsPusher } from '../../firmware-sim/serial/dlms/pusher.ts';
import { Receiver } from '../../firmware-sim/serial/gnss.ts';
import { ModeCMeter } from '../../firmware-sim/serial/iec.ts';
import { P1Meter } from '../../firmware-sim/serial/p1.ts';
import { drive, TURN } from '../drivers/drive.ts';
import { driver as obdDriver, station, wire } from '../drivers/obd/rig.ts';
import { BUNDLES, CHALLENGES, CITY, PRESENTATIONS, TELEMETRY } from './city.ts';
import { DEVICE, GATEWAY, LOG, ORIGIN, P256_DEVICE, VERIFIER_KEY } from './keys.ts';

const ROOT = fileURLToPath(new URL('./corpus', import.meta.url));
function put(target: string, name: string, content: Uint8Array | string, kind: 'valid' | 'refused' = 'valid'): void {
  const path = join(ROOT, target, kind, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
for (const t of [
  'envelope',
  'receipt',
  'checkpoint',
  'tile',
  'senml',
  'jwt',
  'rtu',
  'modbus-tcp',
  'dlms',
  'p1',
  'mode-c',
  'nmea',
  'obd',
])
  rmSync(join(ROOT, t, 'valid'), { recursive: true, force: true });
for (const t of ['presentation', 'challenge', 'city-bundle', 'status-list'])
  rmSync(join(ROOT, t, 'valid'), { recursive: true, force: true });

// Envelopes: each value type, one record and many, a day profile, the other name of the algorithm, the ends of counters.
const hours = (n: number, unit: string): SenmlRecord[] =>
  Array.from({ length: n }, (_, i) => ({ n: '1-0:2.8.0', u: unit, v: 5000 + i, t: 1_790_000_000 + 3600 * i }));
const packs: Record<string, SenmlRecord[]> = {
  meter: [{ n: '1-0:1.8.0', u: 'Wh', v: 123_456 }],
  plant: [
    { n: '1-0:2.8.0', u: 'Wh', v: 2 ** 40 },
    { n: '1-0:16.7.0', u: 'W', v: -1500 },
  ],
  vehicle: [
    { n: 'Vehicle.Speed', u: 'km/h', v: 51.5 },
    { n: 'Vehicle.CurrentLocation.Latitude', u: 'lat', v: 36.480_132 },
    { n: 'Vehicle.IsMoving', vb: true },
  ],
  text: [{ n: 'firmware', vs: '2.1.0' }],
  bytes: [{ n: 'blob', vd: Uint8Array.from({ length: 40 }, (_, i) => i) }],
  day: hours(25, 'Wh'),
};
const envelope = (records: SenmlRecord[], epoch: number, seq: number): Uint8Array =>
  encodeEnvelope(
    { iss: DEVICE.did, sub: 'urn:sejong:mp:000123', iat: 1_790_000_000, epoch, seq },
    records,
    DEVICE.sign,
  );
for (const [name, records] of Object.entries(packs)) put('envelope', name, envelope(records, 1, 7));
put(
  'envelope',
  'p256',
  encodeEnvelope(
    { iss: P256_DEVICE.did, sub: 'urn:sejong:mp:000124', iat: 1_790_000_000, epoch: 1, seq: 9 },
    packs.plant as SenmlRecord[],
    P256_DEVICE.signAgain,
  ),
);
put('envelope', 'counter-first', envelope(packs.meter as SenmlRecord[], 0, 0));
put('envelope', 'counter-last', envelope(packs.meter as SenmlRecord[], 0xffffffff, 0xffffffff));
{
  const { protectedHeader, payload } = decodeSign1(envelope(packs.meter as SenmlRecord[], 1, 8));
  const eddsa = Buffer.from(protectedHeader);
  eddsa[eddsa.indexOf(0x32)] = 0x27; // alg -19 becomes -8
  put(
    'envelope',
    'eddsa',
    encodeSign1({ protectedHeader: eddsa, payload, signature: DEVICE.sign(sigStructure(eddsa, payload)) }),
  );
}

// A tree of seven entries, the plain way, and receipts and checkpoints of it.
const entries = Array.from({ length: 7 }, (_, i) => envelope([{ n: '1-0:1.8.0', u: 'Wh', v: 1000 + i }], 2, i));
const node = (l: Uint8Array, r: Uint8Array): Uint8Array => sha256(Buffer.concat([Buffer.of(1), l, r]));
const split = (n: number): number => 2 ** Math.floor(Math.log2(n - 1));
function root(from: number, to: number, of = entries): Uint8Array {
  if (to - from === 1) return leafHash(of[from] as Uint8Array);
  const k = from + split(to - from);
  return node(root(from, k, of), root(k, to, of));
}
function path(i: number, from: number, to: number, of = entries): Uint8Array[] {
  if (to - from === 1) return [];
  const k = from + split(to - from);
  return i < k ? [...path(i, from, k, of), root(k, to, of)] : [...path(i, k, to, of), root(from, k, of)];
}
for (const size of [1, 4, 7]) {
  const checkpoint = { origin: ORIGIN, size, root: root(0, size) };
  const note = signCheckpoint(checkpoint, LOG.publicKey, LOG.sign);
  put('checkpoint', `size-${size}`, note);
  put('checkpoint', `size-${size}-cosigned`, `${note}— witness.example ${Buffer.alloc(76, 9).toString('base64')}\n`);
  for (const index of [0, size - 1]) {
    const receipt: Receipt = {
      index,
      entry: entries[index] as Uint8Array,
      path: path(index, 0, size),
      checkpoint: note,
    };
    const anchor = { chainId: 31_337, contract: `0x${'5f'.repeat(20)}`, transaction: `0x${'12'.repeat(32)}`, block: 7 };
    put('receipt', `json-${index}-of-${size}`, JSON.stringify(encodeJsonReceipt({ ...receipt, anchor })));
    put('receipt', `tlog-${index}-of-${size}`, encodeTlogProof(receipt));
    const key = parseVerifierKey(VERIFIER_KEY);
    const cose = encodeCoseReceipt(key, { index, size, path: receipt.path }, LOG.sign(receiptToSign(key, checkpoint)));
    put('receipt', `cose-${index}-of-${size}`, attachReceipt(receipt.entry, cose));
  }
}

// The same readings sealed by the gateway: a receipt alone, and with what the entry is over.
const openings = entries.map((bytes, i) => ({ salt: sha256(Buffer.of(i)), envelope: bytes }));
const sealed = openings.map((opening) => {
  const { signed, finish } = prepareHashEnvelope(GATEWAY.did, contentDigest(opening));
  return finish(GATEWAY.sign(signed));
});
{
  const [index, size] = [2, 5];
  const checkpoint = { origin: ORIGIN, size, root: root(0, size, sealed) };
  const receipt: Receipt = {
    index,
    entry: sealed[index] as Uint8Array,
    path: path(index, 0, size, sealed),
    checkpoint: signCheckpoint(checkpoint, LOG.publicKey, LOG.sign),
  };
  const opening = openings[index] as (typeof openings)[number];
  put('receipt', 'sealed-json', JSON.stringify(encodeJsonReceipt(receipt)));
  put('receipt', 'sealed-opened', JSON.stringify(encodeJsonReceipt({ ...receipt, opening })));
  put('receipt', 'sealed-tlog', encodeTlogProof(receipt));
  const key = parseVerifierKey(VERIFIER_KEY);
  const cose = encodeCoseReceipt(key, { index, size, path: receipt.path }, LOG.sign(receiptToSign(key, checkpoint)));
  put('receipt', 'sealed-cose', attachReceipt(receipt.entry, cose));
  // As the device gets it, which has its envelope.
  const seal = { salt: opening.salt, entry: receipt.entry };
  put(
    'receipt',
    'sealed-own',
    encodeCoseReceipt(key, { index, size, path: receipt.path, seal }, LOG.sign(receiptToSign(key, checkpoint))),
  );
}

for (const [i, text] of [
  'tile/0/000',
  'tile/0/272',
  'tile/0/273.p/112',
  'tile/1/001.p/17',
  'tile/2/000.p/1',
  'tile/63/x001/x234/067',
  'tile/entries/x999/999',
  'tile/entries/000.p/255',
].entries())
  put('tile', `${i}`, text);

const legacy: Record<string, string | Uint8Array> = {
  one: '[{"n":"1-0:1.8.0","u":"Wh","v":1}]',
  base: '[{"bn":"urn:dev:1/","bt":1790000000,"bu":"Wh","bver":10,"n":"1-0:1.8.0","v":12},{"n":"b","v":-1.5e3,"t":5}]',
  kinds: ' [{"n":"a","vs":"\\u00e9x"},{"n":"b","vb":false},{"n":"c","vd":"3q2-7w"},{"n":"d","v":0.1}]',
  cbor: encode([
    new Map<number, unknown>([
      [-2, 'p/'],
      [0, 'a'],
      [1, 'W'],
      [2, 5],
    ]),
    new Map<number, unknown>([
      [0, 'b'],
      [2, 1.5],
    ]),
  ]),
};
for (const [name, content] of Object.entries(legacy)) put('senml', name, content);

// Tokens: of a device and of a person, whose ends are far away. The dates of a device's are not judged here.
const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (header: object, claims: object, by: typeof DEVICE): string => {
  const text = `${b64(header)}.${b64(claims)}`;
  return `${text}.${Buffer.from(by.sign(Buffer.from(text))).toString('base64url')}`;
};
const device = { sub: DEVICE.did, aud: ORIGIN, iat: 1_790_000_000, exp: 1_790_000_300 };
put('jwt', 'device', jwt({ alg: 'EdDSA', typ: 'JWT' }, device, DEVICE));
put('jwt', 'device-ed25519', jwt({ alg: 'Ed25519' }, { ...device, aud: [ORIGIN, 'other.example'] }, DEVICE));
for (const role of ['viewer', 'operator']) {
  const person = { role, iss: GATEWAY.did, sub: 'kim', aud: ORIGIN, iat: 1_790_000_000, exp: 4_100_000_000 };
  put('jwt', `person-${role}`, jwt({ alg: 'EdDSA', typ: 'JWT' }, { ...person, jti: `made-${role}` }, GATEWAY));
}

// What a master hears: unit 1, four registers, as targets.ts asks; noise before it, an exception.
const frame = (...bytes: number[]): Buffer => {
  const crc = crc16(Uint8Array.from(bytes));
  return Buffer.of(...bytes, crc & 255, crc >> 8);
};
put('rtu', 'answer', frame(1, 3, 8, 0x53, 0x75, 0x6e, 0x53, 0xff, 0xff, 0, 1));
put('rtu', 'after-noise', Buffer.concat([Buffer.of(0xff, 1, 3, 0), frame(1, 3, 8, 1, 3, 8, 1, 3, 8, 1, 3)]));
put('rtu', 'after-another', Buffer.concat([frame(2, 3, 2, 0, 1), frame(1, 3, 8, 0, 1, 0, 2, 0, 3, 0, 4)]));
put('rtu', 'exception', frame(1, 0x83, 2));

const answer = Buffer.of(0x12, 0x34, 0, 0, 0, 11, 1, 3, 8, 0, 1, 2, 3, 255, 254, 128, 0);
put('modbus-tcp', 'answer', answer);
put('modbus-tcp', 'exception', Buffer.of(0x12, 0x34, 0, 0, 0, 3, 1, 0x83, 2));
put(
  'modbus-tcp',
  'after-a-late-one',
  Buffer.concat([Buffer.of(0x12, 0x33, 0, 0, 0, 11, 1, 3, 8), Buffer.alloc(8), answer]),
);
put('modbus-tcp', 'after-noise', Buffer.concat([Buffer.of(0x12, 0x34, 0, 0, 0), answer]));

// Telegrams of real meters, and of the twin: one frame, segments, blocks, an object list.
for (const name of ['iskra-am550', 'aidon-3phase', 'landis-gyr-e450-objects']) {
  const file = fileURLToPath(new URL(`../drivers/vectors/dlms/${name}.hex`, import.meta.url));
  put('dlms', name, Buffer.from(readFileSync(file, 'utf8').replace(/[^0-9a-f]/gi, ''), 'hex'));
}
const pusher = new DlmsPusher({ seed: 1, now: () => 1_790_000_000_000, powerW: () => 700, everyMs: 1000 });
put('dlms', 'twin', pusher.telegram());

// Sessions with an adapter, up to a reading: CAN, a K-line, and a clone that shows no headers.
for (const [name, options] of Object.entries({
  can: { gearbox: true },
  kline: { protocol: '3' as const },
  clone: { clone: { noHeaders: true, echoStays: true, spacesStay: true, nulEvery: 9 } },
})) {
  const device = wire(station(options));
  const answers: Uint8Array[] = [];
  drive(obdDriver().poll(TURN), (sent, exchange) => {
    const said = device.answer(sent, exchange);
    answers.push(...said);
    return said;
  });
  put('obd', name, Buffer.concat(answers));
}

// Meters at their ports: each version of P1, without a checksum twice, as it takes two; a block of mode C; a receiver.
const energy = { seed: 1, now: () => 1_700_000_000_000, powerW: () => 700 };
for (const version of ['2.2', '4.2', '5.0'] as const) {
  const meter = new P1Meter({ ...energy, version, gasChannel: 1, message: 'Hello' });
  put('p1', version, Buffer.concat([meter.telegram(), meter.telegram()]));
}
put('p1', 'brief', new P1Meter({ ...energy, brief: true }).telegram());
put('mode-c', 'block', new ModeCMeter({ ...energy, address: '12345678' }).block());
put('mode-c', 'negative', new ModeCMeter({ ...energy, powerW: () => -700 }).block());
const receiver = new Receiver({ seed: 1, now: () => 1_700_000_000_000 });
const later = new Receiver({ seed: 1, now: () => 1_700_000_001_000 });
later.faults.noFix = true;
put('nmea', 'one', Buffer.concat([receiver.epoch(), later.epoch()]));
put('nmea', 'rmc', Buffer.concat([receiver.epoch().subarray(0, 80), later.epoch()]));
receiver.faults.flat = true;
put('nmea', 'flat', Buffer.concat([receiver.epoch(), later.epoch()]));

// Vehicle checks: both types of keys, with and without telemetry; bundles with lists and without; lists of both ends.
PRESENTATIONS.forEach((presentation, i) => {
  put('presentation', `${i}`, encodePresentation(presentation));
  put('presentation', `${i}-telemetry`, encodePresentation(presentation, TELEMETRY));
});
CHALLENGES.forEach((challenge, i) => {
  put('challenge', `${i}`, encodeMessage(challenge));
});
BUNDLES.forEach((bundle, i) => {
  put('city-bundle', `${i}`, encodeMessage(bundle));
});
const list = new Uint8Array(MIN_LIST_BYTES);
put('status-list', 'empty', encodeStatusList(list));
for (let i = 0; i < 8 * MIN_LIST_BYTES; i += 997) setStatus(list, i, true);
put('status-list', 'some', encodeStatusList(list));
put('status-list', 'longest', encodeStatusList(new Uint8Array(MAX_LIST_BYTES)));
// 16 MiB in 16 KiB, alone and where the city itself signed it.
const bomb = `u${gzipSync(new Uint8Array(16 * MAX_LIST_BYTES)).toString('base64url')}`;
put('status-list', 'bomb', bomb, 'refused');
const bombed = CITY.bundle({ statusLists: [CITY.statusList('revocation', [], CITY.issuer, bomb)], gateways: [] });
put('city-bundle', 'bomb', encodeMessage(bombed), 'refused');
