/**
 * Whatever comes in whatever order: no nonce is used twice, and what is decided about one vehicle is no matter of when
 * the others speak, nor of what is said twice.
 *
 * STEPS=1000000 takes the first test as far as the project demands (some minutes); by default it takes a sample of that.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Verdict } from '../../edge/checks/decide.ts';
import type { Session } from '../../edge/checks/sessions.ts';
import type { Reason } from '../../edge/wire/vc/check.ts';
import type { Verify } from '../../edge/wire/vc/proof.ts';
import { signerOf } from '../support/city.ts';
import { Model } from './model.ts';
import { INNER, SOUTH, TestCity, TestVehicle, verify } from './rig.ts';

const T = 1_790_000_000_000;
const GATEWAY = signerOf('gateway').did;
const STEPS = Number(process.env.STEPS ?? 20_000);

/** mulberry32: a seeded run repeats. */
function randomOf(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Each signature is verified once: most of what comes in this test comes again. */
function remembering(real: Verify): Verify {
  const known = new Map<string, boolean>();
  return (key, message, signature) => {
    const name = Buffer.concat([key.bytes, message, signature]).toString('latin1');
    const found = known.get(name);
    if (found !== undefined) return found;
    if (known.size > 20_000) known.clear();
    const valid = real(key, message, signature);
    known.set(name, valid);
    return valid;
  };
}

it(`in ${STEPS} steps no nonce is used twice, and nobody passes whom a nonce was not given to`, {
  timeout: 1_800_000,
}, () => {
  const city = new TestCity();
  const model = new Model(
    city.open([GATEWAY], T, { policy: { maxStalenessSeconds: 31_536_000, freshSeconds: 31_536_000 } }),
  );
  model.verify = remembering(verify);
  const validity = { fromMs: T, untilMs: T + 300 * 86_400_000 };
  const vehicles = Array.from(
    { length: 12 },
    (_, i) => new TestVehicle(city, `v${i}`, T, { registration: `r${i}`, credential: validity }),
  );
  const random = randomOf(7);
  const of = <X>(list: readonly X[]): X => list[random(list.length)] as X;
  type Sent = { did: string; message: Uint8Array; session: Session; bound: string };
  const sent: Sent[] = [];
  const given: { session: Session; vehicle: TestVehicle }[] = [];
  const passed = new Map<string, string>();
  const seen = new Map<Reason, number>();
  let now = T;

  const offer = (did: string, what: Sent): void => {
    const { reason, consumed, session }: Verdict = model.decide(did, what.message, now);
    seen.set(reason, (seen.get(reason) ?? 0) + 1);
    if (consumed) {
      expect(passed.has(what.session.nonce), 'a nonce is used up twice').toBe(false);
      expect(did, 'by whom it was given to').toBe(what.session.holder);
      expect(session?.nonce).toBe(what.session.nonce);
      passed.set(what.session.nonce, reason);
    } else {
      // What did not use up the nonce never lets anybody pass.
      expect(['OK', 'STATUS_STALE']).not.toContain(reason);
      if (passed.has(what.session.nonce)) expect(['NONCE_USED', 'PRESENTATION_PROOF', 'CLOCK']).toContain(reason);
    }
  };

  for (let step = 0; step < STEPS; step++) {
    const action = random(100);
    now += random(40);
    if (action < 25 || given.length === 0) {
      const vehicle = of(vehicles);
      given.push({ session: model.hello(vehicle.did, now, INNER), vehicle });
      if (given.length > 40) given.shift();
    } else if (action < 55) {
      // For a challenge that may be old, used, or one of several that are open.
      const { session, vehicle } = of(given);
      const { message } = vehicle.presentation({ ...session, zone: 'depot' }, now, { telemetry: null });
      const what = { did: vehicle.did, message, session, bound: session.nonce };
      sent[sent.length < 500 ? sent.length : random(500)] = what;
      offer(vehicle.did, what);
    } else if (action < 90 && sent.length > 0) {
      const what = of(sent);
      offer(action < 85 ? what.did : of(vehicles).did, what);
    } else if (action < 93 && sent.length > 0) {
      // With the counter of another moment, which the proof does not cover.
      const what = of(sent);
      const text = Buffer.from(what.message)
        .toString()
        .replace(/"counter":\d+/, `"counter":${random(1000)}`);
      if (text !== Buffer.from(what.message).toString()) offer(what.did, { ...what, message: Buffer.from(text) });
    } else if (action < 94) now += random(12_000);
    else if (step % 5000 === 4999) {
      model.sessions.clear(); // a restart: what is on disk is that nonces were used
    }
    // What is over for long may be forgotten, as the gateway does.
    if (step % 1000 === 0)
      for (const [id, s] of model.sessions) if (now > s.expiresMono + 60_000) model.sessions.delete(id);
  }
  expect([...model.consumed.values()].every((n) => n === 1)).toBe(true);
  expect(model.consumed.size).toBe(passed.size);
  for (const reason of ['OK', 'NONCE_USED', 'NONCE_UNKNOWN', 'CHALLENGE_EXPIRED', 'PRESENTATION_PROOF'] as const)
    expect(seen.get(reason), `${reason} was met`).toBeGreaterThan(0);
});

/** What one vehicle does, one after the other; the ms are its own. */
type Deed =
  | { do: 'pass'; wait: number; counter: number; gate: 'inner' | 'south' }
  | { do: 'again' }
  | { do: 'forge' }
  | { do: 'late' };
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('pass' as const), wait: fc.nat(200_000), counter: fc.integer({ min: 0, max: 6 }), gate: fc.constantFrom('inner' as const, 'south' as const) }) }, // biome-ignore format: one line
  { weight: 2, arbitrary: fc.constant({ do: 'again' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'forge' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'late' as const }) },
);
const CITY = new TestCity();
const BUNDLE = CITY.open([GATEWAY], T);
const VEHICLES = Array.from({ length: 4 }, (_, i) => new TestVehicle(CITY, `w${i}`, T, { registration: `w${i}` }));

