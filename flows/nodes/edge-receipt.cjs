'use strict';

const { answers, begin, numberOf } = require('../lib/node.cjs');
const { verify } = require('../lib/verify.cjs');

/** Entries that wait for a checkpoint, in one node. */
const MAX_WAITING = 1000;

module.exports = (RED) => {
  function EdgeReceipt(config) {
    const begun = begin(this, RED, config);
    const { gateway, fault, status, words } = begun;
    const waitMs = numberOf(config.wait, 0, 3600, 30) * 1000;
    let waiting = 0;

    // One reader for all who wait: each that came and went would open the stream of all nodes anew.
    const wakes = new Set();
    if (gateway && waitMs > 0) {
      const unread = gateway.read({
        kind: 'checkpoint',
        event: () => {
          for (const wake of [...wakes]) wake();
        },
      });
      this.on('close', unread);
    }

    /** The next checkpoint, or the end of the time for it. */
    const nextCheckpoint = (deadline, signal) => {
      let wake;
      const come = new Promise((resolve, reject) => {
        const timer = setTimeout(() => wake(), deadline - Date.now());
        const stop = () => {
          wake();
          reject(fault('FLOW_STOPPED', ''));
        };
        wake = () => {
          clearTimeout(timer);
          wakes.delete(wake);
          signal.removeEventListener('abort', stop);
          resolve();
        };
        wakes.add(wake);
        signal.addEventListener('abort', stop);
      });
      return { come, forget: () => wake() };
    };

    const fetched = async (index, signal) => {
      const deadline = Date.now() + waitMs;
      for (;;) {
        // Listened for before it is asked: the checkpoint may come between the answer and us.
        const { come, forget } = nextCheckpoint(deadline, signal);
        try {
          const receipt = await gateway.ask(`/entries/${index}/receipt`, { open: true, signal });
          forget();
          return receipt;
        } catch (error) {
          if (error.code !== 'NOT_IN_CHECKPOINT' || Date.now() >= deadline || waiting >= MAX_WAITING) {
            forget();
            throw error.code === 'NOT_IN_CHECKPOINT' && waiting >= MAX_WAITING
              ? fault('FLOW_BUSY', `${waiting}`)
              : error;
          }
          waiting++;
          status.show('blue', 'ring', words('waitsForCheckpoint', { n: waiting }));
          await come.finally(() => waiting--);
        }
      }
    };

    /** What a sealed entry is over is not in its receipt: it is asked for, where this login may have it. */
    const opened = async (index, signal, receipt, key) => {
      const verified = await verify(receipt, { key }).catch((error) => {
        throw fault('FLOW_NOT_CONFIGURED', `key: ${error.message}`); // it rejects for nothing else
      });
      if (!verified.ok || verified.reading) return verified;
      try {
        const opening = await gateway.ask(`/entries/${index}/opening`, { signal });
        return await verify(receipt, { key, openings: [opening] });
      } catch {
        return verified; // it is not sealed, it was destroyed, or there is no token: the receipt holds all the same
      }
    };

    answers(this, begun, async (msg, { send, signal }) => {
      const index = [msg.payload?.index, msg.payload, msg.index].find((n) => Number.isSafeInteger(n) && n >= 0);
      if (index === undefined) throw fault('FLOW_INPUT_INVALID', 'msg.payload');
      const receipt = await fetched(index, signal);
      const given = String(config.key ?? '').trim();
      const key = given || (await gateway.ask('/log/key', { open: true, signal })).trim();
      const verified = await opened(index, signal, receipt, key);
      // A receipt that holds, of another entry than was asked for, proves nothing of it.
      const ok = verified.ok && verified.index === index;
      const said = { ...verified, ok, key, keyFrom: given ? 'config' : 'gateway' };
      if (verified.ok && !ok) said.failed = 'index';
      const out = { ...msg, payload: receipt, topic: `receipt/${index}`, verified: said, gateway: begun.name };
      send(ok ? [out, null] : [null, out]);
      if (ok) status.show('green', 'dot', words('holds', { index }));
      else status.show('red', 'dot', words('doesNotHold', { index, step: said.failed }));
    });
  }
  RED.nodes.registerType('edge-receipt', EdgeReceipt);
};
