/** Credits: a day of each metering point hour by hour, and what became of the energy. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type {
  CertificateRowView,
  PointSlotsView,
  ResidualView,
  SlotsView,
  SlotView,
  TradeView,
  WhyView,
} from '../../api/credit-views.ts';
import { get } from '../api.ts';
import { date, energy, hourOf, number } from '../format.ts';
import { useCaughtUp, useSoon } from '../fresh.ts';
import { useEvents } from '../live.ts';
import { useLoad, useQuery } from '../query.ts';
import { go, href, route } from '../router.ts';
import { may } from '../session.ts';
import {
  Badge,
  type Column,
  Empty,
  Icon,
  Id,
  Loading,
  Page,
  Panel,
  Problem,
  Stat,
  type State,
  Table,
  Time,
} from '../ui/index.ts';
import { lang, useWords } from '../words.ts';
import { ClaimDialog } from './claim-credit.tsx';
import shared, { CELL_WORDS, flagWords, MISSING_WORDS, residualWords, STATE_WHY, tradeWords } from './credit.words.ts';
import './common.css';
import './credits.css';
import { download } from '../download.ts';
import { errorWords } from '../error-words.ts';
import words from './credits.words.ts';
import {
  CELLS,
  type Cell,
  cellOf,
  koreanDate,
  levelOf,
  mostOf,
  parseDate,
  SIGNS,
  shiftDate,
  sumsOf,
} from './credits-day.ts';
import { Why } from './why.tsx';

/** Metering points that are asked for at once. */
const PAGE = 50;
const HOUR_MS = 3_600_000;
const SOON_MS = 400;
const NEAR_DAYS = 3;

export const STATES: Record<Cell, State> = {
  ...{ minted: 'good', part: 'good', claimed: 'info', sent: 'info', ready: 'idle', refused: 'bad', withdrawn: 'warn' },
  ...{ residual: 'warn', nothing: 'idle', waiting: 'info', missing: 'idle', ahead: 'idle' },
};

type Chosen = { point: string; slot: number };

export default function Credits() {
  const w = useWords(words);
  const today = koreanDate(Date.now());
  const asked = parseDate(route.value.query.get('day'));
  const [pages, setPages] = useState(1);
  const [chosen, choose] = useState<Chosen>();
  const load = useCallback(
    (signal: AbortSignal) => (asked ? daysSlots(asked, pages, signal) : newestDay(today, pages, signal)),
    [asked, today, pages],
  );
  const { data, error, loading, reload } = useLoad(load, 60_000);
  const day = asked ?? data?.date ?? today;
  const soon = useSoon(reload, SOON_MS);
  useCaughtUp(reload);
  useEvents(['certificate'], soon);
  const to = (date: string): void => {
    choose(undefined);
    go(`${href('credits')}?day=${date}`, true);
  };
  const isOff = error?.code === 'CREDITS_OFF';
  const actions = (
    <div class="day-nav">
      <button type="button" class="button square" aria-label={w.before} onClick={() => to(shiftDate(day, -1))}>
        <Icon name="back" />
      </button>
      <input
        class="input"
        type="date"
        aria-label={w.day}
        max={today}
        value={day}
        onChange={(e) => to(parseDate(e.currentTarget.value) ?? today)}
      />
      <button
        type="button"
        class="button square"
        aria-label={w.after}
        disabled={day >= today}
        onClick={() => to(shiftDate(day, 1))}
      >
        <Icon name="next" />
      </button>
      <button type="button" class="button" disabled={asked === today} onClick={() => to(today)}>
        {w.today}
      </button>
    </div>
  );
  return (
    <Page title={w.title} lead={w.lead} actions={isOff ? undefined : actions}>
      <Problem error={error} retry={reload} />
      {loading && <Loading />}
      {data && <Sums points={data.points} />}
      {data && (
        <Hours data={data} chosen={chosen} onChoose={choose} onMore={() => setPages((n) => n + 1)} onChanged={soon} />
      )}
      {data && <Residuals points={data.points} />}
      {!isOff && data && <Claims version={data} />}
      {!isOff && data && <Trades />}
    </Page>
  );
}

/** Where nobody asked for a day: the newest one with a certificate, of those that are near. After midnight today has none. */
async function newestDay(today: string, pages: number, signal: AbortSignal): Promise<SlotsView> {
  const first = await daysSlots(today, pages, signal);
  let found = first;
  for (let back = 1; back < NEAR_DAYS && !hasCertificate(found) && first.points.length > 0; back++)
    found = await daysSlots(shiftDate(today, -back), pages, signal);
  return hasCertificate(found) ? found : first;
}

const hasCertificate = ({ points }: SlotsView): boolean =>
  points.some(({ slots }) => slots.some(({ id }) => id !== null));

