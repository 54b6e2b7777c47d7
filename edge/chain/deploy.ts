/** Putting the Anchors contract on a chain that others keep. */
import type { Hex } from 'viem';
import type { PrivateKeyAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { deployData, registerData } from './contract.ts';
import { chainError, rpcClient } from './rpc.ts';
import { sendOnce } from './setup.ts';

/** @returns the contract's address. @throws EdgeError CHAIN_WRONG, CHAIN_AWAY, CHAIN_REFUSED */
export async function deployContract(
  rpc: string,
  chainId: number,
  account: PrivateKeyAccount,
  origin: string,
  report: (line: string) => void,
): Promise<Hex> {
  const client = rpcClient(rpc);
  const found = await client.getChainId().catch((error: unknown) => {
    throw chainError(error, client);
  });
  if (found !== chainId) throw new EdgeError('CHAIN_WRONG', `the RPC is chain ${found}, the config says ${chainId}`);
  const { contractAddress, transactionHash } = await sendOnce(
    client,
    account,
    chainId,
    undefined,
    deployData(account.address),
    'deploy',
  );
  if (!contractAddress) throw new EdgeError('CHAIN_REFUSED', `deploy made no contract (${transactionHash})`);
  report(`deployed in ${transactionHash}`);
  const registered = await sendOnce(
    client,
    account,
    chainId,
    contractAddress,
    registerData(origin, account.address),
    'register',
  );
  report(`registered ${origin} for ${account.address} in ${registered.transactionHash}`);
  return contractAddress;
}
