/**
 * Whether the contract and edge/wire read the same: over envelopes of both shapes that credits come of, envelopes that
 * are nearly so, and what becomes of them when bytes are changed. Each input is asked of both; they must agree on whether
 * it is taken, and on every value. Seeded: the same seed makes the same inputs on every machine.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import {
  createWalletClient,
  decodeFunctionResult,
  encodeFunctionData,
  type Hex,
  http,
  type PublicClient,
  parseAbi,
  toHex,
} from 'viem';
import { EdgeError } from '../../edge/errors.ts';
import { billedOf, DAY, DAY_BOUNDARIES, EXPORT_REGISTER, HOUR, POWER } from '../../edge/wire/boundary.ts';
import { concatBytes } from '../../edge/wire/bytes.ts';
import { type CborMap, type CborValue, encodeCbor } from '../../edge/wire/cbor.ts';
import { ALG_ED25519, ALG_EDDSA, ALG_ES256, ALG_ESP256, encodeSign1 } from '../../edge/wire/cose.ts';
import { decodeDid, didFromPublicKey } from '../../edge/wire/did.ts';
import { counterBytes, decodeEnvelope } from '../../edge/wire/envelope.ts';
import { checkAlg, VERIFIERS } from '../../edge/wire/keys.ts';
import { type Below, mutate, numbers } from '../fuzz/mutate.ts';
import { CITY, type TestChain } from '../support/anvil.ts';

const CONTRACTS = join(import.meta.dirname, '../../contracts');
const ABI = parseAbi([
  'function enroll(string iss, string sub)',
  'function readMany(bytes[] inputs) view returns (bytes32[] digests)',
]);
/** As much as an anvil lets a call use, at what a profile costs to read. */
const AT_A_TIME = 100;
const REFUSED = `0x${'00'.repeat(32)}`;

/** Registered at both: a device, and what it measures. Lengths of a DID and of a URN on both sides of a byte's limit. */
const PLANTS = [
  { iss: didFromPublicKey(new Uint8Array(32).fill(7)), sub: 'urn:sejong:mp:000123' },
  { iss: didFromPublicKey(Uint8Array.from([2, ...new Uint8Array(32).fill(9)]), 'P-256'), sub: 'u' },
  { iss: didFromPublicKey(new Uint8Array(32).fill(8)), sub: `urn:${'x'.repeat(252)}` },
  {
    iss: didFromPublicKey(Uint8Array.from([3, ...new Uint8Array(32).fill(5)]), 'P-256'),
    sub: 'urn:sejong:mp:23-letters',
  },
];
const POINT_OF = new Map(PLANTS.map(({ iss, sub }) => [iss, sub]));

export type Disagreement = { input: Hex; wire: string; contract: string };
export type Outcome = {
  cases: number;
  /** By both, of each shape. */
  readings: number;
  profiles: number;
  /** Taken by edge/wire as an envelope, but of neither shape. */
  unbilled: number;
  disagreements: Disagreement[];
};

// --- edge/wire -------------------------------------------------------------------------------------------------------

const word = (n: number): Uint8Array => {
  const bytes = new Uint8Array(32).fill(n < 0 ? 0xff : 0);
  new DataView(bytes.buffer).setBigInt64(24, BigInt(n));
  return bytes;
};

type Answer = { kind: 'reading' | 'profile'; digest: Hex } | { kind: 'unbilled' | 'refused'; why: string };

/** What the gateway makes of an input, and the hash of its values as the contract's reader makes it. */
function readHere(input: Uint8Array): Answer {
  try {
    const envelope = decodeEnvelope(input);
    if (POINT_OF.get(envelope.iss) !== envelope.sub) return { kind: 'refused', why: 'not a plant' };
    checkAlg(VERIFIERS[decodeDid(envelope.iss).type], envelope.alg);
    const billed = billedOf(envelope);
    if (billed === undefined) return { kind: 'unbilled', why: 'neither shape' };
    const profile = billed.shape === 'profile';
    const power = profile ? undefined : billed.powerW;
    const values = concatBytes(
      word(envelope.alg),
      word(envelope.iat),
      new Uint8Array(24),
      counterBytes(envelope.epoch, envelope.seq),
      word(profile ? billed.day : 0),
      Uint8Array.of(power === undefined ? 0 : 1),
      word(power ?? 0),
      ...(profile ? billed.registersWh : [billed.registerWh]).map(word),
      sha256(envelope.signed),
    );
    return { kind: billed.shape, digest: toHex(keccak_256(values)) };
  } catch (error) {
    if (error instanceof EdgeError && error.act === 'refuse') return { kind: 'refused', why: error.message };
    throw error;
  }
}

