'use strict';

const { answers, begin, numberOf } = require('../lib/node.cjs');

const ASKED = ['device', 'sub', 'from', 'to', 'after', 'limit', 'newest'];

module.exports = (RED) => {
  function EdgeEntries(config) {
    const begun = begin(this, RED, config);
    answers(this, begun, async (msg, { send, signal }) => {
      const { gateway, fault, status, words } = begun;
      const over = msg.query ?? {};
      if (typeof over !== 'object') throw fault('FLOW_INPUT_INVALID', 'msg.query');
      const query = new URLSearchParams();
      for (const name of ASKED) {
        const value = over[name] ?? config[name];
        if (value !== undefined && value !== null && value !== '') query.set(name, String(value));
      }
      const limit = numberOf(query.get('limit'), 1, 1000, 100);
      const answer = await gateway.ask(`/entries?${query}`, { signal });
      const { entries } = answer;
      status.show('green', 'dot', words('entries', { n: entries.length }));
      const next = entries.length < limit ? null : (entries.at(-1)?.index ?? null);
      const said = { gateway: begun.name, next };
      if (config.out !== 'each') {
        send({ ...msg, ...said, payload: answer, topic: 'entries' });
        return;
      }
      for (const [index, entry] of entries.entries())
        send({
          ...RED.util.cloneMessage(msg),
          ...said,
          payload: entry,
          topic: `${entry.kind}/${entry.did}`,
          index: entry.index,
          parts: { id: msg._msgid, type: 'array', count: entries.length, len: 1, index },
        });
    });
  }
  RED.nodes.registerType('edge-entries', EdgeEntries);
};
