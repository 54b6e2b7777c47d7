import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectMqtt, startTestGateway, TestDevice } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import { inbox, metric, sha256 } from './mqtt-rig.ts';
import { connectPacket, DISCONNECT, publishPacket, RawMqtt, string, subscribePacket } from './raw-mqtt.ts';

describe('topics', () => {
  it('a device may publish to up/{its did}/cose and senml and to nothing else, or its connection is closed', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('topics').enrol(gateway);
    const { did } = await new TestDevice('topics-another').enrol(gateway);
    const own = device.did;
    const bad: (string | Uint8Array)[] = [
      `up/${did}/cose`,
      `up/${own}`,
      `up/${own}/`,
      `up/${own}/cose/`,
      `up/${own}/cose/more`,
      `up/${own}/other`,
      `/up/${own}/cose`,
      `UP/${own}/cose`,
      `up/${own.toUpperCase()}/cose`,
      `up//cose`,
      `down/${own}/error`,
      `down/${own}/receipt`,
      `live/meter/${own}`,
      `check/${did}/ask`,
      '$SYS/broker/heartbeat',
      '$SYS/0/new/clients',
      '',
      '/',
      '#',
      '+',
      `up/${own}/#`,
      `up/+/cose`,
      `a/b/c/d/e/f/g/h/i/j/k`,
      `${'x/'.repeat(20_000)}x`,
      `up/${own}/cose\0`,
      `up/${own}\0/cose`,
      Buffer.concat([Buffer.from(`up/${own}/cose`), Buffer.of(0xff)]),
      Buffer.from([0xc3, 0x28]),
      Buffer.from([0xed, 0xa0, 0x80]),
      '__proto__',
      'constructor',
    ];
    const password = device.jwt(gateway.info.origin);
    for (const topic of bad) {
      const raw = await RawMqtt.login(gateway, { user: own, password });
      raw.send(publishPacket(topic, device.envelope()));
      expect((await raw.rest()).length, JSON.stringify(topic.toString().slice(0, 90))).toBe(0);
    }
    const { forbidden, malformed } = gateway.parts.mqtt.counts;
    expect(forbidden + malformed).toBe(bad.length);
    const truth = await gateway.finish();
    expect([truth.entries, truth.quarantined.size]).toEqual([1, 0]);
  });

  it('a device may read down/{its did}/ and nothing else; what is refused gets 0x80 and harms nothing', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('reads').enrol(gateway);
    const { did } = await new TestDevice('reads-another').enrol(gateway);
    const raw = await RawMqtt.login(gateway, { user: device.did, password: device.jwt(gateway.info.origin) });
    const good = ['error', 'receipt', '+', '#'].map((t) => `down/${device.did}/${t}`);
    const bad = [
      '#',
      '+/#',
      '+',
      'up/#',
      `up/${device.did}/cose`,
      'down/#',
      'down/+/error',
      `down/${did}/error`,
    ].concat([
      'live/#',
      `live/meter/${device.did}`,
      '$SYS/#',
      '$SYS/+/heartbeat',
      `check/${did}/#`,
      '/',
      'down/\0/error',
    ]);
    raw.send(subscribePacket(1, ...good, ...bad));
    const { first, body } = await raw.packet();
    expect(first).toBe(0x90);
    expect([...body.subarray(2)]).toEqual([...good.map(() => 1), ...bad.map(() => 0x80)]);
    expect(gateway.parts.mqtt.counts.forbidden).toBe(bad.length);
    await raw.ping();
    await gateway.finish();
  });

  it('retained messages are kept nowhere', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('retained').enrol(gateway);
    const raw = await RawMqtt.login(gateway, { user: device.did, password: device.jwt(gateway.info.origin) });
    raw.send(
      publishPacket(`up/${device.did}/cose`, device.envelope(), { retain: true, id: 1 }),
      publishPacket(`up/${device.did}/cose`, 'refused', { retain: true, id: 2 }),
    );
    for (let i = 0; i < 2; i++) expect((await raw.packet()).first).toBe(0x40);
    const reader = await connectMqtt(gateway, 'viewer', await gateway.token('viewer'));
    const own = await device.connect(gateway);
    const [live, down] = [inbox(reader), inbox(own)];
    await reader.subscribeAsync('live/#', { qos: 1 });
    await own.subscribeAsync(`down/${device.did}/#`, { qos: 1 });
    raw.send(
      publishPacket(`up/${device.did}/cose`, device.envelope(), { retain: true, id: 3 }),
      publishPacket(`up/${device.did}/cose`, 'refused as well', { retain: true, id: 4 }),
    );
    // The first that each gets is the new one: of the ones before, nothing was kept.
    const seen = await live();
    expect([JSON.parse(seen.text).index, seen.retain]).toEqual([2, false]);
    const told = await down();
    expect(told.retain).toBe(false);
    const { body } = await gateway.api('/quarantine');
    expect((body as { held: number }).held).toBe(2);
    await gateway.finish();
  });
});

