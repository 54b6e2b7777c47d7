/** A chart over time (uPlot), in Korean time. Left and right go from point to point, and say it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clock, short } from '../format.ts';
import { colour, isDark } from '../theme.ts';
import { lang, useWords } from '../words.ts';
import { Empty } from './page.tsx';
import ui from './ui.words.ts';

export type Series = {
  label: string;
  unit?: string | undefined;
  /** Unix ms and a value, rising by time; null breaks the line. */
  points: readonly (readonly [ms: number, value: number | null])[];
  /** line (default); step: a value that holds until the next; bar: a value of a span that begins there */
  shape?: 'line' | 'step' | 'bar';
};

const COLOURS = ['--chart-1', '--chart-2', '--chart-3', '--chart-4'] as const;
const ZONE = 'Asia/Seoul';

export function Chart(props: { label: string; series: readonly Series[]; height?: number; nowMs?: number }) {
  const w = useWords(ui);
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [said, say] = useState('');
  const { series, height = 260 } = props;
  const data = useMemo(() => align(series), [series]);
  const shape = JSON.stringify(series.map((s) => [s.label, s.unit, s.shape]));
  const dark = isDark.value;
  const language = lang.value;
  const some = data[0].length > 0;

  // Colours and words are read anew when the theme or the language changes.
  useEffect(() => {
    const { current } = box;
    if (!current || !some) return;
    const made = new uPlot(
      options(series, current.clientWidth, height, language === 'ko' ? '시각' : 'Time'),
      data,
      current,
    );
    plot.current = made;
    const seen = new ResizeObserver(() => made.setSize({ width: current.clientWidth, height }));
    seen.observe(current);
    return () => {
      seen.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape, dark, language, height, some]);
  useEffect(() => plot.current?.setData(data), [data]);

  if (!some) return <Empty title={w.noPoints} />;
  const onKey = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const u = plot.current;
    if (!step || !u) return;
    event.preventDefault();
    const count = data[0].length;
    const at = Math.min(count - 1, Math.max(0, (u.cursor.idx ?? (step > 0 ? -1 : count)) + step));
    const value = data.slice(1).find((line) => line[at] !== null)?.[at] ?? 0;
    u.setCursor({ left: u.valToPos(data[0][at] as number, 'x'), top: u.valToPos(value as number, 'y') });
    say(
      `${clock((data[0][at] as number) * 1000)}: ${series
        .map((s, i) => `${s.label} ${short(data[i + 1]?.[at] as number | null)} ${s.unit ?? ''}`)
        .join(', ')}`,
    );
  };
  return (
    <>
      <div
        ref={box}
        class="chart"
        role="img"
        aria-label={describe(props.label, series)}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keys read it point by point
        tabIndex={0}
        onKeyDown={onKey}
      />
      <p class="hidden" aria-live="polite">
        {said}
      </p>
    </>
  );
}

function describe(label: string, series: readonly Series[]): string {
  const parts = series.map((s) => {
    const values = s.points.map(([, v]) => v).filter((v) => v !== null);
    if (values.length === 0) return s.label;
    const least = values.reduce((a, b) => Math.min(a, b));
    const most = values.reduce((a, b) => Math.max(a, b));
    return `${s.label} ${short(least)}–${short(most)} ${s.unit ?? ''} (${values.length})`;
  });
  return `${label}: ${parts.join('; ')}`;
}

/** One axis of time for all series. */
function align(series: readonly Series[]): [number[], ...(number | null | undefined)[][]] {
  const times = [...new Set(series.flatMap((s) => s.points.map(([ms]) => ms)))].sort((a, b) => a - b);
  return [
    times.map((ms) => ms / 1000),
    ...series.map((s) => {
      const at = new Map(s.points);
      return times.map((ms) => at.get(ms)); // undefined: none of its own here, and its line goes on
    }),
  ];
}

function options(series: readonly Series[], width: number, height: number, timeWord: string): uPlot.Options {
  const line = colour('--line');
  const text = colour('--text-2');
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
  const time = (of: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-GB', { timeZone: ZONE, hourCycle: 'h23', ...of });
  const day = time({ month: '2-digit', day: '2-digit' });
  const minute = time({ hour: '2-digit', minute: '2-digit' });
  const second = time({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
  return {
    width,
    height,
    tzDate: (s) => uPlot.tzDate(new Date(s * 1000), ZONE),
    padding: [12, 12, 0, 0],
    cursor: { y: false, points: { size: 7 } },
    legend: { live: true },
    scales: { x: { time: true } },
    axes: [
      {
        ...axis,
        values: (_, splits, __, ___, step) => {
          let last = '';
          return splits.map((s) => {
            const ms = s * 1000;
            const d = day.format(ms).split('/').reverse().join('-');
            if (step >= 86_400) return d;
            const t = (step >= 60 ? minute : second).format(ms);
            const text = d === last ? t : `${t}\n${d}`;
            last = d;
            return text;
          });
        },
      },
      {
        ...axis,
        size: (_, values) => Math.max(44, ...(values ?? []).map((v) => v.length * 7 + 18)),
        values: (_, splits) => splits.map((v) => short(v)),
      },
    ],
    series: [
      { label: timeWord, value: (_, s) => (s === null || s === undefined ? '–' : clock(s * 1000)) },
      ...series.map((s, i): uPlot.Series => {
        const stroke = colour(COLOURS[i % COLOURS.length] ?? '--chart-1');
        const fill = stroke.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.12)');
        const stepped = uPlot.paths.stepped?.({ align: 1 });
        const bars = uPlot.paths.bars?.({ align: 1, size: [0.86, 60] });
        return {
          label: s.unit ? `${s.label} (${s.unit})` : s.label,
          stroke,
          width: 1.75,
          ...(series.length === 1 || s.shape === 'bar' ? { fill } : {}),
          ...(s.shape === 'step' && stepped ? { paths: stepped } : {}),
          ...(s.shape === 'bar' && bars ? { paths: bars } : {}),
          points: { show: s.shape !== 'bar' && s.points.length < 40, size: 5, fill: stroke },
          value: (_, v) => (v === null || v === undefined ? '–' : `${short(v)} ${s.unit ?? ''}`),
        };
      }),
    ],
  };
}