/** One vehicle, deed by deed: each call does the next and answers its reason. */
function player(model: Model, vehicle: TestVehicle, deeds: readonly Deed[]) {
  let now = T;
  let at = 0;
  let last: Uint8Array | undefined;
  const reasons: Reason[] = [];
  const play = (d: Deed): Reason | undefined => {
    now += 1000;
    if (d.do === 'again') return last && model.decide(vehicle.did, last, now).reason;
    const gate = d.do === 'pass' && d.gate === 'south' ? SOUTH : INNER;
    if (d.do === 'pass') now += d.wait;
    const session = model.hello(vehicle.did, now, gate);
    if (d.do === 'late') now += 11_000;
    const telemetry = gate === SOUTH ? vehicle.telemetry(now, { at: SOUTH }) : null;
    const counter = d.do === 'pass' ? d.counter : 9;
    const { message } = vehicle.presentation(session, now, { telemetry, counter });
    if (d.do === 'forge')
      return model.decide(vehicle.did, Buffer.from(Buffer.from(message).toString().replace('"counter":9', '"counter":8')), now).reason; // biome-ignore format: one line
    last = message;
    return model.decide(vehicle.did, message, now).reason;
  };
  return {
    reasons,
    get done() {
      return at >= deeds.length;
    },
    next: () => {
      const reason = play(deeds[at++] as Deed);
      if (reason) reasons.push(reason);
    },
  };
}

it('what is decided about one vehicle does not depend on when the others speak', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(deed, { maxLength: 7 }), { minLength: 2, maxLength: 4 }),
      fc.integer(),
      (scripts, seed) => {
        const alone = scripts.map((deeds, i) => {
          const p = player(new Model(BUNDLE), VEHICLES[i] as TestVehicle, deeds);
          while (!p.done) p.next();
          return p.reasons;
        });
        const model = new Model(BUNDLE);
        const players = scripts.map((deeds, i) => player(model, VEHICLES[i] as TestVehicle, deeds));
        const random = randomOf(seed);
        for (let open = players.filter((p) => !p.done); open.length > 0; open = open.filter((p) => !p.done))
          open[random(open.length)]?.next();
        expect(players.map((p) => p.reasons)).toEqual(alone);
      },
    ),
    { numRuns: 60, seed: 11 },
  );
});

it('what is said again, forged or too late changes no decision that follows', () => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 12 }), (deeds) => {
      const run = (of: readonly Deed[]): [Deed, Reason | undefined][] => {
        const p = player(new Model(BUNDLE), VEHICLES[0] as TestVehicle, of);
        return of.map((d) => {
          const before = p.reasons.length;
          p.next();
          return [d, p.reasons[before]];
        });
      };
      const whole = run(deeds);
      for (const [d, reason] of whole)
        if (d.do !== 'pass' && reason !== undefined)
          expect(['NONCE_USED', 'PRESENTATION_PROOF', 'CHALLENGE_EXPIRED']).toContain(reason);
      // The seconds between are all that the others took.
      const calm = (list: [Deed, Reason | undefined][]) => list.filter(([d]) => d.do === 'pass').map(([, r]) => r);
      const hurried = (r: Reason | undefined) => (r === 'IMPOSSIBLE_TRAVEL' ? 'OK' : r);
      expect(calm(run(deeds.filter((d) => d.do === 'pass'))).map(hurried)).toEqual(calm(whole).map(hurried));
    }),
    { numRuns: 60, seed: 13 },
  );
});