// --- the contract ----------------------------------------------------------------------------------------------------

/** @returns a function that asks the contract, for each of the inputs, what it makes of it */
export async function deployReader(chain: TestChain): Promise<(inputs: Uint8Array[]) => Promise<readonly Hex[]>> {
  const { client } = chain;
  const wallet = createWalletClient({ account: CITY, transport: http(chain.rpc) });
  const send = async (hash: Promise<Hex>): Promise<Hex | null | undefined> => {
    const receipt = await client.waitForTransactionReceipt({ hash: await hash });
    if (receipt.status !== 'success') throw new Error('the reader was not deployed');
    return receipt.contractAddress;
  };
  const common = { chain: null, gas: 10_000_000n } as const;
  const address = (await send(wallet.deployContract({ abi: ABI, bytecode: compileReader(), ...common }))) as Hex;
  for (const { iss, sub } of PLANTS)
    await send(wallet.writeContract({ address, abi: ABI, functionName: 'enroll', args: [iss, sub], ...common }));
  return (inputs) => ask(client, address, inputs);
}

async function ask(client: PublicClient, to: Hex, inputs: Uint8Array[]): Promise<readonly Hex[]> {
  const call = { abi: ABI, functionName: 'readMany' } as const;
  const data = encodeFunctionData({ ...call, args: [inputs.map((input) => toHex(input))] });
  const { data: answer } = await client.call({ to, data, gas: 30_000_000n });
  return decodeFunctionResult({ ...call, data: answer as Hex });
}

/** It is a contract of the tests, so there is no artifact of it. */
function compileReader(): Hex {
  const out = mkdtempSync(join(tmpdir(), 'sejong-reader-'));
  const bin = join(CONTRACTS, '../node_modules/.bin');
  try {
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
    const args = ['build', 'test/Reader.sol', '--out', join(out, 'out'), '--cache-path', join(out, 'cache')];
    execFileSync(join(bin, 'forge'), args, { cwd: CONTRACTS, env, stdio: ['ignore', 'ignore', 'pipe'] });
    const compiled = readFileSync(join(out, 'out/Reader.sol/Reader.json'), 'utf8');
    return (JSON.parse(compiled) as { bytecode: { object: Hex } }).bytecode.object;
  } finally {
    rmSync(out, { recursive: true });
  }
}

// --- inputs ----------------------------------------------------------------------------------------------------------

const pick = <T>(below: Below, list: readonly T[]): T => list[below(list.length)] as T;

/** At the limits of CBOR's forms, and of what the contract has bits for. */
const LIMITS = [
  0,
  1,
  23,
  24,
  255,
  256,
  65_535,
  65_536,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 39 - 1,
  2 ** 39,
  2 ** 40 - 1,
  2 ** 40,
];
const LARGE = [2 ** 52, 2 ** 53 - 2, 2 ** 53 - 1];

function anyNumber(below: Below, most: number): number {
  const n =
    below(3) === 0 ? below(2 ** 31) * 2 ** below(23) : pick(below, [...LIMITS, ...LARGE]) + pick(below, [-1, 0, 0, 1]);
  return Math.max(0, Math.min(n, most));
}

const record = (n: string, u: string, v: CborValue): CborMap =>
  new Map<number, CborValue>([
    [0, n],
    [1, u],
    [2, v],
  ]);

/** What an envelope is made of, before it is bytes: whatever may be changed about it. */
type Parts = { header: CborMap; claims: CborMap; pack: CborValue[]; signature: Uint8Array };

