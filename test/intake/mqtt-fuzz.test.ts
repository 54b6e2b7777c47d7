import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import {
  CONNACK,
  connectPacket,
  PINGREQ,
  packet,
  publishPacket,
  RawMqtt,
  string,
  subscribePacket,
  uint16,
} from './raw-mqtt.ts';

const SEED = 20_240_817;
const PACKETS = 24_000;
const AT_ONCE = 16;

/** mulberry32: the same numbers on every machine. */
function numbers(seed: number): (below: number) => number {
  let a = seed >>> 0;
  return (below) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const TELLING = [0x00, 0x01, 0x02, 0x04, 0x10, 0x20, 0x7f, 0x80, 0xc2, 0xf0, 0xfe, 0xff];

/** One to four changes; then, half of the time, a remaining length that fits again, so that it is read to its end. */
function mutate(original: Uint8Array, other: Uint8Array, below: (n: number) => number): Buffer {
  let bytes = Buffer.from(original);
  for (let i = below(4); i >= 0; i--) {
    const at = below(Math.max(1, bytes.length));
    const near = Math.min(at, below(24)); // where the structure is
    const change = below(9);
    if (bytes.length === 0) bytes = Buffer.from(other);
    else if (change === 0) bytes[at]! ^= 1 << below(8);
    else if (change === 1) bytes[near] = TELLING[below(TELLING.length)] as number;
    else if (change === 2) bytes[at] = below(256);
    else if (change === 3) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(8))]);
    else if (change === 4)
      bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(1 + below(8), below(256)), bytes.subarray(at)]);
    else if (change === 5) bytes = bytes.subarray(0, at);
    else if (change === 6) bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(below(other.length))]);
    else if (change === 7 && bytes.length > 1)
      bytes.writeUInt16BE(below(65_536), Math.max(0, Math.min(near, bytes.length - 2)));
    else bytes[0] = below(256);
  }
  if (below(2) === 0 || bytes.length < 3) return bytes;
  const head = bytes.findIndex((byte, i) => i > 0 && byte < 128) + 1;
  return packet(bytes[0] as number, bytes.subarray(head));
}

