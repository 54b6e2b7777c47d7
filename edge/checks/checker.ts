/**
 * Checks, from the first word of a vehicle to the decision: hello -> challenge -> presentation -> decision. A decision is
 * on disk, with its entry in the log and the nonce that it used up, before anybody is told of it. Presentations are
 * decided in the order in which they come, each at once and whole: nothing that is still being written or verified can
 * put one before another.
 */
import type { Cap, Caps } from '../caps.ts';
import { EdgeError, errorLine } from '../errors.ts';
import { type CheckRow, saveCheck } from '../store/checks.ts';
import type { SqlStatement } from '../store/store.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import { type Decision, decodeHello, encodeMessage, REASONS, signChallenge, signDecision } from '../wire/vc/check.ts';
import type { Signer, Verify } from '../wire/vc/proof.ts';
import type { BundleHolder } from './bundle.ts';
import { decide, type Verdict } from './decide.ts';
import type { History } from './history.ts';
import { Latencies } from './latencies.ts';
import type { Finding } from './plausibility.ts';
import { checkRecords, recordOf } from './record.ts';
import { type Gate, Sessions } from './sessions.ts';
import { type Asked, Waiters } from './waiters.ts';

/** What intake offers for entries in the gateway's own name: all that a work adds is on disk together, or nothing. */
type Act = (
  work: (own: {
    say: (records: readonly SenmlRecord[]) => number;
    also: (statements: readonly SqlStatement[]) => void;
  }) => void,
) => Promise<void>;

export type CheckerOptions = {
  origin: string;
  /** Signs challenges and decisions. */
  signer: Signer;
  gates: readonly Gate[];
  bundles: BundleHolder;
  history: History;
  verify: Verify;
  act: Act;
  disk: { readonly room: number; give: (bytes: number) => void };
  now: () => { receivedMs: number; monoMs: number; clockSynced: boolean };
  /** To the vehicle. */
  publish: (did: string, what: 'challenge' | 'decision' | 'error', bytes: Uint8Array) => void;
  /** Whether one more refusal of somebody without a proven credential may go into the log. */
  mayRefuse: () => boolean;
  caps: Caps;
  maxSessions: number;
  maxWaiting: number;
  keepRows: number;
  report: (line: string) => void;
};

/** What came of a check. */
export type Checked = { row: CheckRow; decision: Decision; findings: readonly Finding[] };

/** An entry, its row and their indexes take no more than this on the disk. */
const COST = 12_288;

export class Checker {
  readonly #o: CheckerOptions;
  readonly #gates: ReadonlyMap<string, Gate>;
  readonly #sessions: Sessions;
  readonly #waiters: Waiters;
  #failing = false;
  /** Counts since start, for metrics. */
  readonly counts = {
    challenges: 0,
    hellosRefused: new Map<string, number>(),
    /** By reason. */
    decisions: new Map<Decision['reason'], number>(),
    /** Refused, and neither logged nor answered. */
    unlogged: 0,
    failed: 0,
  };
  /** From the last byte of a presentation to the decision that is on disk. */
  readonly latencies = new Latencies();
  /** A decision is on disk. */
  onChecked: () => void = () => undefined;

  constructor(options: CheckerOptions) {
    this.#o = options;
    this.#gates = new Map(options.gates.map((gate) => [gate.name, gate]));
    this.#sessions = new Sessions(options.maxSessions);
    this.#waiters = new Waiters(options.maxWaiting, () => options.caps.hit('checks.maxWaiting'));
  }

  /** Challenges that are remembered now. */
  get sessions(): number {
    return this.#sessions.size;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** @param did as the connection has proven it. Never throws: what is wrong is told to the vehicle. */
  hello(did: string, bytes: Uint8Array): void {
    try {
      this.#o.publish(did, 'challenge', this.#challenge(did, bytes));
      this.counts.challenges++;
    } catch (error) {
      this.#refuseHello(did, error);
    }
  }

  #challenge(did: string, bytes: Uint8Array): Uint8Array {
    const { bundles, now, signer, caps } = this.#o;
    const { gate: gateName, purpose } = decodeHello(bytes);
    const gate = this.#gates.get(gateName);
    if (!gate?.purposes.includes(purpose))
      throw new EdgeError('GATE_UNKNOWN', gate ? `${gateName} is not for ${purpose}` : gateName);
    const { receivedMs, monoMs } = now();
    const bundle = bundles.bundle?.bundle;
    if (!bundle) throw new EdgeError('NO_BUNDLE', 'none has come yet');
    const credential = bundles.credentialFor(gate.zone, receivedMs);
    if (!credential)
      throw new EdgeError('NO_BUNDLE', `version ${bundle.version} does not vouch for ${signer.did} in ${gate.zone}`);
    const lifeMs = bundle.policy.challengeSeconds * 1000;
    const session = this.#sessions.open({ holder: did, gate, purpose }, monoMs, lifeMs);
    if (!session) {
      const cap: Cap = 'checks.maxSessions';
      caps.hit(cap);
      throw new EdgeError('CHECKS_BUSY', `${this.#sessions.size} challenges are not answered yet (${cap})`);
    }
    return encodeMessage(
      signChallenge(
        {
          id: session.id,
          from: signer.did,
          credential,
          nonce: session.nonce,
          zone: gate.zone,
          gate: gate.name,
          purpose,
          created: new Date(receivedMs).toISOString(),
          expires: new Date(receivedMs + lifeMs).toISOString(),
          bundleVersion: bundle.version,
        },
        signer,
      ),
    );
  }

