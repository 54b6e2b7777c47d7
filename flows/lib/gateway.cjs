/** One gateway, as all nodes that name it share it: requests, one stream of events, one MQTT connection of a person. */
'use strict';

const { readFileSync } = require('node:fs');
const { faults } = require('./fault.cjs');
const { makeAgents, readAll, refusal, send } = require('./http.cjs');
const { Live } = require('./live.cjs');
const { Login } = require('./login.cjs');
const { ANSWER_MS, Stream } = require('./stream.cjs');

const TIMEOUT_MS = 30_000;

class Gateway {
  #login;
  #agents;
  #stream;
  #live;
  #watchers = new Set();
  #state = { state: 'idle' };
  fault;
  ca;
  auth;

  /** @param options those of {@link Login}, and ca: path of a PEM file. @throws EdgeFault FLOW_NOT_CONFIGURED */
  constructor(RED, options) {
    this.fault = faults(RED);
    this.auth = options.auth;
    this.#login = new Login(options, this.fault);
    if (options.ca) {
      try {
        this.ca = readFileSync(options.ca, 'utf8');
      } catch (error) {
        throw this.fault('FLOW_NOT_CONFIGURED', `${options.ca}: ${error.code ?? error.message}`);
      }
    }
    this.#agents = makeAgents(this.ca);
    const ask = (path, more) => this.ask(path, more);
    ask.fault = this.fault;
    this.#stream = new Stream({
      ask,
      open: (path) => this.#send(path, { timeoutMs: ANSWER_MS, headers: { accept: 'text/event-stream' } }),
      onState: (state) => this.#tellState(state),
      mayRenew: () => options.auth === 'file',
    });
  }

  /** Readings come over HTTP, with their place in the log, wherever there is an address for it. */
  get hasHttp() {
    return this.auth !== 'mqtt' || !!this.#login.get().url;
  }

  /** @throws EdgeFault FLOW_NOT_CONFIGURED where there is neither an address nor a URL to make it of */
  get mqttUrl() {
    const { url, mqtt } = this.#login.get();
    if (mqtt) return mqtt;
    if (!url) throw this.fault('FLOW_NOT_CONFIGURED', 'mqtt');
    const { protocol, hostname } = new URL(url);
    return protocol === 'https:' ? `mqtts://${hostname}:8883` : `mqtt://${hostname}:1883`;
  }

  get person() {
    return this.#login.person;
  }

  /**
   * Asks the gateway, and answers what it says: parsed JSON, or text.
   * @param more {method, body, signal, timeoutMs, open: without a token}
   * @throws EdgeFault what the gateway refused, or FLOW_GATEWAY_AWAY, FLOW_ANSWER_INVALID, FLOW_NOT_CONFIGURED
   */
  async ask(path, more = {}) {
    const timeoutMs = more.timeoutMs ?? TIMEOUT_MS;
    const answer = await this.#send(path, { ...more, timeoutMs });
    const where = path.split('?')[0];
    const bytes = await readAll(answer, { fault: this.fault, timeoutMs, where });
    if (!/json/.test(answer.headers['content-type'] ?? '')) return bytes.toString('utf8');
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch {
      throw this.fault('FLOW_ANSWER_INVALID', where);
    }
  }

  /** @returns an answer with a status of success, unread */
  async #send(path, { open = false, headers = {}, signal, ...more }, isRetry = false) {
    const { url, token } = this.#login.get();
    if (!url) throw this.fault('FLOW_NOT_CONFIGURED', 'url');
    if (!open && !token) throw this.fault('FLOW_NOT_CONFIGURED', 'token');
    let target;
    try {
      target = new URL(`${url.replace(/\/+$/, '')}${path}`);
    } catch {
      throw this.fault('FLOW_NOT_CONFIGURED', `url: ${url}`);
    }
    if (!/^https?:$/.test(target.protocol)) throw this.fault('FLOW_NOT_CONFIGURED', `url: ${target.protocol}`);
    const answer = await send(target, {
      ...more,
      agents: this.#agents,
      fault: this.fault,
      ...(signal ? { signal } : {}),
      headers: { ...headers, ...(open ? {} : { authorization: `Bearer ${token}` }) },
    });
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    const where = path.split('?')[0];
    const bytes = await readAll(answer, { fault: this.fault, timeoutMs: more.timeoutMs ?? TIMEOUT_MS, where });
    // Nothing was done with it, so it may be sent again, whatever it is.
    if (answer.statusCode === 401 && !isRetry && this.#login.again())
      return this.#send(path, { open, headers, signal, ...more }, true);
    throw refusal(answer.statusCode, bytes, { fault: this.fault, where });
  }

  /** @returns a function that takes the reader away; see {@link Stream} */
  read(reader) {
    return this.#stream.add(reader);
  }

  /** Readings over MQTT, as they come. @returns a function that takes the reader away; see {@link Live} */
  live(reader) {
    this.#live ??= new Live(this);
    return this.#live.add(reader);
  }

  /** Tells how the stream is doing, now and whenever it changes. @returns a function that ends it */
  watch(watcher) {
    this.#watchers.add(watcher);
    watcher(this.#state);
    return () => this.#watchers.delete(watcher);
  }

  #tellState(state) {
    this.#state = state;
    for (const watcher of this.#watchers) watcher(state);
  }

  close() {
    this.#stream.close();
    this.#live?.close();
    this.#agents.destroy(); // ends what is on its way, too
  }
}

module.exports = { Gateway };
