/**
 * The follower of credits: reads the events of the Credits and Market contracts into the table
 * (store/credit-events.ts). What became of a certificate is what that table says. On the embedded chain the gateway's
 * credits account deploys the contracts, with the mock of deposit money that trades are paid in.
 */
import { type Hex, type PublicClient, parseEther, toHex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import type { CreditEvent, CreditEvents } from '../store/credit-events.ts';
import { blockAt, type Log, logsIn } from './blocks.ts';
import {
  type Before,
  type CreditsEvent,
  creditAddresses,
  decodeCreditsLog,
  deployCreditsData,
  deployKrwData,
  deployMarketData,
  type EventPart,
  parseTokenId,
  partsOf,
} from './credits-contract.ts';
import { EventFollower, type FollowedTable, type FollowerState } from './follower.ts';
import { sendOnce } from './setup.ts';

/** Who deploys the contracts: on the embedded chain. */
export type CreditsDeployer = {
  secretKey: Uint8Array;
  anchors: Hex;
  devices: Hex;
  /** Issues the mock money. */
  bank: Hex;
};

export type CreditEventsOptions = {
  rpc: string;
  chainId: number;
  credits: Hex;
  /** Undefined: trades are not followed. */
  market: Hex | undefined;
  /** Their first block, or any before. */
  fromBlock: number;
  pollSeconds: number;
  maxEvents: number;
  onTooMany: () => void;
  deployer?: CreditsDeployer | undefined;
  /** Sends what the contract lacks of devices: moduli, keys. Whether there was anything. */
  push?: (client: PublicClient) => Promise<boolean>;
  report: (line: string) => void;
};

export type CreditEventsState = FollowerState<{ events: number }>;

export class CreditEventsFollower extends EventFollower<CreditEvent, { events: number }> {
  constructor(table: CreditEvents, options: CreditEventsOptions) {
    const { credits, market, deployer, chainId, push } = options;
    super(new InSlots(table), {
      ...options,
      contract: credits.toLowerCase(),
      name: 'credits',
      full: 'CREDITS_FULL',
      onLook: () => undefined,
      connect: async (client) => {
        if (deployer) await deployMissing(client, chainId, deployer);
        for (const address of [credits, market])
          if (address && !(await isDeployed(client, address)))
            throw new EdgeError('CHAIN_WRONG', `there is no contract at ${address} on chain ${chainId}`);
      },
      read: (client, from, to) => read(client, market ? [credits, market] : [credits], from, to),
      push: async (client) => push !== undefined && (await push(client)),
    });
  }
}

const isDeployed = async (client: PublicClient, address: Hex): Promise<boolean> =>
  (await client.getCode({ address })) !== undefined;

/** As far as a start before this one has not. The deployer's first transactions are these, and so they come in order. */
async function deployMissing(client: PublicClient, chainId: number, o: CreditsDeployer): Promise<void> {
  const account: PrivateKeyAccount = privateKeyToAccount(toHex(o.secretKey));
  const { address } = account;
  const { credits, krw, market } = creditAddresses(address);
  if (await isDeployed(client, market)) return;
  for (const contract of [o.anchors, o.devices])
    if (!(await isDeployed(client, contract)))
      throw new EdgeError('CHAIN_AWAY', `the contract at ${contract}, which credits need, is not there yet`);
  // Only on our own anvil can an account give itself its money.
  await client.request({ method: 'anvil_setBalance', params: [address, toHex(parseEther('1000'))] } as never);
  for (const [at, data, what] of [
    [credits, deployCreditsData(o.anchors, o.devices, address), 'Credits'],
    [krw, deployKrwData(o.bank), 'KrwDepositToken'],
    [market, deployMarketData(credits, krw), 'Market'],
  ] as const)
    if (!(await isDeployed(client, at))) await sendOnce(client, account, chainId, undefined, data, `deploy ${what}`);
}

/** Of tokens and slots: what the table knew at a block, and what has come since. */
class Known implements Before {
  readonly #table: CreditEvents;
  readonly #upTo: number;
  readonly #points = new Map<string, Hex>();
  readonly #claimed = new Map<string, number>();

  constructor(table: CreditEvents, upTo: number) {
    this.#table = table;
    this.#upTo = upTo;
  }

  pointOf = (token: Hex): Hex | undefined =>
    this.#points.get(token) ?? (this.#table.pointOf(token, this.#upTo) as Hex | undefined);

  claimedOf = (point: Hex, slot: number): number =>
    this.#claimed.get(`${point} ${slot}`) ?? this.#table.claimedOf(point, slot, this.#upTo);

  add({ event, args }: CreditsEvent, { point, token, slot, wh }: EventPart): void {
    if (!point || !token) return;
    this.#points.set(token, point);
    if (slot === null || parseTokenId(token).type !== 'day') return;
    const at = (slot - (args.firstSlot as number)) / 3600;
    if (event === 'Minted')
      this.#claimed.set(`${point} ${slot}`, ((args.amounts as number[])[at] as number) - (wh ?? 0));
    if (event === 'ClaimSingle') this.#claimed.set(`${point} ${slot}`, this.claimedOf(point, slot) + (wh ?? 0));
  }
}

/** While nothing is known but the event itself. */
const NOTHING_BEFORE: Before = { pointOf: () => undefined, claimedOf: () => 0 };

/**
 * The table, to which each event is told slot by slot. How much of a mint was debited from which slot depends on what was
 * before it on this branch of the chain, and that is known when the rows are written: blocks may be taken back by then.
 */
class InSlots implements FollowedTable<CreditEvent, { events: number }> {
  readonly #table: CreditEvents;

  constructor(table: CreditEvents) {
    this.#table = table;
  }

  get meta(): CreditEvents['meta'] {
    return this.#table.meta;
  }

  blocks = () => this.#table.blocks();
  counts = () => this.#table.counts();

  follow: CreditEvents['follow'] = (place, ancestor, events, head, syncedMs) => {
    const known = new Known(this.#table, ancestor?.number ?? -1);
    const rows = events
      .filter(({ part }) => part === 0)
      .flatMap((first) => {
        const said: CreditsEvent = { event: first.event, args: JSON.parse(first.data) as CreditsEvent['args'] };
        return partsOf(said, known).map((row, part) => {
          known.add(said, row);
          return { ...first, ...row, part };
        });
      });
    return this.#table.follow(place, ancestor, rows, head, syncedMs);
  };
}

/** Events, as many rows of each as it has slots, with the times of their blocks. */
async function read(client: PublicClient, contracts: readonly Hex[], from: number, to: number): Promise<CreditEvent[]> {
  const logs = await logsIn(client, contracts, from, to);
  const times = new Map<number, number>();
  const timeOf = async (block: number): Promise<number> => {
    const time = times.get(block) ?? (await blockAt(client, block))?.time;
    if (time === undefined) throw new EdgeError('CHAIN_AWAY', `block ${block} was taken back while it was read`);
    times.set(block, time);
    return time;
  };
  const events: CreditEvent[] = [];
  for (const log of logs) {
    const said = decodeCreditsLog(log.topics, log.data);
    if (!said) continue;
    const time = await timeOf(log.block);
    for (const [part, row] of partsOf(said, NOTHING_BEFORE).entries())
      events.push({ ...placeOf(log), ...row, part, event: said.event, time, data: JSON.stringify(said.args) });
  }
  return events;
}

const placeOf = ({ block, logIndex, contract, tx }: Log) => ({ block, logIndex, contract, tx });
