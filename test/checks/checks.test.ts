import { describe, expect, it } from 'vitest';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { verifyChallenge, verifyDecision } from '../../edge/wire/vc/check.ts';
import { connectMqtt, TestDevice } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import { Link, offerBundle, startGates } from './gateway.ts';
import { DEPOT, jwtOf, ORIGIN, SOUTH, TestCity, TestVehicle } from './rig.ts';

type Listed = { checks: { index: number; reason: string; gate: string; holder: string }[]; counts: object[] };

describe('a vehicle at a gate', () => {
  it('is challenged, proves itself, and passes; both sides can show that it was the other one', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    for (const keyType of ['Ed25519', 'P-256'] as const) {
      const vehicle = new TestVehicle(city, keyType, Date.now(), { keyType });
      const link = await Link.open(gateway, vehicle);
      const challenge = await link.hello();
      verifyChallenge(challenge, {
        cityDid: city.did,
        origin: ORIGIN,
        hello: { gate: 'north', purpose: 'entry' },
        now: Date.now(),
      });
      const { presentation, message } = vehicle.presentation(challenge, Date.now());
      const decision = await link.present(message);
      expect(decision).toMatchObject({ decision: 'ALLOW', reason: 'OK', bundleVersion: 1 });
      expect(decision.statusAgeSeconds).toBeLessThan(60);
      verifyDecision(decision, { challenge, presentation });
    }
    const { body } = await gateway.api('/checks');
    expect((body as Listed).counts).toEqual([{ decision: 'ALLOW', reason: 'OK', n: 2 }]);
    await gateway.finish();
  });

  it('gets its decision once: the same presentation again is refused, by a new connection and after a restart too', async () => {
    const city = new TestCity();
    const first = await startGates(city);
    const vehicle = new TestVehicle(city, 'again', Date.now());
    const link = await Link.open(first, vehicle);
    const { message, decision } = await link.pass();
    expect(decision.reason).toBe('OK');
    expect((await link.present(message)).reason).toBe('NONCE_USED');
    const other = await Link.open(first, vehicle);
    await other.send('presentation', message);
    // Both connections of one vehicle hear what is said to it.
    expect(JSON.parse(String(await other.next('decision'))).reason).toBe('NONCE_USED');
    await link.next('decision');
    // A challenge that was not answered before the restart is unknown after it.
    const open = await link.hello();
    const late = vehicle.presentation(open, Date.now());
    await first.finish();

    const { dataFolder } = first.config;
    const second = await startGates(city, { dataFolder, bundle: false });
    const again = await Link.open(second, vehicle);
    expect((await again.present(message)).reason).toBe('NONCE_USED');
    expect((await again.present(late.message)).reason).toBe('NONCE_UNKNOWN');
    expect((await again.pass('north', { counter: vehicle.counter })).reason, 'counters outlive it, too').toBe('OK');
    expect((await again.pass('north', { counter: 1 })).reason).toBe('COUNTER_FORK');
    expect((await again.pass('north', { counter: 0 })).reason).toBe('COUNTER_REPLAY');
    await second.finish();
  });

  it('leaves nothing in the log but a salted digest', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const vehicle = new TestVehicle(city, 'private', Date.now());
    const link = await Link.open(gateway, vehicle);
    await link.pass();
    const [check] = ((await gateway.api('/checks')).body as Listed).checks;
    const index = check?.index as number;
    const { body } = await gateway.api(`/entries/${index}`);
    const envelope = Buffer.from((body as { envelope: string }).envelope, 'base64');
    const { iss, records } = decodeEnvelope(new Uint8Array(envelope));
    expect([iss, records.length, records[0]?.n, records[0]?.vd?.length]).toEqual([gateway.info.did, 1, 'check', 32]);
    for (const secret of [vehicle.did, vehicle.credential.credentialSubject.registration, 'north', 'ALLOW'])
      expect(envelope.includes(secret)).toBe(false);
    await gateway.finish();
  });

  it('is told why it gets no challenge', async () => {
    const city = new TestCity();
    const gateway = await startGates(city, { bundle: false, maxSessions: 1 });
    const link = await Link.open(gateway, new TestVehicle(city, 'asks', Date.now()));
    const refused = async (hello: unknown): Promise<string> => {
      await link.send('hello', Buffer.from(JSON.stringify(hello)));
      return JSON.parse(String(await link.next('error'))).code;
    };
    expect(await refused({ gate: 'north', purpose: 'entry' })).toBe('NO_BUNDLE');
    const { parts } = (await gateway.api('/health', { token: null })).body as {
      parts: Record<string, { ok: boolean }>;
    };
    expect(parts.checks?.ok).toBe(false);
    expect(await refused({ gate: 'nowhere', purpose: 'entry' })).toBe('GATE_UNKNOWN');
    expect(await refused({ gate: 'north', purpose: 'party' })).toBe('GATE_UNKNOWN');
    expect(await refused({ gate: 'north' })).toBe('MESSAGE_INVALID');
    await gateway.finish();
  });

  it('far away from the last gate a moment ago is for a person to look at', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const vehicle = new TestVehicle(city, 'fast', Date.now());
    const link = await Link.open(gateway, vehicle);
    expect((await link.pass()).reason).toBe('OK');
    const telemetry = vehicle.telemetry(Date.now(), { at: SOUTH });
    expect((await link.pass('south', { telemetry })).decision).toMatchObject({
      decision: 'REVIEW',
      reason: 'IMPOSSIBLE_TRAVEL',
    });
    const { checks } = (await gateway.api('/checks?limit=1')).body as { checks: { evidence: object[] }[] };
    expect(checks[0]?.evidence).toMatchObject([
      { reason: 'IMPOSSIBLE_TRAVEL', evidence: { from: 'north', to: 'south' } },
    ]);
    await gateway.finish();
  });
});

