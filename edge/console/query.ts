/** What a page shows of the API: asked when it opens, again every so often, and whenever the page says so. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, get } from './api.ts';

export type Query<T> = {
  /** The newest answer; it stays while a later one fails. */
  data: T | undefined;
  error: ApiError | undefined;
  /** True until the first answer. */
  loading: boolean;
  reload: () => void;
};

const toError = (error: unknown): ApiError =>
  error instanceof ApiError
    ? error
    : new ApiError({ code: 'CONSOLE', title: String((error as Error).message), detail: '', todo: '', status: 0 });

/**
 * @param path null: nothing is asked (yet)
 * @param everyMs asks again so long after each answer, while the page is seen
 */
export function useQuery<T>(path: string | null, everyMs?: number): Query<T> {
  const load = useCallback((signal: AbortSignal) => get<T>(path as string, signal), [path]);
  return useLoad(path === null ? null : load, everyMs);
}

/** As {@link useQuery}, with a function of your own; it must keep its identity (useCallback) while it loads the same. */
export function useLoad<T>(load: ((signal: AbortSignal) => Promise<T>) | null, everyMs?: number): Query<T> {
  const [state, setState] = useState<{ of: unknown; data?: T; error?: ApiError | undefined }>({ of: load });
  const again = useRef<() => void>(() => undefined);
  useEffect(() => {
    if (!load) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let running = false;
    let asked = false;
    const run = async (): Promise<void> => {
      if (running) {
        asked = true;
        return;
      }
      running = true;
      clearTimeout(timer);
      do {
        asked = false;
        try {
          const data = await load(stop.signal);
          if (!stop.signal.aborted) setState({ of: load, data });
        } catch (error) {
          if (!stop.signal.aborted) setState((s) => ({ ...(s.of === load ? s : {}), of: load, error: toError(error) }));
        }
      } while (asked && !stop.signal.aborted);
      running = false;
      if (everyMs !== undefined && !stop.signal.aborted && !document.hidden)
        timer = setTimeout(() => void run(), everyMs);
    };
    again.current = () => void run();
    const onShown = (): void => {
      if (!document.hidden && everyMs !== undefined) void run();
    };
    document.addEventListener('visibilitychange', onShown);
    void run();
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onShown);
    };
  }, [load, everyMs]);
  const current = state.of === load ? state : { of: load };
  return {
    data: current.data,
    error: current.error,
    loading: load !== null && current.data === undefined && current.error === undefined,
    reload: useCallback(() => again.current(), []),
  };
}

/** One deed at a time: for buttons that POST. `run` answers whether it went well. */
export function useDeed(): {
  busy: boolean;
  error: ApiError | undefined;
  run: (deed: () => Promise<unknown>) => Promise<boolean>;
  clear: () => void;
} {
  const [state, setState] = useState<{ busy: boolean; error?: ApiError | undefined }>({ busy: false });
  const run = useCallback(async (deed: () => Promise<unknown>): Promise<boolean> => {
    setState({ busy: true });
    try {
      await deed();
      setState({ busy: false });
      return true;
    } catch (error) {
      setState({ busy: false, error: toError(error) });
      return false;
    }
  }, []);
  return { busy: state.busy, error: state.error, run, clear: useCallback(() => setState({ busy: false }), []) };
}
