'use strict';

const { answers, begin } = require('../lib/node.cjs');

/** The chain has its own time. */
const TIMEOUT_MS = 180_000;

module.exports = (RED) => {
  function EdgeClaim(config) {
    const begun = begin(this, RED, config);
    answers(this, begun, async (msg, { send, signal }) => {
      const { gateway, fault, status, words } = begun;
      const id = typeof msg.payload === 'string' ? msg.payload : msg.payload?.id;
      if (typeof id !== 'string' || id === '') throw fault('FLOW_INPUT_INVALID', 'msg.payload');
      // What is claimed is burned for good.
      if (config.allow !== true) throw fault('FLOW_NOT_CONFIRMED', words('needsBox'));
      if (msg.confirm !== id) throw fault('FLOW_NOT_CONFIRMED', 'msg.confirm');
      const beneficiary = msg.beneficiary ?? config.beneficiary;
      const recipient = msg.recipient ?? config.recipient;
      const body = {
        purpose: msg.purpose ?? config.purpose,
        ...(msg.wh === undefined ? {} : { wh: msg.wh }),
        ...(beneficiary ? { beneficiary } : {}),
        ...(recipient ? { recipient } : {}),
      };
      status.show('blue', 'ring', words('waiting'));
      // Sent once. Where the answer is lost, GET /certificates/{id} tells whether it was claimed.
      const claimed = await gateway.ask(`/certificates/${encodeURIComponent(id)}/claim`, {
        ...{ method: 'POST', body, signal, timeoutMs: TIMEOUT_MS },
      });
      const out = { ...msg, payload: claimed, topic: id, gateway: begun.name };
      delete out.confirm; // good for this once
      send(out);
      status.show('green', 'dot', words('claimed', { wh: claimed.wh }));
    });
  }
  RED.nodes.registerType('edge-claim', EdgeClaim);
};
