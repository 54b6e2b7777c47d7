'use strict';

const { begin, listOf, numberOf, showStream } = require('../lib/node.cjs');
const { PlaceFile } = require('../lib/places.cjs');
const { Readings } = require('../lib/readings.cjs');

const MAX_WAITING = 1000;
const GATEWAY_KIND = 'gateway';

/** @returns for an entry what is wanted of it: {} or {record}; undefined where it is not wanted */
function filter({ kind, device, record }) {
  const kinds = new Set(listOf(kind));
  const devices = new Set(listOf(device));
  const names = listOf(record);
  const fits = (name) =>
    names.some((wanted) => (wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted));
  return (entry) => {
    if (entry.pruned || entry.forgotten) return undefined; // no reading any more
    // What the gateway itself says stands in the same log, and is asked for by name.
    if (kinds.size > 0 ? !kinds.has(entry.kind) : entry.kind === GATEWAY_KIND) return undefined;
    if (devices.size > 0 && !devices.has(entry.did)) return undefined;
    if (names.length === 0) return {};
    const found = entry.records.find(({ n }) => fits(n));
    return found && { record: found };
  };
}

module.exports = (RED) => {
  function EdgeReadingsIn(config) {
    const begun = begin(this, RED, config);
    const { gateway, fault, words, status } = begun;
    if (!gateway) return;
    const wants = filter(config);
    const tell = (entry, { record }) => {
      const { index, kind, did } = entry;
      const msg = { payload: entry, topic: `${kind}/${did}`, index, gateway: begun.name };
      this.send(record ? { ...msg, record, value: record.v ?? record.vs ?? record.vb ?? record.vd } : msg);
    };
    if (!gateway.hasHttp) {
      if (config.from !== 'now') {
        begun.showProblem({ code: 'FLOW_NOT_CONFIGURED' });
        begun.fail(fault('FLOW_NOT_CONFIGURED', words('needsUrl')));
        return;
      }
      const show = ({ state, problem }) =>
        state === 'connected' ? status.show('green', 'dot', words('live')) : begun.showProblem(problem);
      const end = gateway.live({
        event: (entry) => {
          const what = wants(entry);
          if (what) tell(entry, what);
        },
        show,
      });
      this.on('close', end);
      this.on('input', (_msg, _send, done) => done());
      return;
    }
    const readings = new Readings({
      gateway,
      wants,
      tell,
      from: config.from,
      index: numberOf(config.index, 0, Number.MAX_SAFE_INTEGER, 0),
      first: config.first,
      ack: config.ack,
      max: numberOf(config.max, 1, 100_000, MAX_WAITING),
      place: new PlaceFile(RED.settings.userDir, this.id),
      fail: begun.fail,
      onProgress: () => show(),
    });
    const show = () => {
      const { next, waiting, isFull } = readings;
      if (isFull) status.show('yellow', 'dot', words('full', { n: waiting }));
      else if (config.ack === 'flow') status.show('green', 'dot', words('toConfirm', { next, n: waiting }));
      else status.show('green', 'dot', words('next', { next }));
    };
    showStream(this, begun, show);
    try {
      readings.start();
    } catch (error) {
      begun.showProblem(error.problem);
      begun.fail(error);
      return;
    }
    this.on('input', (msg, _send, done) => {
      const indexes = [msg.index].flat();
      if (!indexes.every((index) => Number.isSafeInteger(index) && index >= 0)) {
        done(fault('FLOW_INPUT_INVALID', 'msg.index'));
        return;
      }
      // What is not waiting was confirmed before: to say so twice does no harm.
      Promise.all(indexes.map((index) => readings.confirm(index))).then(
        () => {
          show();
          done();
        },
        (error) => done(error),
      );
    });
    this.on('close', (isRemoved, done) => {
      readings.close(isRemoved).then(
        () => done(),
        () => done(), // said already
      );
    });
  }
  RED.nodes.registerType('edge-readings-in', EdgeReadingsIn);
};
