/**
 * Mutated packets on real sockets at a real broker, beside an honest device. Needs nothing of vitest, so that it runs
 * for a million as well. What is sent in a round is known before its first byte is, so that it does not depend on who
 * is fast.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { makeConfig } from '../../edge/config.ts';
import { type Gateway, startGateway } from '../../edge/gateway.ts';
import { decodeEnvelope, encodeEnvelope } from '../../edge/wire/envelope.ts';
import {
  CONNACK,
  connectPacket,
  PINGREQ,
  packet,
  publishPacket,
  string,
  subscribePacket,
  uint16,
} from '../intake/packets.ts';
import type { Result } from './fuzz.ts';
import { type Signer, signerOf } from './keys.ts';
import { type Below, mutate, numbers } from './mutate.ts';

const AT_ONCE = 16;
const ROUND = 12_000;
/** A visit that is not over by then is one that hangs. */
const VISIT_MS = 30_000;

/** Half of the time with a remaining length that fits again, so that it is read to its end. */
function mutatePacket(original: Uint8Array, other: Uint8Array, below: Below): Buffer {
  const bytes = mutate(original, other, below);
  if (below(2) === 0 || bytes.length < 3) return bytes;
  const head = bytes.findIndex((byte, i) => i > 0 && byte < 128) + 1;
  return packet(bytes[0] as number, bytes.subarray(head));
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const jwtOf = ({ did, sign }: Signer, origin: string): string => {
  const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const iat = Math.floor(Date.now() / 1000);
  const head = `${b64({ alg: 'EdDSA' })}.${b64({ sub: did, aud: origin, iat, exp: iat + 3000 })}`;
  return `${head}.${Buffer.from(sign(Buffer.from(head))).toString('base64url')}`;
};
const envelopeOf = ({ did, sign }: Signer, seq: number): Uint8Array =>
  encodeEnvelope(
    { iss: did, sub: `urn:sejong:mp:${did.slice(-6)}`, iat: 1_790_000_000, epoch: 1, seq },
    [{ n: '1-0:1.8.0', u: 'Wh', v: 1000 + seq }],
    sign,
  );

type Visit = { loggedIn: boolean; packets: Buffer[] };

export async function fuzzBroker({
  seed,
  cases,
  progress,
}: {
  seed: number;
  cases: number;
  progress?: (done: number) => void;
}): Promise<Result & { folder: string; gateway: Gateway; honestSent: number; close: () => Promise<void> }> {
  const began = performance.now();
  const below = numbers(seed);
  const folder = mkdtempSync(join(tmpdir(), 'sejong-fuzz-'));
  const config = makeConfig({
    dataFolder: folder,
    mqtt: { port: 0, maxConnectionsPerUser: 1000, maxDeviceRate: 1_000_000, maxFailedLogins: 1_000_000 },
    http: { port: 0 },
    chain: { mode: 'none' },
    intake: { maxQuarantinePerDevice: 1_000_000, maxQuarantine: 10_000_000 },
  });
  const gateway = await startGateway(config, 'fuzz', () => undefined);
  const { origin } = gateway.info;
  const port = Number(new URL(gateway.info.mqtt).port);
  const [honest, own, absent, robbed] = ['honest', 'own', 'absent', 'robbed'].map(signerOf) as [
    Signer,
    Signer,
    Signer,
    Signer,
  ];
  for (const { did } of [honest, own, absent, robbed])
    await gateway.parts.devices.enrol(
      { did, kind: 'meter', custody: 'device', sub: `urn:sejong:mp:${did.slice(-6)}` },
      1,
    );

  const client = await mqtt.connectAsync(gateway.info.mqtt, {
    username: honest.did,
    password: jwtOf(honest, origin),
    clientId: 'honest',
    reconnectPeriod: 0,
  });
  let honestSent = 0;
  const publish = (): Promise<unknown> =>
    client.publishAsync(`up/${honest.did}/cose`, Buffer.from(envelopeOf(honest, honestSent++)), { qos: 1 });

  const login = { user: own.did, password: '' };
  const topic = `up/${own.did}/cose`;
  const mine = Array.from({ length: 40 }, (_, i) => envelopeOf(own, i));
  // These two are enrolled, and nobody ever logs in as one of them.
  const theirs = [envelopeOf(absent, 0), envelopeOf(robbed, 0)];
  const v5 = Buffer.of(5, 38, 0, 1, 0x61, 0);
  const first: (() => Buffer)[] = [
    () => connectPacket({ ...login, clientId: `c${below(50)}` }),
    () => connectPacket({ ...login, will: { topic, payload: mine[below(40)] as Uint8Array, qos: below(3) } }),
    () =>
      connectPacket({
        user: absent.did,
        password: login.password,
        will: { topic: `up/${absent.did}/cose`, payload: theirs[0] as Uint8Array },
      }),
    () => connectPacket({ user: 'operator', password: 'x' }),
    () => connectPacket({ ...login, level: 5, protocol: 'MQTT' }),
    () => packet(0x10, string('MQTT'), Buffer.of(5, 0xc2), uint16(10), v5, string('id'), string(own.did), string('x')),
    () => publishPacket(topic, mine[below(40)] as Uint8Array),
  ];
  const later: (() => Buffer)[] = [
    () => publishPacket(topic, mine[below(40)] as Uint8Array, { id: 1 + below(65_535) }),
    () => publishPacket(topic, mine[below(40)] as Uint8Array, { qos: 2, id: 1 + below(9) }),
    () => publishPacket(topic, mine[below(40)] as Uint8Array, { qos: 0, retain: true }),
    () => publishPacket(topic, theirs[below(2)] as Uint8Array, { id: 7 }),
    () => publishPacket(`up/${absent.did}/cose`, theirs[0] as Uint8Array, { id: 7 }),
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

  const result: Result = {
    target: 'mqtt',
    cases: 0,
    refused: 0,
    accepted: 0,
    crashed: 0,
    wronglyAccepted: 0,
    seconds: 0,
    findings: [],
  };
  const find = (kind: 'crashed' | 'wronglyAccepted', why: string, input: Uint8Array): void => {
    result[kind]++;
    if (result.findings.length < 20) result.findings.push({ input, why });
  };

  /** One connection: all its packets, and then the end. */
  async function visit({ loggedIn, packets }: Visit, lane: number): Promise<void> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined); // a reset is one way to be closed
    const hangs = setTimeout(() => socket.destroy(new Error('hangs')), VISIT_MS);
    const closed = once(socket, 'close').catch(() => undefined);
    let heard = Buffer.alloc(0);
    const answered = new Promise<void>((resolve) => {
      socket.on('data', (data) => {
        if (heard.length < 4) heard = Buffer.concat([heard, data]);
        if (heard.length >= 4) resolve();
      });
      socket.once('close', () => resolve());
    });
    if (loggedIn) {
      socket.write(connectPacket({ ...login, clientId: `lane ${lane}` }));
      await answered;
      if (heard.subarray(0, 4).toString('hex') !== CONNACK.accepted)
        find('crashed', `a right CONNECT got ${heard.toString('hex') || 'nothing'}`, Buffer.concat(packets));
    }
    socket.end(Buffer.concat(packets));
    await closed;
    clearTimeout(hangs);
    if (socket.errored?.message === 'hangs') find('crashed', 'the connection was never closed', Buffer.concat(packets));
  }

  while (result.cases < cases) {
    const visits: Visit[] = [];
    login.password = jwtOf(own, origin);
    for (let made = 0; made < Math.min(ROUND, cases - result.cases); ) {
      const loggedIn = below(4) > 0;
      const packets = Array.from({ length: loggedIn ? 1 + below(12) : 1 + below(3) }, (_, i) =>
        mutatePacket(one(loggedIn || i > 0 ? later : first), one(later), below),
      );
      made += packets.length;
      visits.push({ loggedIn, packets });
    }
    const next = visits.values();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, lane) => {
        for (const v of next) await visit(v, lane);
      }),
    );
    for (const { packets } of visits) result.cases += packets.length;
    await publish(); // the others closed their own connections only
    progress?.(result.cases);
  }

  // What is in the log is what somebody signed, whole, and nothing of those who never came.
  const right = new Set([...mine, ...Array.from({ length: honestSent }, (_, i) => envelopeOf(honest, i))].map(sha256));
  const { entries, log, quarantine, mqtt: broker } = gateway.parts;
  for (let from = 1; from < log.size; from += 1000)
    for (const { envelope } of entries.page(from, 1000)) {
      if (right.has(sha256(envelope))) result.accepted++;
      else find('wronglyAccepted', `in the log: ${JSON.stringify(decodeEnvelope(envelope).iss)}`, envelope);
    }
  result.accepted -= honestSent;
  result.refused = broker.counts.malformed + broker.counts.forbidden + quarantine.held;
  if (!client.connected) find('crashed', 'the honest device was cut off', Buffer.alloc(0));
  if (gateway.health().status !== 'ok') find('crashed', JSON.stringify(gateway.health().parts), Buffer.alloc(0));
  await client.endAsync(true);
  result.seconds = (performance.now() - began) / 1000;
  const close = async (): Promise<void> => {
    await gateway.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...result, folder, gateway, honestSent, close };
}
