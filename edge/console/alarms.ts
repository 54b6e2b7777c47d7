/** Alarms as the gateway has them: asked when the page opens, and again at each event about one. */
import { useEvents } from './live.ts';
import { type Query, useQuery } from './query.ts';

export type AlarmView = {
  id: number;
  code: string;
  part: string;
  where: string;
  detail: string;
  title: string;
  todo: string;
  severity: 'warning' | 'alarm';
  raisedMs: number;
  lastMs: number;
  times: number;
  clearedMs: number | null;
};
export type Alarms = { open: number; alarms: AlarmView[] };
/** Events may be missed while the stream is broken off. */
const EVERY_MS = 30_000;

export function useAlarms(open: boolean, limit: number): Query<Alarms> {
  const query = useQuery<Alarms>(`/alarms?open=${open}&limit=${limit}`, EVERY_MS);
  useEvents(['alarm'], () => query.reload());
  return query;
}