function validParts(below: Below): Parts {
  const { iss, sub } = pick(below, PLANTS);
  const algs = VERIFIERS[decodeDid(iss).type].algs;
  const cti = counterBytes(anyNumber(below, 2 ** 32 - 1), anyNumber(below, 2 ** 32 - 1));
  const profile = below(3) === 0;
  const day = pick(below, [3107, 20_000, 20_800, 49_709, 3107 + below(46_000)]);
  const iat = profile ? Math.max((day + 1) * DAY, anyNumber(below, 2 ** 40 - 1)) : anyNumber(below, 2 ** 40 - 1);
  const pack: CborValue[] = [];
  if (profile) {
    let register = anyNumber(below, 2 ** 53 - 1 - 25 * 6000);
    const falls = below(8) === 0;
    for (let i = 0; i < DAY_BOUNDARIES; i++) {
      pack.push(record(EXPORT_REGISTER, 'Wh', register).set(6, day * DAY + i * HOUR));
      register = falls ? anyNumber(below, 2 ** 53 - 1) : register + below(6000);
    }
  } else {
    pack.push(record(EXPORT_REGISTER, 'Wh', anyNumber(below, 2 ** 53 - 1)));
    const power = anyNumber(below, 2 ** 39 - 1);
    if (below(2) === 0) pack.push(record(POWER, 'W', below(2) === 0 ? power : -1 - power));
  }
  const claims: CborMap = new Map<number, CborValue>([
    [1, iss],
    [2, sub],
    [6, iat],
    [7, cti],
  ]);
  const header: CborMap = new Map<number, CborValue>([
    [1, pick(below, algs)],
    [3, 112],
  ]);
  return { header, claims, pack, signature: Uint8Array.from({ length: 64 }, () => below(256)) };
}

const encode = ({ header, claims, pack, signature }: Parts): Uint8Array =>
  encodeSign1({
    protectedHeader: encodeCbor(new Map(header).set(15, claims)),
    payload: encodeCbor(pack),
    signature,
  });

/** One thing that an honest device might get wrong, or a careful one might try: good CBOR all the same. */
function nearly(parts: Parts, below: Below): void {
  const { header, claims, pack } = parts;
  const i = below(pack.length);
  const one = pack[i];
  if (!(one instanceof Map)) return; // it was changed before
  const changes: (() => unknown)[] = [
    () => one.set(1, pick(below, ['kWh', 'wh', 'W', 'WH', 'Wh ', 'J'])),
    () => one.set(0, pick(below, ['1-0:1.8.0', '1-0:2.8.1', '1-0:16.7.0', '1-0:2.8.0', ''])),
    () => one.set(2, pick(below, [0.5, 1e-7, -1, -(2 ** 39), -(2 ** 39) - 1, 2 ** 39, 2 ** 53 - 1, null, true, '5'])),
    () => one.delete(pick(below, [0, 1, 2, 6])),
    () => one.set(pick(below, [-2, -3, -4, -5, -1, 5, 7]), pick(below, [0, 1, 'x'])),
    () => one.set(pick(below, [3, 4, 8]), pick<CborValue>(below, ['text', true, new Uint8Array(2)])),
    () => one.set(6, pick(below, [0, 3600, 2 ** 28 - 1, 2 ** 28, 20_800 * DAY, 0.5, -5, 2 ** 32])),
    () => pack.push(pack[below(pack.length)] as CborValue),
    () => pack.push(record('1-0:32.7.0', 'V', 230)),
    () => pack.unshift(record(POWER, 'W', 5)),
    () => pack.reverse(),
    () => pack.splice(i, 1),
    () => pack.splice(i, 0, below(9)),
    () => pack.splice(0, pack.length),
    // The pack begins with other base records, or is a profile of another day, or of hours that are none.
    () => pack.unshift(new Map<number, CborValue>([[-2, '1-0:']])),
    () => {
      const by = pick(below, [-1, 1, 60, 3600, -3600, DAY, -DAY, 2 ** 32 - 20_800 * DAY]);
      for (const r of pack)
        if (r instanceof Map && typeof r.get(6) === 'number') r.set(6, Math.max(0, (r.get(6) as number) + by));
    },
    () => {
      const t = one.get(6);
      if (typeof t === 'number') claims.set(6, t + DAY - below(3) + 1);
    },
    () => claims.set(6, pick(below, [2 ** 40, 2 ** 40 - 1, 2 ** 53 - 1, 0.5, -1, 0])),
    () => claims.set(7, new Uint8Array(pick(below, [0, 7, 8, 9]))),
    () => claims.set(2, pick(below, [...PLANTS.map((p) => p.sub), 'urn:other', 5])),
    () => claims.set(1, pick(below, [...PLANTS.map((p) => p.iss), 'did:key:z6Mk'])),
    () => claims.set(pick(below, [3, 4, 5, 8]), 5),
    () => header.set(1, pick(below, [ALG_ED25519, ALG_EDDSA, ALG_ES256, ALG_ESP256, -257, 'EdDSA'])),
    () => header.set(3, pick<CborValue>(below, [110, 111, 112, 113, 'application/senml+cbor'])),
    () => header.set(pick(below, [2, 4, 5, 16]), pick<CborValue>(below, [0, new Uint8Array(1)])),
    () => {
      parts.signature = parts.signature.slice(0, pick(below, [0, 63, 64]));
    },
  ];
  pick(below, changes)();
}

