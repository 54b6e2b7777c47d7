/**
 * A vehicle's line to a gate: it logs in with a pseudonym, asks for a challenge, and hears what comes back. What it
 * hears is bytes: believing them is not done here.
 */
import mqtt, { type MqttClient } from 'mqtt';
import type { Signer } from '../../edge/wire/vc/proof.ts';
import { loginToken } from '../login.ts';

type Kind = 'challenge' | 'decision' | 'error';
const KINDS: readonly Kind[] = ['challenge', 'decision', 'error'];

const ANSWER_MS = 10_000;

/** The gateway said no before there was a challenge: off, busy, no bundle, no such gate. */
export class GateRefusal extends Error {
  readonly code: string;
  constructor(code: string, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

export class Line {
  readonly #client: MqttClient;
  readonly #did: string;
  readonly #heard: Record<Kind, Uint8Array[]> = { challenge: [], decision: [], error: [] };
  #wake: () => void = () => {};
  #lost: Error | undefined;

  private constructor(client: MqttClient, did: string) {
    this.#client = client;
    this.#did = did;
    client.on('message', (topic, payload) => {
      const kind = KINDS.find((k) => topic === `check/${did}/${k}`);
      if (!kind) return;
      this.#heard[kind].push(payload);
      this.#wake();
    });
    const lose = (error: Error): void => {
      this.#lost ??= error;
      this.#wake();
    };
    client.on('close', () => lose(new Error('the gateway closed the line')));
    client.on('error', lose);
  }

  /** @param origin that the login is for */
  static async open(url: string, origin: string, { did, sign }: Signer): Promise<Line> {
    const client = await mqtt.connectAsync(url, {
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: ANSWER_MS,
      clientId: did.slice(-16),
      username: did,
      password: loginToken(did, origin, sign),
    });
    const line = new Line(client, did);
    await client.subscribeAsync(
      KINDS.map((kind) => `check/${did}/${kind}`),
      { qos: 1 },
    );
    return line;
  }

  async send(what: 'hello' | 'presentation', bytes: Uint8Array): Promise<void> {
    await this.#client.publishAsync(`check/${this.#did}/${what}`, Buffer.from(bytes), { qos: 1 });
  }

  /** @throws GateRefusal where the gateway says why there is none */
  async next(kind: 'challenge' | 'decision'): Promise<Uint8Array> {
    const late = Date.now() + ANSWER_MS;
    for (;;) {
      const bytes = this.#heard[kind].shift();
      if (bytes) return bytes;
      const error = this.#heard.error.shift();
      if (error) throw refusalOf(error);
      if (this.#lost) throw this.#lost;
      const left = late - Date.now();
      if (left <= 0) throw new Error(`no ${kind} came in ${ANSWER_MS / 1000} s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async close(): Promise<void> {
    await this.#client.endAsync(true).catch(() => undefined);
  }
}

function refusalOf(bytes: Uint8Array): GateRefusal {
  try {
    const { code, detail } = JSON.parse(Buffer.from(bytes.subarray(0, 4096)).toString('utf8')) as Record<
      string,
      unknown
    >;
    return new GateRefusal(String(code), String(detail));
  } catch {
    return new GateRefusal('no code', 'an error that cannot be read');
  }
}
