/** Decisions about vehicles: how many a second, and how long one takes, beside bare Ed25519 verification of the same run. */
import { createPublicKey, verify as opensslVerify } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import mqtt, { type MqttClient } from 'mqtt';
import { decodeDid } from '../../edge/wire/did.ts';
import { type Challenge, decodeChallenge, decodeDecision } from '../../edge/wire/vc/check.ts';
import { Model } from '../checks/model.ts';
import { jwtOf, NORTH, ORIGIN, TestCity, TestVehicle } from '../checks/rig.ts';
import { signerOf } from '../support/city.ts';
import { type Bench, ratio } from './report.ts';
import { makeBenchFolder, startBenchGateway } from './start.ts';

/** Signatures that a decision verifies: presentation, credential, telemetry. */
const SIGNATURES = 3;
const VEHICLES = 20;
const HELLO = Buffer.from(JSON.stringify({ gate: NORTH.name, purpose: 'entry' }));

/** Verifications a second on one thread, of a message as long as what a proof signs. */
function verifyRate(seconds: number): number {
  const signer = signerOf('bench');
  const message = Buffer.alloc(64, 7);
  const signature = signer.sign(message);
  const x = Buffer.from(decodeDid(signer.did).bytes).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const started = performance.now();
  let done = 0;
  while (performance.now() - started < seconds * 1000) {
    if (!opensslVerify(null, message, key, signature)) throw new Error('a good signature was refused');
    done++;
  }
  return done / ((performance.now() - started) / 1000);
}

