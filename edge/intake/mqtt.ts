/**
 * The MQTT broker: everything that is particular to aedes is in this file. MQTT 3.1.1 only; a CONNECT of another
 * version gets return code 1.
 *
 * QoS 1 is what devices are asked for. QoS 2 works: its PUBREC means what a PUBACK means, and accept knows bytes
 * that come again, so the second half of its handshake has nothing left to protect. QoS 0 is taken, without an answer.
 *
 * aedes acknowledges before it calls publish handlers, so the commit sits in `authorizePublish`, which runs before
 * the PUBACK; the next read of that socket waits for it. Sessions are never kept over a connection: envelopes are
 * durable before their PUBACK, and what goes down to a device can be read again over HTTP.
 */
import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { Aedes, type Client } from 'aedes';
import type { Cap, Caps } from '../caps.ts';
import { EdgeError, errorLine } from '../errors.ts';
import type { Person } from '../tokens.ts';
import type { Outcome } from './accept.ts';
import { Buckets } from './buckets.ts';
import { Lines } from './lines.ts';
import { Listeners, type ListenOptions } from './listeners.ts';
import type { Caller } from './login-guard.ts';
import { guardParser, type PacketParser } from './parser-guard.ts';
import { inwardOf, isInward, type Login, maySubscribe, nameOf } from './topics.ts';

/** Caps that can be others while connections are open; each counts from then on, and none is closed for it. */
export type MqttLimits = {
  maxConnections: number;
  maxConnectionsPerUser: number;
  maxKeepAliveSeconds: number;
  maxConnectBytes: number;
  maxPacketBytes: number;
  maxUnreadBytes: number;
  maxDeviceRate: number;
};

/** The mqtt section of the config, and what the broker hands on to. */
export type MqttOptions = Pick<ListenOptions, 'host' | 'port' | 'tls'> &
  MqttLimits & {
    connectTimeoutSeconds: number;
    maxTopicLevels: number;
    maxPacketsBeforeLogin: number;
    maxInflight: number;
    caps: Caps;
    /** Answers who it is. @throws EdgeError; where its `act` is retry the client is told to try later */
    login: (user: string, password: string, caller: Caller) => Promise<Login>;
    /** @throws EdgeError when nothing is durable */
    offerEnvelope: (did: string, topic: string, bytes: Uint8Array) => Promise<Outcome>;
    offerSenml: (did: string, topic: string, bytes: Uint8Array, resent: boolean) => Promise<Outcome>;
    /** Vehicle checks; undefined where there are none. Answers on topics, and never throws. */
    offerCheck?: ((did: string, what: 'hello' | 'presentation', bytes: Uint8Array) => Promise<void>) | undefined;
    /** Connections at once of vehicles that are not enrolled. */
    maxStrangers: number;
    report: (line: string) => void;
  };

const PRINTABLE = /^[\x20-\x7e]{0,256}$/;
const NOTHING = Buffer.alloc(0);
/** What aedes says when it closes a connection for a cap of ours. */
const CAPS_OF_AEDES: readonly [RegExp, Cap][] = [
  [/connect did not arrive in time/, 'mqtt.connectTimeoutSeconds'],
  [/queue limit reached/, 'mqtt.maxPacketsBeforeLogin'],
  [/maxInflightInbound/, 'mqtt.maxInflight'],
  [/too many levels/, 'mqtt.maxTopicLevels'],
];

type Guest = { did?: string | undefined; login?: Login; shorterKeepAlive?: boolean };

// The codec of aedes. It would keep a Buffer for each number there is, 11 MB, to save the making of a few.
const { writeToStream } = createRequire(createRequire(import.meta.url).resolve('aedes'))('mqtt-packet') as {
  writeToStream: { cacheNumbers: boolean };
};
writeToStream.cacheNumbers = false;

class Broker extends Aedes {
  // After intake there is nothing left to do for these packets.
  override publish(...args: unknown[]): void {
    const [packet, client, done] = args as [Publish, Client | null, (() => void) | undefined];
    if (typeof done === 'function' && client && isInward(packet.topic)) done();
    else (super.publish as (...a: unknown[]) => void)(...args);
  }
}

