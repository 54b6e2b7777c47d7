/**
 * Readings from the topics live/{kind}/{did}, for a flow that has an MQTT login and no address for HTTP. There is no
 * place to go on from: what happens while the connection is down is not told.
 */
'use strict';

const { randomUUID } = require('node:crypto');
const { problemOf } = require('./fault.cjs');
const { MqttLink } = require('./mqtt-link.cjs');

class Live {
  #gateway;
  #readers = new Set();
  #link;
  #state;

  constructor(gateway) {
    this.#gateway = gateway;
  }

  /** @param reader {event: (entry) => void, show: (state) => void} */
  add(reader) {
    this.#readers.add(reader);
    this.#link ??= this.#connect();
    if (this.#state) reader.show(this.#state);
    return () => {
      this.#readers.delete(reader);
      if (this.#readers.size === 0) this.close();
    };
  }

  #connect() {
    const { fault, ca, person } = this.#gateway;
    const link = new MqttLink({
      ...person,
      fault,
      ca,
      url: () => this.#gateway.mqttUrl,
      clientId: `node-red-${randomUUID()}`,
      topics: ['live/#'],
      onMessage: (topic, bytes) => {
        let entry;
        try {
          entry = JSON.parse(bytes.toString('utf8'));
        } catch {
          const problem = problemOf(fault('FLOW_ANSWER_INVALID', topic));
          for (const { show } of this.#readers) show({ state: 'away', problem });
          return;
        }
        for (const { event } of [...this.#readers]) event(entry);
      },
      onState: (state) => {
        this.#state = state;
        for (const { show } of this.#readers) show(state);
      },
    });
    link.start();
    return link;
  }

  close() {
    this.#link?.close();
    this.#link = undefined;
    this.#state = undefined;
  }
}

module.exports = { Live };
