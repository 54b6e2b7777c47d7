/**
 * A table of any length. Of a long one only the rows in sight are in the page; it scrolls with the window, and says how
 * long it is to who hears it. Headers sort; up and down go from row to row.
 */
import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useWords } from '../words.ts';
import { Icon } from './icon.tsx';
import ui from './ui.words.ts';

export type Column<R> = {
  key: string;
  label: string;
  cell: (row: R) => ComponentChildren;
  /** What it is sorted by; a column without cannot be. Nulls come last. */
  sort?: (row: R) => number | string | null;
  align?: 'end';
  /** 1 is always there, 2 where there is room as on a tablet, 3 as on a desk. */
  rank?: 1 | 2 | 3;
  /** CSS width. In a long table the others share what is left. */
  width?: string;
};
export type Sort = { key: string; down: boolean };

/** From here on rows have one height, and only those in sight are made. */
const LONG = 100;
/** Rows above and below those in sight. */
const MARGIN = 10;

export function Table<R>(props: {
  /** What it is a table of, for who hears it. */
  caption: string;
  rows: readonly R[];
  /** Whoever keeps them (useMemo) spares what is the same from being drawn again. */
  columns: readonly Column<R>[];
  rowKey: (row: R) => string | number;
  sort?: Sort;
  /** Where there are no rows. */
  empty?: ComponentChildren;
  /** One line a row, in columns that stay where they are, however long or short the table is. */
  dense?: boolean;
  /** A class for a row. */
  rowClass?: (row: R) => string;
}) {
  const w = useWords(ui);
  const [sort, setSort] = useState<Sort | undefined>(props.sort);
  const { rows, columns } = props;
  const sorted = useMemo(() => sortRows(rows, columns, sort), [rows, sort, columns]);
  const long = sorted.length > LONG;
  const table = useRef<HTMLTableElement>(null);
  const body = useRef<HTMLTableSectionElement>(null);
  const wanted = useRef<number | undefined>(undefined);
  /** Rows as they were drawn: one that is the same is not looked at again, which is what scrolling costs. */
  const made = useRef(new Map<string | number, { row: R; at: number; columns: unknown; name: string; made: VNode }>());
  const { first, last, height } = useSight(body, sorted.length, long);

  useLayoutEffect(() => {
    if (wanted.current === undefined) return;
    const link = body.current?.querySelector<HTMLElement>(`[data-row="${wanted.current}"] :is(a, button)`);
    if (!link) return;
    wanted.current = undefined;
    link.focus({ preventScroll: true });
    link.closest('tr')?.scrollIntoView({ block: 'nearest' });
  });

  const onKey = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = (event.target as HTMLElement).closest('tr')?.dataset.row;
    if (!step || at === undefined) return;
    const to = Number(at) + step;
    if (to < 0 || to >= sorted.length) return;
    event.preventDefault();
    const link = body.current?.querySelector<HTMLElement>(`[data-row="${to}"] :is(a, button)`);
    if (link) {
      link.focus({ preventScroll: true });
      link.closest('tr')?.scrollIntoView({ block: 'nearest' });
    } else {
      wanted.current = to;
      scrollBy(0, step * height);
    }
  };

  const { rowKey, rowClass } = props;
  const before = made.current;
  const now: typeof before = new Map();
  made.current = now;
  const rowOf = (row: R, at: number): VNode => {
    const key = rowKey(row);
    const name = rowClass?.(row) ?? '';
    const old = before.get(key);
    const kept =
      old?.row === row && old.at === at && old.columns === columns && old.name === name
        ? old
        : { row, at, columns, name, made: <Row key={key} row={row} at={at} columns={columns} name={name} /> };
    now.set(key, kept);
    return kept.made;
  };

  if (rows.length === 0 && props.empty) return <>{props.empty}</>;
  const shown = long ? sorted.slice(first, last) : sorted;
  return (
    <div class="table-box">
      <table ref={table} class={long || props.dense ? 'long' : ''} aria-rowcount={sorted.length + 1}>
        <caption class="hidden">{props.caption}</caption>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((c) => (
              <th
                key={c.key}
                scope="col"
                class={`rank-${c.rank ?? 1} ${c.align ?? ''}`}
                style={c.width ? { inlineSize: c.width } : {}}
                aria-sort={sort?.key === c.key ? (sort.down ? 'descending' : 'ascending') : undefined}
              >
                {c.sort ? (
                  <button
                    type="button"
                    title={w.sortBy(c.label)}
                    onClick={() => setSort((s) => ({ key: c.key, down: s?.key === c.key ? !s.down : false }))}
                  >
                    {c.label}
                    {sort?.key === c.key && <Icon name={sort.down ? 'down' : 'up'} size={14} />}
                  </button>
                ) : (
                  c.label
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={onKey}>
          {long && first > 0 && <Space height={first * height} columns={columns.length} />}
          {shown.map((row, i) => rowOf(row, long ? first + i : i))}
          {long && last < sorted.length && <Space height={(sorted.length - last) * height} columns={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

function Row<R>(props: { row: R; at: number; columns: readonly Column<R>[]; name: string }) {
  const { row, at, columns, name } = props;
  return (
    <tr data-row={at} aria-rowindex={at + 2} class={name}>
      {columns.map((c) => (
        <td key={c.key} class={`rank-${c.rank ?? 1} ${c.align ?? ''}`}>
          {c.cell(row)}
        </td>
      ))}
    </tr>
  );
}

const Space = (props: { height: number; columns: number }) => (
  // biome-ignore lint/a11y/noAriaHiddenOnFocusable: it cannot have the focus
  <tr aria-hidden="true" class="space">
    <td colSpan={props.columns} style={{ blockSize: `${props.height}px` }} />
  </tr>
);

function sortRows<R>(rows: readonly R[], columns: readonly Column<R>[], sort: Sort | undefined): readonly R[] {
  const by = columns.find((c) => c.key === sort?.key)?.sort;
  if (!sort || !by) return rows;
  const sign = sort.down ? -1 : 1;
  return rows
    .map((row) => ({ row, value: by(row) }))
    .sort((a, b) => {
      if (a.value === b.value) return 0;
      if (a.value === null) return 1;
      if (b.value === null) return -1;
      return a.value < b.value ? -sign : sign;
    })
    .map(({ row }) => row);
}

/** Which rows of a long table are in sight, by where its body is in the window. */
function useSight(body: { current: HTMLElement | null }, count: number, long: boolean) {
  const [sight, setSight] = useState({ first: 0, last: LONG, height: 44 });
  useEffect(() => {
    if (!long) return;
    let frame = 0;
    const look = (): void => {
      frame = 0;
      const { current } = body;
      if (!current) return;
      const height = current.querySelector<HTMLElement>('tr[data-row]')?.offsetHeight || 44;
      const above = -current.getBoundingClientRect().top;
      const first = Math.max(0, Math.min(count - 1, Math.floor(above / height)) - MARGIN);
      const last = Math.min(count, Math.ceil((above + innerHeight) / height) + MARGIN);
      setSight((s) =>
        s.first === first && s.last === last && s.height === height
          ? s
          : { first, last: Math.max(last, first), height },
      );
    };
    const plan = (): void => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    addEventListener('scroll', plan, { passive: true });
    addEventListener('resize', plan);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', plan);
      removeEventListener('resize', plan);
    };
  }, [count, long, body]);
  return { first: Math.min(sight.first, count), last: Math.min(sight.last, count), height: sight.height };
}
