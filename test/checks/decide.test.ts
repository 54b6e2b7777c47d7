import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../edge/checks/decide.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { REASONS, type Reason } from '../../edge/wire/vc/check.ts';
import { addProof } from '../../edge/wire/vc/proof.ts';
import { signerOf } from '../support/city.ts';
import { Model } from './model.ts';
import { DEPOT, INNER, type NORTH, SOUTH, TestCity, TestVehicle } from './rig.ts';

const T = 1_790_000_000_000;
const HOUR = 3_600_000;
const GATEWAY = signerOf('gateway').did;

const setUp = () => {
  const city = new TestCity();
  const model = new Model(city.open([GATEWAY], T));
  return { city, model, vehicle: new TestVehicle(city, 'one', T) };
};
type Rig = ReturnType<typeof setUp>;

/** Hello, challenge, presentation, decision; `after` is how long after the hello. */
const pass = (
  { model, vehicle }: Pick<Rig, 'model' | 'vehicle'>,
  now = T,
  over: Parameters<TestVehicle['presentation']>[2] & { gate?: typeof NORTH; purpose?: string; after?: number } = {},
): Verdict => {
  const session = model.hello(vehicle.did, now, over.gate, over.purpose);
  const at = now + (over.after ?? 100);
  return model.decide(vehicle.did, vehicle.presentation(session, at, over).message, at);
};
const track = (now: number, step: (t: number) => { lat: number; kmh: number }): SenmlRecord[] =>
  Array.from({ length: 20 }, (_, i) => i - 19).flatMap((t) => {
    const { lat, kmh } = step(t);
    const at = { t: Math.floor(now / 1000) + t };
    return [
      { n: 'Vehicle.Speed', v: kmh, ...at },
      { n: 'Vehicle.CurrentLocation.Latitude', v: lat, ...at },
      { n: 'Vehicle.CurrentLocation.Longitude', v: DEPOT.lon, ...at },
    ];
  });

describe('a vehicle with a good credential', () => {
  it('passes, with either type of key, and again with a higher counter', () => {
    for (const keyType of ['Ed25519', 'P-256'] as const) {
      const city = new TestCity('city', keyType);
      const rig = { model: new Model(city.open([GATEWAY], T)), vehicle: new TestVehicle(city, 'k', T, { keyType }) };
      expect(pass(rig)).toMatchObject({ reason: 'OK', consumed: true, statusAgeSeconds: 0, findings: [] });
      expect(pass(rig, T + 60_000).reason).toBe('OK');
    }
  });

  it('passes on older status data as far as the policy goes, which is said', () => {
    const rig = setUp();
    for (const [age, reason] of [
      [599, 'OK'],
      [601, 'STATUS_STALE'],
      [7199, 'STATUS_STALE'],
      [7201, 'STATUS_TOO_OLD'],
    ] as const) {
      rig.model.bundle = rig.city.open([GATEWAY], T, { age: age * 1000 });
      expect(pass(rig), `${age} s`).toMatchObject({ reason, statusAgeSeconds: age });
    }
  });

  it('goes on to its next pseudonym without anybody minding', () => {
    const { city, model, vehicle } = setUp();
    expect(pass({ model, vehicle }).reason).toBe('OK');
    const next = new TestVehicle(city, 'two', T, { registration: 'one' });
    expect([pass({ model, vehicle: next }, T + 1000).reason, pass({ model, vehicle: next }, T + 2000).reason]).toEqual([
      'OK',
      'OK',
    ]);
  });
});

