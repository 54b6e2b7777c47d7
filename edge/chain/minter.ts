/**
 * Sends what the credits account has to say, one transaction at a time: certificates that are due, and what people ask
 * for (claims, withdrawals). What is due is asked for anew each time and is never remembered, so that a restart, a reorg or
 * a chain that was away for a week need nothing of their own. A row is on disk before its transaction goes out.
 */
import { p256 } from '@noble/curves/nist.js';
import { BaseError, type Hex, type PublicClient, toHex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { type Billed, billedOf } from '../wire/boundary.ts';
import { decodeDid, keyTypeOf } from '../wire/did.ts';
import { decodeEnvelope, type Envelope } from '../wire/envelope.ts';
import { originId } from './contract.ts';
import type { About, CreditPurpose, CreditTransactions, CreditTxRow } from './credit-transactions.ts';
import {
  decodeRevert,
  type LogProof,
  mintData,
  mintDayData,
  mintResidualData,
  type ReadingFields,
  showKeyData,
} from './credits-contract.ts';
import { chainError, rpcClient, sendError, withoutSecrets } from './rpc.ts';
import { Sender, type Signed } from './sender.ts';

const REQUEST_MS = 10_000;
/** Asked for by people and not sent yet. */
const MOST_WAITING = 1_000;

/** Certificates that go together: readings of one device, hour by hour, of one UTC day; or a day profile; or a gap. */
export type Batch = {
  kind: 'slots' | 'day' | 'residual';
  /** DID of the device, URN of the metering point, and its commitment. */
  iss: string;
  sub: string;
  point: Hex;
  /** First seconds of the slots; of a residual, its first second and the first after it. */
  slots: readonly number[];
  /** Indexes of the entries, in the order of time. */
  entries: readonly number[];
};

export type MinterOptions = {
  rpc: string;
  chainId: number;
  credits: Hex;
  secretKey: Uint8Array;
  origin: string;
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
  envelope: (index: number) => Uint8Array;
  /** For rising indexes. */
  proof: (indexes: readonly number[], size: number) => Uint8Array[];
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

/** What became of something that was asked for. */
export type Sent = { hash: Hex; block: number };

type Wanted = {
  to: Hex;
  purpose: CreditPurpose;
  about: About;
  data: Hex;
  resolve: (sent: Sent) => void;
  reject: (error: unknown) => void;
};

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
   * Sends a transaction of the account, and waits until it is mined.
   * @throws EdgeError CREDIT_REFUSED in the contract's words, CHAIN_REFUSED, CHAIN_AWAY, CREDITS_BUSY
   */
  send(purpose: CreditPurpose, to: Hex, data: Hex, about: About): Promise<Sent> {
    if (this.#queue.length >= MOST_WAITING)
      return Promise.reject(new EdgeError('CREDITS_BUSY', `${MOST_WAITING} transactions wait for the chain`));
    return new Promise((resolve, reject) => {
      this.#queue.push({ to, purpose, about, data, resolve, reject });
      this.wake();
    });
  }

  async #cycle(): Promise<void> {
    // The contracts may be deployed by this very account: its first nonces are theirs.
    if (!this.#o.isFollowed(0)) return;
    try {
      await this.#connect();
      await this.#settle();
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
      this.#say(problem);
    }
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
      if (row.block !== null && row.status !== 'failed')
        asked.resolve({ hash: row.hashes.at(-1) as Hex, block: row.block });
      else asked.reject(new EdgeError('CHAIN_REFUSED', `${row.about.text}: ${row.status}`));
    }
    if (moved) onMoved();
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
    if (performance.now() - this.#mintedMs < everySeconds * 1000) return;
    // Until the events of the last one are here, what it minted would still seem to be due.
    if (!isFollowed(this.#block)) return;
    const size = anchoredSize();
    for (const batch of size > 0 ? due(size) : []) {
      if (this.#cut.signal.aborted || !(await this.#mint(batch, size))) return;
      if (this.#queue.length > 0) return;
    }
    this.#mintedMs = performance.now();
  }

  /** @returns whether the next may be sent */
  async #mint(batch: Batch, size: number): Promise<boolean> {
    const { credits, onRefused } = this.#o;
    const text = textOf(batch);
    let gas: bigint;
    const data = this.#dataOf(batch, size);
    try {
      gas = await this.#estimate(credits, data, text);
    } catch (error) {
      if (!(error instanceof EdgeError) || error.code !== 'CREDIT_REFUSED') throw error;
      const [name] = /\b(KeyNotShown|SlotTaken|NotAnchored)\(/.exec(error.detail)?.slice(1) ?? [];
      // Somebody else was faster, which the events will tell; or the root is in a block that is gone.
      if (name === 'SlotTaken' || name === 'NotAnchored') return true;
      if (name !== 'KeyNotShown') {
        await onRefused(batch, error);
        return true;
      }
      return this.#showKey(batch.iss);
    }
    const { kind, point, slots } = batch;
    await this.#submit('mint', credits, data, gas, { text, kind, point, slots });
    await this.#settle();
    return this.#pending === 0;
  }

  async #showKey(iss: string): Promise<boolean> {
    const { x, y } = p256.Point.fromBytes(decodeDid(iss).bytes).toAffine();
    const data = showKeyData(iss, bytesOf(x), bytesOf(y));
    const text = `the key of ${iss}`;
    await this.#submit('key', this.#o.credits, data, await this.#estimate(this.#o.credits, data, text), { text, iss });
    await this.#settle();
    this.#again = true; // the batch itself is due as before
    return false;
  }

  #dataOf(batch: Batch, size: number): Hex {
    const { envelope, proof, origin } = this.#o;
    const entries = batch.entries.map((index) => {
      const decoded = decodeEnvelope(envelope(index));
      return { index, decoded, billed: billedOf(decoded) as Billed };
    });
    const sorted = [...new Set(batch.entries)].sort((a, b) => a - b);
    const of: LogProof = { origin: originId(origin), size, nodes: proof(sorted, size) };
    const [first, second] = entries;
    if (batch.kind === 'day' && first?.billed.shape === 'profile') {
      const { day, registersWh } = first.billed;
      return mintDayData(batch.iss, batch.sub, { ...common(first), day, registersWh }, of);
    }
    if (batch.kind === 'residual' && first && second)
      return mintResidualData(batch.iss, batch.sub, [fields(first), fields(second)], of);
    return mintData(batch.iss, batch.sub, entries.map(fields), of);
  }

  /** @throws EdgeError CREDIT_REFUSED in the contract's words, CHAIN_AWAY */
  async #estimate(to: Hex, data: Hex, what: string): Promise<bigint> {
    try {
      return await this.#client.estimateGas({ account: this.#account.address, to, data });
    } catch (error) {
      const reverted = revertDataOf(error);
      const said = reverted && decodeRevert(reverted);
      if (said) throw new EdgeError('CREDIT_REFUSED', `${what}: ${said.text}`, { cause: error });
      throw sendError(error, this.#client, `${what} from ${this.#account.address}`);
    }
  }
}

type Entry = { index: number; decoded: Envelope; billed: Billed };

const common = ({ index, decoded }: Entry) => {
  const { iat, epoch, seq, alg, signature } = decoded;
  return { index, iat, epoch, seq, alg, signature };
};

function fields(entry: Entry): ReadingFields {
  const { billed } = entry;
  if (billed.shape !== 'reading') throw new EdgeError('CREDIT_INVALID', `entry ${entry.index} is not a single reading`);
  return { ...common(entry), registerWh: billed.registerWh, powerW: billed.powerW };
}

const bytesOf = (n: bigint): Uint8Array => Uint8Array.from(Buffer.from(n.toString(16).padStart(64, '0'), 'hex'));

const hour = (second: number): string => `${new Date(second * 1000).toISOString().slice(0, 13)}Z`;
const textOf = ({ kind, sub, slots }: Batch): string =>
  kind === 'residual'
    ? `the residual of ${sub} from ${hour(slots[0] as number)} to ${hour(slots[1] as number)}`
    : `${slots.length} certificate${slots.length === 1 ? '' : 's'} of ${sub} from ${hour(slots[0] as number)} on`;

/** Whether the chain checks this device's own signature, where it can. */
export const isCheckedOnChain = (did: string): boolean => keyTypeOf(did) === 'P-256';

function revertDataOf(error: unknown): Hex | undefined {
  const found = error instanceof BaseError ? error.walk((e) => (e as { data?: unknown }).data !== undefined) : null;
  const data = (found as { data?: Hex | { data?: Hex } } | null)?.data;
  const hex = typeof data === 'object' ? data.data : data;
  return typeof hex === 'string' && hex.length >= 10 ? hex : undefined;
}
