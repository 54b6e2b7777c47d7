'use strict';

const { EdgeFault } = require('../lib/fault.cjs');
const { answers, begin, numberOf } = require('../lib/node.cjs');
const { MqttLink } = require('../lib/mqtt-link.cjs');

const MAX_WAITING = 100;

/** A SenML pack of what was sent. @returns undefined where it is none and cannot be made one */
function packOf(payload, { record, unit }) {
  if (Array.isArray(payload)) return payload.length > 0 ? payload : undefined;
  if (payload !== null && typeof payload === 'object') return typeof payload.n === 'string' ? [payload] : undefined;
  const value = { number: 'v', string: 'vs', boolean: 'vb' }[typeof payload];
  if (!record || value === undefined || (value === 'v' && !Number.isFinite(payload))) return undefined;
  return [{ n: record, ...(unit ? { u: unit } : {}), [value]: payload }];
}

module.exports = (RED) => {
  function EdgeSign(config) {
    const begun = begin(this, RED, config);
    const { gateway, fault, status, words } = begun;
    const { did, secret } = this.credentials ?? {};
    const max = numberOf(config.max, 1, 10_000, MAX_WAITING);
    if (!gateway) return;
    if (!did || !secret) {
      begun.showProblem({ code: 'FLOW_NOT_CONFIGURED' });
      this.on('input', (_msg, _send, done) => done(fault('FLOW_NOT_CONFIGURED', 'did, secret')));
      return;
    }
    let refused;
    const link = new MqttLink({
      fault,
      url: () => gateway.mqttUrl,
      user: did,
      password: secret,
      ca: gateway.ca,
      clientId: `node-red-${this.id}`,
      topics: [`down/${did}/error`],
      onMessage: (_topic, bytes) => {
        refused = bytes;
      },
      onState: ({ state, problem, againMs }) => {
        if (state === 'connected') status.show('green', 'dot', words('connected'));
        else status.show('red', 'ring', words('away', { code: problem.code, seconds: Math.ceil(againMs / 1000) }));
      },
    });
    link.start();
    this.on('close', () => link.close());

    let waiting = 0;
    let turn = Promise.resolve();
    // One at a time: a refusal does not name what it refuses, so it belongs to what was just sent.
    const inTurn = (work) => {
      const done = turn.then(work);
      turn = done.catch(() => undefined);
      return done;
    };
    answers(this, begun, async (msg, { send, signal }) => {
      const pack = packOf(msg.payload, config);
      if (!pack) throw fault('FLOW_INPUT_INVALID', 'msg.payload');
      if (waiting >= max) throw fault('FLOW_BUSY', `${waiting}`);
      waiting++;
      const topic = `up/${did}/senml`;
      await inTurn(async () => {
        refused = undefined;
        await link.publish(topic, JSON.stringify(pack), signal);
        if (refused) throw refusalOf(refused, fault);
      }).finally(() => waiting--);
      send({ ...msg, payload: pack, topic, gateway: begun.name });
      status.show('green', 'dot', words('signed', { n: waiting }));
    });
  }
  RED.nodes.registerType('edge-sign', EdgeSign, {
    credentials: { did: { type: 'text' }, secret: { type: 'password' } },
  });
};

/** The gateway's code, with what it means for a flow: the reading is not lost, it lies in quarantine. */
function refusalOf(bytes, fault) {
  const { problem } = fault('FLOW_READING_REFUSED', '');
  try {
    const { code, detail } = JSON.parse(bytes.toString('utf8'));
    return new EdgeFault({ ...problem, code: String(code), detail: String(detail) });
  } catch {
    return new EdgeFault(problem);
  }
}
