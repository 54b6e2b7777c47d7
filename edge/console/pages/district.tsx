/** All devices: found, filtered and sorted here, so that each key stroke is answered at once, for 10,000 of them too. */
import { useMemo } from 'preact/hooks';
import { DEVICE_STATES, deviceState } from '../device-state.ts';
import { type DistrictRow, district, useDistrict } from '../district.ts';
import { DASH, number } from '../format.ts';
import { exact, glance, kindOf, nameOf } from '../names.ts';
import { go, href, route } from '../router.ts';
import { Badge, type Column, Empty, Icon, Loading, Page, Panel, Problem, Segments, Table, Time } from '../ui/index.ts';
import { lang, useWords } from '../words.ts';
import { shortSub } from './device-link.tsx';
import './district.css';
import table from './district.words.ts';

const SHOWN = {
  all: () => true,
  silent: (r: DistrictRow) => deviceState(r) === 'silent',
  gaps: (r: DistrictRow) => r.gaps > 0,
  quarantined: (r: DistrictRow) => r.quarantined > 0,
  suspended: (r: DistrictRow) => r.status === 'suspended',
};
type Shown = keyof typeof SHOWN;

/** The filters stand in the address, so that a link or the way back leads to the same list. */
function change(name: string, value: string): void {
  const query = new URLSearchParams(route.value.query);
  if (value) query.set(name, value);
  else query.delete(name);
  const text = query.toString();
  go(`#/district${text ? `?${text}` : ''}`, true);
}

export default function District() {
  const w = useWords(table);
  useDistrict();
  const rows = district.value?.rows;
  const { query } = route.value;
  const words = (query.get('q') ?? '').toLowerCase();
  const kind = query.get('kind') ?? '';
  const asked = query.get('show') ?? 'all';
  const show: Shown = asked in SHOWN ? (asked as Shown) : 'all';
  const language = lang.value; // kinds and columns have their words in it
  const found = useMemo(() => {
    const parts = words.split(/\s+/).filter(Boolean);
    const text = (r: DistrictRow): string =>
      `${r.label ?? ''} ${r.sub} ${r.did} ${r.kind} ${kindOf(r.kind)}`.toLowerCase();
    return (rows ?? []).filter(
      (r) =>
        (!kind || r.kind === kind) && SHOWN[show](r) && (parts.length === 0 || parts.every((p) => text(r).includes(p))),
    );
  }, [rows, words, kind, show, language]);
  const kinds = useMemo(() => [...new Set((rows ?? []).map((r) => r.kind))].sort(), [rows]);
  const counts = useMemo(
    () =>
      Object.fromEntries(Object.entries(SHOWN).map(([name, is]) => [name, (rows ?? []).filter(is).length])) as Record<
        Shown,
        number
      >,
    [rows],
  );
  const columns = useMemo(() => columnsOf(w), [language]);
  if (!rows) return <Page title={w.title}>{district.value?.error ? null : <Loading />}</Page>;
  const option = (value: Shown, label: string) => ({
    value,
    label: (
      <>
        {label} <span class="num count">{number(counts[value])}</span>
      </>
    ),
  });
  return (
    <Page title={w.title} lead={w.lead(number(rows.length))}>
      <Problem error={district.value?.error} />
      <search class="filters">
        <label class="search">
          <span class="hidden">{w.search}</span>
          <Icon name="search" size={18} />
          <input
            class="input"
            type="search"
            placeholder={w.searchHint}
            value={query.get('q') ?? ''}
            onInput={(event) => change('q', event.currentTarget.value)}
          />
        </label>
        <label>
          <span class="hidden">{w.kind}</span>
          <select class="input" value={kind} onChange={(event) => change('kind', event.currentTarget.value)}>
            <option value="">{w.allKinds}</option>
            {kinds.map((k) => (
              <option key={k} value={k}>
                {kindOf(k)}
              </option>
            ))}
          </select>
        </label>
        <Segments<Shown>
          label={w.show}
          value={show}
          options={[
            option('all', w.all),
            option('silent', w.silentOnes),
            option('gaps', w.gapsOnes),
            option('quarantined', w.quarantinedOnes),
            option('suspended', w.suspendedOnes),
          ]}
          onChange={(value) => change('show', value === 'all' ? '' : value)}
        />
      </search>
      <p class="hidden" role="status">
        {w.found(number(found.length), number(rows.length))}
      </p>
      <Panel flush class="district">
        <Table
          caption={w.title}
          rows={found}
          columns={columns}
          dense
          rowKey={(r) => r.did}
          sort={{ key: 'device', down: false }}
          empty={
            rows.length === 0 ? (
              <Empty title={w.none}>{w.noneWhy}</Empty>
            ) : (
              <Empty title={w.noMatch}>{w.noMatchWhy}</Empty>
            )
          }
        />
      </Panel>
    </Page>
  );
}

