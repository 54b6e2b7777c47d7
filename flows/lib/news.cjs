/**
 * A node that tells of certificates or alarms, from now, from the start, or from where it stopped. They are few, so its
 * place is saved with each: after it was told. A process that is killed in between tells the last one again.
 */
'use strict';

const { NewsPlace } = require('./news-place.cjs');
const { PlaceFile } = require('./places.cjs');

/** @param options {kind: 'certificate'|'alarm', from: 'now'|'start'|'stopped', event: (data) => void, open?: () => Promise} */
function newsReader(node, RED, begun, { kind, from, event, open }) {
  const { gateway, fault } = begun;
  const file = new PlaceFile(RED.settings.userDir, node.id);
  const keeps = from === 'stopped';
  let saved;
  try {
    saved = keeps ? file.load() : undefined;
  } catch (error) {
    begun.showProblem({ code: 'FLOW_PLACE_UNUSABLE' });
    begun.fail(fault('FLOW_PLACE_UNUSABLE', error.message));
    return;
  }
  const place =
    from === 'start' ? NewsPlace.first(kind) : new NewsPlace(kind, saved?.kind === kind ? saved : undefined);
  const save = () =>
    file.save(() => place.toJSON()).catch((error) => begun.fail(fault('FLOW_PLACE_UNUSABLE', error.message)));
  const reader = {
    kind,
    place,
    open: () => {
      if (keeps && place.text !== undefined) void save();
      open?.().catch(begun.fail);
    },
    refused: (refusal) => {
      begun.showProblem(refusal.problem);
      begun.fail(refusal);
    },
    event: (data) => {
      event(data);
      if (keeps) void save();
    },
  };
  const unread = gateway.read(reader);
  node.on('close', (isRemoved, done) => {
    unread();
    if (keeps && isRemoved) file.remove();
    if (keeps && !isRemoved && place.text !== undefined) save().then(() => done());
    else done();
  });
}

module.exports = { newsReader };
