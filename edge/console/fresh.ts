/** What keeps a page true while it is open: it asks again where events say so, and where some may have gone by. */
import { useCallback, useEffect, useRef } from 'preact/hooks';
import { streaming } from './live.ts';

/** Asks again when the stream of events opens: what happened before, and after the page asked, was told to nobody. */
export function useCaughtUp(reload: () => void): void {
  const open = streaming.value;
  useEffect(() => {
    if (open) reload();
  }, [open, reload]);
}

/** Calls `fn` once for all calls within `ms`: a thousand events are one reason to ask again, and not put off for ever. */
export function useSoon(fn: () => void, ms: number): () => void {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const current = useRef(fn);
  current.current = fn;
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(() => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      current.current();
    }, ms);
  }, [ms]);
}
