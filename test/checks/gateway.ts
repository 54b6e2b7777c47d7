/** A real gateway that checks vehicles, and a vehicle on a real connection to it. */
import type { MqttClient } from 'mqtt';
import type { Config } from '../../edge/config.ts';
import type { Reason } from '../../edge/wire/vc/check.ts';
import { type Challenge, type Decision, decodeChallenge, decodeDecision } from '../../edge/wire/vc/check.ts';
import { connectMqtt, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { GATES, jwtOf, type TestCity, type TestVehicle } from './rig.ts';

/** With a first bundle, brought by the operator. */
export async function startGates(
  city: TestCity,
  over: Partial<Config['checks']> & { dataFolder?: string; bundle?: boolean } = {},
): Promise<TestGateway> {
  const { dataFolder, bundle = true, ...checks } = over;
  const gateway = await startTestGateway({
    ...(dataFolder === undefined ? {} : { dataFolder }),
    clock: { source: 'synced' },
    checks: { cityDid: city.did, gates: GATES as Config['checks']['gates'], ...checks },
  });
  if (bundle) {
    const { status, text } = await offerBundle(gateway, city.bundle([gateway.info.did], Date.now()));
    if (status !== 200) throw new Error(text);
  }
  return gateway;
}

export async function offerBundle(
  gateway: TestGateway,
  bytes: Uint8Array,
): Promise<{ status: number; code?: string; text: string }> {
  const answer = await fetch(`${gateway.info.http}/checks/bundle`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await gateway.token('operator')}`, 'content-type': 'application/json' },
    body: Buffer.from(bytes),
  });
  const text = await answer.text();
  const { code } = JSON.parse(text) as { code?: string };
  return { status: answer.status, text, ...(code === undefined ? {} : { code }) };
}

type Answer = { topic: string; bytes: Buffer };

export class Link {
  readonly vehicle: TestVehicle;
  readonly client: MqttClient;
  readonly #come: Answer[] = [];
  readonly #waiting: ((answer: Answer) => void)[] = [];

  private constructor(vehicle: TestVehicle, client: MqttClient) {
    this.vehicle = vehicle;
    this.client = client;
    client.on('message', (topic, bytes) => {
      const waiter = this.#waiting.shift();
      if (waiter) waiter({ topic, bytes });
      else this.#come.push({ topic, bytes });
    });
  }

  static async open(gateway: TestGateway, vehicle: TestVehicle): Promise<Link> {
    const client = await connectMqtt(gateway, vehicle.did, jwtOf(vehicle, gateway.info.origin));
    await client.subscribeAsync(`check/${vehicle.did}/#`, { qos: 1 });
    return new Link(vehicle, client);
  }

  /** The next message to this vehicle; of this kind, or the test is over. */
  async next(kind: 'challenge' | 'decision' | 'error'): Promise<Buffer> {
    const { topic, bytes } =
      this.#come.shift() ?? (await new Promise<Answer>((resolve) => this.#waiting.push(resolve)));
    if (topic !== `check/${this.vehicle.did}/${kind}`) throw new Error(`${topic}: ${bytes}`);
    return bytes;
  }

  get silent(): boolean {
    return this.#come.length === 0;
  }

  send(what: 'hello' | 'presentation', bytes: Uint8Array): Promise<unknown> {
    return this.client.publishAsync(`check/${this.vehicle.did}/${what}`, Buffer.from(bytes), { qos: 1 });
  }

  async hello(gate = 'north', purpose = 'entry'): Promise<Challenge> {
    await this.send('hello', Buffer.from(JSON.stringify({ gate, purpose })));
    return decodeChallenge(await this.next('challenge'));
  }

  async present(message: Uint8Array): Promise<Decision> {
    await this.send('presentation', message);
    return decodeDecision(await this.next('decision'));
  }

  /** From hello to decision. */
  async pass(
    gate = 'north',
    over: Parameters<TestVehicle['presentation']>[2] = {},
  ): Promise<{ challenge: Challenge; message: Uint8Array; decision: Decision; reason: Reason }> {
    const challenge = await this.hello(gate);
    const { message } = this.vehicle.presentation(challenge, Date.now(), over);
    const decision = await this.present(message);
    return { challenge, message, decision, reason: decision.reason };
  }
}
