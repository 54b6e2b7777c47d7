/**
 * One sender per key. A transaction is in the store, signed, before it goes out; a stuck one is replaced at the same
 * nonce with higher fees; one that a reorg took back is pending again.
 */
import { type Hex, keccak256, type PublicClient, parseTransaction } from 'viem';
import type { PrivateKeyAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { faultPoint } from '../faults.ts';
import { sendError } from './rpc.ts';

/**
 * signed -> sent -> mined -> confirmed
 *   ^________________/______/   (the chain took it back)
 * signed, sent -> failed        (mined but reverted)
 * signed, sent -> lost          (another transaction took its nonce, or one before it is gone)
 */
export type SentStatus = 'signed' | 'sent' | 'mined' | 'confirmed' | 'failed' | 'lost';

/** What the sender must know of a transaction, whatever it is for. */
export type SentRow = {
  id: number;
  contract: Hex;
  nonce: number;
  raw: Hex;
  /** All hashes this nonce had, oldest first; the one that was mined is the last. */
  hashes: Hex[];
  /** maxFeePerGas in wei. */
  fee: bigint;
  status: SentStatus;
  block: number | null;
  sentMs: number | null;
  minedMs: number | null;
};

export type SentChange = {
  raw?: Hex;
  hashes?: Hex[];
  fee?: bigint;
  status?: SentStatus;
  block?: number | null;
  gasUsed?: number;
  sentMs?: number;
  minedMs?: number | null;
};

/** What is new of a row that is to be written before it is sent. */
export type Signed = { chainId: number; nonce: number; raw: Hex; hashes: Hex[]; fee: bigint; madeMs: number };

/** Where the rows of one account lie. */
export type SentRows<Row extends SentRow> = {
  /** Not yet final, in the order of their nonces. */
  open: () => Row[];
  update: (id: number, change: SentChange) => Promise<void>;
  /** What it is, for people: "the anchor of 7 entries". */
  what: (row: Row) => string;
  /** The line of one that was mined and reverted, where that is no error. */
  reverted?: (row: Row, block: number) => string | undefined;
};

export type SenderOptions<Row extends SentRow> = {
  chainId: number;
  client: PublicClient;
  account: PrivateKeyAccount;
  rows: SentRows<Row>;
  confirmations: number;
  /** After so long without being mined a transaction is replaced. */
  stuckMs: number;
  /** In wei per gas: never offer more. */
  maxFee: bigint;
  /** What happens where a transaction is lost, for people. */
  afterLoss: string;
  /** For fault points (faults.ts): anchor, credit. */
  name: string;
  report: (line: string) => void;
};

type Receipt = { hash: Hex; success: boolean; block: number; gasUsed: number };

/** In the words of geth and anvil, Nethermind, and Besu. */
const KNOWN = /already ?(known|imported)|known ?transaction|nonce ?too ?low|old ?nonce/i;
const TOO_CHEAP = /underpriced|base ?fee|fee ?too ?low|gas ?price/i;

/** Clients of a node agree on 10 % as the least rise of a replacement's fees; 15 % leaves a margin. */
const raise = (fee: bigint): bigint => (fee * 115n) / 100n + 1n;
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

export class Sender<Row extends SentRow> {
  readonly #o: SenderOptions<Row>;
  /**
   * Monotonic, by row: when what is on its way went out, or was first met by this run. By the wall clock, a step
   * forward would pay higher fees for nothing, and one backward would leave a stuck one stuck.
   */
  readonly #sent = new Map<number, number>();

  constructor(options: SenderOptions<Row>) {
    this.#o = options;
  }

  /**
   * Learn what became of all that is not final yet, and push what is still on its way.
   * @returns how many are on their way
   * @throws EdgeError CHAIN_REFUSED, CHAIN_AWAY
   */
  async settle(nowMs: number): Promise<number> {
    const open = this.#o.rows.open();
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

  async #mined(row: Row, { hash, success, block, gasUsed }: Receipt, nowMs: number): Promise<void> {
    const { client, rows, confirmations, report } = this.#o;
    if (hash !== row.hashes.at(-1))
      await rows.update(row.id, { hashes: [...row.hashes.filter((other) => other !== hash), hash] });
    if (!success) {
      await rows.update(row.id, { status: 'failed', block, gasUsed, minedMs: nowMs });
      const line = new EdgeError('CHAIN_REFUSED', `${rows.what(row)} was reverted in block ${block}`).line;
      report(rows.reverted?.(row, block) ?? line);
      return;
    }
    const latest = Number(await client.getBlockNumber());
    const status = latest - block + 1 >= confirmations ? 'confirmed' : 'mined';
    if (status !== row.status || block !== row.block)
      await rows.update(row.id, { status, block, gasUsed, minedMs: row.minedMs ?? nowMs });
  }

  #nextNonce(): Promise<number> {
    const { client, account } = this.#o;
    return client.getTransactionCount({ address: account.address, blockTag: 'latest' });
  }

  /**
   * Whether the chain changed between the questions. The nonce was asked before the receipt, so what had used it up
   * has a receipt, unless a reorg came in between: then the nonce is free again, or the receipt is there again.
   */
  async #isReorgUnderWay(row: Row, next: number): Promise<boolean> {
    return row.nonce < next && ((await this.#nextNonce()) <= row.nonce || (await this.#receipt(row)) !== undefined);
  }

  /** @param next the nonce that the chain takes next */
  async #lose(row: Row, next: number): Promise<void> {
    const { rows, account, afterLoss, report } = this.#o;
    await rows.update(row.id, { status: 'lost', block: null, minedMs: null });
    const why = row.nonce < next ? 'was used by another transaction' : 'comes after transactions that are gone';
    report(`chain: nonce ${row.nonce} of ${account.address} ${why}, so ${rows.what(row)} is lost; ${afterLoss}`);
  }

  async #receipt(row: Row): Promise<Receipt | undefined> {
    for (const hash of row.hashes) {
      // Not getTransactionReceipt: it throws for what is an ordinary answer here.
      const receipt = await this.#o.client.request({ method: 'eth_getTransactionReceipt', params: [hash] });
      if (receipt)
        return {
          hash,
          success: receipt.status === '0x1',
          block: Number(receipt.blockNumber),
          gasUsed: Number(receipt.gasUsed),
        };
    }
    return undefined;
  }

  /** Sends what has not been sent, replaces what is stuck, leaves alone what was sent a short while ago. */
  async #push(row: Row, nowMs: number): Promise<void> {
    const stuck = performance.now() - this.#sentAt(row) > this.#o.stuckMs;
    if (row.status === 'mined') {
      const { rows, report } = this.#o;
      await rows.update(row.id, { status: 'signed', block: null, minedMs: null });
      // Said once the row says so too: whoever hears it may look.
      report(`chain: ${rows.what(row)} (${row.hashes.at(-1)}) was taken back by a reorg; it is sent again`);
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
  async #replace(row: Row, nowMs: number): Promise<void> {
    const old = parseTransaction(row.raw) as {
      maxFeePerGas: bigint;
      maxPriorityFeePerGas?: bigint;
      gas: bigint;
      data: Hex;
    };
    const { maxFee, rows, report } = this.#o;
    const least = raise(old.maxFeePerGas);
    if (least > maxFee) {
      await this.#broadcast(row, nowMs); // nodes forget
      throw new EdgeError(
        'CHAIN_REFUSED',
        `${rows.what(row)} is stuck at ${row.fee} wei per gas, and more than ${maxFee} is not allowed (chain.maxFeeGwei)`,
      );
    }
    const asked = await this.#fees();
    const fee = min(max(least, asked.fee), maxFee);
    const tip = max(raise(old.maxPriorityFeePerGas ?? 0n), asked.tip);
    const { raw, hash } = await this.#sign(row.contract, row.nonce, old.data, old.gas, fee, tip);
    const hashes = [...row.hashes, hash];
    await rows.update(row.id, { raw, hashes, fee, sentMs: nowMs });
    this.#sent.set(row.id, performance.now());
    report(`chain: ${rows.what(row)} is stuck; replaced with fees of ${fee} wei per gas`);
    await this.#broadcast({ ...row, raw, hashes, fee }, nowMs);
  }

  /** What the chain asks now. */
  async #fees(): Promise<{ fee: bigint; tip: bigint }> {
    const { maxFeePerGas, maxPriorityFeePerGas } = await this.#o.client.estimateFeesPerGas({
      chain: null,
      type: 'eip1559',
    });
    return { fee: maxFeePerGas, tip: maxPriorityFeePerGas };
  }

  async #sign(
    to: Hex,
    nonce: number,
    data: Hex,
    gas: bigint,
    fee: bigint,
    tip: bigint,
  ): Promise<{ raw: Hex; hash: Hex }> {
    const raw = await this.#o.account.signTransaction({
      type: 'eip1559',
      chainId: this.#o.chainId,
      to,
      nonce,
      data,
      gas,
      maxFeePerGas: fee,
      maxPriorityFeePerGas: min(tip, fee),
    });
    return { raw, hash: keccak256(raw) };
  }

  /**
   * Sign, store, send. Only to be called when nothing is on its way.
   * @param insert makes the row durable, before anything goes out
   * @throws EdgeError CHAIN_REFUSED, CHAIN_AWAY, STORE_UNAVAILABLE
   */
  async send(
    { to, data, gas }: { to: Hex; data: Hex; gas: bigint },
    insert: (signed: Signed) => Promise<void>,
    nowMs: number,
  ): Promise<void> {
    const { rows, chainId, maxFee } = this.#o;
    const nonce = await this.#nextNonce();
    const { fee, tip } = await this.#fees();
    if (fee > maxFee)
      throw new EdgeError(
        'CHAIN_REFUSED',
        `the chain asks ${fee} wei per gas, and more than ${maxFee} is not allowed (chain.maxFeeGwei)`,
      );
    const { raw, hash } = await this.#sign(to, nonce, data, (gas * 12n) / 10n, fee, tip);
    await insert({ chainId, nonce, raw, hashes: [hash], fee, madeMs: nowMs });
    const row = rows.open().findLast((r) => r.nonce === nonce);
    if (row) await this.#broadcast(row, nowMs);
  }

  async #broadcast(row: Row, nowMs: number): Promise<void> {
    const { client, account, rows, name } = this.#o;
    try {
      await client.sendRawTransaction({ serializedTransaction: row.raw });
    } catch (error) {
      const refused = sendError(error, client, `${rows.what(row)} from ${account.address}`);
      // The node has it, or has mined it: the next look at its receipt tells.
      if (!KNOWN.test(refused.detail)) throw refused;
    }
    faultPoint(`${name}.sent`);
    if (row.status === 'sent') return;
    this.#sent.set(row.id, performance.now());
    await rows.update(row.id, { status: 'sent', sentMs: nowMs });
  }

  #sentAt({ id }: Row): number {
    const at = this.#sent.get(id) ?? performance.now();
    this.#sent.set(id, at);
    return at;
  }
}
