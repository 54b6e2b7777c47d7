/**
 * Sends what the credits account has to say, one transaction at a time: certificates that are due, and what people ask
 * for (claims, withdrawals). What is due is asked for anew each time and is never remembered, so that a restart, a reorg or
 * a chain that was away for a week need nothing of their own. A row is on disk before its transaction goes out.
 */
import { p256 } from '@noble/curves/nist.js';
import { type Hex, type PublicClient, toHex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { decodeDid } from '../wire/did.ts';
import { type Batch, dataOf, keyOf, type LogPart, textOf } from './batch.ts';
import type { About, CreditPurpose, CreditTransactions, CreditTxRow } from './credit-transactions.ts';
import { decodeRevert, showKeyData } from './credits-contract.ts';
import { chainError, revertDataOf, rpcClient, sendError, withoutSecrets } from './rpc.ts';
import { Sender, type Signed } from './sender.ts';

const REQUEST_MS = 10_000;
/** Asked for by people and not sent yet. */
const MOST_WAITING = 1_000;
/** So long somebody waits for what was asked for to be mined. */
const ANSWER_MS = 30_000;
/** What waits for something so long is said. */
const PATIENCE_MS = 120_000;
/** Batches of one look: what is due is asked for anew after so many. */
const MOST_AT_ONCE = 50;
/** What was not taken is offered again so soon, while other batches wait for their turn. */
const AGAIN_MS = 30_000;
/** A batch takes a third of it. The rest would be spent by a contract that owns the plant, when it is given its tokens. */
const MOST_GAS = 3_000_000n;
/** So often a batch may revert when it is mined though the node foresaw none of it: that costs money. */
const MOST_FAILURES = 3;
/**
 * Reverts that are of the moment: somebody else was faster, which the events will tell; a root, a registration, a key, a
 * modulus or a charge is not there yet, or went with a reorg. All others are the last word, when they are said twice.
 */
const LATER = new Set([
  ...['SlotTaken', 'NotAnchored', 'NotIncluded', 'BadProof', 'NotAPlant', 'NoOwner', 'RegisterFell', 'NotCharged'],
  'KeyNotShown',
]);

export type MinterOptions = LogPart & {
  rpc: string;
  chainId: number;
  credits: Hex;
  secretKey: Uint8Array;
  everySeconds: number;
  pollSeconds: number;
  confirmations: number;
  stuckSeconds: number;
  maxFeeGwei: number;
  transactions: CreditTransactions;
  /** What to send now: complete, under the anchored size, not on the chain and not on its way. */
  due: (anchoredSize: number) => Batch[];
  /** Entries under the newest root that Anchors holds. */
  anchoredSize: () => number;
  /** Whether the events of that block were followed. */
  isFollowed: (block: number) => boolean;
  /** The contract does not take it. */
  onRefused: (batch: Batch, error: EdgeError) => Promise<void>;
  /** A transaction was mined, or taken back. */
  onMoved: () => void;
  report: (line: string) => void;
};

export type MinterState = {
  account: string;
  contract: string;
  reachable: boolean;
  pending: number;
  problem: string | undefined;
};

/** What became of something that was asked for; `block` and `gasUsed` are null where it is not mined yet. */
export type Sent = { hash: Hex; block: number | null; gasUsed: number | null };

type Wanted = {
  to: Hex;
  purpose: CreditPurpose;
  about: About;
  data: Hex;
  resolve: (sent: Sent) => void;
  reject: (error: unknown) => void;
};

/** The error of a batch that was not taken, when it was met first (monotonic), and whether it was said. */
type Left = { error: string; sinceMs: number; said: boolean };

/** What a claim takes of: hours, or a month's gaps, of a metering point. */
function claimedIn({ lines = [], point, month }: About): string[] {
  const hours = lines as readonly { meteringPoint: string; slot: number }[];
  const gaps = month === undefined ? [] : [`${String(point).toLowerCase()} gaps ${String(month)}`];
  return [...hours.map(({ meteringPoint, slot }) => `${meteringPoint.toLowerCase()} ${slot}`), ...gaps];
}

export class Minter {
  readonly #o: MinterOptions;
  readonly #account: PrivateKeyAccount;
  readonly #client: PublicClient;
  readonly #sender: Sender<CreditTxRow>;
  readonly #cut = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #connected = false;
  #reachable = false;
  #problem: EdgeError | undefined;
  #pending = 0;
  /** Monotonic: when what was due was sent last. */
  #mintedMs = Number.NEGATIVE_INFINITY;
  /** Batches that were not taken at the last look. */
  #left = new Map<string, Left>();
  #triedMs = Number.NEGATIVE_INFINITY;
  readonly #queue: Wanted[] = [];
  /** Asked for, sent, and not mined yet, by the row's number. */
  readonly #asked = new Map<number, Wanted>();
  /** The newest block that has a transaction of ours. */
  #block = 0;

  constructor(options: MinterOptions) {
    this.#o = options;
    const { chainId, transactions, rpc } = options;
    this.#account = privateKeyToAccount(toHex(options.secretKey));
    this.#client = rpcClient(rpc, REQUEST_MS, this.#cut.signal);
    this.#sender = new Sender<CreditTxRow>({
      chainId,
      client: this.#client,
      account: this.#account,
      rows: {
        open: () => transactions.open(chainId),
        update: (id, change) => transactions.update(id, change),
        what: ({ about }) => about.text,
        reverted: ({ purpose, about }, block) =>
          purpose === 'mint'
            ? `credits: ${about.text} reverted in block ${block}: another account was faster, or the chain has changed; what is still due is sent anew`
            : undefined,
      },
      confirmations: options.confirmations,
      stuckMs: options.stuckSeconds * 1000,
      maxFee: BigInt(Math.round(options.maxFeeGwei * 1e9)),
      afterLoss: 'what is still due is sent anew',
      name: 'credit',
      report: options.report,
    });
  }

  get state(): MinterState {
    return {
      account: this.#account.address,
      contract: this.#o.credits,
      reachable: this.#reachable,
      pending: this.#pending,
      problem: this.#problem?.line,
    };
  }

  /** What is on its way. */
  inFlight(): Pick<CreditTxRow, 'purpose' | 'about'>[] {
    return this.#o.transactions.open(this.#o.chainId);
  }

  start(): void {
    this.#timer = setInterval(() => this.wake(), this.#o.pollSeconds * 1000);
    this.wake();
  }

  /** Something may be due, or time to look. */
  wake(): void {
    if (!this.#timer) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#running = this.#cycle().finally(() => {
      this.#running = undefined;
      if (this.#again) this.wake();
    });
  }

  /** Nothing of it touches the store or the chain any more after this. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#again = false;
    this.#cut.abort();
    await this.#running;
    for (const { reject, about } of [...this.#queue.splice(0), ...this.#asked.values()])
      reject(new EdgeError('CHAIN_AWAY', `the gateway stops; ${about.text} was sent or not: look again`));
  }

  /**
   * Sends a transaction of the account, and waits until it is mined, for half a minute. While the chain is away nothing
   * is sent: nobody's claim comes as a surprise hours later.
   * @param about in a claim with its `lines`, or `point` and `month`: while one of the same hours or gaps is on its way, or
   * mined and not followed yet, another is refused, so that a claim whose answer was lost is not made twice
   * @throws EdgeError CREDIT_REFUSED in the contract's words, CHAIN_REFUSED, CHAIN_AWAY, CREDITS_BUSY
   */
  async send(purpose: CreditPurpose, to: Hex, data: Hex, about: About): Promise<Sent> {
    if (!this.#timer) throw new EdgeError('CHAIN_AWAY', `${about.text} is not sent: the chain was not reached yet`);
    if (this.#queue.length >= MOST_WAITING)
      throw new EdgeError('CREDITS_BUSY', `${MOST_WAITING} transactions wait for the chain`);
    if (purpose === 'claim' && this.#isClaimUnderWay(about))
      throw new EdgeError('CREDITS_BUSY', `${about.text}: another claim of the same hours is on its way`);
    let timer: NodeJS.Timeout | undefined;
    const sent = new Promise<Sent>((resolve, reject) => {
      const wanted = { to, purpose, about, data, resolve, reject };
      timer = setTimeout(() => this.#answer(wanted), ANSWER_MS);
      this.#queue.push(wanted);
      this.wake();
    });
    return sent.finally(() => clearTimeout(timer));
  }

  #isClaimUnderWay(about: About): boolean {
    const { transactions, isFollowed } = this.#o;
    const wanted = new Set(claimedIn(about));
    const isOpen = ({ status, block }: CreditTxRow): boolean =>
      status === 'signed' || status === 'sent' || (block !== null && status !== 'failed' && !isFollowed(block));
    const others = transactions.list(MOST_WAITING).filter((row) => row.purpose === 'claim' && isOpen(row));
    return [...others, ...this.#queue].some((other) => claimedIn(other.about).some((one) => wanted.has(one)));
  }

  /** The chain takes its time: what is signed goes on by itself, what is not is dropped. */
  #answer(wanted: Wanted): void {
    const at = this.#queue.indexOf(wanted);
    if (at >= 0) {
      this.#queue.splice(at, 1);
      wanted.reject(
        new EdgeError('CREDITS_BUSY', `${wanted.about.text} is not sent: transactions before it are stuck`),
      );
      return;
    }
    for (const [id, asked] of this.#asked) {
      if (asked !== wanted) continue;
      this.#asked.delete(id);
      const hash = this.#o.transactions.get(id)?.hashes.at(-1) as Hex;
      wanted.resolve({ hash, block: null, gasUsed: null });
    }
  }

  async #cycle(): Promise<void> {
    try {
      // The contracts may be deployed by this very account: its first nonces are theirs.
      if (!this.#o.isFollowed(0)) {
        this.#dismiss(new EdgeError('CHAIN_AWAY', 'the events of credits were not read yet'));
        return;
      }
      await this.#connect();
      await this.#settle();
      await this.#mournLost();
      while (this.#pending === 0 && this.#queue.length > 0) {
        await this.#ask(this.#queue.shift() as Wanted);
        await this.#settle();
      }
      if (this.#pending === 0) await this.#mintDue();
      this.#say(undefined);
    } catch (error) {
      if (this.#cut.signal.aborted) return;
      const problem = chainError(error, this.#client);
      this.#connected = false;
      this.#reachable = problem.code !== 'CHAIN_AWAY';
      this.#dismiss(problem);
      this.#say(problem);
    }
  }

  /** Nothing of it is signed, so nothing of it will be sent. */
  #dismiss(why: EdgeError): void {
    for (const { reject } of this.#queue.splice(0)) reject(why);
  }

  /** Says a problem once, not at each look. */
  #say(problem: EdgeError | undefined): void {
    const same = (line: string | undefined) => line?.replace(/\d+/g, '#');
    const said = this.#problem?.line;
    this.#problem = problem;
    if (same(problem?.line) === same(said)) return;
    this.#o.report(`credits: ${problem?.line ?? `all is well again at ${withoutSecrets(this.#o.rpc)}`}`);
  }

  /** Whether it is the right chain with the contract on it is said by the follower of its events. */
  async #connect(): Promise<void> {
    if (this.#connected) return;
    const found = await this.#client.getChainId();
    if (found !== this.#o.chainId)
      throw new EdgeError('CHAIN_WRONG', `the RPC is chain ${found}, the config says ${this.#o.chainId}`);
    if ((await this.#client.getCode({ address: this.#o.credits })) === undefined)
      throw new EdgeError('CHAIN_AWAY', `there is no Credits contract at ${this.#o.credits} yet`);
    this.#connected = true;
    this.#reachable = true;
  }

  /** What became of what is on its way; whoever waits for it is told. */
  async #settle(): Promise<void> {
    const { transactions, chainId, onMoved } = this.#o;
    const before = transactions.open(chainId);
    this.#pending = await this.#sender.settle(Date.now());
    let moved = false;
    for (const { id, status } of before) {
      const row = transactions.get(id);
      if (!row || row.status === status) continue;
      moved = true;
      if (row.block !== null) this.#block = Math.max(this.#block, row.block);
      const asked = this.#asked.get(id);
      if (!asked || row.status === 'signed' || row.status === 'sent') continue;
      this.#asked.delete(id);
      const { block, gasUsed } = row;
      if (block !== null && row.status !== 'failed') asked.resolve({ hash: row.hashes.at(-1) as Hex, block, gasUsed });
      else asked.reject(new EdgeError('CHAIN_REFUSED', `${row.about.text}: ${row.status}`));
    }
    if (moved) onMoved();
  }

  /** Final ones whose nonce the chain takes again went with blocks that it lost. What is due is sent anew by itself. */
  async #mournLost(): Promise<void> {
    const { transactions, chainId, report } = this.#o;
    const { address } = this.#account;
    const newest = transactions.newestFinal(chainId);
    if (newest === undefined) return;
    const next = await this.#client.getTransactionCount({ address, blockTag: 'latest' });
    if (next > newest) return;
    for (const { purpose, about } of await transactions.lose(chainId, next))
      if (purpose !== 'mint' && purpose !== 'key')
        report(`credits: ${about.text} went with blocks that the chain has lost; ask for it again`);
  }

  async #ask(wanted: Wanted): Promise<void> {
    const { to, purpose, about, data, reject } = wanted;
    try {
      const gas = await this.#estimate(to, data, about.text);
      await this.#submit(purpose, to, data, gas, about, (id) => this.#asked.set(id, wanted));
    } catch (error) {
      if ([...this.#asked.values()].includes(wanted)) throw error; // its row is there: it goes out later
      reject(chainError(error, this.#client));
      if (!(error instanceof EdgeError) || error.code !== 'CREDIT_REFUSED') throw error;
    }
  }

  async #submit(
    purpose: CreditPurpose,
    contract: Hex,
    data: Hex,
    gas: bigint,
    about: About,
    onRow: (id: number) => void = () => undefined,
  ): Promise<void> {
    const insert = async (signed: Signed): Promise<void> => {
      onRow(await this.#o.transactions.insert({ ...signed, contract, purpose, about }));
    };
    await this.#sender.send({ to: contract, data, gas }, insert, Date.now());
  }

  /** All that is due, one batch after the other, as long as the chain mines at once. */
  async #mintDue(): Promise<void> {
    const { everySeconds, due, anchoredSize, isFollowed } = this.#o;
    const now = performance.now();
    const isTurn = now - this.#mintedMs >= everySeconds * 1000;
    if (!isTurn && !(this.#left.size > 0 && now - this.#triedMs >= AGAIN_MS)) return;
    // Until the events of the last one are here, what it minted would still seem to be due. A chain that was rolled back
    // has fewer blocks than that.
    const block = this.#block === 0 ? 0 : Math.min(this.#block, Number(await this.#client.getBlockNumber()));
    if (!isFollowed(block)) return;
    const size = anchoredSize();
    const before = this.#left;
    const [fresh, again] = split(size > 0 ? due(size) : [], (batch) => !before.has(keyOf(batch)));
    const batches = [...(isTurn ? fresh : []), ...again];
    const left = new Map<string, Left>();
    for (const batch of batches.slice(0, MOST_AT_ONCE)) {
      if (this.#cut.signal.aborted || !(await this.#mint(batch, size, left))) return;
      if (this.#queue.length > 0) return;
    }
    for (const key of batches.slice(MOST_AT_ONCE).map(keyOf)) {
      const held = before.get(key);
      if (held) left.set(key, held);
    }
    this.#left = left;
    this.#triedMs = performance.now();
    if (isTurn && fresh.length <= MOST_AT_ONCE) this.#mintedMs = this.#triedMs;
  }

  /**
   * @param left notes there what the contract did not take, with its error
   * @returns whether the next may be sent
   */
  async #mint(batch: Batch, size: number, left: Map<string, Left>): Promise<boolean> {
    const { credits, transactions, chainId, onRefused, report } = this.#o;
    const { kind, point, slots } = batch;
    const text = textOf(batch);
    let gas: bigint;
    let data: Hex;
    try {
      data = dataOf(batch, size, text, this.#o);
      gas = await this.#estimate(credits, data, text);
      if (gas > MOST_GAS)
        throw new EdgeError(
          'CREDIT_REFUSED',
          `${text}: it takes ${gas} gas, and ${MOST_GAS} are the most that are paid`,
        );
      if (transactions.failures(chainId, point, slots[0] as number) >= MOST_FAILURES)
        throw new EdgeError(
          'CREDIT_REFUSED',
          `${text}: it reverted ${MOST_FAILURES} times in a block, though the node had foreseen none of it`,
        );
    } catch (error) {
      if (!(error instanceof EdgeError) || error.code !== 'CREDIT_REFUSED') throw error;
      const name = /: (\w+)\(/.exec(error.detail)?.[1] ?? error.detail;
      if (name === 'KeyNotShown' && !(await this.#showKey(batch.iss))) return false;
      const key = keyOf(batch);
      const held = this.#left.get(key);
      if (held?.error !== name) {
        left.set(key, { error: name, sinceMs: performance.now(), said: false });
        return true;
      }
      if (LATER.has(name)) {
        const isLong = performance.now() - held.sinceMs > PATIENCE_MS;
        if (isLong && !held.said) report(`credits: not yet: ${error.detail}`);
        left.set(key, { ...held, said: held.said || isLong });
        return true;
      }
      await onRefused(batch, error);
      return true;
    }
    await this.#submit('mint', credits, data, gas, { text, kind, point, slots });
    await this.#settle();
    return this.#pending === 0;
  }

  /** @returns false where it is on its way: the batch itself is due as before */
  async #showKey(iss: string): Promise<boolean> {
    const text = `the key of ${iss}`;
    const { x, y } = p256.Point.fromBytes(decodeDid(iss).bytes).toAffine();
    const data = showKeyData(iss, bytesOf(x), bytesOf(y));
    await this.#submit('key', this.#o.credits, data, await this.#estimate(this.#o.credits, data, text), { text, iss });
    await this.#settle();
    this.#again = true;
    return false;
  }

  /** @throws EdgeError CREDIT_REFUSED in the contract's words, CHAIN_REFUSED, CHAIN_AWAY */
  async #estimate(to: Hex, data: Hex, what: string): Promise<bigint> {
    try {
      const gas = await this.#client.estimateGas({ account: this.#account.address, to, data });
      // On a chain that was begun anew a call to nobody succeeds, and would take a nonce that deploying needs.
      if ((await this.#client.getCode({ address: to })) === undefined)
        throw new EdgeError('CHAIN_AWAY', `there is no contract at ${to} any more`);
      return gas;
    } catch (error) {
      if (error instanceof EdgeError) throw error;
      const reverted = revertDataOf(error);
      const said = reverted && decodeRevert(reverted);
      if (said) throw new EdgeError('CREDIT_REFUSED', `${what}: ${said.text}`, { cause: error });
      const refused = sendError(error, this.#client, `${what} from ${this.#account.address}`);
      // Not our contract's word: whoever is given the tokens may be a contract, too.
      if (refused.code === 'CHAIN_REFUSED' && (reverted || REVERTED.test(refused.detail)))
        throw new EdgeError('CREDIT_REFUSED', `${what}: ${refused.detail}`, { cause: error });
      throw refused;
    }
  }
}

/** In the words of geth and anvil. */
const REVERTED = /revert|out ?of ?gas|gas required exceeds/i;

function split<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

const bytesOf = (n: bigint): Uint8Array => Uint8Array.from(Buffer.from(n.toString(16).padStart(64, '0'), 'hex'));