it(`${PACKETS} mutated packets neither take the broker down nor bring in an envelope that is not the device's own`, async () => {
  const below = numbers(SEED);
  const gateway = await startTestGateway({
    mqtt: { maxConnectionsPerUser: 1000, maxDeviceRate: 1_000_000 },
    intake: { maxQuarantinePerDevice: 1_000_000, maxQuarantine: 1_000_000 },
  });
  const origin = gateway.info.origin;
  const honest = await new TestDevice('fuzz-honest').enrol(gateway);
  const own = await new TestDevice('fuzz-own').enrol(gateway);
  // These two are enrolled, and nobody ever logs in as one of them.
  const absent = await new TestDevice('fuzz-absent').enrol(gateway);
  const robbed = await new TestDevice('fuzz-robbed').enrol(gateway);
  const client = await honest.connect(gateway);

  const login = { user: own.did, password: own.jwt(origin) };
  const topic = `up/${own.did}/cose`;
  const mine = Array.from({ length: 40 }, () => own.envelope());
  const theirs = [absent.envelope(), robbed.envelope()];
  const v5 = Buffer.of(5, 38, 0, 1, 0x61, 0);
  const first: (() => Buffer)[] = [
    () => connectPacket({ ...login, clientId: `c${below(50)}` }),
    () => connectPacket({ ...login, will: { topic, payload: mine[below(40)] as Buffer, qos: below(3) } }),
    () =>
      connectPacket({
        user: absent.did,
        password: own.jwt(origin),
        will: { topic: `up/${absent.did}/cose`, payload: theirs[0] as Buffer },
      }),
    () => connectPacket({ user: 'operator', password: 'x' }),
    () => connectPacket({ ...login, level: 5, protocol: 'MQTT' }),
    () => packet(0x10, string('MQTT'), Buffer.of(5, 0xc2), uint16(10), v5, string('id'), string(own.did), string('x')),
    () => publishPacket(topic, mine[below(40)] as Buffer),
  ];
  const later: (() => Buffer)[] = [
    () => publishPacket(topic, mine[below(40)] as Buffer, { id: 1 + below(65_535) }),
    () => publishPacket(topic, mine[below(40)] as Buffer, { qos: 2, id: 1 + below(9) }),
    () => publishPacket(topic, mine[below(40)] as Buffer, { qos: 0, retain: true }),
    () => publishPacket(topic, theirs[below(2)] as Buffer, { id: 7 }),
    () => publishPacket(`up/${absent.did}/cose`, theirs[0] as Buffer, { id: 7 }),
    () => publishPacket(`up/${own.did}/senml`, '[{"n":"1-0:1.8.0","u":"Wh","v":1}]', { id: 8 }),
    () => publishPacket(`down/${own.did}/error`, '{}'),
    () => publishPacket('$SYS/x/new/clients', own.did),
    () => subscribePacket(3, `down/${own.did}/#`, 'live/#', 'up/+/cose'),
    () => packet(0xa2, uint16(4), string(`down/${own.did}/#`)),
    () => packet(0x40, uint16(below(20))),
    () => packet(0x50, uint16(below(20))),
    () => packet(0x62, uint16(below(20))),
    () => packet(0x70, uint16(below(20))),
    () => PINGREQ,
    () => Buffer.of(0xe0, 0),
    () => packet(0xf0, v5),
    () => connectPacket(login),
  ];
  const one = (from: (() => Buffer)[]): Buffer => (from[below(from.length)] as () => Buffer)();

  // All that will be sent is known before the first byte is, so that it does not depend on who is fast.
  type Visit = { loggedIn: boolean; packets: Buffer[] };
  const visits: Visit[] = [];
  for (let made = 0; made < PACKETS; ) {
    const loggedIn = below(4) > 0;
    const packets = Array.from({ length: loggedIn ? 1 + below(12) : 1 + below(3) }, (_, i) =>
      mutate(one(loggedIn || i > 0 ? later : first), one(later), below),
    );
    made += packets.length;
    visits.push({ loggedIn, packets });
  }

  const next = visits.values();
  let refusedLogins = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async (_, lane) => {
      for (const { loggedIn, packets } of next) {
        const raw = await RawMqtt.open(gateway);
        if (loggedIn) {
          raw.send(connectPacket({ ...login, clientId: `lane ${lane}` }));
          if ((await raw.take(4)).toString('hex') !== CONNACK.accepted) refusedLogins++;
        }
        raw.send(...packets);
        raw.socket.end();
        await raw.closed;
        if (below(200) === 0) await honest.publish(client, honest.envelope());
      }
    }),
  );
  expect(refusedLogins).toBe(0);
  await honest.publish(client, honest.envelope());
  await until(() => gateway.parts.mqtt.connected === 1, 'only the honest device is left');
  expect(client.connected).toBe(true);
  expect((await gateway.api('/health', { token: null })).body).toMatchObject({ status: 'ok' });

  const { counts } = gateway.parts.mqtt;
  expect(counts.connections).toBe(visits.length + 1);
  expect(counts.malformed).toBeGreaterThan(visits.length / 4);
  expect(counts.forbidden).toBeGreaterThan(0);
  for (const device of [absent, robbed])
    expect((await gateway.api(`/devices/${device.did}`)).body).toMatchObject({ counter: null, quarantined: 0 });

  const truth = await gateway.finish({ verifyOneIn: 5 });
  const known = new Set(mine.map((e) => createHash('sha256').update(e).digest('hex')));
  const ofOwn = [...truth.byHash.keys()].filter((hash) => known.has(hash)).length;
  expect(ofOwn).toBeGreaterThan(0); // the fuzz did reach the accept path
  expect(truth.entries).toBe(1 + ofOwn + honest.seq);
  expect([...truth.quarantined.keys()].sort()).toEqual(
    expect.arrayContaining(['CBOR_INVALID', 'ENVELOPE_INVALID', 'ISSUER_MISMATCH', 'SIGNATURE_INVALID']),
  );
});
