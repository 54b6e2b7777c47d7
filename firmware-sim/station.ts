/** What every device of a run shares, honest or not: where it sends, and where its counts go. */

import type { Buffer, Item } from './buffer.ts';
import { Connection } from './connection.ts';
import { loginToken } from './login.ts';
import { Outbox } from './outbox.ts';
import { seedOf, sequence } from './random.ts';
import type { Tally } from './tally.ts';

export type Shared = {
  mqttUrl: string;
  /** The gateway's origin, known once it was asked. */
  origin: () => string;
  seed: number;
  window: number;
  /** Envelopes that one device may hold. */
  bufferCap: number;
  tally: Tally;
  onAcked: (did: string, item: Item, bytes: Uint8Array) => void;
  /** Something about the line of a device, for people. */
  onLine: (why: string) => void;
  report: (line: string) => void;
};

/** A connection, and the outbox that it empties. */
export type Station = { connection: Connection; outbox: Outbox };

export function makeStation(
  shared: Shared,
  device: {
    did: string;
    sign: (message: Uint8Array) => Uint8Array;
    buffer: Buffer;
    window?: number;
    onAcked?: () => void;
  },
): Station {
  const { tally } = shared;
  const { did, sign, buffer } = device;
  const outbox = new Outbox({
    buffer,
    window: device.window ?? shared.window,
    onSent: (again) => {
      if (again) tally.resent++;
      else tally.sent++;
    },
    onAcked: (item, bytes) => {
      tally.acked++;
      connection.succeeded();
      shared.onAcked(did, item, bytes);
      device.onAcked?.();
    },
  });
  const connection = new Connection({
    url: shared.mqttUrl,
    did,
    password: () => loginToken(did, shared.origin(), sign),
    random: sequence(seedOf('line', shared.seed, did)),
    onUp: (session) => outbox.up(session),
    onDown: (why) => {
      outbox.down();
      shared.onLine(why);
    },
    onMessage: (topic, payload) => {
      if (topic === 'error') tally.refuse(payload);
      else tally.receipts++;
    },
  });
  return { connection, outbox };
}
