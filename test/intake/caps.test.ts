import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CAPS, Caps } from '../../edge/caps.ts';
import { ConfigSchema, makeConfig } from '../../edge/config.ts';
import { EdgeError } from '../../edge/errors.ts';
import { Buckets } from '../../edge/intake/buckets.ts';
import { Gate } from '../../edge/intake/gate.ts';
import { guardLogins } from '../../edge/intake/login-guard.ts';
import type { Login } from '../../edge/intake/topics.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { Meter, Path } from './path.ts';
import { CONNACK, connectPacket, packet, publishPacket, RawMqtt, string } from './raw-mqtt.ts';

const TRY_LATER = '20020003';

const hits = async (gateway: TestGateway, cap: string): Promise<number> => {
  const { text } = await gateway.api('/metrics', { token: null });
  const found = text.split('\n').find((line) => line.startsWith(`sejong_edge_cap_hits_total{cap="${cap}"}`));
  return Number(found?.split(' ')[1] ?? Number.NaN);
};
const loginOf = (gateway: TestGateway, device: TestDevice, clientId = 'raw') => ({
  user: device.did,
  password: device.jwt(gateway.info.origin),
  clientId,
});

describe('every cap', () => {
  it('is a key of the config with a default and bounds, and a metric from the start', async () => {
    const sections = ['mqtt', 'http', 'checks', 'intake', 'chain', 'alarms'] as const;
    const keys = sections.flatMap((section) =>
      Object.keys(ConfigSchema.properties[section].properties)
        // maxFeeGwei is what we spend ourselves.
        .filter((key) => /^max(?!Fee)|Timeout/.test(key))
        .map((key) => `${section}.${key}`),
    );
    expect([...CAPS].sort()).toEqual(keys.sort());
    const gateway = await startTestGateway();
    for (const cap of CAPS) {
      const [section, key] = cap.split('.') as ['mqtt', 'maxConnections'];
      const schema = ConfigSchema.properties[section].properties[key] as unknown as {
        minimum: number;
        maximum: number;
      };
      for (const value of [schema.minimum, schema.maximum]) makeConfig({ [section]: { [key]: value } });
      for (const value of [schema.minimum - 1, schema.maximum + 1])
        expect(() => makeConfig({ [section]: { [key]: value } }), cap).toThrow(`${section}.${key}`);
      expect(await hits(gateway, cap), cap).toBe(0);
    }
    await gateway.finish();
  });
});