/** Pages of metering points, one after the other, as one answer. */
async function daysSlots(date: string, pages: number, signal: AbortSignal): Promise<SlotsView> {
  const ask = (after: string | null): Promise<SlotsView> =>
    get(`/slots?date=${date}&limit=${PAGE}${after === null ? '' : `&after=${encodeURIComponent(after)}`}`, signal);
  let all = await ask(null);
  for (let i = 1; i < pages && all.next !== null; i++) {
    const more = await ask(all.next);
    all = { ...more, points: [...all.points, ...more.points] };
  }
  return all;
}

function Sums({ points }: { points: readonly PointSlotsView[] }) {
  const w = useWords(words);
  const sums = useMemo(() => sumsOf(points), [points]);
  return (
    <div class="grid sums">
      <Stat label={w.minted} value={energy(sums.minted)} why={w.mintedWhy} />
      <Stat label={w.waiting} value={energy(sums.waiting)} why={w.waitingWhy} />
      <Stat label={w.claimed} value={energy(sums.claimed)} why={w.claimedWhy} />
      <Stat label={w.residual} value={energy(sums.residual)} why={w.residualWhy} />
      <Stat label={w.missing} value={number(sums.missingHours)} why={w.missingWhy(energy(sums.refused))} />
    </div>
  );
}

function Hours(props: {
  data: SlotsView;
  chosen: Chosen | undefined;
  onChoose: (chosen: Chosen | undefined) => void;
  onMore: () => void;
  onChanged: () => void;
}) {
  const w = useWords(words);
  const [find, setFind] = useState('');
  const { points, next, date: day } = props.data;
  const most = useMemo(() => mostOf(points), [points]);
  const wanted = find.trim().toLowerCase();
  const shown = points.filter(({ meteringPoint, label }) =>
    `${meteringPoint} ${label ?? ''}`.toLowerCase().includes(wanted),
  );
  if (points.length === 0)
    return (
      <Panel title={w.hours}>
        <Empty title={w.noPlants}>{w.noPlantsWhy}</Empty>
      </Panel>
    );
  return (
    <Panel
      title={w.hours}
      hint={w.hoursHint}
      class="hours"
      actions={
        <>
          {(points.length > 8 || next !== null) && (
            <input
              class="input find"
              type="search"
              aria-label={w.find}
              placeholder={w.find}
              value={find}
              onInput={(e) => setFind(e.currentTarget.value)}
            />
          )}
          <DayCsv day={props.data} />
        </>
      }
    >
      <Legend />
      {shown.map((point) => (
        <Strip key={`${day} ${point.meteringPoint}`} point={point} most={most} {...props} />
      ))}
      {next !== null && (
        <p>
          <button type="button" class="button" onClick={props.onMore}>
            {w.more}
          </button>
        </p>
      )}
    </Panel>
  );
}

function DayCsv({ day }: { day: SlotsView }) {
  const w = useWords(words);
  const iso = (s: number): string => new Date(s * 1000).toISOString();
  const path = `/certificates?format=csv&limit=1000&from=${iso(day.from)}&to=${iso(day.until)}`;
  return (
    <button
      type="button"
      class="button small"
      onClick={() => void download(path, `certificates-${day.date}.csv`).catch(() => undefined)}
    >
      {w.csv}
    </button>
  );
}

const Legend = () => {
  const w = useWords(words);
  return (
    <ul class="legend" aria-label={w.legend}>
      {CELLS.map((cell) => (
        <li key={cell}>
          <span
            class={`cell sample ${cell}`}
            data-level={cell === 'nothing' || cell === 'ahead' ? 0 : 3}
            aria-hidden="true"
          >
            {SIGNS[cell]}
          </span>
          {CELL_WORDS[lang.value][cell]}
        </li>
      ))}
    </ul>
  );
};

