import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EdgeError } from '../../../edge/errors.ts';
import type { KeyType } from '../../../edge/wire/keys.ts';
import {
  type Challenge,
  checkDomain,
  type Decision,
  decodeChallenge,
  decodeDecision,
  decodeHello,
  decodePresentation,
  encodeMessage,
  encodePresentation,
  MAX_PRESENTATION_BYTES,
  MAX_TELEMETRY_BYTES,
  nonceText,
  type Presentation,
  REASONS,
  type Reason,
  signChallenge,
  signDecision,
  signPresentation,
  telemetryDigest,
  verifyChallenge,
  verifyDecision,
} from '../../../edge/wire/vc/check.ts';
import { verifyProof } from '../../../edge/wire/vc/proof.ts';
import { City, ORIGIN, signerOf } from '../../support/city.ts';

const NOW = Date.parse('2026-06-21T03:00:00Z');
const HELLO = { gate: 'gate-3', purpose: 'passage' };
const SESSION = 'urn:uuid:00000000-0000-4000-8000-000000000001';
const NONCE = nonceText(new Uint8Array(32).fill(1));
const OWN_NONCE = nonceText(new Uint8Array(32).fill(2));
const seconds = (n: number) => new Date(NOW + 1000 * n).toISOString();

const code = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as EdgeError).code;
  }
  return 'taken';
};

