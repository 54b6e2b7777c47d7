/** One MQTT connection that comes back by itself. MQTT 3.1.1, which is what the gateway speaks. */
'use strict';

const mqtt = require('mqtt');
const { Backoff } = require('./backoff.cjs');

const CONNECT_MS = 15_000;
const KEEP_ALIVE_S = 30;
/** CONNACK: user name or password wrong; not authorized. */
const REFUSED = [4, 5];

class MqttLink {
  #o;
  #backoff = new Backoff();
  #client;
  #ready = withResolvers();
  #closed = false;

  /**
   * @param options {url: () => string, user, password, ca, clientId, fault, topics: those to read,
   *   onMessage: (topic, bytes) => void, onState: ({state: 'connected'|'away', problem?, againMs?}) => void}
   */
  constructor(options) {
    this.#o = options;
  }

  start() {
    this.#connect();
  }

  #connect() {
    const { ca, user, password, clientId } = this.#o;
    let client;
    try {
      client = mqtt.connect(this.#o.url(), {
        ...{ protocolVersion: 4, clean: true, reconnectPeriod: 0, connectTimeout: CONNECT_MS, keepalive: KEEP_ALIVE_S },
        ...{ username: user, password, clientId },
        ...(ca ? { ca } : {}),
      });
    } catch (error) {
      this.#again(error);
      return;
    }
    this.#client = client;
    let reason;
    client.on('error', (error) => {
      reason = error;
    });
    client.on('message', (topic, bytes) => this.#o.onMessage?.(topic, bytes));
    client.on('connect', () => {
      const { topics } = this.#o;
      const subscribed = topics.length > 0 ? client.subscribeAsync(topics, { qos: 1 }) : Promise.resolve();
      subscribed.then(
        () => {
          if (client !== this.#client) return;
          this.#backoff.reset();
          this.#ready.resolve(client);
          this.#o.onState({ state: 'connected' });
        },
        (error) => {
          reason = error;
          client.end(true);
        },
      );
    });
    client.on('close', () => {
      client.end(true);
      if (client !== this.#client) return;
      this.#client = undefined;
      this.#ready = withResolvers();
      this.#again(reason ?? new Error('closed'));
    });
  }

  #again(error) {
    if (this.#closed) return;
    const isRefused = REFUSED.includes(error.code);
    const againMs = this.#backoff.next(() => this.#connect(), isRefused);
    const fault = this.#o.fault(isRefused ? 'FLOW_LOGIN_REFUSED' : 'FLOW_GATEWAY_AWAY', error.message);
    this.#o.onState({ state: 'away', problem: fault.problem, againMs });
  }

  /** Resolves with a client when there is a connection. */
  async #whenReady(signal) {
    const stopped = new Promise((_, reject) => {
      const stop = () => reject(this.#o.fault('FLOW_STOPPED', this.#o.user));
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
    return Promise.race([this.#ready.promise, stopped]);
  }

  /**
   * Publishes with QoS 1, over as many connections as it takes, and resolves after the PUBACK and one more round trip:
   * what the gateway had to say about it has come then, too.
   * @throws EdgeFault FLOW_STOPPED
   */
  async publish(topic, bytes, signal) {
    for (let dup = false; ; dup = true) {
      const client = await this.#whenReady(signal);
      try {
        await orClosed(client, client.publishAsync(topic, bytes, { qos: 1, dup }));
      } catch {
        continue; // the connection ended before the PUBACK; it is sent again as what it is, a duplicate
      }
      const { topics } = this.#o;
      await orClosed(client, client.subscribeAsync(topics, { qos: 1 })).catch(() => undefined);
      return;
    }
  }

  close() {
    this.#closed = true;
    this.#backoff.stop();
    const client = this.#client;
    this.#client = undefined;
    client?.end(true);
  }
}

function orClosed(client, promise) {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error('closed'));
    client.once('close', closed);
    promise.then(resolve, reject).finally(() => client.off('close', closed));
  });
}

/** Promise.withResolvers is not in Node.js 18 and 20. */
function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

module.exports = { MqttLink };
