/**
 * The Credits contract as the gateway uses it, with the market and the mock of deposit money beside it: calls written,
 * events and errors read. What they promise is documented in contracts/src/ICredits.sol and IMarket.sol. Pure, but for
 * the artifacts that deploying needs.
 */
import { readFileSync } from 'node:fs';
import {
  type Abi,
  decodeErrorResult,
  decodeEventLog,
  decodeFunctionData,
  encodeDeployData,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  keccak256,
  numberToHex,
  parseAbi,
  stringToBytes,
  toHex,
} from 'viem';

export const creditsAbi = parseAbi([
  'struct Reading { bytes32 r; bytes32 s; uint256 fields; }',
  'struct Profile { bytes32 r; bytes32 s; uint256 head; uint256[7] registers; }',
  'struct Proof { bytes32 origin; uint64 size; bytes32[] nodes; }',
  'struct Line { bytes32 meteringPoint; uint40 slot; uint32 wh; }',
  'function mint(string iss, string sub, Reading[] readings, Proof proof) returns (uint256 id)',
  'function mintDay(string iss, string sub, Profile profile, Proof proof) returns (uint256 id)',
  'function mintResidual(string iss, string sub, Reading[2] ends, Proof proof) returns (uint256 id)',
  'function claim(Line[] lines, bytes32 beneficiary, uint8 purpose, string recipient)',
  'function claimResidual(bytes32 meteringPoint, uint40 month, uint256 wh, bytes32 beneficiary, uint8 purpose, string recipient)',
  'function withdraw(bytes32 meteringPoint, uint32 day, string reason)',
  'function showKey(string iss, bytes32 x, bytes32 y)',
  'function setModulus(bytes32 device, uint64 modulus)',
  'function grantRole(bytes32 role, address account)',
  'function slotOf(bytes32 meteringPoint, uint40 slot) view returns (bool certified, uint32 wh, uint32 claimed)',
  'function boundaryOf(bytes32 meteringPoint, uint40 boundary) view returns (bool isFixed, uint64 register, uint32 deviceTag)',
  'function idOf(bytes32 meteringPoint, uint32 day) view returns (uint256)',
  'function residualIdOf(bytes32 meteringPoint, uint40 month) pure returns (uint256)',
  'function chargedOf(bytes32 meteringPoint) view returns (uint256)',
  'function debtOf(bytes32 meteringPoint) view returns (uint256)',
  'function balanceOf(address account, uint256 id) view returns (uint256)',
  'function isApprovedForAll(address account, address operator) view returns (bool)',
  'function setApprovalForAll(address operator, bool approved)',
  'function safeTransferFrom(address from, address to, uint256 id, uint256 value, bytes data)',
  'event Minted(uint256 indexed id, bytes32 indexed meteringPoint, bytes32 indexed device, address owner, uint40 firstSlot, uint256 minted, uint256 debited, uint64 startRegister, uint64 endRegister, uint256[] amounts)',
  'event ResidualMinted(uint256 indexed id, bytes32 indexed meteringPoint, bytes32 indexed device, address owner, uint40 from, uint40 until, uint256 minted, uint256 debited, uint64 startRegister, uint64 endRegister)',
  'event ClaimSingle(address indexed issuer, address indexed holder, uint256 indexed topic, uint256 id, uint256 value, bytes data)',
  'event Claimed(address indexed holder, bytes32 indexed beneficiary, uint8 indexed purpose, uint256 wh, string recipient)',
  'event Withdrawn(uint256 indexed id, bytes32 indexed meteringPoint, uint32 day, uint8 version, uint256 wh, string reason)',
  'event KeyShown(bytes32 indexed device, bytes32 x, bytes32 y)',
  'event ModulusSet(bytes32 indexed device, uint64 modulus)',
  'error NotAPlant(bytes32 device)',
  'error CustodyOfGateway(bytes32 device)',
  'error NoOwner(bytes32 device)',
  'error OutsidePeriod(bytes32 device, uint40 iat)',
  'error BadBatch()',
  'error NotAtBoundary(uint40 iat)',
  'error NotNeighbours(uint40 iat)',
  'error BadProfile(uint32 day, uint40 iat)',
  'error NotAnchored(bytes32 origin, uint64 size)',
  'error NotIncluded(bytes32 root, bytes32 computed)',
  'error BadProof()',
  'error RegisterFell(uint40 boundary, uint64 before, uint64 then)',
  'error OverCapacity(uint40 slot, uint256 wh, uint256 most)',
  'error SlotTaken(bytes32 meteringPoint, uint40 slot)',
  'error DayWithdrawn(bytes32 meteringPoint, uint32 day)',
  'error BoundaryFixed(bytes32 meteringPoint, uint40 boundary, uint64 register)',
  'error BadResidual(uint40 from, uint40 until)',
  'error NotCharged(bytes32 meteringPoint, uint256 charged, uint256 wh)',
  'error KeyNotShown(bytes32 device)',
  'error WrongKey(bytes32 device)',
  'error BadSignature(bytes32 device, uint256 number)',
  'error BadField()',
  'error NotForAnybody(address caller)',
  'error SlotClaimed(bytes32 meteringPoint, uint40 slot, uint256 left)',
  'error BadClaim()',
  'error TokenWithdrawn(uint256 id)',
  'error NothingToWithdraw(bytes32 meteringPoint, uint32 day)',
  'error ERC1155InvalidReceiver(address receiver)',
  'error ERC1155InsufficientBalance(address sender, uint256 balance, uint256 needed, uint256 tokenId)',
  'error AccessControlUnauthorizedAccount(address account, bytes32 neededRole)',
]);

