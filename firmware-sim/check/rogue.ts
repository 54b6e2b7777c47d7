/**
 * A rogue roadside unit: a broker of its own that takes every login and answers each hello with a challenge, as good as
 * it can be made without the city's key. It keeps all that it hears.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { Aedes } from 'aedes';
import { decodeHello, encodeMessage, nonceText, signChallenge } from '../../edge/wire/vc/check.ts';
import { type GatewayCredential, issueGatewayCredential } from '../../edge/wire/vc/credential.ts';
import type { Signer } from '../../edge/wire/vc/proof.ts';
import { timeText } from '../../edge/wire/vc/shape.ts';
import { didOf, makeSigner, newSecretKey } from '../signer.ts';

const HOUR_MS = 3_600_000;

export class RogueGate {
  readonly #broker: Aedes;
  readonly #server: Server;
  readonly #self: Signer;
  /** Topics and sizes of what vehicles said after their login. */
  readonly heard: { topic: string; bytes: number }[] = [];
  /** User names of the logins. */
  readonly logins: string[] = [];

  private constructor(broker: Aedes) {
    const key = { keyType: 'Ed25519' as const, secretKey: newSecretKey('Ed25519') };
    this.#self = { did: didOf(key), sign: makeSigner(key) };
    this.#broker = broker;
    this.#server = createServer(broker.handle);
  }

  /** @param stolen a credential of a real gateway, which everybody can read in a bundle; without it, one of its own */
  static async start(origin: string, zone: string, stolen?: GatewayCredential): Promise<RogueGate> {
    const rogue = new RogueGate(await Aedes.createBroker());
    const { logins, heard } = rogue;
    rogue.#broker.authenticate = (_client, username, _password, done) => {
      logins.push(username ?? '');
      done(null, true);
    };
    rogue.#broker.on('publish', ({ topic, payload }, client) => {
      if (!client) return;
      heard.push({ topic, bytes: payload.length });
      const [, did, what] = topic.split('/');
      if (what === 'hello')
        rogue.#broker.publish(
          {
            cmd: 'publish',
            topic: `check/${did}/challenge`,
            payload: Buffer.from(rogue.#challenge(Buffer.from(payload), origin, zone, stolen)),
            qos: 0,
            dup: false,
            retain: false,
          },
          () => {},
        );
    });
    rogue.#server.listen(0, '127.0.0.1');
    await once(rogue.#server, 'listening');
    return rogue;
  }

  /** It is its own city. */
  get did(): string {
    return this.#self.did;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  #challenge(hello: Uint8Array, origin: string, zone: string, stolen?: GatewayCredential): Uint8Array {
    const now = Date.now();
    const { did } = this.#self;
    const credential =
      stolen ??
      issueGatewayCredential(
        {
          id: `urn:uuid:${randomUUID()}`,
          validFrom: timeText(now - HOUR_MS),
          validUntil: timeText(now + HOUR_MS),
          credentialSubject: { id: did, origin, zones: [zone] },
        },
        this.#self,
        timeText(now),
      );
    const challenge = signChallenge(
      {
        id: `urn:uuid:${randomUUID()}`,
        from: credential.credentialSubject.id,
        credential,
        nonce: nonceText(randomBytes(32)),
        zone,
        ...decodeHello(hello),
        created: timeText(now),
        expires: timeText(now + 10_000),
        bundleVersion: 1,
      },
      this.#self,
    );
    return encodeMessage(challenge);
  }

  async stop(): Promise<void> {
    this.#server.close();
    await new Promise<void>((resolve) => this.#broker.close(() => resolve()));
  }
}
