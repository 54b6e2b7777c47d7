/**
 * Challenges that were given and are waiting for their answer, in memory only: a restart forgets them, and a vehicle
 * asks again. What must outlive a restart is that a nonce was used, and that is a row (store/checks.ts).
 */
import { randomBytes, randomUUID } from 'node:crypto';

export type Gate = {
  name: string;
  zone: string;
  purposes: readonly string[];
  lat: number;
  lon: number;
  radiusM: number;
};

export type Session = {
  /** urn:uuid:, what both sides call it. */
  readonly id: string;
  /** Whom the challenge was given to, and nobody else may answer it. */
  readonly holder: string;
  readonly gate: Gate;
  readonly purpose: string;
  /** 32 bytes in base64url. */
  readonly nonce: string;
  /** On the monotonic clock: setting the wall clock makes no challenge older or younger. */
  readonly expiresMono: number;
  used: boolean;
};

/** What is over is remembered for so long after, to answer with the right reason. */
const REMEMBER_MS = 60_000;

export class Sessions {
  readonly #max: number;
  readonly #byId = new Map<string, Session>();

  constructor(max: number) {
    this.#max = max;
  }

  /** undefined where there is no room: as many challenges as may be are waiting for their answers. */
  open(wanted: Pick<Session, 'holder' | 'gate' | 'purpose'>, nowMono: number, lifeMs: number): Session | undefined {
    this.#sweep(nowMono);
    const session: Session = {
      ...wanted,
      id: `urn:uuid:${randomUUID()}`,
      nonce: randomBytes(32).toString('base64url'),
      expiresMono: nowMono + lifeMs,
      used: false,
    };
    if (this.#byId.size >= this.#max) return undefined;
    this.#byId.set(session.id, session);
    return session;
  }

  get(id: string): Session | undefined {
    return this.#byId.get(id);
  }

  /** Answers true once for each session. */
  consume(session: Session): boolean {
    if (session.used) return false;
    session.used = true;
    return true;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** They stand in the order of their making, so in about that of their end. */
  #sweep(nowMono: number): void {
    for (const [id, s] of this.#byId) {
      const isOver = s.used || nowMono >= s.expiresMono;
      // Where room is short, what is over goes at once: a used nonce is on disk.
      if (!isOver || (nowMono < s.expiresMono + REMEMBER_MS && this.#byId.size < this.#max)) return;
      this.#byId.delete(id);
    }
  }
}
