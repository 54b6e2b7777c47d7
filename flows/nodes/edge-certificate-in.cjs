'use strict';

const { begin, listOf, showStream } = require('../lib/node.cjs');
const { newsReader } = require('../lib/news.cjs');

module.exports = (RED) => {
  function EdgeCertificateIn(config) {
    const begun = begin(this, RED, config);
    const { gateway, status, words } = begun;
    if (!gateway) return;
    const points = new Set(listOf(config.meteringPoint));
    const devices = new Set(listOf(config.device));
    const states = new Set(listOf(config.state));
    const wanted = (set, value) => set.size === 0 || set.has(value);
    showStream(this, begun, () => status.show('green', 'dot', words('connected')));
    newsReader(this, RED, begun, {
      kind: 'certificate',
      from: config.from,
      event: (certificate) => {
        const { id, meteringPoint, device, state } = certificate;
        if (!wanted(points, meteringPoint) || !wanted(devices, device) || !wanted(states, state)) return;
        this.send({ payload: certificate, topic: id, gateway: begun.name });
        status.show('green', 'dot', id);
      },
    });
  }
  RED.nodes.registerType('edge-certificate-in', EdgeCertificateIn);
};