describe('wills', () => {
  it('a will on the own topic is accepted when the connection dies, and not after a DISCONNECT', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('will').enrol(gateway);
    const [unused, last] = [device.envelope(), device.envelope()];
    const topic = `up/${device.did}/cose`;
    const login = { user: device.did, password: device.jwt(gateway.info.origin) };
    const polite = await RawMqtt.login(gateway, { ...login, will: { topic, payload: unused } });
    polite.send(DISCONNECT);
    await polite.closed;
    const dying = await RawMqtt.login(gateway, { ...login, will: { topic, payload: last, retain: true } });
    await dying.cut();
    await until(() => gateway.parts.log.size === 2, 'the will is in the log');
    const truth = await gateway.finish();
    expect([truth.byHash.has(sha256(last)), truth.byHash.has(sha256(unused))]).toEqual([true, false]);
  });

  it('a will is checked as any envelope is, and refused into quarantine', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('bad-will').enrol(gateway);
    const login = { user: device.did, password: device.jwt(gateway.info.origin) };
    const dying = await RawMqtt.login(gateway, {
      ...login,
      will: { topic: `up/${device.did}/cose`, payload: 'farewell' },
    });
    await dying.cut();
    await until(() => gateway.parts.quarantine.held === 1, 'it is in quarantine');
    expect((await gateway.finish()).entries).toBe(1);
  });

  it('a will of clients that are connected when the gateway closes is in the log', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('will-at-close').enrol(gateway);
    const last = device.envelope();
    await RawMqtt.login(gateway, {
      user: device.did,
      password: device.jwt(gateway.info.origin),
      will: { topic: `up/${device.did}/cose`, payload: last },
    });
    expect((await gateway.finish()).byHash.has(sha256(last))).toBe(true);
  });

  it("a will on another's topic, or on any but up/{did}/, is refused with the connection", async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('wills').enrol(gateway);
    const { did } = await new TestDevice('wills-another').enrol(gateway);
    for (const topic of [`up/${did}/cose`, `down/${device.did}/error`, 'live/meter/x', '$SYS/x', '', '#', 'up/#']) {
      const raw = await RawMqtt.open(gateway);
      const password = device.jwt(gateway.info.origin);
      raw.send(connectPacket({ user: device.did, password, will: { topic, payload: device.envelope() } }));
      expect((await raw.rest()).length, topic).toBe(0);
    }
    expect(gateway.parts.mqtt.counts).toMatchObject({ logins: 0, malformed: 7 });
    // Below its own prefix, but no topic for envelopes: the connection is taken, the will is not.
    const raw = await RawMqtt.login(gateway, {
      user: device.did,
      password: device.jwt(gateway.info.origin),
      will: { topic: `up/${device.did}/status`, payload: 'offline' },
    });
    await raw.cut();
    await until(() => gateway.parts.mqtt.counts.forbidden === 1, 'it is refused');
    expect((await gateway.finish()).entries).toBe(1);
  });
});

