'use strict';

const { answers, begin, EdgeFault, numberOf } = require('../lib/node.cjs');

/** Vehicles that are waited for by one node at once. */
const MAX_WAITING = 20;
/** The gateway answers by itself when the time is over; this is for when it does not. */
const MARGIN_MS = 5000;

module.exports = (RED) => {
  function EdgeCheck(config) {
    const begun = begin(this, RED, config);
    let waiting = 0;
    /** All that is not a plain ALLOW leaves by the second output. */
    const decide = (msg, send, payload, decision, reason) => {
      const isAllowed = decision === 'ALLOW';
      const out = {
        ...msg,
        payload,
        topic: payload.gate ?? msg.gate ?? config.gate,
        decision,
        reason,
        gateway: begun.name,
      };
      send(isAllowed ? [out, null] : [null, out]);
      begun.status.show(isAllowed ? 'green' : decision === 'DENY' ? 'red' : 'yellow', 'dot', `${decision} ${reason}`);
    };
    answers(this, begun, async (msg, { send, signal }) => {
      try {
        const { gateway, fault } = begun;
        if (waiting >= MAX_WAITING) throw fault('FLOW_BUSY', `${waiting}`);
        const timeoutMs = numberOf(config.timeout, 1, 60, 10) * 1000;
        const zone = msg.zone ?? config.zone;
        const did = msg.did ?? config.did;
        const body = {
          gate: msg.gate ?? config.gate,
          purpose: msg.purpose ?? config.purpose,
          ...(zone ? { zone } : {}),
          ...(did ? { did } : {}),
          timeoutMs,
          recentMs: numberOf(config.recent, 0, 60, 5) * 1000,
        };
        waiting++;
        begun.status.show('blue', 'ring', begun.words('waiting'));
        const check = await gateway
          .ask('/checks', { method: 'POST', body, signal, timeoutMs: timeoutMs + MARGIN_MS })
          .finally(() => waiting--);
        // An answer that is none of these is no ALLOW either.
        decide(msg, send, check, String(check.decision), String(check.reason));
      } catch (error) {
        const problem =
          error instanceof EdgeFault ? error.problem : { code: 'FLOW_FAULT', title: String(error.message) };
        decide(msg, send, problem, 'NONE', problem.code);
        if (problem.code !== 'CHECK_TIMEOUT') throw error;
      }
    });
  }
  RED.nodes.registerType('edge-check', EdgeCheck);
};
