/** What is fuzzed, and by what each accepted input is held to be right: never by the parser that took it. */
import { dlmsPush } from '../../edge/drivers/dlms/push.ts';
import type { HeardDriver } from '../../edge/drivers/driver.ts';
import { SerialFault } from '../../edge/drivers/fault.ts';
import { RtuParser } from '../../edge/drivers/modbus/rtu.ts';
import { EdgeError } from '../../edge/errors.ts';
import { verifyInPool, verifyKey } from '../../edge/intake/verify.ts';
import { openCheckpoint, parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { leafHash, verifyInclusion } from '../../edge/log/merkle.ts';
import { parseTilePath } from '../../edge/log/tile.ts';
import { Tokens } from '../../edge/tokens.ts';
import { openClaim, readClaim } from '../../edge/verify.ts';
import { equalBytes } from '../../edge/wire/bytes.ts';
import { decodeSign1, encodeSign1, sigStructure } from '../../edge/wire/cose.ts';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { verifyEd25519 } from '../../edge/wire/ed25519.ts';
import { decodeEnvelope, encodeEnvelope } from '../../edge/wire/envelope.ts';
import { decodeHashEnvelope } from '../../edge/wire/hash-envelope.ts';
import { decodePack, encodePack, resolveLegacy, type SenmlRecord } from '../../edge/wire/senml.ts';
import { crc as bitwise, say } from '../../firmware-sim/serial/dlms/frames.ts';
import { CHECK_TARGETS } from './check-targets.ts';
import { corpus, type Target } from './fuzz.ts';
import { DEVICE, GATEWAY, ORIGIN, P256_DEVICE, VERIFIER_KEY } from './keys.ts';
import { METER_TARGETS } from './meter-targets.ts';
import { type Below, mutate } from './mutate.ts';
import { obdTarget } from './obd-target.ts';
import { modbusTcp } from './tcp-target.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** As accept does it, in the thread pool, for two devices that are enrolled. */
const enrolled = new Map(
  [DEVICE, P256_DEVICE].map((device) => [device.did, { ...device, pool: verifyKey(publicKeyFromDid(device.did)) }]),
);
const deviceKey = verifyKey(publicKeyFromDid(DEVICE.did));
async function openEnvelope(bytes: Uint8Array) {
  const envelope = decodeEnvelope(bytes);
  const device = enrolled.get(envelope.iss);
  if (!device) throw new EdgeError('ISSUER_MISMATCH', envelope.iss);
  const valid = await new Promise<boolean>((resolve) => verifyInPool(device.pool, envelope, resolve));
  if (!valid) throw new EdgeError('SIGNATURE_INVALID', 'fuzz');
  return { device, envelope };
}

const envelope: Target = {
  name: 'envelope',
  judge: async (bytes) => {
    const { device, envelope: e } = await openEnvelope(bytes);
    const { verify } = device.pool.verifier;
    if (!verify(e.signature, e.signed, device.publicKey)) return 'noble finds the signature invalid';
    if (!equalBytes(encodeSign1(decodeSign1(bytes)), bytes)) return 'the COSE_Sign1 has another spelling';
    if (!equalBytes(encodePack(e.records), e.payload)) return 'the pack has another spelling';
    if (
      !equalBytes(
        encodeEnvelope(e, e.records, () => e.signature),
        bytes,
      )
    )
      return 'the envelope has another spelling';
    return undefined;
  },
  // The device itself signs nonsense: what its key vouches for must still have one spelling only.
  change: (original, other, below) => {
    const parts = [original, other].map((bytes) => {
      try {
        return decodeSign1(bytes);
      } catch {
        return decodeSign1(corpus('envelope', 'valid')[0]?.bytes as Uint8Array);
      }
    }) as [ReturnType<typeof decodeSign1>, ReturnType<typeof decodeSign1>];
    const [mine, theirs] = parts;
    const changesHeader = below(3) === 0;
    const protectedHeader = changesHeader
      ? mutate(mine.protectedHeader, theirs.protectedHeader, below)
      : mine.protectedHeader;
    const payload = changesHeader ? mine.payload : mutate(mine.payload, theirs.payload, below);
    const { sign } = text(mine.protectedHeader).includes(P256_DEVICE.did) ? P256_DEVICE : DEVICE;
    return encodeSign1({ protectedHeader, payload, signature: sign(sigStructure(protectedHeader, payload)) });
  },
};

const logKey = parseVerifierKey(VERIFIER_KEY);
const bodyOf = (note: string): string => note.slice(0, note.indexOf('\n\n') + 1);
/** The text of all checkpoints that the log's key has ever signed. */
const signedBodies = new Set(corpus('checkpoint', 'valid').map(({ bytes }) => bodyOf(text(bytes))));

const checkpoint: Target = {
  name: 'checkpoint',
  judge: (bytes) => {
    const { origin, size, root } = openCheckpoint(text(bytes), logKey);
    const body = `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
    return signedBodies.has(body) ? undefined : `a checkpoint that nobody signed: ${JSON.stringify(body)}`;
  },
};

type Proven = { index: number; entry: Uint8Array; reading: Uint8Array | undefined; size: number };
/** The envelope that is sealed in the corpus, for the receipt that has none in it. */
let sealedEnvelope: Uint8Array | undefined;
function ownEnvelope(): Uint8Array {
  const file = sealedEnvelope
    ? undefined
    : corpus('receipt', 'valid').find(({ name }) => name.endsWith('sealed-opened'));
  sealedEnvelope ??= Buffer.from(JSON.parse(text(file?.bytes as Uint8Array)).opening.envelope, 'base64');
  return sealedEnvelope;
}

/** All that a verifier does, with its errors as they are. */
function verifyWhole(bytes: Uint8Array): Proven {
  const claim = readClaim(bytes, ownEnvelope());
  const { envelope, sealedBy } = openClaim(claim);
  if (sealedBy !== undefined) {
    const { signature, signed, iss } = decodeHashEnvelope(claim.entry);
    if (iss !== GATEWAY.did || !verifyEd25519(signature, signed, GATEWAY.publicKey))
      throw new EdgeError('SIGNATURE_INVALID', 'fuzz');
  }
  if (
    envelope &&
    (envelope.iss !== DEVICE.did || !verifyEd25519(envelope.signature, envelope.signed, DEVICE.publicKey))
  )
    throw new EdgeError('SIGNATURE_INVALID', 'fuzz');
  const { size, root } = claim.open(logKey);
  if (!verifyInclusion(leafHash(claim.entry), claim.index, size, claim.path, root))
    throw new EdgeError('RECEIPT_INVALID', 'fuzz');
  return { index: claim.index, entry: claim.entry, reading: envelope?.signed, size };
}
const factOf = ({ index, entry, reading, size }: Proven): string =>
  `${index} of ${size}: ${hex(entry)} ${reading ? hex(reading) : 'sealed'}`;
let facts: Set<string> | undefined;

const receipt: Target = {
  name: 'receipt',
  judge: (bytes) => {
    facts ??= new Set(corpus('receipt', 'valid').map((file) => factOf(verifyWhole(file.bytes))));
    const fact = factOf(verifyWhole(bytes));
    return facts.has(fact) ? undefined : `it proves what is not so: ${fact}`;
  },
};

const tile: Target = {
  name: 'tile',
  judge: (bytes) => {
    const path = text(bytes);
    const found = parseTilePath(path);
    if (!found) throw new EdgeError('NOT_FOUND', 'fuzz');
    // Digit by digit, as C2SP tlog-tiles has it.
    const [, level, ...rest] = path.split('/');
    const width = rest.at(-2)?.endsWith('.p') ? rest.pop() : undefined;
    const last = rest.length - 1;
    rest[last] = width === undefined ? (rest[last] as string) : (rest[last] as string).slice(0, -2);
    const groups = rest.map((group, i) => (i < last ? group.slice(1) : group));
    const right =
      `${found.level}` === level &&
      rest.every((group, i) => (i < last ? /^x\d\d\d$/ : /^\d\d\d$/).test(group)) &&
      (groups.length === 1 || groups[0] !== '000') &&
      BigInt(groups.join('')) === BigInt(found.n) &&
      `${found.width}` === (width ?? '256') &&
      (width === undefined || (found.width > 0 && found.width < 256));
    return right ? undefined : `read as ${JSON.stringify(found)}`;
  },
};

const ASCII = /^[\x20-\x7e]{1,128}$/;
const flawOf = (r: SenmlRecord): boolean =>
  !ASCII.test(r.n) ||
  [r.v, r.vs, r.vb, r.vd].filter((v) => v !== undefined).length !== 1 ||
  (r.v !== undefined && !Number.isFinite(r.v)) ||
  (r.t !== undefined && !Number.isInteger(r.t));
const senml: Target = {
  name: 'senml',
  judge: (bytes) => {
    const records = resolveLegacy(bytes);
    if (records.length === 0 || records.some(flawOf)) return `resolved to ${JSON.stringify(records)}`;
    const again = decodePack(encodePack(records));
    return JSON.stringify(again) === JSON.stringify(decodePack(encodePack(again))) && again.length === records.length
      ? undefined
      : `${JSON.stringify(records)} is signed as ${JSON.stringify(again)}`;
  },
};

/** The tokens of people that this gateway made, by their jti. */
const MADE: readonly string[] = ['made-viewer', 'made-operator'];
const MAX_LIFE_OF_OTHERS = 7200;
const tokens = new Tokens(ORIGIN, GATEWAY.did, GATEWAY.keys, (id) =>
  MADE.includes(id) ? { revokedMs: null } : undefined,
);
const NOBODY = new EdgeError('TOKEN_INVALID', 'fuzz');
/** The claims of a token that one of the two keys has signed, by @noble/ed25519 over the text as it stands. */
function claimsBy(token: string, publicKey: Uint8Array): Record<string, unknown> | undefined {
  const [header, claims, signature, more] = token.split('.');
  if (more !== undefined || header === undefined || claims === undefined || signature === undefined) return undefined;
  const signed = Buffer.from(`${header}.${claims}`);
  if (!verifyEd25519(Uint8Array.from(Buffer.from(signature, 'base64url')), signed, publicKey)) return undefined;
  return JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as Record<string, unknown>;
}
const isFor = (aud: unknown): boolean => aud === ORIGIN || (Array.isArray(aud) && aud.includes(ORIGIN));

const jwt: Target = {
  name: 'jwt',
  judge: async (bytes) => {
    const token = text(bytes);
    const asDevice = await tokens
      .device(token, DEVICE.did, deviceKey.object, deviceKey.verifier.jwsAlgs, false)
      .then(() => true, refused);
    const asPerson = await tokens.person(token).then((p) => p, refused);
    if (!asDevice && !asPerson) throw NOBODY;
    const claims = claimsBy(token, asDevice ? DEVICE.publicKey : GATEWAY.publicKey);
    if (!claims || !isFor(claims.aud)) return 'a token that nobody signed for this gateway';
    const life = Number(claims.exp) - Number(claims.iat);
    if (asPerson && !MADE.includes(String(claims.jti)) && !(life <= MAX_LIFE_OF_OTHERS))
      return 'a long token that is in no list';
    if (asPerson)
      return claims.iss === GATEWAY.did && claims.sub === asPerson.name && claims.role === asPerson.role
        ? undefined
        : 'another person than the token says';
    return claims.sub === DEVICE.did && life <= 3600 ? undefined : 'a token of another device, or one that lives long';
  },
  change: (original, other, below) => {
    const [header, claims] = text(original).split('.');
    const inner = Buffer.from(claims ?? '', 'base64url');
    const changed = mutate(inner, Buffer.from(text(other).split('.')[1] ?? '', 'base64url'), below);
    const signed = `${header}.${changed.toString('base64url')}`;
    const by = below(2) ? DEVICE : GATEWAY;
    return Buffer.from(`${signed}.${Buffer.from(by.sign(Buffer.from(signed))).toString('base64url')}`);
  },
};
/** A refusal is one of two answers here; anything else is a crash. */
const refused = (error: unknown): undefined => {
  if (!(error instanceof EdgeError) || error.act !== 'refuse') throw error;
};

const UNIT = 1;
const REGISTERS = 4;
/** CRC-16/MODBUS bit by bit, Serial Line section 6.2.2. */
function plainCrc(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  }
  return crc;
}
const isFrame = (bytes: Uint8Array): boolean =>
  plainCrc(bytes.subarray(0, -2)) === ((bytes.at(-2) as number) | ((bytes.at(-1) as number) << 8));

const rtu: Target = {
  name: 'rtu',
  judge: (bytes, below: Below) => {
    const parser = new RtuParser(UNIT, { functionCode: 3, address: 0, count: REGISTERS });
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + below(12);
      const answer = parser.push(bytes.subarray(at, next));
      at = Math.min(next, bytes.length);
      if (!answer) continue;
      // The frame must stand in what was heard so far.
      for (let from = 0; from < at; from++) {
        const length = 'words' in answer ? 5 + 2 * REGISTERS : 5;
        const frame = bytes.subarray(from, from + length);
        if (from + length > at || frame[0] !== UNIT || !isFrame(frame)) continue;
        if ('exception' in answer && frame[1] === 0x83 && frame[2] === answer.exception) return undefined;
        if (!('words' in answer) || frame[1] !== 3 || frame[2] !== 2 * REGISTERS) continue;
        const words = Array.from(answer.words, (w) => [w >> 8, w & 255]).flat();
        if (words.every((byte, i) => byte === frame[3 + i])) return undefined;
      }
      return `an answer that nobody gave: ${JSON.stringify(answer)}`;
    }
    throw new EdgeError('REQUEST_INVALID', 'no answer in it');
  },
};

/** Frames with right checksums, by the twin's own arithmetic, and nothing that lies between them. */
function wholeFrames(bytes: Uint8Array): Uint8Array {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = (((bytes[at + 1] as number) & 7) << 8) | (bytes[at + 2] as number);
    const inner = [...bytes.subarray(at + 1, at + 1 + length)];
    const [low, high] = bitwise(inner.slice(0, -2));
    const right = inner.length === length && length > 6 && inner.at(-2) === low && inner.at(-1) === high;
    if (bytes[at] !== 0x7e || bytes[at + 1 + length] !== 0x7e || !right) at++;
    else {
      frames.push(bytes.subarray(at, at + length + 2));
      at += length + 1;
    }
  }
  return Buffer.concat(frames);
}

const pushed = (): HeardDriver =>
  dlmsPush.create({
    settings: {},
    device: {},
    values: Object.entries({ '1-0:1.8.0': 'Wh', '1-0:1.7.0': 'W', '1-0:32.7.0': 'V' }).map(([name, unit]) => ({
      name,
      unit,
      billed: false,
      required: false,
      scale: 1,
      from: {},
    })),
    medium: 'tty',
    secret: () => new Uint8Array(),
    mark: () => undefined,
    nextNumber: () => 0,
  }) as HeardDriver;

const readingsIn = (heard: unknown[]): string[] =>
  heard.filter((one) => !(one instanceof SerialFault)).map((one) => JSON.stringify(one));

const dlms: Target = {
  name: 'dlms',
  judge: (bytes, below: Below) => {
    const driver = pushed();
    const heard: unknown[] = [];
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + below(90);
      heard.push(...driver.hear(bytes.subarray(at, next), 0));
      at = next;
    }
    const readings = readingsIn(heard);
    if (readings.length === 0) throw new EdgeError('REQUEST_INVALID', 'no reading in it');
    const rightly = readingsIn(pushed().hear(wholeFrames(bytes), 0));
    const wrong = readings.find((reading) => !rightly.includes(reading));
    return wrong === undefined ? undefined : `a reading out of what has no right checksum: ${wrong}`;
  },
  // A meter itself sends nonsense: what its checksums vouch for must neither crash nor hang.
  change: (original, other, below) => {
    const start = original.indexOf(0xe6);
    const theirs = other.indexOf(0xe6);
    const body = mutate(original.subarray(start + 3, start + 1200), other.subarray(theirs + 3, theirs + 1200), below);
    return Uint8Array.from(say([3], [2, 0x23], 0x13, [0xe6, 0xe7, 0, ...body.subarray(0, 1900)]));
  },
};

export const TARGETS: readonly Target[] = [
  envelope,
  receipt,
  checkpoint,
  tile,
  senml,
  jwt,
  rtu,
  modbusTcp,
  dlms,
  obdTarget,
  ...METER_TARGETS,
  ...CHECK_TARGETS,
];