describe('each reason', () => {
  const reasons: Partial<Record<Reason, (rig: Rig) => Verdict>> = {
    MESSAGE_INVALID: ({ model, vehicle }) => model.decide(vehicle.did, Buffer.from('{"presentation":{}}'), T),
    CLOCK: (rig) => late(rig, 31_000),
    NONCE_UNKNOWN: ({ model, vehicle }) => {
      const session = model.hello(vehicle.did, T);
      model.sessions.clear();
      return model.decide(vehicle.did, vehicle.presentation(session, T).message, T);
    },
    NONCE_USED: ({ model, vehicle }) => {
      const { message } = vehicle.presentation(model.hello(vehicle.did, T), T);
      expect(model.decide(vehicle.did, message, T).reason).toBe('OK');
      return model.decide(vehicle.did, message, T + 1);
    },
    CHALLENGE_EXPIRED: (rig) => pass(rig, T, { after: 10_000 }),
    DOMAIN_MISMATCH: (rig) => pass(rig, T, { zone: 'port' }),
    PRESENTATION_PROOF: ({ model, vehicle }) => {
      const { message } = vehicle.presentation(model.hello(vehicle.did, T), T);
      const changed = JSON.parse(Buffer.from(message).toString());
      changed.presentation.counter++;
      return model.decide(vehicle.did, Buffer.from(JSON.stringify(changed)), T);
    },
    NO_BUNDLE: (rig) => {
      rig.model.bundle = undefined;
      return pass(rig);
    },
    CREDENTIAL_PROOF: (rig) => {
      const { vehicle } = rig;
      const { credentialSubject } = vehicle.credential;
      const widened = { ...credentialSubject, zones: [...credentialSubject.zones, 'airport'] };
      vehicle.credential = { ...vehicle.credential, credentialSubject: widened };
      return pass(rig);
    },
    HOLDER_MISMATCH: (rig) => {
      rig.vehicle.credential = new TestVehicle(rig.city, 'another', T).credential;
      return pass(rig);
    },
    ISSUER_UNKNOWN: (rig) => {
      rig.vehicle.credential = rig.city.credential(rig.vehicle.did, T, { by: signerOf('a friend') });
      return pass(rig);
    },
    NOT_YET_VALID: (rig) => {
      rig.vehicle.credential = rig.city.credential(rig.vehicle.did, T, { fromMs: T + 1000 });
      return pass(rig);
    },
    EXPIRED: (rig) => {
      rig.vehicle.credential = rig.city.credential(rig.vehicle.did, T, { fromMs: T - HOUR, untilMs: T - 1000 });
      return pass(rig);
    },
    REVOKED: (rig) => {
      rig.city.set('revocation', rig.vehicle.credential);
      rig.model.bundle = rig.city.open([GATEWAY], T, { age: 100 * HOUR }); // however old the news are
      return pass(rig);
    },
    SUSPENDED: (rig) => {
      rig.city.set('suspension', rig.vehicle.credential);
      rig.model.bundle = rig.city.open([GATEWAY], T);
      return pass(rig);
    },
    STATUS_MISSING: (rig) => {
      rig.vehicle.credential = rig.city.credential(rig.vehicle.did, T, { statusList: 'https://city.example/none' });
      return pass(rig);
    },
    STATUS_TOO_OLD: (rig) => {
      rig.model.bundle = rig.city.open([GATEWAY], T, { age: 3 * HOUR });
      return pass(rig);
    },
    ZONE: (rig) => {
      rig.vehicle.credential = rig.city.credential(rig.vehicle.did, T, { zones: ['port'] });
      return pass(rig);
    },
    PURPOSE: (rig) => {
      rig.vehicle.credential = rig.city.credential(rig.vehicle.did, T, { purposes: ['charge'] });
      return pass(rig);
    },
    COUNTER_REPLAY: (rig) => {
      expect(pass(rig, T, { counter: 7 }).reason).toBe('OK');
      return pass(rig, T + 1000, { counter: 6 });
    },
    COUNTER_FORK: (rig) => {
      expect(pass(rig, T, { counter: 7 }).reason).toBe('OK');
      return pass(rig, T + 1000, { counter: 7 });
    },
    REGISTRATION_TWO_KEYS: ({ city, model, vehicle }) => {
      const clone = new TestVehicle(city, 'clone', T, { registration: 'one' });
      for (const v of [vehicle, clone]) expect(pass({ model, vehicle: v }).reason).toBe('OK');
      return pass({ model, vehicle }, T + 1000);
    },
    IMPOSSIBLE_TRAVEL: (rig) => {
      expect(pass(rig).reason).toBe('OK');
      const now = T + 60_000;
      return pass(rig, now, { gate: SOUTH, telemetry: rig.vehicle.telemetry(now, { at: SOUTH }) });
    },
    SPEED_DISPLACEMENT: (rig) => {
      const records = track(T, (t) => ({ lat: DEPOT.lat + t / 1000 - 1e-6, kmh: 30 }));
      return pass(rig, T, { telemetry: rig.vehicle.telemetry(T, { records }) });
    },
    FROZEN_FIX: (rig) => {
      const records = track(T, () => ({ lat: DEPOT.lat, kmh: 30 }));
      return pass(rig, T, { telemetry: rig.vehicle.telemetry(T, { records }) });
    },
    GNSS_TIME: (rig) => pass(rig, T, { telemetry: rig.vehicle.telemetry(T - 45_000) }),
    OUT_OF_REACH: (rig) => pass(rig, T, { telemetry: rig.vehicle.telemetry(T, { at: { lat: 36.49, lon: 127.25 } }) }),
    TELEMETRY_MISMATCH: (rig) => pass(rig, T, { telemetry: rig.vehicle.telemetry(T, { by: signerOf('another car') }) }),
  };
  const late = ({ model, vehicle }: Rig, by: number): Verdict => {
    const session = model.hello(vehicle.did, T);
    return model.decide(vehicle.did, vehicle.presentation(session, T - by).message, T);
  };
  for (const [reason, make] of Object.entries(reasons))
    it(`${reason} is ${REASONS[reason as Reason]}`, () => {
      const verdict = make(setUp());
      expect([verdict.reason, verdict.detail]).toEqual([reason, verdict.detail]);
      expect(verdict.findings.length > 0).toBe(REASONS[reason as Reason] === 'REVIEW');
    });

  it('is there in this table', () => {
    const elsewhere = ['OK', 'STATUS_STALE'];
    expect(Object.keys(REASONS).filter((r) => !(r in reasons) && !elsewhere.includes(r))).toEqual([]);
  });
});

