/** Putting the contracts on a chain that others keep. */
import type { Hex, PublicClient } from 'viem';
import type { PrivateKeyAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { deployData, registerData } from './contract.ts';
import { deployCreditsData, deployKrwData, deployMarketData, grantWithdrawerData } from './credits-contract.ts';
import { deployDevicesData } from './devices-contract.ts';
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
  const client = await clientOf(rpc, chainId);
  const contractAddress = await deploy(client, chainId, account, deployData(account.address), report);
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

/**
 * The city's registry. The account is its administrator and first registrar.
 * @returns the contract's address. @throws EdgeError CHAIN_WRONG, CHAIN_AWAY, CHAIN_REFUSED
 */
export async function deployDevices(
  rpc: string,
  chainId: number,
  account: PrivateKeyAccount,
  report: (line: string) => void,
): Promise<Hex> {
  return deploy(await clientOf(rpc, chainId), chainId, account, deployDevicesData(account.address), report);
}

/**
 * Credits, the mock of deposit money, and the market for them. The account is their administrator and the mock's bank.
 * @param of `withdrawer` may withdraw days, too: the account that mints
 * @returns the contracts' addresses. @throws EdgeError CHAIN_WRONG, CHAIN_AWAY, CHAIN_REFUSED
 */
export async function deployCredits(
  rpc: string,
  chainId: number,
  account: PrivateKeyAccount,
  { withdrawer, ...of }: { anchors: Hex; devices: Hex; withdrawer?: Hex },
  report: (line: string) => void,
): Promise<{ credits: Hex; krw: Hex; market: Hex }> {
  const client = await clientOf(rpc, chainId);
  for (const [name, address] of Object.entries(of))
    if ((await client.getCode({ address })) === undefined)
      throw new EdgeError('CHAIN_WRONG', `chain.${name}: there is no contract at ${address}`);
  const put = (data: Hex): Promise<Hex> => deploy(client, chainId, account, data, report);
  const credits = await put(deployCreditsData(of.anchors, of.devices, account.address));
  const krw = await put(deployKrwData(account.address));
  const market = await put(deployMarketData(credits, krw));
  if (withdrawer) {
    const granted = await sendOnce(client, account, chainId, credits, grantWithdrawerData(withdrawer), 'grantRole');
    report(`${withdrawer} may withdraw, by ${granted.transactionHash}`);
  }
  return { credits, krw, market };
}

async function clientOf(rpc: string, chainId: number): Promise<PublicClient> {
  const client = rpcClient(rpc);
  const found = await client.getChainId().catch((error: unknown) => {
    throw chainError(error, client);
  });
  if (found !== chainId) throw new EdgeError('CHAIN_WRONG', `the RPC is chain ${found}, the config says ${chainId}`);
  return client;
}

async function deploy(
  client: PublicClient,
  chainId: number,
  account: PrivateKeyAccount,
  data: Hex,
  report: (line: string) => void,
): Promise<Hex> {
  const { contractAddress, transactionHash } = await sendOnce(client, account, chainId, undefined, data, 'deploy');
  if (!contractAddress) throw new EdgeError('CHAIN_REFUSED', `deploy made no contract (${transactionHash})`);
  report(`deployed in ${transactionHash}`);
  return contractAddress;
}