describe('a vehicle that is enrolled here and comes under that DID', () => {
  it('is held against its own readings: it cannot have been 55 km away a moment ago', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const vehicle = new TestVehicle(city, 'enrolled', Date.now());
    const { did } = vehicle;
    const body = { did, kind: 'vehicle', sub: 'urn:sejong:check', custody: 'device' };
    expect((await gateway.api('/devices', { method: 'POST', body })).status).toBe(201);
    const read = (at: { lat: number; lon: number }) => {
      vehicle.counter++; // which is the sequence of its readings, too
      return gateway.parts.accept.offer(vehicle.telemetry(Date.now(), { at }), { did, topic: 'test' });
    };
    const link = await Link.open(gateway, vehicle);
    expect((await link.pass()).reason, 'it has said nothing yet').toBe('OK');
    expect(await read(DEPOT)).toMatchObject({ kind: 'accepted' });
    expect((await link.pass()).reason, 'it was here').toBe('OK');
    expect(await read(SOUTH)).toMatchObject({ kind: 'accepted' });
    expect((await link.pass()).reason).toBe('IMPOSSIBLE_TRAVEL');
    const { checks } = (await gateway.api('/checks?limit=1')).body as { checks: { evidence: object[] }[] };
    expect(checks[0]?.evidence).toMatchObject([{ evidence: { from: 'a reading of its own', to: 'north' } }]);
    await gateway.finish();
  });
});

describe('a stranger', () => {
  it('may be checked, and nothing else', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const vehicle = new TestVehicle(city, 'stranger', Date.now());
    const other = await new TestDevice('enrolled').enrol(gateway);
    const client = await connectMqtt(gateway, vehicle.did, jwtOf(vehicle, gateway.info.origin));
    for (const topic of [`down/${vehicle.did}/#`, `check/${other.did}/#`, 'check/#', '#', 'live/#']) {
      const granted = await client.subscribeAsync(topic).catch(() => [{ qos: 128 }]);
      expect(granted[0]?.qos, topic).toBe(128);
    }
    for (const topic of [`up/${vehicle.did}/cose`, `check/${other.did}/hello`, `check/${vehicle.did}/decision`]) {
      const bold = await connectMqtt(gateway, vehicle.did, jwtOf(vehicle, gateway.info.origin));
      const closed = new Promise((resolve) => bold.once('close', () => resolve(undefined)));
      bold.publish(topic, '{}', { qos: 1 });
      await closed;
    }
    await gateway.finish();
  });

  it('shows the key that its DID names, or does not come in; and no more come in than may', async () => {
    const city = new TestCity();
    const gateway = await startGates(city, { maxStrangers: 2 });
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new TestVehicle(city, name, Date.now())) as [
      TestVehicle,
      TestVehicle,
      TestVehicle,
    ];
    await expect(connectMqtt(gateway, a.did, jwtOf({ ...b, did: a.did } as TestVehicle, ORIGIN))).rejects.toThrow();
    await expect(connectMqtt(gateway, a.did, jwtOf(a, 'another.example'))).rejects.toThrow();
    await Link.open(gateway, a);
    const second = await Link.open(gateway, b);
    await expect(connectMqtt(gateway, c.did, jwtOf(c, ORIGIN))).rejects.toMatchObject({ code: 3 });
    const { text } = await gateway.api('/metrics', { token: null });
    expect(text).toContain('sejong_edge_check_strangers 2');
    expect(text).toContain('sejong_edge_cap_hits_total{cap="checks.maxStrangers"} 1');
    await second.client.endAsync(true);
    await until(() => gateway.parts.mqtt.strangers === 1, 'one has left');
    await Link.open(gateway, c);
    await gateway.finish();
  });

  it('is none where no vehicles are checked', async () => {
    const city = new TestCity();
    const gateway = await startGates(city, { cityDid: '', gates: [], bundle: false });
    const vehicle = new TestVehicle(city, 'off', Date.now());
    await expect(connectMqtt(gateway, vehicle.did, jwtOf(vehicle, ORIGIN))).rejects.toMatchObject({ code: 5 });
    expect((await gateway.api('/checks')).body).toEqual({ checks: [], counts: [] });
    expect((await gateway.api('/checks/bundle')).body).toMatchObject({ bundle: null });
    const asked = { method: 'POST', body: { gate: 'north', purpose: 'entry' } };
    expect((await gateway.api('/checks', asked)).body).toMatchObject({ code: 'CHECKS_OFF' });
    expect(await offerBundle(gateway, city.bundle([], Date.now()))).toMatchObject({ code: 'CHECKS_OFF' });
    await gateway.finish();
  });

  it('with no credential to show fills neither disk nor log beyond its share', async () => {
    const city = new TestCity();
    const gateway = await startGates(city, { maxRefusals: 3, maxRate: 100 });
    const link = await Link.open(gateway, new TestVehicle(city, 'noise', Date.now()));
    for (let i = 0; i < 3; i++) expect((await link.present(Buffer.from('{}'))).reason).toBe('MESSAGE_INVALID');
    const { size } = gateway.parts.log;
    for (let i = 0; i < 5; i++) await link.send('presentation', Buffer.from('{}'));
    expect([link.silent, gateway.parts.log.size]).toEqual([true, size]);
    // Who has one passes all the same.
    expect((await link.pass()).reason).toBe('OK');
    await gateway.finish();
  });

  it('that asks more often than it may is left unanswered', async () => {
    const city = new TestCity();
    const gateway = await startGates(city, { maxRate: 0.1 });
    const link = await Link.open(gateway, new TestVehicle(city, 'eager', Date.now()));
    expect((await link.pass()).reason).toBe('OK');
    await link.send('hello', Buffer.from(JSON.stringify({ gate: 'north', purpose: 'entry' })));
    expect(link.silent).toBe(true);
    const { text } = await gateway.api('/metrics', { token: null });
    expect(text).toContain('sejong_edge_cap_hits_total{cap="checks.maxRate"} 1');
    expect(text).toContain('sejong_edge_checks_total{decision="ALLOW",reason="OK"} 1');
    expect(text).toContain('sejong_edge_check_seconds_count 1');
    await gateway.finish();
  });
});

