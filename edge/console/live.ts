/** /events, read once for the whole page by fetch (EventSource sends no token), and resumed where it broke off. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { AlarmView } from '../api/alarms.ts';
import type { CheckView } from '../api/check-views.ts';
import type { AnchorView, EntryView, QuarantineView } from '../api/views.ts';
import { ask } from './api.ts';
import { session } from './session.ts';

export type Events = {
  entry: EntryView;
  checkpoint: { size: number; root: string; madeMs: number; witnessed: number };
  anchor: AnchorView;
  quarantine: QuarantineView;
  check: CheckView;
  /** A certificate's row, as GET /certificates has it. */
  certificate: { id: string } & Record<string, unknown>;
  alarm: AlarmView;
};
export type EventKind = keyof Events;
type Listener = { kinds: readonly EventKind[]; fn: (kind: EventKind, data: never) => void };

const AGAIN_MS = 2_000;
const MAX_EVENT = 4 * 1024 * 1024;

/** Whether the stream is open. */
export const streaming = signal(false);

const listeners = new Set<Listener>();
let reader: { kinds: string; stop: AbortController } | undefined;
let lastId = '';
let planned = false;

const wanted = (): string => [...new Set([...listeners].flatMap(({ kinds }) => kinds))].sort().join(',');

/** One stream with all kinds that anybody here wants; another one as soon as these change. */
function plan(): void {
  if (planned) return;
  planned = true;
  queueMicrotask(() => {
    planned = false;
    const kinds = session.value ? wanted() : '';
    if (reader?.kinds === kinds) return;
    reader?.stop.abort();
    reader = undefined;
    streaming.value = false;
    if (!kinds) {
      lastId = '';
      return;
    }
    // What was not listened to has gone by: a stream of other kinds begins with what comes next.
    lastId = '';
    reader = { kinds, stop: new AbortController() };
    void read(kinds, reader.stop.signal);
  });
}
session.subscribe(plan);

async function read(kinds: string, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      const headers = lastId ? { 'last-event-id': lastId } : {};
      const answer = await ask(`/events?kinds=${kinds}`, { headers, signal: stop });
      streaming.value = true;
      let text = '';
      for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        let end = text.indexOf('\n\n');
        for (; end >= 0; end = text.indexOf('\n\n')) {
          tell(text.slice(0, end));
          text = text.slice(end + 2);
        }
        if (text.length > MAX_EVENT) break; // no event of a gateway is so long
      }
    } catch {
      // away, or refused: the next turn tries again, and pages say what their own questions met
    }
    if (stop.aborted) return;
    streaming.value = false;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function tell(block: string): void {
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
  const kind = field('event') as EventKind;
  if (!kind) return;
  lastId = field('id');
  const data = JSON.parse(field('data')) as never;
  for (const { kinds, fn } of listeners) if (kinds.includes(kind)) fn(kind, data);
}

/** Calls `fn` at each event of these kinds from now on. @returns how to stop */
export function onEvent<K extends EventKind>(kinds: readonly K[], fn: (kind: K, data: Events[K]) => void): () => void {
  const listener: Listener = { kinds, fn: fn as unknown as Listener['fn'] };
  listeners.add(listener);
  plan();
  return () => {
    listeners.delete(listener);
    plan();
  };
}

/** {@link onEvent} for as long as a component is there. `fn` may be another one at each rendering. */
export function useEvents<K extends EventKind>(kinds: readonly K[], fn: (kind: K, data: Events[K]) => void): void {
  const current = useRef(fn);
  current.current = fn;
  const key = kinds.join(',');
  useEffect(() => onEvent(key.split(',') as K[], (kind, data) => current.current(kind, data)), [key]);
}