describe('people and flows', () => {
  it('log in with a role and a token, and read accepted readings as JSON on live/', async () => {
    const gateway = await startTestGateway();
    const meter = await new TestDevice('live-meter').enrol(gateway);
    const sensor = await new TestDevice('live-sensor', 'sensor').enrol(gateway);
    const all = await connectMqtt(gateway, 'viewer', await gateway.token('viewer'));
    const sensors = await connectMqtt(gateway, 'engineer', await gateway.token('engineer'));
    const [nextOfAll, nextOfSensors] = [inbox(all), inbox(sensors)];
    await all.subscribeAsync('live/#', { qos: 1 });
    await sensors.subscribeAsync('live/sensor/+', { qos: 0 });
    const [m, s] = [await meter.connect(gateway), await sensor.connect(gateway)];
    await meter.publish(m, meter.envelope());
    await meter.publish(m, Buffer.from('refused, so nobody sees it'));
    await sensor.publish(s, sensor.envelope());
    for (const [device, index] of [
      [meter, 1],
      [sensor, 2],
    ] as const) {
      const { topic, text } = await nextOfAll();
      expect(topic).toBe(`live/${device.kind}/${device.did}`);
      const { envelope: _, ...view } = (await gateway.api(`/entries/${index}`)).body as Record<string, unknown>;
      expect(JSON.parse(text)).toEqual(view);
      expect(view).toMatchObject({ index, custody: 'device', clock: expect.stringMatching(/synced/) });
    }
    expect((await nextOfSensors()).topic).toBe(`live/sensor/${sensor.did}`);
    await gateway.finish();
  });

  it('cannot publish anything, nor read what is for devices', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('against-people').enrol(gateway);
    const password = await gateway.token('operator');
    for (const topic of [`up/${device.did}/cose`, 'up/operator/cose', 'live/meter/x', `down/${device.did}/error`]) {
      const raw = await RawMqtt.login(gateway, { user: 'operator', password });
      raw.send(publishPacket(topic, device.envelope()));
      expect((await raw.rest()).length, topic).toBe(0);
    }
    expect(gateway.parts.mqtt.counts.forbidden).toBe(4);
    const raw = await RawMqtt.login(gateway, { user: 'operator', password });
    raw.send(subscribePacket(1, 'live/#', 'live/meter/+', '#', 'up/#', 'down/#', '$SYS/#', 'livestock', 'live\0/x'));
    expect([...(await raw.packet()).body.subarray(2)]).toEqual([1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]);
    raw.send(subscribePacket(2, 'live/\0', Buffer.concat([Buffer.from('live/'), Buffer.of(0xff)])));
    expect([...(await raw.packet()).body.subarray(2)]).toEqual([0x80, 0x80]);
    const truth = await gateway.finish();
    expect([truth.entries, truth.quarantined.size]).toEqual([1, 0]);
  });

  it('who stops reading costs neither the memory of the gateway nor the readings of others', async () => {
    const served: Socket[] = [];
    const onSocket = (message: unknown): void => {
      served.push((message as { socket: Socket }).socket);
    };
    subscribe('net.server.socket', onSocket);
    onTestFinished(() => {
      unsubscribe('net.server.socket', onSocket);
    });
    const gateway = await startTestGateway();
    const device = await new TestDevice('much-to-read', 'sensor').enrol(gateway);
    const stuck = await RawMqtt.login(gateway, { user: 'viewer', password: await gateway.token('viewer') });
    stuck.send(subscribePacket(1, 'live/#'));
    await stuck.packet();
    stuck.socket.pause();
    const far = served.find((socket) => socket.remotePort === stuck.socket.localPort) as Socket;
    const reader = await connectMqtt(gateway, 'engineer', await gateway.token('engineer'));
    let seen = 0;
    reader.on('message', () => seen++);
    await reader.subscribeAsync('live/#', { qos: 0 });
    const client = await device.connect(gateway);
    // Each as JSON is some 30 KB, so that the kernel's buffers are full long before the end.
    const text = 'x'.repeat(30_000);
    const sent = 600;
    for (let i = 0; i < sent; i += 50)
      await Promise.all(
        Array.from({ length: 50 }, () =>
          device.publish(client, device.envelope({ records: [{ n: 'text', vs: text }] })),
        ),
      );
    await until(() => seen === sent, 'the other reader has seen all of them');
    expect(await metric(gateway, 'mqtt_undelivered_total')).toBeGreaterThan(0);
    // What the broker keeps for it is a part of the 18 MB: a cap, and what was on its way when it was reached.
    expect(far.writableLength).toBeGreaterThan(0);
    expect(far.writableLength).toBeLessThan(9 * 1024 * 1024);
    await gateway.finish({ verifyOneIn: 20 });
  });
});

