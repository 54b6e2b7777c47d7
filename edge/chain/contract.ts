/** The Anchors contract as the gateway uses it. What it promises is documented in contracts/src/IAnchors.sol. */
import { readFileSync } from 'node:fs';
import {
  type Abi,
  bytesToHex,
  encodeDeployData,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  hexToBytes,
  keccak256,
  type PublicClient,
  stringToBytes,
} from 'viem';
import { EdgeError } from '../errors.ts';
import { revertOf, sendError } from './rpc.ts';

type Artifact = { abi: Abi; bytecode: Hex };
const artifact = JSON.parse(
  readFileSync(new URL('../../contracts/artifacts/Anchors.json', import.meta.url), 'utf8'),
) as Artifact;

export const anchorsAbi: Abi = artifact.abi;

export type Head = { size: number; root: Uint8Array };

/** keccak256 of the checkpoint's origin line: how the contract knows a log. */
export const originId = (origin: string): Hex => keccak256(stringToBytes(origin));

export const ZERO_ADDRESS = '0x0000000000000000000000000000000000000000';

/** @param administrator who registers logs and their senders: the city */
export const deployData = (administrator: Hex): Hex =>
  encodeDeployData({ abi: artifact.abi, bytecode: artifact.bytecode, args: [administrator] });

/** Where a contract lands that `sender` deploys as its first transaction. */
export const firstContractAddress = (sender: Hex): Hex => getContractAddress({ from: sender, nonce: 0n });

export const registerData = (origin: string, sender: Hex): Hex =>
  encodeFunctionData({ abi: artifact.abi, functionName: 'register', args: [origin, sender] });

export const anchorData = (origin: string, size: number, root: Uint8Array, proof: readonly Uint8Array[]): Hex =>
  encodeFunctionData({
    abi: artifact.abi,
    functionName: 'anchor',
    args: [originId(origin), BigInt(size), bytesToHex(root), proof.map((h) => bytesToHex(h))],
  });

export class AnchorsContract {
  readonly address: Hex;
  readonly client: PublicClient;

  constructor(client: PublicClient, address: Hex) {
    this.client = client;
    this.address = address;
  }

  async #read<T>(functionName: string, ...args: unknown[]): Promise<T> {
    return (await this.client.readContract({ address: this.address, abi: artifact.abi, functionName, args })) as T;
  }

  async isDeployed(): Promise<boolean> {
    const code = await this.client.getCode({ address: this.address });
    return code !== undefined && code !== '0x';
  }

  owner(): Promise<Hex> {
    return this.#read<Hex>('owner');
  }

  senderOf(origin: string): Promise<Hex> {
    return this.#read<Hex>('senderOf', originId(origin));
  }

  /** Whether what `account` signed counts at `freeze`. */
  wasSender(origin: string, account: Hex): Promise<boolean> {
    return this.#read<boolean>('wasSender', originId(origin), account);
  }

  isFrozen(origin: string): Promise<boolean> {
    return this.#read<boolean>('isFrozen', originId(origin));
  }

  async head(origin: string): Promise<Head> {
    const [size, root] = await this.#read<[bigint, Hex, bigint]>('head', originId(origin));
    return { size: Number(size), root: hexToBytes(root) };
  }

  /** The root anchored at that size, or undefined. */
  async rootAt(origin: string, size: number): Promise<Uint8Array | undefined> {
    const root = hexToBytes(await this.#read<Hex>('rootAt', originId(origin), BigInt(size)));
    return root.every((b) => b === 0) ? undefined : root;
  }

  /** Gas that an anchor would take. @throws EdgeError CHAIN_REFUSED with the contract's own error, CHAIN_AWAY */
  async estimateAnchor(
    from: Hex,
    origin: string,
    size: number,
    root: Uint8Array,
    proof: readonly Uint8Array[],
  ): Promise<bigint> {
    const args = [originId(origin), BigInt(size), bytesToHex(root), proof.map((h) => bytesToHex(h))];
    try {
      return await this.client.estimateContractGas({
        address: this.address,
        abi: artifact.abi,
        functionName: 'anchor',
        args,
        account: from,
      });
    } catch (error) {
      const reverted = revertOf(error);
      if (reverted)
        throw new EdgeError(
          'CHAIN_REFUSED',
          `anchor(${size}) reverts with ${reverted.data?.errorName ?? reverted.shortMessage}`,
        );
      throw sendError(error, this.client, `anchor(${size}) from ${from}`);
    }
  }
}