describe('whoever asks who is there', () => {
  it('gets the next decision at the gate, or that of a moment ago, each once', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const vehicle = new TestVehicle(city, 'asked', Date.now());
    const link = await Link.open(gateway, vehicle);
    const ask = async (body: object) => {
      const { status, body: answer } = await gateway.api('/checks', {
        method: 'POST',
        body: { gate: 'north', purpose: 'entry', ...body },
        token: await gateway.token('engineer'),
      });
      return { status, ...(answer as { code?: string; decision?: string; holder?: string; document?: object }) };
    };
    const waiting = ask({ timeoutMs: 20_000 });
    const elsewhere = ask({ gate: 'south', timeoutMs: 20_000 }).catch(() => ({ status: 0 }));
    await until(async () => (await gateway.api('/metrics')).text.includes('sejong_edge_check_waiting 2'), 'both wait');
    const { decision } = await link.pass();
    expect(await waiting).toMatchObject({ status: 200, decision: 'ALLOW', holder: vehicle.did, document: decision });

    await link.pass();
    const other = `${vehicle.did.slice(0, -1)}${vehicle.did.endsWith('a') ? 'b' : 'a'}`;
    expect(await ask({ timeoutMs: 1, did: other })).toMatchObject({ status: 504, code: 'CHECK_TIMEOUT' });
    expect(await ask({ timeoutMs: 1, recentMs: 0 })).toMatchObject({ status: 504, code: 'CHECK_TIMEOUT' });
    expect(await ask({ timeoutMs: 1, did: vehicle.did, recentMs: 60_000 })).toMatchObject({ status: 200 });
    expect(await ask({ timeoutMs: 1, recentMs: 60_000 }), 'once').toMatchObject({ status: 504 });
    expect(await ask({ gate: 'nowhere' })).toMatchObject({ status: 404, code: 'GATE_UNKNOWN' });
    expect(await ask({ zone: 'port' })).toMatchObject({ status: 404, code: 'GATE_UNKNOWN' });
    await gateway.finish(); // and nobody waits any more
    expect((await elsewhere).status).not.toBe(200);
  });

  it('is told of it as an event', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const link = await Link.open(gateway, new TestVehicle(city, 'event', Date.now()));
    const answer = await fetch(`${gateway.info.http}/events?kinds=check`, {
      headers: { authorization: `Bearer ${await gateway.token('viewer')}` },
    });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    await link.pass();
    let text = '';
    while (!text.includes('event: check')) text += Buffer.from((await reader.read()).value ?? []).toString();
    expect(text).toContain('"reason":"OK"');
    await reader.cancel();
    await gateway.finish();
  });
});
