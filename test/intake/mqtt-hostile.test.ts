import { describe, expect, it } from 'vitest';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import {
  CONNACK,
  type ConnectOptions,
  connectPacket,
  PINGREQ,
  packet,
  publishPacket,
  RawMqtt,
  remainingLength,
  string,
  subscribePacket,
  uint16,
} from './raw-mqtt.ts';

/** A device beside the bad ones, whose connection and envelopes must come through whatever they do. */
class Honest {
  readonly device = new TestDevice('honest');
  #raw!: RawMqtt;
  #sent = 0;

  static async beside(gateway: TestGateway): Promise<Honest> {
    const honest = new Honest();
    await honest.device.enrol(gateway);
    honest.#raw = await RawMqtt.login(gateway, honest.login(gateway));
    return honest;
  }

  login(gateway: TestGateway): ConnectOptions {
    return { user: this.device.did, password: this.device.jwt(gateway.info.origin), clientId: 'honest' };
  }

  async publish(): Promise<void> {
    this.#sent++;
    this.#raw.send(publishPacket(`up/${this.device.did}/cose`, this.device.envelope(), { id: this.#sent }));
    expect(await this.#raw.packet()).toEqual({ first: 0x40, body: Buffer.from(uint16(this.#sent)) });
  }

  get sent(): number {
    return this.#sent;
  }
}

const loginOf = (gateway: TestGateway, device: TestDevice, over: ConnectOptions = {}): ConnectOptions => ({
  user: device.did,
  password: device.jwt(gateway.info.origin),
  ...over,
});

describe('another version of MQTT', () => {
  it('gets return code 1, those four bytes and no more, and is closed', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('versions').enrol(gateway);
    const login = loginOf(gateway, device);
    const topic = `up/${device.did}/cose`;
    const tries: ConnectOptions[] = [
      { level: 5 },
      { ...login, level: 5 },
      { ...login, level: 5, clientId: '' },
      { ...login, level: 5, clientId: 'ü\0' },
      { ...login, level: 5, will: { topic: 'status/offline', payload: 'gone' } },
      { ...login, level: 5, will: { topic, payload: device.envelope() } },
      { ...login, level: 3, protocol: 'MQIsdp' },
      { level: 3, protocol: 'MQIsdp' },
    ];
    for (const options of tries) {
      const raw = await RawMqtt.open(gateway);
      raw.send(connectPacket(options));
      expect((await raw.rest()).toString('hex'), JSON.stringify(options)).toBe(CONNACK.version);
    }
    expect(gateway.parts.mqtt.counts).toMatchObject({ logins: 0, loginsRefused: 0, malformed: tries.length });
    expect((await gateway.finish()).entries).toBe(1);
  });

  it('does no harm with malformed packets of version 5', async () => {
    const gateway = await startTestGateway();
    const honest = await Honest.beside(gateway);
    const { login, device } = { login: honest.login(gateway), device: honest.device };
    const v5 = connectPacket({ ...login, level: 5 });
    const header = Buffer.concat([string('MQTT'), Buffer.of(5, 2), uint16(0)]);
    const user = Buffer.of(38);
    const tries: Uint8Array[] = [
      // CONNECT: properties that end early, are unknown, come twice, or are longer than the packet.
      packet(0x10, header, Buffer.of(5), user, string('a')),
      packet(0x10, header, Buffer.of(3), user, uint16(9), string('x')),
      packet(0x10, header, Buffer.of(1), Buffer.of(0)),
      packet(0x10, header, Buffer.of(2, 0xff, 0xff)),
      packet(0x10, header, Buffer.of(0xff, 0xff, 0xff, 0x7f)),
      packet(0x10, header, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff)),
      packet(0x10, header),
      packet(0x10, header, Buffer.of(10, 17, 0, 0, 0, 1, 17, 0, 0, 0, 1), string('x')),
      packet(0x10, header, Buffer.of(4), user, string('__proto__'), string('x'), string('x')),
      // And after a CONNECT of version 5 the parser reads what follows by the rules of version 5.
      Buffer.concat([v5, packet(0x32, string('t'), uint16(1), Buffer.of(5), user, Buffer.of(0))]),
      Buffer.concat([v5, packet(0x40, uint16(1), Buffer.of(0xee))]),
      Buffer.concat([v5, packet(0x40, uint16(1), Buffer.of(0, 0xff, 0xff))]),
      Buffer.concat([v5, packet(0xe0, Buffer.of(0x55, 0xff))]),
      Buffer.concat([v5, packet(0xf0, Buffer.of(0x18, 2, 38, 0))]),
      Buffer.concat([v5, packet(0xf0)]),
      Buffer.concat([v5, packet(0x90, uint16(1), Buffer.of(0xff))]),
      Buffer.concat([v5, packet(0x82, uint16(1), Buffer.of(0), string('live/#'), Buffer.of(0xff))]),
      Buffer.concat([connectPacket(login), v5, publishPacket(`up/${device.did}/cose`, device.envelope())]),
    ];
    for (const bytes of tries) {
      const raw = await RawMqtt.open(gateway);
      raw.send(bytes);
      raw.socket.end(); // where a packet announces more than it brings, waiting for the rest is right
      await raw.closed;
    }
    await honest.publish();
    expect((await gateway.finish()).entries).toBe(2);
  });
});

