/**
 * Having witnesses: a follower that shows each new checkpoint to the witnesses in the config and publishes it with
 * their cosignatures. Its cursor is what they have cosigned. Signing and intake never wait for it, but for one thing:
 * after boot no checkpoint is signed before they could say whether they hold more than this log has.
 */
import type { Log } from '../log/log.ts';
import { Peer } from './peer.ts';

/** A checkpoint wakes them at once; this is for those that are to be asked again. */
const LOOK_MS = 250;

export type WitnessesOptions = {
  /** Verifier keys (type 0x04) and submission prefixes; the newest checkpoint is witnessed with `quorum` of them. */
  witnesses: readonly { key: string; url: string }[];
  quorum: number;
  timeoutSeconds: number;
  retrySeconds: number;
  /** A chain decides too: then a witness that is away is not waited for. */
  chain: boolean;
  allowSigning: (held: string | undefined) => void;
  report: (line: string) => void;
  onCosigned: () => void;
};

export type WitnessState = {
  name: string;
  key: string;
  reachable: boolean;
  size: number;
  time: number;
  problem: string | undefined;
};

export class Witnesses {
  readonly #log: Log;
  readonly #o: WitnessesOptions;
  readonly #peers: Peer[];
  readonly #said = new Map<Peer, string | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #firstWord: NodeJS.Timeout | undefined;
  /** They have had their chance to speak first. */
  #open = false;
  #witnessedSize = 0;
  #count = { size: -1, n: 0 };

  /** @throws EdgeError RECEIPT_INVALID for a key that is none */
  constructor(log: Log, options: WitnessesOptions) {
    this.#log = log;
    this.#o = options;
    this.#peers = options.witnesses.map(
      ({ key, url }) =>
        new Peer(log, { key, url, timeoutMs: options.timeoutSeconds * 1000, retryMs: options.retrySeconds * 1000 }),
    );
    this.#witnessedSize = log.newestCosigned(
      this.#peers.map(({ id }) => id),
      this.#enough,
    ).size;
  }

  /** The quorum may be nobody; a witnessed checkpoint has somebody's cosignature all the same. */
  get #enough(): number {
    return Math.max(1, this.#o.quorum);
  }

  get quorum(): number {
    return this.#o.quorum;
  }

  /** Entries under the newest checkpoint that a quorum has cosigned. */
  get witnessedSize(): number {
    return this.#witnessedSize;
  }

  /** How many of ours cosigned the checkpoint of this size. */
  cosigned(size: number): number {
    if (this.#count.size !== size) this.#count = { size, n: this.#cosigners(size) };
    return this.#count.n;
  }

  #cosigners(size: number): number {
    const ours = new Set(this.#peers.map(({ id }) => id));
    return this.#log.cosigners(size).filter((id) => ours.has(id)).length;
  }

  /** The newest checkpoint is published without a quorum of cosignatures. */
  get unwitnessed(): boolean {
    return this.cosigned(this.#log.latest?.size ?? 0) < this.#o.quorum;
  }

  /** So many gave their word when they were asked last that a quorum can be had. */
  get ok(): boolean {
    return this.#peers.every((p) => !p.behind) && this.#peers.filter((p) => p.reachable).length >= this.#o.quorum;
  }

  state(): WitnessState[] {
    return this.#peers.map(({ name, id, reachable, size, time, problem, behind, settled }) => ({
      name,
      key: id,
      reachable,
      size,
      time,
      problem: (behind ?? problem)?.line ?? (settled ? undefined : 'it has not answered yet'),
    }));
  }

  start(): void {
    if (this.#peers.length === 0) return;
    this.#o.allowSigning('the witnesses have not said yet what they hold of this log');
    this.#firstWord = setTimeout(() => {
      this.#open = true;
      this.#decide();
    }, this.#o.timeoutSeconds * 1000);
    this.#timer = setInterval(() => this.wake(), LOOK_MS);
    this.wake();
  }

  /** A new checkpoint, or time to look. */
  wake(): void {
    if (!this.#timer) return;
    for (const peer of this.#peers) peer.wake(() => this.#onWord(peer));
  }

  /**
   * Nothing of it touches the store any more after this.
   * @param withinMs tries for so long to have the newest checkpoint cosigned before it ends
   */
  async stop(withinMs: number): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#firstWord);
    this.#timer = undefined;
    for (const peer of this.#peers) if (!peer.reachable) peer.stop();
    const cut = setTimeout(() => {
      for (const peer of this.#peers) peer.stop();
    }, withinMs);
    await Promise.all(this.#peers.map((peer) => peer.finish()));
    clearTimeout(cut);
    for (const peer of this.#peers) peer.stop();
  }

  #onWord(peer: Peer): void {
    this.#say(peer);
    this.#open ||=
      this.#peers.every((p) => p.settled) && (this.#o.chain || this.#peers.some((p) => p.reachable && !p.behind));
    this.#decide();
    this.#count = { size: -1, n: 0 };
    if (peer.size > this.#witnessedSize && this.#cosigners(peer.size) >= this.#enough) this.#witnessedSize = peer.size;
    this.#o.onCosigned();
    this.wake(); // there may be a newer checkpoint by now
  }

  #decide(): void {
    if (!this.#timer) return;
    const behind = this.#peers.find((p) => p.behind)?.behind;
    if (behind) this.#o.allowSigning(behind.line);
    else if (this.#open) this.#o.allowSigning(undefined);
  }

  /** Says a problem once, not at each try, whatever its numbers do. */
  #say(peer: Peer): void {
    const same = (line: string | undefined) => line?.replace(/\d+/g, '#');
    const said = this.#said.get(peer);
    const problem = peer.problem?.line;
    this.#said.set(peer, problem);
    if (same(problem) !== same(said)) this.#o.report(problem ?? `witness ${peer.name}: all is well again`);
  }
}
