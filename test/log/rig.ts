/** A log over a real store in a folder, with a key that a test can know. */
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Log, type NewEntry } from '../../edge/log/log.ts';
import { Store } from '../../edge/store/store.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { sha256 } from './plain.ts';

const SECRET = new Uint8Array(32).fill(5);
const PUBLIC = publicKeyOf(SECRET);

export type OpenLog = { store: Store; log: Log; signed: () => number };

export async function openLog(folder: string, origin = 'test.example/log'): Promise<OpenLog> {
  const store = await Store.open(join(folder, 'edge.db'));
  onTestFinished(() => store.close());
  let signed = 0;
  const sign = (message: Uint8Array): Uint8Array => {
    signed++;
    return signEd25519(message, SECRET);
  };
  const log = new Log(store, { origin, publicKey: PUBLIC, sign });
  log.start();
  return { store, log, signed: () => signed };
}

/** Entry number i of a log that is about nothing: a few bytes of its own. */
export const smallEntry = (i: number): Uint8Array => sha256(Buffer.from(`entry ${i}`)).subarray(0, 1 + (i % 24));

export const newEntry = (i: number, over: Partial<NewEntry> = {}): NewEntry => ({
  envelope: smallEntry(i),
  device: 1,
  epoch: 0,
  seq: i,
  receivedMs: 1_790_000_000_000 + i,
  monoMs: i,
  clockSynced: true,
  ...over,
});

export const newEntries = (from: number, to: number): NewEntry[] =>
  Array.from({ length: to - from }, (_, i) => newEntry(from + i));