describe('malformed packets', () => {
  const bad = (o: ConnectOptions, change: (bytes: Buffer) => void): Buffer => {
    const bytes = connectPacket(o);
    change(bytes);
    return bytes;
  };
  // In a CONNECT with a remaining length below 128: 2 header + 6 name, so level at 8, flags at 9.
  const beforeLogin: [string, Buffer][] = [
    ['a PUBLISH before CONNECT', publishPacket('up/x/cose', 'x')],
    ['a SUBSCRIBE before CONNECT', subscribePacket(1, 'live/#')],
    ['a PINGREQ before CONNECT', PINGREQ],
    ['a DISCONNECT before CONNECT', Buffer.of(0xe0, 0)],
    ['a CONNACK', Buffer.of(0x20, 2, 0, 0)],
    ['an empty CONNECT', packet(0x10)],
    ['a CONNECT with header flags', bad({}, (b) => (b[0] = 0x11))],
    ['a CONNECT with the reserved flag', connectPacket({ flags: 1 })],
    ['a CONNECT with another protocol name', connectPacket({ protocol: 'MQTX' })],
    ['a CONNECT of level 0', connectPacket({ level: 0 })],
    ['a CONNECT of level 6', connectPacket({ level: 6 })],
    ['a CONNECT with a will retained that has no will', connectPacket({ flags: 0x20 })],
    ['a CONNECT with a will QoS that has no will', connectPacket({ flags: 0x08 })],
    [
      'a CONNECT with a will of QoS 3',
      connectPacket({ user: 'u', will: { topic: 'up/u/cose', payload: 'x', qos: 3 } }),
    ],
    ['a CONNECT that announces a will and brings none', connectPacket({ flags: 0x04 })],
    ['a CONNECT that announces a user name and brings none', connectPacket({ flags: 0x80 })],
    ['a CONNECT that announces a password and brings none', connectPacket({ user: 'u', flags: 0x40 })],
    ['a CONNECT whose client id is cut short', packet(0x10, string('MQTT'), Buffer.of(4, 2, 0, 0, 0, 9), 'abc')],
    ['a CONNECT that ends before its keepalive', packet(0x10, string('MQTT'), Buffer.of(4, 2, 0))],
    ['a CONNECT that ends before its level', packet(0x10, string('MQTT'))],
    ['a length field of five bytes', Buffer.of(0x10, 0xff, 0xff, 0xff, 0xff, 0x7f)],
    ['packet type 0', Buffer.of(0x00, 0)],
    ['packet type 15', Buffer.of(0xf0, 0)],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: edge\r\n\r\n')],
    ['a TLS ClientHello', Buffer.from('16030100c8010000c40303', 'hex')],
    ['0xff', Buffer.alloc(64, 0xff)],
  ];

  it('before the login close their own connection and are counted', async () => {
    const gateway = await startTestGateway();
    const honest = await Honest.beside(gateway);
    for (const [i, [what, bytes]] of beforeLogin.entries()) {
      const raw = await RawMqtt.open(gateway);
      raw.send(bytes);
      expect((await raw.rest()).toString('hex'), what).toBe('');
      expect(gateway.parts.mqtt.counts.malformed, what).toBe(i + 1);
    }
    await honest.publish();
    expect(gateway.parts.mqtt.connected).toBe(1);
    expect((await gateway.finish()).entries).toBe(2);
  });

  it('after the login close their own connection, are counted, and leave nothing in log or quarantine', async () => {
    const gateway = await startTestGateway();
    const honest = await Honest.beside(gateway);
    const device = await new TestDevice('malformed').enrol(gateway);
    const topic = `up/${device.did}/cose`;
    const login = loginOf(gateway, device);
    const envelope = device.envelope();
    const tries: [string, Uint8Array][] = [
      ['a PUBLISH of QoS 3', publishPacket(topic, envelope, { qos: 3 })],
      ['a PUBLISH without a packet identifier', packet(0x32, string(topic))],
      ['a PUBLISH with half a packet identifier', packet(0x32, string(topic), Buffer.of(1))],
      [
        'a PUBLISH that takes its packet identifier from the packet behind it',
        Buffer.concat([packet(0x32, string(topic)), publishPacket(topic, envelope)]),
      ],
      ['a PUBLISH with packet identifier 0', publishPacket(topic, envelope, { id: 0 })],
      ['a PUBLISH of QoS 2 with packet identifier 0', publishPacket(topic, envelope, { qos: 2, id: 0 })],
      ['a PUBLISH whose topic is longer than it', packet(0x32, uint16(500), topic)],
      ['a PUBLISH without anything', packet(0x32)],
      ['a SUBSCRIBE with the wrong flags', packet(0x80, uint16(1), string('live/#'), Buffer.of(0))],
      ['a SUBSCRIBE with QoS 3', packet(0x82, uint16(1), string('live/#'), Buffer.of(3))],
      ['a SUBSCRIBE with reserved bits', packet(0x82, uint16(1), string('live/#'), Buffer.of(0x40))],
      ['a SUBSCRIBE whose filter has no QoS', packet(0x82, uint16(1), string('live/#'))],
      ['a SUBSCRIBE whose filter is cut short', packet(0x82, uint16(1), uint16(99), 'live')],
      ['a SUBSCRIBE with packet identifier 0', subscribePacket(0, `down/${device.did}/#`)],
      ['a SUBSCRIBE without a filter', packet(0x82, uint16(1))],
      ['a SUBSCRIBE with # in the middle', subscribePacket(1, 'down/#/error')],
      ['a SUBSCRIBE with + in a word', subscribePacket(1, 'down/x+y/error')],
      ['a SUBSCRIBE of a hundred levels', subscribePacket(1, 'live/'.repeat(100))],
      ['a SUBSCRIBE of the empty filter', subscribePacket(1, '')],
      ['an UNSUBSCRIBE with the wrong flags', packet(0xa0, uint16(1), string('live/#'))],
      ['an UNSUBSCRIBE whose filter is cut short', packet(0xa2, uint16(1), uint16(99), 'live')],
      ['an UNSUBSCRIBE of the empty filter', packet(0xa2, uint16(1), string(''))],
      ['a PUBACK with flags', packet(0x41, uint16(1))],
      ['a PUBACK of nothing', packet(0x40)],
      ['a PUBREL without its flags', packet(0x60, uint16(1))],
      ['a PUBREC of nothing', packet(0x50)],
      ['a second CONNECT', connectPacket(login)],
      ['a CONNACK', Buffer.of(0x20, 2, 0, 0)],
      ['a SUBACK', Buffer.of(0x90, 3, 0, 1, 0)],
      ['an UNSUBACK', Buffer.of(0xb0, 2, 0, 1)],
      ['a PINGRESP', Buffer.of(0xd0, 0)],
      ['packet type 0', Buffer.of(0x00, 0)],
      ['packet type 15', Buffer.of(0xf0, 0)],
      ['a length field of five bytes', Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01)],
    ];
    for (const [i, [what, bytes]] of tries.entries()) {
      const raw = await RawMqtt.login(gateway, login);
      raw.send(bytes);
      expect((await raw.rest()).toString('hex'), what).toBe('');
      expect(gateway.parts.mqtt.counts.malformed, what).toBe(i + 1);
    }
    await honest.publish();
    await until(() => gateway.parts.mqtt.connected === 1, 'only the honest one is left');
    const truth = await gateway.finish();
    expect([truth.entries, truth.quarantined.size]).toEqual([2, 0]);
  });
});