  #refuseHello(did: string, error: unknown): void {
    const { code, detail } = error instanceof EdgeError ? error : new EdgeError('INTERNAL', (error as Error).message);
    if (!(error instanceof EdgeError)) this.#o.report(`checks: ${errorLine(error)}`);
    this.counts.hellosRefused.set(code, (this.counts.hellosRefused.get(code) ?? 0) + 1);
    this.#o.publish(did, 'error', encodeMessage({ code, detail }));
  }

  /**
   * Resolves when the decision is on disk and was sent, or when there is none. Never throws, as {@link hello}.
   * @param did as the connection has proven it
   */
  async present(did: string, bytes: Uint8Array): Promise<Checked | undefined> {
    const began = performance.now();
    const { publish, report } = this.#o;
    try {
      const checked = await this.#decide(did, bytes);
      if (!checked) return undefined;
      this.latencies.add(performance.now() - began);
      publish(did, 'decision', encodeMessage(checked.decision));
      this.onChecked();
      return checked;
    } catch (error) {
      this.counts.failed++;
      const { code, detail } = error instanceof EdgeError ? error : new EdgeError('INTERNAL', (error as Error).message);
      if (!this.#failing) report(`checks: a decision could not be kept, so none was given: ${errorLine(error)}`);
      this.#failing = true;
      publish(did, 'error', encodeMessage({ code, detail }));
      return undefined;
    }
  }

  async #decide(did: string, bytes: Uint8Array): Promise<Checked | undefined> {
    const { origin, bundles, history, verify, act, disk, now, keepRows, mayRefuse } = this.#o;
    const stamp = now();
    // Up to the await below nothing else can come between: the order of decisions is the order of arrival.
    const verdict = decide(
      { did, bytes, now: stamp },
      {
        origin,
        bundle: bundles.bundle,
        session: (id) => this.#sessions.get(id),
        isUsed: (nonce) => history.isUsed(Buffer.from(nonce, 'base64url')),
        consume: (session) => this.#sessions.consume(session),
        past: history,
        gate: (name) => this.#gates.get(name),
        verify,
      },
    );
    // Who has shown no credential could fill the disk with refusals.
    if (!verdict.credential && !mayRefuse()) {
      this.#o.caps.hit('checks.maxRefusals');
      this.counts.unlogged++;
      return undefined;
    }
    const decision = this.#sign(did, verdict, stamp.receivedMs);
    const row: CheckRow = { idx: -1, ...recordOf(did, verdict, decision, stamp.receivedMs) };
    history.begin(row);
    try {
      await act((own) => {
        if (disk.room < COST) throw new EdgeError('DISK_RESERVE', `a check had no room above the reserve`);
        disk.give(COST);
        row.idx = own.say(checkRecords(row.digest));
        own.also(saveCheck(row, keepRows));
      });
    } finally {
      history.end(row);
    }
    this.#failing = false;
    this.counts.decisions.set(verdict.reason, (this.counts.decisions.get(verdict.reason) ?? 0) + 1);
    const checked = { row, decision, findings: verdict.findings };
    // What was presented once is decided once: a replay is no answer to whoever asks who is there.
    if (verdict.session && verdict.reason !== 'NONCE_USED') this.#waiters.tell(checked, stamp.monoMs);
    return checked;
  }

  #sign(did: string, v: Verdict, decidedMs: number): Decision {
    const { signer, bundles } = this.#o;
    return signDecision(
      {
        session: v.presentation?.session ?? null,
        from: signer.did,
        to: did,
        decision: REASONS[v.reason],
        reason: v.reason,
        statusAgeSeconds: v.statusAgeSeconds ?? null,
        bundleVersion: bundles.bundle?.bundle.version ?? null,
        nonces: { gateway: v.presentation?.proof.challenge ?? null, vehicle: v.presentation?.nonce ?? null },
        decided: new Date(decidedMs).toISOString(),
      },
      signer,
    );
  }

  /**
   * "Who is at this gate, may it pass?" The answer is the next decision there, or one of the last seconds that nobody
   * has asked for yet.
   * @throws EdgeError GATE_UNKNOWN, NO_BUNDLE, CHECKS_BUSY, CHECK_TIMEOUT
   */
  ask(asked: Asked & { zone?: string | undefined }, left: AbortSignal): Promise<Checked> {
    const gate = this.#gates.get(asked.gate);
    if (!gate) throw new EdgeError('GATE_UNKNOWN', asked.gate);
    if (asked.zone !== undefined && asked.zone !== gate.zone)
      throw new EdgeError('GATE_UNKNOWN', `${gate.name} is in the zone ${gate.zone}, not ${asked.zone}`);
    if (!gate.purposes.includes(asked.purpose))
      throw new EdgeError('GATE_UNKNOWN', `${gate.name} is not for ${asked.purpose}`);
    if (!this.#o.bundles.bundle) throw new EdgeError('NO_BUNDLE', 'none has come yet');
    return this.#waiters.wait(asked, this.#o.now().monoMs, left);
  }

  /** Decisions of a moment ago answer nobody any more: somebody is to be forgotten. */
  forgetRecent(): void {
    this.#waiters.forgetRecent();
  }

  stop(): void {
    this.#waiters.stop();
  }
}
