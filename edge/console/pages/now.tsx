/** The gateway at a glance: what comes in, what is proven of it, and what needs a person. */
import type { EntryView, HealthView } from '../../api/views.ts';
import type { VitalView } from '../../api/vitals.ts';
import { bytes, DASH, duration, number, short } from '../format.ts';
import { glance, nameOf } from '../names.ts';
import { useQuery } from '../query.ts';
import { href } from '../router.ts';
import { Badge, Empty, Loading, Page, Panel, Problem, Stat, Table, Time } from '../ui/index.ts';
import { trend, vitals } from '../vitals.ts';
import { useWords } from '../words.ts';
import { AlarmPanel } from './alarm-panel.tsx';
import { DeviceLink } from './device-link.tsx';
import './now.css';
import table from './now.words.ts';

const HEALTH_MS = 5_000;
const NEWEST_MS = 2_000;
const NEWEST = 10;
/** An entry that waits longer for its anchor than this is worth a look, in s; the gateway's own alarm says more. */
const LONG_WAIT_S = 900;

export default function Now() {
  const w = useWords(table);
  const health = useQuery<HealthView>('/health', HEALTH_MS);
  const ok = health.data?.status === 'ok';
  const alarms = vitals.value.at(-1)?.openAlarms ?? 0;
  return (
    <Page
      title={w.title}
      lead={
        health.data ? (
          <>
            {w.started(duration(health.data.uptimeSeconds))} {health.data.version}
          </>
        ) : undefined
      }
      actions={
        health.data && (
          <span class="now-verdict" role="status">
            <Badge state={!ok ? 'bad' : alarms > 0 ? 'warn' : 'good'}>{ok && alarms === 0 ? w.well : w.look}</Badge>
          </span>
        )
      }
    >
      <Problem error={health.error} retry={health.reload} />
      <Stats />
      <AlarmPanel />
      <div class="now-columns">
        <Newest />
        {health.data && <Parts health={health.data} />}
      </div>
    </Page>
  );
}

function Stats() {
  const w = useWords(table);
  const rows = vitals.value;
  const now = rows.at(-1);
  if (!now) return <Loading />;
  const waiting = now.anchoredSize === null ? null : now.entries - now.anchoredSize;
  const part = (row: VitalView): number | null =>
    row.anchoredSize === null || row.entries === 0 ? null : (row.anchoredSize / row.entries) * 100;
  const anchored = part(now);
  const alarms = now.openAlarms;
  const late = (now.oldestUnanchoredSeconds ?? 0) > LONG_WAIT_S;
  const diskState = { ok: undefined, low: 'warn', full: 'bad' } as const;
  return (
    <div class="grid now-grid">
      <Stat
        label={w.rate}
        value={number(now.entriesPerSecond, now.entriesPerSecond < 10 ? 1 : 0)}
        unit="/s"
        why={w.rateWhy(number(now.entries), number(now.connected))}
        spark={trend(rows, (r) => r.entriesPerSecond)}
      />
      <Stat
        label={w.oldest}
        value={
          now.oldestUnanchoredSeconds === null
            ? now.anchoredSize === null
              ? DASH
              : w.allAnchored
            : duration(now.oldestUnanchoredSeconds)
        }
        {...(late ? { state: 'warn' as const } : {})}
        why={waiting === null ? w.noChain : waiting > 0 ? w.waiting(number(waiting)) : w.allAnchoredWhy}
        spark={trend(rows, (r) => (r.anchoredSize === null ? null : (r.oldestUnanchoredSeconds ?? 0)))}
        format={duration}
        href={href('log')}
      />
      <Stat
        label={w.anchor}
        value={anchored === null ? DASH : number(anchored, anchored > 99.9 && anchored < 100 ? 2 : 1)}
        {...(anchored === null ? {} : { unit: '%' })}
        why={anchored === null ? w.noChain : w.anchorWhy}
        spark={trend(rows, part)}
        format={(n) => `${short(n)} %`}
        href={href('log')}
      />
      <Stat
        label={w.alarms}
        value={alarms === 0 ? w.noAlarms : number(alarms)}
        {...(alarms ? { state: 'bad' as const, unit: w.alarmsOpen } : {})}
        why={alarms === 0 ? w.noAlarmsWhy : undefined}
        spark={trend(rows, (r) => r.openAlarms)}
      />
      <Stat
        label={w.disk}
        value={bytes(now.diskFreeBytes)}
        {...(diskState[now.diskLevel] ? { state: diskState[now.diskLevel] as 'warn' } : {})}
        why={
          now.diskFreeBytes === null ? w.diskNone : { ok: w.diskOk, low: w.diskLow, full: w.diskFull }[now.diskLevel]
        }
        spark={trend(rows, (r) => r.diskFreeBytes)}
        zero
        format={bytes}
      />
      <Stat
        label={w.commit}
        value={number(now.lastCommitMs, 1)}
        unit="ms"
        why={w.commitWhy}
        spark={trend(rows, (r) => r.lastCommitMs)}
        format={(n) => `${short(n)} ms`}
      />
      <Stat
        label={w.clock}
        value={now.clockSynced ? w.synced : w.unsynced}
        {...(now.clockSynced ? {} : { state: 'warn' as const })}
        why={now.clockSynced ? w.syncedWhy : w.unsyncedWhy}
        spark={trend(rows, (r) => (r.clockSynced ? 1 : 0))}
        format={(n) => (n >= 1 ? w.synced : w.unsynced)}
      />
      <Stat
        label={w.quarantine}
        value={number(now.quarantined)}
        why={w.quarantineWhy}
        spark={trend(rows, (r) => r.quarantined)}
        href={href('quarantine')}
      />
    </div>
  );
}

