/** What an auditor asks an Anchors contract: the root that it holds, and what it answers to a receipt as calldata. */
import { decodeErrorResult, decodeFunctionResult, encodeFunctionData, type Hex, hexToBytes } from 'viem';
import { EdgeError } from '../errors.ts';
import { verifierAbi } from './anchors-abi.ts';
import { commitment } from './commitment.ts';
import { NodeReader, NodeRefusal } from './node-reader.ts';

const ROOT_HEX = 66;

export class AnchorReader {
  readonly node: NodeReader;
  readonly contract: string;

  /** @param contract an address, 0x and 40 hex digits */
  constructor(rpc: string, contract: string) {
    this.node = new NodeReader(rpc);
    this.contract = contract;
  }

  /** The id of the chain. @throws EdgeError CHAIN_AWAY, CHAIN_WRONG where there is no contract */
  async open(): Promise<number> {
    const chainId = await this.node.chainId();
    await this.node.needContract(this.contract, chainId);
    return chainId;
  }

  /** The question {@link rootAt} asks. */
  rootCall(origin: string, size: number): Hex {
    return encodeFunctionData({
      abi: verifierAbi,
      functionName: 'rootAt',
      args: [commitment(origin) as Hex, BigInt(size)],
    });
  }

  /** The root anchored at that size, 32 bytes, or undefined. @throws EdgeError CHAIN_AWAY, CHAIN_WRONG */
  async rootAt(origin: string, size: number): Promise<Uint8Array | undefined> {
    const root = await this.#root(this.rootCall(origin, size)).catch((error: unknown) => {
      throw error instanceof NodeRefusal && /revert|opcode|gas/i.test(error.message) ? this.#wrong() : error;
    });
    return root.every((b) => b === 0) ? undefined : root;
  }

  /** The question {@link head} asks. */
  headCall(origin: string): Hex {
    return encodeFunctionData({ abi: verifierAbi, functionName: 'head', args: [commitment(origin) as Hex] });
  }

  /** The newest root, and how many entries it is over: 0 where nothing is anchored. @throws EdgeError CHAIN_AWAY, CHAIN_WRONG */
  async head(origin: string): Promise<{ size: number; root: Uint8Array }> {
    try {
      const data = await this.node.call(this.contract, this.headCall(origin));
      const [size, root] = decodeFunctionResult({ abi: verifierAbi, functionName: 'head', data });
      return { size: Number(size), root: hexToBytes(root) };
    } catch (error) {
      throw error instanceof EdgeError ? error : this.#wrong();
    }
  }

  /** What the contract answers to that call. @throws EdgeError RECEIPT_INVALID with the contract's own error, CHAIN_AWAY, CHAIN_WRONG */
  async callEntry(data: string): Promise<Uint8Array> {
    return this.#root(data).catch((error: unknown) => {
      const name = error instanceof NodeRefusal && error.data !== undefined && errorName(error.data as Hex);
      throw name ? new EdgeError('RECEIPT_INVALID', `${this.contract} answers ${name}`) : error;
    });
  }

  async #root(data: string): Promise<Uint8Array> {
    const answer = await this.node.call(this.contract, data);
    if (answer.length !== ROOT_HEX) throw this.#wrong();
    return hexToBytes(answer);
  }

  #wrong(): EdgeError {
    return new EdgeError('CHAIN_WRONG', `what is at ${this.contract} does not answer as an Anchors contract`);
  }
}

function errorName(data: Hex): string | undefined {
  try {
    return decodeErrorResult({ abi: verifierAbi, data }).errorName;
  } catch {
    return undefined;
  }
}
