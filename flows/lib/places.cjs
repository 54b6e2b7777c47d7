/**
 * How far a node has come, in a file of its own below Node-RED's user folder. Not in Node-RED's context, which is
 * gone with a restart unless somebody has configured a store for it.
 */
'use strict';

const { mkdirSync, readFileSync, rmSync } = require('node:fs');
const { open, rename } = require('node:fs/promises');
const { join } = require('node:path');

const FOLDER = 'sejong-edge';

class PlaceFile {
  #path;
  #writing = Promise.resolve();
  #next;

  /** @param id of the node */
  constructor(userDir, id) {
    this.#path = join(userDir, FOLDER, `place-${id.replace(/[^A-Za-z0-9._-]/g, '_')}.json`);
  }

  /** @returns what was saved, or undefined where nothing was. @throws where it cannot be read */
  load() {
    let text;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    }
    const place = JSON.parse(text);
    if (typeof place !== 'object' || place === null) throw new Error(`${this.#path} holds no place`);
    return place;
  }

  /**
   * On disk when it resolves. While one is being written, only the newest of those that wait is written next.
   * @param make makes what is to be saved, at the time of writing
   */
  save(make) {
    this.#next ??= this.#writing
      .catch(() => undefined) // said to those who waited for it
      .then(() => {
        this.#next = undefined;
        this.#writing = this.#write(JSON.stringify(make()));
        return this.#writing;
      });
    return this.#next;
  }

  async #write(text) {
    mkdirSync(join(this.#path, '..'), { recursive: true, mode: 0o700 });
    const file = await open(`${this.#path}.new`, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${this.#path}.new`, this.#path);
  }

  remove() {
    rmSync(this.#path, { force: true });
    rmSync(`${this.#path}.new`, { force: true });
  }
}

module.exports = { PlaceFile };
