/**
 * A vehicle at a gate. It believes nothing that the city has not signed, and says nothing before it believes: a fake
 * roadside unit gets a login of a pseudonym that is never used again, and a hello.
 */
import { randomBytes } from 'node:crypto';
import { EdgeError } from '../../edge/errors.ts';
import type { KeyType } from '../../edge/wire/keys.ts';
import {
  type Challenge,
  checkDomain,
  type Decision,
  decodeChallenge,
  decodeDecision,
  encodeMessage,
  encodePresentation,
  nonceText,
  type Presentation,
  signPresentation,
  telemetryDigest,
  verifyChallenge,
  verifyDecision,
} from '../../edge/wire/vc/check.ts';
import type { VehicleCredential } from '../../edge/wire/vc/credential.ts';
import type { Signer } from '../../edge/wire/vc/proof.ts';
import { didOf, makeSigner, newSecretKey } from '../signer.ts';
import { type Drive, driveEnvelope } from './drive.ts';
import { Line } from './line.ts';

export type Gate = {
  /** mqtt:// or mqtts:// of the gateway. */
  url: string;
  /** That the vehicle knows it by, and logs in to. */
  origin: string;
  gate: string;
  purpose: string;
};

/** A key, and the credential for it. @see CityOffice.issue */
export type Pseudonym = Signer & { credential: VehicleCredential };

export function newPseudonym(issue: (did: string) => VehicleCredential, keyType: KeyType = 'Ed25519'): Pseudonym {
  const key = { keyType, secretKey: newSecretKey(keyType) };
  const did = didOf(key);
  return { did, sign: makeSigner(key), credential: issue(did) };
}

/** What differs from an honest presentation. */
export type Twist = { counter?: number; domain?: string; drive?: Partial<Drive> };
export type Presented = { challenge: Challenge; presentation: Presentation; bytes: Uint8Array };

/** One visit: a line with one pseudonym, until it is closed. */
export class Visit {
  readonly #line: Line;
  readonly #gate: Gate;
  readonly #cityDid: string;
  readonly #who: Pseudonym;
  readonly #drive: Drive;
  #counter = 0;

  private constructor(line: Line, gate: Gate, cityDid: string, who: Pseudonym, drive: Drive) {
    this.#line = line;
    this.#gate = gate;
    this.#cityDid = cityDid;
    this.#who = who;
    this.#drive = drive;
  }

  /** @param cityDid pinned in the vehicle */
  static async begin(gate: Gate, cityDid: string, who: Pseudonym, drive: Drive): Promise<Visit> {
    return new Visit(await Line.open(gate.url, gate.origin, who), gate, cityDid, who, drive);
  }

  /**
   * Asks, and believes the answer or not.
   * @throws EdgeError FAKE_GATEWAY or MESSAGE_INVALID, and nothing has been said; GateRefusal
   */
  async challenge(): Promise<Challenge> {
    const { gate, purpose, origin } = this.#gate;
    const hello = { gate, purpose };
    await this.#line.send('hello', encodeMessage(hello));
    const challenge = decodeChallenge(await this.#line.next('challenge'));
    verifyChallenge(challenge, { cityDid: this.#cityDid, origin, hello, now: Date.now() });
    return challenge;
  }

  present(challenge: Challenge, twist: Twist = {}): Presented {
    const now = Date.now();
    const counter = twist.counter ?? ++this.#counter;
    const telemetry = driveEnvelope({ ...this.#drive, ...twist.drive }, this.#who, now, counter);
    const presentation = signPresentation(
      {
        holder: this.#who.did,
        verifiableCredential: [this.#who.credential],
        session: challenge.id,
        nonce: nonceText(randomBytes(32)),
        counter,
        telemetryDigest: telemetryDigest(telemetry),
      },
      this.#who,
      { nonce: challenge.nonce, domain: twist.domain ?? checkDomain(this.#gate.origin, challenge.zone), now },
    );
    return { challenge, presentation, bytes: encodePresentation(presentation, telemetry) };
  }

  async send({ bytes }: Presented): Promise<void> {
    await this.#line.send('presentation', bytes);
  }

  /** Sends it, and waits for what the gateway signs over both nonces. @throws EdgeError FAKE_GATEWAY */
  async decide(presented: Presented): Promise<Decision> {
    await this.send(presented);
    const decision = decodeDecision(await this.#line.next('decision'));
    verifyDecision(decision, presented);
    return decision;
  }

  /** All of it, as an honest vehicle does. */
  async pass(twist: Twist = {}): Promise<Decision> {
    return this.decide(this.present(await this.challenge(), twist));
  }

  close(): Promise<void> {
    return this.#line.close();
  }
}

/** What a check came to, seen from the vehicle. */
export type Outcome =
  | {
      decision: Decision['decision'];
      reason: Decision['reason'];
      statusAgeSeconds: number | null;
      bundleVersion: number | null;
    }
  | { decision: 'NONE'; reason: 'FAKE_GATEWAY'; detail: string };

export const outcomeOf = ({ decision, reason, statusAgeSeconds, bundleVersion }: Decision): Outcome => ({
  decision,
  reason,
  statusAgeSeconds,
  bundleVersion,
});

/** One visit with what the visitor does in it; not being believed is an outcome as well. */
export async function visit(
  gate: Gate,
  cityDid: string,
  who: Pseudonym,
  drive: Drive,
  act: (visit: Visit) => Promise<Decision>,
): Promise<Outcome> {
  const opened = await Visit.begin(gate, cityDid, who, drive);
  try {
    return outcomeOf(await act(opened));
  } catch (error) {
    // What cannot be read is not believed either.
    if (error instanceof EdgeError && error.act === 'refuse')
      return { decision: 'NONE', reason: 'FAKE_GATEWAY', detail: error.detail };
    throw error;
  } finally {
    await opened.close();
  }
}