describe.each<KeyType>(['Ed25519', 'P-256'])('a check between keys of %s', (keyType) => {
  const city = new City(NOW, keyType);
  const vehicle = signerOf('vehicle', keyType);
  const stranger = signerOf('stranger', keyType);
  const telemetry = new Uint8Array(100).fill(7);

  const challengeOf = (fields: Partial<Challenge> = {}, by = city.gateway) =>
    signChallenge(
      {
        id: SESSION,
        from: city.gateway.did,
        credential: city.gatewayCredential(),
        nonce: NONCE,
        zone: 'north',
        ...HELLO,
        created: seconds(0),
        expires: seconds(10),
        bundleVersion: 1,
        ...fields,
      },
      by,
    );
  const presentationOf = (fields: Partial<Presentation> = {}, by = vehicle) =>
    signPresentation(
      {
        holder: vehicle.did,
        verifiableCredential: [city.vehicleCredential(vehicle.did)],
        session: SESSION,
        nonce: OWN_NONCE,
        counter: 1,
        telemetryDigest: telemetryDigest(telemetry),
        ...fields,
      },
      by,
      { nonce: NONCE, domain: checkDomain(ORIGIN, 'north'), now: NOW },
    );
  const decisionOf = (fields: Partial<Decision> = {}, by = city.gateway) =>
    signDecision(
      {
        session: SESSION,
        from: city.gateway.did,
        to: vehicle.did,
        decision: 'ALLOW',
        reason: 'OK',
        statusAgeSeconds: 1800,
        bundleVersion: 1,
        nonces: { gateway: NONCE, vehicle: OWN_NONCE },
        decided: seconds(1),
        ...fields,
      },
      by,
    );
  const challenge = challengeOf();
  const presentation = presentationOf();
  const decision = decisionOf();

  it('every message is read as it was written', () => {
    expect(decodeHello(encodeMessage(HELLO))).toEqual(HELLO);
    expect(decodeChallenge(encodeMessage(challenge))).toEqual(challenge);
    expect(decodeDecision(encodeMessage(decision))).toEqual(decision);
    const message = decodePresentation(encodePresentation(presentation, telemetry));
    expect(message).toEqual({ presentation, telemetry });
    verifyProof(message.presentation, { did: vehicle.did, purpose: 'authentication' });
    expect(decodePresentation(encodePresentation(presentation))).toEqual({ presentation });
  });

  const expected = { cityDid: city.key.did, origin: ORIGIN, hello: HELLO, now: NOW + 2000 };
  it('the vehicle believes a gateway of the city', () => {
    verifyChallenge(decodeChallenge(encodeMessage(challenge)), expected);
    verifyDecision(decodeDecision(encodeMessage(decision)), { challenge, presentation });
  });

  it('the vehicle believes no other', () => {
    const credential = (fields: object, by = city.key) => ({ credential: city.gatewayCredential(fields, by) });
    const subject = challenge.credential.credentialSubject;
    const fakes: Record<string, Challenge> = {
      'its own credential': challengeOf(
        { from: stranger.did, ...credential({ credentialSubject: { ...subject, id: stranger.did } }, stranger) },
        stranger,
      ),
      "the city's name on its own credential": {
        ...challengeOf({}, stranger),
        ...credential({ issuer: city.key.did }, stranger),
      },
      "a gateway's credential, without its key": challengeOf({ from: stranger.did }, stranger),
      "a gateway's credential and name, without its key": challengeOf({}, stranger),
      'a credential of another origin': challengeOf(
        credential({ credentialSubject: { ...subject, origin: 'else.example' } }),
      ),
      'a zone that it is not for': challengeOf({ zone: 'south' }),
      'another gate': challengeOf({ gate: 'gate-4' }),
      'another purpose': challengeOf({ purpose: 'charging' }),
      'a credential that is over': challengeOf(credential({ validUntil: seconds(0) })),
      'a credential that is not yet': challengeOf(credential({ validFrom: seconds(60) })),
      'an old challenge': challengeOf({ created: seconds(-10), expires: seconds(0) }),
      'a challenge of tomorrow': challengeOf({ created: seconds(86_400), expires: seconds(86_410) }),
      'another nonce': { ...challenge, nonce: OWN_NONCE },
    };
    for (const [why, fake] of Object.entries(fakes))
      expect(
        code(() => verifyChallenge(decodeChallenge(encodeMessage(fake)), expected)),
        why,
      ).toBe('FAKE_GATEWAY');
    expect(code(() => verifyChallenge(challenge, { ...expected, cityDid: stranger.did }))).toBe('FAKE_GATEWAY');
    expect(code(() => verifyChallenge(challenge, { ...expected, now: NOW - 6000 }))).toBe('FAKE_GATEWAY');
    for (const fields of [{ expires: seconds(10.001) }, { expires: seconds(0) }, { expires: seconds(-1) }])
      expect(code(() => decodeChallenge(encodeMessage(challengeOf(fields))))).toBe('MESSAGE_INVALID');
  });

  it('the vehicle believes no decision but that about its own presentation', () => {
    const both = { challenge, presentation };
    for (const [why, other] of Object.entries({
      'by a stranger': decisionOf({}, stranger),
      'from a stranger': decisionOf({ from: stranger.did }, stranger),
      'to another': decisionOf({ to: stranger.did }),
      'of another session': decisionOf({ session: SESSION.replace(/1$/, '2') }),
      'over another nonce of the gateway': decisionOf({ nonces: { gateway: OWN_NONCE, vehicle: OWN_NONCE } }),
      'over another nonce of the vehicle': decisionOf({ nonces: { gateway: NONCE, vehicle: NONCE } }),
      'changed to ALLOW': { ...decisionOf({ decision: 'DENY', reason: 'REVOKED' }), decision: 'ALLOW', reason: 'OK' },
    } as Record<string, Decision>))
      expect(
        code(() => verifyDecision(decodeDecision(encodeMessage(other)), both)),
        why,
      ).toBe('FAKE_GATEWAY');
  });

  it('no message passes for another kind', () => {
    const messages = [
      encodeMessage(HELLO),
      encodeMessage(challenge),
      encodePresentation(presentation),
      encodeMessage(decision),
    ];
    const decoders = [decodeHello, decodeChallenge, decodePresentation, decodeDecision];
    messages.forEach((message, m) => {
      decoders.forEach((decode, d) => {
        expect(
          code(() => decode(message)),
          `${m} by ${d}`,
        ).toBe(m === d ? 'taken' : 'MESSAGE_INVALID');
      });
    });
  });

  it('no bit of a presentation may be another', () => {
    const bytes = Buffer.from(encodePresentation(presentation, telemetry));
    const same = JSON.stringify(presentation);
    for (let bit = 3; bit < 8 * bytes.length; bit += 41) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const said = code(() => {
        const got = decodePresentation(flipped);
        verifyProof(got.presentation, { did: got.presentation.holder, purpose: 'authentication' });
        // Telemetry has its own signature, and its digest is in the presentation.
        if (
          JSON.stringify(got.presentation) === same &&
          telemetryDigest(got.telemetry ?? bytes) !== presentation.telemetryDigest
        )
          throw Object.assign(new Error(), { code: 'PROOF_INVALID' });
      });
      expect(['MESSAGE_INVALID', 'PROOF_INVALID', 'DID_INVALID'], `bit ${bit}`).toContain(said);
    }
  });

  it('a presentation in any other form is refused', () => {
    for (const changed of [
      { more: 1 },
      { type: ['VerifiablePresentation'] },
      { holder: 'did:web:x' },
      { verifiableCredential: [] },
      { verifiableCredential: [...presentation.verifiableCredential, ...presentation.verifiableCredential] },
      { verifiableCredential: presentation.verifiableCredential[0] },
      { session: 'x' },
      { nonce: NONCE.slice(1) },
      { nonce: `${NONCE.slice(0, 42)}B` },
      { counter: -1 },
      { counter: 1.5 },
      { counter: 2 ** 53 },
      { counter: '1' },
      { telemetryDigest: null },
      { proof: { ...presentation.proof, challenge: undefined } },
      { proof: { ...presentation.proof, domain: undefined } },
    ]) {
      const bytes = encodeMessage({ presentation: { ...presentation, ...changed } });
      expect(
        code(() => decodePresentation(bytes)),
        JSON.stringify(changed),
      ).toBe('MESSAGE_INVALID');
    }
    for (const message of [
      { presentation, telemetry: 'A' },
      { presentation, telemetry: 'AB==' },
      { presentation, telemetry: 'AA=A' },
      { presentation, telemetry: null },
      { presentation, telemetry: Buffer.alloc(MAX_TELEMETRY_BYTES + 3).toString('base64') },
      { presentation, more: true },
      [presentation],
      presentation,
    ])
      expect(code(() => decodePresentation(encodeMessage(message)))).toBe('MESSAGE_INVALID');
    const largest = encodePresentation(presentation, new Uint8Array(MAX_TELEMETRY_BYTES));
    expect(decodePresentation(largest).telemetry).toHaveLength(MAX_TELEMETRY_BYTES);
    expect(largest.length).toBeLessThan(MAX_PRESENTATION_BYTES);
    expect(code(() => decodePresentation(new Uint8Array(MAX_PRESENTATION_BYTES + 1)))).toBe('MESSAGE_INVALID');
  });

  it('a decision has the decision of its reason', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(REASONS) as Reason[])),
        fc.constantFrom('ALLOW', 'ALLOW_STALE', 'REVIEW', 'DENY'),
        (reason, kind) => {
          const bytes = encodeMessage({ ...decision, reason, decision: kind });
          expect(code(() => decodeDecision(bytes))).toBe(kind === REASONS[reason] ? 'taken' : 'MESSAGE_INVALID');
        },
      ),
      { seed: 4 },
    );
    const nothing = {
      session: null,
      statusAgeSeconds: null,
      bundleVersion: null,
      nonces: { gateway: null, vehicle: null },
    };
    expect(
      code(() =>
        decodeDecision(encodeMessage(decisionOf({ ...nothing, decision: 'DENY', reason: 'MESSAGE_INVALID' }))),
      ),
    ).toBe('taken');
  });
});