export class MqttIntake {
  readonly #o: MqttOptions;
  #broker: Broker | undefined;
  #listeners: Listeners | undefined;
  #stopping = false;
  readonly #guests = new WeakMap<Client, Guest>();
  /**
   * All whose sockets are open, and those of them that have logged in, by client id. aedes knows none before its
   * login, and loses count when ids are taken over in a hurry.
   */
  readonly #clients = new Set<Client>();
  readonly #connected = new Map<string, Client>();
  readonly #connectionsByUser = new Map<string, number>();
  /** By DID, and kept when the device leaves: who comes back is not a new one. */
  readonly #rates: Buckets;
  readonly #lines: Lines;
  /** Connections of vehicles that are not enrolled. */
  strangers = 0;
  #liveSubscribers = 0;
  /** Devices that have asked for their receipts, by connection. */
  readonly #receiptReaders = new Map<Client, string>();
  /** Counts since start, for metrics. */
  readonly counts = {
    connections: 0,
    logins: 0,
    loginsRefused: 0,
    malformed: 0,
    forbidden: 0,
    undelivered: 0,
    keepAliveTimeouts: 0,
    throttledMs: 0,
    handshakesFailed: 0,
  };

  constructor(options: MqttOptions) {
    this.#o = { ...options };
    this.#rates = new Buckets(options.maxDeviceRate, options.maxDeviceRate);
    this.#lines = new Lines((line) => options.report(`mqtt: ${line}`));
  }

