/**
 * Sends a buffer over whatever session there is, strictly in the order of the counters, a window of envelopes at a
 * time, the very same bytes until their PUBACK. A new session begins again at the first one not acknowledged.
 */
import type { Buffer, Item } from './buffer.ts';
import type { Session } from './connection.ts';

export type OutboxOptions = {
  buffer: Buffer;
  /** Envelopes on the way at one time. */
  window: number;
  onSent: (again: boolean) => void;
  onAcked: (item: Item, bytes: Uint8Array) => void;
};

export class Outbox {
  readonly #o: OutboxOptions;
  #session: Session | undefined;
  #underWay = 0;
  /** Position in the buffer of what is sent next in this session. */
  #next = 0;
  #pumping = false;

  constructor(options: OutboxOptions) {
    this.#o = options;
  }

  up(session: Session): void {
    this.#session = session;
    this.#underWay = 0;
    this.#next = this.#o.buffer.items.begin;
    this.pump();
  }

  down(): void {
    this.#session = undefined;
  }

  pump(): void {
    // publish() may call back at once: one loop at a time keeps the order.
    if (this.#pumping) return;
    this.#pumping = true;
    const { items } = this.#o.buffer;
    for (;;) {
      const session = this.#session;
      if (!session || this.#underWay >= this.#o.window) break;
      this.#next = Math.max(this.#next, items.begin);
      const item = items.at(this.#next);
      if (!item) break;
      this.#next++;
      if (!item.acked) this.#send(session, item);
    }
    this.#pumping = false;
  }

  #send(session: Session, item: Item): void {
    const bytes = item.bytes();
    const again = item.sends++ > 0;
    this.#underWay++;
    this.#o.onSent(again);
    session.publish(bytes, again, (acked) => {
      if (session === this.#session) this.#underWay--;
      if (acked && !item.acked) {
        this.#o.buffer.acknowledge(item);
        this.#o.onAcked(item, bytes);
      }
      this.pump();
    });
  }
}
