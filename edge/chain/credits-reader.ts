/** What an auditor asks the chain of a certificate: the slot, and the events of the transactions that it names. */
import { decodeFunctionResult, encodeFunctionData, type Hex, numberToHex } from 'viem';
import { EdgeError } from '../errors.ts';
import { type CreditsEvent, creditsAbi, decodeCreditsLog } from './credits-contract.ts';
import { NodeReader, NodeRefusal } from './node-reader.ts';

export type SlotOnChain = { certified: boolean; wh: number; claimed: number };

type Log = { address: string; topics: Hex[]; data: Hex };
type Receipt = { status?: string; blockNumber?: string; logs?: Log[] } | null;

export class CreditsReader {
  readonly #node: NodeReader;

  constructor(rpc: string) {
    this.#node = new NodeReader(rpc);
  }

  /** @throws EdgeError CHAIN_AWAY, CHAIN_WRONG */
  async chainId(): Promise<number> {
    return this.#try(() => this.#node.chainId());
  }

  async slotOf(credits: string, meteringPoint: string, slot: number): Promise<SlotOnChain> {
    const functionName = 'slotOf';
    const [certified, wh, claimed] = await this.#try(async () => {
      const call = encodeFunctionData({ abi: creditsAbi, functionName, args: [meteringPoint as Hex, slot] });
      return decodeFunctionResult({ abi: creditsAbi, functionName, data: await this.#node.call(credits, call) });
    });
    return { certified, wh, claimed };
  }

  /** The id of a day's tokens in its newest version, 0x and 64 hex digits. */
  async idOf(credits: string, meteringPoint: string, day: number): Promise<string> {
    const functionName = 'idOf';
    const id = await this.#try(async () => {
      const call = encodeFunctionData({ abi: creditsAbi, functionName, args: [meteringPoint as Hex, day] });
      return decodeFunctionResult({ abi: creditsAbi, functionName, data: await this.#node.call(credits, call) });
    });
    return numberToHex(id, { size: 32 });
  }

  /** What a contract said in a transaction that went through; undefined where the chain has none of that hash. */
  async eventsOf(credits: string, transaction: string): Promise<{ block: number; events: CreditsEvent[] } | undefined> {
    const receipt = (await this.#try(() => this.#node.ask('eth_getTransactionReceipt', transaction))) as Receipt;
    if (receipt?.status !== '0x1' || !Array.isArray(receipt.logs)) return undefined;
    const events = receipt.logs
      .filter(({ address }) => address.toLowerCase() === credits.toLowerCase())
      .flatMap(({ topics, data }) => decodeCreditsLog(topics, data) ?? []);
    return { block: Number(receipt.blockNumber), events };
  }

  async #try<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      // Neither what a node answers nor what it refuses is that of our contract.
      if (error instanceof NodeRefusal || (error as Error).name.startsWith('Abi'))
        throw new EdgeError('CHAIN_WRONG', 'there is no Credits contract there');
      throw this.#node.errorOf(error);
    }
  }
}