describe('large packets', () => {
  it('are refused by their header: nothing of 200 MB is waited for', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('large').enrol(gateway);
    for (const announced of [128 * 1024 + 1, 200_000_000, 268_435_455]) {
      const raw = await RawMqtt.login(gateway, loginOf(gateway, device));
      raw.send(Buffer.of(0x32, ...remainingLength(announced)), Buffer.alloc(1000));
      expect((await raw.rest()).length).toBe(0);
    }
    const raw = await RawMqtt.login(gateway, loginOf(gateway, device));
    raw.send(Buffer.of(0x32, ...remainingLength(128 * 1024)));
    await gateway.api('/health', { token: null });
    expect(gateway.parts.mqtt.counts.malformed).toBe(3);
    expect(gateway.parts.mqtt.connected).toBe(1); // this one may be that large
    await gateway.finish();
  });

  it('up to 128 KiB get their envelope into quarantine, so that the device learns of it and stops', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('large').enrol(gateway);
    const topic = `up/${device.did}/cose`;
    const raw = await RawMqtt.login(gateway, loginOf(gateway, device));
    const most = 128 * 1024 - string(topic).length - 2;
    for (const size of [65_536, 100_000, 131_000, most]) {
      raw.send(publishPacket(topic, new Uint8Array(size)));
      expect((await raw.packet()).first).toBe(0x40);
    }
    raw.send(publishPacket(topic, new Uint8Array(most + 1)));
    expect((await raw.rest()).length).toBe(0);
    // And the largest that there is: accepted.
    const fill = (size: number) =>
      device.envelope({
        seq: 0,
        records: [
          { n: '1-0:1.8.0', u: 'Wh', v: 1 },
          { n: 'x', vs: 'x'.repeat(size) },
        ],
      });
    const largest = fill(65_535 - (fill(60_000).length - 60_000));
    expect(largest.length).toBe(65_535);
    const again = await RawMqtt.login(gateway, loginOf(gateway, device));
    again.send(publishPacket(topic, largest));
    expect((await again.packet()).first).toBe(0x40);
    const truth = await gateway.finish();
    expect(truth.entries).toBe(2);
    expect(Object.fromEntries(truth.quarantined)).toEqual({ ENVELOPE_TOO_LARGE: 4 });
  });

  it('before the login may be no larger than 8 KiB', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('large').enrol(gateway);
    const connect = (padding: number): Buffer =>
      connectPacket(
        loginOf(gateway, device, { will: { topic: `up/${device.did}/cose`, payload: 'x'.repeat(padding) } }),
      );
    const room = 8 * 1024 + 3 - connect(0).length;
    const fits = await RawMqtt.open(gateway);
    fits.send(connect(room));
    expect((await fits.take(4)).toString('hex')).toBe(CONNACK.accepted);
    fits.send(Buffer.of(0xe0, 0)); // leave the will unsaid
    await fits.closed;
    const over = await RawMqtt.open(gateway);
    over.send(connect(room + 1).subarray(0, 100));
    expect((await over.rest()).length).toBe(0);
    const far = await RawMqtt.open(gateway);
    far.send(Buffer.of(0x10, ...remainingLength(200_000_000)));
    expect((await far.rest()).length).toBe(0);
    expect(gateway.parts.mqtt.counts.malformed).toBe(2);
    await gateway.finish();
  });
});

