/** A real gateway in this process, on free ports and a temp folder, and devices to speak to it. */
import { createHash } from 'node:crypto';
import mqtt, { type MqttClient } from 'mqtt';
import { type Config, makeConfig } from '../../edge/config.ts';
import { type Gateway, startGateway } from '../../edge/gateway.ts';
import type { Role } from '../../edge/tokens.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { type KeyType, VERIFIERS } from '../../edge/wire/keys.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { didOf, fastSigner, makeSigner, type Sign } from '../../firmware-sim/signer.ts';
import { onTestFinished } from './ends.ts';
import { tempFolder } from './temp.ts';
import { type WholeTruth, wholeTruth } from './whole-truth.ts';

export type TestGateway = Gateway & {
  config: Config;
  /** Everything it reported. */
  lines: string[];
  /** Close it, and check the whole truth of what it leaves behind. Idempotent. */
  finish: (options?: { verifyOneIn?: number }) => Promise<WholeTruth>;
  token: (role: Role) => Promise<string>;
  /** GET or POST with an operator's token; answers status, headers and the parsed body. */
  api: (
    path: string,
    init?: { method?: string; body?: unknown; token?: string | null },
  ) => Promise<{ status: number; headers: Headers; body: never; text: string }>;
};

type Part<T> = { [K in keyof T]?: T[K] extends object ? Part<T[K]> : T[K] };

export async function startTestGateway(values: Part<Config> = {}): Promise<TestGateway> {
  const config = makeConfig({
    dataFolder: tempFolder(),
    ...values,
    mqtt: { port: 0, ...values.mqtt },
    http: { port: 0, ...values.http },
    chain: { mode: 'none', ...values.chain },
    log: { checkpointSeconds: 0.2, ...values.log },
  });
  const lines: string[] = [];
  const gateway = await startGateway(config, 'test', (line, level) => void (level !== 'debug' && lines.push(line)));
  let truth: Promise<WholeTruth> | undefined;
  const finish: TestGateway['finish'] = (options) => {
    truth ??= gateway.close().then(() => wholeTruth(config.dataFolder, options));
    return truth;
  };
  onTestFinished(async () => {
    await finish().catch(() => undefined); // a test that cares has called it
  });
  const token = (role: Role): Promise<string> => gateway.parts.tokens.issue({ name: `test ${role}`, role }, 600);
  const operator = await token('operator');
  return {
    ...gateway,
    config,
    lines,
    finish,
    token,
    api: async (path, { method = 'GET', body, token: bearer = operator } = {}) => {
      const answer = await fetch(gateway.info.http + path, {
        method,
        headers: {
          ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const json = /json/.test(answer.headers.get('content-type') ?? '');
      return {
        status: answer.status,
        headers: answer.headers,
        body: (json ? JSON.parse(text) : undefined) as never,
        text,
      };
    },
  };
}

/** A device that holds its key. */
export class TestDevice {
  readonly keyType: KeyType;
  readonly secretKey: Uint8Array;
  readonly did: string;
  readonly sub: string;
  readonly kind: string;
  /** OpenSSL signs ten times as fast as the noble libraries, which wholeTruth verifies with. */
  readonly #sign: Sign;
  epoch = 1;
  seq = 0;

  constructor(name: string, kind = 'meter', keyType: KeyType = 'Ed25519') {
    this.keyType = keyType;
    this.secretKey = new Uint8Array(createHash('sha256').update(`test device ${name}`).digest());
    this.#sign = fastSigner(this);
    this.did = didOf(this);
    this.sub = `urn:sejong:mp:${name}`;
    this.kind = kind;
  }

  async enrol(gateway: TestGateway): Promise<this> {
    const { did, sub, kind } = this;
    // Not over the API, which would put an entry about it into the log.
    await gateway.parts.devices.enrol({ did, sub, kind, custody: 'device' }, Date.now());
    return this;
  }

  records(value = 1000 + this.seq): SenmlRecord[] {
    return this.kind === 'sensor' ? [{ n: 'temperature', u: 'Cel', v: 21.5 }] : [{ n: '1-0:1.8.0', u: 'Wh', v: value }];
  }

  /** The next envelope; `over` changes what it claims. */
  envelope(
    over: {
      epoch?: number;
      seq?: number;
      iss?: string;
      sub?: string;
      iat?: number;
      records?: SenmlRecord[];
      alg?: number;
      secretKey?: Uint8Array;
    } = {},
  ): Uint8Array {
    const claims = {
      iss: over.iss ?? this.did,
      sub: over.sub ?? this.sub,
      iat: over.iat ?? 1_790_000_000,
      epoch: over.epoch ?? this.epoch,
      seq: over.seq ?? this.seq++,
      ...(over.alg === undefined ? {} : { alg: over.alg }),
    };
    const { keyType } = this;
    const sign = over.secretKey ? makeSigner({ keyType, secretKey: over.secretKey }) : this.#sign;
    return encodeEnvelope(claims, over.records ?? this.records(), (signed) => new Uint8Array(sign(signed)));
  }

  jwt(origin: string, over: Record<string, unknown> = {}, alg = VERIFIERS[this.keyType].jwsAlgs[0]): string {
    const now = Math.floor(Date.now() / 1000);
    const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const head = `${b64({ alg, typ: 'JWT' })}.${b64({ sub: this.did, aud: origin, iat: now, exp: now + 300, ...over })}`;
    return `${head}.${Buffer.from(this.#sign(Buffer.from(head))).toString('base64url')}`;
  }

  /** Connects and logs in; the connection ends with the test. */
  async connect(gateway: TestGateway, over: { password?: string; clientId?: string } = {}): Promise<MqttClient> {
    return connectMqtt(gateway, this.did, over.password ?? this.jwt(gateway.info.origin), over.clientId);
  }

  publish(client: MqttClient, envelope: Uint8Array): Promise<unknown> {
    return client.publishAsync(`up/${this.did}/cose`, Buffer.from(envelope), { qos: 1 });
  }
}

export async function connectMqtt(
  gateway: { info: { mqtt: string } },
  username: string,
  password: string,
  clientId = `test-${Math.random()}`,
): Promise<MqttClient> {
  const client = await mqtt.connectAsync(gateway.info.mqtt, {
    username,
    password,
    clientId,
    reconnectPeriod: 0,
    protocolVersion: 4,
  });
  onTestFinished(async () => {
    await client.endAsync(true).catch(() => undefined);
  });
  return client;
}
