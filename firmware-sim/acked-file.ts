/**
 * What the gateway has acknowledged, for somebody who checks its promise later: a line `did epoch seq sha256` for
 * each PUBACK. Written a little later than the PUBACK; after a kill lines may be missing, but none is wrong.
 */
import { hash } from 'node:crypto';
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { Item } from './buffer.ts';

const FLUSH_MS = 200;
/** Flushed earlier at this size; also the most that one write(2) carries, so that a kill cannot halve it. */
const FLUSH_BYTES = 32 * 1024;

export class AckedFile {
  readonly #fd: number;
  readonly #timer: NodeJS.Timeout;
  #lines = '';

  /** @param onFailure called when the disk does not take it: a promise that nobody can check must not look checked */
  constructor(path: string, onFailure: (error: unknown) => void) {
    this.#fd = openSync(path, 'a+', 0o644);
    cutTornLine(this.#fd);
    this.#timer = setInterval(() => {
      try {
        this.flush();
      } catch (error) {
        onFailure(error);
      }
    }, FLUSH_MS);
    this.#timer.unref();
  }

  add(did: string, { epoch, seq }: Item, bytes: Uint8Array): void {
    this.#lines += `${did} ${epoch} ${seq} ${hash('sha256', bytes)}\n`;
    if (this.#lines.length >= FLUSH_BYTES) this.flush();
  }

  flush(): void {
    const bytes = Buffer.from(this.#lines);
    this.#lines = '';
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
    closeSync(this.#fd);
  }
}

/** An earlier run may have been killed within a line; the next one must not be glued to it. */
function cutTornLine(fd: number): void {
  const { size } = fstatSync(fd);
  const tail = Buffer.alloc(Math.min(size, 4096));
  readSync(fd, tail, 0, tail.length, size - tail.length);
  const keep = tail.lastIndexOf(0x0a) + 1;
  if (keep < tail.length) ftruncateSync(fd, size - tail.length + keep);
}
