/**
 * The follower that anchors: puts the newest checkpoint on the chain now and then. It needs no cursor of its own,
 * because the contract's head is one that nobody can lose. Intake never waits for it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Hex, parseEther, toHex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import type { Store } from '../store/store.ts';
import {
  AnchorsContract,
  anchorData,
  deployData,
  firstContractAddress,
  type Head,
  registerData,
  ZERO_ADDRESS,
} from './contract.ts';
import { signHead } from './heads.ts';
import { chainError, rpcClient, withoutSecrets } from './rpc.ts';
import { Sender } from './sender.ts';
import { sendOnce } from './setup.ts';
import { Transactions, type TxRow } from './transactions.ts';

const REQUEST_MS = 10_000;
/** How often the last anchor is looked for at the end. */
const MINING_MS = 50;

export type AnchorerOptions = {
  rpc: string;
  chainId: number;
  /** Undefined for the embedded chain: there the gateway deploys it. */
  contract: Hex | undefined;
  secretKey: Uint8Array;
  everySeconds: number;
  pollSeconds: number;
  confirmations: number;
  stuckSeconds: number;
  maxFeeGwei: number;
  /** May signing begin, or why not (the chain was not asked yet, or holds more than the log has). */
  allowSigning: (held: string | undefined) => void;
  /** The chain holds more of this log than there is here, or other entries: this is an older copy. */
  onBehind: (error: EdgeError, head: Head) => void;
  report: (line: string) => void;
  onAnchored: () => void;
};

export type ChainState = {
  rpc: string;
  chainId: number;
  contract: string;
  sender: string;
  reachable: boolean;
  headSize: number;
  pending: number;
  problem: string | undefined;
};

export class Anchorer {
  readonly #log: Log;
  readonly #o: AnchorerOptions;
  readonly #account: PrivateKeyAccount;
  readonly transactions: Transactions;
  readonly #contract: AnchorsContract;
  readonly #sender: Sender<TxRow>;
  /** Cuts off requests that hang, at the end. */
  readonly #cut = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #starting = false;
  #stopped = false;
  /** It is the chain and the contract of the config; to be asked again after each trouble. */
  #connected = false;
  /** The contract takes anchors from us; to be asked again after each trouble. */
  #permitted = false;
  #reachable = false;
  /** Monotonic. */
  #anchoredMs = Number.NEGATIVE_INFINITY;
  #head: Head = { size: 0, root: new Uint8Array(32) };
  #pending = 0;
  #problem: EdgeError | undefined;
  #lastCount = 0;

  constructor(log: Log, store: Store, options: AnchorerOptions) {
    this.#log = log;
    this.#o = options;
    this.#account = privateKeyToAccount(toHex(options.secretKey));
    this.transactions = new Transactions(store);
    this.#contract = new AnchorsContract(
      rpcClient(options.rpc, REQUEST_MS, this.#cut.signal),
      options.contract ?? firstContractAddress(this.#account.address),
    );
    this.#sender = new Sender({
      chainId: options.chainId,
      client: this.#contract.client,
      account: this.#account,
      rows: {
        open: () => this.transactions.open(options.chainId, this.#contract.address),
        update: (id, change) => this.transactions.update(id, change),
        what: ({ size }) => `the anchor of ${size} entries`,
      },
      confirmations: options.confirmations,
      stuckMs: options.stuckSeconds * 1000,
      maxFee: BigInt(Math.round(options.maxFeeGwei * 1e9)),
      afterLoss: 'the newest checkpoint is sent anew',
      name: 'anchor',
      report: options.report,
    });
  }

  setPace(everySeconds: number): void {
    this.#o.everySeconds = everySeconds;
    this.wake();
  }

