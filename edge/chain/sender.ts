/**
 * One sender per key. A transaction is in the store, signed, before it goes out; a stuck one is replaced at the same
 * nonce with higher fees; one that a reorg took back is pending again.
 */
import type { Hex } from 'viem';
import { keccak256, parseTransaction } from 'viem';
import type { PrivateKeyAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { faultPoint } from '../faults.ts';
import type { AnchorsContract } from './contract.ts';
import { sendError } from './rpc.ts';
import type { Transactions, TxRow } from './transactions.ts';

export type SenderOptions = {
  chainId: number;
  contract: AnchorsContract;
  account: PrivateKeyAccount;
  transactions: Transactions;
  confirmations: number;
  /** After so long without being mined a transaction is replaced. */
  stuckMs: number;
  /** In wei per gas: never offer more. */
  maxFee: bigint;
  report: (line: string) => void;
};

type Receipt = { success: boolean; block: number; gasUsed: number };

/** In the words of geth and anvil, Nethermind, and Besu. */
const KNOWN = /already ?(known|imported)|known ?transaction|nonce ?too ?low|old ?nonce/i;
const TOO_CHEAP = /underpriced|base ?fee|fee ?too ?low|gas ?price/i;

/** Clients of a node agree on 10 % as the least rise of a replacement's fees; 15 % leaves a margin. */
const raise = (fee: bigint): bigint => (fee * 115n) / 100n + 1n;
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

export class Sender {
  readonly #o: SenderOptions;
  /**
   * Monotonic, by row: when what is on its way went out, or was first met by this run. By the wall clock, a step
   * forward would pay higher fees for nothing, and one backward would leave a stuck one stuck.
   */
  readonly #sent = new Map<number, number>();

  constructor(options: SenderOptions) {
    this.#o = options;
  }

  /**
   * Learn what became of all that is not final yet, and push what is still on its way.
   * @param headSize entries under the contract's head: what is beyond was taken back, final or not
   * @returns how many are on their way
   * @throws EdgeError CHAIN_REFUSED, CHAIN_AWAY
   */
  async settle(nowMs: number, headSize: number): Promise<number> {
    const { contract, chainId, transactions, report } = this.#o;
    const gone = await transactions.reopen(chainId, contract.address, headSize);
    if (gone > 0)
      report(`chain: it holds ${headSize} entries, and ${gone} anchors of more that were final are gone; sent again`);
    const open = transactions.open(chainId, contract.address);
    if (open.length === 0) {
      this.#sent.clear();
      return 0;
    }
    let next = await this.#nextNonce();
    let waiting = 0;
    for (const row of open) {
      const receipt = await this.#receipt(row);
      if (receipt) await this.#mined(row, receipt, nowMs);
      else if (row.nonce !== next && (await this.#isReorgUnderWay(row, next)))
        return open.length; // what was read of it is of two chains: the next look sees one
      else if (row.nonce !== next) await this.#lose(row, next);
      else {
        waiting++;
        await this.#push(row, nowMs);
      }
      next = Math.max(next, row.nonce + 1);
    }
    return waiting;
  }

  async #mined(row: TxRow, { success, block, gasUsed }: Receipt, nowMs: number): Promise<void> {
    const { contract, transactions, confirmations, report } = this.#o;
    if (!success) {
      await transactions.update(row.id, { status: 'failed', block, gasUsed, minedMs: nowMs });
      report(new EdgeError('CHAIN_REFUSED', `the anchor of ${row.size} entries was reverted in block ${block}`).line);
      return;
    }
    const latest = Number(await contract.client.getBlockNumber());
    const status = latest - block + 1 >= confirmations ? 'confirmed' : 'mined';
    if (status !== row.status || block !== row.block)
      await transactions.update(row.id, { status, block, gasUsed, minedMs: row.minedMs ?? nowMs });
  }

  #nextNonce(): Promise<number> {
    const { contract, account } = this.#o;
    return contract.client.getTransactionCount({ address: account.address, blockTag: 'latest' });
  }

  /**
   * Whether the chain changed between the questions. The nonce was asked before the receipt, so what had used it up
   * has a receipt, unless a reorg came in between: then the nonce is free again, or the receipt is there again.
   */
  async #isReorgUnderWay(row: TxRow, next: number): Promise<boolean> {
    return row.nonce < next && ((await this.#nextNonce()) <= row.nonce || (await this.#receipt(row)) !== undefined);
  }

  /** @param next the nonce that the chain takes next */
  async #lose(row: TxRow, next: number): Promise<void> {
    await this.#o.transactions.update(row.id, { status: 'lost', block: null, minedMs: null });
    const why = row.nonce < next ? 'was used by another transaction' : 'comes after transactions that are gone';
    this.#o.report(
      `chain: nonce ${row.nonce} of ${this.#o.account.address} ${why}, so the anchor of ${row.size} entries is lost; the newest checkpoint is sent anew`,
    );
  }

  async #receipt(row: TxRow): Promise<Receipt | undefined> {
    for (const hash of row.hashes) {
      // Not getTransactionReceipt: it throws for what is an ordinary answer here.
      const receipt = await this.#o.contract.client.request({ method: 'eth_getTransactionReceipt', params: [hash] });
      if (receipt)
        return {
          success: receipt.status === '0x1',
          block: Number(receipt.blockNumber),
          gasUsed: Number(receipt.gasUsed),
        };
    }
    return undefined;
  }

  /** Sends what has not been sent, replaces what is stuck, leaves alone what was sent a short while ago. */
  async #push(row: TxRow, nowMs: number): Promise<void> {
    const stuck = performance.now() - this.#sentAt(row) > this.#o.stuckMs;
    if (row.status === 'mined') {
      await this.#o.transactions.update(row.id, { status: 'signed', block: null, minedMs: null });
      // Said once the row says so too: whoever hears it may look.
      this.#o.report(
        `chain: the anchor of ${row.size} entries (${row.hashes.at(-1)}) was taken back by a reorg; it is sent again`,
      );
      await this.#broadcast({ ...row, status: 'signed' }, nowMs);
    } else if (row.status === 'signed')
      try {
        await this.#broadcast(row, nowMs);
      } catch (error) {
        // Signed when gas was cheaper: the node won't take these bytes before the fees fall.
        if (!stuck || !TOO_CHEAP.test((error as Error).message)) throw error;
        await this.#replace(row, nowMs);
      }
    else if (stuck) await this.#replace(row, nowMs);
  }

  /** @throws EdgeError CHAIN_REFUSED when that would cost more than is allowed */
  async #replace(row: TxRow, nowMs: number): Promise<void> {
    const old = parseTransaction(row.raw) as {
      maxFeePerGas: bigint;
      maxPriorityFeePerGas?: bigint;
      gas: bigint;
      data: Hex;
    };
    const { maxFee, transactions, report } = this.#o;
    const least = raise(old.maxFeePerGas);
    if (least > maxFee) {
      await this.#broadcast(row, nowMs); // nodes forget
      throw new EdgeError(
        'CHAIN_REFUSED',
        `the anchor of ${row.size} entries is stuck at ${row.fee} wei per gas, and more than ${maxFee} is not allowed (chain.maxFeeGwei)`,
      );
    }
    const asked = await this.#fees();
    const fee = min(max(least, asked.fee), maxFee);
    const tip = max(raise(old.maxPriorityFeePerGas ?? 0n), asked.tip);
    const { raw, hash } = await this.#sign(row.nonce, old.data, old.gas, fee, tip);
    const hashes = [...row.hashes, hash];
    await transactions.update(row.id, { raw, hashes, fee, sentMs: nowMs });
    this.#sent.set(row.id, performance.now());
    report(`chain: the anchor of ${row.size} entries is stuck; replaced with fees of ${fee} wei per gas`);
    await this.#broadcast({ ...row, raw, hashes, fee }, nowMs);
  }

  /** What the chain asks now. */
  async #fees(): Promise<{ fee: bigint; tip: bigint }> {
    const { client } = this.#o.contract;
    const { maxFeePerGas, maxPriorityFeePerGas } = await client.estimateFeesPerGas({ chain: null, type: 'eip1559' });
    return { fee: maxFeePerGas, tip: maxPriorityFeePerGas };
  }

  async #sign(nonce: number, data: Hex, gas: bigint, fee: bigint, tip: bigint): Promise<{ raw: Hex; hash: Hex }> {
    const raw = await this.#o.account.signTransaction({
      type: 'eip1559',
      chainId: this.#o.chainId,
      to: this.#o.contract.address,
      nonce,
      data,
      gas,
      maxFeePerGas: fee,
      maxPriorityFeePerGas: min(tip, fee),
    });
    return { raw, hash: keccak256(raw) };
  }

  /** Sign, store, send. Only to be called when nothing is on its way. @param signature of the head, for the contract */
  async send(
    { size, root, signature }: { size: number; root: Uint8Array; signature: Hex },
    data: Hex,
    gas: bigint,
    nowMs: number,
  ): Promise<void> {
    const { contract, account, transactions, chainId, maxFee } = this.#o;
    const nonce = await contract.client.getTransactionCount({ address: account.address, blockTag: 'latest' });
    const { fee, tip } = await this.#fees();
    if (fee > maxFee)
      throw new EdgeError(
        'CHAIN_REFUSED',
        `the chain asks ${fee} wei per gas, and more than ${maxFee} is not allowed (chain.maxFeeGwei)`,
      );
    const { raw, hash } = await this.#sign(nonce, data, (gas * 12n) / 10n, fee, tip);
    await transactions.insert({
      chainId,
      contract: contract.address,
      nonce,
      size,
      root,
      raw,
      signature,
      hashes: [hash],
      fee,
      madeMs: nowMs,
    });
    const row = transactions.open(chainId, contract.address).findLast((r) => r.nonce === nonce);
    if (row) await this.#broadcast(row, nowMs);
  }

  async #broadcast(row: TxRow, nowMs: number): Promise<void> {
    const { contract, account, transactions } = this.#o;
    try {
      await contract.client.sendRawTransaction({ serializedTransaction: row.raw });
    } catch (error) {
      const refused = sendError(error, contract.client, `the anchor of ${row.size} entries from ${account.address}`);
      // The node has it, or has mined it: the next look at its receipt tells.
      if (!KNOWN.test(refused.detail)) throw refused;
    }
    faultPoint('anchor.sent');
    if (row.status === 'sent') return;
    this.#sent.set(row.id, performance.now());
    await transactions.update(row.id, { status: 'sent', sentMs: nowMs });
  }

  #sentAt({ id }: TxRow): number {
    const at = this.#sent.get(id) ?? performance.now();
    this.#sent.set(id, at);
    return at;
  }
}
