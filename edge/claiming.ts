/**
 * Self-enrolment: an operator makes a code, a device shows that it has it and which key it holds, and the operator
 * confirms, after a look at the fingerprint that both show. One at a time, so that a code is used once.
 */
import { randomBytes } from 'node:crypto';
import { EdgeError } from './errors.ts';
import type { Enrolment } from './intake/enrolment.ts';
import { verifyKey } from './intake/verify.ts';
import type { People } from './people.ts';
import { type Claim, type Claims, forgetClaims, saveClaim } from './store/claims.ts';
import type { Device, NewDevice } from './store/devices.ts';
import type { SqlStatement } from './store/store.ts';
import type { Person, Tokens } from './tokens.ts';
import { claimKey, claimNonce, fingerprint, formatCode, ID_BYTES, SECRET_BYTES } from './wire/claim.ts';
import { MAX_DID_LENGTH, publicKeyFromDid } from './wire/did.ts';

/** Claims that a device may come for. */
const MAX_LIVE = 1000;
const DAY_MS = 86_400_000;
/** Claims that have ended are shown for so long. */
const KEPT_MS = 30 * DAY_MS;

/** What is to be enrolled; it holds its own key. */
export type Expected = Omit<NewDevice, 'did' | 'custody' | 'secretHash'>;
export type Shown = Claim & { fingerprint: string | null };

export type ClaimingOptions = {
  claims: Claims;
  enrolment: Enrolment;
  people: Pick<People, 'act' | 'commit'>;
  tokens: Tokens;
  origin: string;
  clockSynced: () => boolean;
  save: (statement: SqlStatement) => Promise<void>;
};

export class Claiming {
  readonly #o: ClaimingOptions;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ClaimingOptions) {
    this.#o = options;
  }

  list(limit: number): Shown[] {
    return this.#o.claims.list(limit).map(show);
  }

  /** The code is in the answer, this once. @throws EdgeError REQUEST_INVALID, CLAIMS_FULL, STORE_UNAVAILABLE */
  make(expected: Expected, seconds: number, by: Person): Promise<Shown & { code: string }> {
    return this.#inTurn(async () => {
      const { claims, enrolment, people } = this.#o;
      enrolment.check({ ...expected, custody: 'device' });
      const now = Date.now();
      const live = claims.live(now);
      if (live >= MAX_LIVE) throw new EdgeError('CLAIMS_FULL', `${live} claims are open`);
      const secret = randomBytes(SECRET_BYTES);
      const code = formatCode(randomBytes(ID_BYTES), secret);
      const claim: Claim = {
        id: code.split('-')[0] as string,
        key: claimKey(secret),
        wanted: JSON.stringify(expected),
        madeMs: now,
        expiresMs: now + seconds * 1000,
        madeBy: by.name,
        status: 'open',
        did: null,
      };
      const { kind, sub } = expected;
      await people.act({ by, action: 'claim.make', on: claim.id, detail: { kind, sub, seconds } }, (own) =>
        own.also([forgetClaims(now - KEPT_MS), saveClaim(claim)]),
      );
      return { ...show(claim), code };
    });
  }

  /**
   * What a device says: its DID, and a JWT by that key (wire/claim.ts). The same again has the same answer, so a device
   * may ask how it stands.
   * @throws EdgeError CLAIM_INVALID, CLAIM_TAKEN, DID_INVALID, STORE_UNAVAILABLE
   */
  async prove(id: string, did: string, proof: string): Promise<Shown> {
    const { claims, tokens, origin, clockSynced } = this.#o;
    // Of one that has ended, or never was, nothing is told to who has not shown the code.
    const asked = claims.get(id);
    if (!asked) throw new EdgeError('CLAIM_INVALID', id);
    if (did.length > MAX_DID_LENGTH) throw new EdgeError('DID_INVALID', 'longer than any DID');
    const key = verifyKey(publicKeyFromDid(did));
    const said = await tokens
      .device(proof, did, key.object, key.verifier.jwsAlgs, clockSynced())
      .catch((error: EdgeError) => Promise.reject(new EdgeError('CLAIM_INVALID', `${id}: ${error.detail}`)));
    if (said.jti !== id || said.nonce !== claimNonce(asked.key, id, did, origin))
      throw new EdgeError('CLAIM_INVALID', `${id}: the proof is for another claim, or by who does not have its code`);
    // Only who has the code gets into the line, so that nobody else can hold up an operator.
    return this.#inTurn(async () => {
      const claim = claims.get(id) ?? asked;
      if ((claim.did !== null && claim.did !== did) || claim.status === 'dropped')
        throw new EdgeError('CLAIM_TAKEN', claim.status === 'dropped' ? `${id} was dropped` : id);
      if (claim.did === did) return show(claim);
      if (claim.expiresMs <= Date.now()) throw new EdgeError('CLAIM_INVALID', `${id} has expired`);
      const pending: Claim = { ...claim, status: 'pending', did };
      await this.#o.save(saveClaim(pending));
      return show(pending);
    });
  }

  /**
   * @param seen the fingerprint that the device shows
   * @throws EdgeError NOT_FOUND, CLAIM_STATE, FINGERPRINT_DIFFERS, DEVICE_EXISTS, STORE_UNAVAILABLE
   */
  confirm(id: string, seen: string, by: Person): Promise<Device> {
    return this.#inTurn(async () => {
      const { enrolment, people } = this.#o;
      const claim = this.#pending(id);
      const { did, key, wanted } = claim;
      if (seen.toUpperCase().replaceAll('-', '') !== fingerprint(key, did).replaceAll('-', ''))
        throw new EdgeError('FINGERPRINT_DIFFERS', `claim ${id}`);
      const expected = JSON.parse(wanted) as Expected;
      const { device } = await enrolment.enrol({ ...expected, custody: 'device', did }, () => (statement) => {
        const { kind, sub } = expected;
        return people.act({ by, action: 'claim.confirm', on: did, detail: { claim: id, kind, sub } }, (own) =>
          own.also([statement, saveClaim({ ...claim, status: 'confirmed' })]),
        );
      });
      return device;
    });
  }

  /** @throws EdgeError NOT_FOUND, CLAIM_STATE, STORE_UNAVAILABLE */
  drop(id: string, by: Person): Promise<Shown> {
    return this.#inTurn(async () => {
      const claim = this.#o.claims.get(id);
      if (!claim) throw new EdgeError('NOT_FOUND', `no claim ${id}`);
      if (claim.status !== 'open' && claim.status !== 'pending')
        throw new EdgeError('CLAIM_STATE', `${id} is ${claim.status}`);
      const dropped: Claim = { ...claim, status: 'dropped' };
      await this.#o.people.act({ by, action: 'claim.drop', on: id, detail: { did: claim.did } }, (own) =>
        own.also([saveClaim(dropped)]),
      );
      return show(dropped);
    });
  }

  #pending(id: string): Claim & { did: string } {
    const claim = this.#o.claims.get(id);
    if (!claim) throw new EdgeError('NOT_FOUND', `no claim ${id}`);
    if (claim.status !== 'pending' || claim.did === null)
      throw new EdgeError('CLAIM_STATE', `${id} is ${claim.status}`);
    return claim as Claim & { did: string };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

const show = (claim: Claim): Shown => ({
  ...claim,
  fingerprint: claim.did === null ? null : fingerprint(claim.key, claim.did),
});
