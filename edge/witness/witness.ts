/**
 * Being a witness (C2SP tlog-witness): for each log that the config names, remembers the largest checkpoint it was
 * shown, and cosigns a larger one only with a proof that it grew from there. What it holds is on disk before it is said.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { EdgeError, errorLine } from '../errors.ts';
import { faultPoint } from '../faults.ts';
import {
  type Checkpoint,
  encodeVerifierKey,
  isBy,
  type NoteSignature,
  parseCheckpointText,
  splitNote,
  type VerifierKey,
} from '../log/checkpoint.ts';
import { cosign, parseAddCheckpoint } from '../log/cosignature.ts';
import { EMPTY_ROOT, verifyConsistency } from '../log/merkle.ts';
import type { Store } from '../store/store.ts';
import { equalBytes } from '../wire/bytes.ts';
import { signatureFlaw } from '../wire/ed25519.ts';
import { Evidence } from './evidence.ts';

/** Requests that may wait for their turn, for one log. */
const MAX_WAITING = 16;

export type TrustedLog = { origin: string; key: VerifierKey };

export type WitnessOptions = {
  name: string;
  publicKey: Uint8Array;
  sign: (message: Uint8Array) => Uint8Array;
  logs: readonly TrustedLog[];
  /** Cosignatures a second of one log. */
  maxRate: number;
  /** Wall clock in ms. */
  nowMs: () => number;
  report: (line: string) => void;
};

/** The signature lines to answer with, or the size that the client's proof must go out from. */
export type WitnessAnswer = { cosigned: string } | { held: number };

/** What is held of one log; `note` has the log's own signatures and no others. */
export type Witnessed = {
  origin: string;
  size: number;
  root: Uint8Array;
  note: string;
  cosignature: string;
  time: number;
};

type Log = {
  origin: string;
  keys: { key: VerifierKey; verifier: KeyObject }[];
  /** The end of the queue: one request at a time is held against what is on disk. */
  tail: Promise<unknown>;
  waiting: number;
  tokens: number;
  filledMs: number;
};

export class Witness {
  readonly #store: Store;
  readonly #o: WitnessOptions;
  readonly #logs = new Map<string, Log>();
  readonly evidence: Evidence;
  /** Since start. */
  readonly counts = { cosigned: 0, refused: new Map<string, number>() };

