'use strict';

const { Gateway } = require('../lib/gateway.cjs');
const { problemOf } = require('../lib/fault.cjs');

module.exports = (RED) => {
  function EdgeGateway(config) {
    RED.nodes.createNode(this, config);
    const { url, auth, file, mqtt, ca } = config;
    const { token, user, password } = this.credentials ?? {};
    try {
      this.gateway = new Gateway(RED, { url, auth, file, mqtt, ca, token, user, password });
    } catch (error) {
      this.error(error, { edge: problemOf(error) });
    }
    this.on('close', () => this.gateway?.close());
  }
  RED.nodes.registerType('edge-gateway', EdgeGateway, {
    credentials: {
      token: { type: 'password' },
      user: { type: 'text' },
      password: { type: 'password' },
    },
  });
};
