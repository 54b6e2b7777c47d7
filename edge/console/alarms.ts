/** Alarms as the gateway has them: asked when the page opens, and again at each event about one. */
import type { AlarmView } from '../api/alarms.ts';
import { useEvents } from './live.ts';
import { type Query, useQuery } from './query.ts';

export type Alarms = { open: number; alarms: AlarmView[] };
/** Events may be missed while the stream is broken off. */
const EVERY_MS = 30_000;

export function useAlarms(open: boolean, limit: number): Query<Alarms> {
  const query = useQuery<Alarms>(`/alarms?open=${open}&limit=${limit}`, EVERY_MS);
  useEvents(['alarm'], () => query.reload());
  return query;
}