/** A change of one byte, where there is more to say than that it is refused: not of lengths, seldom of what is constant. */
function touch(bytes: Uint8Array, below: Below): Uint8Array {
  const out = Uint8Array.from(bytes);
  const at = below(4) === 0 ? out.length - 1 - below(64) : below(out.length);
  out[at] = below(2) === 0 ? (out[at] as number) ^ (1 << below(8)) : below(256);
  return out;
}

/** A number in a longer form than it needs, with all lengths around it as they must be then. */
function longForm(parts: Parts, below: Below): Uint8Array {
  const payload = encodeCbor(parts.pack);
  const header = encodeCbor(new Map(parts.header).set(15, parts.claims));
  const inPayload = below(2) === 0;
  const where = inPayload ? payload : header;
  const heads = [...where.keys()].filter((i) => (where[i] as number) >> 5 < 6 && ((where[i] as number) & 31) < 24);
  const at = pick(below, heads);
  const first = where[at] as number;
  const width = pick(below, [1, 2, 4, 8]);
  const digits = new Uint8Array(width);
  digits[width - 1] = first & 31;
  const longer = concatBytes(
    where.subarray(0, at),
    Uint8Array.of((first & 0xe0) | (24 + Math.log2(width))),
    digits,
    where.subarray(at + 1),
  );
  return encodeSign1({
    protectedHeader: inPayload ? header : longer,
    payload: inPayload ? longer : payload,
    signature: parts.signature,
  });
}

function input(below: Below): Uint8Array {
  const parts = validParts(below);
  const kind = below(12);
  if (kind < 2) return encode(parts);
  if (kind < 5) {
    nearly(parts, below);
    if (below(4) === 0) nearly(parts, below);
    return encode(parts);
  }
  if (kind === 5) return longForm(parts, below);
  const bytes = encode(parts);
  if (kind < 9) return touch(bytes, below);
  if (kind === 9) return touch(touch(bytes, below), below);
  return mutate(bytes, kind === 10 ? bytes : encode(validParts(below)), below);
}

// --- both ------------------------------------------------------------------------------------------------------------

/** @param progress told now and then how many are done */
export async function compareReaders(
  readThere: (inputs: Uint8Array[]) => Promise<readonly Hex[]>,
  { seed, cases, progress }: { seed: number; cases: number; progress?: (done: number) => void },
): Promise<Outcome> {
  const below = numbers(seed);
  const outcome: Outcome = { cases, readings: 0, profiles: 0, unbilled: 0, disagreements: [] };
  for (let done = 0; done < cases; done += AT_A_TIME) {
    const inputs = Array.from({ length: Math.min(AT_A_TIME, cases - done) }, () => input(below));
    const there = await readThere(inputs);
    for (const [i, bytes] of inputs.entries()) {
      const here = readHere(bytes);
      const digest = there[i] as Hex;
      if (here.kind === 'reading') outcome.readings++;
      else if (here.kind === 'profile') outcome.profiles++;
      else if (here.kind === 'unbilled') outcome.unbilled++;
      if (digest !== ('digest' in here ? here.digest : REFUSED))
        outcome.disagreements.push({
          input: toHex(bytes),
          wire: 'why' in here ? here.why : `${here.kind} ${here.digest}`,
          contract: digest === REFUSED ? 'refused' : digest,
        });
    }
    if (progress && done % 20_000 === 0) progress(done);
  }
  return outcome;
}