export const marketAbi = parseAbi([
  'struct Listing { address seller; uint40 expiry; uint256 id; uint128 price; uint64 left; }',
  'function list(uint256 id, uint64 wh, uint128 price, uint40 expiry) returns (uint256 listing)',
  'function buy(uint256 listing, uint256 id, uint64 wh, uint128 most)',
  'function cancel(uint256 listing)',
  'function get(uint256 listing) view returns (Listing)',
  'event Listed(uint256 indexed listing, address indexed seller, uint256 indexed id, uint64 wh, uint128 price, uint40 expiry)',
  'event Bought(uint256 indexed listing, address indexed buyer, uint256 indexed id, address seller, uint64 wh, uint256 paid, uint64 left)',
  'event Cancelled(uint256 indexed listing, address indexed seller, uint256 indexed id, uint64 left)',
  'error BadTerms(uint64 wh, uint128 price, uint40 expiry)',
  'error UnknownListing(uint256 listing)',
  'error NotSeller(uint256 listing, address caller)',
  'error Expired(uint256 listing, uint40 expiry)',
  'error OtherCredits(uint256 listing, uint256 id)',
  'error TooExpensive(uint256 listing, uint128 price, uint128 most)',
  'error NotLeft(uint256 listing, uint64 left, uint64 wh)',
]);

export const krwAbi = parseAbi([
  'function mint(address to, uint256 amount)',
  'function approve(address spender, uint256 value) returns (bool)',
  'function allowance(address owner, address spender) view returns (uint256)',
  'function balanceOf(address account) view returns (uint256)',
  'error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)',
  'error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)',
]);

/** Base units in one won (KrwDepositToken.decimals). */
export const KRW = 1_000_000n;

/** ICredits.Purpose, by number. */
export const PURPOSES = ['own-use', 'k-re100', 'donation', 'rec-application', 'storage-charge'] as const;
export type Purpose = (typeof PURPOSES)[number];

const HOUR = 3600;
const DAY = 86_400;
const KST = 9 * HOUR;

// What is sent.

/** `shape`: bit 0, the power record is there; bit 1, alg is -8. */
export type ReadingFields = {
  index: number;
  iat: number;
  epoch: number;
  seq: number;
  registerWh: number;
  powerW: number | undefined;
  alg: number;
  signature: Uint8Array;
};

export type ProfileFields = {
  index: number;
  iat: number;
  epoch: number;
  seq: number;
  day: number;
  registersWh: readonly number[];
  alg: number;
  signature: Uint8Array;
};

/** `origin` is keccak256 of the log's origin line (originId). */
export type LogProof = { origin: Hex; size: number; nodes: readonly Uint8Array[] };

/** A field of so many bits, in two's complement where it is below zero. */
const put = (word: bigint, value: number | bigint, bits: number): bigint =>
  (word << BigInt(bits)) | BigInt.asUintN(bits, BigInt(value));

const ALG_EDDSA = -8;
const shapeOf = (hasPower: boolean, alg: number): number => (hasPower ? 1 : 0) | (alg === ALG_EDDSA ? 2 : 0);
const halves = (signature: Uint8Array): { r: Hex; s: Hex } => ({
  r: toHex(signature.subarray(0, 32)),
  s: toHex(signature.subarray(32, 64)),
});
const cti = ({ epoch, seq }: { epoch: number; seq: number }): bigint => (BigInt(epoch) << 32n) | BigInt(seq);