describe('a connection', () => {
  it('that states no keep-alive, or a long one, and falls silent is closed like one that stated the longest allowed', async () => {
    const gateway = await startTestGateway({ mqtt: { maxKeepAliveSeconds: 1 } });
    const device = await new TestDevice('silent').enrol(gateway);
    const silent = await Promise.all(
      [0, 1, 600].map(async (keepalive) => {
        const options = { ...loginOf(gateway, device, `k${keepalive}`), keepalive };
        return RawMqtt.login(gateway, options);
      }),
    );
    const alive = await RawMqtt.login(gateway, loginOf(gateway, device, 'alive'));
    let over = false;
    const ended = Promise.all(silent.map((raw) => raw.rest())).then((rests) => {
      over = true;
      return rests;
    });
    await until(async () => {
      await alive.ping();
      return over;
    }, 'the silent ones are closed');
    expect((await ended).map((rest) => rest.length)).toEqual([0, 0, 0]);
    await alive.ping();
    expect(gateway.parts.mqtt.counts.keepAliveTimeouts).toBe(3);
    expect(await hits(gateway, 'mqtt.maxKeepAliveSeconds'), 'one had stated it itself').toBe(2);
    await gateway.finish();
  });

  it('over a cap is closed alone, and the cap is counted', async () => {
    const gateway = await startTestGateway({
      mqtt: { connectTimeoutSeconds: 1, maxTopicLevels: 5, maxPacketBytes: 70_000, maxInflight: 2 },
    });
    const device = await new TestDevice('over').enrol(gateway);
    const beside = await RawMqtt.login(gateway, loginOf(gateway, device, 'beside'));
    const topic = `up/${device.did}/cose`;
    const tries: [string, boolean, Uint8Array][] = [
      ['mqtt.maxTopicLevels', true, publishPacket('up/a/b/c/d/e', 'x')],
      ['mqtt.maxPacketBytes', true, publishPacket(topic, new Uint8Array(70_001))],
      ['mqtt.maxConnectBytes', false, packet(0x10, string('x'.repeat(9000)))],
      [
        'mqtt.maxInflight',
        true,
        Buffer.concat([1, 2, 3].map((id) => publishPacket(topic, device.envelope(), { qos: 2, id }))),
      ],
      ['mqtt.connectTimeoutSeconds', false, Buffer.of(0x10)],
      [
        'mqtt.maxPacketsBeforeLogin',
        false,
        Buffer.concat([
          connectPacket(loginOf(gateway, device, 'early')),
          ...Array.from({ length: 60 }, () => Buffer.of(0xc0, 0)),
        ]),
      ],
    ];
    for (const [cap, loggedIn, bytes] of tries) {
      const raw = loggedIn ? await RawMqtt.login(gateway, loginOf(gateway, device, cap)) : await RawMqtt.open(gateway);
      raw.send(bytes);
      await raw.closed;
      expect(await hits(gateway, cap), cap).toBe(1);
      expect(gateway.lines.at(-1)).toContain(cap);
    }
    await beside.ping();
    await gateway.finish();
  });

  it('is refused where there are too many, which is counted, whole and by device', async () => {
    const gateway = await startTestGateway({ mqtt: { maxConnections: 3, maxConnectionsPerUser: 2 } });
    const device = await new TestDevice('many').enrol(gateway);
    for (const id of ['a', 'b']) await RawMqtt.login(gateway, loginOf(gateway, device, id));
    const third = await RawMqtt.open(gateway);
    third.send(connectPacket(loginOf(gateway, device, 'c')));
    expect((await third.rest()).toString('hex')).toBe(CONNACK.refused);
    expect(await hits(gateway, 'mqtt.maxConnectionsPerUser')).toBe(1);
    await RawMqtt.open(gateway);
    const fourth = await RawMqtt.open(gateway);
    await fourth.closed;
    await until(async () => (await hits(gateway, 'mqtt.maxConnections')) === 1, 'it is counted');
    await gateway.finish();
  });

  it('by the hundred that sends garbage does not fill the log with lines', async () => {
    const gateway = await startTestGateway();
    const before = gateway.lines.length;
    for (let i = 0; i < 400; i += 20)
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const raw = await RawMqtt.open(gateway);
          raw.send(Buffer.alloc(8, 0xff));
          await raw.closed;
        }),
      );
    expect(gateway.parts.mqtt.counts.malformed).toBe(400);
    const lines = gateway.lines.length - before;
    expect(lines).toBeGreaterThanOrEqual(200);
    expect(lines).toBeLessThan(400);
    await gateway.finish();
  });
});

describe('logins', () => {
  it('that fail too often are refused unchecked, with "try later", and those of others are not', async () => {
    const gateway = await startTestGateway({ mqtt: { maxFailedLogins: 3 } });
    const device = await new TestDevice('fails').enrol(gateway);
    const other = await new TestDevice('works').enrol(gateway);
    const knock = async (user: string, password: string): Promise<string> => {
      const raw = await RawMqtt.open(gateway);
      raw.send(connectPacket({ user, password }));
      return (await raw.take(4)).toString('hex');
    };
    for (let i = 0; i < 3; i++) expect(await knock(device.did, 'wrong')).toBe(CONNACK.refused);
    expect(await knock(device.did, device.jwt(gateway.info.origin))).toBe(TRY_LATER);
    expect(gateway.lines.at(-1)).toContain('LOGIN_THROTTLED');
    expect(await knock(other.did, other.jwt(gateway.info.origin))).toBe(CONNACK.accepted);
    expect(await knock('viewer', await gateway.token('viewer'))).toBe(CONNACK.accepted);
    expect(await hits(gateway, 'mqtt.maxFailedLogins')).toBe(1);
    await gateway.finish();
  });

  it('are checked so many at once, one of each user in turn, and not for who has left', async () => {
    const caps = new Caps();
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const { login } = guardLogins(
      (user) => {
        begun.push(user);
        return new Promise<Login>((resolve) =>
          ends.push(() =>
            resolve({ kind: 'person', person: { name: 'x', role: 'viewer', id: 'x', expiresMs: 0 }, name: user }),
          ),
        );
      },
      { maxLoginsAtOnce: 2, maxFailedLogins: 5, caps },
    );
    const here = { address: '10.0.0.1', gone: () => false };
    const all = ['storm', 'storm', 'storm', 'storm', 'gone', 'good'].map((user) =>
      login(user, '', { ...here, gone: () => user === 'gone' }).catch((error: Error) => error.message),
    );
    const step = async (): Promise<void> => {
      ends.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    };
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual(['storm', 'storm']);
    await step();
    expect(begun).toEqual(['storm', 'storm', 'storm']);
    await step();
    expect(begun, 'the storm goes behind the good one').toEqual(['storm', 'storm', 'storm', 'good']);
    for (let i = 0; i < 4; i++) await step();
    expect(begun.slice(4)).toEqual(['storm']);
    expect(await Promise.all(all)).toContain('connection closed');
    expect(caps.hits('mqtt.maxLoginsAtOnce')).toBe(4);
  });

  it('that fail because the gateway cannot answer now are not held against anybody', async () => {
    const { login } = guardLogins(() => Promise.reject(new EdgeError('STORE_UNAVAILABLE', 'x')), {
      maxLoginsAtOnce: 1,
      maxFailedLogins: 1,
      caps: new Caps(),
    });
    for (let i = 0; i < 5; i++)
      await expect(login('u', '', { address: '', gone: () => false })).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
      });
  });
});

