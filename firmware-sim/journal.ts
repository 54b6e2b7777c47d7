/**
 * The offline buffer of one device, in a file: an append-only journal of envelopes and of their acknowledgements.
 *
 * A record is written before its envelope is sent, in one write(2), so a SIGKILL at any moment loses nothing that
 * anybody has seen. There is no fsync per record: a power cut may take the newest records with it, but the counter
 * is not in danger, because the next boot has a higher epoch (identity.ts), and nobody was promised those readings.
 *
 * Record: length (4 bytes, big-endian), CRC-32 of the body (4), body. Body: type (1), then
 *   envelope: epoch (4), seq (4), length of the state (4), state, envelope
 *   ack:      epoch (4), seq (4)
 *   state:    highest epoch in the journal before (4), state
 * The state is what the device's world needs to go on (registers, odometer): it is stored with the envelope that
 * shows it, so that a register can never count less than an envelope has said.
 */
import {
  closeSync,
  copyFileSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import { type Buffer as DeviceBuffer, dropAcked, type Item } from './buffer.ts';
import { Fifo } from './fifo.ts';

const ENVELOPE = 1;
const ACK = 2;
const STATE = 3;

const HEAD = 8;
/** The file is rewritten when so much of it is acknowledged, and that is more than half. */
const COMPACT_BYTES = 256 * 1024;
/** With `cap`, the second bound on the file, and so on what a boot reads. */
const MAX_BYTES = 64 * 1024 * 1024;

class Filed implements Item {
  readonly epoch: number;
  readonly seq: number;
  sends = 0;
  acked = false;
  /** Position and length of the envelope, and of the whole record with its head. */
  at: number;
  readonly length: number;
  readonly recordLength: number;
  readonly #journal: Journal;

  constructor(journal: Journal, epoch: number, seq: number, at: number, length: number, recordLength: number) {
    this.#journal = journal;
    this.epoch = epoch;
    this.seq = seq;
    this.at = at;
    this.length = length;
    this.recordLength = recordLength;
  }

  bytes(): Uint8Array {
    return this.#journal.read(this.at, this.length);
  }
}

export class Journal implements DeviceBuffer {
  readonly items = new Fifo<Filed>();
  readonly #path: string;
  readonly #cap: number;
  #fd: number;
  #size = 0;
  /** Bytes of records of envelopes that are still held. */
  #live = 0;
  #state = '';
  #highestEpoch = 0;

  /**
   * Opens or makes the journal. A torn record at the end is what a crash leaves, and is cut off; anything else that
   * does not read is damage, and the file as it was is kept beside it and reported.
   * @param cap envelopes held at the most
   */
  constructor(path: string, cap: number, report: (line: string) => void) {
    this.#path = path;
    this.#cap = cap;
    let found = Buffer.alloc(0);
    try {
      found = readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    const { good, torn } = this.#replay(found);
    if (good < found.length && !torn) {
      const aside = `${path}.damaged-${Date.now()}`;
      copyFileSync(path, aside);
      report(`${path} is damaged at byte ${good}: what stands before it was kept, the whole file lies at ${aside}`);
    }
    this.#fd = openSync(path, found.length === 0 ? 'w+' : 'r+', 0o600);
    if (good < found.length) ftruncateSync(this.#fd, good);
    this.#size = good;
  }

  get full(): boolean {
    return this.items.size >= this.#cap || this.#live >= MAX_BYTES;
  }

  /** The newest world state, '' where there is none yet. */
  get state(): string {
    return this.#state;
  }

  /** No envelope with a higher epoch was ever in this journal. */
  get highestEpoch(): number {
    return this.#highestEpoch;
  }

  /** When this returns, a SIGKILL cannot take the envelope back. @throws where the disk does not take it */
  append(epoch: number, seq: number, bytes: Uint8Array, state: string): void {
    const stateBytes = Buffer.from(state);
    const record = Buffer.allocUnsafe(HEAD + 13 + stateBytes.length + bytes.length);
    const body = record.subarray(HEAD);
    body[0] = ENVELOPE;
    body.writeUInt32BE(epoch, 1);
    body.writeUInt32BE(seq, 5);
    body.writeUInt32BE(stateBytes.length, 9);
    body.set(stateBytes, 13);
    body.set(bytes, 13 + stateBytes.length);
    this.#write(record);
    this.#hold(epoch, seq, this.#size - bytes.length, bytes.length, record.length);
    this.#state = state;
  }

  acknowledge(item: Item): void {
    item.acked = true;
    this.#live -= (item as Filed).recordLength;
    dropAcked(this.items);
    const record = Buffer.allocUnsafe(HEAD + 9);
    record[HEAD] = ACK;
    record.writeUInt32BE(item.epoch, HEAD + 1);
    record.writeUInt32BE(item.seq, HEAD + 5);
    try {
      this.#write(record);
      if (this.#size - this.#live > COMPACT_BYTES && this.#live * 2 < this.#size) this.#compact();
    } catch {
      // A full disk: after a restart the envelope is sent once more, and gets the same index again.
    }
  }

  read(at: number, length: number): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length; ) {
      const n = readSync(this.#fd, bytes, done, length - done, at + done);
      if (n === 0) throw new Error(`${this.#path} is shorter than it was`);
      done += n;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Takes what is whole at the beginning of `file`. */
  #replay(file: Buffer): { good: number; torn: boolean } {
    const held = new Map<string, Filed>();
    let at = 0;
    while (at < file.length) {
      if (file.length - at < HEAD) return { good: at, torn: true };
      const length = file.readUInt32BE(at);
      // 0 is what a power cut leaves where the file grew and its blocks were not written.
      if (length === 0) return { good: at, torn: file.subarray(at).every((b) => b === 0) };
      if (at + HEAD + length > file.length) return { good: at, torn: true };
      const body = file.subarray(at + HEAD, at + HEAD + length);
      if (crc32(body) !== file.readUInt32BE(at + 4) || !this.#apply(body, at + HEAD, held))
        return { good: at, torn: false };
      at += HEAD + length;
    }
    return { good: at, torn: false };
  }

  #apply(body: Buffer, at: number, held: Map<string, Filed>): boolean {
    if (body[0] === ENVELOPE && body.length > 13) {
      const epoch = body.readUInt32BE(1);
      const seq = body.readUInt32BE(5);
      const stateEnd = 13 + body.readUInt32BE(9);
      if (stateEnd >= body.length) return false;
      this.#state = body.toString('utf8', 13, stateEnd);
      held.set(`${epoch}/${seq}`, this.#hold(epoch, seq, at + stateEnd, body.length - stateEnd, HEAD + body.length));
      return true;
    }
    if (body[0] === ACK && body.length === 9) {
      const key = `${body.readUInt32BE(1)}/${body.readUInt32BE(5)}`;
      const item = held.get(key);
      // Unknown: acknowledged before a compaction that this record came after. Nothing to do.
      if (item && !item.acked) {
        item.acked = true;
        this.#live -= item.recordLength;
        dropAcked(this.items);
      }
      return true;
    }
    if (body[0] === STATE && body.length >= 5) {
      this.#highestEpoch = Math.max(this.#highestEpoch, body.readUInt32BE(1));
      this.#state = body.toString('utf8', 5);
      return true;
    }
    return false;
  }

  #hold(epoch: number, seq: number, at: number, length: number, recordLength: number): Filed {
    const item = new Filed(this, epoch, seq, at, length, recordLength);
    this.items.push(item);
    this.#live += recordLength;
    this.#highestEpoch = Math.max(this.#highestEpoch, epoch);
    return item;
  }

  #write(record: Buffer): void {
    record.writeUInt32BE(record.length - HEAD, 0);
    record.writeUInt32BE(crc32(record.subarray(HEAD)), 4);
    try {
      writeAll(this.#fd, record, this.#size);
    } catch (error) {
      // The half that was written would stand before the next record as garbage.
      ftruncateSync(this.#fd, this.#size);
      throw error;
    }
    this.#size += record.length;
  }

  /** What is acknowledged leaves the file: a new one with the state and the envelopes that are held, then rename(2). */
  #compact(): void {
    const fd = openSync(`${this.#path}.new`, 'w+', 0o600);
    const moved: [Filed, number][] = [];
    let size = 0;
    try {
      const state = Buffer.from(this.#state);
      const first = Buffer.alloc(HEAD + 5 + state.length);
      first[HEAD] = STATE;
      first.writeUInt32BE(this.#highestEpoch, HEAD + 1);
      first.set(state, HEAD + 5);
      first.writeUInt32BE(first.length - HEAD, 0);
      first.writeUInt32BE(crc32(first.subarray(HEAD)), 4);
      writeAll(fd, first, 0);
      size = first.length;
      for (const item of this.items) {
        if (item.acked) continue;
        const start = item.at + item.length - item.recordLength;
        writeAll(fd, this.read(start, item.recordLength), size);
        moved.push([item, size + item.at - start]);
        size += item.recordLength;
      }
      // Without it a power cut after the rename could leave an empty file in place of a full one.
      fsyncSync(fd);
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(this.#fd);
    this.#fd = fd;
    this.#size = size;
    for (const [item, at] of moved) item.at = at;
  }
}

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}
