/** Transactions of the set-up: deploying, registering. Repeating them does no harm, so they need no row. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Hex, PublicClient } from 'viem';
import type { PrivateKeyAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { sendError } from './rpc.ts';

const MINED_MS = 120_000;
const POLL_MS = 100;

/** Sends and waits until it is mined. @throws EdgeError CHAIN_REFUSED, CHAIN_AWAY */
export async function sendOnce(
  client: PublicClient,
  account: PrivateKeyAccount,
  chainId: number,
  to: Hex | undefined,
  data: Hex,
  what: string,
) {
  const target = to ? { to } : {};
  try {
    const [nonce, gas, { maxFeePerGas, maxPriorityFeePerGas }] = await Promise.all([
      client.getTransactionCount({ address: account.address, blockTag: 'latest' }),
      client.estimateGas({ account: account.address, data, ...target }),
      client.estimateFeesPerGas({ chain: null, type: 'eip1559' }),
    ]);
    const serializedTransaction = await account.signTransaction({
      type: 'eip1559',
      chainId,
      nonce,
      data,
      gas,
      maxFeePerGas,
      maxPriorityFeePerGas,
      ...target,
    });
    const hash = await client.sendRawTransaction({ serializedTransaction });
    for (const deadline = performance.now() + MINED_MS; performance.now() < deadline; await delay(POLL_MS)) {
      // Not getTransactionReceipt: it throws for what is an ordinary answer here.
      const receipt = await client.request({ method: 'eth_getTransactionReceipt', params: [hash] });
      if (!receipt) continue;
      if (receipt.status !== '0x1') throw new EdgeError('CHAIN_REFUSED', `${what} was reverted (${hash})`);
      return {
        contractAddress: receipt.contractAddress ?? undefined,
        transactionHash: hash,
        block: Number(receipt.blockNumber),
        gasUsed: Number(receipt.gasUsed),
      };
    }
    throw new EdgeError('CHAIN_REFUSED', `${what} was sent, and is not mined after ${MINED_MS / 1000} s (${hash})`);
  } catch (error) {
    throw sendError(error, client, `${what} from ${account.address}`);
  }
}
