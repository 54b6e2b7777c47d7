/**
 * When that ends which a helper has started: with the vitest test that runs, or with the attack of `npm run torture`.
 * Both call in reverse order, and go on where one throws.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { onTestFinished as onVitestFinished } from 'vitest';

type End = () => unknown;
type Scope = { ends: End[]; over: boolean };
const scopes = new AsyncLocalStorage<Scope>();

/** @throws where it is too late: what was started has been ended then */
export function onTestFinished(end: End): void {
  const scope = scopes.getStore();
  if (scope?.over) {
    void Promise.resolve(end()).catch(() => undefined);
    throw new Error('started after its end');
  }
  if (scope) scope.ends.push(end);
  else
    onVitestFinished(async () => {
      await end();
    });
}

/** Runs something outside of vitest; all that it has started has ended when this returns or throws. */
export async function untilItsEnd<T>(stop: AbortSignal, run: () => Promise<T>): Promise<T> {
  const scope: Scope = { ends: [], over: false };
  const stopped = new Promise<never>((_, reject) => {
    const abort = (): void => reject(new Error('interrupted'));
    if (stop.aborted) abort();
    else stop.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([scopes.run(scope, run), stopped]);
  } finally {
    // What still runs after an interruption would start more.
    scope.over = true;
    for (let end = scope.ends.pop(); end; end = scope.ends.pop())
      try {
        await end();
      } catch (error) {
        console.error(`at its end: ${(error as Error).message}`);
      }
  }
}