function Newest() {
  const w = useWords(table);
  const size = vitals.value.at(-1)?.entries;
  // The page asks for what was newest a moment ago: which that is, the vitals say.
  const after = size === undefined ? null : size > NEWEST ? `&after=${size - NEWEST - 1}` : '';
  const { data, error } = useQuery<{ entries: EntryView[] }>(
    after === null ? null : `/entries?limit=${NEWEST}${after}`,
    NEWEST_MS,
  );
  return (
    <Panel title={w.newest} flush>
      <Problem error={error} />
      {!data && !error && <Loading />}
      <Table
        caption={w.newest}
        dense
        rows={[...(data?.entries ?? [])].reverse()}
        rowKey={(e) => e.index}
        empty={data && <Empty title={w.noEntries}>{w.noEntriesWhy}</Empty>}
        columns={[
          {
            key: 'index',
            label: w.entry,
            width: '6rem',
            cell: (e) => (
              <a class="num" href={href('entry', e.index)}>
                {number(e.index)}
              </a>
            ),
          },
          { key: 'device', label: w.device, cell: (e) => <DeviceLink did={e.did} kind={e.kind} sub={e.sub} /> },
          { key: 'value', label: w.value, width: '40%', cell: (e) => <Value entry={e} /> },
          {
            key: 'ms',
            label: w.received,
            width: '6.5rem',
            rank: 2,
            align: 'end',
            cell: (e) => <Time ms={e.receivedMs} />,
          },
        ]}
      />
    </Panel>
  );
}

function Value({ entry }: { entry: EntryView }) {
  const w = useWords(table);
  if (entry.pruned || entry.forgotten) return <span class="muted">{entry.pruned ? w.pruned : w.forgotten}</span>;
  const record = entry.records.find(({ v, vs, vb }) => (v ?? vs ?? vb) !== undefined);
  if (!record) return <>{DASH}</>;
  const value = record.v ?? record.vs ?? record.vb ?? '';
  return (
    <span class="told">
      <span class="num">{glance(value, record.u)}</span> <small title={record.n}>{nameOf(record.n)}</small>
    </span>
  );
}

function Parts({ health }: { health: HealthView }) {
  const w = useWords(table);
  const rows = Object.entries(health.parts).map(([name, part]) => ({ name, ...part }));
  return (
    <Panel title={w.parts} hint={w.partsHint} flush>
      <Table
        caption={w.parts}
        rows={rows}
        rowKey={(r) => r.name}
        columns={[
          {
            key: 'name',
            label: w.part,
            cell: (r) => (
              <span class="now-part">
                <strong>{r.name}</strong>
                <small>{r.detail}</small>
              </span>
            ),
          },
          {
            key: 'ok',
            label: w.state,
            align: 'end',
            cell: (r) => (
              <Badge state={r.ok ? 'good' : r.name === 'clock' ? 'warn' : 'bad'}>{r.ok ? w.ok : w.notOk}</Badge>
            ),
          },
        ]}
      />
    </Panel>
  );
}
