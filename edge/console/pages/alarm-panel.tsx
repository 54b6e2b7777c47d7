/** Open alarms with what to do about each, and, where one wants them, those that are over. */
import { useState } from 'preact/hooks';
import type { AlarmView } from '../../api/alarms.ts';
import { useAlarms } from '../alarms.ts';
import { post } from '../api.ts';
import { errorWords } from '../error-words.ts';
import { number, shortDid } from '../format.ts';
import { useDeed } from '../query.ts';
import { href } from '../router.ts';
import { may } from '../session.ts';
import { Badge, type Column, Panel, Problem, Table, Time } from '../ui/index.ts';
import { lang, useWords } from '../words.ts';
import table from './now.words.ts';

const OPEN = 200;
const OVER = 50;

export function AlarmPanel() {
  const w = useWords(table);
  const [over, setOver] = useState(false);
  const open = useAlarms(true, OPEN);
  const deed = useDeed();
  const columns: Column<AlarmView>[] = [
    {
      key: 'severity',
      label: w.severity,
      width: '7rem',
      sort: (a) => a.severity,
      cell: (a) => <Badge state={a.severity === 'alarm' ? 'bad' : 'warn'}>{w[a.severity]}</Badge>,
    },
    { key: 'what', label: w.what, cell: (a) => <What alarm={a} /> },
    { key: 'times', label: w.times, rank: 3, align: 'end', sort: (a) => a.times, cell: (a) => number(a.times) },
    { key: 'since', label: w.since, rank: 2, sort: (a) => a.raisedMs, cell: (a) => <Time ms={a.raisedMs} ago /> },
  ];
  if (may('operator'))
    columns.push({
      key: 'clear',
      label: w.clear,
      align: 'end',
      rank: 2,
      cell: (a) =>
        a.byPerson ? (
          <button
            type="button"
            class="button small"
            disabled={deed.busy}
            aria-label={w.clearOf(a.title)}
            onClick={() => void deed.run(() => post(`/alarms/${a.id}/clear`)).then(open.reload)}
          >
            {w.clear}
          </button>
        ) : (
          <small class="muted">{w.byItself}</small>
        ),
    });
  const alarms = open.data?.alarms ?? [];
  return (
    <>
      <Problem error={open.error ?? deed.error} retry={open.reload} />
      {alarms.length > 0 && (
        <Panel title={w.openAlarms} flush>
          <Table caption={w.openAlarms} rows={alarms} columns={columns} rowKey={(a) => a.id} />
        </Panel>
      )}
      <details class="over" onToggle={(event) => setOver(event.currentTarget.open)}>
        <summary>{w.showOver}</summary>
        {over && <Over />}
      </details>
    </>
  );
}

function Over() {
  const w = useWords(table);
  const { data, error } = useAlarms(false, OVER);
  return (
    <Panel title={w.lastAlarms} flush>
      <Problem error={error} />
      <Table
        caption={w.lastAlarms}
        rows={data?.alarms ?? []}
        rowKey={(a) => a.id}
        empty={data && <p class="loading">{w.noAlarms}</p>}
        columns={[
          { key: 'what', label: w.what, cell: (a) => <What alarm={a} /> },
          { key: 'times', label: w.times, rank: 3, align: 'end', cell: (a) => number(a.times) },
          { key: 'since', label: w.since, rank: 2, cell: (a) => <Time ms={a.raisedMs} /> },
          { key: 'until', label: w.until, cell: (a) => <Time ms={a.clearedMs} /> },
        ]}
      />
    </Panel>
  );
}

function What({ alarm }: { alarm: AlarmView }) {
  const known = errorWords(alarm.code, lang.value);
  return (
    <span class="alarm-what">
      <strong>{known?.title ?? alarm.title}</strong>
      <span>
        {alarm.where.startsWith('did:') ? (
          <a href={href('device', alarm.where)} title={alarm.where}>
            {shortDid(alarm.where)}
          </a>
        ) : (
          alarm.where
        )}
        {alarm.detail && alarm.detail !== alarm.where ? ` · ${alarm.detail}` : ''}
      </span>
      <small>
        {known?.todo ?? alarm.todo} <code>{alarm.code}</code>
      </small>
    </span>
  );
}
