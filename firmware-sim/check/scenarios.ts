/**
 * Vehicles at a gate, one good and many bad, each with the decision and the reason that it must end in. They play
 * against a real gateway over MQTT, with a simulated city behind it (city/office.ts).
 */
import type { KeyType } from '../../edge/wire/keys.ts';
import type { DecisionKind, Reason } from '../../edge/wire/vc/check.ts';
import type { VehicleCredential } from '../../edge/wire/vc/credential.ts';
import { type CityOffice, newRegistration, type VehicleWish } from '../city/office.ts';
import type { Drive, Place } from './drive.ts';
import { RogueGate } from './rogue.ts';
import { type Gate, newPseudonym, type Outcome, outcomeOf, type Pseudonym, type Visit, visit } from './vehicle.ts';

export type CheckWorld = Gate & {
  zone: string;
  place: Place;
  city: CityOffice;
  /** Another city, whose credentials nobody here has pinned. */
  stranger: CityOffice;
  /** Brings a bundle to the gateway, and comes back when it holds it or has refused it: then with the code. */
  deliver: (bundle: Uint8Array) => Promise<string | undefined>;
  keyType?: KeyType;
};

export type CheckScenario = {
  says: string;
  expects: { decision: DecisionKind | 'NONE'; reason: Reason | 'FAKE_GATEWAY' };
  play: (world: CheckWorld) => Promise<Outcome>;
};

const SPEED_KMH = 30;
const DAY_MS = 86_400_000;
/** A pseudonym is for a visit or two. */
const LIFE_HOURS = 0.25;

/** A vehicle that drives up to the gate, with a credential as wished. */
function pseudonym(world: CheckWorld, wish: Partial<VehicleWish> = {}, by: CityOffice = world.city): Pseudonym {
  const { zone, purpose, keyType } = world;
  return newPseudonym(
    (did) => by.issue({ did, zones: [zone], purposes: [purpose], hours: LIFE_HOURS, ...wish }),
    keyType,
  );
}
const drive = ({ place }: CheckWorld, change: Partial<Drive> = {}): Drive => ({
  to: place,
  speedKmh: SPEED_KMH,
  ...change,
});
const come = (world: CheckWorld, who: Pseudonym, act: (v: Visit) => ReturnType<Visit['pass']> = (v) => v.pass()) =>
  visit(world, world.city.cityDid, who, drive(world), act);
const idOf = ({ id }: VehicleCredential): string => id;

async function deliverNew(world: CheckWorld, asOf?: number): Promise<Uint8Array> {
  const bundle = world.city.publish(asOf);
  const refused = await world.deliver(bundle);
  if (refused !== undefined) throw new Error(`the gateway refuses bundle ${world.city.version}: ${refused}`);
  return bundle;
}

/** What must have gone well for the scenario to mean something. */
function must(outcome: Outcome, decision: DecisionKind, what: string): void {
  if (outcome.decision !== decision)
    throw new Error(`${what} ends in ${outcome.decision} ${outcome.reason}, not in ${decision}`);
}

/** Lists of an age for which the policy has another answer than for now; afterwards the gateway gets fresh ones. */
async function withListsOfAge(world: CheckWorld, ageSeconds: number): Promise<Outcome> {
  await deliverNew(world, Date.now() - 1000 * ageSeconds);
  try {
    return await come(world, pseudonym(world));
  } finally {
    await deliverNew(world);
  }
}

async function meet(world: CheckWorld, rogue: RogueGate): Promise<Outcome> {
  const who = pseudonym(world);
  try {
    const outcome = await visit({ ...world, url: rogue.url }, world.city.cityDid, who, drive(world), (v) => v.pass());
    const more = rogue.heard.filter(({ topic }) => topic !== `check/${who.did}/hello`);
    if (more.length > 0) throw new Error(`the fake gateway heard ${more.map(({ topic }) => topic).join(', ')}`);
    return outcome;
  } finally {
    await rogue.stop();
  }
}

