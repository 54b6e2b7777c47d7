/** All devices in short, kept while the console is open: only rows that changed are asked for. */
import { effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { DistrictRowView } from '../api/district.ts';
import { type ApiError, get } from './api.ts';
import { session } from './session.ts';

export type DistrictRow = DistrictRowView;
const EVERY_MS = 2_000;

const rows = new Map<string, DistrictRow>();
let version = 0;
/** Undefined before the first answer. */
export const district = signal<{ rows: readonly DistrictRow[]; error?: ApiError } | undefined>(undefined);

// Another person may see another district, and what was seen by one is not left for the next.
effect(() => {
  if (session.value) return;
  rows.clear();
  version = 0;
  district.value = undefined;
});

async function look(stop: AbortSignal): Promise<void> {
  try {
    const answer = await get<{ version: number; devices: DistrictRow[] }>(`/district?since=${version}`, stop);
    if (answer.version < version) rows.clear(); // of another life of the gateway
    version = answer.version;
    for (const row of answer.devices) rows.set(row.did, row);
    if (answer.devices.length > 0 || !district.value || district.value.error)
      district.value = { rows: [...rows.values()] };
  } catch (error) {
    if (!stop.aborted) district.value = { rows: district.value?.rows ?? [], error: error as ApiError };
  }
}

/** Keeps {@link district} fresh for as long as the component is there and seen. */
export function useDistrict(): void {
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = async (): Promise<void> => {
      clearTimeout(timer);
      if (!document.hidden) await look(stop.signal);
      if (!stop.signal.aborted) timer = setTimeout(() => void turn(), EVERY_MS);
    };
    void turn();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, []);
}
