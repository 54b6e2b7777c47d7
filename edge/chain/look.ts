/** A look at the chain of a config, from outside: who it is, whether the contract is there, and what the account has. */
import { type Hex, toHex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { AnchorsContract } from './contract.ts';
import { chainError, rpcClient } from './rpc.ts';

/** What one anchor takes; about 52k is possible (contracts' gas snapshots), proofs make it more. */
const GAS_OF_ANCHOR = 100_000n;

export type ChainLook = {
  chainId: number;
  deployed: boolean;
  /** Of the account that anchors; undefined where its key was not given. */
  account: { address: string; wei: bigint; anchorsLeft: number } | undefined;
  /** The newest block's time less ours, ms. */
  aheadMs: number;
};

/** @throws EdgeError CHAIN_UNREACHABLE or what the chain says */
export async function lookAtChain(o: {
  rpc: string;
  anchors: string;
  secretKey: Uint8Array | undefined;
  timeoutMs: number;
}): Promise<ChainLook> {
  const client = rpcClient(o.rpc, o.timeoutMs);
  try {
    const [chainId, block, price] = await Promise.all([client.getChainId(), client.getBlock(), client.getGasPrice()]);
    const deployed = o.anchors !== '' && (await new AnchorsContract(client, o.anchors as Hex).isDeployed());
    const address = o.secretKey && privateKeyToAddress(toHex(o.secretKey));
    const wei = address && (await client.getBalance({ address }));
    return {
      chainId,
      deployed,
      account:
        address === undefined || wei === undefined
          ? undefined
          : {
              address,
              wei,
              anchorsLeft: price === 0n ? Number.POSITIVE_INFINITY : Number(wei / (price * GAS_OF_ANCHOR)),
            },
      aheadMs: Number(block.timestamp) * 1000 - Date.now(),
    };
  } catch (error) {
    throw chainError(error, client);
  }
}
