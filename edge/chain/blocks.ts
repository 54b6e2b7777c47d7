/** Blocks of a chain and the events in them, read as from a node that may answer anything. */
import { type Hex, numberToHex, type PublicClient } from 'viem';
import { EdgeError } from '../errors.ts';
import type { Block } from '../store/followed.ts';

/** An event as it stands in its block. `contract` and `tx` in lower case. */
export type Log = {
  contract: string;
  block: number;
  logIndex: number;
  tx: string;
  topics: [Hex, ...Hex[]];
  data: Hex;
};

type RawLog = {
  address: Hex;
  blockNumber: Hex;
  logIndex: Hex;
  transactionHash: Hex;
  topics: [Hex, ...Hex[]];
  data: Hex;
  removed?: boolean;
};

export const unusable = (what: string): EdgeError => new EdgeError('CHAIN_AWAY', `its answer is not usable: ${what}`);

function uint(hex: unknown, what: string): number {
  const n = typeof hex === 'string' && /^0x[0-9a-f]{1,13}$/i.test(hex) ? Number(hex) : Number.NaN;
  if (!Number.isSafeInteger(n)) throw unusable(what);
  return n;
}

/** The block of that number, or the newest; undefined where the chain has none. @throws what viem throws */
export async function blockAt(client: PublicClient, number: number | 'latest'): Promise<Block | undefined> {
  const tag = number === 'latest' ? number : numberToHex(number);
  const found = (await client.request({ method: 'eth_getBlockByNumber', params: [tag, false] })) as {
    number: unknown;
    hash: unknown;
    timestamp: unknown;
  } | null;
  if (!found) return undefined;
  if (typeof found.hash !== 'string' || !/^0x[0-9a-f]{64}$/i.test(found.hash)) throw unusable('a block without a hash');
  const block = {
    number: uint(found.number, "a block's number"),
    hash: found.hash.toLowerCase(),
    time: uint(found.timestamp, "a block's time"),
  };
  if (number !== 'latest' && block.number !== number) throw unusable(`block ${block.number} for block ${number}`);
  return block;
}

/**
 * The events of these contracts in the blocks `from` to `to`, in their order.
 * @throws what viem throws; EdgeError CHAIN_AWAY where the answer is none
 */
export async function logsIn(
  client: PublicClient,
  contracts: readonly string[],
  from: number,
  to: number,
): Promise<Log[]> {
  const raw = (await client.request({
    method: 'eth_getLogs',
    params: [{ address: [...contracts] as Hex[], fromBlock: numberToHex(from), toBlock: numberToHex(to) }],
  })) as RawLog[];
  if (!Array.isArray(raw)) throw unusable('no list of events');
  const ours = new Set(contracts.map((contract) => contract.toLowerCase()));
  const logs: Log[] = [];
  let [lastBlock, lastIndex] = [-1, -1];
  for (const log of raw) {
    const block = uint(log?.blockNumber, "an event's block");
    const logIndex = uint(log.logIndex, "an event's index");
    const contract = String(log.address).toLowerCase();
    if (!ours.has(contract) || log.removed) throw unusable('a foreign event');
    if (block < from || block > to || block < lastBlock || (block === lastBlock && logIndex <= lastIndex))
      throw unusable(`event ${block}/${logIndex} out of order`);
    [lastBlock, lastIndex] = [block, logIndex];
    const { topics, data } = log;
    logs.push({ contract, block, logIndex, tx: String(log.transactionHash).toLowerCase(), topics, data });
  }
  return logs;
}
