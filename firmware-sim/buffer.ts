/** What a device holds of envelopes that were not acknowledged yet, oldest first. */
import { Fifo } from './fifo.ts';

export type Item = {
  readonly epoch: number;
  readonly seq: number;
  /** Times this process has put it on a socket. */
  sends: number;
  acked: boolean;
  bytes(): Uint8Array;
};

export type Buffer = {
  readonly items: Fifo<Item>;
  /** No more can be taken: the device stops sampling. Nothing that is held is ever thrown away for something newer. */
  readonly full: boolean;
  acknowledge(item: Item): void;
};

/** A buffer that dies with the process: for load, where a journal per device would measure this machine's disk. */
export class MemoryBuffer implements Buffer {
  readonly items = new Fifo<Item>();
  readonly #cap: number;

  constructor(cap: number) {
    this.#cap = cap;
  }

  get full(): boolean {
    return this.items.size >= this.#cap;
  }

  append(epoch: number, seq: number, bytes: Uint8Array): void {
    this.items.push({ epoch, seq, sends: 0, acked: false, bytes: () => bytes });
  }

  acknowledge(item: Item): void {
    item.acked = true;
    dropAcked(this.items);
  }
}

/** Acknowledgements may come out of order; what leaves the buffer leaves it in order. */
export function dropAcked(items: Fifo<Item>): void {
  while (items.first?.acked) items.shift();
}
