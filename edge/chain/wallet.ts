/**
 * What an account does with its credits: claim, list, buy, cancel, hand on. Each is sent at once and waited for, without
 * a row of its own: for people at a terminal and for the demo. What the gateway does by itself goes through sender.ts.
 */
import { type Abi, encodeFunctionData, type Hex, type PublicClient, parseEther, toHex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount, privateKeyToAddress } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { logsIn } from './blocks.ts';
import {
  type ClaimLine,
  claimData,
  claimResidualData,
  creditsAbi,
  decodeCreditsLog,
  decodeRevert,
  krwAbi,
  marketAbi,
  type Purpose,
} from './credits-contract.ts';
import { revertDataOf, rpcClient, sendError } from './rpc.ts';
import { sendOnce } from './setup.ts';

export type WalletOptions = {
  rpc: string;
  chainId: number;
  credits: Hex;
  /** Undefined: it cannot trade. */
  krw?: Hex | undefined;
  market?: Hex | undefined;
  /** secp256k1, 32 bytes. */
  secretKey: Uint8Array;
};

/** A transaction that is mined. */
export type Done = { hash: Hex; block: number; gasUsed: number };

export type ListingView = { seller: Hex; expiry: number; id: Hex; price: bigint; left: number };

/** `expiry` of a listing that is for ever. */
export const EVER = 2 ** 40 - 1;

/** The account of a key. */
export const accountOf = (secretKey: Uint8Array): Hex => privateKeyToAddress(toHex(secretKey));

export class Wallet {
  readonly #o: WalletOptions;
  readonly #client: PublicClient;
  readonly #account: PrivateKeyAccount;

  constructor(options: WalletOptions) {
    this.#o = options;
    this.#client = rpcClient(options.rpc);
    this.#account = privateKeyToAccount(toHex(options.secretKey));
  }

  get address(): Hex {
    return this.#account.address;
  }

  /** Gas money for itself. Works on anvil alone, and so on the embedded chain. */
  async fund(): Promise<void> {
    await this.#client.request({
      method: 'anvil_setBalance',
      params: [this.address, toHex(parseEther('1000'))],
    } as never);
  }

  /** Wh of these tokens that it has. @param id 0x and 64 hex digits */
  creditsOf(id: string): Promise<bigint> {
    return this.#read(this.#o.credits, creditsAbi as Abi, 'balanceOf', this.address, BigInt(id));
  }

  /** Base units of the mock money. */
  money(): Promise<bigint> {
    return this.#read(this.#krw, krwAbi as Abi, 'balanceOf', this.address);
  }

  /**
   * Burns tokens for good, as those hours.
   * @param beneficiary hash of who they are used for, zero where nobody is named; for storage-charge the commitment of
   * the storage plant's metering point
   * @param recipient must be there for a donation
   */
  claim(lines: readonly ClaimLine[], beneficiary: Hex, purpose: Purpose, recipient = ''): Promise<Done> {
    return this.#send(this.#o.credits, claimData(lines, beneficiary, purpose, recipient), 'claim');
  }

  /** Burns tokens for good, of what a month's gaps gave. @param of its first second by KST; the rest as for `claim` */
  claimResidual(
    of: { meteringPoint: Hex; month: number; wh: number },
    beneficiary: Hex,
    purpose: Purpose,
    recipient = '',
  ): Promise<Done> {
    const data = claimResidualData(of.meteringPoint, of.month, of.wh, beneficiary, purpose, recipient);
    return this.#send(this.#o.credits, data, 'claimResidual');
  }

  async transfer(to: Hex, id: string, wh: number): Promise<Done> {
    const args = [this.address, to, BigInt(id), BigInt(wh), '0x'];
    return this.#call(this.#o.credits, creditsAbi as Abi, 'safeTransferFrom', args);
  }

  /**
   * Offers tokens. The market may move them from now on, as far as they are offered.
   * @param price base units of the mock money for a Wh @param expiry Unix seconds
   */
  async list(id: string, wh: number, price: bigint, expiry = EVER): Promise<Done & { listing: number }> {
    const market = this.#market;
    const { credits } = this.#o;
    if (!(await this.#read<boolean>(credits, creditsAbi as Abi, 'isApprovedForAll', this.address, market)))
      await this.#call(credits, creditsAbi as Abi, 'setApprovalForAll', [market, true]);
    const done = await this.#call(market, marketAbi as Abi, 'list', [BigInt(id), BigInt(wh), price, expiry]);
    for (const log of await logsIn(this.#client, [market], done.block, done.block)) {
      const said = log.tx === done.hash.toLowerCase() ? decodeCreditsLog(log.topics, log.data) : undefined;
      if (said?.event === 'Listed') return { ...done, listing: Number(said.args.listing) };
    }
    throw new EdgeError('CHAIN_WRONG', `${done.hash} lists nothing at ${market}`);
  }

  async listing(listing: number): Promise<ListingView> {
    const view = await this.#read<{ seller: Hex; expiry: number; id: bigint; price: bigint; left: bigint }>(
      this.#market,
      marketAbi as Abi,
      'get',
      BigInt(listing),
    );
    return { ...view, id: toHex(view.id, { size: 32 }), left: Number(view.left) };
  }

  /** Buys a part of a listing or all of it, at the price that it has now. */
  async buy(listing: number, wh: number): Promise<Done & { paid: bigint }> {
    const { id, price } = await this.listing(listing);
    const paid = price * BigInt(wh);
    await this.#call(this.#krw, krwAbi as Abi, 'approve', [this.#market, paid]);
    const args = [BigInt(listing), BigInt(id), BigInt(wh), price];
    return { ...(await this.#call(this.#market, marketAbi as Abi, 'buy', args)), paid };
  }

  cancel(listing: number): Promise<Done> {
    return this.#call(this.#market, marketAbi as Abi, 'cancel', [BigInt(listing)]);
  }

  get #market(): Hex {
    if (!this.#o.market) throw new EdgeError('CONFIG_INVALID', 'chain.market is empty: there is no market to trade on');
    return this.#o.market;
  }

  get #krw(): Hex {
    if (!this.#o.krw) throw new EdgeError('CONFIG_INVALID', 'no deposit money is known to trade with');
    return this.#o.krw;
  }

  async #read<T>(address: Hex, abi: Abi, functionName: string, ...args: unknown[]): Promise<T> {
    return (await this.#client.readContract({ address, abi, functionName, args })) as T;
  }

  #call(to: Hex, abi: Abi, functionName: string, args: readonly unknown[]): Promise<Done> {
    return this.#send(to, encodeFunctionData({ abi, functionName, args }), functionName);
  }

  /** @throws EdgeError CHAIN_REFUSED with the contract's own error, CHAIN_AWAY */
  async #send(to: Hex, data: Hex, what: string): Promise<Done> {
    const { address } = this.#account;
    try {
      await this.#client.call({ account: address, to, data });
    } catch (error) {
      const reverted = revertDataOf(error);
      const why = reverted && decodeRevert(reverted);
      if (why) throw new EdgeError('CHAIN_REFUSED', `${what} from ${address}: ${why.text}`, { cause: error });
      throw sendError(error, this.#client, `${what} from ${address}`);
    }
    const { transactionHash, block, gasUsed } = await sendOnce(
      this.#client,
      this.#account,
      this.#o.chainId,
      to,
      data,
      what,
    );
    return { hash: transactionHash, block, gasUsed };
  }
}