  limit(limits: MqttLimits): void {
    const { maxConnections, maxConnectionsPerUser, maxKeepAliveSeconds } = limits;
    const { maxConnectBytes, maxPacketBytes, maxUnreadBytes, maxDeviceRate } = limits;
    Object.assign(this.#o, {
      ...{ maxConnections, maxConnectionsPerUser, maxKeepAliveSeconds },
      ...{ maxConnectBytes, maxPacketBytes, maxUnreadBytes, maxDeviceRate },
    });
    this.#rates.setRate(maxDeviceRate, maxDeviceRate);
    this.#listeners?.share();
  }

  /** @throws EdgeError PORT_TAKEN */
  async start(): Promise<{ port: number; tlsPort?: number }> {
    const broker = new Broker({
      connectTimeout: this.#o.connectTimeoutSeconds * 1000,
      maxTopicLevels: this.#o.maxTopicLevels,
      queueLimit: this.#o.maxPacketsBeforeLogin,
      maxInflightInbound: this.#o.maxInflight,
      preConnect: (client, packet, done) => this.#preConnect(client, packet, done),
      authenticate: (client, user, password, done) => {
        this.#login(client, user ?? '', password?.toString('utf8') ?? '').then(
          () => done(null, true),
          (error: Error) => {
            if (!client.closed) {
              this.counts.loginsRefused++;
              this.#say(errorLine(error));
            }
            // [MQTT-3.2.2-4]: 3 is "try later", 5 "not authorized".
            const returnCode = error instanceof EdgeError && error.act === 'retry' ? 3 : 5;
            done(Object.assign(error, { returnCode: returnCode as never }), false);
          },
        );
      },
      authorizePublish: (client, packet, done) => {
        this.#publish(client, packet).then(
          () => done(null),
          (error: Error) => done(error),
        );
      },
      authorizeSubscribe: (client, subscription, done) => {
        const login = client ? this.#guests.get(client)?.login : undefined;
        const allowed = maySubscribe(login, subscription.topic, this.#o.offerCheck !== undefined);
        if (!allowed) {
          this.counts.forbidden++;
          const what = `${this.#name(client)} subscribing ${JSON.stringify(subscription.topic.slice(0, 100))}`;
          this.#say(new EdgeError('TOPIC_FORBIDDEN', what).line);
        }
        done(null, allowed ? subscription : null);
      },
      authorizeForward: (client, packet) => {
        if ((client.conn as Socket).writableLength <= this.#o.maxUnreadBytes) return packet;
        this.counts.undelivered++;
        this.#o.caps.hit('mqtt.maxUnreadBytes');
        return null as never;
      },
    });
    broker.on('connectionError', (client, error) => this.#malformed(client, error));
    broker.on('clientError', (client, error) => this.#malformed(client, error));
    broker.on('subscribe', (_, client) => this.#countReaders(client));
    broker.on('unsubscribe', (_, client) => this.#countReaders(client));
    broker.on('keepaliveTimeout', (client) => {
      this.counts.keepAliveTimeouts++;
      if (this.#guests.get(client)?.shorterKeepAlive) this.#o.caps.hit('mqtt.maxKeepAliveSeconds');
    });
    // Among others: a will refused that aedes takes for left over. Without a listener it would end the process.
    (broker as EventEmitter).on('error', (error: Error) => this.#say(errorLine(error)));
    await broker.listen();
    this.#broker = broker;
    this.#listeners = new Listeners({
      ...this.#o,
      maxConnections: () => this.#o.maxConnections,
      connect: (socket, did) => this.#connect(socket, did),
      onHandshakeFailed: (address, why) => {
        this.counts.handshakesFailed++;
        this.#say(`no TLS with ${address}: ${why}`);
      },
    });
    try {
      return await this.#listeners.start();
    } catch (error) {
      broker.close();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const broker = this.#broker;
    if (!broker) return;
    this.#stopping = true;
    await this.#listeners?.stop(() => {
      for (const client of this.#clients) client.close();
    });
    await new Promise<void>((resolve) => broker.close(() => resolve()));
  }

  #connect(socket: Socket, did: string | undefined): void {
    this.counts.connections++;
    socket.setNoDelay(true);
    const broker = this.#broker as Broker;
    const client = broker.handle(socket);
    this.#guests.set(client, { did });
    this.#clients.add(client);
    socket.once('close', () => this.#left(client));
    guardParser((client as unknown as { _parser: PacketParser })._parser, (length) => this.#tooLong(client, length));
    dontWaitForReader(client);
  }

  /** Before its login a connection may send no more than a CONNECT. */
  #tooLong(client: Client, length: number): string | undefined {
    const cap = this.#guests.get(client)?.login ? 'maxPacketBytes' : 'maxConnectBytes';
    if (length <= this.#o[cap]) return undefined;
    this.#o.caps.hit(`mqtt.${cap}`);
    return `a packet of ${length} bytes, the cap is ${this.#o[cap]} (mqtt.${cap})`;
  }

  #preConnect(client: Client, packet: ConnectPacket, done: (error: Error | null, go: boolean) => void): void {
    // Whatever else is wrong, a client of another version must learn that this is why: aedes answers 1 to 5.
    if (packet.protocolVersion !== 4) {
      packet.protocolVersion = 5;
      done(null, true);
      return;
    }
    const user = packet.username || (this.#guests.get(client)?.did ?? '');
    const { will } = packet;
    const flaw = !PRINTABLE.test(packet.clientId ?? '')
      ? 'the client id is not printable ASCII of at most 256 characters'
      : !PRINTABLE.test(user)
        ? 'the user name is not printable ASCII of at most 256 characters'
        : will !== undefined && !will.topic.startsWith(`up/${user}/`)
          ? 'a will outside up/{did}/'
          : will?.qos === 3
            ? 'a will of QoS 3'
            : undefined;
    if (flaw !== undefined) {
      done(new EdgeError('PACKET_INVALID', flaw), false);
      return;
    }
    packet.clientId ||= `anonymous-${randomUUID()}`;
    packet.clean = true; // no session outlives its connection
    // Section 3.1.2.10 lets a server close what it finds inactive, whatever the client stated.
    const most = this.#o.maxKeepAliveSeconds;
    if (!packet.keepalive || packet.keepalive > most) {
      packet.keepalive = most;
      (this.#guests.get(client) as Guest).shorterKeepAlive = true;
    }
    done(null, true);
  }

  async #login(client: Client, user: string, password: string): Promise<void> {
    const guest = this.#guests.get(client) as Guest;
    const login = await this.#o.login(user, password, {
      address: (client.conn as Socket).remoteAddress ?? '',
      did: guest.did,
      gone: () => client.closed,
    });
    const who = nameOf(login);
    // Client ids live in the name space of their user, so that nobody can close another's connection by taking its id.
    const id = `${who} ${client.id}`;
    const open = this.#connectionsByUser.get(who) ?? 0;
    const replaced = this.#connected.get(id);
    if (open - (replaced ? 1 : 0) >= this.#o.maxConnectionsPerUser) {
      this.#o.caps.hit('mqtt.maxConnectionsPerUser');
      throw new EdgeError(
        'LOGIN_FAILED',
        `${who} has ${open} connections open, the cap is ${this.#o.maxConnectionsPerUser}`,
      );
    }
    if (login.kind === 'vehicle' && this.strangers - (replaced ? 1 : 0) >= this.#o.maxStrangers) {
      this.#o.caps.hit('checks.maxStrangers');
      throw new EdgeError('CHECKS_BUSY', `${this.strangers} vehicles are connected (checks.maxStrangers)`);
    }
    if (client.closed) throw new Error('connection closed');
    replaced?.close(); // [MQTT-3.1.4-2]
    if (login.kind === 'vehicle') this.strangers++;
    (client as { id: string }).id = id;
    guest.login = login;
    this.#connected.set(id, client);
    this.#connectionsByUser.set(who, open + 1);
    this.counts.logins++;
  }

  #left(client: Client): void {
    this.#clients.delete(client);
    this.#receiptReaders.delete(client);
    const login = this.#guests.get(client)?.login; // which stays: a will may come after it
    if (!login) return;
    if (this.#connected.get(client.id) === client) this.#connected.delete(client.id);
    const who = nameOf(login);
    const open = (this.#connectionsByUser.get(who) ?? 1) - 1;
    if (open > 0) this.#connectionsByUser.set(who, open);
    else this.#connectionsByUser.delete(who);
    if (login.kind === 'person') this.#countLive();
    if (login.kind === 'vehicle') this.strangers--;
  }

  async #publish(client: Client | null, packet: Publish): Promise<void> {
    const login = client ? this.#guests.get(client)?.login : undefined;
    const { topic } = packet;
    const what = inwardOf(login, topic, this.#o.offerCheck !== undefined);
    if (!what || !login || login.kind === 'person') {
      this.counts.forbidden++;
      const error = new EdgeError(
        'TOPIC_FORBIDDEN',
        `${this.#name(client)} publishing to ${JSON.stringify(topic.slice(0, 100))}`,
      );
      this.#say(error.line);
      throw error;
    }
    packet.retain = false;
    const wait = this.#rates.take(login.did);
    if (wait > 0) await this.#throttle(wait);
    // A view into the socket's buffer: copied, so that one envelope that waits does not keep 64 KiB alive.
    const bytes = Buffer.from(packet.payload as Buffer);
    // aedes would keep that of a QoS 2 packet until its PUBREL; nobody needs it after the commit.
    packet.payload = NOTHING;
    if (what === 'hello' || what === 'presentation') await this.#o.offerCheck?.(login.did, what, bytes);
    else {
      const outcome =
        what === 'cose'
          ? await this.#o.offerEnvelope(login.did, topic, bytes)
          : await this.#o.offerSenml(login.did, topic, bytes, packet.dup === true);
      if (outcome.kind === 'quarantined') this.#sayRefused(login.did, outcome);
    }
    // Nobody is there to hear of it. Without this aedes keeps a QoS 2 packet of a client that has left for ever.
    if (client?.closed) throw new Error('connection closed');
  }

  /** More than the device's rate: its sockets wait, and nobody else's. */
  async #throttle(wait: number): Promise<void> {
    this.#o.caps.hit('mqtt.maxDeviceRate');
    this.counts.throttledMs += wait;
    await new Promise((resolve) => setTimeout(resolve, wait).unref());
    if (this.#stopping) throw new EdgeError('STORE_UNAVAILABLE', 'the gateway is stopping');
  }

  #sayRefused(did: string, { code, detail, epoch, seq }: Extract<Outcome, { kind: 'quarantined' }>): void {
    const cti = epoch === null || seq === null ? null : `${hex32(epoch)}${hex32(seq)}`;
    this.send(`down/${did}/error`, JSON.stringify({ code, detail, cti }), 1);
  }

  /** Closes the connections of such people. */
  disconnect(where: (person: Person) => boolean): void {
    for (const client of this.#connected.values()) {
      const login = this.#guests.get(client)?.login;
      if (login?.kind === 'person' && where(login.person)) client.close();
    }
  }

  /** Publish to whoever may read it. */
  send(topic: string, payload: string | Uint8Array, qos: 0 | 1): void {
    this.#broker?.publish(
      { cmd: 'publish', topic, payload: Buffer.from(payload as string), qos, retain: false, dup: false },
      (error?: Error) => {
        if (error) this.#say(errorLine(error));
      },
    );
  }

  /** Readings are decoded for the live topics only while somebody listens. */
  get hasLiveSubscribers(): boolean {
    return this.#liveSubscribers > 0;
  }

  /** DIDs of the devices that listen to `down/{did}/receipt`. */
  get receiptReaders(): ReadonlySet<string> {
    return new Set(this.#receiptReaders.values());
  }

  get connected(): number {
    return this.#connected.size;
  }

  #countReaders(client: Client): void {
    const login = this.#guests.get(client)?.login;
    if (login?.kind !== 'device') {
      this.#countLive();
      return;
    }
    const down = `down/${login.did}`;
    const { subscriptions } = client as unknown as { subscriptions: object };
    const reads = [`${down}/receipt`, `${down}/+`, `${down}/#`].some((topic) => Object.hasOwn(subscriptions, topic));
    if (reads && !client.closed) this.#receiptReaders.set(client, login.did);
    else this.#receiptReaders.delete(client);
  }

  #countLive(): void {
    this.#liveSubscribers = 0;
    for (const client of this.#connected.values()) {
      if (this.#guests.get(client)?.login?.kind !== 'person') continue;
      const { subscriptions } = client as unknown as { subscriptions: object };
      if (Object.keys(subscriptions).some((topic) => topic.startsWith('live/'))) this.#liveSubscribers++;
    }
  }

  #name(client: Client | null): string {
    const login = client ? this.#guests.get(client)?.login : undefined;
    return login ? nameOf(login) : 'a connection without login';
  }

  #malformed(client: Client | null, error: Error): void {
    // Left mid-way, an ordinary thing on a radio link, is not worth a line.
    if (/ECONNRESET|EPIPE|connection closed|keep alive timeout|drain timeout/.test(error.message)) return;
    if (error instanceof EdgeError && error.code !== 'PACKET_INVALID') return; // said where it was found
    if ((error as { errorCode?: number }).errorCode === 5) return;
    const cap = CAPS_OF_AEDES.find(([says]) => says.test(error.message))?.[1];
    if (cap) this.#o.caps.hit(cap);
    this.counts.malformed++;
    const why = error instanceof EdgeError ? error.detail : error.message;
    this.#say(new EdgeError('PACKET_INVALID', `${this.#name(client)}: ${why}${cap ? ` (${cap})` : ''}`).line);
  }

  #say(line: string): void {
    this.#lines.say(line);
  }
}

const hex32 = (n: number): string => n.toString(16).padStart(8, '0');

/**
 * aedes counts a message as delivered when its reader has room again, and holds up the messages to all others from
 * the hundredth that was not: until the reader has gone on, or 60 s have passed and it is thrown out.
 */
function dontWaitForReader(client: Client): void {
  const deliveries = client as unknown as Record<'deliver0' | 'deliverQoS', Delivery>;
  for (const name of ['deliver0', 'deliverQoS'] as const) {
    const deliver = deliveries[name];
    deliveries[name] = (packet, done) => {
      deliver(packet, () => undefined);
      setImmediate(done);
    };
  }
}

type Delivery = (packet: unknown, done: () => void) => void;
type ConnectPacket = {
  protocolVersion?: number;
  clientId?: string;
  username?: string;
  clean?: boolean;
  keepalive?: number;
  will?: { topic: string; qos?: number | undefined };
};
type Publish = { topic: string; payload: string | Buffer; dup?: boolean; retain?: boolean };
