'use strict';

const { answers, begin } = require('../lib/node.cjs');

module.exports = (RED) => {
  function EdgeDevice(config) {
    const begun = begin(this, RED, config);
    answers(this, begun, async (msg, { send, signal }) => {
      const { gateway, fault, status, words } = begun;
      const said = typeof msg.payload === 'string' && msg.payload.startsWith('did:') ? msg.payload : undefined;
      const did = msg.device ?? said ?? config.device;
      if (typeof did !== 'string' || !did.startsWith('did:')) throw fault('FLOW_INPUT_INVALID', 'msg.device');
      const path = `/devices/${encodeURIComponent(did)}`;
      let device;
      if (config.action === 'suspend') {
        // Twice: whoever built the flow, and whoever sent the message, must mean it.
        if (config.allow !== true) throw fault('FLOW_NOT_CONFIRMED', words('needsBox'));
        if (msg.confirm !== did) throw fault('FLOW_NOT_CONFIRMED', 'msg.confirm');
        device = await gateway.ask(`${path}/suspend`, { method: 'POST', body: {}, signal });
      } else device = await gateway.ask(path, { signal });
      const out = { ...msg, payload: device, topic: did, gateway: begun.name };
      delete out.confirm; // good for this once
      send(out);
      status.show(device.status === 'active' ? 'green' : 'yellow', 'dot', device.status);
    });
  }
  RED.nodes.registerType('edge-device', EdgeDevice);
};