describe('room for what is under way', () => {
  it('is shared: no key has more than its part and one, the whole no more than its part and one, and each key keeps its order', async () => {
    const step = fc.record({ key: fc.constantFrom('a', 'b', 'c'), size: fc.integer({ min: 1, max: 9 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 0, max: 40 }),
        async (steps, leaveEvery) => {
          const gate = new Gate({ max: 30, maxPerKey: 12, onWait: () => undefined });
          const inside: { key: string; size: number; n: number }[] = [];
          const entered: { key: string; n: number }[] = [];
          const check = (): void => {
            const sum = (key?: string) =>
              inside.filter((j) => key === undefined || j.key === key).reduce((s, j) => s + j.size, 0);
            expect(sum()).toBeLessThanOrEqual(30 + 9);
            for (const key of 'abc') expect(sum(key)).toBeLessThanOrEqual(12 + 9);
          };
          const leave = async (): Promise<void> => {
            const job = inside.shift();
            if (job) gate.leave(job.key, job.size);
            await new Promise((resolve) => setImmediate(resolve));
            check();
          };
          for (const [n, { key, size }] of steps.entries()) {
            const enter = (): void => {
              inside.push({ key, size, n });
              entered.push({ key, n });
            };
            const wait = gate.enter(key, size);
            if (wait) void wait.then(enter);
            else enter();
            check();
            if (leaveEvery > 0 && n % leaveEvery === 0) await leave();
          }
          while (inside.length > 0) await leave();
          expect(entered, 'nobody is forgotten').toHaveLength(steps.length);
          for (const key of 'abc') {
            const order = entered.filter((e) => e.key === key).map((e) => e.n);
            expect(order).toEqual([...order].sort((x, y) => x - y));
          }
        },
      ),
      { numRuns: 200, seed: 5 },
    );
  });

  it('is not taken by one device: another that comes after a thousand of its envelopes is served among the first', async () => {
    const flooder = new Meter('flooder');
    const honest = new Meter('honest');
    const path = await Path.open(tempFolder(), { maxPendingBytes: 100_000, maxPendingBytesPerDevice: 2_000 });
    for (const meter of [flooder, honest]) await path.enrol(meter);
    const flood = Array.from({ length: 1000 }, () => path.offer(flooder));
    const outcome = await path.offer(honest);
    expect(outcome.kind).toBe('accepted');
    expect((outcome as { index: number }).index).toBeLessThan(30);
    await Promise.all(flood);
    const before = path.entries.page(1, 2000).filter((e) => e.device === path.devices.get(flooder.did)?.id);
    expect(
      before.map((e) => e.seq),
      'and its own order is kept',
    ).toEqual(before.map((_, i) => i));
    expect((await path.finish({ verifyOneIn: 50 })).entries).toBe(1002);
  });

  it('is forgotten for whom no debt is left', () => {
    const buckets = new Buckets(1_000_000, 5);
    for (let i = 0; i < 5000; i++) buckets.tryTake(`key ${i}`);
    expect(buckets.size).toBeLessThan(2100);
    const slow = new Buckets(0.001, 2);
    expect([slow.tryTake('a'), slow.tryTake('a'), slow.tryTake('a'), slow.isEmpty('a'), slow.isEmpty('b')]).toEqual([
      true,
      true,
      false,
      true,
      false,
    ]);
    const debt = new Buckets(10, 1);
    expect(debt.take('x')).toBe(0);
    expect(debt.take('x')).toBeGreaterThan(90);
  });
});
