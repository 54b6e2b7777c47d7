/** How much may still be written: the quota of the file, and what the file system has left. */
import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Store } from './store.ts';

/** A measurement is good for so long, or until a quarter of the room that it found was given away. */
const FRESH_MS = 100;

export class Disk {
  readonly #store: Store;
  readonly #maxBytes: number;
  /** Bytes that are never given to devices: what the gateway itself must write has its place there. */
  reserve: number;
  #free = 0;
  #givenSince = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(store: Store, options: { maxBytes: number; reserveBytes: number }) {
    this.#store = store;
    this.#maxBytes = options.maxBytes;
    this.reserve = options.reserveBytes;
  }

  /** Bytes that new rows may take before the file is at its quota or the file system is full. */
  look(): number {
    const { bytes, freeBytes } = this.#store.pages;
    const { bavail, bsize } = statfsSync(dirname(this.#store.path));
    // Pages that are committed and still in the write-ahead log alone are to be put into the file yet.
    const toCome = Math.max(0, bytes - statSync(this.#store.path).size);
    const onDisk = bavail * bsize - toCome + freeBytes;
    const inQuota = this.#maxBytes > 0 ? this.#maxBytes - bytes + freeBytes : Number.POSITIVE_INFINITY;
    this.#free = Math.max(0, Math.min(onDisk, inQuota));
    this.#givenSince = 0;
    this.#lookedMs = performance.now();
    return this.#free;
  }

  /** As {@link look}, and not measured anew each time. */
  get free(): number {
    if (performance.now() - this.#lookedMs > FRESH_MS || this.#givenSince > this.#free / 4) this.look();
    return this.#free - this.#givenSince;
  }

  /** What devices may have of it. */
  get room(): number {
    return this.free - this.reserve;
  }

  /** So many bytes are about to be written. */
  give(bytes: number): void {
    this.#givenSince += bytes;
  }
}