describe('a nonce', () => {
  it('is not burnt by anybody who cannot prove the presentation', () => {
    const { model, vehicle } = setUp();
    const session = model.hello(vehicle.did, T);
    const good = vehicle.presentation(session, T);
    const thief = signerOf('thief');
    // Another connection; the right one with bad bytes; another holder's presentation of the same challenge.
    expect(model.decide(thief.did, good.message, T)).toMatchObject({ reason: 'NONCE_UNKNOWN', consumed: false });
    expect(model.decide(vehicle.did, good.message.subarray(1), T).reason).toBe('MESSAGE_INVALID');
    const byThief = vehicle.presentation(session, T, { holder: thief });
    expect(model.decide(vehicle.did, byThief.message, T)).toMatchObject({ reason: 'PRESENTATION_PROOF' });
    expect(model.decide(vehicle.did, good.message, T)).toMatchObject({ reason: 'OK', consumed: true });
  });

  it('is used up by whatever is decided after the proof, once', () => {
    const { city, model, vehicle } = setUp();
    vehicle.credential = city.credential(vehicle.did, T, { zones: ['port'] });
    const { message } = vehicle.presentation(model.hello(vehicle.did, T), T);
    const reasons = [0, 1, 20_000].map((later) => model.decide(vehicle.did, message, T + later).reason);
    expect(reasons).toEqual(['ZONE', 'NONCE_USED', 'NONCE_USED']);
    expect([...model.consumed.values()]).toEqual([1]);
  });
});

describe('telemetry', () => {
  it('may be left out where a gate has no place, and not where it has one', () => {
    expect(pass(setUp(), T, { gate: INNER, telemetry: null }).reason).toBe('OK');
    expect(pass(setUp(), T, { telemetry: null }).reason).toBe('TELEMETRY_MISMATCH');
  });

  it('that is not what the presentation names counts for nothing else', () => {
    const { model, vehicle } = setUp();
    const elsewhere = vehicle.telemetry(T, { at: { lat: 0, lon: 0 } });
    const { presentation } = vehicle.presentation(model.hello(vehicle.did, T), T);
    const message = { presentation, telemetry: Buffer.from(elsewhere).toString('base64') };
    const verdict = model.decide(vehicle.did, Buffer.from(JSON.stringify(message)), T);
    expect(verdict.findings.map((f) => f.reason)).toEqual(['TELEMETRY_MISMATCH']);
    expect(verdict.telemetry).toBeUndefined();
  });

  it('brings all that speaks against it, and the worst of it as the reason', () => {
    const rig = setUp();
    const { city, model, vehicle } = rig;
    const clone = new TestVehicle(city, 'clone', T, { registration: 'one' });
    for (const v of [vehicle, clone]) pass({ model, vehicle: v });
    const now = T + 60_000;
    const verdict = pass(rig, now, { telemetry: vehicle.telemetry(now - 60_000, { at: SOUTH }) });
    expect(verdict.findings.map((f) => f.reason)).toEqual([
      'REGISTRATION_TWO_KEYS',
      'IMPOSSIBLE_TRAVEL',
      'GNSS_TIME',
      'OUT_OF_REACH',
    ]);
  });
});

it('without a clock of its own the gateway lets nobody pass', () => {
  const rig = setUp();
  rig.model.clockSynced = false;
  expect(pass(rig).reason).toBe('CLOCK');
});

it('takes no proof for another purpose, and none by another suite', () => {
  const { model, vehicle } = setUp();
  const session = model.hello(vehicle.did, T);
  const { presentation } = vehicle.presentation(session, T, { telemetry: null });
  const { proof, ...document } = presentation;
  const options = { created: proof.created, challenge: session.nonce, domain: proof.domain as string };
  const other = addProof(document, vehicle.signer, { purpose: 'assertionMethod', ...options });
  expect(model.decide(vehicle.did, Buffer.from(JSON.stringify({ presentation: other })), T).reason).toBe(
    'PRESENTATION_PROOF',
  );
});