export const CHECK_SCENARIOS: Readonly<Record<string, CheckScenario>> = {
  pass: {
    says: 'a vehicle with all in order, twice, under two pseudonyms',
    expects: { decision: 'ALLOW', reason: 'OK' },
    play: async (world) => {
      const registration = newRegistration();
      must(await come(world, pseudonym(world, { registration })), 'ALLOW', 'the first visit');
      return come(world, pseudonym(world, { registration }));
    },
  },
  revoked: {
    says: 'it passes; the city revokes its credential and publishes; it comes again',
    expects: { decision: 'DENY', reason: 'REVOKED' },
    play: async (world) => {
      const who = pseudonym(world);
      must(await come(world, who), 'ALLOW', 'the visit before the revocation');
      world.city.setStatus(idOf(who.credential), 'revocation', true);
      await deliverNew(world);
      return come(world, who, (v) => v.pass({ counter: 2 }));
    },
  },
  suspended: {
    says: 'its credential is suspended',
    expects: { decision: 'DENY', reason: 'SUSPENDED' },
    play: async (world) => {
      const who = pseudonym(world);
      world.city.setStatus(idOf(who.credential), 'suspension', true);
      await deliverNew(world);
      return come(world, who);
    },
  },
  expired: {
    says: 'its credential was good until yesterday',
    expects: { decision: 'DENY', reason: 'EXPIRED' },
    play: (world) => come(world, pseudonym(world, { from: Date.now() - 2 * DAY_MS, hours: 24 })),
  },
  early: {
    says: 'its credential is good from tomorrow on',
    expects: { decision: 'DENY', reason: 'NOT_YET_VALID' },
    play: (world) => come(world, pseudonym(world, { from: Date.now() + DAY_MS })),
  },
  'wrong-issuer': {
    says: 'its credential is by a city that nobody here knows',
    expects: { decision: 'DENY', reason: 'ISSUER_UNKNOWN' },
    play: (world) => come(world, pseudonym(world, {}, world.stranger)),
  },
  'other-zone': {
    says: 'its credential is for another zone',
    expects: { decision: 'DENY', reason: 'ZONE' },
    play: (world) => come(world, pseudonym(world, { zones: ['elsewhere'] })),
  },
  'other-purpose': {
    says: 'its credential is for another purpose',
    expects: { decision: 'DENY', reason: 'PURPOSE' },
    play: (world) => come(world, pseudonym(world, { purposes: ['parade'] })),
  },
  'borrowed-credential': {
    says: "it presents another vehicle's credential, with its own key",
    expects: { decision: 'DENY', reason: 'HOLDER_MISMATCH' },
    play: (world) => come(world, { ...pseudonym(world), credential: pseudonym(world).credential }),
  },
  'cloned-key': {
    says: 'two vehicles hold one key: the same counter comes twice, with other telemetry',
    expects: { decision: 'REVIEW', reason: 'COUNTER_FORK' },
    play: async (world) => {
      const who = pseudonym(world);
      must(await come(world, who), 'ALLOW', 'the visit of the first of them');
      return visit(world, world.city.cityDid, who, drive(world, { speedKmh: SPEED_KMH / 2 }), (v) => v.pass());
    },
  },
  'cloned-registration': {
    says: 'two vehicles under one registration, each with keys of its own, come in turns',
    expects: { decision: 'REVIEW', reason: 'REGISTRATION_TWO_KEYS' },
    play: async (world) => {
      const registration = newRegistration();
      const [one, two] = [pseudonym(world, { registration }), pseudonym(world, { registration })];
      must(await come(world, one), 'ALLOW', 'the visit of the first');
      must(await come(world, two), 'ALLOW', 'the visit of the second, which may be the next pseudonym of the first');
      return come(world, one, (v) => v.pass({ counter: 2 }));
    },
  },
  'replayed-check': {
    says: 'what was presented once is sent again, byte for byte',
    expects: { decision: 'DENY', reason: 'NONCE_USED' },
    play: async (world) => {
      const who = pseudonym(world);
      return come(world, who, async (v) => {
        const presented = v.present(await v.challenge());
        must(outcomeOf(await v.decide(presented)), 'ALLOW', 'the first sending');
        return v.decide(presented);
      });
    },
  },
  'replayed-counter': {
    says: 'a counter that it has passed: firmware put back',
    expects: { decision: 'DENY', reason: 'COUNTER_REPLAY' },
    play: async (world) => {
      const who = pseudonym(world);
      must(await come(world, who, (v) => v.pass({ counter: 5 })), 'ALLOW', 'the first visit');
      return come(world, who, (v) => v.pass({ counter: 4 }));
    },
  },
  'stolen-presentation': {
    says: "a rogue gate elsewhere passes on this gate's nonce, and brings what a vehicle presented there",
    expects: { decision: 'DENY', reason: 'DOMAIN_MISMATCH' },
    play: (world) => come(world, pseudonym(world), (v) => v.pass({ domain: `rogue.example/${world.zone}` })),
  },
  'gps-spoofed': {
    says: 'its fixes run away from its wheels',
    expects: { decision: 'REVIEW', reason: 'SPEED_DISPLACEMENT' },
    play: (world) => come(world, pseudonym(world), (v) => v.pass({ drive: { fixFactor: 20 } })),
  },
  'fake-gateway': {
    says: 'a roadside unit that is none of the city: it hears a hello, and no more',
    expects: { decision: 'NONE', reason: 'FAKE_GATEWAY' },
    play: async (world) => meet(world, await RogueGate.start(world.origin, world.zone)),
  },
  'stolen-gateway': {
    says: "the same, with a real gateway's credential, but not its key",
    expects: { decision: 'NONE', reason: 'FAKE_GATEWAY' },
    play: async (world) =>
      meet(world, await RogueGate.start(world.origin, world.zone, world.city.gatewayFor(world.origin))),
  },
  'stale-bundle': {
    says: 'the city has not been heard of for longer than is fresh',
    expects: { decision: 'ALLOW_STALE', reason: 'STATUS_STALE' },
    play: (world) => {
      const { freshSeconds, maxStalenessSeconds } = world.city.policy;
      return withListsOfAge(world, Math.ceil((freshSeconds + maxStalenessSeconds) / 2));
    },
  },
  'too-old-bundle': {
    says: 'the city has not been heard of for longer than the policy allows',
    expects: { decision: 'DENY', reason: 'STATUS_TOO_OLD' },
    play: (world) => withListsOfAge(world, world.city.policy.maxStalenessSeconds + 60),
  },
  'rolled-back-bundle': {
    says: 'somebody brings the bundle of before a revocation: it is refused, and the revoked vehicle stays out',
    expects: { decision: 'DENY', reason: 'REVOKED' },
    play: async (world) => {
      const who = pseudonym(world);
      const before = await deliverNew(world);
      must(await come(world, who), 'ALLOW', 'the visit before the revocation');
      world.city.setStatus(idOf(who.credential), 'revocation', true);
      await deliverNew(world);
      const refused = await world.deliver(before);
      if (refused !== 'BUNDLE_ROLLBACK')
        throw new Error(`the old bundle is ${refused ?? 'taken'}, not BUNDLE_ROLLBACK`);
      return come(world, who, (v) => v.pass({ counter: 2 }));
    },
  },
};
