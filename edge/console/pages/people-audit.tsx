import { useCallback, useMemo, useState } from 'preact/hooks';
import type { AuditView } from '../../api/views.ts';
import { ApiError, get } from '../api.ts';
import { clock, ends, number } from '../format.ts';
import { useQuery } from '../query.ts';
import { href } from '../router.ts';
import type { Role } from '../session.ts';
import { type Column, Empty, Loading, Panel, Problem, Table, Time } from '../ui/index.ts';
import { lang, useWords } from '../words.ts';
import words, { deedWords } from './people.words.ts';

const PAGE = 200;
const MOST = 5000;

export function Audit() {
  const w = useWords(words);
  const { data, error, loading, reload } = useQuery<{ audit: AuditView[] }>(`/audit?limit=${PAGE}`, 15_000);
  const [past, setPast] = useState<AuditView[]>([]);
  const [hasOlder, setHasOlder] = useState(true);
  const [failed, setFailed] = useState<ApiError>();
  const [find, setFind] = useState('');
  const rows = useMemo(() => {
    if (!data) return undefined;
    const all = new Map([...past, ...data.audit].map((deed) => [deed.index, deed]));
    return [...all.values()].sort((a, b) => b.index - a.index);
  }, [data, past]);
  const wanted = find.trim().toLowerCase();
  const language = lang.value;
  const shown = useMemo(
    () =>
      rows?.filter((a) =>
        `${a.by.name} ${a.action} ${deedWords(a.action, language)} ${a.on} ${Object.values(a.detail).join(' ')}`
          .toLowerCase()
          .includes(wanted),
      ),
    [rows, wanted, language],
  );
  const last = rows?.at(-1)?.index;
  const older = useCallback(async () => {
    try {
      const { audit } = await get<{ audit: AuditView[] }>(`/audit?limit=${PAGE}&before=${last}`);
      setPast((list) => [...list, ...audit].slice(0, MOST));
      setHasOlder(audit.length === PAGE);
    } catch (wrong) {
      if (wrong instanceof ApiError) setFailed(wrong);
    }
  }, [last]);
  const columns: Column<AuditView>[] = [
    { key: 'time', label: w.time, width: '8rem', cell: (a) => <Time ms={a.atMs} /> },
    {
      key: 'who',
      label: w.who,
      cell: (a) => (
        <>
          {a.by.name} <small class="muted">{w[a.by.role as Role] ?? a.by.role}</small>
        </>
      ),
      sort: (a) => a.by.name,
    },
    {
      key: 'what',
      label: w.what,
      cell: (a) => (
        <>
          <span title={a.action}>{deedWords(a.action, language)}</span>
          <small class="only-narrow">
            <On on={a.on} />
          </small>
        </>
      ),
      sort: (a) => a.action,
    },
    { key: 'on', label: w.on, rank: 2, cell: (a) => <On on={a.on} /> },
    { key: 'how', label: w.detail, rank: 3, cell: (a) => <Detail detail={a.detail} /> },
    {
      key: 'entry',
      label: w.entry,
      width: '6rem',
      rank: 2,
      align: 'end',
      cell: (a) => <a href={href('entry', a.index)}>{number(a.index)}</a>,
    },
  ];
  const isFull = (data?.audit.length ?? 0) >= PAGE && (rows?.length ?? 0) < MOST;
  return (
    <Panel
      title={w.audit}
      hint={w.auditHint}
      flush
      actions={
        <input
          class="input find"
          type="search"
          aria-label={w.find}
          placeholder={w.findShort}
          value={find}
          onInput={(e) => setFind(e.currentTarget.value)}
        />
      }
    >
      <Problem error={error ?? failed} retry={reload} />
      {loading && <Loading />}
      {rows && (
        <Table
          caption={w.audit}
          rows={shown ?? []}
          columns={columns}
          rowKey={(a) => a.index}
          empty={
            rows.length === 0 ? (
              <Empty title={w.noAudit}>{w.noAuditWhy}</Empty>
            ) : (
              <Empty title={w.noFit}>{w.noFitWhy}</Empty>
            )
          }
        />
      )}
      {isFull && hasOlder && (
        <p class="panel-foot">
          <button type="button" class="button small" onClick={() => void older()}>
            {w.older}
          </button>
        </p>
      )}
    </Panel>
  );
}

function On({ on }: { on: string }) {
  if (on.startsWith('did:'))
    return (
      <a href={href('device', on)}>
        <code title={on}>{ends(on, 14, 5)}</code>
      </a>
    );
  if (/^\d{18}-\d{8}T\d{2}Z-v\d{1,3}$/.test(on))
    return (
      <a href={href('certificate', on)}>
        <code>{on}</code>
      </a>
    );
  return <code title={on}>{ends(on, 24, 8)}</code>;
}

/** Names stand as they are hashed; what is long is cut, and whole where one points at it. */
function Detail({ detail }: { detail: AuditView['detail'] }) {
  return (
    <span class="deed">
      {Object.entries(detail).map(([name, value]) => {
        const text =
          value === null ? '–' : /Ms$/.test(name) && typeof value === 'number' ? clock(value) : String(value);
        return (
          <span key={name} title={text}>
            <small class="muted">{name}</small> {name === 'reason' ? text : ends(text, 24, 6)}
          </span>
        );
      })}
    </span>
  );
}
