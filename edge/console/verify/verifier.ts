/**
 * Loads the verifier: a part of its own, because it is larger than the rest of the console. It is fetched as soon as the
 * page has nothing else to do, so that it is there when the gateway no longer is.
 */
import type * as File from './file.ts';

let loading: Promise<typeof File> | undefined;

export function verifier(): Promise<typeof File> {
  loading ??= import('./in-page.ts').catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

const early = (): void => void verifier().catch(() => undefined); // who needs it hears of it
// Safari has no idle callback.
if ('requestIdleCallback' in globalThis) requestIdleCallback(early);
else setTimeout(early, 1000);
