'use strict';

const { begin, listOf, showStream } = require('../lib/node.cjs');
const { newsReader } = require('../lib/news.cjs');

/** As many as the gateway tells at once. */
const MAX_OPEN = 1000;

module.exports = (RED) => {
  function EdgeAlarmIn(config) {
    const begun = begin(this, RED, config);
    const { gateway, status, words } = begun;
    if (!gateway) return;
    const codes = new Set(listOf(config.code));
    const parts = new Set(listOf(config.part));
    const told = new Set();
    const tell = (alarm) => {
      const raised = alarm.clearedMs === null;
      if (config.severity && alarm.severity !== config.severity) return;
      if (codes.size > 0 && !codes.has(alarm.code)) return;
      if (parts.size > 0 && !parts.has(alarm.part)) return;
      // It may come in the list of those that are open, and as an event.
      if (raised && told.has(alarm.id)) return;
      if (raised) told.add(alarm.id);
      else told.delete(alarm.id);
      if (config.tell === (raised ? 'cleared' : 'raised')) return;
      this.send({ payload: alarm, topic: alarm.code, raised, gateway: begun.name });
      if (raised) status.show(alarm.severity === 'alarm' ? 'red' : 'yellow', 'dot', alarm.code);
      else status.show('green', 'dot', words('cleared', { code: alarm.code }));
    };
    showStream(this, begun, () => status.show('green', 'dot', words('connected')));
    newsReader(this, RED, begun, {
      kind: 'alarm',
      from: config.from,
      event: tell,
      // What was raised before this came is no event any more, and is a concern all the same.
      open: async () => {
        if (config.open !== true) return;
        const { alarms } = await gateway.ask(`/alarms?open=true&limit=${MAX_OPEN}`);
        for (const alarm of alarms.reverse()) tell(alarm);
      },
    });
  }
  RED.nodes.registerType('edge-alarm-in', EdgeAlarmIn);
};
