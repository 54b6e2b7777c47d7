/** What an auditor asks the chain of a certificate: the slot, and the events of the transactions that it names. */
import type { Hex, PublicClient } from 'viem';
import { EdgeError } from '../errors.ts';
import { type CreditsEvent, creditsAbi, decodeCreditsLog } from './credits-contract.ts';
import { chainError, rpcClient } from './rpc.ts';

const TIMEOUT_MS = 15_000;

export type SlotOnChain = { certified: boolean; wh: number; claimed: number };

export class CreditsReader {
  readonly #client: PublicClient;

  constructor(rpc: string) {
    this.#client = rpcClient(rpc, TIMEOUT_MS);
  }

  /** @throws EdgeError CHAIN_AWAY, CHAIN_WRONG */
  async chainId(): Promise<number> {
    return this.#try(() => this.#client.getChainId());
  }

  async slotOf(credits: string, meteringPoint: string, slot: number): Promise<SlotOnChain> {
    const [certified, wh, claimed] = await this.#try(() =>
      this.#client.readContract({
        address: credits as Hex,
        abi: creditsAbi,
        functionName: 'slotOf',
        args: [meteringPoint as Hex, slot],
      }),
    );
    return { certified, wh, claimed };
  }

  /** The id of a day's tokens in its newest version, 0x and 64 hex digits. */
  async idOf(credits: string, meteringPoint: string, day: number): Promise<string> {
    const id = await this.#try(() =>
      this.#client.readContract({
        address: credits as Hex,
        abi: creditsAbi,
        functionName: 'idOf',
        args: [meteringPoint as Hex, day],
      }),
    );
    return `0x${id.toString(16).padStart(64, '0')}`;
  }

  /** What a contract said in a transaction that went through; undefined where the chain has none of that hash. */
  async eventsOf(credits: string, transaction: string): Promise<{ block: number; events: CreditsEvent[] } | undefined> {
    const receipt = await this.#try(() =>
      this.#client.getTransactionReceipt({ hash: transaction as Hex }).catch((error: Error) => {
        if (error.name === 'TransactionReceiptNotFoundError') return undefined;
        throw error;
      }),
    );
    if (receipt?.status !== 'success') return undefined;
    const events = receipt.logs
      .filter(({ address }) => address.toLowerCase() === credits.toLowerCase())
      .flatMap(({ topics, data }) => decodeCreditsLog(topics, data) ?? []);
    return { block: Number(receipt.blockNumber), events };
  }

  async #try<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      const wrong = chainError(error, this.#client);
      throw wrong.code === 'CHAIN_WRONG' ? new EdgeError('CHAIN_WRONG', 'there is no Credits contract there') : wrong;
    }
  }
}