  get state(): ChainState {
    return {
      rpc: withoutSecrets(this.#o.rpc),
      chainId: this.#o.chainId,
      contract: this.#contract.address,
      sender: this.#account.address,
      reachable: this.#reachable,
      headSize: this.#head.size,
      pending: this.#pending,
      problem: this.#problem?.line,
    };
  }

  /**
   * One look at the chain, then on and on. A chain that is away or slow is no reason not to start; one that is found
   * within `withinMs` not to be the one in the config is.
   * @throws EdgeError CHAIN_WRONG
   */
  async start(withinMs: number): Promise<void> {
    this.#o.allowSigning('the chain has not said yet what it holds of this log');
    this.#lastCount = this.transactions.anchored().count;
    this.#timer = setInterval(() => this.wake(), this.#o.pollSeconds * 1000);
    this.#starting = true;
    this.wake();
    await Promise.race([this.#running, delay(withinMs, undefined, { ref: false })]);
    this.#starting = false;
    if (this.#problem?.code === 'CHAIN_WRONG') throw this.#problem;
  }

  /** A new checkpoint, or time to look. */
  wake(): void {
    if (this.#stopped || this.#running || !this.#timer) return;
    this.#running = this.#cycle().finally(() => {
      this.#running = undefined;
    });
  }

  /**
   * Nothing of it touches the store or the chain any more after this.
   * @param anchorWithinMs tries for so long to put the newest checkpoint on the chain before it ends
   */
  async stop(anchorWithinMs: number): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    const timer = setTimeout(() => this.#cut.abort(), this.#reachable ? anchorWithinMs : 0);
    await this.#running;
    this.#anchoredMs = Number.NEGATIVE_INFINITY;
    const behind = (): boolean =>
      !this.#cut.signal.aborted && this.#reachable && this.#head.size < (this.#log.latest?.size ?? 0);
    while (behind()) {
      await this.#cycle();
      if (this.#problem !== undefined) break;
      if (behind()) await delay(MINING_MS);
    }
    clearTimeout(timer);
    this.#cut.abort();
  }

  async #cycle(): Promise<void> {
    try {
      await this.#connect();
      await this.#look();
      this.#pending = await this.#settle();
      // With nothing on its way, so that no nonce is used twice.
      if (this.#pending === 0) {
        await this.#permit();
        await this.#anchorNewest();
      }
      this.#say(undefined);
    } catch (error) {
      if (this.#cut.signal.aborted) return;
      const problem = chainError(error, this.#contract.client);
      this.#connected = false;
      this.#permitted = false;
      this.#reachable = problem.code !== 'CHAIN_AWAY';
      if (problem.code === 'LOG_BEHIND_CHAIN') this.#o.onBehind(problem, this.#head);
      if (problem.code === 'LOG_BEHIND_CHAIN' || problem.code === 'CHAIN_WRONG') this.#o.allowSigning(problem.line);
      this.#say(problem);
    } finally {
      this.#tell();
    }
  }

  /** Says a problem once, not at each look, whatever its numbers do; one that ends the start is said by the start. */
  #say(problem: EdgeError | undefined): void {
    const same = (line: string | undefined) => line?.replace(/\d+/g, '#');
    const said = this.#problem?.line;
    this.#problem = problem;
    if (same(problem?.line) === same(said) || (this.#starting && problem?.code === 'CHAIN_WRONG')) return;
    this.#o.report(problem?.line ?? `chain: all is well again at ${withoutSecrets(this.#o.rpc)}`);
  }

  async #connect(): Promise<void> {
    if (this.#connected) return;
    const { client } = this.#contract;
    const chainId = await client.getChainId();
    if (chainId !== this.#o.chainId)
      throw new EdgeError(
        'CHAIN_WRONG',
        `${withoutSecrets(this.#o.rpc)} is chain ${chainId}, the config says ${this.#o.chainId}`,
      );
    if (!(await this.#contract.isDeployed())) {
      if (this.#o.contract !== undefined)
        throw new EdgeError('CHAIN_WRONG', `there is no contract at ${this.#contract.address} on chain ${chainId}`);
      await this.#deploy();
      await this.#permit(); // before old anchors are sent again: they were after it, too
    }
    this.#connected = true;
    this.#reachable = true;
  }

  /** We are the registered sender, or register ourselves where the contract is ours. */
  async #permit(): Promise<void> {
    if (this.#permitted) return;
    const { origin } = this.#log;
    const { address } = this.#account;
    const same = (other: string): boolean => other.toLowerCase() === address.toLowerCase();
    const sender = await this.#contract.senderOf(origin);
    if (!same(sender)) {
      const owner = await this.#contract.owner();
      if (!same(owner))
        throw new EdgeError(
          'CHAIN_REFUSED',
          `${sender === ZERO_ADDRESS ? 'nobody' : sender} may anchor for ${origin}; its owner ${owner} must register ${address}`,
        );
      const { client, address: to } = this.#contract;
      await sendOnce(client, this.#account, this.#o.chainId, to, registerData(origin, address), 'register');
    }
    this.#permitted = true;
  }

  async #deploy(): Promise<void> {
    const { client } = this.#contract;
    // Only on our own anvil can an account give itself its money.
    await client.request({
      method: 'anvil_setBalance',
      params: [this.#account.address, toHex(parseEther('1000'))],
    } as never);
    await sendOnce(client, this.#account, this.#o.chainId, undefined, deployData(this.#account.address), 'deploy');
    if (!(await this.#contract.isDeployed()))
      throw new EdgeError(
        'CHAIN_WRONG',
        `the account ${this.#account.address} was used before on this chain; remove the chain folder to begin a new one`,
      );
  }

  /** The contract's head against our tree: an older copy of the data folder must not sign a second history. */
  async #look(): Promise<void> {
    this.#head = await this.#contract.head(this.#log.origin);
    const { size, root } = this.#head;
    if (size > this.#log.size)
      throw new EdgeError('LOG_BEHIND_CHAIN', `the chain holds ${size} entries, the log has ${this.#log.size}`);
    if (size > 0 && Buffer.compare(this.#log.root(size), root) !== 0)
      throw new EdgeError('LOG_BEHIND_CHAIN', `at ${size} entries the chain holds another root than the log has`);
    this.#o.allowSigning(undefined);
  }

  async #anchorNewest(): Promise<void> {
    const checkpoint = this.#log.latest;
    if (!checkpoint || checkpoint.size <= this.#head.size) return;
    if (performance.now() - this.#anchoredMs < this.#o.everySeconds * 1000) return;
    // What settled just now may have moved the head since the last look.
    await this.#look();
    if (checkpoint.size <= this.#head.size) return;
    const { origin } = this.#log;
    const { size, root } = checkpoint;
    const proof = this.#log.consistency(this.#head.size, size);
    const gas = await this.#contract.estimateAnchor(this.#account.address, origin, size, root, proof);
    const { chainId } = this.#o;
    const signature = await signHead(this.#account, { origin, chainId, contract: this.#contract.address, size, root });
    const contract = this.#contract.address;
    await this.#sender.send(
      { to: contract, data: anchorData(origin, size, root, proof), gas },
      (signed) => this.transactions.insert({ ...signed, contract, size, root, signature }),
      Date.now(),
    );
    this.#anchoredMs = performance.now();
    // A chain that mines at once has it already.
    this.#pending = await this.#settle();
    if (this.#pending === 0) this.#head = await this.#contract.head(origin);
  }

  /** Beyond the chain's head all was taken back, final or not. */
  async #settle(): Promise<number> {
    const { size } = this.#head;
    const gone = await this.transactions.reopen(this.#o.chainId, this.#contract.address, size);
    if (gone > 0)
      this.#o.report(
        `chain: it holds ${size} entries, and ${gone} anchors of more that were final are gone; sent again`,
      );
    return this.#sender.settle(Date.now());
  }

  #tell(): void {
    const { count } = this.transactions.anchored();
    if (count !== this.#lastCount) this.#o.onAnchored();
    this.#lastCount = count;
  }
}