const ORDER = Object.keys(DEVICE_STATES);

function columnsOf(w: typeof table.en): Column<DistrictRow>[] {
  return [
    {
      key: 'device',
      label: w.device,
      sort: (r) => r.label ?? r.sub,
      cell: (r) => (
        <span class="district-device">
          <a href={href('device', r.did)} title={`${r.sub} · ${r.did}`}>
            {r.label ?? shortSub(r.sub)}
          </a>
          <small class="narrow">
            {kindOf(r.kind)}
            {r.last ? ` · ${glance(r.last.v, r.last.u)}` : ''}
            {r.lastMs === null ? null : (
              <>
                {' · '}
                <Time ms={r.lastMs} ago />
              </>
            )}
          </small>
        </span>
      ),
    },
    {
      key: 'kind',
      label: w.kind,
      width: '7rem',
      rank: 3,
      sort: (r) => kindOf(r.kind),
      cell: (r) => <span class="muted">{kindOf(r.kind)}</span>,
    },
    {
      key: 'state',
      label: w.state,
      width: '9.25rem',
      sort: (r) => ORDER.indexOf(deviceState(r)),
      cell: (r) => {
        const state = deviceState(r);
        return <Badge state={DEVICE_STATES[state]}>{w[state]}</Badge>;
      },
    },
    {
      key: 'last',
      label: w.last,
      width: '23%',
      rank: 2,
      cell: (r) =>
        r.last ? (
          <span class="told" title={exact(r.last.v, r.last.u)}>
            <span class="num">{glance(r.last.v, r.last.u)}</span> <small>{nameOf(r.last.n)}</small>
          </span>
        ) : (
          <span class="muted" title={w.noValue}>
            {DASH}
          </span>
        ),
    },
    {
      key: 'heard',
      label: w.heardAt,
      width: '7.5rem',
      rank: 2,
      sort: (r) => (r.lastMs === null ? null : -r.lastMs),
      cell: (r) => <Time ms={r.lastMs} ago />,
    },
    {
      key: 'entries',
      label: w.entries,
      width: '6rem',
      rank: 3,
      align: 'end',
      sort: (r) => r.entries,
      cell: (r) => number(r.entries),
    },
    {
      key: 'gaps',
      label: w.gaps,
      width: '4.75rem',
      rank: 2,
      align: 'end',
      sort: (r) => r.gaps,
      cell: (r) => <Count n={r.gaps} title={w.gapsTitle} />,
    },
    {
      key: 'quarantined',
      label: w.quarantined,
      width: '7rem',
      rank: 3,
      align: 'end',
      sort: (r) => r.quarantined,
      cell: (r) => <Count n={r.quarantined} title={w.quarantined} />,
    },
  ];
}

/** None is quiet, some are not. */
const Count = ({ n, title }: { n: number; title: string }) =>
  n === 0 ? (
    <span class="muted">0</span>
  ) : (
    <strong class="some" title={title}>
      {number(n)}
    </strong>
  );