describe('connections', () => {
  it('that do not log in within their time are closed, and those that did stay', async () => {
    const gateway = await startTestGateway({ mqtt: { connectTimeoutSeconds: 1 } });
    const honest = await Honest.beside(gateway);
    const silent = await RawMqtt.open(gateway);
    const half = await RawMqtt.open(gateway);
    half.send(connectPacket({ user: 'viewer', password: 'x' }).subarray(0, 12));
    expect((await silent.rest()).length).toBe(0);
    expect((await half.rest()).length).toBe(0);
    await honest.publish();
    await gateway.finish();
  });

  it('above the cap are closed at once, until others leave', async () => {
    const gateway = await startTestGateway({ mqtt: { maxConnections: 3 } });
    const open = [await RawMqtt.open(gateway), await RawMqtt.open(gateway), await RawMqtt.open(gateway)];
    await until(() => gateway.parts.mqtt.counts.connections === 3, 'three are there');
    const fourth = await RawMqtt.open(gateway);
    expect((await fourth.rest()).length).toBe(0);
    await open[0]?.cut();
    const device = await new TestDevice('fifth').enrol(gateway);
    await until(async () => {
      const raw = await RawMqtt.open(gateway);
      raw.send(connectPacket(loginOf(gateway, device)));
      const answer = await raw.take(4).catch(() => undefined);
      return answer?.toString('hex') === CONNACK.accepted;
    }, 'there is room again');
    await gateway.finish();
  });

  it('of one device are capped, and no other device or person feels it', async () => {
    const gateway = await startTestGateway({ mqtt: { maxConnectionsPerUser: 2 } });
    const device = await new TestDevice('many').enrol(gateway);
    const other = await new TestDevice('few').enrol(gateway);
    const first = await RawMqtt.login(gateway, loginOf(gateway, device, { clientId: 'a' }));
    await RawMqtt.login(gateway, loginOf(gateway, device, { clientId: 'b' }));
    const third = await RawMqtt.open(gateway);
    third.send(connectPacket(loginOf(gateway, device, { clientId: 'c' })));
    expect((await third.rest()).toString('hex')).toBe(CONNACK.refused);
    await RawMqtt.login(gateway, loginOf(gateway, other, { clientId: 'c' }));
    // One that takes the place of its own is not one more.
    await RawMqtt.login(gateway, loginOf(gateway, device, { clientId: 'a' }));
    expect((await first.rest()).length).toBe(0);
    // People are told apart by the name in their token, not by their role.
    for (const name of ['kim', 'lee', 'k i m'])
      for (const clientId of ['a', 'b']) {
        const password = await gateway.parts.tokens.issue({ name, role: 'viewer' }, 60);
        await RawMqtt.login(gateway, { user: 'viewer', password, clientId });
      }
    expect(gateway.parts.mqtt.connected).toBe(9);
    await gateway.finish();
  });

  it('are taken over by the same client id of the same user only', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('takeover').enrol(gateway);
    const other = await new TestDevice('takeover-other').enrol(gateway);
    const old = await RawMqtt.login(gateway, loginOf(gateway, device, { clientId: 'same' }));
    const theirs = await RawMqtt.login(gateway, loginOf(gateway, other, { clientId: 'same' }));
    const mine = await RawMqtt.login(gateway, loginOf(gateway, device, { clientId: 'same' }));
    expect((await old.rest()).length).toBe(0);
    // A name made to look like the one that aedes sees.
    await RawMqtt.login(gateway, loginOf(gateway, other, { clientId: `${device.did} same` }));
    const kim = await gateway.parts.tokens.issue({ name: 'kim', role: 'viewer' }, 60);
    const lee = await gateway.parts.tokens.issue({ name: 'lee', role: 'viewer' }, 60);
    const person = await RawMqtt.login(gateway, { user: 'viewer', password: kim, clientId: 'same' });
    await RawMqtt.login(gateway, { user: 'viewer', password: lee, clientId: 'same' });
    for (const raw of [theirs, mine, person]) await raw.ping();
    // Without a client id each is its own.
    const nameless = await Promise.all([0, 1].map(() => RawMqtt.open(gateway)));
    for (const raw of nameless) raw.send(connectPacket(loginOf(gateway, other, { clientId: '' })));
    for (const raw of nameless) expect((await raw.take(4)).toString('hex')).toBe(CONNACK.accepted);
    for (const raw of nameless) await raw.ping();
    // One that fails to log in takes nothing over.
    const failed = await RawMqtt.open(gateway);
    failed.send(connectPacket(loginOf(gateway, device, { clientId: 'same', password: 'wrong' })));
    expect((await failed.rest()).toString('hex')).toBe(CONNACK.refused);
    await mine.ping();
    expect(gateway.parts.mqtt.connected).toBe(7);
    await gateway.finish();
  });

  it('opened and dropped in a storm, under one client id and many, leave no trace in the counts', async () => {
    const gateway = await startTestGateway({ mqtt: { maxConnectionsPerUser: 4 } });
    const device = await new TestDevice('storm').enrol(gateway);
    const subscribe = subscribePacket(1, `down/${device.did}/#`, `down/${device.did}/error`);
    // By number: leave with the CONNECT just sent, after the CONNACK, or after a subscription; broken off or polite.
    const visit = async (i: number): Promise<void> => {
      const raw = await RawMqtt.open(gateway);
      const clientId = ['same', 'same', 'other', `${i}`, ''][i % 5] as string;
      raw.send(connectPacket(loginOf(gateway, device, { clientId })));
      if (i % 3 > 0) await raw.take(4).catch(() => undefined);
      if (i % 3 === 2) raw.send(subscribe);
      if (i % 2) raw.send(Buffer.of(0xe0, 0));
      await raw.cut();
    };
    for (let round = 0; round < 300; round += 20)
      await Promise.all(Array.from({ length: 20 }, (_, i) => visit(round + i)));
    await until(() => gateway.parts.mqtt.counts.connections === 300, 'all have been seen');
    await until(() => gateway.parts.mqtt.connected === 0, 'nobody is left');

    const four = await Promise.all(
      ['a', 'b', 'c', 'd'].map((clientId) => RawMqtt.login(gateway, loginOf(gateway, device, { clientId }))),
    );
    const fifth = await RawMqtt.open(gateway);
    fifth.send(connectPacket(loginOf(gateway, device, { clientId: 'e' })));
    expect((await fifth.rest()).toString('hex')).toBe(CONNACK.refused);
    for (const raw of four) await raw.ping();
    await gateway.finish();
  });

  it('that take each other over in a hurry leave one of them, and it works', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('hurry').enrol(gateway);
    const all: RawMqtt[] = [];
    for (let round = 0; round < 10; round++)
      await Promise.all(
        Array.from({ length: 4 }, async () => {
          const raw = await RawMqtt.open(gateway);
          all.push(raw);
          raw.send(connectPacket(loginOf(gateway, device)));
          const answer = await raw.take(4).catch(() => undefined);
          if (answer?.toString('hex') === CONNACK.accepted) raw.send(subscribePacket(1, `down/${device.did}/#`));
        }),
      );
    await until(() => gateway.parts.mqtt.connected === 1, 'one is left');
    const last = await RawMqtt.login(gateway, loginOf(gateway, device));
    await until(() => gateway.parts.mqtt.connected === 1, 'it took over');
    await last.ping();
    await Promise.all(all.map((raw) => raw.closed));
    await gateway.finish();
  });

  it('by the hundred that never finish their CONNECT hold up neither a device nor the end of the gateway', async () => {
    const gateway = await startTestGateway({ mqtt: { connectTimeoutSeconds: 120 } });
    const honest = await Honest.beside(gateway);
    const connect = connectPacket({ user: 'viewer', password: 'x'.repeat(5000) });
    const flood = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const raw = await RawMqtt.open(gateway);
        raw.send(connect.subarray(0, (i * 17) % connect.length));
        return raw;
      }),
    );
    for (let i = 0; i < 20; i++) await honest.publish();
    await until(() => gateway.parts.mqtt.counts.connections === 301, 'all are there');
    expect(gateway.parts.mqtt.connected).toBe(1);
    const truth = await gateway.finish(); // with all of them still open
    await Promise.all(flood.map((raw) => raw.closed));
    expect(truth.entries).toBe(21);
  });
});
