/** What a device says over time: one value at a time, as the gateway thins it. */
import { useMemo, useState } from 'preact/hooks';
import type { SeriesView } from '../../api/series.ts';
import { number } from '../format.ts';
import { nameOf, unitOf } from '../names.ts';
import { useQuery } from '../query.ts';
import { Chart, Empty, Loading, Panel, Problem, Segments } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './device.words.ts';

const EVERY_MS = 10_000;
const POINTS = 600;
const HOUR = 3_600_000;
const RANGES = { hour: HOUR, day: 24 * HOUR, week: 7 * 24 * HOUR, month: 30 * 24 * HOUR, year: 365 * 24 * HOUR };
type Range = keyof typeof RANGES;

export function DeviceValues({ did }: { did: string }) {
  const w = useWords(table);
  const [chosen, choose] = useState<string | undefined>();
  const [range, setRange] = useState<Range>('day');
  const path = `/devices/${encodeURIComponent(did)}/series`;
  const names = useQuery<SeriesView>(path, EVERY_MS);
  const name = names.data?.names.some(({ n }) => n === chosen) ? chosen : names.data?.names[0]?.n;
  // The newest reading's own time is the end; a device's clock need not be that of this page.
  const to = names.data?.toMs;
  const from = to === undefined ? undefined : new Date(to - RANGES[range]).toISOString();
  const series = useQuery<SeriesView>(
    name === undefined || from === undefined
      ? null
      : `${path}?name=${encodeURIComponent(name)}&from=${from}&points=${POINTS}`,
  );
  // While the next answer is on its way, the one before stays.
  const [last, setLast] = useState<SeriesView | undefined>();
  if (series.data && series.data !== last) setLast(series.data);
  const shown = series.data ?? (last?.name === name ? last : undefined);
  const lines = useMemo(
    () =>
      shown
        ? [
            {
              label: nameOf(shown.name ?? ''),
              unit: unitOf(shown.unit),
              points: shown.points as [number, number][],
              shape: shown.unit === 'Wh' ? ('step' as const) : ('line' as const),
            },
          ]
        : [],
    [shown, w],
  );
  const few = (names.data?.names.length ?? 0) <= 4;
  const picks = (names.data?.names ?? []).map(({ n }) => ({ value: n, label: nameOf(n), title: n }));
  return (
    <Panel
      title={w.values}
      hint={shown && shown.entries > 0 && (shown.sampled ? w.sampled : w.thinned)(number(shown.entries))}
      actions={
        name !== undefined && (
          <>
            {few ? (
              picks.length > 1 && <Segments label={w.value} value={name} options={picks} onChange={choose} />
            ) : (
              <select
                class="input"
                aria-label={w.value}
                value={name}
                onChange={(event) => choose(event.currentTarget.value)}
              >
                {picks.map((p) => (
                  <option key={p.value} value={p.value}>
                    {p.label === p.value ? p.value : `${p.label} (${p.value})`}
                  </option>
                ))}
              </select>
            )}
            <Segments<Range>
              label={w.range}
              value={range}
              options={(Object.keys(RANGES) as Range[]).map((value) => ({ value, label: w[value] }))}
              onChange={setRange}
            />
          </>
        )
      }
    >
      <Problem error={names.error ?? series.error} retry={names.reload} />
      {names.loading && <Loading />}
      {names.data && name === undefined && <Empty title={w.noValues}>{w.noValuesWhy}</Empty>}
      {name !== undefined && (shown ? <Chart label={nameOf(name)} series={lines} height={280} /> : <Loading />)}
    </Panel>
  );
}
