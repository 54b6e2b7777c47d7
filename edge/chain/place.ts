/** Where the chain is, found when it is asked for first: before the log is open, or after. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Hex } from 'viem';
import { EdgeError } from '../errors.ts';
import type { Head } from './contract.ts';
import { EMBEDDED_CHAIN_ID, EmbeddedChain } from './embedded.ts';

export type PlaceOptions = {
  mode: 'embedded' | 'rpc' | 'none';
  rpc: string;
  chainId: number;
  anchors: string;
  embeddedPort: number;
  /** Of the embedded chain. */
  folder: string;
  secretKey: Uint8Array;
  report: (line: string, level: 'info' | 'warn') => void;
};

/** `contract` is undefined for the embedded chain: there the gateway deploys it. */
type Found = { rpc: string; chainId: number; contract: Hex | undefined; secretKey: Uint8Array };

export class ChainPlace {
  readonly #o: PlaceOptions;
  #found: Promise<Found> | undefined;
  #embedded: EmbeddedChain | undefined;

  constructor(options: PlaceOptions) {
    this.#o = options;
  }

  /** Starts the embedded chain, once. @throws EdgeError CONFIG_INVALID, CHAIN_PROGRAM */
  find(): Promise<Found> {
    this.#found ??= this.#find();
    return this.#found;
  }

  async #find(): Promise<Found> {
    const { mode, rpc, chainId, anchors, embeddedPort, folder, secretKey, report } = this.#o;
    if (mode === 'rpc' && anchors === '')
      throw new EdgeError(
        'CONFIG_INVALID',
        'chain.anchors is empty: with chain.mode rpc it is the address of the contract, which sejong-edge deploy prints',
      );
    if (mode === 'rpc') return { rpc, chainId, contract: anchors as Hex, secretKey };
    this.#embedded = await EmbeddedChain.start(folder, embeddedPort, (line) => report(line, 'warn'));
    report(`chain: ${this.#embedded.version} on ${this.#embedded.rpc}`, 'info');
    return { rpc: this.#embedded.rpc, chainId: EMBEDDED_CHAIN_ID, contract: undefined, secretKey };
  }

  /**
   * What the chain holds of a log. Undefined where it does not answer in time, is not the chain and the contract of the
   * config, or there is none.
   * @throws EdgeError CONFIG_INVALID, CHAIN_PROGRAM
   */
  async head(origin: string, withinMs: number): Promise<Head | undefined> {
    if (this.#o.mode === 'none') return undefined;
    const { rpc, chainId, contract, secretKey } = await this.find();
    // Loaded only where there is a chain: viem takes 18 MB.
    const { toHex } = await import('viem');
    const { privateKeyToAddress } = await import('viem/accounts');
    const { AnchorsContract, firstContractAddress } = await import('./contract.ts');
    const { rpcClient } = await import('./rpc.ts');
    const cut = new AbortController();
    const client = rpcClient(rpc, withinMs, cut.signal);
    const anchors = new AnchorsContract(
      client,
      contract ?? firstContractAddress(privateKeyToAddress(toHex(secretKey))),
    );
    const ask = async (): Promise<Head | undefined> => {
      if ((await client.getChainId()) !== chainId || !(await anchors.isDeployed())) return undefined;
      return anchors.head(origin);
    };
    const answer = await Promise.race([ask().catch(() => undefined), delay(withinMs, undefined, { ref: false })]);
    cut.abort();
    return answer;
  }

  /** Lets the embedded chain write its state and end. */
  async stop(): Promise<void> {
    await this.#embedded?.stop();
  }
}