function reading(f: ReadingFields): { r: Hex; s: Hex; fields: bigint } {
  let fields = put(put(put(0n, f.index, 48), f.iat, 40), cti(f), 64);
  fields = put(put(fields, f.registerWh, 56), shapeOf(f.powerW !== undefined, f.alg), 8);
  return { ...halves(f.signature), fields: put(fields, f.powerW ?? 0, 40) };
}

const proof = ({ origin, size, nodes }: LogProof) => ({
  origin,
  size: BigInt(size),
  nodes: nodes.map((node) => toHex(node)),
});

/** Readings in the order of time; {@link LogProof} is of their leaves in the order of their indexes. */
export const mintData = (iss: string, sub: string, readings: readonly ReadingFields[], of: LogProof): Hex =>
  encodeFunctionData({ abi: creditsAbi, functionName: 'mint', args: [iss, sub, readings.map(reading), proof(of)] });

export function mintDayData(iss: string, sub: string, f: ProfileFields, of: LogProof): Hex {
  let head = put(put(put(0n, f.index, 48), f.iat, 40), cti(f), 64);
  head = put(put(put(head, f.day, 32), shapeOf(false, f.alg), 8), 0, 64);
  const words = Array.from({ length: 7 }, (_, w) => {
    let word = 0n;
    for (let lane = 0; lane < 4; lane++) word = put(word, f.registersWh[4 * w + lane] ?? 0, 64);
    return word;
  });
  const registers = words as unknown as readonly [bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  return encodeFunctionData({
    abi: creditsAbi,
    functionName: 'mintDay',
    args: [iss, sub, { ...halves(f.signature), head, registers }, proof(of)],
  });
}

export const mintResidualData = (
  iss: string,
  sub: string,
  ends: readonly [ReadingFields, ReadingFields],
  of: LogProof,
): Hex =>
  encodeFunctionData({
    abi: creditsAbi,
    functionName: 'mintResidual',
    args: [iss, sub, [reading(ends[0]), reading(ends[1])], proof(of)],
  });

/** `wh` of the hour that begins at `slot`. */
export type ClaimLine = { meteringPoint: Hex; slot: number; wh: number };

export const claimData = (lines: readonly ClaimLine[], beneficiary: Hex, purpose: Purpose, recipient: string): Hex =>
  encodeFunctionData({
    abi: creditsAbi,
    functionName: 'claim',
    args: [[...lines], beneficiary, PURPOSES.indexOf(purpose), recipient],
  });

/** Of a KST month's residual tokens. @param month its first second */
export const claimResidualData = (
  meteringPoint: Hex,
  month: number,
  wh: number,
  beneficiary: Hex,
  purpose: Purpose,
  recipient: string,
): Hex =>
  encodeFunctionData({
    abi: creditsAbi,
    functionName: 'claimResidual',
    args: [meteringPoint, month, BigInt(wh), beneficiary, PURPOSES.indexOf(purpose), recipient],
  });

export const withdrawData = (meteringPoint: Hex, day: number, reason: string): Hex =>
  encodeFunctionData({ abi: creditsAbi, functionName: 'withdraw', args: [meteringPoint, day, reason] });

/** Of who may withdraw days, and certify withdrawn ones anew. */
const WITHDRAWER_ROLE = keccak256(stringToBytes('WITHDRAWER_ROLE'));

export const grantWithdrawerData = (account: Hex): Hex =>
  encodeFunctionData({ abi: creditsAbi, functionName: 'grantRole', args: [WITHDRAWER_ROLE, account] });

export const showKeyData = (iss: string, x: Uint8Array, y: Uint8Array): Hex =>
  encodeFunctionData({ abi: creditsAbi, functionName: 'showKey', args: [iss, toHex(x), toHex(y)] });

export const setModulusData = (device: Hex, modulusWh: number): Hex =>
  encodeFunctionData({ abi: creditsAbi, functionName: 'setModulus', args: [device, BigInt(modulusWh)] });

/** @param amount in base units of the mock money ({@link KRW}) */
export const mintKrwData = (to: Hex, amount: bigint): Hex =>
  encodeFunctionData({ abi: krwAbi, functionName: 'mint', args: [to, amount] });

/** A call to Credits, with the names and values of its arguments; undefined where it is none. */
export function decodeCall(data: Hex): { functionName: string; args: readonly unknown[] } | undefined {
  try {
    const { functionName, args } = decodeFunctionData({ abi: creditsAbi, data });
    return { functionName, args: (args ?? []) as readonly unknown[] };
  } catch {
    return undefined;
  }
}

// What tokens are called.

const LOW = (1n << 64n) - 1n;
const tokenId = (meteringPoint: string, type: bigint, number: number, version: number): Hex =>
  numberToHex((BigInt(meteringPoint) & ~LOW) | (type << 56n) | (BigInt(number) << 8n) | BigInt(version), { size: 32 });

/** Of a day's tokens. @param day counts from 1970-01-01 (UTC) */
export const tokenIdOf = (meteringPoint: string, day: number, version: number): Hex =>
  tokenId(meteringPoint, 1n, day, version);

/** Of a KST month's residual tokens. @param month its first second */
export function residualTokenIdOf(meteringPoint: string, month: number): Hex {
  const at = new Date((month + KST) * 1000);
  return tokenId(meteringPoint, 2n, (at.getUTCFullYear() - 1970) * 12 + at.getUTCMonth(), 0);
}

/** What a token's id says, but for the metering point's lowest 64 bits, which it leaves out. */
export function parseTokenId(id: string): {
  point: bigint;
  type: 'day' | 'residual' | undefined;
  number: number;
  version: number;
} {
  const bits = BigInt(id);
  const type = ([undefined, 'day', 'residual'] as const)[Number((bits >> 56n) & 0xffn)];
  return { point: bits & ~LOW, type, number: Number((bits >> 8n) & 0xffffffffn), version: Number(bits & 0xffn) };
}

// What is read.

/** What an argument is in JSON: a number below 2^53, else 0x and hexadecimal digits; hex in lower case. */
export type JsonArg = number | string | readonly JsonArg[];

const jsonOf = (value: unknown): JsonArg => {
  if (typeof value === 'bigint') return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : numberToHex(value);
  if (typeof value === 'string') return /^0x[0-9a-fA-F]*$/.test(value) ? value.toLowerCase() : value;
  if (Array.isArray(value)) return value.map(jsonOf);
  return value as number;
};

/** An event of the Credits or the Market contract, its arguments by their names. */
export type CreditsEvent = { event: string; args: Record<string, JsonArg> };

type Topics = [Hex, ...Hex[]];

/** Undefined for an event that says nothing of certificates and trades: transfers, approvals, roles. */
export function decodeCreditsLog(topics: readonly Hex[], data: Hex): CreditsEvent | undefined {
  for (const abi of [creditsAbi, marketAbi] as const)
    try {
      const { eventName, args } = decodeEventLog({ abi: abi as Abi, topics: topics as Topics, data });
      const named = Object.entries(args as unknown as Record<string, unknown>);
      const event = {
        event: eventName as unknown as string,
        args: Object.fromEntries(named.map(([k, v]) => [k, jsonOf(v)])),
      };
      if (event.event === 'Minted')
        Object.assign(event.args, amountsOf((args as unknown as { amounts: bigint[] }).amounts));
      return event;
    } catch {
      // not one of these
    }
  return undefined;
}

const CERTIFIED = 2 ** 31;

/**
 * Wh by slot, from the first one on to the last that was certified: 32 bits each, 8 to a word, from the highest bits on.
 * Of those between that were left out (`skipped`, by their place) the amount is 0, as it may be of one that was certified.
 */
function amountsOf(words: readonly bigint[]): { amounts: number[]; skipped: number[] } {
  const lanes = words.flatMap((word) =>
    Array.from({ length: 8 }, (_, lane) => Number((word >> BigInt(32 * (7 - lane))) & 0xffffffffn)),
  );
  while (lanes.at(-1) === 0) lanes.pop();
  return {
    amounts: lanes.map((lane) => lane % CERTIFIED),
    skipped: lanes.flatMap((lane, i) => (lane === 0 ? [i] : [])),
  };
}

/** A slot is a part of what an event certifies: `wh` is what of it the owner has got. */
export type EventPart = {
  point: Hex | null;
  token: Hex | null;
  slot: number | null;
  version: number | null;
  wh: number | null;
};

const NOTHING: EventPart = { point: null, token: null, slot: null, version: null, wh: null };
const word = (value: JsonArg | undefined): Hex => numberToHex(BigInt(value as string | number), { size: 32 });

/** What is known of the events before. */
export type Before = {
  /** The metering point that a token is of. */
  pointOf: (token: Hex) => Hex | undefined;
  /** Wh of a slot that count as claimed: claims, and debts that were taken off. They outlive a withdrawal. */
  claimedOf: (point: Hex, slot: number) => number;
};

/**
 * What an event says slot by slot, but for hours of nothing. Of a mint, what was claimed of a slot in earlier versions is taken off that slot, and
 * what else was debited, off the first slots on, as the contract does.
 */
export function partsOf({ event, args: a }: CreditsEvent, before: Before): EventPart[] {
  switch (event) {
    case 'Minted': {
      const token = word(a.id);
      const point = a.meteringPoint as Hex;
      const { version } = parseTokenId(token);
      const slots = (a.amounts as number[]).flatMap((certified, i) => {
        if (certified === 0) return [];
        const slot = (a.firstSlot as number) + i * HOUR;
        const claimed = a.debited === 0 ? 0 : Math.min(certified, before.claimedOf(point, slot));
        return [{ slot, wh: certified - claimed, claimed }];
      });
      let debt = (a.debited as number) - slots.reduce((sum, { claimed }) => sum + claimed, 0);
      return slots.map(({ slot, wh }) => {
        const debited = Math.max(0, Math.min(debt, wh));
        debt -= debited;
        return { point, token, slot, version, wh: wh - debited };
      });
    }
    case 'ResidualMinted': {
      const { number } = parseTokenId(word(a.id));
      const month = Date.UTC(1970, number) / 1000 - KST;
      return [{ point: a.meteringPoint as Hex, token: word(a.id), slot: month, version: 0, wh: a.minted as number }];
    }
    case 'ClaimSingle': {
      const token = word(a.id);
      const { version } = parseTokenId(token);
      return [
        {
          point: before.pointOf(token) ?? null,
          token,
          slot: Number(BigInt(a.data as string)),
          version,
          wh: a.value as number,
        },
      ];
    }
    case 'Withdrawn':
      return [
        {
          point: a.meteringPoint as Hex,
          token: word(a.id),
          slot: (a.day as number) * DAY,
          version: a.version as number,
          wh: a.wh as number,
        },
      ];
    case 'Listed':
    case 'Bought':
      return [{ ...NOTHING, token: word(a.id), wh: a.wh as number }];
    case 'Cancelled':
      return [{ ...NOTHING, token: word(a.id), wh: a.left as number }];
    default:
      return [NOTHING];
  }
}

/** In the contracts' own words: `OverCapacity(1795507200, 7673, 2690)`; undefined where it is no error of theirs. */
export function decodeRevert(data: Hex): { name: string; args: readonly unknown[]; text: string } | undefined {
  for (const abi of [creditsAbi, marketAbi, krwAbi] as const)
    try {
      const { errorName, args = [] } = decodeErrorResult({ abi: abi as Abi, data });
      const values = args as readonly unknown[];
      return {
        name: errorName as unknown as string,
        args: values,
        text: `${errorName as unknown as string}(${values.join(', ')})`,
      };
    } catch {
      // not one of these
    }
  return undefined;
}

// Where they are.

type Deployable = 'Credits' | 'KrwDepositToken' | 'Market';

function deployData(contract: Deployable, args: readonly Hex[]): Hex {
  const url = new URL(`../../contracts/artifacts/${contract}.json`, import.meta.url);
  const { abi, bytecode } = JSON.parse(readFileSync(url, 'utf8')) as { abi: Abi; bytecode: Hex };
  return encodeDeployData({ abi, bytecode, args });
}

/** @param administrator holds the admin role, and may withdraw */
export const deployCreditsData = (anchors: Hex, devices: Hex, administrator: Hex): Hex =>
  deployData('Credits', [anchors, devices, administrator]);

/** @param bank issues the mock money */
export const deployKrwData = (bank: Hex): Hex => deployData('KrwDepositToken', [bank]);

export const deployMarketData = (credits: Hex, krw: Hex): Hex => deployData('Market', [credits, krw]);

/** Where they land that an account deploys as its first three transactions. */
export function creditAddresses(deployer: Hex): { credits: Hex; krw: Hex; market: Hex } {
  const at = (nonce: bigint): Hex => getContractAddress({ from: deployer, nonce });
  return { credits: at(0n), krw: at(1n), market: at(2n) };
}