const percentiles = (ms: number[]): { p50: number; p99: number } => {
  ms.sort((a, b) => a - b);
  const at = (share: number): number => ms[Math.min(ms.length - 1, Math.floor(ms.length * share))] as number;
  return { p50: at(0.5), p99: at(0.99) };
};
const shown = ({ p50, p99 }: { p50: number; p99: number }): string =>
  `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;

/** The decision alone: no disk, no broker. */
function inProcess(): { rate: number; p50: number; p99: number } {
  const now = Date.now();
  const city = new TestCity();
  const model = new Model(city.open([signerOf('gateway').did], now));
  const vehicles = Array.from(
    { length: VEHICLES },
    (_, i) => new TestVehicle(city, `b${i}`, now, { registration: `b${i}` }),
  );
  const prepared = Array.from({ length: 4000 }, (_, i) => {
    const vehicle = vehicles[i % VEHICLES] as TestVehicle;
    return { did: vehicle.did, bytes: vehicle.presentation(model.hello(vehicle.did, now), now).message };
  });
  const ms: number[] = [];
  for (const { did, bytes } of prepared) {
    const began = performance.now();
    const { reason } = model.decide(did, bytes, now);
    ms.push(performance.now() - began);
    if (reason !== 'OK') throw new Error(`a good vehicle was refused: ${reason}`);
  }
  const measured = ms.slice(1000); // warm
  return { rate: measured.length / (measured.reduce((sum, m) => sum + m, 0) / 1000), ...percentiles(measured) };
}

/** One vehicle on its own connection. */
class Visitor {
  readonly vehicle: TestVehicle;
  readonly #client: MqttClient;
  #heard: ((bytes: Buffer) => void) | undefined;

  constructor(vehicle: TestVehicle, client: MqttClient) {
    this.vehicle = vehicle;
    this.#client = client;
    client.on('message', (_, bytes) => this.#heard?.(bytes));
  }

  static async come(url: string, vehicle: TestVehicle): Promise<Visitor> {
    const client = await mqtt.connectAsync(url, {
      username: vehicle.did,
      password: jwtOf(vehicle, ORIGIN),
      clientId: vehicle.did.slice(-12),
      reconnectPeriod: 0,
      protocolVersion: 4,
    });
    await client.subscribeAsync(`check/${vehicle.did}/#`, { qos: 1 });
    return new Visitor(vehicle, client);
  }

  #ask(what: 'hello' | 'presentation', bytes: Uint8Array): Promise<Buffer> {
    const heard = new Promise<Buffer>((resolve) => {
      this.#heard = resolve;
    });
    this.#client.publish(`check/${this.vehicle.did}/${what}`, Buffer.from(bytes), { qos: 1 });
    return heard;
  }

  /** From the presentation to the decision, and from the hello. */
  async pass(): Promise<{ decision: number; whole: number }> {
    const began = performance.now();
    const challenge: Challenge = decodeChallenge(await this.#ask('hello', HELLO));
    const { message } = this.vehicle.presentation(challenge, Date.now());
    const presented = performance.now();
    const { reason } = decodeDecision(await this.#ask('presentation', message));
    if (reason !== 'OK') throw new Error(`a good vehicle was refused: ${reason}`);
    return { decision: performance.now() - presented, whole: performance.now() - began };
  }

  leave(): Promise<void> {
    return this.#client.endAsync(true);
  }
}

/** Each visitor passes `times`, once in `everyMs`, or as soon as it has passed. */
async function load(visitors: readonly Visitor[], times: number, everyMs: number) {
  const decision: number[] = [];
  const whole: number[] = [];
  const started = performance.now();
  await Promise.all(
    visitors.map(async (visitor, i) => {
      const first = started + (everyMs * i) / visitors.length;
      for (let n = 0; n < times; n++) {
        const wait = first + n * everyMs - performance.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        const took = await visitor.pass();
        decision.push(took.decision);
        whole.push(took.whole);
      }
    }),
  );
  const rate = decision.length / ((performance.now() - started) / 1000);
  return { rate, decision: percentiles(decision), whole: percentiles(whole) };
}

export async function benchChecks(bench: Bench): Promise<void> {
  const limit = verifyRate(2);
  bench.row('Ed25519 verify, one thread (the limit)', `${Math.round(limit)}/s`);
  const pure = inProcess();
  bench.row('decisions in-process, three signatures each', `${Math.round(pure.rate)}/s`, {
    'of the verify limit, a signature each': ratio((pure.rate * SIGNATURES) / limit),
  });
  bench.row('one decision in-process', shown(pure));

  const city = new TestCity();
  const folder = makeBenchFolder();
  appendFileSync(
    folder.config,
    `clock: {source: synced}\nlog: {origin: ${ORIGIN}}\nchecks: ${JSON.stringify({ cityDid: city.did, gates: [NORTH], maxRate: 1000 })}\n`,
  );
  const gateway = await startBenchGateway(folder);
  try {
    const { did } = (await (await fetch(`${gateway.http}/health`)).json()) as { did: string };
    const answer = await fetch(`${gateway.http}/checks/bundle`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.token}`, 'content-type': 'application/json' },
      body: Buffer.from(city.bundle([did], Date.now())),
    });
    if (answer.status !== 200) throw new Error(await answer.text());
    const visitors = await Promise.all(
      Array.from({ length: VEHICLES }, (_, i) =>
        Visitor.come(gateway.mqtt, new TestVehicle(city, `m${i}`, Date.now(), { registration: `m${i}` })),
      ),
    );
    await load(visitors, 20, 0); // warm
    const paced = await load(visitors, 20, 1000);
    bench.row(`decision over MQTT, on disk, at ${VEHICLES}/s`, shown(paced.decision), {
      'of 50 ms (p99)': ratio(paced.decision.p99 / 50, 1, 'most'),
      'times in-process (p50)': ratio(paced.decision.p50 / pure.p50),
    });
    bench.row(`from hello to decision, at ${VEHICLES}/s`, shown(paced.whole));
    const full = await load(visitors, 100, 0);
    bench.row(`decisions over MQTT, ${VEHICLES} vehicles without a pause`, `${Math.round(full.rate)}/s`, {
      'of in-process': ratio(full.rate / pure.rate),
    });
    bench.row('one of them', shown(full.decision), { 'of 50 ms (p99)': ratio(full.decision.p99 / 50) });
    await Promise.all(visitors.map((v) => v.leave()));
  } finally {
    await gateway.stop();
  }
}
