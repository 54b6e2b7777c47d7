/** Calls to the Credits contract as its interface says them, and its events as they are read: without a chain. */
import { encodeAbiParameters, encodeErrorResult, encodeEventTopics, type Hex, parseAbiParameters, toHex } from 'viem';
import { describe, expect, it } from 'vitest';
import { commitment } from '../../edge/chain/commitment.ts';
import {
  creditAddresses,
  creditsAbi,
  decodeCall,
  decodeCreditsLog,
  decodeRevert,
  marketAbi,
  mintData,
  mintDayData,
  parseTokenId,
  partsOf,
  residualTokenIdOf,
  tokenIdOf,
} from '../../edge/chain/credits-contract.ts';

const POINT = commitment('urn:sejong:mp:000123') as Hex;
const DEVICE = commitment('did:key:z6Mk') as Hex;
const OWNER = `0x${'ab'.repeat(20)}` as Hex;
const signature = Uint8Array.from({ length: 64 }, (_, i) => i);
const proof = { origin: POINT, size: 7, nodes: [new Uint8Array(32).fill(5)] };

/** A field of a word, by where it stands: from the highest bit on. */
const field = (word: bigint, from: number, bits: number): bigint =>
  (word >> BigInt(256 - from - bits)) & ((1n << BigInt(bits)) - 1n);

describe('calls', () => {
  it('write a reading in three words', () => {
    const reading = {
      index: 9,
      iat: 1_795_507_193,
      epoch: 2,
      seq: 5,
      registerWh: 2 ** 53 - 1,
      powerW: -3,
      alg: -8,
      signature,
    };
    const call = decodeCall(
      mintData('did:key:z6Mk', 'urn:sejong:mp:000123', [reading, { ...reading, powerW: undefined, alg: -19 }], proof),
    );
    expect(call?.functionName).toBe('mint');
    const [iss, sub, readings, given] = (call as NonNullable<typeof call>).args as unknown as [
      string,
      string,
      { r: Hex; s: Hex; fields: bigint }[],
      object,
    ];
    expect([iss, sub, given]).toEqual([
      'did:key:z6Mk',
      'urn:sejong:mp:000123',
      { origin: POINT, size: 7n, nodes: [toHex(new Uint8Array(32).fill(5))] },
    ]);
    const [a, b] = readings.map(({ fields }) => fields) as [bigint, bigint];
    expect([
      field(a, 0, 48),
      field(a, 48, 40),
      field(a, 88, 64),
      field(a, 152, 56),
      field(a, 208, 8),
      field(a, 216, 40),
    ]).toEqual([9n, 1_795_507_193n, (2n << 32n) | 5n, 2n ** 53n - 1n, 3n, 2n ** 40n - 3n]);
    expect([field(b, 208, 8), field(b, 216, 40)]).toEqual([0n, 0n]);
    expect(readings[0]).toMatchObject({ r: toHex(signature.subarray(0, 32)), s: toHex(signature.subarray(32)) });
  });

  it('write a day profile with four registers to a word, and the last alone', () => {
    const registersWh = Array.from({ length: 25 }, (_, i) => 1000 + i);
    const call = decodeCall(
      mintDayData(
        'did:key:zDn',
        'urn:x',
        { index: 1, iat: 2, epoch: 3, seq: 4, day: 20_781, registersWh, alg: -9, signature },
        proof,
      ),
    );
    const profile = call?.args[2] as { head: bigint; registers: bigint[] };
    expect([
      field(profile.head, 0, 48),
      field(profile.head, 48, 40),
      field(profile.head, 88, 64),
      field(profile.head, 152, 32),
      field(profile.head, 184, 72),
    ]).toEqual([1n, 2n, (3n << 32n) | 4n, 20_781n, 0n]);
    const lanes = profile.registers.flatMap((word) => [0, 64, 128, 192].map((at) => Number(field(word, at, 64))));
    expect(lanes).toEqual([...registersWh, 0, 0, 0]);
  });
});

describe('tokens', () => {
  it('are called by metering point, day and version, or KST month', () => {
    const id = tokenIdOf(POINT, 20_781, 3);
    expect(id.slice(0, 50)).toBe(POINT.slice(0, 50));
    expect(parseTokenId(id)).toMatchObject({ type: 'day', number: 20_781, version: 3 });
    // November 2026 in Korea begins at 15:00Z of the last of October.
    const month = Date.parse('2026-10-31T15:00:00Z') / 1000;
    expect(parseTokenId(residualTokenIdOf(POINT, month))).toMatchObject({
      type: 'residual',
      number: 56 * 12 + 10,
      version: 0,
    });
  });

  it('stand in contracts that are at addresses which are known before', () => {
    const { credits, krw, market } = creditAddresses(OWNER);
    expect(new Set([credits, krw, market]).size).toBe(3);
  });
});

