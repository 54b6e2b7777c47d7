/** The world of a decision, in memory and plainly written: what the store and the gateway are held against. */
import { randomBytes } from 'node:crypto';
import { decide, type Past, type Verdict, type World } from '../../edge/checks/decide.ts';
import type { PastCheck } from '../../edge/checks/plausibility.ts';
import type { Gate, Session } from '../../edge/checks/sessions.ts';
import { REASONS } from '../../edge/wire/vc/check.ts';
import type { OpenCityBundle } from '../../edge/wire/vc/city-bundle.ts';
import { timeOf } from '../../edge/wire/vc/shape.ts';
import { GATES, NORTH, ORIGIN, verify } from './rig.ts';

export class ModelPast implements Past {
  readonly #byRegistration = new Map<string, PastCheck[]>();
  readonly #byHolder = new Map<string, Map<number, PastCheck[]>>();
  readonly #highest = new Map<string, number>();

  /** Newest first, the newest 32. */
  ofRegistration(registration: string): PastCheck[] {
    return this.#byRegistration.get(registration) ?? [];
  }
  highestCounter(holder: string): number | undefined {
    return this.#highest.get(holder);
  }
  withCounter(holder: string, counter: number): PastCheck[] {
    return this.#byHolder.get(holder)?.get(counter) ?? [];
  }
  lastReading(): undefined {
    return undefined;
  }

  add({ credential, presentation, session, telemetry, reason }: Verdict, ms: number): void {
    if (!credential || !presentation || !session) return;
    const { holder, counter } = presentation;
    const { registration } = credential.credentialSubject;
    const past: PastCheck = {
      ms,
      holder,
      registration,
      counter,
      telemetry: presentation.telemetryDigest,
      validFromMs: timeOf(credential.validFrom),
      validUntilMs: timeOf(credential.validUntil),
      gate: session.gate.name,
      fix: telemetry?.fix,
      allowed: REASONS[reason].startsWith('ALLOW'),
    };
    this.#byRegistration.set(registration, [past, ...this.ofRegistration(registration)].slice(0, 32));
    const mine = this.#byHolder.get(holder) ?? new Map<number, PastCheck[]>();
    mine.set(counter, [past, ...(mine.get(counter) ?? [])]);
    this.#byHolder.set(holder, mine);
    this.#highest.set(holder, Math.max(counter, this.#highest.get(holder) ?? -1));
  }
}

export class Model {
  readonly sessions = new Map<string, Session>();
  /** How often each nonce was used up. */
  readonly consumed = new Map<string, number>();
  readonly past = new ModelPast();
  bundle: OpenCityBundle | undefined;
  clockSynced = true;
  verify = verify;
  #ids = 0;

  constructor(bundle: OpenCityBundle | undefined) {
    this.bundle = bundle;
  }

  hello(holder: string, now: number, gate: Gate = NORTH, purpose = 'entry'): Session & { zone: string } {
    const session = {
      id: `urn:uuid:00000000-0000-4000-8000-${(this.#ids++).toString(16).padStart(12, '0')}`,
      holder,
      gate,
      zone: gate.zone,
      purpose,
      nonce: randomBytes(32).toString('base64url'),
      expiresMono: now + 10_000,
      used: false,
    };
    this.sessions.set(session.id, session);
    return session;
  }

  decide(did: string, bytes: Uint8Array, now: number): Verdict {
    const world: World = {
      origin: ORIGIN,
      bundle: this.bundle,
      session: (id) => this.sessions.get(id),
      isUsed: (nonce) => this.consumed.has(nonce),
      consume: (session) => {
        if (session.used) return false;
        session.used = true;
        this.consumed.set(session.nonce, (this.consumed.get(session.nonce) ?? 0) + 1);
        return true;
      },
      past: this.past,
      gate: (name) => GATES.find((g) => g.name === name),
      verify: this.verify,
    };
    const stamp = { receivedMs: now, monoMs: now, clockSynced: this.clockSynced };
    const verdict = decide({ did, bytes, now: stamp }, world);
    this.past.add(verdict, now);
    return verdict;
  }
}