function Strip(props: {
  point: PointSlotsView;
  most: number;
  chosen: Chosen | undefined;
  onChoose: (chosen: Chosen | undefined) => void;
  onChanged: () => void;
}) {
  const w = useWords(words);
  const { point, most, chosen, onChoose } = props;
  const list = useRef<HTMLOListElement>(null);
  const [at, setAt] = useState(0);
  const name = point.label ?? point.meteringPoint;
  const total = point.slots.reduce((sum, { state, wh }) => sum + (state === 'refused' ? 0 : wh), 0);
  const here = chosen?.point === point.meteringPoint ? point.slots.find(({ slot }) => slot === chosen.slot) : undefined;
  const onKey = (event: KeyboardEvent): void => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: point.slots.length - 1 }[event.key];
    if (to === undefined || to < 0 || to >= point.slots.length) return;
    event.preventDefault();
    setAt(to);
    list.current?.querySelectorAll('button')[to]?.focus();
  };
  return (
    <div class="strip">
      <div class="strip-head">
        <h3>
          <a href={href('device', point.device)}>{name}</a>
        </h3>
        {point.label && <code class="muted">{point.meteringPoint}</code>}
        <span class="strip-sum num">{w.sum(energy(total))}</span>
      </div>
      <ol ref={list} class="cells" aria-label={w.of(name)} onKeyDown={onKey}>
        {point.slots.map((slot, i) => {
          const cell = cellOf(slot);
          const from = hourOf(slot.slot * 1000);
          return (
            <li key={slot.slot}>
              <span class="cell-hour" aria-hidden="true">
                {from.slice(0, 2)}
              </span>
              <button
                type="button"
                class={`cell ${cell}`}
                data-level={levelOf(slot.wh, point.capacityW, most)}
                tabIndex={i === at ? 0 : -1}
                aria-pressed={here === slot}
                aria-label={w.hour(from, CELL_WORDS[lang.value][cell], `${number(slot.wh)} Wh`)}
                title={w.hour(from, CELL_WORDS[lang.value][cell], `${number(slot.wh)} Wh`)}
                onFocus={() => setAt(i)}
                onClick={() => onChoose(here === slot ? undefined : { point: point.meteringPoint, slot: slot.slot })}
              >
                <span aria-hidden="true">{SIGNS[cell]}</span>
              </button>
            </li>
          );
        })}
      </ol>
      {here && <Hour slot={here} point={point} onChanged={props.onChanged} />}
    </div>
  );
}

type Whole = CertificateRowView & { why: WhyView };

/** The hour that was chosen, below its strip. */
function Hour({ slot, point, onChanged }: { slot: SlotView; point: PointSlotsView; onChanged: () => void }) {
  const w = useWords(words);
  const s = useWords(shared);
  const { data, error } = useQuery<Whole>(slot.id === null ? null : `/certificates/${slot.id}`);
  const [claiming, setClaiming] = useState(false);
  const cell = cellOf(slot);
  const ms = slot.slot * 1000;
  const code = slot.code === null ? undefined : errorWords(slot.code, lang.value);
  const canClaim = may('operator') && (cell === 'minted' || cell === 'part') && slot.id !== null;
  return (
    <div class="hour" aria-live="polite">
      <div class="hour-head">
        <h4>{w.chosen(hourOf(ms), hourOf(ms + HOUR_MS), point.label ?? point.meteringPoint)}</h4>
        <Badge state={STATES[cell]}>{CELL_WORDS[lang.value][cell]}</Badge>
        {slot.id !== null && <strong class="num">{number(slot.wh)} Wh</strong>}
        <span class="actions">
          {canClaim && (
            <button type="button" class="button small" onClick={() => setClaiming(true)}>
              {s.claim}
            </button>
          )}
          {slot.id !== null && (
            <a class="button small" href={href('certificate', slot.id)}>
              {s.open}
            </a>
          )}
        </span>
      </div>
      <p class="muted">
        {slot.state === 'none'
          ? MISSING_WORDS[lang.value][slot.missing ?? 'pending']
          : STATE_WHY[lang.value][slot.state]}
      </p>
      {slot.code !== null && (
        <p class="refusal">
          <strong>{code?.title ?? slot.code}</strong>
          {code && ` ${code.todo}`} <code>{slot.code}</code>
        </p>
      )}
      {slot.flags.map((flag) => (
        <p key={flag}>
          <Badge state="warn">{flagWords(flag, lang.value)}</Badge>
        </p>
      ))}
      <Problem error={error} />
      {data && (
        <>
          <h5>{s.why(`${number(data.wh)} Wh`)}</h5>
          <Why why={data.why} wh={data.wh} />
        </>
      )}
      <ClaimDialog
        of={claiming && slot.id !== null ? { ...slot, id: slot.id } : undefined}
        onClose={() => setClaiming(false)}
        onDone={onChanged}
      />
    </div>
  );
}

