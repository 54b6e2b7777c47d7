/**
 * A follower of contracts' events: reads them from its saved cursor into a table, rows and cursor in one transaction.
 * Whoever decides something decides by the table, and never waits for this: while the chain is away the table stays as
 * it is, and its age is said.
 *
 * A reorg is noticed by the hash of the newest block that was looked at. Then what came after the newest block that is
 * still on the chain is taken back, and what is there now is put in its place, in one transaction: at no moment is an
 * event missing that both branches have. Where none of the remembered blocks is left (a reorg deeper than they reach,
 * another chain, another contract), the whole is read anew, and the old table holds until that is done.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { PublicClient } from 'viem';
import { EdgeError } from '../errors.ts';
import type { Block, FollowedPlace } from '../store/followed.ts';
import { blockAt } from './blocks.ts';
import { chainError, rpcClient, withoutSecrets } from './rpc.ts';

const REQUEST_MS = 10_000;
/** Blocks asked for at once; fewer where the node refuses so many. */
const MAX_RANGE = 2_000;
/** The cursor moves in memory; on disk it follows so often where nothing else was written. */
const SAVE_MS = 60_000;

/** Where the events go. `Counts` is what is said of it. */
export type FollowedTable<Event, Counts extends { events: number }> = {
  readonly meta: (FollowedPlace & { syncedMs: number }) | undefined;
  /** Newest first. */
  blocks(): Block[];
  counts(): Counts;
  follow(
    place: FollowedPlace,
    ancestor: Block | undefined,
    events: readonly Event[],
    head: Block,
    syncedMs: number,
  ): Promise<void>;
};

export type FollowerOptions<Event> = FollowedPlace & {
  /** What it calls itself in its reports. */
  name: string;
  rpc: string;
  /** Its first block, or any before: what comes earlier is not looked at. */
  fromBlock: number;
  pollSeconds: number;
  /** Events in all; with more the table stays as it is, and this is why. */
  maxEvents: number;
  full: 'REGISTRY_FULL' | 'CREDITS_FULL';
  onTooMany: () => void;
  /** Before each look. */
  onLook: () => void;
  /** Sees to it that the contracts are there. @throws EdgeError CHAIN_WRONG */
  connect: (client: PublicClient) => Promise<void>;
  /** The events in these blocks, in their order. */
  read: (client: PublicClient, from: number, to: number) => Promise<Event[]>;
  /** Sends what the chain lacks; whether there was anything. What depends on it comes after it was followed. */
  push: (client: PublicClient) => Promise<boolean>;
  report: (line: string) => void;
};

export type FollowerState<Counts> = Counts & {
  contract: string;
  chainId: number;
  reachable: boolean;
  /** All events up to here are in the table; null before the first look. */
  block: number | null;
  /** Times that blocks were taken back, since start. */
  rewinds: number;
  problem: string | undefined;
};

export class EventFollower<Event, Counts extends { events: number }> {
  readonly #table: FollowedTable<Event, Counts>;
  readonly #o: FollowerOptions<Event>;
  readonly #client: PublicClient;
  readonly #cut = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #starting = false;
  #connected = false;
  #reachable = false;
  #problem: EdgeError | undefined;
  #range = MAX_RANGE;
  /** How far the events are in the table; at or after the newest block that is on disk. */
  #cursor: Block | undefined;
  #savedMs = Number.NEGATIVE_INFINITY;
  #syncedMs = 0;
  #counts: Counts;
  #rewinds = 0;
  /** So many events were there when something was sent last; -1 where all of it was seen. */
  #pushedAt = -1;

  constructor(table: FollowedTable<Event, Counts>, options: FollowerOptions<Event>) {
    this.#table = table;
    this.#o = options;
    this.#client = rpcClient(options.rpc, REQUEST_MS, this.#cut.signal);
    this.#counts = table.counts();
    if (this.#isOurs) [this.#cursor] = table.blocks();
  }

  get state(): FollowerState<Counts> {
    return {
      contract: this.#o.contract,
      chainId: this.#o.chainId,
      reachable: this.#reachable,
      block: this.#cursor?.number ?? null,
      ...this.#counts,
      rewinds: this.#rewinds,
      problem: this.#problem?.line,
    };
  }

  /** When the table was in step with the chain last, in this run: Unix ms; 0 for never. */
  get syncedMs(): number {
    return this.#syncedMs;
  }

  /** The rows are of this contract on this chain. */
  get #isOurs(): boolean {
    const meta = this.#table.meta;
    return meta?.contract === this.#o.contract && meta.chainId === this.#o.chainId;
  }