describe('events', () => {
  const minted = (debited: bigint, amounts: bigint[]) => ({
    topics: encodeEventTopics({
      abi: creditsAbi,
      eventName: 'Minted',
      args: { id: BigInt(tokenIdOf(POINT, 20_781, 1)), meteringPoint: POINT, device: DEVICE },
    }) as Hex[],
    data: encodeAbiParameters(parseAbiParameters('address, uint40, uint256, uint256, uint64, uint64, uint256[]'), [
      OWNER,
      20_781 * 86_400 + 7200,
      900n - debited,
      debited,
      100n,
      1000n,
      amounts,
    ]),
  });

  it('of a mint are read slot by slot, and what was debited is taken off the first', () => {
    const lanes = (...wh: number[]): bigint =>
      // -1: left out.
      wh.reduce((word, x, i) => word | ((x < 0 ? 0n : BigInt(x) | (1n << 31n)) << BigInt(32 * (7 - i))), 0n);
    const { topics, data } = minted(250n, [lanes(200, -1, 300, 100, 0, 100, 50, 25), lanes(25, 0)]);
    const said = decodeCreditsLog(topics, data);
    expect(said).toMatchObject({
      event: 'Minted',
      args: {
        amounts: [200, 0, 300, 100, 0, 100, 50, 25, 25, 0],
        skipped: [1],
        debited: 250,
        owner: OWNER.toLowerCase(),
      },
    });
    const parts = partsOf(said as NonNullable<typeof said>, { pointOf: () => undefined, claimedOf: () => 0 });
    const first = 20_781 * 86_400 + 7200;
    expect(parts.map(({ slot, wh }) => [((slot as number) - first) / 3600, wh])).toEqual([
      [0, 0],
      [2, 250],
      [3, 100],
      [5, 100],
      [6, 50],
      [7, 25],
      [8, 25],
    ]);
    expect(new Set(parts.map(({ point, token, version }) => `${point} ${token} ${version}`))).toEqual(
      new Set([`${POINT} ${tokenIdOf(POINT, 20_781, 1)} 1`]),
    );
  });

  it('of a mint after a withdrawal take off of each slot what was claimed of it, and then what else is owed', () => {
    const { topics, data } = minted(150n, [(200n << 224n) | (300n << 192n)]);
    const said = decodeCreditsLog(topics, data) as NonNullable<ReturnType<typeof decodeCreditsLog>>;
    const first = 20_781 * 86_400 + 7200;
    const claimedOf = (_: Hex, slot: number): number => (slot === first ? 0 : 120);
    expect(partsOf(said, { pointOf: () => undefined, claimedOf }).map(({ wh }) => wh)).toEqual([170, 180]);
  });

  it.each([
    ['abi.encode', toHex(1_795_507_200, { size: 32 })],
    ['packed', toHex(1_795_507_200, { size: 5 })],
  ])('of a claim name their slot (%s), and their metering point by the token', (_, slot) => {
    const token = tokenIdOf(POINT, 20_781, 0);
    const topics = encodeEventTopics({
      abi: creditsAbi,
      eventName: 'ClaimSingle',
      args: { issuer: OWNER, holder: OWNER, topic: 1n },
    }) as Hex[];
    const data = encodeAbiParameters(parseAbiParameters('uint256, uint256, bytes'), [BigInt(token), 412n, slot]);
    const said = decodeCreditsLog(topics, data) as NonNullable<ReturnType<typeof decodeCreditsLog>>;
    expect(partsOf(said, { pointOf: (of) => (of === token ? POINT : undefined), claimedOf: () => 0 })).toEqual([
      { point: POINT, token, slot: 1_795_507_200, version: 0, wh: 412 },
    ]);
    expect(said.args.id).toBe(token.replace(/^0x0+/, '0x'));
  });

  it('of the market are read, and those of transfers and roles are none of these', () => {
    const topics = encodeEventTopics({
      abi: marketAbi,
      eventName: 'Listed',
      args: { listing: 1n, seller: OWNER, id: 5n },
    }) as Hex[];
    const data = encodeAbiParameters(parseAbiParameters('uint64, uint128, uint40'), [7673n, 70_000n, 2 ** 40 - 1]);
    expect(decodeCreditsLog(topics, data)).toEqual({
      event: 'Listed',
      args: { listing: 1, seller: OWNER.toLowerCase(), id: 5, wh: 7673, price: 70_000, expiry: 2 ** 40 - 1 },
    });
    expect(decodeCreditsLog([toHex(1, { size: 32 })], '0x')).toBeUndefined();
  });
});

it('reverts are read in the words of the contracts', () => {
  const data = encodeErrorResult({ abi: creditsAbi, errorName: 'OverCapacity', args: [1_795_507_200, 7673n, 2690n] });
  expect(decodeRevert(data)).toMatchObject({ name: 'OverCapacity', text: 'OverCapacity(1795507200, 7673, 2690)' });
  expect(decodeRevert('0x')).toBeUndefined();
  expect(decodeRevert('0x12345678')).toBeUndefined();
});
