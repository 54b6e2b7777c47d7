/**
 * Where the gateway is and who we are there: from the config node, or from a file that somebody else keeps fresh.
 * The file is {"url", "token", "mqtt"?}, and is read anew when it has changed.
 */
'use strict';

const { readFileSync, statSync } = require('node:fs');

const MAX_FILE = 64 * 1024;

class Login {
  #o;
  #fault;
  #read;

  /** @param options {auth: 'token'|'file'|'mqtt', url, mqtt, file, token, user, password} */
  constructor(options, fault) {
    this.#o = options;
    this.#fault = fault;
  }

  /** @returns {url, token, mqtt}: what is known of them. @throws EdgeFault FLOW_NOT_CONFIGURED, FLOW_LOGIN_FILE */
  get() {
    const { auth, url, mqtt, token, password } = this.#o;
    if (auth === 'file') {
      const said = this.#file();
      return { url: said.url || url, token: said.token, mqtt: said.mqtt || mqtt };
    }
    return { url, mqtt, token: auth === 'mqtt' ? password : token };
  }

  /** MQTT login of a person or flow: the role and its token. */
  get person() {
    const { user, password } = this.#o;
    return { user, password };
  }

  /** The token was refused: true where there may be a newer one in the file. */
  again() {
    this.#read = undefined;
    return this.#o.auth === 'file';
  }

  #file() {
    const path = this.#o.file || process.env.SEJONG_EDGE_GATEWAY_FILE || '';
    if (path === '') throw this.#fault('FLOW_NOT_CONFIGURED', 'file, SEJONG_EDGE_GATEWAY_FILE');
    try {
      const { mtimeMs, ino, size } = statSync(path);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (this.#read?.version !== version) {
        if (size > MAX_FILE) throw new Error(`${size} bytes`);
        this.#read = { version, said: JSON.parse(readFileSync(path, 'utf8')) };
      }
      return this.#read.said;
    } catch (error) {
      // The text of a JSON error would quote what is in the file.
      throw this.#fault(
        'FLOW_LOGIN_FILE',
        `${path}${error instanceof SyntaxError ? '' : ` (${error.code ?? error.message})`}`,
      );
    }
  }
}

module.exports = { Login };