describe('the rate of a device', () => {
  it('above its cap slows down all its connections and nobody else, and loses nothing', async () => {
    const gateway = await startTestGateway({ mqtt: { maxDeviceRate: 100 } });
    const fast = await new TestDevice('fast').enrol(gateway);
    const slow = await new TestDevice('slow').enrol(gateway);
    const client = await slow.connect(gateway);
    const login = { user: fast.did, password: fast.jwt(gateway.info.origin) };
    const lines = await Promise.all(['a', 'b'].map((clientId) => RawMqtt.login(gateway, { ...login, clientId })));
    const sent = Array.from({ length: 201 }, () => fast.envelope());
    const topic = `up/${fast.did}/cose`;
    lines[0]?.send(publishPacket(topic, sent[0] as Uint8Array)); // the first one sets where its counter begins
    await lines[0]?.packet();
    let acked = 1;
    // Each connection alone would be within the cap.
    const all = lines.map(async (raw, line) => {
      const part = sent.slice(1 + line * 100, 101 + line * 100);
      raw.send(...part.map((e, i) => publishPacket(topic, e, { id: i + 1 })));
      for (const _ of part) {
        await raw.packet();
        acked++;
      }
    });
    await until(() => gateway.parts.mqtt.counts.throttledMs > 0, 'the fast one has to wait');
    for (let i = 0; i < 5; i++) await slow.publish(client, slow.envelope());
    expect(acked).toBeLessThan(sent.length);
    await Promise.all(all);
    const truth = await gateway.finish({ verifyOneIn: 10 });
    expect(sent.filter((e) => !truth.byHash.has(sha256(e)))).toEqual([]);
    expect(truth.entries).toBe(1 + 201 + 5);
  });
});

// Bytes in the CONNECT that are strings to nobody.
describe('names in a CONNECT', () => {
  it('that are not printable ASCII are refused: client id and user name with NUL, line ends, invalid UTF-8', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('names').enrol(gateway);
    const password = device.jwt(gateway.info.origin);
    const bad = [
      '\0',
      'a\0b',
      'a\nb',
      '\u007f',
      'é',
      Buffer.of(0xff, 0xfe),
      Buffer.of(0xed, 0xa0, 0x80),
      'x'.repeat(257),
    ];
    for (const name of bad)
      for (const over of [{ clientId: name }, { user: name }]) {
        const raw = await RawMqtt.open(gateway);
        raw.send(connectPacket({ user: device.did, password, ...over }));
        expect((await raw.rest()).length, JSON.stringify(over)).toBe(0);
      }
    expect(gateway.parts.mqtt.counts).toMatchObject({ logins: 0, malformed: 2 * bad.length });
    expect(gateway.lines.every((line) => /^[\x20-\x7e]*$/.test(line))).toBe(true);
    for (const clientId of ['', 'x'.repeat(256), '__proto__', 'constructor', '../..'])
      await RawMqtt.login(gateway, { user: device.did, password, clientId }).then((raw) => raw.cut());
    expect(string('x')).toEqual(Buffer.of(0, 1, 0x78));
    await gateway.finish();
  });
});
