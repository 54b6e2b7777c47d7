/**
 * When that ends which a helper has started: with the vitest test that runs, or with the attack of `npm run torture`.
 * Both call in reverse order, and go on where one throws.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { onTestFinished as onVitestFinished } from 'vitest';

type End = () => unknown;
const scopes = new AsyncLocalStorage<End[]>();

export function onTestFinished(end: End): void {
  const scope = scopes.getStore();
  if (scope) scope.push(end);
  else
    onVitestFinished(async () => {
      await end();
    });
}

/** Runs something outside of vitest; all that it has started has ended when this returns or throws. */
export async function untilItsEnd<T>(stop: AbortSignal, run: () => Promise<T>): Promise<T> {
  const ends: End[] = [];
  const stopped = new Promise<never>((_, reject) => {
    const abort = (): void => reject(new Error('interrupted'));
    if (stop.aborted) abort();
    else stop.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([scopes.run(ends, run), stopped]);
  } finally {
    // What still runs after an interruption may start more: taken one by one until there is none.
    for (let end = ends.pop(); end; end = ends.pop())
      try {
        await end();
      } catch (error) {
        console.error(`at its end: ${(error as Error).message}`);
      }
  }
}
