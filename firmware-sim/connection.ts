/**
 * A device's line to its gateway. Each connection is a fresh mqtt.js client that never reconnects by itself: its own
 * store would resend what it holds beside what the buffer sends, and out of order. Back-off and order are ours.
 */
import mqtt, { type MqttClient } from 'mqtt';

export type Session = {
  /** @param done called once: true for a PUBACK, false where the connection went first */
  publish(bytes: Uint8Array, again: boolean, done: (acked: boolean) => void): void;
};

export type ConnectionOptions = {
  url: string;
  did: string;
  /** Called for each connection. */
  password: () => string;
  random: () => number;
  onUp: (session: Session) => void;
  /** @param why of the connection that ended, or was not made */
  onDown: (why: string) => void;
  onMessage: (topic: 'error' | 'receipt', payload: Uint8Array) => void;
};

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5000;
const KEEPALIVE_SECONDS = 20;
const CONNECT_TIMEOUT_MS = 10_000;
/** A DISCONNECT that cannot be sent in this time is not waited for. */
const FAREWELL_MS = 300;

export class Connection {
  readonly #o: ConnectionOptions;
  #wanted = false;
  #client: MqttClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #isUp = false;

  constructor(options: ConnectionOptions) {
    this.#o = options;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#dial();
  }

  /** The gateway takes what is sent: the next break in the line is a new one. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** Leave as a power cut does: no DISCONNECT. */
  cut(): void {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const client = this.#client;
    if (client) this.#drop(client, 'cut');
  }

  async stop(): Promise<void> {
    const client = this.#client;
    if (client?.connected && this.#wanted) {
      this.#wanted = false;
      await new Promise<void>((resolve) => {
        const enough = setTimeout(resolve, FAREWELL_MS);
        // It waits for publishes that are under way, as long as it is let.
        client.end(false, {}, () => {
          clearTimeout(enough);
          resolve();
        });
      });
    }
    this.cut();
  }

  #dial(): void {
    const { url, did, password } = this.#o;
    const client = mqtt.connect(url, {
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      keepalive: KEEPALIVE_SECONDS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      clientId: did.slice(-16),
      username: did,
      password: password(),
    });
    this.#client = client;
    let why = 'the connection was closed';
    client.on('error', (error) => {
      why = reason(error);
      this.#drop(client, why);
    });
    client.on('close', () => this.#drop(client, why));
    client.on('connect', () => this.#up(client));
    client.on('message', (topic, payload) => {
      if (client !== this.#client) return;
      if (topic === `down/${did}/error`) this.#o.onMessage('error', payload);
      else if (topic === `down/${did}/receipt`) this.#o.onMessage('receipt', payload);
    });
  }

  #up(client: MqttClient): void {
    if (client !== this.#client) return;
    const { did, onUp } = this.#o;
    this.#isUp = true;
    client.subscribe([`down/${did}/error`, `down/${did}/receipt`], { qos: 1 }, (error) => {
      // 0x80 in the SUBACK: the gateway will not tell what it refuses. Worth a new try, not worth silence.
      if (error) this.#drop(client, `subscribing failed: ${error.message}`);
    });
    const topic = `up/${did}/cose`;
    onUp({
      publish: (bytes, again, done) =>
        client.publish(topic, bytes as Buffer, { qos: 1, dup: again }, (error) => {
          // A client that fails one publish is not trusted with the next: it would take it out of order.
          if (error) this.#drop(client, error.message);
          done(!error);
        }),
    });
  }

  /** Once per client; whatever it still does afterwards is no concern of ours. */
  #drop(client: MqttClient, why: string): void {
    if (client !== this.#client) return;
    this.#client = undefined;
    this.#isUp = false;
    // Before the client goes: it fails what is under way, and nobody may hand it something new then.
    this.#o.onDown(why);
    client.end(true);
    client.stream?.destroy();
    if (!this.#wanted) return;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#failures++, 10));
    this.#timer = setTimeout(() => this.#dial(), wait * (0.5 + 0.5 * this.#o.random()));
  }
}

/** ECONNREFUSED and the like where there is one; Node tries several addresses and wraps what each of them said. */
function reason(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const { code, message } = first as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : message;
}