  /**
   * One look, then on and on. A chain that is away is no reason not to start; one that is found within `withinMs` not
   * to be the one in the config is.
   * @throws EdgeError CHAIN_WRONG
   */
  async start(withinMs: number): Promise<void> {
    this.#timer = setInterval(() => this.wake(), this.#o.pollSeconds * 1000);
    this.#starting = true;
    this.wake();
    await Promise.race([this.#running, delay(withinMs, undefined, { ref: false })]);
    this.#starting = false;
    if (this.#problem?.code === 'CHAIN_WRONG') throw this.#problem;
  }

  /** Time to look, or something to send. */
  wake(): void {
    if (this.#cut.signal.aborted || !this.#timer) return;
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
    this.#cut.abort();
    await this.#running;
    if (this.#syncedMs > 0 && this.#cursor) await this.#save(this.#cursor).catch(() => undefined); // it only ages
  }

  async #cycle(): Promise<void> {
    try {
      this.#o.onLook();
      do {
        await this.#connect();
        await this.#follow();
      } while (!this.#connected);
      while (await this.#push()) await this.#follow();
      this.#say(undefined);
    } catch (error) {
      if (this.#cut.signal.aborted) return;
      const problem = chainError(error, this.#client);
      this.#connected = false;
      this.#pushedAt = -1;
      this.#reachable = problem.code !== 'CHAIN_AWAY';
      this.#say(problem);
    }
  }

  /** @returns whether there was anything to send, which is in the next block */
  async #push(): Promise<boolean> {
    const { events } = this.#counts;
    if (events === this.#pushedAt)
      throw new EdgeError('CHAIN_REFUSED', `the ${this.#o.name} did not take what was sent to it`);
    const sent = !this.#cut.signal.aborted && (await this.#o.push(this.#client));
    this.#pushedAt = sent ? events : -1;
    return sent;
  }

  /** Says a problem once, not at each look; one that ends the start is said by the start. */
  #say(problem: EdgeError | undefined): void {
    const same = (line: string | undefined) => line?.replace(/\d+/g, '#');
    const said = this.#problem?.line;
    this.#problem = problem;
    if (same(problem?.line) === same(said) || (this.#starting && problem?.code === 'CHAIN_WRONG')) return;
    this.#o.report(`${this.#o.name}: ${problem?.line ?? `all is well again at ${withoutSecrets(this.#o.rpc)}`}`);
  }

  async #connect(): Promise<void> {
    if (this.#connected) return;
    const { rpc, chainId, connect } = this.#o;
    const found = await this.#client.getChainId();
    if (found !== chainId)
      throw new EdgeError('CHAIN_WRONG', `${withoutSecrets(rpc)} is chain ${found}, the config says ${chainId}`);
    await connect(this.#client);
    this.#connected = true;
    this.#reachable = true;
  }

  async #follow(): Promise<void> {
    const head = await blockAt(this.#client, 'latest');
    if (!head) throw new EdgeError('CHAIN_AWAY', 'it has no newest block');
    if (!this.#cursor && this.#counts.events === 0) await this.#advance(this.#before(head), head);
    else {
      const ancestor = await this.#ancestor();
      if (ancestor && ancestor === this.#cursor) await this.#advance(ancestor, head);
      else await this.#rewind(ancestor, head);
    }
    this.#syncedMs = Date.now();
    if (this.#cursor && performance.now() - this.#savedMs > SAVE_MS) await this.#save(this.#cursor);
  }

  /** The newest block that was looked at and is still on the chain. */
  async #ancestor(): Promise<Block | undefined> {
    const cursor = this.#cursor;
    if (!cursor || !this.#isOurs) return undefined;
    const stands = async ({ number, hash }: Block) => (await blockAt(this.#client, number))?.hash === hash;
    if (await stands(cursor)) return cursor;
    for (const block of this.#table.blocks()) if (block.number < cursor.number && (await stands(block))) return block;
    return undefined;
  }

  /** Where reading begins that has no cursor yet. */
  #before(head: Block): Block {
    return { number: Math.min(this.#o.fromBlock, head.number) - 1, hash: '', time: 0 };
  }

  /** Page by page, each on disk before the next is asked for. */
  async #advance(cursor: Block, head: Block): Promise<void> {
    let at = cursor;
    while (at.number < head.number) {
      const { events, block } = await this.#page(at.number + 1, head.number);
      this.#demandRoom(this.#counts.events + events.length);
      if (events.length > 0 || !this.#isOurs) await this.#write(at, events, block);
      this.#cursor = at = block;
    }
  }

  /** What is after the ancestor is exchanged whole. */
  async #rewind(ancestor: Block | undefined, head: Block): Promise<void> {
    const events: Event[] = [];
    let at = ancestor ?? this.#before(head);
    while (at.number < head.number) {
      const page = await this.#page(at.number + 1, head.number);
      events.push(...page.events);
      this.#demandRoom(events.length);
      at = page.block;
    }
    await this.#write(ancestor, events, at);
    this.#cursor = at;
    this.#rewinds++;
    const { name } = this.#o;
    this.#connected = false; // it may be a chain that has no such contract
    this.#o.report(
      ancestor
        ? `${name}: the chain took blocks back; what came after block ${ancestor.number} was read anew`
        : `${name}: none of the blocks that are remembered is on the chain; the whole was read anew`,
    );
  }

  /** Events up to a block that stood before and after they were read. */
  async #page(from: number, head: number): Promise<{ events: Event[]; block: Block }> {
    const to = Math.min(head, from + this.#range - 1);
    const block = await blockAt(this.#client, to);
    let events: Event[];
    try {
      events = await this.#o.read(this.#client, from, to);
    } catch (error) {
      // Nodes have limits of their own; the next look asks for less.
      this.#range = Math.max(1, Math.floor(Math.min(this.#range, to - from + 1) / 2));
      throw error;
    }
    this.#range = Math.min(MAX_RANGE, this.#range + Math.ceil(this.#range / 8));
    if (!block || (await blockAt(this.#client, to))?.hash !== block.hash)
      throw new EdgeError('CHAIN_AWAY', `block ${to} was taken back while it was read`);
    return { events, block };
  }

  #demandRoom(events: number): void {
    if (events <= this.#o.maxEvents) return;
    this.#o.onTooMany();
    throw new EdgeError(this.#o.full, `${this.#o.contract} has more than ${this.#o.maxEvents} events`);
  }

  async #write(ancestor: Block | undefined, events: readonly Event[], block: Block): Promise<void> {
    const { chainId, contract } = this.#o;
    // Rows of another contract have nothing to go on from.
    const after = this.#isOurs ? ancestor : undefined;
    await this.#table.follow({ chainId, contract }, after, events, block, Date.now());
    this.#savedMs = performance.now();
    this.#counts = this.#table.counts();
  }

  #save(cursor: Block): Promise<void> {
    return this.#write(cursor, [], cursor);
  }
}
