/** One gateway for all tests of a file: what vitest ends with each test lives until the last one here. */
import { afterAll, beforeAll } from 'vitest';
import { untilItsEnd } from '../support/ends.ts';

/** To be called once in a file. @returns what `start` answered, to be called within a test */
export function shared<T>(start: () => Promise<T>, timeoutMs = 60_000): () => T {
  const stop = new AbortController();
  let made: T | undefined;
  let end: Promise<unknown> | undefined;
  beforeAll(async () => {
    await new Promise<void>((resolve, reject) => {
      end = untilItsEnd(stop.signal, async () => {
        made = await start();
        resolve();
        await new Promise((over) => stop.signal.addEventListener('abort', over, { once: true }));
      }).catch(reject);
    });
  }, timeoutMs);
  afterAll(async () => {
    stop.abort();
    await end;
  }, timeoutMs);
  return () => made as T;
}
