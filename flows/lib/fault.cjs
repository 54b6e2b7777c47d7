/**
 * Errors, as catch nodes see them. Those of the gateway keep its code and words; those of this package have a code
 * that begins with FLOW_, and their words in the catalogs (nodes/locales/.../edge-gateway.json), in each language.
 */
'use strict';

const CATALOG = 'node-red-contrib-sejong-edge/edge-gateway:';
const CODES = [
  'FLOW_GATEWAY_AWAY',
  'FLOW_ANSWER_INVALID',
  'FLOW_NOT_CONFIGURED',
  'FLOW_LOGIN_FILE',
  'FLOW_INPUT_INVALID',
  'FLOW_NOT_CONFIRMED',
  'FLOW_BUSY',
  'FLOW_STOPPED',
  'FLOW_PLACE_UNUSABLE',
  'FLOW_LOG_REWOUND',
  'FLOW_LOGIN_REFUSED',
  'FLOW_READING_REFUSED',
];

class EdgeFault extends Error {
  /** @param problem {code, title, detail, todo, status?}, as in a problem document of the gateway */
  constructor({ code, title, detail, todo, status }) {
    super(`${code}: ${title}${detail ? `: ${detail}` : ''}.${todo ? ` ${todo}` : ''}`);
    this.name = 'EdgeFault';
    this.code = code;
    this.problem = { code, title, detail, todo, ...(status === undefined ? {} : { status }) };
  }
}

/** @returns a function that makes faults of this package: (code, detail) => EdgeFault, in the language of this Node-RED */
const faults = (RED) => (code, detail) => {
  if (!CODES.includes(code)) throw new Error(`no such fault: ${code}`);
  const words = (what) => RED._(`${CATALOG}faults.${code}.${what}`);
  return new EdgeFault({ code, title: words('title'), detail, todo: words('todo') });
};

/** Whatever was thrown, in the form that goes on a message. */
const problemOf = (error) =>
  error instanceof EdgeFault ? error.problem : { code: 'FLOW_FAULT', title: error.message, detail: '', todo: '' };

module.exports = { CATALOG, CODES, EdgeFault, faults, problemOf };
