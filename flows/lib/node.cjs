/** What all nodes of this package do alike: find their gateway, answer each message with done(), show how they are. */
'use strict';

const { CATALOG, EdgeFault, faults, problemOf } = require('./fault.cjs');

/** Looked at again no sooner: an editor with hundreds of readings a second on its wires stays usable. */
const STATUS_MS = 1000;

/** A node's dot and words, at most once a second. */
class Status {
  #node;
  #next;
  #timer;

  constructor(node) {
    this.#node = node;
  }

  show(fill, shape, text) {
    this.#next = { fill, shape, text };
    if (this.#timer) return;
    this.#now();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#next) this.#now();
    }, STATUS_MS);
  }

  #now() {
    this.#node.status(this.#next);
    this.#next = undefined;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#node.status({});
  }
}

/**
 * Begins a node. @returns {gateway, name, fault, words, status, fail}: gateway is undefined where none is configured,
 * which the node's dot says.
 */
function begin(node, RED, config) {
  RED.nodes.createNode(node, config);
  const holder = RED.nodes.getNode(config.gateway);
  const fault = faults(RED);
  const words = (key, values) => RED._(`${CATALOG}status.${key}`, values);
  const status = new Status(node);
  if (!holder?.gateway) status.show('red', 'ring', words('noGateway'));
  node.on('close', () => status.stop());
  return {
    gateway: holder?.gateway,
    name: holder?.name ?? '',
    fault,
    words,
    status,
    showProblem: (problem) => status.show('red', 'ring', problem.code),
    /** Says something that belongs to no message. */
    fail: (error) => node.error(error, { edge: problemOf(error) }),
  };
}

/**
 * A node that answers messages. @param run (msg, {send, signal}) => Promise, which throws what went wrong
 */
function answers(node, begun, run) {
  const stop = new AbortController();
  node.on('close', () => stop.abort());
  node.on('input', (msg, send, done) => {
    const work = async () => {
      if (!begun.gateway) throw begun.fault('FLOW_NOT_CONFIGURED', 'gateway');
      await run(msg, { send, signal: stop.signal });
    };
    work().then(
      () => done(),
      (error) => {
        msg.edge = problemOf(error);
        if (!stop.signal.aborted) begun.showProblem(msg.edge);
        done(error);
      },
    );
  });
}

/**
 * A reader of the shared stream shows how the stream is. What needs a person, a token that is refused, say, is an error
 * for catch nodes, once; a gateway that is away is not.
 */
function showStream(node, { gateway, status, words, fail }, whenConnected) {
  let said;
  const end = gateway.watch(({ state, problem, againMs }) => {
    if (state === 'away' && problem.code !== 'FLOW_GATEWAY_AWAY' && problem.code !== said) fail(new EdgeFault(problem));
    if (state !== 'idle') said = problem?.code;
    if (state === 'connected') whenConnected();
    else if (state === 'away')
      status.show(
        problem.code === 'FLOW_GATEWAY_AWAY' ? 'yellow' : 'red',
        'ring',
        words('away', { code: problem.code, seconds: Math.ceil(againMs / 1000) }),
      );
    else status.show('grey', 'ring', words('connecting'));
  });
  node.on('close', end);
}

/** A list in a field of a form: words between commas. */
const listOf = (text) =>
  String(text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

/** A whole number of a config, between two; the default where it is none. */
function numberOf(text, least, most, otherwise) {
  const n = Number(text);
  return text === '' || text === undefined || text === null || !Number.isInteger(n) || n < least || n > most
    ? otherwise
    : n;
}

module.exports = { answers, begin, EdgeFault, listOf, numberOf, problemOf, showStream };
