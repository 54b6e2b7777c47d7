/** One request to the gateway, with caps on time and size. fetch of Node.js takes no CA of one's own, so it is not used. */
'use strict';

const http = require('node:http');
const https = require('node:https');
const { EdgeFault } = require('./fault.cjs');

const MAX_ANSWER = 64 * 1024 * 1024;
const AWAY = ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH'];

/** More at once than a flow that waits at twenty gates needs. */
const MAX_SOCKETS = 64;

/**
 * Connections of one gateway. What changes something gets a connection of its own: one that was kept open may have
 * ended unseen, and then nobody could tell whether it was done.
 * @param ca PEM, instead of the CAs that Node.js knows
 */
function makeAgents(ca) {
  const make = (keepAlive) => ({
    'http:': new http.Agent({ keepAlive, maxSockets: MAX_SOCKETS }),
    'https:': new https.Agent({ keepAlive, maxSockets: MAX_SOCKETS, ...(ca ? { ca } : {}) }),
  });
  const kept = make(true);
  const once = make(false);
  return {
    of: (protocol, method) => (method === 'GET' ? kept : once)[protocol],
    destroy: () => {
      for (const agent of [...Object.values(kept), ...Object.values(once)]) agent.destroy();
    },
  };
}

/**
 * @returns the answer, of which nothing is read yet. Whoever gets it reads or destroys it.
 * @throws EdgeFault FLOW_GATEWAY_AWAY
 */
function send(url, { agents, fault, method = 'GET', headers = {}, body, signal, timeoutMs }) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method,
      signal,
      agent: agents.of(url.protocol, method),
      headers: {
        ...headers,
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      },
    });
    const late = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    request.on('response', (answer) => {
      clearTimeout(late);
      resolve(answer);
    });
    request.on('error', (error) => {
      clearTimeout(late);
      if (error.name === 'AbortError') reject(fault('FLOW_STOPPED', `${method} ${url.pathname}`));
      // A connection that was kept open may have ended just as it was used again; nothing has been said on it then.
      else if (request.reusedSocket && method === 'GET' && AWAY.includes(error.code))
        resolve(send(url, { agents, fault, method, headers, body, signal, timeoutMs }));
      else reject(fault('FLOW_GATEWAY_AWAY', `${url.host}: ${error.message || error.code}`));
    });
    request.end(text);
  });
}

/** @throws EdgeFault FLOW_GATEWAY_AWAY, FLOW_ANSWER_INVALID */
function readAll(answer, { fault, timeoutMs, where }) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    let length = 0;
    const late = setTimeout(() => answer.destroy(new Error(`no end within ${timeoutMs} ms`)), timeoutMs);
    answer.on('data', (chunk) => {
      length += chunk.length;
      if (length > MAX_ANSWER) {
        clearTimeout(late);
        answer.destroy();
        reject(fault('FLOW_ANSWER_INVALID', `${where}: more than ${MAX_ANSWER} bytes`));
      } else chunks.push(chunk);
    });
    answer.on('end', () => {
      clearTimeout(late);
      resolve(Buffer.concat(chunks));
    });
    answer.on('error', (error) => {
      clearTimeout(late);
      reject(fault('FLOW_GATEWAY_AWAY', `${where}: ${error.message}`));
    });
  });
}

/** What the gateway says is wrong (RFC 9457), or that it is not a gateway that answers. */
function refusal(status, bytes, { fault, where }) {
  try {
    const { code, title, detail, todo } = JSON.parse(bytes.toString('utf8'));
    if (typeof code === 'string' && typeof title === 'string')
      return new EdgeFault({ code, title, detail: String(detail ?? ''), todo: String(todo ?? ''), status });
  } catch {
    // It is said below.
  }
  return fault('FLOW_ANSWER_INVALID', `${where}: status ${status}`);
}

module.exports = { makeAgents, readAll, refusal, send };