function Residuals({ points }: { points: readonly PointSlotsView[] }) {
  const w = useWords(words);
  const s = useWords(shared);
  const rows = useMemo(() => points.flatMap((point) => point.residuals), [points]);
  const columns: Column<ResidualView>[] = [
    { key: 'point', label: s.point, cell: (r) => r.meteringPoint, sort: (r) => r.meteringPoint },
    { key: 'from', label: w.from, cell: (r) => <Time ms={Date.parse(r.from)} />, sort: (r) => r.from },
    { key: 'until', label: w.until, cell: (r) => <Time ms={Date.parse(r.until)} />, rank: 2 },
    { key: 'wh', label: s.energy, cell: (r) => `${number(r.wh)} Wh`, sort: (r) => r.wh, align: 'end' },
    {
      key: 'reason',
      label: w.reason,
      rank: 2,
      cell: (r) => (
        <>
          {residualWords(r.reason, lang.value)}
          {r.code !== null && (
            <small class="muted" title={r.detail ?? ''}>
              {' '}
              {errorWords(r.code, lang.value)?.title ?? r.code}
            </small>
          )}
        </>
      ),
    },
    { key: 'month', label: w.month, cell: (r) => r.month ?? w.twoMonths, rank: 3 },
    {
      key: 'state',
      label: s.state,
      cell: (r) => <Badge state={STATES[r.state]}>{CELL_WORDS[lang.value][r.state]}</Badge>,
    },
  ];
  return (
    <Panel title={w.residuals} hint={w.residualsWhy} flush>
      <Table
        caption={w.residuals}
        rows={rows}
        columns={columns}
        rowKey={(r) => `${r.meteringPoint} ${r.from} ${r.until}`}
        empty={<Empty title={w.noResiduals}>{w.noResidualsWhy}</Empty>}
      />
    </Panel>
  );
}

function Claims({ version }: { version: unknown }) {
  const w = useWords(words);
  const s = useWords(shared);
  const from = shiftDate(koreanDate(Date.now()), -31);
  const { data, error, reload } = useQuery<{ certificates: CertificateRowView[] }>(
    `/certificates?claimed=true&limit=1000&from=${from}T00:00:00%2B09:00`,
  );
  useEffect(reload, [version]);
  const rows = useMemo(() => data?.certificates.toReversed() ?? [], [data]);
  const columns: Column<CertificateRowView>[] = [
    {
      key: 'hour',
      label: s.hour,
      cell: (c) => (
        <a href={href('certificate', c.id)}>
          {date(c.slot * 1000)} {hourOf(c.slot * 1000)}
        </a>
      ),
      sort: (c) => c.slot,
    },
    { key: 'point', label: s.point, cell: (c) => c.meteringPoint, sort: (c) => c.meteringPoint, rank: 2 },
    {
      key: 'claimed',
      label: s.claimed,
      cell: (c) => `${number(c.claimedWh)} Wh`,
      sort: (c) => c.claimedWh,
      align: 'end',
    },
    { key: 'wh', label: s.energy, cell: (c) => `${number(c.wh)} Wh`, align: 'end', rank: 2 },
  ];
  if (!data && !error) return null;
  return (
    <Panel title={w.claims} flush>
      <Problem error={error} retry={reload} />
      {data && (
        <Table
          caption={w.claims}
          rows={rows}
          columns={columns}
          rowKey={(c) => c.id}
          empty={<Empty title={w.noClaims}>{w.noClaimsWhy}</Empty>}
        />
      )}
    </Panel>
  );
}

function Trades() {
  const w = useWords(words);
  const s = useWords(shared);
  const { data, error, reload } = useQuery<{ trades: TradeView[] }>('/trades?limit=200', 30_000);
  const text = (value: unknown): string =>
    typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  const figure = (value: unknown): string =>
    /^\d{1,15}$/.test(text(value)) ? number(Number(value)) : text(value) || '–';
  const columns: Column<TradeView>[] = [
    {
      key: 'time',
      label: s.time,
      cell: (t) => (t.transaction.time === null ? s.noBlock : <Time ms={t.transaction.time * 1000} />),
    },
    { key: 'event', label: w.event, cell: (t) => tradeWords(t.event, lang.value) },
    { key: 'listing', label: w.listing, cell: (t) => text(t.data.listing), rank: 2 },
    { key: 'wh', label: s.energy, cell: (t) => `${figure(t.data.wh ?? t.data.left)} Wh`, align: 'end' },
    {
      key: 'price',
      label: w.price,
      cell: (t) =>
        t.data.paid !== undefined
          ? w.paid(figure(t.data.paid))
          : t.data.price !== undefined
            ? w.perWh(figure(t.data.price))
            : '–',
      align: 'end',
    },
    { key: 'tx', label: s.transaction, cell: (t) => <Id value={t.transaction.hash} />, rank: 3 },
  ];
  if (!data && !error) return null;
  return (
    <Panel title={w.trades} hint={`${w.tradesHint}. ${w.units}`} flush>
      <Problem error={error} retry={reload} />
      {data && (
        <Table
          caption={w.trades}
          rows={data.trades}
          columns={columns}
          rowKey={(t) => `${t.transaction.hash} ${t.event} ${text(t.data.listing)} ${text(t.data.left)}`}
          empty={<Empty title={w.noTrades}>{w.noTradesWhy}</Empty>}
        />
      )}
    </Panel>
  );
}