  constructor(store: Store, options: WitnessOptions) {
    this.#store = store;
    this.#o = options;
    this.evidence = new Evidence(store, options.nowMs);
    for (const { origin, key } of options.logs) {
      const log = this.#logs.get(origin) ?? {
        origin,
        keys: [],
        tail: Promise.resolve(),
        waiting: 0,
        tokens: options.maxRate,
        filledMs: performance.now(),
      };
      log.keys.push({ key, verifier: verifierOf(key) });
      this.#logs.set(origin, log);
    }
  }

  /** C2SP verifier key, type 0x04. */
  get verifierKey(): string {
    return encodeVerifierKey(this.#o.name, this.#o.publicKey, 'witness');
  }

  get origins(): string[] {
    return [...this.#logs.keys()];
  }

  held(origin: string): Witnessed | undefined {
    return this.#store.get<Witnessed>(
      'SELECT origin, size, root, note, cosignature, time FROM witnessed WHERE origin = ?',
      origin,
    );
  }

  /**
   * @param body of the request, as it came
   * @throws EdgeError REQUEST_INVALID (400), WITNESS_LOG_UNKNOWN (404), WITNESS_UNSIGNED (403), WITNESS_SPLIT_VIEW (409),
   *   WITNESS_UNPROVEN (422), WITNESS_BUSY (429), STORE_UNAVAILABLE (503)
   */
  async addCheckpoint(body: Uint8Array): Promise<WitnessAnswer> {
    try {
      return await this.#add(body);
    } catch (error) {
      if (error instanceof EdgeError)
        this.counts.refused.set(error.code, (this.counts.refused.get(error.code) ?? 0) + 1);
      throw error;
    }
  }

  async #add(body: Uint8Array): Promise<WitnessAnswer> {
    const { old, proof, note } = parseAddCheckpoint(body);
    const { text, checkpoint, signatures } = parseNote(note);
    const log = this.#logs.get(checkpoint.origin);
    if (!log) throw new EdgeError('WITNESS_LOG_UNKNOWN', checkpoint.origin.slice(0, 300));
    const own = ownSignatures(log, text, signatures);
    if (old > checkpoint.size)
      throw new EdgeError('REQUEST_INVALID', `add-checkpoint: old ${old} is more than the size ${checkpoint.size}`);
    if (log.waiting >= MAX_WAITING) throw new EdgeError('WITNESS_BUSY', `${log.waiting} requests wait`);
    log.waiting++;
    const turn = log.tail.then(() => this.#decide(log, old, proof, checkpoint, text, `${text}\n${own}`));
    log.tail = turn.catch(() => undefined).finally(() => log.waiting--);
    return turn;
  }

  /** Nothing else of this log is decided or written at the same time. */
  async #decide(
    log: Log,
    old: number,
    proof: readonly Uint8Array[],
    { origin, size, root }: Checkpoint,
    text: string,
    note: string,
  ): Promise<WitnessAnswer> {
    const held = this.held(origin);
    const { size: heldSize, root: heldRoot } = held ?? { size: 0, root: EMPTY_ROOT };
    // Two roots of one size convict the log, whatever else is wrong with the request.
    const split = size === heldSize && !equalBytes(root, heldRoot);
    if (split) await this.#keep('split', origin, held?.note ?? '', note);
    if (old !== heldSize) return { held: heldSize };
    if (split) throw new EdgeError('WITNESS_SPLIT_VIEW', `${origin} at ${size} entries`);
    if (!verifyConsistency(old, size, heldRoot, root, proof)) {
      if (size > heldSize && held) await this.#keep('unproven', origin, held.note, note);
      throw new EdgeError('WITNESS_UNPROVEN', `${origin}, from ${old} to ${size} entries`);
    }
    // The wall clock may jump; the times of one log's cosignatures never go back.
    const time = Math.max(Math.floor(this.#o.nowMs() / 1000), held?.time ?? 0, 0);
    if (held?.note === note && held.time === time) return { cosigned: held.cosignature };
    this.#take(log);
    const cosignature = cosign(text, time, this.#o.name, this.#o.publicKey, this.#o.sign);
    const wanted: Witnessed = { origin, size, root, note, cosignature, time };
    await this.#persist(wanted, heldSize, heldRoot);
    faultPoint('witness.persisted');
    this.counts.cosigned++;
    return { cosigned: cosignature };
  }

  /** Moves from what is held to what is wanted, in one statement that does nothing where something else is held. */
  async #persist({ origin, size, root, note, cosignature, time }: Witnessed, from: number, fromRoot: Uint8Array) {
    let failure: unknown;
    try {
      await this.#store.write({
        name: 'witness',
        statements: [
          {
            sql: `INSERT INTO witnessed (origin, size, root, note, cosignature, time) VALUES (?, ?, ?, ?, ?, ?)
              ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note,
                cosignature = excluded.cosignature, time = excluded.time
              WHERE witnessed.size = ? AND witnessed.root = ?`,
            params: [origin, size, root, note, cosignature, time, from, fromRoot],
          },
        ],
      });
    } catch (error) {
      failure = error; // and it may be on disk all the same
    }
    if (this.held(origin)?.cosignature === cosignature) return;
    throw failure ?? new EdgeError('STORE_UNAVAILABLE', `the checkpoint of ${origin} was not written`);
  }

  /** @throws EdgeError WITNESS_BUSY */
  #take(log: Log): void {
    const now = performance.now();
    log.tokens = Math.min(this.#o.maxRate, log.tokens + ((now - log.filledMs) * this.#o.maxRate) / 1000);
    log.filledMs = now;
    if (log.tokens < 1) throw new EdgeError('WITNESS_BUSY', `${log.origin}: more than ${this.#o.maxRate} a second`);
    log.tokens--;
  }

  /** Evidence that cannot be kept changes no answer. */
  async #keep(kind: 'split' | 'unproven', origin: string, held: string, note: string): Promise<void> {
    try {
      if (!(await this.evidence.keep(kind, origin, held, note))) return;
      const code = kind === 'split' ? 'WITNESS_SPLIT_VIEW' : 'WITNESS_UNPROVEN';
      this.#o.report(`witness: ${new EdgeError(code, `${origin}; both checkpoints are kept as evidence`).line}`);
    } catch (error) {
      this.#o.report(`witness: evidence against ${origin} was not kept: ${errorLine(error)}`);
    }
  }
}

/** Anybody may knock: node:crypto verifies in a thirtieth of the time. The key was checked when it was parsed. */
const verifierOf = ({ publicKey }: VerifierKey): KeyObject =>
  createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') },
    format: 'jwk',
  });

function parseNote(note: string): { text: string; checkpoint: Checkpoint; signatures: NoteSignature[] } {
  try {
    const { body, signatures } = splitNote(note);
    return { text: body, checkpoint: parseCheckpointText(body, true), signatures };
  } catch (error) {
    throw error instanceof EdgeError ? new EdgeError('REQUEST_INVALID', error.detail) : error;
  }
}

/**
 * The signature lines by keys that are trusted for this log, each once.
 * @throws EdgeError WITNESS_UNSIGNED where there is none, or one that is wrong
 */
function ownSignatures({ origin, keys }: Log, text: string, signatures: readonly NoteSignature[]): string {
  const own = new Map<KeyObject, string>();
  for (const s of signatures) {
    const known = keys.find(({ key }) => isBy(s, key));
    if (!known) continue;
    if (signatureFlaw(s.signature) || !verify(null, Buffer.from(text), known.verifier, s.signature))
      throw new EdgeError('WITNESS_UNSIGNED', `the signature of ${s.name} does not verify`);
    own.set(known.verifier, `${s.text}\n`);
  }
  if (own.size === 0) throw new EdgeError('WITNESS_UNSIGNED', `no signature by a key of ${origin}`);
  return [...own.values()].join('');
}
